"""Tells schemathesis which refusals a well-formed request may get. Also counts the requests and their answers, for
scripts/schemathesis to judge.
"""

import atexit
import collections
import json
import os

import schemathesis

# Pieces of the reasons that the API gives for faults that no schema can express.
BEYOND_SCHEMAS = (
    "only one of",  # filters that exclude each other
    "add up to",  # quantities of one SKU, merged
    "an order has one currency",
)
answered = collections.Counter()


@schemathesis.hook
def map_body(_context, body):
    """Writes 2.0 as 2. JSON Schema takes both for integers, but the API accepts 2 only."""
    return _whole(body)


def _whole(value):
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_whole(inner) for inner in value]
    return value


@schemathesis.hook
def after_call(_context, case, response):
    answered[f"{case.operation.label} {response.status_code}"] += 1


@schemathesis.check
def valid_is_valid(_context, response, case):
    """A request that fits its schema is never called malformed or invalid."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if response.status_code not in (400, 413, 415, 422, 428):
        return
    problem = response.json()
    code = problem.get("code")
    reasons = [fault["reason"] for fault in problem.get("errors", [])]
    beyond = reasons and all(any(piece in reason for piece in BEYOND_SCHEMAS) for reason in reasons)
    if code in ("bad_cursor", "unknown_sku", "idempotency_key_reused") or (code == "validation_failed" and beyond):
        return
    raise AssertionError(f"a request that fits its schema was refused with {response.status_code} {code}: {reasons}")


@atexit.register
def _write():
    with open(os.environ["SCHEMATHESIS_COUNTS"], "w", encoding="utf-8") as file:
        json.dump(answered, file)

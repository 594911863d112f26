#!/usr/bin/env python3
"""Audits the books of a running orderflow from its tables, read through its AWS port.

    audit_books.py wait  --api URL --orders N            waits until N e-mails about orders were delivered
    audit_books.py audit --api URL --aws URL --orders N  audits the books, places more orders, and audits them again

Checks three things for every product. Nothing is oversold. The available, reserved and shipped units add up to the units
that were ever counted in. The reserved units are those that open orders hold. Also checks that at least N e-mails were
delivered. Uses the standard library only. Exit status 0 if the books balance, 1 if not.
"""
import argparse, collections, json, sys, time, urllib.error, urllib.request

# The seconds that a slow machine may need for the orders that `wait` waits for.
PATIENCE = 300


def call(url, method="GET", body=None, **headers):
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), method=method)
    request.add_header("content-type", "application/json")
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request, timeout=40) as answer:
            return answer.status, json.loads(answer.read() or "null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or "null")


def dynamodb(aws, operation, body):
    """Calls DynamoDB. `aws` is the URL of a local stack's AWS port, or a function that makes the call."""
    if callable(aws):
        return aws(operation, body)
    # The local stack reads the caller and the service from the signature, and does not verify it.
    scope = "Credential=audit/20260101/us-east-1/dynamodb/aws4_request"
    status, answer = call(aws, "POST", body, x_amz_target=f"DynamoDB_20120810.{operation}",
                          authorization=f"AWS4-HMAC-SHA256 {scope}")
    if status != 200:
        sys.exit(f"DynamoDB answered {status} to {operation}: {answer}")
    return answer


def rows(aws, attribute):
    """Yields every row of the table whose partition key is `attribute`."""
    for table in dynamodb(aws, "ListTables", {})["TableNames"]:
        keys = dynamodb(aws, "DescribeTable", {"TableName": table})["Table"]["KeySchema"]
        if keys[0]["AttributeName"] == attribute:
            page = {"TableName": table}
            while True:
                found = dynamodb(aws, "Scan", page)
                yield from found["Items"]
                if not found.get("LastEvaluatedKey"):
                    return
                page["ExclusiveStartKey"] = found["LastEvaluatedKey"]


def faults(aws):
    """Yields a sentence for every way in which the books do not balance."""
    number = lambda attribute: int(attribute["N"])
    held, gone, counted, statuses = (collections.Counter() for _ in range(4))
    # Where an order's units are, by its status. An unknown status ends the audit with its name.
    units = {
        "PENDING": held,
        "CONFIRMED": held,
        "REJECTED": None,
        "CANCELLED": None,
        "SHIPPED": gone,
        "DELIVERED": gone,
    }
    stock = {}
    for order in rows(aws, "order_id"):
        statuses[order["status"]["S"]] += 1
        at = units[order["status"]["S"]]
        for line in order["lines"]["L"] if at is not None else []:
            at[line["M"]["sku"]["S"]] += number(line["M"]["quantity"])
    for row in rows(aws, "sku"):
        if row["kind"]["S"] == "STOCK":
            stock[row["sku"]["S"]] = number(row["available"]), number(row["reserved"])
        else:
            counted[row["sku"]["S"]] += number(row["delta"])
    print(f"{sum(statuses.values())} orders {dict(statuses)}, {len(stock)} products")
    if not stock or not statuses:
        yield "there is nothing to audit: the tables have no products or no orders"
    for sku, (available, reserved) in stock.items():
        if available < 0:
            yield f"{sku}: oversold, {available} available"
        if available + reserved + gone[sku] != counted[sku]:
            yield f"{sku}: available {available} + reserved {reserved} + shipped {gone[sku]} is not the {counted[sku]} counted in"
        if reserved != held[sku]:
            yield f"{sku}: {reserved} reserved, but open orders hold {held[sku]}"


def more_orders(api):
    """Places an order for each product, twice under one key. Yields a sentence where the answers do not match.

    It shows that orders can still be placed after the process was killed.
    """
    status, user = call(f"{api}/local/token", "POST", {"email": "after@example.com"})
    token = f"Bearer {user['id_token']}"
    call(f"{api}/users", "POST", {"name": "After"}, authorization=token)
    _, listed = call(f"{api}/inventory?limit=20", authorization=token)
    for product in listed["items"]:
        body = {"lines": [{"sku": product["sku"], "quantity": 1}]}
        first, again = (call(f"{api}/orders", "POST", body, authorization=token, idempotency_key=product["sku"])
                        for _ in range(2))
        if (first[0], again[0]) not in ((201, 200), (409, 409)) or first[1]["order_id"] != again[1]["order_id"]:
            yield f"{product['sku']}: answered {first}, then {again}"


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("what", choices=["wait", "audit"])
    arguments.add_argument("--api", required=True)
    arguments.add_argument("--aws")
    arguments.add_argument("--orders", type=int, required=True)
    arguments = arguments.parse_args()
    mailed = lambda: len(call(f"{arguments.api}/local/mailbox?kind=order_status")[1]["items"])
    if arguments.what == "wait":
        give_up = time.monotonic() + PATIENCE
        while mailed() < arguments.orders:
            if time.monotonic() > give_up:
                sys.exit(f"fewer than {arguments.orders} e-mails about orders after {PATIENCE} s")
            time.sleep(0.05)
        return 0
    found = list(faults(arguments.aws)) + list(more_orders(arguments.api)) + list(faults(arguments.aws))
    if mailed() < arguments.orders:
        found.append(f"only {mailed()} e-mails about orders are left of at least {arguments.orders}")
    for fault in found:
        print("FAULT", fault)
    print("the books balance" if not found else f"{len(found)} faults")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

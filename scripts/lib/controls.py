"""Takes one control after the other out of the template, and looks whether the linters go red. Run by
scripts/lint-controls.
"""

import copy
import sys

import findings


def gone(*path):
    """Takes out what stands at the path; a number is an index, a map finds the item of a list that has it."""

    def take(template):
        *way, last = path
        for step in way:
            template = template[found(template, step)]
        del template[found(template, last)]

    return take


def put(value, *path):
    """Puts another value in its place. What is replaced must be there."""

    def replace(template):
        *way, last = path
        for step in way:
            template = template[found(template, step)]
        last = found(template, last)
        if template[last] == value:
            raise KeyError(f"is {value} already")
        template[last] = value

    return replace


def found(within, step):
    if not isinstance(step, dict):
        within[step]  # raises where it is not there
        return step
    for at, item in enumerate(within):
        if step.items() <= item.items():
            return at
    raise KeyError(step)


def of(resource, *path):
    return ("Resources", resource, "Properties", *path)


# No linter tells when the API's default authorizer is gone, TLS to a topic that is encrypted, the workflow's log, the
# tables' or the queue's encryption, or the tables' protection from deletion: tests/journeys/wiring/controls.rs does.
CONTROLS = {
    "a table's point-in-time recovery": gone(*of("OrdersTable", "PointInTimeRecoverySpecification")),
    "a table's being kept when the stack goes": gone("Resources", "OrdersTable", "DeletionPolicy"),
    "a table's being kept when it is replaced": gone("Resources", "UsersTable", "UpdateReplacePolicy"),
    "a log group's retention": gone(*of("PlaceOrderLog", "RetentionInDays")),
    "the API's access log": gone(*of("Api", "AccessLogSettings")),
    "the API's throttling": gone(*of("Api", "DefaultRouteSettings")),
    "the encryption of the customers' topic": gone(*of("OrderTopic", "KmsMasterKeyId")),
    "the encryption of the operators' topic": gone(*of("OperationsTopic", "KmsMasterKeyId")),
    "the rotation of the operators' key": gone(*of("OperationsKey", "EnableKeyRotation")),
    "whom the operators' key is for": put(
        "*", *of("OperationsKey", "KeyPolicy", "Statement", {"Sid": "TheAccountDecides"}, "Principal")
    ),
    "TLS to the queue": gone(*of("DeadLettersPolicy", "PolicyDocument", "Statement", {"Sid": "NothingWithoutTls"})),
    "the functions' traces": gone("Globals", "Function", "Tracing"),
    "the workflow's traces": gone(*of("OrderStateMachine", "Tracing")),
    "the actions that a role is bound to": put(
        "*", *of("QueryRole", "Policies", 0, "PolicyDocument", "Statement", {"Sid": "ReadItems"}, "Action")
    ),
    "the resources that a role is bound to": put(
        "*", *of("CreateOrderRole", "Policies", 0, "PolicyDocument", "Statement", {"Sid": "StoreOrder"}, "Resource")
    ),
    "who may take on a role": put(
        {"AWS": "*"}, *of("QueryRole", "AssumeRolePolicyDocument", "Statement", 0, "Principal")
    ),
}


def main():
    whole = findings.read_template()
    templates = {"whole": whole}
    failed = []
    for number, (control, take_out) in enumerate(CONTROLS.items()):
        template = copy.deepcopy(whole)
        try:
            take_out(template)
        except (KeyError, IndexError, TypeError) as missing:
            failed.append(f"{control} is not there to take out: {missing!r}")
            continue
        templates[f"{number:02} {control}".replace(" ", "-")] = template
    found_in = findings.of_templates(templates)
    failed += findings.judge(found_in["whole"])
    told = 0
    for name, found in list(found_in.items())[1:]:
        control = name[3:].replace("-", " ")
        seen = sorted(one for one in findings.not_accepted(found) if one not in found_in["whole"])
        print(f"without {control}: {', '.join(map(str, seen)) or 'nothing'}")
        if seen:
            told += 1
        else:
            failed.append(f"no linter tells that {control} is gone")
    print()
    for failure in failed:
        print(failure)
    print(f"{len(templates) - 1} controls taken out, {told} times a linter told")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()

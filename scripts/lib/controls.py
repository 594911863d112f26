"""Removes one control after the other from the template, and checks that a linter notices. Run by
scripts/lint-controls.
"""

import copy
import sys

import findings


def gone(*path):
    """Removes the value at the path. A number is an index; a map finds the item of a list that contains it."""

    def take(template):
        *way, last = path
        for step in way:
            template = template[found(template, step)]
        del template[found(template, last)]

    return take


def put(value, *path):
    """Replaces the value at the path. Fails if the path does not exist, or has the new value already."""

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


# No linter notices that TLS to a topic that is encrypted is gone, the workflow's log, the tables' or the queue's
# encryption, or the deletion protection. tests/journeys/wiring/controls.rs does.
CONTROLS = {
    "a table's point-in-time recovery": gone(*of("OrdersTable", "PointInTimeRecoverySpecification")),
    "the retention of a table when the stack is deleted": gone("Resources", "OrdersTable", "DeletionPolicy"),
    "the retention of a table when it is replaced": gone("Resources", "UsersTable", "UpdateReplacePolicy"),
    "a log group's retention": gone(*of("PlaceOrderLog", "RetentionInDays")),
    "the API's access log": gone(*of("Api", "AccessLogSettings")),
    "the API's throttling": gone(*of("Api", "DefaultRouteSettings")),
    "the encryption of the customers' topic": gone(*of("OrderTopic", "KmsMasterKeyId")),
    "the encryption of the operators' topic": gone(*of("OperationsTopic", "KmsMasterKeyId")),
    "the rotation of the operators' key": gone(*of("OperationsKey", "EnableKeyRotation")),
    "the limits of who may use the operators' key": put(
        "*", *of("OperationsKey", "KeyPolicy", "Statement", {"Sid": "TheAccountDecides"}, "Principal")
    ),
    "TLS to the queue": gone(*of("DeadLettersPolicy", "PolicyDocument", "Statement", {"Sid": "NothingWithoutTls"})),
    "a route's authorizer": gone(*of("QueryFunction", "Events", "ListInventory", "Properties", "Auth")),
    "the schedule's name, which CloudFormation gives": gone(
        *of("SweepOrdersFunction", "Events", "EveryMinute", "Properties", "OmitName")
    ),
    "the stack's name in a log group's name": put("/aws/vendedlogs/states/orders", *of("OrderWorkflowLog", "LogGroupName")),
    "the functions' traces": gone("Globals", "Function", "Tracing"),
    "the workflow's traces": gone(*of("OrderStateMachine", "Tracing")),
    "the limits of a role's actions": put(
        "*", *of("QueryRole", "Policies", 0, "PolicyDocument", "Statement", {"Sid": "ReadItems"}, "Action")
    ),
    "the limits of a role's resources": put(
        "*", *of("CreateOrderRole", "Policies", 0, "PolicyDocument", "Statement", {"Sid": "StoreOrder"}, "Resource")
    ),
    "the limits of who may assume a role": put(
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
            failed.append(f"{control} cannot be removed, since the template does not have it: {missing!r}")
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
            failed.append(f"no linter notices that {control} is gone")
    print()
    for failure in failed:
        print(failure)
    print(f"{len(templates) - 1} controls removed, {told} of them noticed by a linter")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()

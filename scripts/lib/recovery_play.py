"""The steps of scripts/lib/recovery.sh that are not commands of scripts/recover: what happens to a shop meanwhile, and what
must be so afterwards. Uses rehearsal.py, which must lie beside it.

    recovery_play.py recoverable          turns point-in-time recovery on, which MiniStack does not do by the template
    recovery_play.py heir STATE           makes the state of a new stack from that of the stack whose tables it adopts
    recovery_play.py everything           prints all that `scripts/recover` could change of the stack
    recovery_play.py before-restore       a customer registers who will leave
    recovery_play.py since-restore        orders, an adjustment, a customer who leaves and one who comes
    recovery_play.py closed               fails unless every door is closed
    recovery_play.py set-up               fails unless the tables have what a restore does not bring
    recovery_play.py carried              fails unless all is there that was written since the restore
    recovery_play.py swept                lets the sweeper work; fails if an order is still due
    recovery_play.py asked                lets the sweeper work; fails unless every customer has a topic of this stack, and
                                          one who has confirmed is mailed

All commands take --endpoint URL, --stack NAME and --state FILE, as rehearsal.py does.
"""
import argparse, json, pathlib, sys

import rehearsal

LEAVER, NEWCOMER, SKU, ADOPTED, ORDERS = "leaver@example.com", "newcomer@example.com", "AFTER-1", "ADOPTED-1", 5


def admin(stack, state):
    given = [state["password"]] if "password" in state else []
    return rehearsal.People(stack).sign_in(state["admin"], *given)


def recoverable(stack):
    for name in stack.tables():
        on = {"PointInTimeRecoveryEnabled": True}
        stack.client("dynamodb").update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=on)


def heir(path, former):
    state = json.loads(former.read_text())
    path.write_text(json.dumps({name: value for name, value in state.items() if name not in ("before", "api")}))


def everything(stack):
    functions = stack.client("lambda")
    print(json.dumps({
        "rows": {name: sorted(json.dumps(row, sort_keys=True) for row in rows(stack, name)) for name in stack.tables()},
        "tables": sorted(stack.client("dynamodb").list_tables()["TableNames"]),
        "template": stack.template,
        "caps": {name: functions.get_function_concurrency(FunctionName=function["FunctionName"]).get("ReservedConcurrentExecutions")
                 for name, function in rehearsal.functions(stack)},
    }, sort_keys=True))


def rows(stack, table):
    for page in stack.client("dynamodb").get_paginator("scan").paginate(TableName=table):
        yield from page["Items"]


def before_restore(stack, state):
    people, api = rehearsal.People(stack), rehearsal.Api(state["api"])
    people.sign_up(LEAVER)
    api.must((201,), "POST", "/users", people.sign_in(LEAVER), {"name": "Leaver"})


def stocked(api, token, sku):
    api.must((201,), "PUT", f"/inventory/{sku}", token, {"name": sku, "unit_price": {"amount": 100, "currency": "EUR"}})
    counted = {"delta": 100, "reason": "recovery"}
    api.must((201,), "POST", f"/inventory/{sku}/adjustments", token, counted, idempotency_key="recovery")


def since_restore(stack, state):
    people, api = rehearsal.People(stack), rehearsal.Api(state["api"])
    token, customer = admin(stack, state), people.sign_in(state["order"]["email"])
    stocked(api, token, SKU)
    # A product that the restored table has with other counts, and one that it does not have.
    body = {"lines": [{"sku": ADOPTED, "quantity": 1}, {"sku": SKU, "quantity": 2}]}
    placed = [api.must((201,), "POST", "/orders", customer, body, idempotency_key=f"after-{n}") for n in range(ORDERS)]
    ship = f"/orders/{placed[0]['order_id']}"
    api.must((200,), "PATCH", ship, token, {"status": "SHIPPED"}, if_match='"2"')
    api.must((200,), "POST", f"/orders/{placed[1]['order_id']}/cancel", customer, {})
    api.must((204,), "DELETE", "/users/me", people.sign_in(LEAVER))
    people.sign_up(NEWCOMER)
    api.must((201,), "POST", "/users", people.sign_in(NEWCOMER), {"name": "Newcomer"})
    state["since"] = [order["order_id"] for order in placed]


def closed(stack, state):
    for name, function in rehearsal.functions(stack):
        cap = stack.client("lambda").get_function_concurrency(FunctionName=function["FunctionName"])
        if cap.get("ReservedConcurrentExecutions") != 0:
            yield f"{name} is open"
    status, answer = rehearsal.Api(state["api"]).call("GET", "/health", "")
    print(f"a closed door answers {status} {answer}")
    # AWS answers 503 for a function that is throttled, and MiniStack 429.
    if status not in (429, 503):
        yield f"GET /health is answered {status}"


def set_up(stack):
    dynamodb = stack.client("dynamodb")
    for name in stack.tables():
        found = dynamodb.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
        if found["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] != "ENABLED":
            yield f"{name} has no point-in-time recovery"
        arn = dynamodb.describe_table(TableName=name)["Table"]["TableArn"]
        tags = {tag["Key"]: tag["Value"] for tag in dynamodb.list_tags_of_resource(ResourceArn=arn)["Tags"]}
        if tags.get("project") != "orderflow":
            yield f"{name} has the tags {tags}"


def carried(stack, state):
    state.pop("before", None)  # the audits compare with what they saw first
    people, api = rehearsal.People(stack), rehearsal.Api(state["api"])
    customer = people.sign_in(state["order"]["email"])
    for order_id, wanted in zip(state["since"], ["SHIPPED", "CANCELLED"] + ["CONFIRMED"] * (ORDERS - 2)):
        status, order = api.call("GET", f"/orders/{order_id}", customer)
        if status != 200 or order["status"] != wanted:
            yield f"the order {order_id} is {status} {order}, and was {wanted}"
    _, stock = api.call("GET", f"/inventory/{SKU}", admin(stack, state))
    counts = {name: stock.get(name) for name in ("available", "reserved")}
    if counts != {"available": 100 - 2 * (ORDERS - 1), "reserved": 2 * (ORDERS - 2)}:
        yield f"{SKU} has {counts}"
    for email, wanted in ((LEAVER, 404), (NEWCOMER, 200)):
        status, _ = api.call("GET", "/users/me", people.sign_in(email))
        if status != wanted:
            yield f"{email} is answered {status}, not {wanted}"


def asked(stack, state):
    order_topic, functions = stack.outputs["OrderTopicArn"], stack.client("lambda")
    for _ in range(30):
        users = stack.rows("user_id")
        waiting = [row for row in users if "todo_at" in row and "topic_arn" not in row]
        if not waiting:
            break
        functions.invoke(FunctionName=stack.ids["SweepOrdersFunction"], Payload=b"{}")
    else:
        yield f"{len(waiting)} customers have no topic, after 30 runs of the sweeper"
    mailed = [row for row in users if row.get("mail", {}).get("S") in ("pending", "confirmed")]
    print(f"{len(users)} customers, {len(mailed)} of them have a topic of {stack.name}")
    if not mailed:
        yield "no customer is mailed"
    for row in users:
        named = [row[name]["S"] for name in ("topic_arn",) if name in row]
        named += [one["M"]["topic_arn"]["S"] for one in row.get("retired", {}).get("L", [])]
        if any(not topic.startswith(f"{order_topic}-customer-") for topic in named) or (row in mailed and not named):
            yield f"the customer {row['user_id']['S']} has the topics {named}"
    # The group of administrators is new and empty.
    people, api = rehearsal.People(stack), rehearsal.Api(state["api"])
    people.cognito.admin_add_user_to_group(UserPoolId=people.pool, Username=state["admin"], GroupName=stack.parameters["AdminValue"])
    stocked(api, admin(stack, state), ADOPTED)
    customer, body = people.sign_in(state["order"]["email"]), {"lines": [{"sku": ADOPTED, "quantity": 1}]}
    waits = api.must((201,), "POST", "/orders", customer, body, idempotency_key="not-confirmed-yet")
    registered = api.must((200,), "POST", "/users", customer, {"name": "Known"})
    mailed = api.must((201,), "POST", "/orders", customer, body, idempotency_key="confirmed")
    functions.invoke(FunctionName=stack.ids["SweepOrdersFunction"], Payload=b"{}")
    for order in (waits, mailed):
        entry = api.must((200,), "GET", f"/orders/{order['order_id']}", customer)["history"][-1]
        print(f"{registered['notifications']}: {entry}")
        if "mailed_at" not in entry:
            yield f"the order was not mailed, or not yet: {entry}"
    if "mailed_at" in waits["history"][-1]:
        yield f"the order was mailed before the customer confirmed: {waits}"


def swept(stack):
    for _ in range(10):
        due = [row["order_id"]["S"] for row in stack.rows("order_id") if row.get("due_shard", {}).get("S", "waiting") != "waiting"]
        if not due:
            return
        stack.client("lambda").invoke(FunctionName=stack.ids["SweepOrdersFunction"], Payload=b"{}")
    yield f"these orders are still due: {due}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--stack", required=True)
    parser.add_argument("--state", type=pathlib.Path, required=True)
    parser.add_argument("command")
    parser.add_argument("argument", nargs="?", type=pathlib.Path)
    given = parser.parse_args()
    if given.command == "heir":
        return heir(given.state, given.argument)
    stack, state = rehearsal.Stack(given.endpoint, given.stack), json.loads(given.state.read_text())
    commands = {
        "recoverable": lambda: recoverable(stack), "everything": lambda: everything(stack),
        "before-restore": lambda: before_restore(stack, state), "since-restore": lambda: since_restore(stack, state),
        "closed": lambda: closed(stack, state), "set-up": lambda: set_up(stack),
        "swept": lambda: swept(stack), "carried": lambda: carried(stack, state), "asked": lambda: asked(stack, state),
    }
    found = list(commands[given.command]() or [])
    given.state.write_text(json.dumps(state))
    for fault in found:
        print("FAULT", fault)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

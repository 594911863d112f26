"""Damages orders and stock by hand, as a careless person with the console would, for the rehearsal of scripts/recover.

    damage.py STACK FILE            damages an order in each way that it knows, and some stock; writes FILE
    damage.py STACK FILE found      reads what `recover check` said; fails if it did not name every damage
    damage.py STACK FILE mended     fails if a row is not what it was before

FILE keeps the rows as they were. The doors must be closed: the sweeper would take up some of the orders.
"""
import json, pathlib, sys

import boto3

import order_rows

dynamodb = boto3.client("dynamodb")


def entry(row, place):
    return row["history"]["L"][place]["M"]


def without(*names):
    return lambda row: {name: value for name, value in row.items() if name not in names}


def changed(**values):
    return lambda row: row | values


def quantity(row):
    line = row["lines"]["L"][0]["M"]
    line["quantity"] = {"N": str(int(line["quantity"]["N"]) % 1000 + 1)}
    return row


def first_entry_gone(row):
    del row["history"]["L"][0]
    return row


def other_past(row):
    entry(row, 0)["at"] = {"S": "2020-01-01T00:00:00.000Z"}
    return row


LONG_AGO = {"S": "2026-01-01T00:00:00.000Z"}

# Each is a name, the deed, and what `recover check` must say of it.
ORDERS = [
    ("no fingerprint", without("fingerprint"), "fingerprint: is missing"),
    ("no lines", without("lines"), "lines: is missing"),
    ("no customer", without("user_id"), "user_id: is missing"),
    ("no history", without("history"), "history: is missing"),
    ("no status", without("status", "listed_at"), "status: is None"),
    ("cancelled in the console", changed(status={"S": "CANCELLED"}), "status: is CANCELLED"),
    ("a status that does not exist", changed(status={"S": "Shipped"}), "status: is Shipped"),
    ("a version ahead", changed(version={"N": "9"}), "version: is 9"),
    ("a version as text", changed(version={"S": "2"}), "version: is None"),
    ("another quantity", quantity, "is not its price times its quantity"),
    ("another total", changed(total={"M": {"amount": {"N": "1"}, "currency": {"S": "EUR"}}}), "total: is not the sum"),
    ("history cut", first_entry_gone, "history: entry 1 has a wrong version"),
    ("another past", other_past, "created_at: is not when the history begins"),
    ("not in the lists", without("listed_at"), "listed_at: the lists"),
    ("due for ever", changed(due_at=LONG_AGO, due_shard={"S": "given-up"}), "nothing is left to do"),
    ("a mark and never due", changed(unsent={"NS": ["2"]}), "the sweeper will never finish the order"),
    ("due where nobody looks", changed(unsent={"NS": ["2"]}, due_at=LONG_AGO, due_shard={"S": "7"}), "where no sweep looks"),
    ("a mark of another version", changed(unsent={"NS": ["5"]}, due_at=LONG_AGO, due_shard={"S": "given-up"}),
     "unsent: names a version"),
    ("the row is gone", None, None),
]
# Of these, the mended row is due: the copy's mark was lost with the damage, and a mail too many does less harm than none.
MAY_BE_DUE = {"a mark and never due", "due where nobody looks"}


def tables(stack):
    outputs = boto3.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
    names = {output["OutputKey"]: output["OutputValue"] for output in outputs}
    return names["OrdersTableName"], names["InventoryTableName"]


def rows(table):
    for page in dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        yield from page["Items"]


def damage(stack, path):
    orders, inventory = tables(stack)
    sound = [row for row in rows(orders) if row["status"]["S"] == "CONFIRMED" and "due_at" not in row and not order_rows.faults(row)]
    if len(sound) < len(ORDERS):
        sys.exit(f"there are {len(sound)} orders to damage, and {len(ORDERS)} are needed")
    kept = {"orders": {}, "stock": []}
    for (name, deed, _), row in zip(ORDERS, sorted(sound, key=lambda row: row["order_id"]["S"])):
        kept["orders"][name] = row
        if deed is None:
            dynamodb.delete_item(TableName=orders, Key={"order_id": row["order_id"]})
        else:
            dynamodb.put_item(TableName=orders, Item=deed(json.loads(json.dumps(row))))
    stocked = sorted((row for row in rows(inventory) if row["kind"]["S"] == "STOCK"), key=lambda row: row["sku"]["S"])
    for row, deed in zip(stocked, (changed(available={"N": "7777"}), without("reserved"), changed(reserved={"N": "5555"}))):
        kept["stock"].append(row)
        dynamodb.put_item(TableName=inventory, Item=deed(row))
    path.write_text(json.dumps(kept))
    print(*(row["order_id"]["S"] for row in kept["orders"].values()))


def found(path):
    said, kept = sys.stdin.read(), json.loads(path.read_text())
    for name, _, fault in ORDERS:
        order_id = kept["orders"][name]["order_id"]["S"]
        lines = [line for line in said.splitlines() if line.startswith(f"order {order_id}:")]
        # A row that is gone shows in the stock alone, which the other damages hide here.
        if fault is not None and not any(fault in line for line in lines):
            yield f"{name}: `recover check` says {lines}"
    for row in kept["stock"]:
        if f"stock {row['sku']['S']}: " not in said:
            yield f"{row['sku']['S']}: `recover check` does not say that its stock is wrong"


def mended(stack, path):
    (orders, inventory), kept = tables(stack), json.loads(path.read_text())
    outbox = {"unsent", "untold", "due_at", "due_shard", "attempts"}
    for name, was in kept["orders"].items():
        row = dynamodb.get_item(TableName=orders, Key={"order_id": was["order_id"]}, ConsistentRead=True).get("Item")
        ignored = outbox if name in MAY_BE_DUE else set()
        plain = lambda row: {n: value for n, value in (row or {}).items() if n not in ignored}
        if plain(row) != plain(was):
            yield f"{name}: the row was {was}, and is {row}"
    for was in kept["stock"]:
        key = {"sku": was["sku"], "kind": was["kind"]}
        row = dynamodb.get_item(TableName=inventory, Key=key, ConsistentRead=True)["Item"]
        if row != was:
            yield f"the stock was {was}, and is {row}"


def main():
    stack, path, *what = sys.argv[1:]
    path = pathlib.Path(path)
    if not what:
        return damage(stack, path)
    faults = list(found(path) if what == ["found"] else mended(stack, path))
    for fault in faults:
        print("FAULT", fault)
    print(f"{len(ORDERS)} damaged orders: {'all ' + what[0] if not faults else f'{len(faults)} not {what[0]}'}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

"""What an order's row must look like, how a damaged one is mended, and what the stock must be by the orders and the ledger.

Calls nothing and writes nothing: scripts/lib/recovery.py does. Rows are as DynamoDB's API spells them. The code of the
functions decides what a row is (crates/aws_adapters/src/orders, crates/domain/src/order.rs); scripts/rehearse and
scripts/mend-drill find out when this file and that code differ, since every row that the functions write must be sound
here.
"""
import collections, copy, re, uuid

# The table of transitions. A history begins with PENDING or REJECTED.
NEXT = {
    "PENDING": {"CONFIRMED", "CANCELLED"}, "CONFIRMED": {"SHIPPED", "CANCELLED"}, "SHIPPED": {"DELIVERED"},
    "REJECTED": set(), "CANCELLED": set(), "DELIVERED": set(),
}
# Where an order's units are: reserved, or no longer in the stock. With any other status it has none.
HELD, GONE = {"PENDING", "CONFIRMED"}, {"SHIPPED", "DELIVERED"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
SKU = re.compile(r"[A-Z0-9][A-Z0-9._-]{0,63}")

# These are written once, when the order is placed.
FIXED = ("user_id", "reference", "lines", "total", "shortages", "fingerprint", "created_at")
# The outbox: what is still to be announced, and when the sweeper takes the order up.
OUTBOX = ("unsent", "untold", "due_at", "due_shard", "attempts")


class Refused(Exception):
    """Why a row cannot be mended."""


def text(value):
    return value.get("S") if isinstance(value, dict) else None


def number(value):
    given = value.get("N") if isinstance(value, dict) else None
    return int(given) if isinstance(given, str) and re.fullmatch(r"-?\d+", given) else None


def members(value):
    return value.get("M") if isinstance(value, dict) and isinstance(value.get("M"), dict) else {}


def items(value):
    return value.get("L") if isinstance(value, dict) and isinstance(value.get("L"), list) else []


def is_time(value):
    return bool(TIME.fullmatch(text(value) or ""))


def own_shard(order_id):
    """The partition of by_due for an order: OrderId::due_shard."""
    return str(uuid.UUID(order_id).bytes[15] & 3)


def is_order_id(order_id):
    return bool(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", order_id or ""))


# -------------------------------------------------------------------------------------------------------------- faults

def money(value):
    """The amount and the currency, or None."""
    amount, currency = number(members(value).get("amount")), text(members(value).get("currency"))
    return (amount, currency) if amount is not None and amount >= 0 and currency else None


def line_faults(lines):
    if not 1 <= len(lines) <= 50:
        return [f"lines: there are {len(lines)}"]
    found, skus, currencies = [], [], set()
    for line in map(members, lines):
        sku, quantity = text(line.get("sku")), number(line.get("quantity"))
        unit, whole = money(line.get("unit_price")), money(line.get("line_total"))
        skus.append(sku or "")
        if not sku or not SKU.fullmatch(sku) or not text(line.get("name")):
            found.append("lines: a line has no SKU or no name")
        if quantity is None or not 1 <= quantity <= 1000 or unit is None or whole is None:
            found.append(f"lines: the quantity or a price of {sku} is missing or wrong")
        elif (unit[0] * quantity, unit[1]) != whole:
            found.append(f"lines: the total of {sku} is not its price times its quantity")
        if unit:
            currencies.add(unit[1])
    if skus != sorted(set(skus)):
        found.append("lines: they are not sorted by SKU, or a SKU is there twice")
    if len(currencies) > 1:
        found.append("lines: they have several currencies")
    return found


def fixed_faults(row, status=None):
    """What is wrong with the attributes that never change."""
    found = [f"{name}: is missing" for name in ("user_id", "lines", "total", "fingerprint", "created_at") if name not in row]
    if "user_id" in row and not text(row["user_id"]):
        found.append("user_id: is no text")
    if "fingerprint" in row and not re.fullmatch(r"[0-9a-f]{64}", text(row["fingerprint"]) or ""):
        found.append("fingerprint: is not 64 hexadecimal digits")
    if "created_at" in row and not is_time(row["created_at"]):
        found.append("created_at: is no time")
    if "reference" in row and not text(row["reference"]):
        found.append("reference: is no text")
    if "lines" in row:
        lines = items(row["lines"])
        wrong = line_faults(lines)
        found += wrong
        if "total" in row and not wrong:
            whole = sum(number(members(members(line)["line_total"])["amount"]) for line in lines)
            if money(row["total"]) != (whole, money(members(lines[0])["unit_price"])[1]):
                found.append("total: is not the sum of the lines")
    if "total" in row and money(row["total"]) is None:
        found.append("total: is no amount of money")
    if status is not None and ("shortages" in row) != (status == "REJECTED"):
        found.append("shortages: only a REJECTED order has them")
    return found


def history_faults(row):
    if "history" not in row:
        return ["history: is missing"]
    entries = [members(entry) for entry in items(row["history"])]
    if not entries:
        return ["history: is empty"]
    found, before = [], None
    for place, entry in enumerate(entries, 1):
        status = text(entry.get("status"))
        if number(entry.get("version")) != place or not is_time(entry.get("at")):
            found.append(f"history: entry {place} has a wrong version or time")
        if not re.fullmatch(r"workflow|user:.+", text(entry.get("actor")) or ""):
            found.append(f"history: entry {place} does not say who made it")
        if "mailed_at" in entry and not is_time(entry["mailed_at"]):
            found.append(f"history: mailed_at of entry {place} is no time")
        if status not in NEXT or status not in ({"PENDING", "REJECTED"} if before is None else NEXT.get(before, ())):
            found.append(f"history: {status} cannot follow {before or 'nothing'}")
        before = status
    return found


def last(row):
    """Status, version and time of the last transition of a sound history."""
    entry = members(items(row["history"])[-1])
    return text(entry["status"]), number(entry["version"]), text(entry["at"])


def announced(row):
    """The versions that are announced: all but PENDING."""
    return {number(members(entry)["version"]) for entry in items(row["history"]) if text(members(entry)["status"]) != "PENDING"}


def versions(row, name):
    """The versions in a set of the outbox. None if it is no such set."""
    if name not in row:
        return set()
    given = row[name].get("NS")
    return {int(one) for one in given} if given and all(one.isdigit() for one in given) else None


def outbox_faults(row):
    """What is wrong with the marks of a row whose history is sound."""
    found, waits = [], False
    for name in ("unsent", "untold"):
        marked = versions(row, name)
        if marked is None or not marked <= announced(row):
            found.append(f"{name}: names a version that is not announced")
        waits |= bool(row.get(name))
    status = last(row)[0]
    waits |= status == "PENDING"
    shard, own = text(row.get("due_shard")), own_shard(text(row["order_id"]))
    if waits and ("due_at" not in row or "due_shard" not in row):
        found.append("due_at, due_shard: are missing, so the sweeper will never finish the order")
    if not waits and ("due_at" in row or "due_shard" in row):
        found.append("due_at, due_shard: the order is due, and nothing is left to do")
    if "due_at" in row and not is_time(row["due_at"]):
        found.append("due_at: is no time")
    if "due_shard" in row and shard not in (own, "given-up", "waiting"):
        found.append(f"due_shard: is {shard}, where no sweep looks for this order; its own is {own}")
    if shard == "waiting" and ("unsent" not in row or "untold" in row or status == "PENDING"):
        found.append("due_shard: the order waits for a confirmation, and has no mail that could wait")
    if "attempts" in row and (number(row["attempts"]) is None or number(row["attempts"]) < 0):
        found.append("attempts: is no number")
    return found


def faults(row):
    """A sentence for everything that is wrong with an order's row."""
    if not is_order_id(text(row.get("order_id"))):
        return ["order_id: is no order's id"]
    found = history_faults(row)
    if found:
        return found + fixed_faults(row)
    status, version, at = last(row)
    found = fixed_faults(row, status)
    for name, given, wanted in (
        ("status", text(row.get("status")), status), ("version", number(row.get("version")), version),
        ("updated_at", text(row.get("updated_at")), at),
    ):
        if given != wanted:
            found.append(f"{name}: is {given}, and the history ends with {wanted}")
    if text(row.get("listed_at")) != (None if status == "PENDING" else at):
        found.append("listed_at: the lists by status do not show the order where it belongs")
    if "created_at" in row and text(row["created_at"]) != text(members(items(row["history"])[0])["at"]):
        found.append("created_at: is not when the history begins")
    return found + outbox_faults(row)


# ---------------------------------------------------------------------------------------------------------------- mend

def same_past(older, newer):
    """Whether a history begins with an older one. What was mailed since makes no difference."""
    plain = lambda row: [{n: v for n, v in members(entry).items() if n != "mailed_at"} for entry in items(row["history"])]
    return plain(newer)[: len(plain(older))] == plain(older)


def mended(row, copied, now):
    """The row as it should be, and a sentence for each change. `row` is None if the order's row is gone, and `copied` if no
    copy of the table has one. Raises Refused if these two do not tell what the order was."""
    if copied is not None and (wrong := faults(copied)):
        raise Refused(f"the copy's row is damaged too: {'; '.join(wrong)}")
    if row is None:
        if copied is None:
            raise Refused("the order has no row, neither in the table nor in the copy")
        return copy.deepcopy(copied), ["the whole row is the copy's"]
    after, changes = copy.deepcopy(row), []

    def put(name, value, why):
        if after.get(name) != value:
            changes.append(f"{name}: {why}")
            if value is None:
                after.pop(name, None)
            else:
                after[name] = copy.deepcopy(value)

    if copied is not None:
        for name in FIXED:
            put(name, copied.get(name), "the copy's, since it never changes")
        if history_faults(after) or not same_past(copied, after):
            put("history", copied["history"], "the copy's, since this one is damaged or tells another past")
            for name in OUTBOX:
                put(name, copied.get(name), "the copy's, like the history")
    if wrong := history_faults(after):
        raise Refused(f"{'; '.join(wrong)}. Name a copy of the table that has the order")
    status, version, at = last(after)
    put("status", {"S": status}, f"the history ends with {status}")
    put("version", {"N": str(version)}, f"the history ends with {version}")
    put("updated_at", {"S": at}, f"the history ends at {at}")
    put("listed_at", None if status == "PENDING" else {"S": at}, "by the history")
    if not is_time(after.get("created_at")):
        put("created_at", members(items(after["history"])[0])["at"], "when the history begins")
    if wrong := fixed_faults(after, status):
        raise Refused(f"{'; '.join(wrong)}. Name a copy of the table that has the order")
    for name in ("unsent", "untold"):
        marked = versions(after, name)
        kept = (marked or set()) & announced(after)
        if marked is None or marked != kept:
            put(name, {"NS": [str(one) for one in sorted(kept)]} if kept else None, "without what is not announced")
    if status == "PENDING" or "unsent" in after or "untold" in after:
        if outbox_faults(after):
            put("due_at", {"S": now}, "now, so that the sweeper takes the order up")
            put("due_shard", {"S": own_shard(text(after["order_id"]))}, "the order's own")
            put("attempts", None, "they count from zero again")
    else:
        for name in ("due_at", "due_shard", "attempts"):
            put(name, None, "nothing is left to do")
    if wrong := faults(after):
        raise Refused(f"{'; '.join(wrong)}. Name a copy of the table that has the order")
    return after, changes


# --------------------------------------------------------------------------------------------------------------- books

def units(order):
    """An order's units by SKU, and where they are: "held", "gone" or None. By its history, which a change by hand of the
    status alone does not touch; by the status where the history cannot be read."""
    status = text(order.get("status")) if history_faults(order) else last(order)[0]
    where = "held" if status in HELD else "gone" if status in GONE else None
    counted = collections.Counter()
    for line in map(members, items(order.get("lines"))):
        counted[text(line.get("sku"))] += number(line.get("quantity")) or 0
    return counted, where


def books(orders, inventory):
    """What each SKU's row says, and what it should say, by the orders and the ledger:
    {sku: (row or None, available, reserved)}. The second and third are what should be."""
    held, gone, counted, rows = (collections.Counter(), collections.Counter(), collections.Counter(), {})
    for order in orders:
        lines, where = units(order)
        if where:
            (held if where == "held" else gone).update(lines)
    for row in inventory:
        sku = text(row["sku"])
        if text(row["kind"]) == "STOCK":
            rows[sku] = row
        else:
            counted[sku] += number(row.get("delta")) or 0
    skus = sorted((set(rows) | set(held) | set(gone) | set(counted)) - {None})
    return {sku: (rows.get(sku), counted[sku] - gone[sku] - held[sku], held[sku]) for sku in skus}


def book_faults(sku, row, available, reserved):
    """A sentence for everything that is wrong with a SKU's stock."""
    if row is None:
        return [f"{sku}: has no row, and there should be {available} available and {reserved} reserved"]
    found = [] if text(row.get("name")) and money(row.get("unit_price")) else [f"{sku}: has no name or no price"]
    listed = (text(row.get("list_pk")), text(row.get("list_sk")))
    if listed != ("STOCK", sku):
        found.append(f"{sku}: the list of products does not show it")
    for name, wanted in (("available", available), ("reserved", reserved)):
        if number(row.get(name)) != wanted:
            found.append(f"{sku}: {number(row.get(name))} {name}, and by the orders and the ledger it is {wanted}")
    if available < 0:
        found.append(f"{sku}: {-available} units more were ordered than were counted in")
    return found

"""The steps of scripts/nightly on a deployed stack. Run under the Python that has SAM CLI.

    nightly.py alone              fails if the account has the shop's stack: this one's tables are deleted in the end
    nightly.py measure ARTEFACT FOLDER ORDERS SECONDS API   uses the stack; writes FOLDER/figures.json and figures.md
    nightly.py before-deletion    prints the topic of the stack's orders, and notes what the stack retains
    nightly.py after-deletion     deletes what the stack retained, and the feed's queue

All take --stack NAME and --state FILE. The file keeps what is to be deleted.
"""
import argparse, collections, concurrent.futures, datetime, json, math, pathlib, re, sys, time

import stack as stacks

# How many orders are placed at the same time. Another one in flight needs two executions more, and a new account has ten.
AT_ONCE = 4
# CloudWatch shows a minute's metrics a few minutes later, and a function's last log lines after some seconds.
PATIENCE_S = 900
SKU = "NIGHTLY"


def say(text):
    print(text, flush=True)


def alone():
    formation = stacks.client("cloudformation")
    try:
        formation.describe_stacks(StackName="orderflow-prod")
    except formation.exceptions.ClientError as fault:
        # Not there, or not to be seen with the sandbox's role.
        if "does not exist" in str(fault) or fault.response["Error"]["Code"] == "AccessDenied":
            return
        raise
    sys.exit("this account has the stack orderflow-prod. scripts/nightly needs an account of its own.")


def must(wanted, answer):
    status, body = answer
    if status not in wanted:
        sys.exit(f"the API answered {status}: {body}")
    return body


# ---------------------------------------------------------------------------------------------------------------- feed

def subscribe(stack, topic, state):
    """The queue of docs/feed.md, for every message: a filter would be one thing more to tell apart from a lost message."""
    sqs = stacks.client("sqs")
    queue = sqs.create_queue(QueueName=f"{stack}-feed", Attributes={"MessageRetentionPeriod": "3600"})["QueueUrl"]
    state["queue"] = queue
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allowed = {
        "Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": policy})
    stacks.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"})
    return queue


def told(queue, wanted):
    """Waits until the feed has told of all these orders. A message may come twice."""
    sqs, missing, came = stacks.client("sqs"), set(wanted), 0
    give_up = time.monotonic() + 300
    while missing and time.monotonic() < give_up:
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=5).get("Messages", [])
        for message in messages:
            came += 1
            body = json.loads(message["Body"])
            if body["event"] == "order.confirmed":
                missing.discard(body["order_id"])
        if messages:
            entries = [{"Id": str(n), "ReceiptHandle": one["ReceiptHandle"]} for n, one in enumerate(messages)]
            sqs.delete_message_batch(QueueUrl=queue, Entries=entries)
    if missing:
        sys.exit(f"the feed did not tell of {len(missing)} of {len(wanted)} orders within 300 s, such as {sorted(missing)[0]}")
    return came


# --------------------------------------------------------------------------------------------------------------- orders

def place(api, token, key):
    began = time.monotonic()
    body = {"lines": [{"sku": SKU, "quantity": 1}]}
    status, answer = stacks.call(f"{api}/orders", "POST", token, body, idempotency_key=key)
    return (time.monotonic() - began) * 1000, status, answer


def percentile(sorted_times, share):
    return sorted_times[max(0, math.ceil(share * len(sorted_times)) - 1)]


# ---------------------------------------------------------------------------------------------------------------- units

def resources(stack):
    """{type: {logical id: physical id}}"""
    found = collections.defaultdict(dict)
    formation = stacks.client("cloudformation")
    for page in formation.get_paginator("list_stack_resources").paginate(StackName=stack):
        for one in page["StackResourceSummaries"]:
            found[one["ResourceType"]][one["LogicalResourceId"]] = one["PhysicalResourceId"]
    return found


REPORT = re.compile(r"REPORT RequestId.*?Billed Duration: (\d+) ms\s+Memory Size: (\d+) MB(?:.*?Init Duration: ([\d.]+) ms)?")


def of_functions(found, began):
    """Lambda's own lines say what it bills for each invocation: milliseconds, megabytes, and how long a start took."""
    logs, invocations, mb_ms, starts = stacks.client("logs"), 0, 0, {}
    for name, physical in found["AWS::Lambda::Function"].items():
        group = stacks.client("lambda").get_function_configuration(FunctionName=physical)
        group = group.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{physical}"
        try:
            for page in logs.get_paginator("filter_log_events").paginate(
                logGroupName=group, filterPattern='"REPORT RequestId"', startTime=int(began * 1000),
            ):
                for event in page["events"]:
                    if match := REPORT.search(event["message"].replace("\t", " ")):
                        invocations, mb_ms = invocations + 1, mb_ms + int(match[1]) * int(match[2])
                        if match[3]:
                            starts.setdefault(name, []).append(float(match[3]))
        except logs.exceptions.ResourceNotFoundException:
            continue
    if not invocations:
        return None, None, {}
    return invocations, mb_ms / 1024 / 1000, starts


def metric(namespace, name, began, **dimensions):
    """A metric's sum since then, or None if CloudWatch has no such data."""
    answer = stacks.client("cloudwatch").get_metric_statistics(
        Namespace=namespace, MetricName=name, Statistics=["Sum"], Period=60,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions.items()],
        StartTime=datetime.datetime.fromtimestamp(began - 60, datetime.timezone.utc),
        EndTime=datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=1),
    )
    sums = [point["Sum"] for point in answer["Datapoints"]]
    return sum(sums) if sums else None


def added(values):
    values = [value for value in values if value is not None]
    return sum(values) if values else None


def units(found, began, orders, architecture):
    """(service, for what, units, the row of the prices, how many units the price is for). None stands for not counted."""
    invocations, gb_s, starts = of_functions(found, began)
    [machine] = found["AWS::StepFunctions::StateMachine"].values()
    [api] = found["AWS::ApiGatewayV2::Api"].values()
    [topic] = [arn for name, arn in found["AWS::SNS::Topic"].items() if name == "OrderTopic"]
    tables, groups = found["AWS::DynamoDB::Table"].values(), found["AWS::Logs::LogGroup"].values()
    # Each execution is one order. Step Functions bills its duration in steps of 100 ms and its memory in steps of 64 MB;
    # its metrics have the billed duration in ms and the billed memory in MB.
    # https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
    ran = lambda name: metric("AWS/States", name, began, StateMachineArn=machine)
    started, billed_ms, billed_mb = ran("ExecutionsStarted"), ran("ExpressExecutionBilledDuration"), ran("ExpressExecutionBilledMemory")
    express_gb_s = billed_ms / 1000 * billed_mb / started / 1024 if started and billed_ms and billed_mb else None
    consumed = lambda name: added(metric("AWS/DynamoDB", name, began, TableName=table) for table in tables)
    written = added(metric("AWS/Logs", "IncomingBytes", began, LogGroupName=group) for group in groups)
    shop = metric("AWS/SNS", "NumberOfMessagesPublished", began, TopicName=topic.rsplit(":", 1)[1])
    rows = [
        ("API Gateway", "requests", metric("AWS/ApiGateway", "Count", began, ApiId=api), "a million requests to an HTTP API", 1e6),
        ("Lambda", "invocations", invocations, "a million invocations", 1e6),
        ("Lambda", f"GB-seconds on {architecture}", gb_s, f"a GB-second on {architecture}", 1),
        ("Step Functions", "executions", started, "a million Express executions", 1e6),
        ("Step Functions", "GB-seconds", express_gb_s, "a GB-second of Express executions", 1),
        ("DynamoDB", "write units", consumed("ConsumedWriteCapacityUnits"), "a million write units", 1e6),
        ("DynamoDB", "read units", consumed("ConsumedReadCapacityUnits"), "a million read units", 1e6),
        # One to the shop's topic and one to the customer's, which has a metric of its own.
        ("SNS", "messages published", None if shop is None else shop + orders, "a million requests", 1e6),
        ("CloudWatch", "bytes of log lines", written, "a GB of log lines", 1e9),
    ]
    return rows, starts


def prices():
    """{(service, for): dollars} of docs/costs.md, which a test compares with crates/local/src/prices.rs."""
    text = pathlib.Path("docs/costs.md").read_text(encoding="utf-8")
    table = text.split("<!-- cost: prices -->", 1)[1].split("<!-- end of cost -->", 1)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line.startswith("| ")]
    return {(row[0], row[1]): float(row[2]) for row in rows[1:]}


def counted(found, began, orders, architecture):
    """The units, once CloudWatch has all of them: when they have stopped to change."""
    give_up, before = time.monotonic() + PATIENCE_S, None
    while True:
        rows, starts = units(found, began, orders, architecture)
        complete = all(row[2] is not None for row in rows)
        # An emulator counts at once, or never.
        if EMULATED or (complete and rows == before) or time.monotonic() > give_up:
            return rows, starts
        before = rows
        time.sleep(60)


EMULATED = False


# -------------------------------------------------------------------------------------------------------------- measure

def measure(stack, state, artefact, folder, orders, deployed, api):
    about = json.loads((pathlib.Path(artefact) / "artefact.json").read_text())
    made, found = stacks.outputs(stack), resources(stack)
    api = api or made["ApiUrl"]
    queue = subscribe(stack, made["OrderTopicArn"], state)
    admin, customer = stacks.Person(stack, "admin", admin=True).token(), stacks.Person(stack, "nightly").token()
    must((200, 201), stacks.call(f"{api}/inventory/{SKU}", "PUT", admin, {"name": "Nightly", "unit_price": {"amount": 1, "currency": "EUR"}}))
    stock = {"delta": orders + 1, "reason": "nightly"}
    must((200, 201), stacks.call(f"{api}/inventory/{SKU}/adjustments", "POST", admin, stock, idempotency_key="nightly"))
    must((200, 201), stacks.call(f"{api}/users", "POST", customer, {"name": "Nightly"}))

    # Nobody has placed an order before, so the door and the three steps start now, one after the other.
    first_ms, status, answer = place(api, customer, "first")
    if status != 201:
        sys.exit(f"the first order was answered {status}: {answer}")
    first = answer["order_id"]
    say(f"the first order took {first_ms:.0f} ms")
    began, clock = time.time(), time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda number: place(api, customer, f"order-{number}"), range(orders)))
    took = time.monotonic() - clock
    statuses = collections.Counter(status for _, status, _ in answers)
    say(f"{orders} orders in {took:.0f} s, {AT_ONCE} at once: {dict(statuses)}")
    if statuses != {201: orders}:
        sys.exit(f"not every order was placed: {dict(statuses)}")
    ids = {answer["order_id"] for _, _, answer in answers} | {first}
    came = told(queue, ids)
    say(f"the feed told of all {len(ids)} orders, in {came} messages")

    times = sorted(took_ms for took_ms, _, _ in answers)
    rows, starts = counted(found, began, orders, about["architecture"])
    price = prices()
    bill = [
        {"service": service, "what": what, "units": amount, "dollars": None if amount is None else amount / per * price[service, row]}
        for service, what, amount, row, per in rows
    ]
    # SNS bills mail by its own price. The simulator's address did not confirm, so none was sent here.
    mail = orders * price["SNS", "100,000 mails"] / 100_000
    figures = {
        "version": about["version"], "architecture": about["architecture"], "orders": orders, "deployed_s": deployed,
        "first_order_ms": round(first_ms), "starts_ms": {name: sorted(map(round, of)) for name, of in sorted(starts.items())},
        "warm_ms": {f"p{round(share * 100)}": round(percentile(times, share)) for share in (0.5, 0.9, 0.99)},
        "feed_messages": came, "bill": bill,
        "dollars": sum(one["dollars"] or 0 for one in bill), "dollars_of_mail_if_confirmed": mail,
        "not_counted": [f"{one['service']}: {one['what']}" for one in bill if one["units"] is None],
    }
    folder = pathlib.Path(folder)
    (folder / "figures.json").write_text(json.dumps(figures, indent=1) + "\n")
    (folder / "figures.md").write_text(page(figures))
    say((folder / "figures.md").read_text())


def page(figures):
    cold = [time for times in figures["starts_ms"].values() for time in times]
    lines = [
        f"# Orderflow {figures['version']} on {figures['architecture']}", "",
        "| what | figure |", "|---|---:|",
        f"| deployed in | {figures['deployed_s']} s |",
        f"| the first order, every function cold | {figures['first_order_ms']} ms |",
        *([f"| a start of a function meanwhile, longest of {len(cold)} | {max(cold)} ms |"] if cold else []),
        *(f"| a warm order, {name} | {time} ms |" for name, time in figures["warm_ms"].items()),
        f"| messages in the feed's queue | {figures['feed_messages']} |",
        "", f"{figures['orders']} orders cost:", "",
        "| service | unit | units | dollars |", "|---|---|---:|---:|",
    ]
    for one in figures["bill"]:
        amount = "not counted" if one["units"] is None else f"{one['units']:.6g}"
        dollars = "" if one["dollars"] is None else f"{one['dollars']:.6f}"
        lines.append(f"| {one['service']} | {one['what']} | {amount} | {dollars} |")
    lines += [f"| together | | | {figures['dollars']:.6f} |", "",
              f"The mails would cost {figures['dollars_of_mail_if_confirmed']:.4f} more, had the customer confirmed.", ""]
    return "\n".join(lines)


# ------------------------------------------------------------------------------------------------------------- deletion

def before_deletion(stack, state):
    formation = stacks.client("cloudformation")
    try:
        found, made = resources(stack), stacks.outputs(stack)
    except formation.exceptions.ClientError as fault:
        # The deployment may have failed before there was a stack.
        if "does not exist" not in str(fault):
            raise
        return
    except KeyError:
        # A first deployment that failed has resources, and no outputs.
        made = {}
    state["tables"] = list(found["AWS::DynamoDB::Table"].values())
    state["pools"] = list(found["AWS::Cognito::UserPool"].values())
    print(made.get("OrderTopicArn", ""))


def after_deletion(state):
    dynamodb, cognito, sqs = map(stacks.client, ("dynamodb", "cognito-idp", "sqs"))
    for table in state.get("tables", []):
        try:
            dynamodb.update_table(TableName=table, DeletionProtectionEnabled=False)
            dynamodb.get_waiter("table_exists").wait(TableName=table)
            dynamodb.delete_table(TableName=table)
        except dynamodb.exceptions.ResourceNotFoundException:
            continue
    for pool in state.get("pools", []):
        try:
            # An update sets what it is not told to the default, which is no protection.
            cognito.update_user_pool(UserPoolId=pool, DeletionProtection="INACTIVE")
            cognito.delete_user_pool(UserPoolId=pool)
        except cognito.exceptions.ResourceNotFoundException:
            continue
    if queue := state.get("queue"):
        sqs.delete_queue(QueueUrl=queue)


def main():
    global EMULATED
    parser = argparse.ArgumentParser()
    parser.add_argument("--stack", required=True)
    parser.add_argument("--state", type=pathlib.Path, required=True)
    parser.add_argument("command", choices=["alone", "measure", "before-deletion", "after-deletion"])
    parser.add_argument("arguments", nargs="*")
    given = parser.parse_args()
    state = json.loads(given.state.read_text()) if given.state.exists() else {}
    EMULATED = "amazonaws" not in stacks.client("sts").meta.endpoint_url
    try:
        match given.command, given.arguments:
            case "alone", []:
                alone()
            case "measure", [artefact, folder, orders, deployed, api]:
                measure(given.stack, state, artefact, folder, int(orders), int(deployed), api)
            case "before-deletion", []:
                before_deletion(given.stack, state)
            case "after-deletion", []:
                after_deletion(state)
            case _:
                sys.exit(__doc__)
    finally:
        given.state.write_text(json.dumps(state))


if __name__ == "__main__":
    main()

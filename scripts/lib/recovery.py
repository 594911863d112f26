"""The commands of scripts/recover, which says what they are. docs/recovery.md says when to use them. order_rows.py knows
what a row must look like; template_steps.py, how a stack lets go of a table and takes another.
"""
import argparse, datetime, functools, json, os, pathlib, re, sys, time, uuid

import boto3, botocore.config
from boto3.dynamodb.types import TypeDeserializer
from botocore.exceptions import BotoCoreError, ClientError
from samcli.yamlhelper import yaml_parse

import order_rows, template_steps

LOGICAL = {"users": "UsersTable", "orders": "OrdersTable", "inventory": "InventoryTable"}
KEYS = {"users": ["user_id"], "orders": ["order_id"], "inventory": ["sku", "kind"]}
# The workflow calls these. They are closed last, so that a run that is under way can end.
STEPS = ("CheckInventoryFunction", "CreateOrderFunction", "UpdateOrderStatusFunction")
# Longer than anything that was let in before: a request (30 s), a run of the workflow (20 s), of the sweeper (55 s).
QUIET_AFTER = 60
# The tag of a closed function. It says which cap the function had before.
CLOSED = "orderflow:cap-before-closing"
STABLE = {"CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"}
SECOND = "%Y-%m-%dT%H:%M:%SZ"


class Refusal(Exception):
    """Why nothing was done, or not all of it."""


def refuse(sentence):
    raise Refusal(sentence)


def say(line):
    print(line, flush=True)


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def code(fault):
    return fault.response["Error"]["Code"]


# ------------------------------------------------------------------------------------------------------------ the place

class Place:
    """The account and region that were named. Everything that is about to be changed must be there by its ARN."""

    def __init__(self, account, region):
        self.account, self.region = account, region
        # The calls here are safe to repeat: each write has a condition.
        self.config = botocore.config.Config(retries={"max_attempts": 6, "mode": "standard"}, read_timeout=60)
        self.session = boto3.Session(region_name=region)

    @functools.cache
    def client(self, service):
        return self.session.client(service, config=self.config)

    def holds(self, arn):
        _, _, _, region, account, *_ = arn.split(":")
        if (account, region) != (self.account, self.region):
            refuse(f"{arn} is in account {account}, {region}, and not in {self.account}, {self.region} as named")

    def table(self, name):
        try:
            found = self.client("dynamodb").describe_table(TableName=name)["Table"]
        except self.client("dynamodb").exceptions.ResourceNotFoundException:
            refuse(f"there is no table {name} in {self.region}, or these credentials belong to another account")
        self.holds(found["TableArn"])
        return found

    def rows(self, name):
        """Every row of a table, read consistently."""
        for page in self.client("dynamodb").get_paginator("scan").paginate(TableName=name, ConsistentRead=True):
            yield from page["Items"]


class Stack:
    """A deployed stack of Orderflow."""

    def __init__(self, place, name):
        self.place, self.name = place, name
        self.formation = place.client("cloudformation")
        self.read()
        if not {"OrderStateMachine", "CreateUserFunction", "SweepOrdersFunction"} <= self.ids.keys():
            refuse(f"{name} is no whole stack of Orderflow. Deploy the artefact to it first.")

    def read(self):
        described = described_stack(self.place, self.name)
        if described is None:
            refuse(f"there is no stack {self.name} in {self.place.region}, or these credentials belong to another account")
        self.status, self.capabilities = described["StackStatus"], described.get("Capabilities", [])
        if self.status not in STABLE:
            refuse(f"the stack {self.name} is {self.status}. Wait until it is at rest, or mend it, and repeat the command.")
        self.outputs = {one["OutputKey"]: one["OutputValue"] for one in described.get("Outputs", [])}
        self.parameters = {one["ParameterKey"] for one in described.get("Parameters", [])}
        pages = self.formation.get_paginator("list_stack_resources").paginate(StackName=self.name)
        resources = [one for page in pages for one in page["StackResourceSummaries"]]
        self.ids = {one["LogicalResourceId"]: one.get("PhysicalResourceId") for one in resources}
        self.types = {one["LogicalResourceId"]: one["ResourceType"] for one in resources}

    def template(self):
        """The template as CloudFormation has processed it."""
        body = self.formation.get_template(StackName=self.name, TemplateStage="Processed")["TemplateBody"]
        return json.loads(json.dumps(yaml_parse(body) if isinstance(body, str) else body))

    def table(self, which):
        """The name of the stack's table."""
        wanted = LOGICAL[which]
        if wanted not in self.ids:
            refuse(f"the stack {self.name} has let go of its table {which}. Finish `recover swap` first.")
        return self.ids[wanted]

    def functions(self):
        return sorted(name for name, kind in self.types.items() if kind == "AWS::Lambda::Function")


def described_stack(place, name):
    try:
        [found] = place.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except ClientError as fault:
        if "does not exist" in str(fault):
            return None
        raise
    place.holds(found["StackId"])
    return None if found["StackStatus"] == "DELETE_COMPLETE" else found


def named_tables(pairs, known=LOGICAL):
    """The pairs `users=NAME` and so on, as a dictionary."""
    found = {}
    for pair in pairs:
        which, _, name = pair.partition("=")
        if which not in known or not name or which in found:
            refuse(f"{pair} is not TABLE=NAME, with each TABLE ({', '.join(known)}) at most once")
        found[which] = name
    return found


# ------------------------------------------------------------------------------------------------------------ the doors

def cap_of(stack, function):
    """The cap of a function's concurrency, and the one that it had before it was closed: a number, "none", or None when it
    is not closed."""
    functions, name = stack.place.client("lambda"), stack.ids[function]
    cap = functions.get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions")
    arn = functions.get_function(FunctionName=name)["Configuration"]["FunctionArn"]
    return arn, cap, functions.list_tags(Resource=arn)["Tags"].get(CLOSED)


def open_doors(stack):
    """The functions that can be invoked."""
    return [one for one in stack.functions() if cap_of(stack, one)[1] != 0]


def shut(stack, function):
    arn, cap, before = cap_of(stack, function)
    functions = stack.place.client("lambda")
    # The tag comes first, so that an interruption loses no cap.
    if before is None:
        functions.tag_resource(Resource=arn, Tags={CLOSED: "none" if cap is None else str(cap)})
    if cap != 0:
        # No new invocation is let in, by whatever caller; those that run go on to their end. "To throttle a function, set
        # the reserved concurrency to zero": docs.aws.amazon.com/lambda/latest/dg/configuration-concurrency.html
        functions.put_function_concurrency(FunctionName=stack.ids[function], ReservedConcurrentExecutions=0)


def close(place, given):
    stack = Stack(place, given.stack)
    opened = open_doors(stack)
    first = [one for one in opened if one not in STEPS]
    steps = [one for one in opened if one in STEPS]
    if not opened:
        say(f"{stack.name} is closed")
        return
    say(f"to be closed: {', '.join(first + steps)}")
    if not given.yes:
        return
    for function in first:
        shut(stack, function)
    if steps:
        say(f"no request is let in. Waiting {given.quiet_after} s for what is under way")
        time.sleep(given.quiet_after)
    for function in steps:
        shut(stack, function)
    say(f"{stack.name} is closed: clients get 503, and nothing writes to its tables")


def reopen(place, given):
    stack = Stack(place, given.stack)
    functions = place.client("lambda")
    # The steps first, so that the doors find the workflow at work.
    for function in sorted(stack.functions(), key=lambda one: one not in STEPS):
        arn, cap, before = cap_of(stack, function)
        if before is None:
            if cap == 0:
                say(f"{function} has a cap of 0 that `recover close` did not set, and keeps it")
            continue
        say(f"{function}: {'no cap' if before == 'none' else f'a cap of {before}'}")
        if given.yes:
            if before == "none":
                functions.delete_function_concurrency(FunctionName=stack.ids[function])
            else:
                cap = int(before)
                functions.put_function_concurrency(FunctionName=stack.ids[function], ReservedConcurrentExecutions=cap)
            functions.untag_resource(Resource=arn, TagKeys=[CLOSED])
    if given.yes:
        say(f"{stack.name} is open")


def must_be_closed(stack):
    if opened := open_doors(stack):
        refuse(f"{stack.name} is open ({', '.join(opened)}), so what is written meanwhile could be lost. "
               "Run `recover close` first.")


# ---------------------------------------------------------------------------------------------------------- the restore

def wished_time(given, earliest, latest):
    """The second to restore to. `latest` becomes a second, so that a repetition finds the same tables."""
    if given == "latest":
        return latest.replace(microsecond=0)
    try:
        wished = datetime.datetime.strptime(given, SECOND).replace(tzinfo=datetime.timezone.utc)
    except ValueError:
        refuse(f"--at {given} is neither `latest` nor a second in UTC such as 2026-03-01T12:00:00Z")
    # A second that the table has no record of.
    if not earliest.replace(microsecond=0) <= wished <= latest:
        refuse(f"{given} is out of reach: this table can be restored to {earliest:{SECOND}} up to {latest:{SECOND}}")
    return wished


def window(place, name):
    found = place.client("dynamodb").describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = found.get("PointInTimeRecoveryDescription", {})
    if recovery.get("PointInTimeRecoveryStatus") != "ENABLED":
        refuse(f"point-in-time recovery is off for {name}, so it cannot be restored")
    utc = lambda name: recovery[name].astimezone(datetime.timezone.utc)
    return utc("EarliestRestorableDateTime"), utc("LatestRestorableDateTime")


def existing(place, name):
    try:
        return place.table(name)
    except Refusal:
        return None


def shape(table):
    """What must be the same in a table that takes another one's place."""
    indexes = sorted((one["IndexName"], json.dumps(one["KeySchema"]), one["Projection"]["ProjectionType"])
                     for one in table.get("GlobalSecondaryIndexes", []))
    return json.dumps(table["KeySchema"]), indexes


def restore(place, given):
    stack = Stack(place, given.stack)
    if not given.tables or set(given.tables) - LOGICAL.keys():
        refuse(f"name the tables to restore: {', '.join(LOGICAL)}")
    sources = {which: stack.table(which) for which in dict.fromkeys(given.tables)}
    windows = {which: window(place, name) for which, name in sources.items()}
    earliest = max(first for first, _ in windows.values())
    latest = min(last for _, last in windows.values())
    at = wished_time(given.at, earliest, latest)
    if given.at == "latest":
        say(f"`latest` is {at:{SECOND}}; repeat with --at {at:{SECOND}}")
    targets = {which: f"{stack.name}-{which}-at-{at:%Y%m%dT%H%M%SZ}" for which in sources}
    for which, name in sources.items():
        say(f"{which}: {name} as of {at:{SECOND}}, {'becomes' if given.yes else 'would become'} {targets[which]}")
    if not given.yes:
        return
    dynamodb = place.client("dynamodb")
    for which, name in sources.items():
        source, there = place.table(name), existing(place, targets[which])
        if there is None:
            # Tags, point-in-time recovery and deletion protection do not come with a restored table. Encryption and
            # indexes do; the encryption is given all the same, since the default could change.
            # docs.aws.amazon.com/amazondynamodb/latest/developerguide/pointintimerecovery_restores.html
            encryption = {"SSESpecificationOverride": {"Enabled": True, "SSEType": "KMS"}} if "SSEDescription" in source else {}
            dynamodb.restore_table_to_point_in_time(
                SourceTableName=name, TargetTableName=targets[which], RestoreDateTime=at, **encryption)
        elif (summary := there.get("RestoreSummary")) and (
                summary.get("SourceTableArn") != source["TableArn"] or summary["RestoreDateTime"].timestamp() != at.timestamp()):
            refuse(f"there is a table {targets[which]} already, which was restored from something else")
    for which, name in sources.items():
        set_up(place, active(place, targets[which]), place.table(name))
    say("restored: " + " ".join(f"{which}={name}" for which, name in targets.items()))


def active(place, name):
    """Waits until a table is there. Restoring takes at least some minutes, and longer the larger the table is."""
    while (table := place.table(name))["TableStatus"] != "ACTIVE":
        if table["TableStatus"] != "CREATING":
            refuse(f"{name} is {table['TableStatus']}")
        say(f"{name} is being restored")
        time.sleep(20)
    return table


def set_up(place, table, like):
    """Gives a table what a restore does not bring: point-in-time recovery, deletion protection, tags."""
    if shape(table) != shape(like):
        refuse(f"{table['TableName']} has other keys or indexes than {like['TableName']}")
    dynamodb, name = place.client("dynamodb"), table["TableName"]
    recovery = {"PointInTimeRecoveryEnabled": True}
    dynamodb.update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=recovery)
    if like.get("DeletionProtectionEnabled") and not table.get("DeletionProtectionEnabled"):
        dynamodb.update_table(TableName=name, DeletionProtectionEnabled=True)
    if ("SSEDescription" in like) != ("SSEDescription" in table):
        refuse(f"{name} is not encrypted like {like['TableName']}")
    tags = dynamodb.list_tags_of_resource(ResourceArn=like["TableArn"]).get("Tags", [])
    if own := [tag for tag in tags if not tag["Key"].startswith("aws:")]:
        dynamodb.tag_resource(ResourceArn=table["TableArn"], Tags=own)


# ------------------------------------------------------------------------------------------------------- CloudFormation

def bucket_of(place, given):
    if given:
        return given
    found = described_stack(place, "aws-sam-cli-managed-default")
    outputs = {one["OutputKey"]: one["OutputValue"] for one in (found or {}).get("Outputs", [])}
    return outputs.get("SourceBucket") or refuse("SAM's bucket is not known. Name a bucket for the template with --bucket.")


def change(place, name, template, kind, bucket, **more):
    """Makes a change set, executes it, and waits for its end."""
    formation, body = place.client("cloudformation"), json.dumps(template)
    where = {"TemplateBody": body}
    if len(body.encode()) > 51_200:  # the most that a request may hold; an object in S3 may have 1 MB
        bucket, key = bucket_of(place, bucket), f"recover/{name}-{uuid.uuid4()}.json"
        place.client("s3").put_object(Bucket=bucket, Key=key, Body=body.encode())
        suffix = "amazonaws.com.cn" if place.region.startswith("cn-") else "amazonaws.com"
        where = {"TemplateURL": f"https://s3.{place.region}.{suffix}/{bucket}/{key}"}
    made = formation.create_change_set(
        StackName=name, ChangeSetName=f"recover-{uuid.uuid4()}", ChangeSetType=kind, **where, **more)["Id"]
    while (found := formation.describe_change_set(ChangeSetName=made, StackName=name))["Status"].endswith(("PENDING", "PROGRESS")):
        time.sleep(1)
    if found["Status"] != "CREATE_COMPLETE" or found["ExecutionStatus"] != "AVAILABLE":
        formation.delete_change_set(ChangeSetName=made, StackName=name)
        if (described_stack(place, name) or {}).get("StackStatus") == "REVIEW_IN_PROGRESS":
            formation.delete_stack(StackName=name)  # the change set had made it, and it holds nothing
        refuse(f"CloudFormation does not take the change: {found.get('StatusReason')}")
    for one in found["Changes"]:
        resource = one["ResourceChange"]
        say(f"  {resource['Action']} {resource['LogicalResourceId']}")
        # Only the tables leave the stack, and they are retained.
        gone = resource["Action"] == "Remove" and resource["ResourceType"] != "AWS::DynamoDB::Table"
        if gone or resource.get("Replacement") == "True":
            formation.delete_change_set(ChangeSetName=made, StackName=name)
            refuse(f"the change would delete or replace {resource['LogicalResourceId']}, so it was not made")
    formation.execute_change_set(ChangeSetName=made, StackName=name)
    while (status := described_stack(place, name)["StackStatus"]).endswith("_IN_PROGRESS"):
        time.sleep(2)
    if status not in STABLE or "ROLLBACK" in status:
        events = formation.describe_stack_events(StackName=name)["StackEvents"]
        reasons = [f"{one['LogicalResourceId']}: {one['ResourceStatusReason']}" for one in events
                   if one["ResourceStatus"].endswith("_FAILED") and one.get("ResourceStatusReason")]
        refuse(f"the stack {name} is {status}, and nothing was changed. {' '.join(reasons[:3])}")


def swap(place, given):
    stack = Stack(place, given.stack)
    wanted = {LOGICAL[which]: name for which, name in named_tables(given.tables).items()}
    if not wanted:
        refuse("name the restored tables, such as orders=NAME")
    template = stack.template()
    before = template_steps.swapping(template)
    if before and before != wanted:
        refuse(f"the stack is between two tables already. Repeat with {' '.join(short(before))}")
    for logical, name in wanted.items():
        table = place.table(name)
        owner(place, name, stack.name)
        if logical in stack.ids and shape(table) != shape(place.table(stack.ids[logical])):
            refuse(f"{name} has other keys or indexes than {stack.ids[logical]}")
    if not before and all(stack.ids.get(logical) == name for logical, name in wanted.items()):
        say(f"{stack.name} has these tables")
        return
    former = {logical: stack.ids[logical] for logical in wanted if stack.ids.get(logical) not in (None, wanted[logical])}
    steps = {
        "let go": "the functions use the restored tables, and the stack lets go of the former ones, which stay",
        "import": "the stack imports the restored tables",
        "whole": "the stack has its own template again",
    }
    step = template_steps.step(template, wanted)
    todo = list(steps)[list(steps).index(step):]
    for one in todo:
        say(f"{'next' if given.yes else 'would do'}: {steps[one]}")
    if step == "let go":
        try:
            template_steps.let_go(template, wanted)
        except template_steps.Unfit as reason:
            refuse(str(reason))
    if not given.yes:
        return
    must_be_closed(stack)
    for logical, name in wanted.items():
        set_up(place, active(place, name), place.table(former.get(logical, name)))
    keep = lambda: [{"ParameterKey": one, "UsePreviousValue": True} for one in sorted(stack.parameters)]
    for one in todo:
        say(f"{one}:")
        if one == "let go":
            template = template_steps.let_go(template, wanted)
            change(place, stack.name, template, "UPDATE", given.bucket, Parameters=keep(), Capabilities=stack.capabilities)
        elif one == "import":
            template = template_steps.take(template, wanted)
            resources = [{"ResourceType": "AWS::DynamoDB::Table", "LogicalResourceId": logical,
                          "ResourceIdentifier": {"TableName": name}} for logical, name in wanted.items()]
            change(place, stack.name, template, "IMPORT", given.bucket, Parameters=keep(),
                   Capabilities=stack.capabilities, ResourcesToImport=resources)
        else:
            template = template_steps.whole(template, wanted)
            kept = [one for one in keep() if one["ParameterKey"] in template.get("Parameters", {})]
            change(place, stack.name, template, "UPDATE", given.bucket, Parameters=kept, Capabilities=stack.capabilities)
        stack.read()
        # An update may give a function the cap that its template says.
        for function in open_doors(stack):
            shut(stack, function)
    for logical, name in former.items():
        say(f"{name} was {logical}, and is kept. It belongs to no stack now.")


def short(tables):
    names = {logical: which for which, logical in LOGICAL.items()}
    return [f"{names[logical]}={name}" for logical, name in tables.items()]


def owner(place, physical, allowed):
    """Refuses a resource that a living stack holds."""
    formation = place.client("cloudformation")
    try:
        held = formation.describe_stack_resources(PhysicalResourceId=physical)["StackResources"]
    except ClientError as fault:
        if code(fault) == "ValidationError":  # no stack has it
            return
        raise
    for one in held:
        if one.get("PhysicalResourceId") == physical and one["StackName"] != allowed and described_stack(place, one["StackName"]):
            refuse(f"{physical} belongs to the stack {one['StackName']}, which is alive")


# ------------------------------------------------------------------------------------------------------------ adoption

def adopt(place, given):
    whole = yaml_parse((pathlib.Path(given.artefact) / "template.yaml").read_text(encoding="utf-8"))
    pairs = {one.partition("=")[0]: one.partition("=")[2] for one in given.tables}
    names = named_tables([one for one in given.tables if one.partition("=")[0] in (*LOGICAL, "pool")], (*LOGICAL, "pool"))
    parameters = {name: value for name, value in pairs.items() if name not in (*LOGICAL, "pool")}
    if missing := LOGICAL.keys() - names.keys():
        refuse(f"name the table of {', '.join(sorted(missing))}, such as users=NAME")
    if unknown := sorted(parameters.keys() - whole.get("Parameters", {}).keys()):
        refuse(f"the artefact's template has no parameter {', '.join(unknown)}")
    own_provider = parameters.get("JwtIssuer", "") != ""
    if own_provider == ("pool" in names):
        refuse("name the user pool with pool=ID, unless JwtIssuer and JwtAudience name an identity provider of your own")
    tables = {which: place.table(names[which]) for which in LOGICAL}
    for which, table in tables.items():
        wanted = whole["Resources"][LOGICAL[which]]["Properties"]
        wished = [wanted["KeySchema"], sorted(one["IndexName"] for one in wanted.get("GlobalSecondaryIndexes", []))]
        if wished != [table["KeySchema"], sorted(one["IndexName"] for one in table.get("GlobalSecondaryIndexes", []))]:
            refuse(f"{names[which]} has other keys or indexes than {LOGICAL[which]} of the artefact's template")
        owner(place, names[which], given.stack)
    if "pool" in names:
        pool = pool_arn(place, names["pool"])
        place.holds(pool)
        owner(place, names["pool"], given.stack)
    resources = {LOGICAL[which]: ("AWS::DynamoDB::Table", {"TableName": names[which]}) for which in LOGICAL}
    if "pool" in names:
        resources["UserPool"] = ("AWS::Cognito::UserPool", {"UserPoolId": names["pool"]})

    found = described_stack(place, given.stack)
    there = {}
    if found and found["StackStatus"] != "REVIEW_IN_PROGRESS":
        if found["StackStatus"] in ("ROLLBACK_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"):
            refuse(f"an earlier import left an empty stack {given.stack}. Delete it, and repeat the command: "
                   f"aws cloudformation delete-stack --stack-name {given.stack}")
        if found["StackStatus"] not in STABLE:
            refuse(f"the stack {given.stack} is {found['StackStatus']}. Wait until it is at rest, and repeat the command.")
        listed = place.client("cloudformation").describe_stack_resources(StackName=given.stack)["StackResources"]
        there = {one["LogicalResourceId"]: one["PhysicalResourceId"] for one in listed}
        for logical, (_, identifier) in resources.items():
            [physical] = identifier.values()
            if there.get(logical) != physical:
                refuse(f"there is a stack {given.stack} already, with another {logical}: {there.get(logical)}")
    say(f"{given.stack} {'has' if there else 'takes' if given.yes else 'would take'} "
        f"{', '.join(f'{logical} {next(iter(identifier.values()))}' for logical, (_, identifier) in resources.items())}")
    if not there and given.yes:
        plain = template_steps.plain(whole, list(resources))
        wanted = [{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()
                  if name in plain.get("Parameters", {})]
        change(place, given.stack, plain, "IMPORT", given.bucket, Parameters=wanted, ResourcesToImport=[
            {"ResourceType": kind, "LogicalResourceId": logical, "ResourceIdentifier": identifier}
            for logical, (kind, identifier) in resources.items()])
    if given.yes:
        for name in (names[which] for which in LOGICAL):
            recovery = {"PointInTimeRecoveryEnabled": True}
            place.client("dynamodb").update_continuous_backups(TableName=name, PointInTimeRecoverySpecification=recovery)
    outputs = {one["OutputKey"]: one["OutputValue"] for one in (found or {}).get("Outputs", [])}
    former = let_go_of_topics(place, names["users"], outputs.get("OrderTopicArn"), given.yes)
    for topic in sorted(former):
        say(f"former customers' topics begin with {topic}. When the stack that made them is gone: "
            f"scripts/remove-customer-topics {topic} --yes")
    if given.yes and "OrderTopicArn" not in outputs:
        say(f"next: scripts/deploy {given.artefact} ENVIRONMENT --stack {given.stack} {' '.join(f'{n}={v}' for n, v in parameters.items())}")


def pool_arn(place, pool):
    try:
        return place.client("cognito-idp").describe_user_pool(UserPoolId=pool)["UserPool"]["Arn"]
    except place.client("cognito-idp").exceptions.ResourceNotFoundException:
        refuse(f"there is no user pool {pool} in {place.region}, or these credentials belong to another account")


def let_go_of_topics(place, table, order_topic, yes):
    """Takes the topics of another stack out of customers' rows. Answers the order topics that they begin with.

    This stack may neither publish to such a topic nor delete it. A customer who wants mail is marked for the sweeper, which
    gives them a topic of this stack and asks their address to confirm: UserAccount::claimed. Until they have confirmed,
    their mail waits. The row's version is the condition, so that no write of a function is lost.
    """
    dynamodb, plain, former = place.client("dynamodb"), TypeDeserializer().deserialize, set()
    counted = {"asked to confirm on a new topic": 0, "want no mail": 0, "erased before": 0}
    for row in place.rows(table):
        named = [order_rows.text(row.get("topic_arn")) or ""]
        named += [order_rows.text(order_rows.members(one).get("topic_arn")) or "" for one in order_rows.items(row.get("retired"))]
        of_stack = {one.rsplit("-customer-", 1)[0] for one in named if one}
        lost = "email" in row and order_rows.text(row.get("mail")) != "off" and "topic_arn" not in row and "todo_at" not in row
        if not of_stack - {order_topic} and not lost:
            continue
        former |= of_stack - {order_topic}
        if order_rows.number(row.get("version")) is None:
            say(f"the customer {order_rows.text(row['user_id'])} is left as they are: their row has no version")
            continue
        wants_mail = "email" in row and order_rows.text(row.get("mail")) != "off"
        counted["asked to confirm on a new topic" if wants_mail else "want no mail" if "email" in row else "erased before"] += 1
        if not yes:
            continue
        values = {":before": row["version"], ":after": {"N": str(plain(row["version"]) + 1)}}
        update = "REMOVE topic_arn, subscription_arn, asked_at, confirmed_at, retired, todo_tries"
        if wants_mail:
            values |= {":pending": {"S": "pending"}, ":shard": {"S": "0"}, ":now": {"S": stamp()}}
            update = f"SET version = :after, mail = :pending, todo_shard = :shard, todo_at = :now {update}"
        else:
            update = f"SET version = :after {update}, todo_shard, todo_at"
        try:
            dynamodb.update_item(TableName=table, Key={"user_id": row["user_id"]}, UpdateExpression=update,
                                 ConditionExpression="version = :before", ExpressionAttributeValues=values)
        except dynamodb.exceptions.ConditionalCheckFailedException:
            refuse("a customer's row was written meanwhile. Repeat the command.")
    said = ", ".join(f"{count} {what}" for what, count in counted.items() if count)
    say(f"customers: {said or 'none has a topic of another stack'}{'' if yes or not said else ', if --yes is given'}")
    return former


def stamp():
    """The present time as rows spell it."""
    at = now()
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


# ---------------------------------------------------------------------------------------------------------- the carrying

def carry(place, given):
    """Takes over rows that a former table has and the present one lacks, or has in an earlier version."""
    stack = Stack(place, given.stack)
    dynamodb = place.client("dynamodb")
    names = named_tables(given.tables)
    if not names:
        refuse("name the former tables, such as users=NAME")
    if given.yes:
        must_be_closed(stack)
    for which, former in names.items():
        present = stack.table(which)
        if former == present:
            refuse(f"{former} is the table that the stack has now")
        if shape(place.table(former)) != shape(place.table(present)):
            refuse(f"{former} has other keys or indexes than {present}")
        key = lambda row: tuple(row[name]["S"] for name in KEYS[which])
        here = {key(row): row for row in place.rows(present)}
        taken, left = [], []
        for row in place.rows(former):
            mine = here.get(key(row))
            if not is_newer(which, row, mine):
                continue
            if wrong := row_faults(which, row, mine):
                left.append(f"{'/'.join(key(row))} is not taken over: {wrong}")
                continue
            taken.append(key(row))
            if given.yes:
                condition = {"ConditionExpression": f"attribute_not_exists({KEYS[which][0]})"}
                if mine is not None:
                    condition = {"ConditionExpression": "version = :mine",
                                 "ExpressionAttributeValues": {":mine": mine["version"]}}
                dynamodb.put_item(TableName=present, Item=row, **condition)
        for one in taken:
            say(f"{which}: {'/'.join(one)} {'was' if given.yes else 'would be'} taken over")
        for one in left:
            say(f"{which}: {one}")
        say(f"{which}: {len(taken)} rows of {former} that {present} does not have, or has older; {len(left)} of them damaged"
            if left else f"{which}: {len(taken)} rows of {former} that {present} does not have, or has older")


def is_newer(which, row, mine):
    if mine is None:
        return True
    if which == "inventory":
        return False  # a movement never changes, and `recover stock` counts what is there
    version = lambda one: order_rows.number(one.get("version")) or 0
    return version(row) > version(mine)


def row_faults(which, row, mine):
    if which == "orders":
        found = order_rows.faults(row)
        if not found and mine is not None and not order_rows.history_faults(mine) and not order_rows.same_past(mine, row):
            found = ["its history is another one"]
        return "; ".join(found)
    if which == "users":
        return "; ".join(user_faults(row, None))
    if order_rows.text(row["kind"]) == "STOCK":
        return "" if order_rows.text(row.get("name")) and order_rows.money(row.get("unit_price")) else "it has no name or price"
    return "" if order_rows.number(row.get("delta")) else "it has no delta"


# ------------------------------------------------------------------------------------------------------------ the check

class Tables:
    """The tables to look at: a stack's, or those that were named."""

    def __init__(self, place, given):
        self.place, self.stack, self.order_topic = place, None, None
        if given.tables_named:
            self.names = named_tables(given.tables_named)
            if missing := LOGICAL.keys() - self.names.keys():
                refuse(f"--tables lacks {', '.join(sorted(missing))}")
        else:
            if not given.stack:
                refuse("name a stack, or the tables with --tables")
            self.stack = Stack(place, given.stack)
            self.names = {which: self.stack.table(which) for which in LOGICAL}
            self.order_topic = self.stack.outputs.get("OrderTopicArn")
        for name in self.names.values():
            place.table(name)

    def rows(self, which):
        return self.place.rows(self.names[which])

    def books(self, replacing=()):
        """The books, with these orders in place of their rows."""
        after = {order_rows.text(row["order_id"]): row for row in replacing}
        orders = [row for row in self.rows("orders") if order_rows.text(row["order_id"]) not in after]
        return order_rows.books([*orders, *after.values()], self.rows("inventory"))

    def unbalanced(self, replacing=(), skus=None):
        """The faults of the books, by SKU. An order that is placed while they are read looks like a fault, so they are read
        again, and only what is wrong both times counts."""
        found = {}
        for again in (False, True):
            last, found = found, {}
            for sku, (row, available, reserved) in self.books(replacing).items():
                wrong = order_rows.book_faults(sku, row, available, reserved)
                if wrong and (skus is None or sku in skus) and (not again or sku in last):
                    found[sku] = wrong
            if not found:
                break
            if not again:
                time.sleep(1)
        return found


def user_faults(row, order_topic):
    found = []
    if not order_rows.text(row.get("user_id")) or order_rows.number(row.get("version")) is None:
        found.append("it has no id or no version")
    if order_rows.number(row.get("address_version")) is None:
        found.append("it has no address_version")
    data = [name for name in ("name", "email", "created_at", "mail") if not order_rows.text(row.get(name))]
    if data and len(data) < 4:
        found.append(f"it lacks {', '.join(data)}, and the rest of the customer is there")
    if order_rows.text(row.get("mail")) not in (None, "pending", "confirmed", "off"):
        found.append(f"mail is {order_rows.text(row['mail'])}")
    topic = order_rows.text(row.get("topic_arn"))
    if order_topic and topic and not topic.startswith(f"{order_topic}-customer-"):
        found.append("its topic is another stack's: `recover adopt` gives the customer a new one")
    return found


def check(place, given):
    tables = Tables(place, given)
    counts, wrong = {which: 0 for which in LOGICAL}, 0
    for row in tables.rows("orders"):
        counts["orders"] += 1
        for fault in order_rows.faults(row):
            wrong += 1
            say(f"order {order_rows.text(row.get('order_id'))}: {fault}")
    for row in tables.rows("users"):
        counts["users"] += 1
        for fault in user_faults(row, tables.order_topic):
            wrong += 1
            say(f"user {order_rows.text(row.get('user_id'))}: {fault}")
    counts["inventory"] = sum(1 for _ in tables.rows("inventory"))
    for fault in (one for found in tables.unbalanced().values() for one in found):
        wrong += 1
        say(f"stock {fault}")
    say(f"{counts['orders']} orders, {counts['users']} users, {counts['inventory']} rows of stock and ledger: "
        f"{'all sound, and the books balance' if not wrong else f'{wrong} faults'}")
    return 1 if wrong else 0


# -------------------------------------------------------------------------------------------------------- one row, mended

def as_read(row):
    """The condition that a row is as it was read, attribute by attribute."""
    names = {f"#n{place}": name for place, name in enumerate(sorted(row))}
    values = {f":v{place}": row[name] for place, name in enumerate(sorted(row))}
    parts = [f"#n{place} = :v{place}" for place in range(len(row))]
    return names, values, parts


def mend_order(place, given):
    tables = Tables(place, given)
    dynamodb, orders = place.client("dynamodb"), tables.names["orders"]
    if given.copy:
        if shape(place.table(given.copy)) != shape(place.table(orders)):
            refuse(f"{given.copy} is no copy of {orders}: it has other keys or indexes")
    wrong = 0
    for order_id in given.ids:
        if not order_rows.is_order_id(order_id):
            refuse(f"{order_id} is no order's id")
        key = {"order_id": {"S": order_id}}
        read = lambda name: dynamodb.get_item(TableName=name, Key=key, ConsistentRead=True).get("Item")
        row, copied = read(orders), read(given.copy) if given.copy else None
        found = order_rows.faults(row) if row else ["it has no row"]
        for fault in found:
            say(f"order {order_id}: {fault}")
        try:
            after, changes = order_rows.mended(row, copied, stamp())
        except order_rows.Refused as reason:
            say(f"order {order_id} is left as it is: {reason}")
            wrong += 1
            continue
        if not changes:
            say(f"order {order_id} is sound")
            continue
        for one in changes:
            say(f"order {order_id}: {'' if given.yes else 'would set '}{one}")
        # A mend that moves no units cannot disturb the stock, however wrong that is.
        if row is None or order_rows.units(after) != order_rows.units(row):
            skus = set(order_rows.units(after)[0]) | set(order_rows.units(row or after)[0])
            before, balance = tables.unbalanced(skus=skus), tables.unbalanced([after], skus)
            if disturbed := sorted(balance.keys() - before.keys()):
                say(f"order {order_id} is left as it is: the stock of {', '.join(disturbed)} says that its lines or its status "
                    "are others")
                wrong += 1
                continue
            for fault in (one for found in balance.values() for one in found):
                say(f"stock {fault}. `recover stock` mends it.")
        if not given.yes:
            wrong += 1
            continue
        put = {"ConditionExpression": "attribute_not_exists(order_id)"}
        if row:
            names, values, parts = as_read(row)
            for place_of, name in enumerate(sorted(after.keys() - row.keys())):
                names[f"#m{place_of}"] = name
                parts.append(f"attribute_not_exists(#m{place_of})")
            put = {"ConditionExpression": " AND ".join(parts), "ExpressionAttributeNames": names,
                   "ExpressionAttributeValues": values}
        try:
            dynamodb.put_item(TableName=orders, Item=after, **put)
        except dynamodb.exceptions.ConditionalCheckFailedException:
            refuse(f"the order {order_id} was written meanwhile. Look at it again.")
        say(f"order {order_id} is mended")
    return 1 if wrong else 0


def mend_stock(place, given):
    tables = Tables(place, given)
    if given.yes and tables.stack:
        must_be_closed(tables.stack)
    if damaged := [row for row in tables.rows("orders") if order_rows.faults(row)]:
        refuse(f"{len(damaged)} orders are damaged, and the stock follows from the orders. Mend them first: `recover check`")
    dynamodb, wrong = place.client("dynamodb"), 0
    books = tables.books()
    if unknown := sorted(set(given.ids) - set(books)):
        refuse(f"there is no {', '.join(unknown)}")
    for sku, (row, available, reserved) in books.items():
        if given.ids and sku not in given.ids:
            continue
        found = order_rows.book_faults(sku, row, available, reserved)
        for fault in found:
            say(f"stock {fault}")
        counts = {"available": {"N": str(available)}, "reserved": {"N": str(reserved)}}
        if row is None:
            say(f"{sku} is left as it is: PUT /inventory/{sku} makes its row, with a name and a price. Then repeat the command.")
        elif available < 0:
            say(f"{sku} is left as it is: the count cannot be below zero. Count in what is missing, or cancel orders.")
        elif all(row.get(name) == value for name, value in counts.items()):
            wrong += bool(found)
            continue
        elif given.yes:
            parts, values = [], {":available": counts["available"], ":reserved": counts["reserved"]}
            for name in counts:
                parts.append(f"{name} = :was_{name}" if name in row else f"attribute_not_exists({name})")
                values |= {f":was_{name}": row[name]} if name in row else {}
            try:
                dynamodb.update_item(
                    TableName=tables.names["inventory"], Key={"sku": row["sku"], "kind": row["kind"]},
                    UpdateExpression="SET available = :available, reserved = :reserved",
                    ConditionExpression=" AND ".join(parts), ExpressionAttributeValues=values)
            except dynamodb.exceptions.ConditionalCheckFailedException:
                refuse(f"{sku} was written meanwhile. Close the doors, and repeat the command.")
            say(f"{sku}: {available} available, {reserved} reserved")
            continue
        wrong += 1
    say("the stock is as the orders and the ledger say" if not wrong else f"{wrong} SKUs are not, or not yet, as they should be")
    return 1 if wrong else 0


# ---------------------------------------------------------------------------------------------------------------- main

def arguments():
    parser = argparse.ArgumentParser(prog="scripts/recover", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name, run, *positional):
        one = commands.add_parser(name, allow_abbrev=False)
        one.set_defaults(run=run)
        for argument, count in positional:
            one.add_argument(argument, **({"nargs": count} if count else {}))
        one.add_argument("--account", required=True)
        one.add_argument("--region", required=True)
        one.add_argument("--yes", action="store_true")
        one.add_argument("--bucket")
        return one

    command("close", close, ("stack", None)).add_argument("--quiet-after", type=int, default=QUIET_AFTER)
    command("open", reopen, ("stack", None))
    command("restore", restore, ("stack", None), ("tables", "+")).add_argument("--at", required=True)
    command("swap", swap, ("stack", None), ("tables", "+"))
    command("carry", carry, ("stack", None), ("tables", "+"))
    command("adopt", adopt, ("stack", None), ("artefact", None), ("tables", "+"))
    named = {"dest": "tables_named", "nargs": "+", "default": []}
    command("check", check, ("stack", "?")).add_argument("--tables", **named)
    order = command("order", mend_order, ("ids", "+"))
    order.add_argument("--tables", **named)
    order.add_argument("--copy")
    command("stock", mend_stock, ("ids", "*")).add_argument("--tables", **named)
    given = parser.parse_args()
    if given.command in ("order", "stock") and not given.tables_named:
        # The first argument is the stack.
        given.stack, given.ids = (given.ids or [None])[0], given.ids[1:]
    if given.command == "order" and not given.ids:
        parser.error("name the orders")
    if not re.fullmatch(r"[0-9]{12}", given.account):
        parser.error("--account is a number of twelve digits")
    return given


def main():
    given = arguments()
    place, began = Place(given.account, given.region), time.monotonic()
    try:
        ended = given.run(place, given) or 0
    except Refusal as reason:
        print(f"scripts/recover: {reason}", file=sys.stderr)
        ended = 2
    except (BotoCoreError, ClientError, OSError) as fault:
        print(f"scripts/recover: {fault}. Repeat the command.", file=sys.stderr)
        ended = 2
    reads = given.command == "check"
    say(f"{given.command}{'' if given.yes or reads else ', without --yes: nothing was changed'}: {time.monotonic() - began:.0f} s")
    return ended


if __name__ == "__main__":
    sys.exit(main())

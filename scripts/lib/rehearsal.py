"""The steps of scripts/rehearse on a stack that scripts/deploy has put into MiniStack. Uses only APIs that AWS has too.

    rehearsal.py adapt ARTEFACT COPY         copies an artefact, without the properties that MiniStack refuses
    rehearsal.py older ARTEFACT COPY         copies an artefact as if it were of an older version: every zip and every
                                             function's memory differ, and so does the version
    rehearsal.py supply                      adds what MiniStack leaves out of the stack, and stores the API's address
    rehearsal.py api                         prints the API's address
    rehearsal.py runs ARTEFACT               fails unless the stack runs this artefact: its version and each zip's bytes
    rehearsal.py sizes                       prints each function's size; fails if one is over 5 MB
    rehearsal.py people FILE                 reads the people that scripts/collection has made
    rehearsal.py collection COLLECTION       prints the collection without the lines that fail on MiniStack's gateway
    rehearsal.py skipped COLLECTION          reads the names of requests that were not sent, with commas between; fails unless the collection
                                             itself may skip them, as it does those to the local mailbox
    rehearsal.py orders BOOK                 places the orders of the order book in this folder, many at the same time
    rehearsal.py traffic FILE                places orders until FILE.stop is there, and notes them in FILE
    rehearsal.py settled FILE                fails if one of these orders is lost, or if none was placed in one of the
                                             phases that FILE.phases lists: lines of a name, a beginning and an end
    rehearsal.py audit LOG_LEVEL             audits the books; fails if a function logs at another level, or if anything
                                             that an earlier audit saw is gone or changed
    rehearsal.py output NAME                 prints an output of the stack
    rehearsal.py topics ORDER_TOPIC_ARN      fails if a customer's topic is left
    rehearsal.py deleted                     fails unless the stack is gone and its tables and user pool are kept
    rehearsal.py figures FILE                fails unless the nightly run has measured all that this emulator can show
    rehearsal.py left STATE...               fails if the emulator has anything that no template retains. STATE... are the
                                             state files of the stacks that were deleted

All commands take --endpoint URL, --stack NAME and --state FILE. The file keeps what a later command needs, for one stack.
"""
import argparse, base64, collections, concurrent.futures, hashlib, http.client, json, pathlib, random, re, shutil, sys, threading, time
import urllib.error, zipfile

import boto3, botocore.config, yaml

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import artefact, audit_books
from workflow_elsewhere import for_ministack

REGION = "us-east-1"
PASSWORD = "Rehearsal-1-only"
METHODS = ("get", "put", "post", "patch", "delete")


def database(endpoint, tables):
    """The function through which audit_books.py calls DynamoDB here. It signs the calls, since MiniStack checks that. It
    shows these tables only, since other stacks have tables with the same keys."""
    dynamodb = client(endpoint, "dynamodb")

    def call(operation, body):
        if operation == "ListTables":
            return {"TableNames": tables}
        return getattr(dynamodb, botocore.xform_name(operation))(**body)

    return call


class Stack:
    """A deployed stack: its resources, and its template as CloudFormation has processed it."""

    def __init__(self, endpoint, name):
        self.endpoint, self.name = endpoint, name
        formation = self.client("cloudformation")
        described = formation.describe_stacks(StackName=name)["Stacks"][0]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}
        self.parameters = {given["ParameterKey"]: given["ParameterValue"] for given in described["Parameters"]}
        resources = formation.describe_stack_resources(StackName=name)["StackResources"]
        self.ids = {resource["LogicalResourceId"]: resource["PhysicalResourceId"] for resource in resources}
        self.types = {resource["LogicalResourceId"]: resource["ResourceType"] for resource in resources}
        template = formation.get_template(StackName=name, TemplateStage="Processed")["TemplateBody"]
        self.template = template if isinstance(template, dict) else json.loads(template)
        self.account = self.client("sts").get_caller_identity()["Account"]

    def client(self, service):
        return client(self.endpoint, service)

    def the(self, kind):
        """The physical id of the only resource of a type."""
        found = [name for name, its in self.types.items() if its == kind]
        if len(found) != 1:
            sys.exit(f"the stack {self.name} has {len(found)} resources of the type {kind}, and needs one")
        return self.ids[found[0]]

    def value(self, node):
        """A node of the template with its functions evaluated. Ends the script at an unknown function."""
        if isinstance(node, list):
            return [self.value(item) for item in node]
        if not isinstance(node, dict):
            return node
        [name, *others] = node or [""]
        if not others and (name == "Ref" or name.startswith("Fn::")):
            return self.function(name, node[name])
        return {name: self.value(inner) for name, inner in node.items()}

    def function(self, name, given):
        match name:
            case "Ref":
                return self.reference(given)
            case "Fn::GetAtt":
                return self.attribute(*(given.split(".", 1) if isinstance(given, str) else given))
            case "Fn::Sub":
                text, more = (given, {}) if isinstance(given, str) else given
                return re.sub(r"\$\{([^!}]+)\}", lambda found: self.substitute(found[1], more), text)
            case "Fn::If":
                return self.value(given[1] if self.condition(given[0]) else given[2])
            case "Fn::Join":
                return given[0].join(self.value(given[1]))
        sys.exit(f"rehearsal.py does not know the function {name}")

    def substitute(self, name, more):
        if name in more:
            return self.value(more[name])
        return self.attribute(*name.split(".", 1)) if "." in name else str(self.reference(name))

    def reference(self, name):
        pseudo = {
            "AWS::Region": REGION, "AWS::AccountId": self.account, "AWS::Partition": "aws", "AWS::StackName": self.name,
            "AWS::URLSuffix": "amazonaws.com", "AWS::NoValue": None,
        }
        for known in (pseudo, self.parameters, self.ids):
            if name in known:
                return known[name]
        sys.exit(f"the stack {self.name} has no {name}")

    def attribute(self, name, attribute):
        match self.types.get(name), attribute:
            case "AWS::Lambda::Function", "Arn":
                return self.client("lambda").get_function(FunctionName=self.ids[name])["Configuration"]["FunctionArn"]
            case "AWS::Cognito::UserPool", "ProviderURL":
                return f"https://cognito-idp.{REGION}.amazonaws.com/{self.ids[name]}"
        sys.exit(f"rehearsal.py does not know the attribute {name}.{attribute}")

    def condition(self, name):
        def holds(node):
            [(function, given)] = node.items()
            match function:
                case "Condition":
                    return self.condition(given)
                case "Fn::Equals":
                    return self.value(given[0]) == self.value(given[1])
                case "Fn::Not":
                    return not holds(given[0])
                case "Fn::And":
                    return all(map(holds, given))
                case "Fn::Or":
                    return any(map(holds, given))
            sys.exit(f"rehearsal.py does not know {function} in a condition")

        return holds(self.template["Conditions"][name])

    def tables(self):
        """The names of the tables."""
        return sorted(self.ids[name] for name, kind in self.types.items() if kind == "AWS::DynamoDB::Table")

    def rows(self, key):
        """The rows of the table that has this partition key."""
        return list(audit_books.rows(database(self.endpoint, self.tables()), key))


def client(endpoint, service):
    config = botocore.config.Config(read_timeout=60, retries={"max_attempts": 0}, max_pool_connections=32)
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client(service, endpoint_url=endpoint, region_name=REGION, config=config, **keys)


# ---------------------------------------------------------------------------------------------------------- artefacts

def copied(given, copy, change):
    """A copy of an artefact with another template, sealed anew, so that scripts/deploy takes it for a whole one."""
    shutil.copytree(given, copy)
    written = yaml.safe_load((copy / artefact.TEMPLATE).read_text(encoding="utf-8"))
    change(written)
    (copy / artefact.TEMPLATE).write_text(yaml.safe_dump(written, sort_keys=False), encoding="utf-8")
    artefact.seal(copy)


def adapt(given, copy):
    def change(written):
        for name, resource in written["Resources"].items():
            # MiniStack refuses alarms with metric math, so the alarm gets the first metric of the expression instead. The
            # linters and tests/journeys/wiring/watching.rs check the shipped expression.
            if resource["Type"] == "AWS::CloudWatch::Alarm" and (metrics := resource["Properties"].pop("Metrics", None)):
                first = next(metric["MetricStat"] for metric in metrics if "MetricStat" in metric)
                statistic = "ExtendedStatistic" if first["Stat"].startswith("p") else "Statistic"
                resource["Properties"] |= first["Metric"] | {"Period": first["Period"], statistic: first["Stat"]}
                print(f"{name}: deployed without its metric math")

    copied(given, copy, change)


def older(given, copy):
    def change(written):
        written["Outputs"]["Version"]["Value"] = f"older-than-{written['Outputs']['Version']['Value']}"
        written["Globals"]["Function"]["MemorySize"] *= 2
        for path in sorted((copy / "functions").glob("*.zip")):
            with zipfile.ZipFile(path, "a") as archive:
                archive.writestr(zipfile.ZipInfo("older", artefact.NO_TIME), "")

    copied(given, copy, change)


def runs(stack, given):
    template = yaml.safe_load((given / artefact.TEMPLATE).read_text(encoding="utf-8"))
    if (wanted := template["Outputs"]["Version"]["Value"]) != stack.outputs["Version"]:
        yield f"the stack {stack.name} runs {stack.outputs['Version']}, not {wanted}"
    for name, function in functions(stack):
        content = (given / template["Resources"][name]["Properties"]["CodeUri"]).read_bytes()
        if function["CodeSha256"] != base64.b64encode(hashlib.sha256(content).digest()).decode():
            yield f"{name} of {stack.name} does not run the zip of {given}"
    print(f"{stack.name} runs {stack.outputs['Version']}")


# ------------------------------------------------------------------------------------------------------------- supply

def supply(stack):
    """Does what AWS does on `sam deploy` and MiniStack does not. May be repeated. Returns the API's address."""
    # MiniStack accepts an HTTP API's OpenAPI body, but creates no route, integration or authorizer from it.
    import_body(stack)
    # MiniStack drops the Output of a Succeed state, so PlaceOrder would not learn the outcome of its execution.
    states, machine = stack.client("stepfunctions"), stack.the("AWS::StepFunctions::StateMachine")
    definition = json.loads(states.describe_state_machine(stateMachineArn=machine)["definition"])
    if for_ministack(definition) != definition:
        states.update_state_machine(stateMachineArn=machine, definition=json.dumps(for_ministack(definition)))
    # This machine cannot look up the API's host name, but MiniStack also has a path for each API.
    return f"{stack.endpoint}/_aws/execute-api/{stack.the('AWS::ApiGatewayV2::Api')}/$default"


def import_body(stack):
    [body] = [r["Properties"]["Body"] for r in stack.template["Resources"].values() if r["Type"] == "AWS::ApiGatewayV2::Api"]
    gateway, api = stack.client("apigatewayv2"), stack.the("AWS::ApiGatewayV2::Api")
    there = {route["RouteKey"] for route in gateway.get_routes(ApiId=api, MaxResults="500")["Items"]}
    authorizers = {item["Name"]: item["AuthorizerId"] for item in gateway.get_authorizers(ApiId=api)["Items"]}
    for name, scheme in body.get("components", {}).get("securitySchemes", {}).items():
        if name not in authorizers:
            jwt = stack.value(scheme["x-amazon-apigateway-authorizer"])
            issuer, audience = jwt["jwtConfiguration"]["issuer"], jwt["jwtConfiguration"]["audience"]
            authorizers[name] = gateway.create_authorizer(
                ApiId=api, Name=name, AuthorizerType="JWT", IdentitySource=[jwt["identitySource"]],
                JwtConfiguration={"Issuer": issuer, "Audience": audience},
            )["AuthorizerId"]
    wanted = {f"{method.upper()} {path}": (path, method) for path, methods in body["paths"].items() for method in methods}
    if unknown := {key for key, (_, method) in wanted.items() if method not in METHODS}:
        sys.exit(f"rehearsal.py cannot import these routes: {unknown}")
    for key, (path, method) in wanted.items():
        if key in there:
            continue
        route = body["paths"][path][method]
        integration = stack.value(route["x-amazon-apigateway-integration"])
        made = gateway.create_integration(
            ApiId=api, IntegrationType=integration["type"].upper(), IntegrationUri=integration["uri"],
            IntegrationMethod=integration["httpMethod"], PayloadFormatVersion=integration["payloadFormatVersion"],
            TimeoutInMillis=integration["timeoutInMillis"],
        )["IntegrationId"]
        secured = [name for scheme in route.get("security", []) for name in scheme]
        who = {"AuthorizationType": "JWT", "AuthorizerId": authorizers[secured[0]]} if secured else {"AuthorizationType": "NONE"}
        gateway.create_route(ApiId=api, RouteKey=key, Target=f"integrations/{made}", **who)
    routes = gateway.get_routes(ApiId=api, MaxResults="500")["Items"]
    closed = sum(route["AuthorizationType"] == "JWT" for route in routes)
    print(f"{len(routes)} routes, {len(wanted.keys() - there)} of them created now, {closed} behind the authorizer")


# ------------------------------------------------------------------------------------------------------------- people

class People:
    """Signs users up and in, in the user pool that the stack's authorizer trusts."""

    def __init__(self, stack):
        self.cognito = stack.client("cognito-idp")
        [body] = [r["Properties"]["Body"] for r in stack.template["Resources"].values() if r["Type"] == "AWS::ApiGatewayV2::Api"]
        [scheme] = body["components"]["securitySchemes"].values()
        jwt = stack.value(scheme["x-amazon-apigateway-authorizer"]["jwtConfiguration"])
        self.pool, self.app = jwt["issuer"].rsplit("/", 1)[1], jwt["audience"][0]

    def sign_up(self, email):
        attributes = [{"Name": "email", "Value": email}]
        self.cognito.sign_up(ClientId=self.app, Username=email, Password=PASSWORD, UserAttributes=attributes)
        # The mail with the code is not delivered here, so an admin confirms the account. Unlike the code, that does not
        # verify the address, so the next call does.
        self.cognito.admin_confirm_sign_up(UserPoolId=self.pool, Username=email)
        verified = [{"Name": "email_verified", "Value": "true"}]
        self.cognito.admin_update_user_attributes(UserPoolId=self.pool, Username=email, UserAttributes=verified)

    def sign_in(self, email, password=PASSWORD):
        parameters = {"USERNAME": email, "PASSWORD": password}
        answer = self.cognito.initiate_auth(ClientId=self.app, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=parameters)
        return answer["AuthenticationResult"]["IdToken"]


def people(stack, state, path):
    made = dict(line.split("=", 1) for line in path.read_text(encoding="utf-8").splitlines())
    state |= {"admin": made["admin_username"], "password": made["admin_password"], "pool": People(stack).pool}


# Lines of the collection that hold on AWS and in the local stack, and fail on MiniStack's gateway.
NOT_EMULATED = (
    # MiniStack's event and answer have different request ids. On AWS they are the same.
    "pm.expect(problem.request_id).to.eql(pm.response.headers.get('apigw-requestid'));",
    # MiniStack's 401 lacks this header.
    "pm.expect(pm.response.headers.get('WWW-Authenticate')).to.match(/^Bearer/);",
)


def collection(path):
    """The collection without these lines. Each must occur once, so that no outdated line stays in the list."""
    written = json.loads(path.read_text(encoding="utf-8"))
    dropped = collections.Counter()

    def walk(item):
        for event in item.get("event", []):
            lines = event["script"]["exec"]
            dropped.update(line.strip() for line in lines if line.strip() in NOT_EMULATED)
            event["script"]["exec"] = [line for line in lines if line.strip() not in NOT_EMULATED]
        for inner in item.get("item", []):
            walk(inner)

    walk(written)
    if dropped != dict.fromkeys(NOT_EMULATED, 1):
        sys.exit(f"each line of NOT_EMULATED must occur once in the collection; they occur: {dict(dropped)}")
    return written


def skipped(path, names):
    """Yields a sentence for each request that was not sent, although the collection has no rule to skip it."""
    may_skip = set()

    def walk(item):
        if "pm.execution.skipRequest()" in json.dumps(item.get("event", [])):
            may_skip.add(item["name"])
        for inner in item.get("item", []):
            walk(inner)

    walk(json.loads(path.read_text(encoding="utf-8")))
    print(f"not sent: {', '.join(names)}")
    for name in names:
        if name not in may_skip:
            yield f"the request {name!r} was not sent"


# ------------------------------------------------------------------------------------------------------------- orders

MOST_ORDERS = 150
AT_ONCE = 8


def book(folder):
    """Products, customers and orders of the order book in this folder, or of a made-up one if the folder has none."""
    read = lambda name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    if (folder / "orders.json").exists():
        products, customers, orders = read("catalog"), read("customers"), read("orders")[:MOST_ORDERS]
    else:
        print(f"there is no order book in {folder}, so the orders are made up")
        chance = random.Random(1)
        products = [
            {"sku": f"SKU-{n:03}", "name": f"Product {n}", "unit_price": {"amount": 100 * n, "currency": "EUR"}}
            for n in range(1, 78)
        ]
        customers = [{"customer": f"C{n}", "name": f"Customer {n}", "email": f"c{n}@example.com"} for n in range(40)]
        pick = lambda: [
            {"sku": product["sku"], "quantity": chance.randint(1, 40)} for product in chance.sample(products, chance.randint(1, 5))
        ]
        orders = [
            {"key": f"made-up-{n}", "customer": chance.choice(customers)["customer"], "lines": pick()} for n in range(MOST_ORDERS)
        ]
    ordering = {order["customer"] for order in orders}
    return products, [customer for customer in customers if customer["customer"] in ordering], orders


class Api:
    def __init__(self, base):
        self.base = base

    def call(self, method, path, token, body=None, **headers):
        status, answer = audit_books.call(self.base + path, method, body, authorization=f"Bearer {token}", **headers)
        return status, answer

    def must(self, wanted, method, path, token, body=None, **headers):
        status, answer = self.call(method, path, token, body, **headers)
        if status not in wanted:
            sys.exit(f"{method} {path} answered {status}: {answer}")
        return answer


def orders(stack, state, folder):
    products, customers, placed = book(folder)
    api, everybody = Api(state["api"]), People(stack)
    admin = everybody.sign_in(state["admin"], state["password"])
    asked = collections.Counter()
    for order in placed:
        asked.update({line["sku"]: line["quantity"] for line in order["lines"]})
    each = lambda work, items: list(concurrent.futures.ThreadPoolExecutor(AT_ONCE).map(work, items))

    def stock(product):
        path = f"/inventory/{product['sku']}"
        api.must((201,), "PUT", path, admin, {"name": product["name"], "unit_price": product["unit_price"]})
        # Less than the orders need, so that some are short of stock.
        if count := asked[product["sku"]] * 2 // 3:
            body = {"delta": count, "reason": "opening stock"}
            api.must((201,), "POST", f"{path}/adjustments", admin, body, idempotency_key="opening")

    def register(customer):
        everybody.sign_up(customer["email"])
        token = everybody.sign_in(customer["email"])
        api.must((201,), "POST", "/users", token, {"name": customer["name"]})
        # MiniStack confirms an address at once. Like a customer who has clicked the link, this one shows it to the shop.
        user = api.must((200,), "POST", "/users", token, {"name": customer["name"]})
        if user["notifications"] != "confirmed":
            sys.exit(f"the subscription of {customer['email']} is {user['notifications']}")
        return customer["customer"], token

    each(stock, products)
    tokens = dict(each(register, customers))
    print(f"{len(products)} products stocked, {len(tokens)} customers signed up and registered")

    faults, statuses, ids, lock = [], collections.Counter(), {}, threading.Lock()

    def place(order):
        """Places an order twice under one key."""
        token, body = tokens[order["customer"]], {"lines": order["lines"]}
        answers = [api.call("POST", "/orders", token, body, idempotency_key=order["key"]) for _ in range(2)]
        with lock:
            statuses.update(status for status, _ in answers)
            first, again = (answer.get("order_id") for _, answer in answers)
            if first is None or first != again or [status for status, _ in answers] not in ([201, 200], [409, 409]):
                faults.append(f"{order['key']} was answered {answers}")
            ids[order["key"]] = first

    began = time.monotonic()
    each(place, placed)
    took = time.monotonic() - began
    final = collections.Counter()
    for order in placed:
        read = api.must((200,), "GET", f"/orders/{ids[order['key']]}", tokens[order["customer"]])
        final[read["status"]] += 1
        if read["status"] not in ("CONFIRMED", "REJECTED") or [s["status"] for s in read["history"]].count(read["status"]) != 1:
            faults.append(f"{order['key']} is {read['status']}, by way of {read['history']}")
    print(f"{len(placed)} orders, each placed twice, {AT_ONCE} at once, in {took:.0f} s: answered {dict(statuses)}, now {dict(final)}")
    if len(placed) < 100 or not final["CONFIRMED"] or not final["REJECTED"]:
        faults.append("the orders must be at least a hundred, some of them CONFIRMED and some REJECTED")
    state["customers"] = [customer["email"] for customer in customers]
    # The audits read the first order again.
    email = {customer["customer"]: customer["email"] for customer in customers}
    state["order"] = {**placed[0], "id": ids[placed[0]["key"]], "email": email[placed[0]["customer"]]}
    return faults


# ------------------------------------------------------------------------------------------------------------- traffic

TRAFFIC = "ON-THE-WAY"
# One customer may place 60 orders within an hour, and these come on top of the order book's.
EACH_PLACES = 40
# A minute until an order is due, and some runs of the sweeper.
SWEPT_WITHIN_S = 240


def traffic(stack, state, path):
    """Orders in turn for every customer, until it is told to stop. Like a client that got no answer, it sends an order again
    under the same key until there is one."""
    stop = path.with_name(path.name + ".stop")
    api, everybody = Api(state["api"]), People(stack)
    admin = everybody.sign_in(state["admin"], state["password"])
    api.must((201, 200), "PUT", f"/inventory/{TRAFFIC}", admin, {"name": "On the way", "unit_price": {"amount": 1, "currency": "EUR"}})
    body = {"delta": 100_000, "reason": "opening stock"}
    api.must((201, 200), "POST", f"/inventory/{TRAFFIC}/adjustments", admin, body, idempotency_key="on-the-way")
    tokens = {email: everybody.sign_in(email) for email in state["customers"]}
    placed = []
    for number in range(EACH_PLACES * len(tokens)):
        email = state["customers"][number % len(tokens)]
        order = {"key": f"on-the-way-{number}", "email": email, "began": time.time(), "refused": []}
        while True:
            try:
                lines = {"lines": [{"sku": TRAFFIC, "quantity": 1}]}
                status, answer = api.call("POST", "/orders", tokens[email], lines, idempotency_key=order["key"])
            except (OSError, ValueError, http.client.HTTPException) as fault:
                status, answer = type(fault).__name__, {}
            if status in (200, 201):
                break
            order["refused"].append(status)
            if stop.exists() and time.time() - order["began"] > 60:
                break
            time.sleep(0.2)
        order |= {"ended": time.time(), "id": (answer or {}).get("order_id")}
        placed.append(order)
        path.write_text(json.dumps(placed))
        if stop.exists():
            return
        time.sleep(0.1)
    sys.exit("the traffic ended before it was told to stop")


def settled(stack, state, path):
    placed, api, everybody = json.loads(path.read_text()), Api(state["api"]), People(stack)
    for line in path.with_name(path.name + ".phases").read_text().splitlines():
        name, began, ended = line.split()
        whole = [order for order in placed if float(began) <= order["began"] and order["ended"] <= float(ended)]
        print(f"{name}: {float(ended) - float(began):.0f} s, {len(whole)} orders placed meanwhile")
        if not whole:
            yield f"no order was placed during {name}"
    refused = collections.Counter(str(status) for order in placed for status in order["refused"])
    tokens = {email: everybody.sign_in(email) for email in {order["email"] for order in placed}}
    ids, lost = set(), 0
    for order in placed:
        status, read = api.call("GET", f"/orders/{order['id']}", tokens[order["email"]]) if order["id"] else (None, {})
        if status != 200 or read["status"] != "CONFIRMED" or order["id"] in ids:
            lost += 1
            yield f"the order {order} is lost: {status} {read}"
        ids.add(order["id"])
    again = sum(bool(order["refused"]) for order in placed)
    print(f"{len(placed)} orders on the way, {again} of them sent more than once (answered {dict(refused)}), {lost} lost")
    # A run that was cut off is finished by the sweeper, a minute later.
    waited = time.monotonic()
    while (due := [row for row in stack.rows("order_id") if "due_at" in row and row["due_shard"]["S"] != "waiting"]):
        if time.monotonic() > waited + SWEPT_WITHIN_S:
            yield f"the sweeper has not finished {[row['order_id']['S'] for row in due]} within {SWEPT_WITHIN_S} s"
            break
        time.sleep(2)
    print(f"the sweeper had finished what was cut off after {time.monotonic() - waited:.0f} s")
    # The table has each of them once: no order was placed twice.
    rows = [row for row in stack.rows("order_id") if row["lines"]["L"][0]["M"]["sku"]["S"] == TRAFFIC]
    if len(rows) != len(placed):
        yield f"{len(placed)} orders were placed on the way, and the table has {len(rows)}"
    # The audits compare with what they saw first.
    state.pop("before", None)


# -------------------------------------------------------------------------------------------------------------- audit

MOST_BYTES = 5_000_000


def functions(stack):
    for name, kind in sorted(stack.types.items()):
        if kind == "AWS::Lambda::Function":
            yield name, stack.client("lambda").get_function(FunctionName=stack.ids[name])["Configuration"]


def sizes(stack):
    for name, function in functions(stack):
        print(f"{name:26} {function['CodeSize'] / 1e6:5.2f} MB zipped")
        if function["CodeSize"] > MOST_BYTES:
            yield f"{name} is over {MOST_BYTES} bytes"


def audit(stack, state, log_level):
    """Audits the books, without a mailbox. Everything that the first audit saw must still be there."""
    yield from audit_books.faults(database(stack.endpoint, stack.tables()))
    for name, function in functions(stack):
        if function["Environment"]["Variables"]["LOG_LEVEL"] != log_level:
            yield f"{name} does not log at {log_level}"
    rows = {key: stack.rows(key) for key in ("order_id", "sku", "user_id")}
    for order in rows["order_id"]:
        # Every order is announced by now, so its row must not say that it is due. Or it waits for a customer who has not
        # shown a confirmation to the shop.
        waits = order.get("due_shard", {}).get("S") == "waiting" and "untold" not in order
        if not waits and (left := {"unsent", "untold", "due_at", "due_shard"} & order.keys()):
            yield f"the order {order['order_id']['S']} still has {left}"
    known, api = state["order"], Api(state["api"])
    token = People(stack).sign_in(known["email"])
    # The functions as deployed now must recognize an order that was placed before.
    api.must((200, 409), "POST", "/orders", token, {"lines": known["lines"]}, idempotency_key=known["key"])
    order = api.must((200,), "GET", f"/orders/{known['id']}", token)
    counts = {key: len(found) for key, found in rows.items()}
    is_so = {"rows": counts, "tables": stack.tables(), "api": state["api"], "order": order}
    mailed = sum("mailed_at" in entry["M"] for order in rows["order_id"] for entry in order["history"]["L"])
    print(f"{mailed} mails were handed to SNS")
    if not mailed:
        yield "no mail was handed to SNS"
    print(f"rows: {counts}; order {order['order_id']} is {order['status']}, version {order['version']}")
    before = state.setdefault("before", is_so)
    if before != is_so:
        yield f"the first audit saw {before}, and this one sees {is_so}"


def deleted(endpoint, name, state):
    stacks = client(endpoint, "cloudformation").list_stacks()["StackSummaries"]
    if [stack for stack in stacks if stack["StackName"] == name and stack["StackStatus"] != "DELETE_COMPLETE"]:
        yield f"the stack {name} is still there"
    # The template retains these: deleting the stack must not delete orders or accounts.
    kept = database(endpoint, state["before"]["tables"])
    counts = {key: len(list(audit_books.rows(kept, key))) for key in ("order_id", "sku", "user_id")}
    users = client(endpoint, "cognito-idp").list_users(UserPoolId=state["pool"], Limit=1)["Users"]
    print(f"the stack {name} is gone; rows: {counts}; the user pool {'has its users' if users else 'is empty'}")
    if not users:
        yield "the user pool has no users any more"
    if counts != state["before"]["rows"]:
        yield f"the tables had {state['before']['rows']}, and have {counts}"


# The emulator has no metrics of its own services, and no lines of Lambda's own in the functions' logs.
NOT_COUNTED = {
    "API Gateway: requests", "Lambda: invocations", "Lambda: GB-seconds", "Step Functions: executions", "Step Functions: GB-seconds",
    "DynamoDB: write units", "DynamoDB: read units", "SNS: messages published", "CloudWatch: bytes of log lines",
}


def nightly(path):
    figures = json.loads(path.read_text())
    if figures["feed_messages"] <= figures["orders"]:
        yield f"the feed told of {figures['feed_messages']} orders, and {figures['orders'] + 1} were placed"
    if not (0 < figures["warm_ms"]["p50"] <= figures["warm_ms"]["p99"] and figures["first_order_ms"] > 0):
        yield f"these are no latencies: {figures['warm_ms']}, {figures['first_order_ms']}"
    missing = {name.split(" on ")[0] for name in figures["not_counted"]}
    if unknown := missing - NOT_COUNTED:
        yield f"the nightly run did not count {unknown}"


# Everything that a stack of the template can have, and how its names are listed.
LISTED = (
    ("lambda", "list_functions", "Functions", "FunctionName"),
    ("lambda", "list_event_source_mappings", "EventSourceMappings", "UUID"),
    ("dynamodb", "list_tables", "TableNames", None),
    ("sns", "list_topics", "Topics", "TopicArn"),
    ("sns", "list_subscriptions", "Subscriptions", "SubscriptionArn"),
    ("sqs", "list_queues", "QueueUrls", None),
    ("stepfunctions", "list_state_machines", "stateMachines", "name"),
    ("apigatewayv2", "get_apis", "Items", "ApiId"),
    ("cognito-idp", "list_user_pools", "UserPools", "Id"),
    ("iam", "list_roles", "Roles", "RoleName"),
    ("iam", "list_policies", "Policies", "PolicyName"),
    ("logs", "describe_log_groups", "logGroups", "logGroupName"),
    ("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    ("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    ("scheduler", "list_schedules", "Schedules", "Name"),
    ("events", "list_rules", "Rules", "Name"),
    ("s3", "list_buckets", "Buckets", "Name"),
)


def there(endpoint):
    """What the emulator has: service and name. A key that is about to be deleted counts as gone."""
    for service, operation, field, name in LISTED:
        given = {"cognito-idp": {"MaxResults": 60}, "iam": {"Scope": "Local"} if operation == "list_policies" else {}}
        for one in getattr(client(endpoint, service), operation)(**given.get(service, {})).get(field, []):
            yield service, one[name] if name else one
    kms = client(endpoint, "kms")
    for key in kms.list_keys()["Keys"]:
        if kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]["KeyState"] != "PendingDeletion":
            yield "kms", key["KeyId"]


def left(endpoint, states):
    """What is left, and is not on the list of what the template retains."""
    retained = set()
    for state in states:
        retained |= {("dynamodb", name) for name in state["before"]["tables"]} | {("cognito-idp", state["pool"])}
    found = set(there(endpoint))
    # SAM's bucket for what it uploads, which every stack of the account shares.
    shared = {one for one in found if one[0] == "s3" and one[1].startswith("aws-sam-cli-managed-default-")}
    print(f"left: {len(found & retained)} tables and user pools, as the template retains them, and SAM's bucket")
    yield from (f"the {service} {name} is left" for service, name in sorted(found - retained - shared))
    yield from (f"the {service} {name} was to be retained, and is gone" for service, name in sorted(retained - found))


def customers_topics(endpoint, topic):
    """Says which topics of customers are left after their script has deleted them."""
    pages = client(endpoint, "sns").get_paginator("list_topics").paginate()
    topics = [found["TopicArn"] for page in pages for found in page["Topics"]]
    yield from (f"{left} is still there" for left in topics if left.startswith(topic))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--stack", default="orderflow")
    parser.add_argument("--state", type=pathlib.Path, required=True)
    commands = ["adapt", "older", "supply", "api", "runs", "sizes", "people", "collection", "skipped", "orders", "traffic",
                "settled", "audit", "output", "deleted", "figures", "left", "topics"]
    parser.add_argument("command", choices=commands)
    parser.add_argument("argument", nargs="*")
    given = parser.parse_args()
    argument = given.argument[0] if given.argument else None
    state = json.loads(given.state.read_text()) if given.state.exists() else {}
    here = given.endpoint, given.stack
    found = []
    match given.command:
        case "adapt":
            adapt(*map(pathlib.Path, given.argument))
        case "older":
            older(*map(pathlib.Path, given.argument))
        case "runs":
            found = list(runs(Stack(*here), pathlib.Path(argument)))
        case "traffic":
            # Another command may write the state meanwhile.
            return traffic(Stack(*here), state, pathlib.Path(argument))
        case "settled":
            found = list(settled(Stack(*here), state, pathlib.Path(argument)))
        case "figures":
            found = list(nightly(pathlib.Path(argument)))
        case "left":
            found = list(left(given.endpoint, [json.loads(pathlib.Path(path).read_text()) for path in given.argument]))
        case "supply":
            state["api"] = supply(Stack(*here))
        case "api":
            print(state["api"])
        case "sizes":
            found = list(sizes(Stack(*here)))
        case "people":
            people(Stack(*here), state, pathlib.Path(argument))
        case "collection":
            print(json.dumps(collection(pathlib.Path(argument))))
        case "skipped":
            found = list(skipped(pathlib.Path(argument), sys.stdin.read().strip().split(", ")))
        case "orders":
            found = orders(Stack(*here), state, pathlib.Path(argument))
        case "audit":
            found = list(audit(Stack(*here), state, argument))
        case "output":
            print(Stack(*here).outputs[argument])
        case "topics":
            found = list(customers_topics(given.endpoint, argument))
        case "deleted":
            found = list(deleted(*here, state))
    given.state.write_text(json.dumps(state))
    for fault in found:
        print("FAULT", fault)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

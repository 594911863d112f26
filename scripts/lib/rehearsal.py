"""What scripts/rehearse does to a stack once `sam deploy` has put it into MiniStack, through the APIs that AWS has too.

    rehearsal.py template BUILT              writes what is deployed of a template that `sam build` made: rehearsed.yaml,
                                             in its folder, without what MiniStack refuses
    rehearsal.py supply                      adds what MiniStack leaves out of the stack, and keeps the API's address
    rehearsal.py api                         prints the API's address
    rehearsal.py sizes                       says how large each function is; none may be over 5 MB
    rehearsal.py people                      signs up an admin and two customers; prints newman's variables
    rehearsal.py collection COLLECTION       prints the collection, less what MiniStack's gateway answers otherwise
    rehearsal.py skipped COLLECTION          reads the names of requests that were not sent: the mailbox's and the like
    rehearsal.py orders BOOK                 has the customers of the order book in this folder order at the same time
    rehearsal.py audit LOG_LEVEL             audits the books, that the functions have the level, and that nothing which
                                             was there at an earlier audit is gone or changed
    rehearsal.py deleted                     that the stack is gone and its tables and user pool are not

Common to all: --endpoint URL --stack NAME --state FILE, which keeps what later commands need from earlier ones.
"""
import argparse, collections, concurrent.futures, json, pathlib, random, re, sys, threading, time, urllib.error, urllib.request

import boto3, botocore.config, yaml

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
import audit_books
from workflow_elsewhere import for_ministack

REGION = "us-east-1"
PASSWORD = "Rehearsal-1-only"
METHODS = ("get", "put", "post", "patch", "delete")


def database(endpoint):
    """How audit_books.py reads tables here: with a signature, which MiniStack verifies."""
    dynamodb = client(endpoint, "dynamodb")
    return lambda operation, body: getattr(dynamodb, botocore.xform_name(operation))(**body)


class Stack:
    """A deployed stack: what is in it, and the template as CloudFormation has processed it."""

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
        """The id of the one resource of a type."""
        found = [name for name, its in self.types.items() if its == kind]
        if len(found) != 1:
            sys.exit(f"{self.name} has {len(found)} {kind}, not one")
        return self.ids[found[0]]

    def value(self, node):
        """A node of the template with its functions replaced by what they come to; stops at one that it does not know."""
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
        sys.exit(f"this script does not know {name}")

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
        sys.exit(f"there is no {name} in {self.name}")

    def attribute(self, name, attribute):
        match self.types.get(name), attribute:
            case "AWS::Lambda::Function", "Arn":
                return self.client("lambda").get_function(FunctionName=self.ids[name])["Configuration"]["FunctionArn"]
            case "AWS::Cognito::UserPool", "ProviderURL":
                return f"https://cognito-idp.{REGION}.amazonaws.com/{self.ids[name]}"
        sys.exit(f"this script does not know {name}.{attribute}")

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
            sys.exit(f"this script does not know {function} in a condition")

        return holds(self.template["Conditions"][name])

    def table(self, key):
        """The name of the table whose partition key it is."""
        [table] = [t for t in self.tables() if t["KeySchema"][0]["AttributeName"] == key]
        return table["TableName"]

    def tables(self):
        names = [self.ids[name] for name, kind in self.types.items() if kind == "AWS::DynamoDB::Table"]
        return [self.client("dynamodb").describe_table(TableName=name)["Table"] for name in names]


def client(endpoint, service):
    config = botocore.config.Config(read_timeout=60, retries={"max_attempts": 0}, max_pool_connections=32)
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    return boto3.client(service, endpoint_url=endpoint, region_name=REGION, config=config, **keys)


# ----------------------------------------------------------------------------------------------------------- template

def template(built):
    """The template, less what MiniStack refuses."""
    written = yaml.safe_load(built.read_text(encoding="utf-8"))
    for name, resource in written["Resources"].items():
        # MiniStack makes no alarm of metric math: it watches the first metric of the expression instead. Whether an
        # alarm asks for the right thing, the linters and tests/journeys/wiring/watching.rs say.
        if resource["Type"] == "AWS::CloudWatch::Alarm" and (metrics := resource["Properties"].pop("Metrics", None)):
            first = next(metric["MetricStat"] for metric in metrics if "MetricStat" in metric)
            statistic = "ExtendedStatistic" if first["Stat"].startswith("p") else "Statistic"
            resource["Properties"] |= first["Metric"] | {"Period": first["Period"], statistic: first["Stat"]}
            print(f"{name}: deployed without its metric math")
    built.with_name("rehearsed.yaml").write_text(yaml.safe_dump(written, sort_keys=False), encoding="utf-8")


# ------------------------------------------------------------------------------------------------------------- supply

def supply(stack):
    """What AWS does by itself on `sam deploy`, and MiniStack does not. Does nothing where it is done already."""
    # MiniStack takes an HTTP API's OpenAPI body and makes nothing of it: no route, no integration, no authorizer.
    import_body(stack)
    # MiniStack leaves out what a Succeed state puts out, so that no door would hear how its order came out.
    states, machine = stack.client("stepfunctions"), stack.the("AWS::StepFunctions::StateMachine")
    definition = json.loads(states.describe_state_machine(stateMachineArn=machine)["definition"])
    if for_ministack(definition) != definition:
        states.update_state_machine(stateMachineArn=machine, definition=json.dumps(for_ministack(definition)))
    # The host name of an API is no name that this machine could look up; MiniStack has a path for each API, too.
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
        sys.exit(f"this script does not know how to import {unknown}")
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
        secured = [name for scheme in route.get("security", []) for name in scheme if name != "NONE"]
        who = {"AuthorizationType": "JWT", "AuthorizerId": authorizers[secured[0]]} if secured else {"AuthorizationType": "NONE"}
        gateway.create_route(ApiId=api, RouteKey=key, Target=f"integrations/{made}", **who)
    routes = gateway.get_routes(ApiId=api, MaxResults="500")["Items"]
    closed = sum(route["AuthorizationType"] == "JWT" for route in routes)
    print(f"{len(routes)} routes, {len(wanted.keys() - there)} of them made now, {closed} behind the authorizer")


# ------------------------------------------------------------------------------------------------------------- people

class People:
    """Signs people up and in, in the user pool that the stack's authorizer trusts."""

    def __init__(self, stack):
        self.cognito = stack.client("cognito-idp")
        [body] = [r["Properties"]["Body"] for r in stack.template["Resources"].values() if r["Type"] == "AWS::ApiGatewayV2::Api"]
        [scheme] = body["components"]["securitySchemes"].values()
        jwt = stack.value(scheme["x-amazon-apigateway-authorizer"]["jwtConfiguration"])
        self.pool, self.app = jwt["issuer"].rsplit("/", 1)[1], jwt["audience"][0]
        self.admin_group = stack.parameters["AdminValue"]

    def sign_up(self, email, admin=False):
        attributes = [{"Name": "email", "Value": email}]
        self.cognito.sign_up(ClientId=self.app, Username=email, Password=PASSWORD, UserAttributes=attributes)
        # Nobody reads the mail with the code here. An admin's confirmation does not verify the address, which the code does.
        self.cognito.admin_confirm_sign_up(UserPoolId=self.pool, Username=email)
        verified = [{"Name": "email_verified", "Value": "true"}]
        self.cognito.admin_update_user_attributes(UserPoolId=self.pool, Username=email, UserAttributes=verified)
        if admin:
            self.cognito.admin_add_user_to_group(UserPoolId=self.pool, Username=email, GroupName=self.admin_group)

    def sign_in(self, email):
        parameters = {"USERNAME": email, "PASSWORD": PASSWORD}
        answer = self.cognito.initiate_auth(ClientId=self.app, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=parameters)
        return answer["AuthenticationResult"]["IdToken"]


def people(stack, state):
    everybody = People(stack)
    variables = {"base_url": state["api"], "cognito_url": f"{stack.endpoint}/", "cognito_client_id": everybody.app}
    for name in ("admin", "ada", "bob"):
        email = f"{name}@example.com"
        everybody.sign_up(email, admin=name == "admin")
        variables |= {f"{name}_username": email, f"{name}_password": PASSWORD}
    state |= {"admin": variables["admin_username"], "pool": everybody.pool}
    for name, value in variables.items():
        print(f"{name}={value}")


# What the collection expects of every gateway, and MiniStack's does not do.
NOT_EMULATED = (
    # The event has another request id than the answer's header; on AWS, and in the local stack, they are the same.
    "pm.expect(problem.request_id).to.eql(pm.response.headers.get('apigw-requestid'));",
    # An HTTP API says in a 401 what it wants.
    "pm.expect(pm.response.headers.get('WWW-Authenticate')).to.match(/^Bearer/);",
)


def collection(path):
    """The collection without those lines. Each must be there once, so that none of them is left over here."""
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
        sys.exit(f"the collection has these lines so often, and not once each: {dict(dropped)}")
    return written


def skipped(path, names):
    """Of the requests that were not sent, those which the collection itself would not leave out on any stack."""
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
            yield f"{name} was not sent"


# ------------------------------------------------------------------------------------------------------------- orders

MOST_ORDERS = 150
AT_ONCE = 8


def book(folder):
    """Products, customers and orders of the order book in this folder, or of a made-up one where there is none."""
    read = lambda name: json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    if (folder / "orders.json").exists():
        products, customers, orders = read("catalog"), read("customers"), read("orders")[:MOST_ORDERS]
    else:
        print(f"there is no order book in {folder}: it is made up")
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
    admin = everybody.sign_in(state["admin"])
    asked = collections.Counter()
    for order in placed:
        asked.update({line["sku"]: line["quantity"] for line in order["lines"]})
    each = lambda work, items: list(concurrent.futures.ThreadPoolExecutor(AT_ONCE).map(work, items))

    def stock(product):
        path = f"/inventory/{product['sku']}"
        api.must((201,), "PUT", path, admin, {"name": product["name"], "unit_price": product["unit_price"]})
        # Less than is asked for, so that some orders must go short.
        if count := asked[product["sku"]] * 2 // 3:
            body = {"delta": count, "reason": "opening stock"}
            api.must((201,), "POST", f"{path}/adjustments", admin, body, idempotency_key="opening")

    def register(customer):
        everybody.sign_up(customer["email"])
        token = everybody.sign_in(customer["email"])
        api.must((201,), "POST", "/users", token, {"name": customer["name"]})
        return customer["customer"], token

    each(stock, products)
    tokens = dict(each(register, customers))
    print(f"{len(products)} products stocked, {len(tokens)} customers signed up and registered")

    faults, statuses, ids, lock = [], collections.Counter(), {}, threading.Lock()

    def place(order):
        """Everybody orders twice, with one key."""
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
        faults.append("these are no hundred orders of which some go short")
    # The first of them is looked at again after the update.
    email = {customer["customer"]: customer["email"] for customer in customers}
    state["order"] = {**placed[0], "id": ids[placed[0]["key"]], "email": email[placed[0]["customer"]]}
    return faults


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
    """The books, all but the mailbox; and what was there at the first audit is there still."""
    yield from audit_books.faults(database(stack.endpoint))
    for name, function in functions(stack):
        if function["Environment"]["Variables"]["LOG_LEVEL"] != log_level:
            yield f"{name} does not log at {log_level}"
    rows = {key: list(audit_books.rows(database(stack.endpoint), key)) for key in ("order_id", "sku", "user_id")}
    for order in rows["order_id"]:
        # The workflow has published each, and taken out of the row that it had to.
        if left := {"unsent", "due_at", "due_shard"} & order.keys():
            yield f"{order['order_id']['S']} still has {left}"
    known, api = state["order"], Api(state["api"])
    token = People(stack).sign_in(known["email"])
    # Placed once more it is the same order: the functions as they are now know it.
    api.must((200, 409), "POST", "/orders", token, {"lines": known["lines"]}, idempotency_key=known["key"])
    order = api.must((200,), "GET", f"/orders/{known['id']}", token)
    counts = {key: len(found) for key, found in rows.items()}
    is_so = {"rows": counts, "tables": sorted(table["TableName"] for table in stack.tables()), "api": state["api"], "order": order}
    print(f"rows: {counts}; order {order['order_id']} is {order['status']}, version {order['version']}")
    before = state.setdefault("before", is_so)
    if before != is_so:
        yield f"it was {before}, and is {is_so}"


def deleted(endpoint, name, state):
    stacks = client(endpoint, "cloudformation").list_stacks()["StackSummaries"]
    if [stack for stack in stacks if stack["StackName"] == name and stack["StackStatus"] != "DELETE_COMPLETE"]:
        yield f"{name} is still there"
    if left := client(endpoint, "lambda").list_functions()["Functions"]:
        yield f"functions are still there: {[function['FunctionName'] for function in left]}"
    # They are retained: whoever deletes the stack deletes no order, and nobody's account.
    counts = {key: len(list(audit_books.rows(database(endpoint), key))) for key in ("order_id", "sku", "user_id")}
    users = client(endpoint, "cognito-idp").list_users(UserPoolId=state["pool"], Limit=1)["Users"]
    print(f"the stack is gone; rows: {counts}; the user pool {'has its users' if users else 'is empty'}")
    if not users:
        yield "nobody is left in the user pool"
    if counts != state["before"]["rows"]:
        yield f"the tables had {state['before']['rows']}, and have {counts}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--stack", default="orderflow")
    parser.add_argument("--state", type=pathlib.Path, required=True)
    commands = ["template", "supply", "api", "sizes", "people", "collection", "skipped", "orders", "audit", "deleted"]
    parser.add_argument("command", choices=commands)
    parser.add_argument("argument", nargs="?")
    given = parser.parse_args()
    state = json.loads(given.state.read_text()) if given.state.exists() else {}
    here = given.endpoint, given.stack
    found = []
    match given.command:
        case "template":
            template(pathlib.Path(given.argument))
        case "supply":
            state["api"] = supply(Stack(*here))
        case "api":
            print(state["api"])
        case "sizes":
            found = list(sizes(Stack(*here)))
        case "people":
            people(Stack(*here), state)
        case "collection":
            print(json.dumps(collection(pathlib.Path(given.argument))))
        case "skipped":
            found = list(skipped(pathlib.Path(given.argument), sys.stdin.read().splitlines()))
        case "orders":
            found = orders(Stack(*here), state, pathlib.Path(given.argument))
        case "audit":
            found = list(audit(Stack(*here), state, given.argument))
        case "deleted":
            found = list(deleted(*here, state))
    given.state.write_text(json.dumps(state))
    for fault in found:
        print("FAULT", fault)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""Runs the cases of tests/journeys/contract/workflow_cases.json in MiniStack's Step Functions. See scripts/workflow-elsewhere.

    workflow_elsewhere.py mocks CASES DEFINITION                  prints the mock configuration
    workflow_elsewhere.py run   CASES DEFINITION --endpoint URL   runs the cases; exit status 1 if one differs

The answers of SNS and DynamoDB are mocked (SFN_MOCK_CONFIG). The answers of functions are not, for two reasons. MiniStack
throws a mocked error at every attempt, so no later attempt could succeed. And it does not evaluate Arguments for a mocked
answer. So each function is a real one. It sends its input to this process, and this process says what to answer.
"""
import argparse, collections, http.server, io, json, re, sys, threading, zipfile

MACHINE = "workflow"
ROLE = "arn:aws:iam::000000000000:role/any"
LAMBDA = "arn:${Partition}:states:::lambda:invoke"
# The program of every function: it asks this process what to answer. It uses Lambda's Runtime API, as the shipped
# functions do, since MiniStack's own Python runtime does not report the type of an error.
FUNCTION = """#!{python}
import json, os, urllib.request

API = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime/invocation/"
while True:
    with urllib.request.urlopen(API + "next") as invocation:
        request, payload = invocation.headers["Lambda-Runtime-Aws-Request-Id"], json.load(invocation)
    asked = json.dumps({"function": os.environ["AWS_LAMBDA_FUNCTION_NAME"], "payload": payload}).encode()
    with urllib.request.urlopen(urllib.request.Request(os.environ["ANSWERS"], asked)) as reply:
        answer = json.load(reply)
    if "Throw" in answer:
        ended = "/error", {"errorType": answer["Throw"]["Error"], "errorMessage": answer["Throw"]["Cause"]}
    else:
        ended = "/response", answer["Return"]
    urllib.request.urlopen(urllib.request.Request(API + request + ended[0], json.dumps(ended[1]).encode())).close()
"""


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def functions(definition):
    """{state: the placeholder of the ARN of the function that it calls}."""
    states = definition["States"].items()
    return {
        name: state["Arguments"]["FunctionName"].strip("${}") for name, state in states if state.get("Resource") == LAMBDA
    }


def mocks(cases, definition):
    """The answers of SNS and DynamoDB, in the mock format of AWS's Step Functions Local."""
    tests, responses = {}, {}
    for case in cases:
        tests[case["name"]] = {}
        for state, answers in case["answers"].items():
            if state in functions(definition):
                continue
            if any(answer != answers[0] for answer in answers):
                sys.exit(f"{case['name']}: {state} must have the same answer at every attempt, since MiniStack mocks one")
            response = f"{case['name']}-{state}"
            tests[case["name"]][state] = response
            responses[response] = {"0": answers[0]}
    return {"StateMachines": {MACHINE: {"TestCases": tests}}, "MockedResponses": responses}


class Answers:
    """Answers the functions as the running case says: each attempt gets the next answer."""

    def __init__(self, states):
        self.states = {function: state for state, function in states.items()}
        self.begin({"answers": {}})
        answers = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                reply = json.dumps(answers.to(body["function"], body["payload"])).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def begin(self, case):
        self.left = {state: list(answers) for state, answers in case["answers"].items()}
        self.asked = {}

    def to(self, function, payload):
        state = self.states[function]
        self.asked.setdefault(state, payload)
        left = self.left.get(state)
        return left.pop(0) if left else {"Throw": {"Error": "NotInTheTable", "Cause": function}}


def in_branches(definition):
    """The states in the branches of Parallel states. MiniStack runs them, and notes no event of theirs."""
    parallels = [state for state in definition["States"].values() if state["Type"] == "Parallel"]
    return {name for parallel in parallels for branch in parallel["Branches"] for name in branch["States"]}


def history(client, execution):
    token = {}
    while True:
        page = client.get_execution_history(executionArn=execution, maxResults=1000, **token)
        yield from page["events"]
        if not page.get("nextToken"):
            return
        token = {"nextToken": page["nextToken"]}


def for_ministack(definition):
    """The definition with Pass states in place of Succeed states: MiniStack 1.5.33 drops the Output of Succeed."""
    definition = json.loads(json.dumps(definition))
    for state in definition["States"].values():
        if state["Type"] == "Succeed" and "Output" in state:
            state.update(Type="Pass", End=True)
    return definition


def went(client, machine, case, answers, unseen):
    """Runs a case, and describes it with the keys that the file of cases uses."""
    answers.begin(case)
    run = client.start_sync_execution(stateMachineArn=f"{machine}#{case['name']}", input=json.dumps(case["input"]))
    path, tries = [], collections.Counter()
    for event in history(client, run["executionArn"]):
        if event["type"].endswith("StateEntered"):
            path.append(event["stateEnteredEventDetails"]["name"])
        elif event["type"] == "TaskScheduled" and path[-1] not in unseen["parallels"]:
            tries[path[-1]] += 1
    # A mocked answer leaves no event, so it counts as one try.
    for state, answer in case["answers"].items():
        if state in path and state not in tries and "Return" in answer[0]:
            tries[state] = 1
    result = {"path": path, "tries": dict(tries), "asked": answers.asked}
    if run["status"] == "SUCCEEDED":
        result["output"] = json.loads(run["output"])
    else:
        result["error"] = run.get("error", run["status"])
    return result


def wanted(case, asked, unseen):
    """How a case should go. Inputs of functions are compared only where the file of cases names them."""
    tries = {state: len(answers) for state, answers in case["answers"].items() if state not in unseen["nested"]}
    asked = {**asked, **{state: value for state, value in case.get("asked", {}).items() if state in asked}}
    path = [state for state in case["path"] if state not in unseen["nested"]]
    return {"path": path, "tries": tries, "asked": asked} | {
        end: case[end] for end in ("output", "error") if end in case
    }


def run(cases, definition, endpoint):
    import boto3, botocore.config

    # Otherwise boto3 would send a synchronous execution to a host of its own, which MiniStack does not have.
    config = botocore.config.Config(inject_host_prefix=False, read_timeout=120, retries={"max_attempts": 0})
    client = lambda service: boto3.client(
        service, endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test",
        aws_secret_access_key="test", config=config,
    )
    answers = Answers(functions(definition))
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as file:
        program = zipfile.ZipInfo("bootstrap")
        program.external_attr = 0o755 << 16
        file.writestr(program, FUNCTION.replace("{python}", sys.executable))
    arns = {
        name: client("lambda").create_function(
            FunctionName=name, Runtime="provided.al2023", Handler="bootstrap", Role=ROLE, Timeout=30,
            Code={"ZipFile": code.getvalue()}, Environment={"Variables": {"ANSWERS": answers.url}},
        )["FunctionArn"]
        for name in functions(definition).values()
    }
    arns["Partition"] = "aws"
    text = re.sub(r"\$\{(\w+)\}", lambda found: arns.get(found[1], found[1]), json.dumps(for_ministack(definition)))
    workflow = client("stepfunctions")
    machine = workflow.create_state_machine(name=MACHINE, definition=text, roleArn=ROLE, type="EXPRESS")["stateMachineArn"]
    parallels = {name for name, state in definition["States"].items() if state["Type"] == "Parallel"}
    unseen = {"parallels": parallels, "nested": in_branches(definition)}
    red = 0
    for case in cases:
        is_so = went(workflow, machine, case, answers, unseen)
        should = wanted(case, is_so["asked"], unseen)
        differs = [part for part in sorted(is_so.keys() | should.keys()) if is_so.get(part) != should.get(part)]
        print(f"{'RED  ' if differs else 'green'} {case['name']}")
        for part in differs:
            red += 1
            print(f"      {part} should be {json.dumps(should.get(part))}\n      {part} is        {json.dumps(is_so.get(part))}")
    tasks = sum(len(answers) for case in cases for answers in case["answers"].values())
    print(f"workflow elsewhere: {len(cases)} cases, {tasks} answers of tasks, {red} differences")
    return 1 if red or not cases else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["mocks", "run"])
    parser.add_argument("cases", type=load)
    parser.add_argument("definition", type=load)
    parser.add_argument("--endpoint")
    given = parser.parse_args()
    if given.command == "mocks":
        print(json.dumps(mocks(given.cases, given.definition)))
        return 0
    return run(given.cases, given.definition, given.endpoint)


if __name__ == "__main__":
    sys.exit(main())

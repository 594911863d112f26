"""A deployed stack, for scripts/collection and scripts/nightly: its outputs, and people who sign in to it. Run under the
Python that has SAM CLI.

    stack.py output STACK NAME           prints an output of the stack
    stack.py people STACK [API]          makes an admin and two customers, or gives them new passwords; prints newman's
                                         variables. API is the address of the API, where it is not the stack's output.
"""
import json, secrets, sys, urllib.error, urllib.request

import botocore.config, botocore.session

# Amazon's mailbox simulator takes mail for these addresses and drops it, so that no mail bounces.
# https://docs.aws.amazon.com/ses/latest/dg/send-an-email-from-console.html
ADDRESS = "success+orderflow-{}@simulator.amazonses.com"


def client(service):
    config = botocore.config.Config(read_timeout=60, retries={"mode": "standard", "max_attempts": 5}, max_pool_connections=32)
    return botocore.session.get_session().create_client(service, config=config)


def described(stack):
    [found] = client("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return found


def outputs(stack):
    return {output["OutputKey"]: output["OutputValue"] for output in described(stack)["Outputs"]}


class Person:
    """An account in the stack's user pool. It is made without a mail, or given another password if it is there."""

    def __init__(self, stack, name, admin=False):
        made, self.email = outputs(stack), ADDRESS.format(name)
        self.cognito, self.pool, self.app = client("cognito-idp"), made["UserPoolId"], made["UserPoolClientId"]
        self.password = secrets.token_urlsafe(24) + "-Aa1"
        attributes = [{"Name": "email", "Value": self.email}, {"Name": "email_verified", "Value": "true"}]
        account = {"UserPoolId": self.pool, "Username": self.email}
        try:
            self.cognito.admin_create_user(**account, UserAttributes=attributes, MessageAction="SUPPRESS")
        except self.cognito.exceptions.UsernameExistsException:
            pass
        self.cognito.admin_set_user_password(**account, Password=self.password, Permanent=True)
        if admin:
            parameters = {one["ParameterKey"]: one["ParameterValue"] for one in described(stack)["Parameters"]}
            self.cognito.admin_add_user_to_group(**account, GroupName=parameters["AdminValue"])

    def token(self):
        given = {"USERNAME": self.email, "PASSWORD": self.password}
        answer = self.cognito.initiate_auth(ClientId=self.app, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=given)
        return answer["AuthenticationResult"]["IdToken"]


def people(stack, api=None):
    made = outputs(stack)
    cognito = client("cognito-idp").meta.endpoint_url.rstrip("/")
    variables = {"base_url": api or made["ApiUrl"], "cognito_url": f"{cognito}/", "cognito_client_id": made["UserPoolClientId"]}
    for name in ("admin", "ada", "bob"):
        person = Person(stack, name, admin=name == "admin")
        variables |= {f"{name}_username": person.email, f"{name}_password": person.password}
    for name, value in variables.items():
        print(f"{name}={value}")


def call(url, method="GET", token=None, body=None, **headers):
    """Calls the API. Returns the status and the answer."""
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), method=method)
    request.add_header("content-type", "application/json")
    if token:
        request.add_header("authorization", f"Bearer {token}")
    for name, value in headers.items():
        request.add_header(name.replace("_", "-"), value)
    try:
        with urllib.request.urlopen(request, timeout=40) as answer:
            return answer.status, json.loads(answer.read() or "null")
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or "null")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["output", stack, name]:
            print(outputs(stack)[name])
        case ["people", stack, *api] if len(api) < 2:
            people(stack, *api)
        case _:
            sys.exit(__doc__)

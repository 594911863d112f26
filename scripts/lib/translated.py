"""Looks for what only the translated template shows: the one that CloudFormation gets after SAM's transform. SAM adds
resources and names that nobody wrote. Run by scripts/lib/findings.py, under the Python that has SAM and cfn-lint.
"""

import pathlib

import yaml
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

OPENAPI = pathlib.Path("infra/openapi.yaml")
METHODS = ("get", "put", "post", "patch", "delete", "head", "options", "x-amazon-apigateway-any-method")


def findings(translated):
    """(rule, resource) of everything that is wrong with a translated template."""
    found = set(fixed_names(translated))
    for api in translated["Resources"].values():
        if api["Type"] == "AWS::ApiGatewayV2::Api":
            found |= set(routes(api["Properties"]["Body"]))
    return found


# -------------------------------------------------------------------------------------------------------------- names

def fixed_names(translated):
    """Resources and exports whose name would be the same in a second stack of one account and region, which CloudFormation
    then could not create. A name is good if it contains the stack's, or if another resource of the stack is part of it.
    """
    resources = translated["Resources"]
    for logical_id, resource in resources.items():
        properties = resource.get("Properties", {})
        for together in naming(resource["Type"]):
            given = [properties[name] for name in together if name in properties]
            if given and not any(of_this_stack(value, resources) for value in given):
                yield "FixedName", logical_id
    for output_id, output in translated.get("Outputs", {}).items():
        if "Export" in output and not of_this_stack(output["Export"]["Name"], resources):
            yield "FixedExport", output_id


def naming(resource_type):
    """The properties that name a resource of this type, as lists: the properties of one list name it together. AWS's own
    schema of the type says which: its identifiers, and names that cannot be changed. A topic's identifier, for example,
    is its ARN, which ends with such a name.
    https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html
    """
    # Every region has the types of this template. A type without a schema ends the script.
    schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", resource_type).schema
    top = lambda pointer: pointer.removeprefix("/properties/").split("/")[0]
    identifiers = [schema.get("primaryIdentifier", []), *(schema.get("additionalIdentifiers") or [])]
    lists = [[top(pointer) for pointer in identifier] for identifier in identifiers]
    used = {name for names in lists for name in names}
    fixed = {top(pointer) for pointer in schema.get("createOnlyProperties") or []}
    return lists + [[name] for name in fixed if name.endswith("Name") and name not in used]


def of_this_stack(value, resources):
    """Whether another stack of the same template would have another value."""
    if isinstance(value, list):
        return any(of_this_stack(item, resources) for item in value)
    if not isinstance(value, dict):
        return False
    [(function, given)] = value.items() if len(value) == 1 else [(None, None)]
    differs = lambda name: name in ("AWS::StackName", "AWS::StackId", "AWS::NoValue") or name in resources
    match function:
        case "Ref":
            return differs(given)
        case "Fn::GetAtt":
            return differs(given.split(".")[0] if isinstance(given, str) else given[0])
        case "Fn::Sub":
            text, more = (given, {}) if isinstance(given, str) else given
            names = [part.split("}")[0] for part in text.split("${")[1:]]
            return any(of_this_stack(more[name], resources) if name in more else differs(name.split(".")[0]) for name in names)
        case "Fn::If":
            return all(of_this_stack(branch, resources) for branch in given[1:])
    return any(of_this_stack(inner, resources) for inner in value.values())


# ------------------------------------------------------------------------------------------------------------- routes

def routes(body):
    """Routes that let every caller in, routes that name a security scheme that does not exist, and routes about which
    infra/openapi.yaml says something else. API Gateway warns of such a scheme when it imports the body, and the
    template's FailOnWarnings makes that an error.
    """
    described = yaml.safe_load(OPENAPI.read_text(encoding="utf-8"))
    schemes = set(body.get("components", {}).get("securitySchemes", {}))
    for path, item in body["paths"].items():
        for method, route in item.items():
            if method not in METHODS:
                continue
            name = f"{method.upper()} {path}"
            named = {scheme for wanted in security(route, body) for scheme in wanted}
            if not named:
                yield "PublicRoute", name
            if named - schemes:
                yield "UndefinedSecurityScheme", name
            # tests/journeys/wiring/routes.rs finds a route that is not described.
            told = described["paths"].get(path, {}).get(method)
            if told is not None and bool(security(told, described)) != bool(named):
                yield "SecurityNotAsDescribed", name


def security(operation, document):
    """The security requirements of an operation. The empty one, `{}`, would let every caller in."""
    wanted = operation.get("security", document.get("security", []))
    return [] if {} in wanted else wanted

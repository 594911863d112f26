"""How a stack lets go of tables and takes others: the templates of the three steps. Calls nothing.

An import change set may add the resources that it imports, and change nothing else
(docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/import-resources-manually.html). So an existing stack goes from
one table to another in three steps:

1. `let_go`: the template without the tables. Everything that named them names a parameter, whose value is the restored
   table. So from this step on the functions use the restored tables, and their roles permit these.
2. `take`: the same template with the tables, to be imported.
3. `whole`: the template as it was before the first step. It names the same tables by another way, so nothing changes but
   the template.

The template itself keeps what a later step needs, in its metadata. So a swap that was interrupted is finished from any
machine.
"""
import copy, json

KEPT = "OrderflowRecovery"


class Unfit(Exception):
    """Why a template cannot let go of its tables."""


def parameter(logical):
    return f"Restored{logical}"


def arn(logical):
    return f"arn:${{AWS::Partition}}:dynamodb:${{AWS::Region}}:${{AWS::AccountId}}:table/${{{parameter(logical)}}}"


def swapping(template):
    """The tables between which a stack is, by logical id. Empty when it is not."""
    return {logical: kept["Table"] for logical, kept in template.get("Metadata", {}).get(KEPT, {}).items()}


def step(template, tables):
    """The next step."""
    if not swapping(template):
        return "let go"
    return "whole" if all(logical in template["Resources"] for logical in tables) else "import"


def rewritten(node, change):
    """The node, with `change` applied to each of its functions. `change` answers None where nothing is to change."""
    if isinstance(node, list):
        return [rewritten(one, change) for one in node]
    if not isinstance(node, dict):
        return node
    if len(node) == 1:
        [(name, given)] = node.items()
        if (changed := change(name, given)) is not None:
            return changed
    return {name: rewritten(one, change) for name, one in node.items()}


def normal(template):
    """The template with every Fn::GetAtt as a list."""
    return rewritten(template, lambda name, given: {name: given.split(".", 1)}
                     if name == "Fn::GetAtt" and isinstance(given, str) else None)


def in_text(given, replacements):
    """The argument of a Fn::Sub, with these texts replaced."""
    text = given if isinstance(given, str) else given[0]
    for old, new in replacements:
        text = text.replace(old, new)
    if isinstance(given, str):
        return text
    return [text, given[1]]


def pointed(template, logical):
    """The template whose references to the table go to the parameter."""
    def change(name, given):
        if name == "Ref" and given == logical:
            return {"Ref": parameter(logical)}
        if name == "Fn::GetAtt" and given[0] == logical:
            if given[1] != "Arn":
                raise Unfit(f"the template uses {logical}.{given[1]}, which a parameter cannot stand for")
            return {"Fn::Sub": arn(logical)}
        if name == "Fn::Sub":
            texts = [(f"${{{logical}.Arn}}", arn(logical)), (f"${{{logical}}}", f"${{{parameter(logical)}}}")]
            changed = in_text(given, texts)
            more = {} if isinstance(given, str) else {n: rewritten(v, change) for n, v in given[1].items()}
            return {"Fn::Sub": changed if isinstance(given, str) else [changed[0], more]}
        return None

    return rewritten(template, change)


def unpointed(template, logical):
    """The reverse of `pointed`."""
    def change(name, given):
        if name == "Ref" and given == parameter(logical):
            return {"Ref": logical}
        if name == "Fn::Sub":
            if given == arn(logical):
                return {"Fn::GetAtt": [logical, "Arn"]}
            texts = [(arn(logical), f"${{{logical}.Arn}}"), (f"${{{parameter(logical)}}}", f"${{{logical}}}")]
            changed = in_text(given, texts)
            more = {} if isinstance(given, str) else {n: rewritten(v, change) for n, v in given[1].items()}
            return {"Fn::Sub": changed if isinstance(given, str) else [changed[0], more]}
        return None

    return rewritten(template, change)


def let_go(template, tables):
    before = normal(template)
    after = copy.deepcopy(before)
    kept = {}
    for logical, table in tables.items():
        resource = after["Resources"].pop(logical, None)
        if resource is None or resource["Type"] != "AWS::DynamoDB::Table":
            raise Unfit(f"the template has no table {logical}")
        if resource.get("DeletionPolicy") not in ("Retain", "RetainExceptOnCreate"):
            raise Unfit(f"the template does not retain {logical}, so CloudFormation would delete the former table")
        kept[logical] = {"Table": table, "Resource": resource}
    for name, resource in after["Resources"].items():
        needs = resource.get("DependsOn", [])
        if set(tables) & set([needs] if isinstance(needs, str) else needs):
            raise Unfit(f"{name} depends on a table by DependsOn")
    for logical, table in tables.items():
        after = pointed(after, logical)
        described = f"The restored table that becomes {logical}. scripts/recover removes this parameter."
        after.setdefault("Parameters", {})[parameter(logical)] = {
            "Type": "String", "Default": table, "Description": described}
    after.setdefault("Metadata", {})[KEPT] = kept
    left = json.dumps({name: one for name, one in after.items() if name not in ("Metadata", "Parameters")})
    for logical in tables:
        if f'"{logical}"' in left or f"${{{logical}}}" in left or f"${{{logical}." in left:
            raise Unfit(f"the template refers to {logical} in a way that is not known here")
    if whole(take(after, tables), tables) != before:
        raise Unfit("the template would not be the same again after the last step")
    return after


def take(template, tables):
    after = copy.deepcopy(template)
    for logical in tables:
        after["Resources"][logical] = copy.deepcopy(template["Metadata"][KEPT][logical]["Resource"])
    return after


def whole(template, tables):
    after = copy.deepcopy(template)
    for logical in tables:
        after = unpointed(after, logical)
        del after["Parameters"][parameter(logical)]
    del after["Metadata"][KEPT]
    for name in ("Metadata", "Parameters"):
        if not after[name]:
            del after[name]
    return after


# ---------------------------------------------------------------------------------------------------------- a new stack

def plain(template, logicals):
    """The template of these resources alone, which a new stack imports. Without a condition, since the resources are there
    already, and with the parameters and conditions that they may use."""
    after = {"AWSTemplateFormatVersion": "2010-09-09", "Resources": {}}
    for logical in logicals:
        resource = {name: one for name, one in template["Resources"][logical].items() if name != "Condition"}
        # CloudFormation takes a resource in only with this.
        resource.setdefault("DeletionPolicy", "Retain")
        after["Resources"][logical] = resource
    for section in ("Parameters", "Conditions", "Mappings"):
        if section in template:
            after[section] = template[section]
    return json.loads(json.dumps(after))

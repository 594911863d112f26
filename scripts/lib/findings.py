"""Runs cfn-lint, checkov, cdk-nag and translated.py on a template, and judges the findings by
infra/accepted_findings.yaml.

Every finding must be accepted there with a reason, and every accepted finding must still be found. Run by
scripts/lint-template, under the Python that has SAM. scripts/lint-controls uses it to see that a removed control is
noticed.
"""

import copy
import fnmatch
import json
import logging
import os
import pathlib
import subprocess
import sys
import tempfile
from dataclasses import dataclass

import translated
import yaml
from samcli.yamlhelper import yaml_parse
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

# SAM's translator counts its own work, and warns that the counts are not collected.
logging.getLogger("samtranslator").setLevel(logging.ERROR)

TEMPLATE = pathlib.Path("infra/template.yaml")
ACCEPTED = pathlib.Path("infra/accepted_findings.yaml")
TOOLS = ("cfn-lint", "checkov", "cdk-nag", "translated")


@dataclass(frozen=True, order=True)
class Finding:
    """One rule that one resource breaks. The linter's wording is not part of it."""

    tool: str
    rule: str
    resource: str

    def __str__(self):
        return f"{self.tool} {self.rule} on {self.resource}"


def read_template():
    return yaml_parse(TEMPLATE.read_text())


def transformed(template):
    """The template after SAM's transform, as CloudFormation gets it."""
    template = copy.deepcopy(template)
    for resource in template["Resources"].values():
        # `sam package` would upload the code and name its place. The linters accept any bucket.
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function":
            properties["CodeUri"] = {"Bucket": "packaged", "Key": "code"}
        if resource["Type"] == "AWS::Serverless::StateMachine":
            properties["DefinitionUri"] = {"Bucket": "packaged", "Key": "definition"}
    # Parameters get no values, since the linters judge the template for all of them.
    return Translator({}, Parser()).translate(template, {})


def run(command, *, may_fail=False, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode and not may_fail:
        sys.exit(f"{command[0]} failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def parsed(tool, text):
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        sys.exit(f"{tool} printed no JSON:\n{text}")


def by_cfn_lint(files):
    """{file: findings} of written templates, including findings that only inform."""
    tool = pathlib.Path(sys.executable).with_name("cfn-lint")
    text = run([tool, "--include-checks", "I", "--format", "json", "--", *files], may_fail=True)
    found = {file: set() for file in files}
    for one in parsed("cfn-lint", text):
        path = one["Location"]["Path"] or []
        resource = path[1] if path[:1] == ["Resources"] and len(path) > 1 else "/".join(map(str, path))
        found[one["Filename"]].add(Finding("cfn-lint", one["Rule"]["Id"], resource))
    return found


def by_checkov(files):
    """{file: findings} of transformed templates, since checkov knows less about SAM's own resources."""
    command = [".tools/checkov/bin/checkov", "--framework", "cloudformation", "--skip-download", "--quiet", "--compact"]
    for file in files:
        command += ["--file", file]
    report = parsed("checkov", run([*command, "--output", "json"], may_fail=True))
    found = {file: set() for file in files}
    if report.get("summary", {}).get("parsing_errors"):
        sys.exit(f"checkov could not read {report['results']['parsing_errors']}")
    by_name = {pathlib.Path(file).name: file for file in files}
    for one in report["results"]["failed_checks"]:
        resource = one["resource"].rsplit(".", 1)[-1]
        found[by_name[pathlib.Path(one["file_path"]).name]].add(Finding("checkov", one["check_id"], resource))
    return found


def by_cdk_nag(files):
    """{file: findings} of transformed templates."""
    report = parsed("cdk-nag", run(["node", "scripts/lib/cdk_nag.js", *files]))
    found = {file: set() for file in files}
    for one in report:
        found[one["file"]].add(Finding("cdk-nag", one["rule"], one["resource"]))
    return found


def of_templates(templates):
    """{name: findings} of {name: template}. Starts every tool once, for all templates together."""
    with tempfile.TemporaryDirectory(dir=".tools") as folder:
        written, packaged = {}, {}
        found = {name: set() for name in templates}

        def write(name, kind, files, content):
            path = os.path.join(folder, f"{name}.{kind}.json")
            pathlib.Path(path).write_text(json.dumps(content, indent=1))
            files[path] = name

        for name, template in templates.items():
            write(name, "written", written, template)
            try:
                packed = transformed(template)
                write(name, "packaged", packaged, packed)
                found[name] |= {Finding("translated", rule, resource) for rule, resource in translated.findings(packed)}
            except InvalidDocumentException as refusal:
                found[name] |= {Finding("sam", cause.message, "the template") for cause in refusal.causes}
        for tool, files in (
            (by_cfn_lint, written),
            (by_checkov, packaged),
            (by_cdk_nag, packaged),
        ):
            for file, findings in tool(list(files)).items():
                found[files[file]] |= findings
        return found


def accepted():
    """The accepted findings: tool, rule, resources (logical ids, with `*` for a part of one), reason."""
    entries = yaml.safe_load(ACCEPTED.read_text())
    for entry in entries:
        if set(entry) != {"tool", "rule", "resources", "reason"} or not entry["reason"].strip():
            sys.exit(f"{ACCEPTED}: an entry needs tool, rule, resources and reason, and nothing else: {entry}")
    return entries


def accepts(entry, pattern, finding):
    # The rule is not a pattern, since cdk-nag's names of rules contain brackets.
    return (
        entry["tool"] == finding.tool
        and entry["rule"] == finding.rule
        and fnmatch.fnmatchcase(finding.resource, pattern)
    )


def not_accepted(found):
    entries = accepted()
    return {
        finding
        for finding in found
        if not any(accepts(entry, pattern, finding) for entry in entries for pattern in entry["resources"])
    }


def judge(found):
    """A sentence for each finding that is not accepted, and for each accepted finding that is not found."""
    complaints = [f"found but not accepted in {ACCEPTED}: {finding}" for finding in sorted(not_accepted(found))]
    for entry in accepted():
        for pattern in entry["resources"]:
            if not any(accepts(entry, pattern, finding) for finding in found):
                complaints.append(f"accepted in {ACCEPTED} but no longer found: {entry['tool']} {entry['rule']} on {pattern}")
    return complaints


def main():
    found = of_templates({"template": read_template()})["template"]
    complaints = judge(found)
    for complaint in complaints:
        print(complaint)
    tools = ", ".join(f"{tool} {sum(one.tool == tool for one in found)}" for tool in TOOLS)
    print(f"findings: {tools}; {len(complaints)} complaints" if complaints else f"findings, all accepted: {tools}")
    sys.exit(bool(complaints))


if __name__ == "__main__":
    main()

"""What cfn-lint, checkov and cdk-nag find in a template, judged by infra/accepted_findings.yaml.

Run by scripts/lint-template, under the Python that has SAM: every finding must be accepted there with a reason, and
everything accepted there must still be found. scripts/lint-controls uses the same to see a removed control missed.
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

import yaml
from samcli.yamlhelper import yaml_parse
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator

# SAM counts what it does, and warns that nobody collects it.
logging.getLogger("samtranslator").setLevel(logging.ERROR)

TEMPLATE = pathlib.Path("infra/template.yaml")
ACCEPTED = pathlib.Path("infra/accepted_findings.yaml")


@dataclass(frozen=True, order=True)
class Finding:
    """One rule that one resource breaks. Equal whatever its wording."""

    tool: str
    rule: str
    resource: str

    def __str__(self):
        return f"{self.tool} {self.rule} on {self.resource}"


def read_template():
    return yaml_parse(TEMPLATE.read_text())


def transformed(template):
    """The template as CloudFormation gets it, after SAM's transform."""
    template = copy.deepcopy(template)
    for resource in template["Resources"].values():
        # Where the code is, `sam package` would know; any bucket will do.
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function":
            properties["CodeUri"] = {"Bucket": "packaged", "Key": "code"}
        if resource["Type"] == "AWS::Serverless::StateMachine":
            properties["DefinitionUri"] = {"Bucket": "packaged", "Key": "definition"}
    # Without values for parameters: whatever they are, it is the template that is judged.
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
        sys.exit(f"{tool} did not print its findings as JSON:\n{text}")


def by_cfn_lint(files):
    """{file: findings} of written templates. What only informs is counted too."""
    tool = pathlib.Path(sys.executable).with_name("cfn-lint")
    text = run([tool, "--include-checks", "I", "--format", "json", "--", *files], may_fail=True)
    found = {file: set() for file in files}
    for one in parsed("cfn-lint", text):
        path = one["Location"]["Path"] or []
        resource = path[1] if path[:1] == ["Resources"] and len(path) > 1 else "/".join(map(str, path))
        found[one["Filename"]].add(Finding("cfn-lint", one["Rule"]["Id"], resource))
    return found


def by_checkov(files):
    """{file: findings} of transformed templates: of SAM's own resources it knows less."""
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
    """{name: findings} of {name: template}. Every tool is started once, whatever the number of templates."""
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
                write(name, "packaged", packaged, transformed(template))
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
    """The accepted findings: tool, rule, resources (logical ids, `*` for a part of one), reason."""
    entries = yaml.safe_load(ACCEPTED.read_text())
    for entry in entries:
        if set(entry) != {"tool", "rule", "resources", "reason"} or not entry["reason"].strip():
            sys.exit(f"{ACCEPTED}: an entry has tool, rule, resources and reason, not {entry}")
    return entries


def accepts(entry, pattern, finding):
    # Rules of cdk-nag have brackets in their names, which would be a pattern's.
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
    """What is found and not accepted, and what is accepted and not found: sentences."""
    complaints = [f"found, and not accepted in {ACCEPTED}: {finding}" for finding in sorted(not_accepted(found))]
    for entry in accepted():
        for pattern in entry["resources"]:
            if not any(accepts(entry, pattern, finding) for finding in found):
                complaints.append(f"accepted in {ACCEPTED}, and no longer found: {entry['tool']} {entry['rule']} on {pattern}")
    return complaints


def main():
    found = of_templates({"template": read_template()})["template"]
    complaints = judge(found)
    for complaint in complaints:
        print(complaint)
    tools = ", ".join(f"{tool} {sum(one.tool == tool for one in found)}" for tool in ("cfn-lint", "checkov", "cdk-nag"))
    print(f"findings: {tools}; {len(complaints)} of them a fault" if complaints else f"findings, all accepted: {tools}")
    sys.exit(bool(complaints))


if __name__ == "__main__":
    main()

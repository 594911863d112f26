"""The artefact of scripts/build: how it is put together, and what scripts/deploy demands of it. Run under the Python that
has SAM CLI.

    artefact.py architecture TEMPLATE     prints the architecture of the template's functions
    artefact.py package SOURCE BINARIES FOLDER ARCHITECTURE VERSION "COMMIT SECONDS" TOOL...
                                          writes the template, the zips, the workflow and artefact.json into FOLDER
    artefact.py seal FOLDER               writes SHA256SUMS, last of all
    artefact.py verify FOLDER             says what is wrong with an artefact
    artefact.py before FOLDER ENVIRONMENT STACK YES [NAME=VALUE...]
                                          checks all that scripts/deploy needs, and prints the options of `sam deploy`

Every fault ends it with 1 and one sentence.
"""
import hashlib, json, os, pathlib, re, sys, tomllib, zipfile

# The layout of the folder, for a later scripts/deploy that meets an artefact of today.
LAYOUT = 1
TEMPLATE, WORKFLOW, ABOUT, SUMS = "template.yaml", "order.asl.json", "artefact.json", "SHA256SUMS"
# A zip has no time before this. Every file in every zip gets it, so that zips of the same content are the same.
NO_TIME = (1980, 1, 1, 0, 0, 0)


def refuse(sentence):
    sys.exit(f"scripts/{'deploy' if sys.argv[1] == 'before' else 'build'}: {sentence}")


def parsed(path):
    from samcli.yamlhelper import yaml_parse

    return yaml_parse(pathlib.Path(path).read_text(encoding="utf-8"))


def of_type(template, kind):
    return {name: one for name, one in template["Resources"].items() if one["Type"] == kind}


def architecture(template):
    """The architecture of every function. One for all, since an artefact is for one."""
    general = template.get("Globals", {}).get("Function", {}).get("Architectures")
    functions = of_type(template, "AWS::Serverless::Function")
    found = {json.dumps(one["Properties"].get("Architectures", general)) for one in functions.values()}
    if len(found) != 1 or found not in ({'["arm64"]'}, {'["x86_64"]'}):
        refuse(f"the template must give all functions one architecture, [arm64] or [x86_64], and gives {sorted(found)}")
    return json.loads(found.pop())[0]


# ------------------------------------------------------------------------------------------------------------- package

def zipped(bootstrap, path):
    # Deflated in one way: the level, and no time, owner or umask of this machine.
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        entry = zipfile.ZipInfo("bootstrap", NO_TIME)
        entry.create_system = 3  # Unix, so that the mode below counts
        entry.external_attr = 0o100755 << 16
        entry.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(entry, bootstrap.read_bytes(), compresslevel=9)


def package(source, binaries, folder, wanted, version, committed, *tools):
    from samcli.yamlhelper import yaml_dump

    source, binaries, folder = pathlib.Path(source), pathlib.Path(binaries), pathlib.Path(folder)
    template = parsed(source / "infra" / "template.yaml")
    # A template of an older commit may have a parameter for it.
    template["Globals"]["Function"]["Architectures"] = [wanted]
    architecture(template)
    (folder / "functions").mkdir()
    for name, function in of_type(template, "AWS::Serverless::Function").items():
        metadata = function.pop("Metadata")
        if metadata.get("BuildMethod") != "rust-cargolambda":
            refuse(f"{name} is not built by cargo-lambda")
        binary = metadata["BuildProperties"]["Binary"]
        zipped(binaries / binary / "bootstrap", folder / "functions" / f"{binary}.zip")
        function["Properties"]["CodeUri"] = f"functions/{binary}.zip"
    [machine] = of_type(template, "AWS::Serverless::StateMachine").values()
    definition = source / "infra" / machine["Properties"]["DefinitionUri"]
    (folder / WORKFLOW).write_bytes(definition.read_bytes())
    machine["Properties"]["DefinitionUri"] = WORKFLOW
    if left := set(re.findall(r"\.\./[\w./-]*", json.dumps(template))):
        refuse(f"the template still names files outside the artefact: {sorted(left)}")
    template["Outputs"]["Version"] = {
        "Description": "What is deployed: the version of the artefact, and its architecture.",
        "Value": f"{version} {wanted}",
    }
    (folder / TEMPLATE).write_text(yaml_dump(template), encoding="utf-8")
    commit, seconds = committed.split()
    about = {
        "layout": LAYOUT, "version": version, "commit": commit, "committed_at": int(seconds),
        "architecture": wanted, "tools": list(tools),
    }
    (folder / ABOUT).write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


# ---------------------------------------------------------------------------------------------------------------- sums

def files(folder):
    """Every file of the artefact but SHA256SUMS, by its path in it."""
    paths = (path for path in pathlib.Path(folder).rglob("*") if not path.is_dir())
    return {path.relative_to(folder).as_posix(): path for path in paths if path.name != SUMS}


def checksum(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def seal(folder):
    lines = [f"{checksum(path)}  {name}\n" for name, path in sorted(files(folder).items())]
    (pathlib.Path(folder) / SUMS).write_text("".join(lines), encoding="utf-8")
    for path in pathlib.Path(folder).rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def verified(folder):
    """What artefact.json says, and the template, once nothing is wrong with the artefact."""
    folder = pathlib.Path(folder)
    for name in (SUMS, ABOUT, TEMPLATE):
        if not (folder / name).is_file():
            refuse(f"{folder} is not an artefact of scripts/build: it has no {name}")
    listed = {}
    for line in (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines():
        match = re.fullmatch(r"([0-9a-f]{64})  ([A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*)", line)
        if not match or ".." in match[2].split("/"):
            refuse(f"{folder}/{SUMS} has a line that is no checksum: {line[:80]!r}")
        listed[match[2]] = match[1]
    there = files(folder)
    if missing := sorted(listed.keys() - there.keys()):
        refuse(f"the artefact {folder} lacks {', '.join(missing)}")
    if unlisted := sorted(there.keys() - listed.keys()):
        refuse(f"the artefact {folder} has files that {SUMS} does not list: {', '.join(unlisted)}")
    if damaged := [name for name in sorted(listed) if there[name].is_symlink() or checksum(there[name]) != listed[name]]:
        refuse(f"the artefact {folder} is damaged: {', '.join(damaged)}")
    about = json.loads(there[ABOUT].read_text(encoding="utf-8"))
    if about.get("layout") != LAYOUT:
        refuse(f"the artefact {folder} has the layout {about.get('layout')}, and this checkout knows {LAYOUT}. "
               "Deploy it from a checkout of its commit.")
    template = parsed(there[TEMPLATE])
    if architecture(template) != about["architecture"]:
        refuse(f"the artefact {folder} is for {about['architecture']}, and its template is not")
    named = [one["Properties"]["CodeUri"] for one in of_type(template, "AWS::Serverless::Function").values()]
    named += [one["Properties"]["DefinitionUri"] for one in of_type(template, "AWS::Serverless::StateMachine").values()]
    if missing := sorted({str(name) for name in named} - listed.keys()):
        refuse(f"the artefact {folder} lacks {', '.join(missing)}, which its template names")
    return about, template


# -------------------------------------------------------------------------------------------------------------- before

def before(folder, environment, stack, yes, *given):
    config = tomllib.loads(pathlib.Path("samconfig.toml").read_text(encoding="utf-8"))
    environments = sorted(name for name, section in config.items() if isinstance(section, dict) and name != "default")
    if environment not in environments:
        refuse(f"samconfig.toml has no environment {environment}; it has {' and '.join(environments)}")
    about, template = verified(folder)
    if environment == "prod" and about["version"].endswith("-dirty"):
        refuse(f"{about['version']} was built from a checkout with changes, so nobody could build it again. "
               "It is not deployed to prod.")
    section = config[environment]["deploy"]["parameters"]
    asks = section.get("confirm_changeset", False) and yes != "yes"
    if asks and not sys.stdin.isatty():
        refuse(f"{environment} asks before it changes anything, and there is nobody to ask here. Give --yes to agree.")

    # SAM drops what samconfig.toml has for this option when the option is given, so both are given.
    configured = section.get("parameter_overrides", [])
    configured = configured.split() if isinstance(configured, str) else configured
    of_environment = os.environ.get("ORDERFLOW_PARAMETERS", "").split()
    if wrong := [one for one in of_environment if not re.match(r"[A-Za-z0-9]+=", one)]:
        refuse(f"ORDERFLOW_PARAMETERS holds {wrong[0]!r}, which is no NAME=VALUE")
    values = dict(one.split("=", 1) for one in [*configured, *of_environment, *given])
    # SAM ignores a name that the template does not have. An older artefact may lack what samconfig.toml sets for a newer
    # one; a name on the command line is meant for this one.
    if unknown := sorted({one.split("=", 1)[0] for one in given} - template.get("Parameters", {}).keys()):
        refuse(f"the template of {about['version']} has no parameter {', '.join(unknown)}")

    name = stack or section["stack_name"]
    options = [] if asks else ["--no-confirm-changeset"]
    region, is_there = where(name, about)
    options += ["--stack-name", name, "--region", region]
    # A first deployment that fails must be able to delete its tables, so prod's are protected from the second one on.
    if environment == "prod" and is_there and "ProtectData" in template.get("Parameters", {}):
        values.setdefault("ProtectData", "true")
    if role := os.environ.get("ORDERFLOW_STACK_ROLE"):
        options += ["--role-arn", role]
    if values:
        options += ["--parameter-overrides", *(f"{key}={value}" for key, value in sorted(values.items()))]
    if any("\n" in one for one in options):
        refuse("a parameter's value has a line break")
    print("\n".join(options))


def where(stack, about):
    """Says on standard error what is about to be deployed, and where. Returns the region, and whether the stack is there."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    region = os.environ.get("AWS_REGION") or boto3.Session().region_name
    if not region:
        refuse("no region is known. Set AWS_REGION.")
    session = boto3.Session(region_name=region)
    try:
        account = session.client("sts").get_caller_identity()["Account"]
        deployed = version_of(session.client("cloudformation"), stack)
    except (BotoCoreError, ClientError) as fault:
        refuse(f"AWS cannot be asked: {fault}")
    print(f"account {account}, {region}, stack {stack}: {deployed or 'nothing'} now, "
          f"{about['version']} {about['architecture']} next", file=sys.stderr)
    return region, deployed is not None


def version_of(formation, stack):
    """The version that a stack runs; None if there is no stack, or none that was ever deployed as a whole."""
    from botocore.exceptions import ClientError

    try:
        [described] = formation.describe_stacks(StackName=stack)["Stacks"]
    except ClientError as fault:
        if "does not exist" in str(fault):
            return None
        raise
    if not described["StackStatus"].startswith(("CREATE_COMPLETE", "UPDATE_", "IMPORT_")):
        return None
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}
    return outputs.get("Version", "a version without a name")


def main():
    match sys.argv[1:]:
        case ["architecture", template]:
            print(architecture(parsed(template)))
        case ["package", *arguments] if len(arguments) >= 6:
            package(*arguments)
        case ["seal", folder]:
            seal(folder)
        case ["verify", folder]:
            about, _ = verified(folder)
            print(f"{folder} is complete: {about['version']} for {about['architecture']}")
        case ["before", folder, environment, stack, yes, *given]:
            before(folder, environment, stack, yes, *given)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()

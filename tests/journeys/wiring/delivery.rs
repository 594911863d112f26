//! How the shop is delivered: one place for the architecture and for each tool's version, environments that do not share a
//! stack, a pipeline that runs this repository's scripts and nothing else, and roles whose boundary admits what the
//! template's roles permit.

use std::collections::BTreeSet;

use regex_lite::Regex;
use sam_template::yaml;
use serde_json::Value;

use super::{Complaints, HOUSE, House, TEMPLATE, assert_blamed, assert_sound, complaints};

const TOOLS: &str = "scripts/lib/tools.sh";
const SAMCONFIG: &str = "samconfig.toml";
const ROLES: &str = "infra/pipeline_role.yaml";
const REHEARSAL: &str = "scripts/rehearse";
const WORKFLOWS: &str = ".github/workflows/";

/// The scripts of the pipeline that the rehearsal must run too, since nothing else runs them before a real account does.
const REHEARSED: [&str; 4] = ["scripts/build", "scripts/collection", "scripts/deploy", "scripts/nightly"];

fn written(house: &House, path: &str) -> Result<Value, String> {
    yaml::read(house.text(path)).map_err(|fault| format!("{path}: {fault}"))
}

/// The template fixes the architecture, for all functions, without a parameter: `sam build` would take the parameter's
/// default, and `sam deploy` the value that somebody saved.
fn architecture(house: &House) -> Result<Complaints, String> {
    let template = written(house, TEMPLATE)?;
    let mut found = Vec::new();
    let general = &template["Globals"]["Function"]["Architectures"];
    if !["arm64", "x86_64"].iter().any(|known| *general == serde_json::json!([known])) {
        found.push(format!("{TEMPLATE}: Globals gives the architecture {general}, not [arm64] or [x86_64]"));
    }
    for (id, resource) in template["Resources"].as_object().into_iter().flatten() {
        if !resource["Properties"]["Architectures"].is_null() {
            found.push(format!("{TEMPLATE}: {id} has an architecture of its own; an artefact is for one"));
        }
    }
    Ok(found)
}

/// No page, workflow or script installs a tool of scripts/lib/tools.sh by itself, or names a version of one.
fn toolchain(house: &House) -> Complaints {
    let tools = house.text(TOOLS);
    // What pip and npm call them: `"aws-sam-cli==$sam_version"`.
    let pattern =
        Regex::new(r#""([a-z@/-]+)(?:\[[a-z-]+\])?(?:==|@)\$[a-z_]+_version"#).expect("a good pattern");
    let names: BTreeSet<&str> =
        pattern.captures_iter(tools).filter_map(|captures| Some(captures.get(1)?.as_str())).collect();
    let mut found = Vec::new();
    for needed in ["aws-sam-cli", "cargo-lambda", "ziglang"] {
        if !names.contains(needed) {
            found.push(format!("{TOOLS} pins no version of {needed}"));
        }
    }
    let installs =
        Regex::new(r"(?:pip3?|pipx|npm|brew|cargo) (?:install|i|add) [^\n]*").expect("a good pattern");
    for (path, text) in &house.0 {
        let is_read = path == "README.md"
            || ["docs/", WORKFLOWS, ".ci/", "scripts/"].iter().any(|folder| path.starts_with(folder));
        if !is_read || path == TOOLS {
            continue;
        }
        for name in &names {
            let installed = installs.find_iter(text).any(|line| line.as_str().contains(name));
            if installed || text.contains(&format!("{name}==")) {
                found.push(format!("{path} installs {name} or names its version, which {TOOLS} does"));
            }
        }
    }
    found
}

/// Each environment has a stack of its own, and prod asks first.
fn environments(house: &House) -> Result<Complaints, String> {
    let config: toml_edit::DocumentMut =
        house.text(SAMCONFIG).parse().map_err(|fault| format!("{SAMCONFIG}: {fault}"))?;
    let mut found = Vec::new();
    let mut stacks = BTreeSet::new();
    for environment in ["dev", "prod", "sandbox"] {
        let given =
            |key: &str| config.get(environment)?.get("deploy")?.get("parameters")?.get(key)?.as_value();
        let text = |key: &str| given(key).and_then(toml_edit::Value::as_str).unwrap_or_default();
        let flag = |key: &str| given(key).and_then(toml_edit::Value::as_bool);
        if !stacks.insert(text("stack_name").to_owned()) {
            found.push(format!("{SAMCONFIG}: {environment} has no stack of its own"));
        }
        // pipeline_role.yaml admits no other names.
        let named = format!("orderflow-{environment}");
        if text("stack_name") != named || text("s3_prefix") != named {
            found.push(format!("{SAMCONFIG}: stack_name and s3_prefix of {environment} must be {named}"));
        }
        if !text("tags").contains(&format!("environment={environment}")) {
            found.push(format!("{SAMCONFIG}: {environment} lacks the tag that {ROLES} looks for"));
        }
        if flag("resolve_s3") != Some(true) {
            found.push(format!("{SAMCONFIG}: {environment} does not let SAM find its bucket"));
        }
        if environment == "prod" && flag("confirm_changeset") != Some(true) {
            found.push(format!("{SAMCONFIG}: prod does not ask before it changes anything"));
        }
    }
    Ok(found)
}

/// The pipeline's jobs run scripts that are there, with the permissions that they need, and other people's code only at a
/// commit.
fn pipeline(house: &House) -> Result<Complaints, String> {
    let script = Regex::new(r"(?:scripts|\.ci)/[a-z-]+").expect("a good pattern");
    let pinned = Regex::new(r"^[a-z-]+/[a-z-]+@[0-9a-f]{40}$").expect("a good pattern");
    let mut found = Vec::new();
    let mut used = BTreeSet::new();
    let mut triggers = BTreeSet::new();
    for (path, text) in house.0.iter().filter(|(path, _)| path.starts_with(WORKFLOWS)) {
        let workflow = written(house, path)?;
        triggers.extend(workflow["on"].as_object().into_iter().flatten().map(|(trigger, _)| trigger.clone()));
        if workflow["permissions"] != serde_json::json!({}) {
            found.push(format!("{path}: the jobs have more permissions than each one names"));
        }
        if text.contains("secrets.") {
            found.push(format!("{path} uses a stored secret"));
        }
        for (name, job) in workflow["jobs"].as_object().into_iter().flatten() {
            let signs_in = job["permissions"]["id-token"] == "write";
            if signs_in && job["environment"].is_null() {
                found.push(format!("{path}: {name} signs in to AWS without an environment"));
            }
            if job["timeout-minutes"].is_null() {
                found.push(format!("{path}: {name} may run for six hours"));
            }
            for step in job["steps"].as_array().into_iter().flatten() {
                if let Some(uses) = step["uses"].as_str() {
                    if !pinned.is_match(uses) {
                        found.push(format!("{path}: {name} uses {uses}, which is not pinned to a commit"));
                    }
                    continue;
                }
                let run = step["run"].as_str().unwrap_or_default();
                let mut scripts = script.find_iter(run).map(|found| found.as_str()).peekable();
                if scripts.peek().is_none() && !run.starts_with("cargo test ") {
                    found.push(format!("{path}: {name} runs {run:?}, which is no script of this repository"));
                }
                for script in scripts {
                    if !house.0.contains_key(script) {
                        found.push(format!("{path}: {name} runs {script}, which is not there"));
                    }
                    used.insert(script.to_owned());
                }
            }
        }
    }
    for trigger in ["pull_request", "push", "schedule", "workflow_dispatch"] {
        if !triggers.contains(trigger) {
            found.push(format!("{WORKFLOWS}: nothing runs on {trigger}"));
        }
    }
    for needed in REHEARSED {
        if !used.contains(needed) {
            found.push(format!("{WORKFLOWS}: no job runs {needed}"));
        }
        if !house.text(REHEARSAL).lines().any(|line| !line.starts_with('#') && line.contains(needed)) {
            found.push(format!("{REHEARSAL} does not run {needed}, which the pipeline runs"));
        }
    }
    Ok(found)
}

/// The actions of a policy's statements, wherever they stand below `node`.
fn actions(node: &Value, into: &mut BTreeSet<String>) {
    if node["Effect"] == "Allow" {
        into.extend(node["Action"].as_str().map(str::to_owned));
        let list = node["Action"].as_array().into_iter().flatten();
        into.extend(list.filter_map(Value::as_str).map(str::to_owned));
    }
    node.as_object().into_iter().flatten().for_each(|(_, inner)| actions(inner, into));
    node.as_array().into_iter().flatten().for_each(|inner| actions(inner, into));
}

/// Every role of the template takes the boundary, which admits all that they permit, and no more.
fn boundary(house: &House) -> Result<Complaints, String> {
    let (template, roles) = (written(house, TEMPLATE)?, written(house, ROLES)?);
    let mut found = Vec::new();
    let (mut permitted, mut admitted) = (BTreeSet::new(), BTreeSet::new());
    for (id, role) in template["Resources"].as_object().into_iter().flatten() {
        if role["Type"] != "AWS::IAM::Role" {
            continue;
        }
        actions(&role["Properties"]["Policies"], &mut permitted);
        if !role["Properties"]["PermissionsBoundary"].to_string().contains("BoundRoles") {
            found
                .push(format!("{TEMPLATE}: {id} does not take the boundary, so the pipeline cannot make it"));
        }
    }
    actions(&roles["Resources"]["Boundary"], &mut admitted);
    found.extend(permitted.difference(&admitted).map(|action| {
        format!("{ROLES}: the boundary does not admit {action}, which a role of {TEMPLATE} permits")
    }));
    found.extend(
        admitted.difference(&permitted).map(|action| {
            format!("{ROLES}: the boundary admits {action}, which no role of {TEMPLATE} permits")
        }),
    );
    Ok(found)
}

/// One repository and one environment, both exactly, may assume the pipeline's role; and it may change a stack only with
/// the role that makes bounded roles.
fn trust(house: &House) -> Result<Complaints, String> {
    let roles = written(house, ROLES)?;
    let role = |name: &str| &roles["Resources"][name]["Properties"];
    let mut found = Vec::new();
    let assumed = role("PipelineRole")["AssumeRolePolicyDocument"]["Statement"].to_string();
    let exact = ["repo:${Repository}:environment:${Environment}", "sts.amazonaws.com", "\"StringEquals\""];
    if exact.iter().any(|part| !assumed.contains(part)) || assumed.contains("Like") {
        found.push(format!("{ROLES}: PipelineRole trusts more than one environment of one repository"));
    }
    let deploys = role("PipelineRole")["Policies"].to_string();
    if !deploys.contains("cloudformation:RoleArn") {
        found.push(format!("{ROLES}: PipelineRole may change the stack without StackRole"));
    }
    let mut own = BTreeSet::new();
    actions(&role("PipelineRole")["Policies"], &mut own);
    if let Some(wide) = own.iter().find(|action| action.ends_with('*') || action.starts_with("iam:Create")) {
        found.push(format!("{ROLES}: PipelineRole may {wide}"));
    }
    let makes = role("StackRole")["Policies"].as_array().into_iter().flatten();
    for statement in makes.filter_map(|policy| policy["PolicyDocument"]["Statement"].as_array()).flatten() {
        let text = statement["Action"].to_string();
        let can = ["iam:CreateRole", "iam:PutRolePolicy", "iam:*", "\"*\""];
        if can.iter().any(|action| text.contains(action))
            && !statement["Condition"].to_string().contains("iam:PermissionsBoundary")
        {
            found.push(format!("{ROLES}: StackRole may make a role without the boundary"));
        }
        if text.contains("AttachRolePolicy") || text.contains("DeleteRolePermissionsBoundary") {
            found.push(format!("{ROLES}: StackRole may {text}, which a boundary must not allow"));
        }
    }
    Ok(found)
}

#[test]
fn what_is_delivered_is_decided_in_one_place() {
    assert_sound(&complaints(architecture(&HOUSE)));
    assert_sound(&toolchain(&HOUSE));
    assert_sound(&complaints(environments(&HOUSE)));
    assert_sound(&complaints(pipeline(&HOUSE)));
    assert_sound(&complaints(boundary(&HOUSE)));
    assert_sound(&complaints(trust(&HOUSE)));
}

#[test]
fn what_would_be_delivered_otherwise_is_named() {
    let template = |from, to| HOUSE.broken(TEMPLATE, from, to);
    let parameter = template("Architectures: [arm64]", "Architectures: [!Ref Architecture]");
    assert_blamed(&complaints(architecture(&parameter)), &["Globals", "Architecture"]);
    let other = template("      CodeUri: ../crates/query\n", "      Architectures: [x86_64]\n");
    assert_blamed(&complaints(architecture(&other)), &["QueryFunction", "of its own"]);
    assert_blamed(&complaints(architecture(&template("Architectures: [arm64]", ""))), &["Globals"]);

    let pages = [("docs/deploy.md", "pip install aws-sam-cli"), (".ci/run", "cargo install cargo-lambda")];
    for (page, line) in pages {
        let more = HOUSE.with(page, &format!("{}\n{line}\n", HOUSE.text(page)));
        assert_blamed(&toolchain(&more), &[page, TOOLS]);
    }
    let versioned = HOUSE.with("docs/other.md", "You need ziglang==0.13.0.");
    assert_blamed(&toolchain(&versioned), &["docs/other.md", "ziglang"]);
    let unpinned = HOUSE.broken(TOOLS, "aws-sam-cli==$sam_version", "aws-sam-cli");
    assert_blamed(&toolchain(&unpinned), &["pins no version of aws-sam-cli"]);

    let config = |from, to| complaints(environments(&HOUSE.broken_after(SAMCONFIG, "[prod", from, to)));
    assert_blamed(
        &config("stack_name = \"orderflow-prod\"", "stack_name = \"orderflow-dev\""),
        &["prod", "own"],
    );
    assert_blamed(&config("confirm_changeset = true", "confirm_changeset = false"), &["prod does not ask"]);
    assert_blamed(&config("environment=prod", "environment=dev"), &["prod lacks the tag"]);
    assert_blamed(&config("resolve_s3 = true\n", ""), &["prod", "bucket"]);
}

#[test]
fn a_pipeline_that_may_or_does_too_much_is_named() {
    let deliver = ".github/workflows/deliver.yml";
    let job = |from, to| complaints(pipeline(&HOUSE.broken(deliver, from, to)));
    assert_blamed(&job("checkout@de0fac2e4500dabe0009e67214ff5f5447ce83dd", "checkout@v6"), &["checkout@v6"]);
    assert_blamed(
        &job("scripts/deploy \"$ARTEFACT\" dev", "scripts/ship \"$ARTEFACT\" dev"),
        &["scripts/ship"],
    );
    assert_blamed(&job("scripts/deploy \"$ARTEFACT\" dev --yes", "sam deploy"), &["sam deploy", "no script"]);
    assert_blamed(&job("permissions: {}", "permissions: write-all"), &["more permissions"]);
    assert_blamed(&job("    environment: dev\n", ""), &["dev", "without an environment"]);
    assert_blamed(&job("${{ vars.AWS_ROLE }}", "${{ secrets.AWS_ROLE }}"), &["stored secret"]);
    assert_blamed(&job("    timeout-minutes: 45\n", ""), &["build", "six hours"]);
    let unscheduled = HOUSE.without(".github/workflows/nightly.yml");
    assert_blamed(&complaints(pipeline(&unscheduled)), &["schedule"]);
    assert_blamed(&complaints(pipeline(&unscheduled)), &["no job runs scripts/nightly"]);
    let unrehearsed = HOUSE.with(REHEARSAL, &HOUSE.text(REHEARSAL).replace("scripts/collection", "true"));
    assert_blamed(&complaints(pipeline(&unrehearsed)), &[REHEARSAL, "scripts/collection"]);

    let roles = |from, to| HOUSE.broken(ROLES, from, to);
    assert_blamed(&complaints(boundary(&roles("              - dynamodb:Query\n", ""))), &["dynamodb:Query"]);
    let wide = roles(
        "              - dynamodb:Query\n",
        "              - dynamodb:Query\n              - dynamodb:Scan\n",
    );
    assert_blamed(&complaints(boundary(&wide)), &["dynamodb:Scan", "no role"]);
    let bare = "      PermissionsBoundary: !If [BoundRoles, !Ref PermissionsBoundary, !Ref AWS::NoValue]\n";
    let unbound = HOUSE.broken_after(TEMPLATE, "\n  QueryRole:\n", bare, "");
    assert_blamed(&complaints(boundary(&unbound)), &["QueryRole", "boundary"]);
    let any = roles(":environment:${Environment}", ":*");
    assert_blamed(&complaints(trust(&any)), &["more than one environment"]);
    assert_blamed(&complaints(trust(&roles("StringEquals:", "StringLike:"))), &["more than one environment"]);
    assert_blamed(
        &complaints(trust(&roles("cloudformation:RoleArn", "aws:Nothing"))),
        &["without StackRole"],
    );
    assert_blamed(
        &complaints(trust(&roles("iam:PermissionsBoundary\": !Ref", "aws:Nothing\": !Ref"))),
        &["without the boundary"],
    );
    assert_blamed(
        &complaints(trust(&roles("- iam:GetRole\n", "- iam:AttachRolePolicy\n"))),
        &["AttachRolePolicy"],
    );
}

//! Which crate may depend on which. Dependencies run one way, so that the rules know no AWS and no function knows
//! another.

use toml_edit::{DocumentMut, Item};

use super::{Complaints, HOUSE, House, assert_blamed, assert_sound, complaints};

/// The tables of a manifest that name what a crate depends on: in what ships, and in its tests.
const SHIPPED: [&str; 2] = ["dependencies", "build-dependencies"];
const TESTED: &str = "dev-dependencies";

/// The one crate that may name an AWS service client.
const ADAPTERS: &str = "aws_adapters";

/// The name of every service client begins so.
const SERVICE_CLIENT: &str = "aws-sdk-";

/// The names of crates for AWS, for I/O, for waiting and for chance begin with one of these. The rules use none of them.
const WORLDLY: [&str; 9] =
    ["aws", "lambda", "tokio", "futures", "http", "axum", "tracing", "fastrand", "rand"];

/// The interpreter may use these: it waits, and it draws the jitter of a retry.
const INTERPRETERS: [&str; 2] = ["tokio", "fastrand"];

/// Whether `other` is such a crate, and `name` must do without.
fn unworldly(name: &str, other: &str) -> bool {
    let worldly = WORLDLY.iter().any(|world| other.starts_with(world));
    match name {
        "domain" | "sam_template" => worldly,
        "asl" => worldly && !INTERPRETERS.contains(&other),
        _ => false,
    }
}

/// The crates of ours that `name` may depend on.
fn may(name: &str, functions: &[&str]) -> Vec<String> {
    let allowed: &[&str] = match name {
        "domain" | "asl" | "sam_template" => &[],
        ADAPTERS | "lambda_shell" => &["domain"],
        "local" => {
            let stand_ins = ["asl", "sam_template", "lambda_shell"];
            return [functions, &stand_ins].concat().into_iter().map(str::to_owned).collect();
        }
        _ => &["domain", ADAPTERS, "lambda_shell"],
    };
    allowed.iter().map(|name| (*name).to_owned()).collect()
}

/// The manifest of a crate of ours.
fn manifest(house: &House, name: &str) -> Result<DocumentMut, String> {
    let path = format!("crates/{name}/Cargo.toml");
    house.text(&path).parse().map_err(|error| format!("{path} cannot be read: {error}"))
}

/// The names of the dependencies that a crate ships with. Those of its tests are left out.
pub(super) fn shipped_with(house: &House, name: &str) -> Result<Vec<String>, String> {
    Ok(dependencies(&manifest(house, name)?, &SHIPPED))
}

/// The names in a manifest's tables of dependencies, also in those for one target.
fn dependencies(manifest: &DocumentMut, tables: &[&str]) -> Vec<String> {
    let of = |item: &Item| -> Vec<String> {
        let tables = tables.iter().filter_map(|table| item.get(table)?.as_table_like());
        tables.flat_map(|table| table.iter()).map(|(name, _)| name.to_owned()).collect()
    };
    let mut names = of(manifest.as_item());
    let targets = manifest.get("target").and_then(Item::as_table_like);
    names.extend(targets.into_iter().flat_map(|targets| targets.iter()).flat_map(|(_, item)| of(item)));
    names
}

/// No crate depends on one that it must not, and every folder has its crate's name.
fn arrows(house: &House) -> Result<Complaints, String> {
    let (crates, functions) = (house.crates(), house.functions());
    let mut found = Vec::new();
    for name in &crates {
        let path = format!("crates/{name}/Cargo.toml");
        let manifest = manifest(house, name)?;
        let package = manifest["package"]["name"].as_str().unwrap_or_default();
        if package != *name {
            found.push(format!("{path} names its crate {package}: name it {name}, as its folder"));
        }
        let may = may(name, &functions);
        // Tests may use no more of ours than the crate may.
        for other in dependencies(&manifest, &[SHIPPED[0], SHIPPED[1], TESTED]) {
            if crates.contains(&other.as_str()) && !may.contains(&other) {
                found.push(format!("{path}: {name} must not depend on {other}"));
            }
        }
        for other in dependencies(&manifest, &SHIPPED) {
            if unworldly(name, &other) {
                found.push(format!(
                    "{path}: {name} must not depend on {other}: its head says that it does not"
                ));
            }
        }
        // The local stack's tests hold its services against the real clients.
        let tables = if *name == "local" { &SHIPPED[..] } else { &[SHIPPED[0], SHIPPED[1], TESTED] };
        for other in dependencies(&manifest, tables) {
            if other.starts_with(SERVICE_CLIENT) && *name != ADAPTERS {
                found.push(format!(
                    "{path}: {name} must not depend on {other}: only {ADAPTERS} names AWS services"
                ));
            }
        }
    }
    Ok(found)
}

/// Only the adapters' sources and tests name a service client. A re-export could get around the manifests.
fn clients_in_sources(house: &House) -> Complaints {
    let allowed = |path: &str| {
        path.starts_with("crates/aws_adapters/") || path.starts_with("tests/") || path.ends_with("tests.rs")
    };
    house
        .sources("crates/")
        .filter(|(path, text)| !allowed(path) && text.contains("aws_sdk_"))
        .map(|(path, _)| format!("{path} names an AWS service client: only {ADAPTERS} may"))
        .collect()
}

#[test]
fn dependencies_run_one_way() {
    assert_sound(&complaints(arrows(&HOUSE)));
    assert_sound(&clients_in_sources(&HOUSE));
}

#[test]
fn a_dependency_that_runs_the_other_way_is_named_with_both_ends() {
    for (name, extra, culprit) in [
        ("domain", "aws_adapters.workspace = true", "aws_adapters"),
        ("domain", "tokio.workspace = true", "tokio"),
        ("aws_adapters", "lambda_shell.workspace = true", "lambda_shell"),
        ("asl", "domain.workspace = true", "domain"),
        ("asl", "aws-config.workspace = true", "aws-config"),
        ("sam_template", "asl.workspace = true", "asl"),
        ("sam_template", "tokio.workspace = true", "tokio"),
        ("lambda_shell", "aws_adapters = { path = \"../aws_adapters\" }", "aws_adapters"),
        ("place_order", "create_order.workspace = true", "create_order"),
        ("query", "local.workspace = true", "local"),
        ("local", "aws_adapters.workspace = true", "aws_adapters"),
        ("local", "domain.workspace = true", "domain"),
        ("query", "aws-sdk-sns.workspace = true", "aws-sdk-sns"),
        ("local", "aws-sdk-dynamodb.workspace = true", "aws-sdk-dynamodb"),
    ] {
        let path = format!("crates/{name}/Cargo.toml");
        let house = HOUSE.broken(&path, "[dependencies]\n", &format!("[dependencies]\n{extra}\n"));
        assert_blamed(&complaints(arrows(&house)), &[&path, culprit]);
    }
    let for_tests = HOUSE.broken(
        "crates/query/Cargo.toml",
        "[dependencies]\n",
        "[target.'cfg(unix)'.dev-dependencies]\nlocal.workspace = true\n[dependencies]\n",
    );
    assert_blamed(&complaints(arrows(&for_tests)), &["crates/query/Cargo.toml", "local"]);
    let renamed = HOUSE.broken("crates/query/Cargo.toml", "name = \"query\"", "name = \"queries\"");
    assert_blamed(&complaints(arrows(&renamed)), &["crates/query/Cargo.toml", "queries"]);
    let source = HOUSE.with("crates/query/src/peek.rs", "use aws_sdk_dynamodb::Client;");
    assert_blamed(&clients_in_sources(&source), &["crates/query/src/peek.rs"]);
}

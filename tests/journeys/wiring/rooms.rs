//! The absences that the heads of the crates state, looked for in their sources. Which crate depends on which is in
//! `arrows.rs`, what a role permits is in `roles.rs`; `.clippy.toml` keeps clocks and the environment out of every crate.

use std::collections::BTreeSet;

use super::{
    Complaints, HOUSE, House, TEMPLATE, assert_blamed, assert_sound, complaints, is_test, without_tests,
};

/// The services' folder; each file or folder in it is one service.
const SERVICES: &str = "crates/local/src/services/";

/// The library of `local`: its sources without those of the program `orderflow`.
const LOCAL: &str = "crates/local/src/";
const OF_THE_PROGRAM: [&str; 5] = [
    "crates/local/src/main.rs",
    "crates/local/src/cost/",
    "crates/local/src/demo.rs",
    "crates/local/src/in_process.rs",
    "crates/local/src/reconcile.rs",
];

/// A folder, the texts that no source in it may hold, and the reason, as the crate's head or the folder's states it.
type Absence = (&'static str, &'static [&'static str], &'static str);

/// Tests are held to these too.
const ABSENT: [Absence; 6] = [
    (
        "crates/asl/",
        &["dynamodb", "sns:", "cognito", "states:::lambda", "aws_sdk", "aws_adapters"],
        "asl knows no AWS service",
    ),
    (
        "crates/asl/",
        &["domain::", "CONFIRMED", "OrderId", "place_order", "inventory"],
        "asl does not know what an order is",
    ),
    (
        "crates/domain/",
        &["fs::", "net::", "process::", "thread::", "env::", "async fn", ".await", "StatusCode"],
        "domain does no I/O, awaits nothing and knows no HTTP",
    ),
    (
        "crates/sam_template/",
        &["tokio", "std::net", "std::process", "std::thread", "async fn", "fs::write(", "Database"],
        "sam_template starts nothing",
    ),
    (
        "crates/local/src/ground/",
        &["crate::aws", "crate::services", "crate::http"],
        "ground stands on nothing",
    ),
    (SERVICES, &["crate::aws", "crate::http", "crate::stack"], "services stand on ground alone"),
];

/// Tests are not held to these: they hand in a time, and they measure how long a run took.
const ABSENT_BUT_IN_TESTS: [Absence; 3] = [
    ("crates/asl/", &["SystemTime", "now_utc", "Instant::now"], "asl reads no clock"),
    ("crates/domain/", &["SystemTime::now", "now_utc", "Instant::now"], "domain reads no clock"),
    (
        "crates/place_order/",
        &["email", "EmailAddress", "Name"],
        "place_order knows no e-mail address and no name",
    ),
];

/// Answers with these statuses are errors, and only `lambda_shell` gives an error its status.
const STATUSES: [&str; 3] = ["StatusCode", "Response::json(4", "Response::json(5"];

/// The texts that stand where they must not. A file's own tests may write files that the reader is to read.
fn misplaced(house: &House) -> Complaints {
    let mut found = Vec::new();
    let mut look = |path: &str, source: &str, texts: &[&str], reason: &str| {
        for text in texts.iter().filter(|text| source.contains(**text)) {
            found.push(format!("{path} names {text:?}: {reason}"));
        }
    };
    for (folder, texts, reason) in ABSENT {
        for (path, source) in house.sources(folder).filter(|(path, _)| !path.contains("/tests/")) {
            look(path, source, texts, reason);
        }
    }
    for (folder, texts, reason) in ABSENT_BUT_IN_TESTS {
        for (path, source) in house.sources(folder).filter(|(path, _)| !is_test(path)) {
            look(path, without_tests(source), texts, reason);
        }
    }
    for name in house.functions() {
        let folder = format!("crates/{name}/");
        for (path, source) in house.sources(&folder) {
            look(path, source, &STATUSES, "only lambda_shell gives an error its HTTP status");
        }
    }
    for (path, source) in house.sources("crates/sam_template/src/").filter(|(path, _)| !is_test(path)) {
        let mut numbers = source.split(|c: char| !c.is_ascii_digit());
        if numbers.any(|number| number.len() == 12) {
            found.push(format!("{path} has a number like an account's: sam_template knows no account"));
        }
    }
    found
}

/// The names of the template's tables, topics and routes and of the workflow's states that `local` writes down. The
/// template alone has them.
fn wired_by_hand(house: &House) -> Result<Complaints, String> {
    let template = house.template()?;
    let (_, definition) = house.workflow()?;
    let mut names: BTreeSet<String> =
        definition.states().iter().map(|state| format!("\"{}\"", state.name())).collect();
    names.extend(template.tables.iter().map(|table| format!("\"{}\"", table.logical_id)));
    names.extend(template.topics.iter().map(|topic| format!("\"{}\"", topic.logical_id)));
    names.extend(template.apis.iter().flat_map(|api| &api.routes).map(|route| format!("{}\"", route.path)));
    let mut found = Vec::new();
    let program = |path: &str| OF_THE_PROGRAM.iter().any(|own| path.starts_with(own));
    let library = house.sources(LOCAL).filter(|(path, _)| !program(path) && !is_test(path));
    for (path, source) in library {
        for name in names.iter().filter(|name| without_tests(source).contains(*name)) {
            found.push(format!("{path} names {}: only {TEMPLATE} may", name.trim_matches('"')));
        }
    }
    Ok(found)
}

/// A service's name: its file or its folder.
fn service(path: &str) -> Option<&str> {
    let name = path.strip_prefix(SERVICES)?.split('/').next()?.trim_end_matches(".rs");
    (name != "mod").then_some(name)
}

/// The services that import another one.
fn acquainted(house: &House) -> Complaints {
    let mut names: Vec<&str> = house.sources(SERVICES).filter_map(|(path, _)| service(path)).collect();
    names.dedup();
    let mut found = Vec::new();
    for (path, source) in house.sources(SERVICES) {
        let Some(own) = service(path) else { continue };
        // The folder's own module would lead to every service.
        let whole = source.contains("services::{");
        for other in names.iter().filter(|other| **other != own) {
            if whole
                || source.contains(&format!("services::{other}"))
                || source.contains(&format!("super::{other}"))
            {
                found.push(format!("{path}: the service {own} must not import {other}"));
            }
        }
    }
    found
}

#[test]
fn each_room_names_only_what_it_stands_on() {
    assert_sound(&misplaced(&HOUSE));
    assert_sound(&acquainted(&HOUSE));
    assert_sound(&complaints(wired_by_hand(&HOUSE)));
}

#[test]
fn a_room_that_names_another_is_named_with_it() {
    let with = |path: &str, text: &str| HOUSE.with(path, text);
    for (path, text, culprit) in [
        ("crates/asl/src/calls.rs", "const A: &str = \"arn:aws:states:::dynamodb:putItem\";", "AWS service"),
        ("crates/asl/src/calls.rs", "use aws_sdk_sns::Client;", "aws_sdk"),
        ("crates/asl/src/calls.rs", "use domain::OrderId;", "order"),
        ("crates/asl/src/calls.rs", "let now = OffsetDateTime::now_utc();", "no clock"),
        ("crates/domain/src/calls.rs", "std::fs::read(path)", "no I/O"),
        ("crates/domain/src/calls.rs", "client.send().await", "awaits nothing"),
        ("crates/domain/src/calls.rs", "let started = Instant::now();", "no clock"),
        ("crates/place_order/src/mail.rs", "use domain::EmailAddress;", "no e-mail address"),
        ("crates/query/src/teapot.rs", "Response::json(418, &teapot)", "only lambda_shell"),
        ("crates/sam_template/src/arn.rs", "\"arn:aws:sns:us-east-1:123456789012:orders\"", "no account"),
        ("crates/sam_template/src/start.rs", "pub async fn start() {}", "starts nothing"),
        ("crates/sam_template/src/start.rs", "std::process::Command::new(\"docker\");", "starts nothing"),
        ("crates/local/src/ground/topics.rs", "use crate::services::sns::Sns;", "ground"),
        ("crates/local/src/services/sqs.rs", "use crate::aws::Aws;", "crate::aws"),
    ] {
        assert_blamed(&misplaced(&with(path, text)), &[path, culprit]);
    }
    for text in
        ["use crate::services::sns::Sns;", "use super::sns::Sns;", "use crate::services::{sns, lambda};"]
    {
        let path = "crates/local/src/services/cognito/mails.rs";
        assert_blamed(&acquainted(&with(path, text)), &[path, "cognito must not import sns"]);
    }
    for (text, name) in [
        ("\"OrdersTable\"", "OrdersTable"),
        ("\"OrderTopic\"", "OrderTopic"),
        ("\"GET /orders\"", "/orders"),
        ("\"/orders/{order_id}\"", "/orders/{order_id}"),
        ("\"UpdateStatus\"", "UpdateStatus"),
    ] {
        let path = "crates/local/src/services/sqs.rs";
        assert_blamed(
            &complaints(wired_by_hand(&with(path, text))),
            &[path, name, "only infra/template.yaml"],
        );
    }
}

//! What each crate's head says is not there, looked for in its sources: which room may name which.

use super::{Complaints, HOUSE, House, assert_blamed, assert_sound};

/// The services' folder; each file or folder in it is one service.
const SERVICES: &str = "crates/local/src/services/";

/// Texts that no source below a folder may hold, with the reason that the complaint gives. Tests are held to it too.
const ABSENT: [(&str, &[&str], &str); 5] = [
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

/// The texts that stand where they must not. A file's own tests may write files that the reader is to read.
fn misplaced(house: &House) -> Complaints {
    let mut found = Vec::new();
    for (folder, texts, reason) in ABSENT {
        for (path, source) in house.sources(folder).filter(|(path, _)| !path.contains("/tests/")) {
            for text in texts.iter().filter(|text| source.contains(**text)) {
                found.push(format!("{path} names {text:?}: {reason}"));
            }
        }
    }
    found
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
}

#[test]
fn a_room_that_names_another_is_named_with_it() {
    let with = |path: &str, text: &str| HOUSE.with(path, text);
    for (path, text, culprit) in [
        ("crates/asl/src/calls.rs", "const A: &str = \"arn:aws:states:::dynamodb:putItem\";", "AWS service"),
        ("crates/asl/src/calls.rs", "use aws_sdk_sns::Client;", "aws_sdk"),
        ("crates/asl/src/calls.rs", "use domain::OrderId;", "order"),
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
}

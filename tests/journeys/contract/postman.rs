//! The Postman collection covers the API. It has a request for every described route, each of its requests has an
//! assertion, and its environments set every variable. `scripts/newman` runs it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::world::{
    TEMPLATE,
    openapi::OPENAPI,
    postman::{admin_of_the_laptop, read, value_of},
};

/// Requests that are to no route of the API, and their purpose.
const OTHERS: [&str; 4] = [
    // The answer of an unknown route.
    "GET {{base_url}}/nothing",
    // Sign-up and sign-in, by Cognito or by the local stack in its place.
    "POST {{cognito_url}}",
    // Only the local stack has these. They are skipped on AWS.
    "GET {{base_url}}/local/mailbox",
    "POST {{base_url}}/local/mailbox/confirm-all",
];

#[test]
fn every_described_route_has_a_request_and_every_request_a_route() {
    let described: BTreeSet<String> = OPENAPI
        .operations
        .iter()
        .map(|operation| format!("{} {}", operation.method, operation.path))
        .collect();
    let mut occurring = BTreeSet::new();
    let mut others = BTreeSet::new();
    for request in requests() {
        match described.iter().find(|route| takes(route, &request.line)) {
            Some(route) => occurring.insert(route.clone()),
            None => others.insert(request.line),
        };
    }
    assert_eq!(occurring, described);
    assert_eq!(others, OTHERS.map(str::to_owned).into_iter().collect());
}

#[test]
fn every_request_has_a_unique_name_and_an_assertion() {
    let mut names = BTreeSet::new();
    for request in requests() {
        assert!(
            names.insert(request.name.clone()),
            "`{}` is there twice: a loop would go astray",
            request.name
        );
        assert!(request.test.contains("pm.test("), "`{}` asserts nothing", request.name);
    }
}

#[test]
fn a_loop_ends() {
    let looping: Vec<PostmanRequest> =
        requests().into_iter().filter(|request| request.test.contains("setNextRequest")).collect();
    assert!(!looping.is_empty());
    for request in looping {
        let test = &request.test;
        assert!(test.contains("setNextRequest(pm.info.requestName)"), "`{}` jumps", request.name);
        assert!(test.contains("if (!found && tries < 20)"), "`{}` may go on for ever", request.name);
        assert!(test.contains("set('tries', 0)"), "`{}` leaves its count to the next loop", request.name);
    }
}

#[test]
fn the_environments_and_the_collection_name_every_variable_that_is_used() {
    let collection = read("orderflow.postman_collection.json");
    let text = collection.to_string();
    let used: BTreeSet<&str> =
        text.split("{{").skip(1).filter_map(|rest| rest.split_once("}}")).map(|(name, _)| name).collect();
    let keys = |values: &Value| -> BTreeSet<String> {
        let values = values.as_array().expect("values").iter();
        values.filter_map(|value| value["key"].as_str()).map(str::to_owned).collect()
    };
    let of_collection = keys(&collection["variable"]);
    let of = |name: &str| keys(&read(&format!("{name}.postman_environment.json"))["values"]);
    let (local, aws) = (of("local"), of("aws"));
    // A script sets these before the request.
    let by_script = |name: &str| text.contains(&format!("pm.variables.set('{name}'"));
    for name in used {
        let known =
            of_collection.contains(name) || by_script(name) || (local.contains(name) && aws.contains(name));
        assert!(known, "{{{{{name}}}}} is set nowhere");
    }
    assert_eq!(local, aws, "both environments have the same variables");
    for name in aws {
        let read = format!("pm.environment.get('{name}')");
        assert!(text.contains(&read) || text.contains(&format!("{{{{{name}}}}}")), "{name} is never used");
    }
}

#[test]
fn the_local_stack_has_the_client_and_the_admin_of_the_environment() {
    let pool = TEMPLATE.user_pool.as_ref().expect("the template makes a pool");
    assert_eq!(value_of("local", "cognito_client_id"), pool.clients[0].id);
    let readme = include_str!("../../../README.md");
    assert!(readme.contains(&admin_of_the_laptop()), "README.md shows another admin");
}

#[test]
fn requests_to_local_routes_are_skipped_on_aws() {
    let local = requests().into_iter().filter(|request| request.line.contains("{{base_url}}/local/"));
    let mut count = 0;
    for request in local {
        let skips = "if (pm.environment.get('local') !== 'true'";
        assert!(
            request.before.contains(skips) && request.before.contains("pm.execution.skipRequest()"),
            "`{}` is sent to AWS too",
            request.name
        );
        count += 1;
    }
    assert!(count >= 4, "{count}");
}

#[test]
fn no_secret_is_in_an_environment() {
    // The passwords of `local` are no secrets: they are printed or generated, for accounts on one machine.
    let values = read("aws.postman_environment.json");
    let mut secrets = 0;
    for value in values["values"].as_array().expect("values") {
        let (key, text) = (value["key"].as_str().expect("a key"), value["value"].as_str().expect("a value"));
        if ["password", "username", "client_id"].iter().any(|part| key.ends_with(part)) {
            assert!(text.is_empty(), "{key}");
            secrets += 1;
        }
    }
    assert_eq!(secrets, 7);
}

struct PostmanRequest {
    name: String,
    /// Method and URL without its query.
    line: String,
    /// The script that runs before it.
    before: String,
    test: String,
}

fn requests() -> Vec<PostmanRequest> {
    let mut found = Vec::new();
    let mut open = vec![read("orderflow.postman_collection.json")["item"].take()];
    while let Some(items) = open.pop() {
        for item in items.as_array().expect("items") {
            if item["item"].is_array() {
                open.push(item["item"].clone());
                continue;
            }
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            let url = &item["request"]["url"];
            let url = text(if url.is_string() { url } else { &url["raw"] });
            let path = url.split('?').next().unwrap_or_default();
            let mut scripts: BTreeMap<String, String> = BTreeMap::new();
            for event in item["event"].as_array().expect("events") {
                let lines = event["script"]["exec"].as_array().expect("lines").iter().map(text);
                scripts.insert(text(&event["listen"]), lines.collect::<Vec<_>>().join("\n"));
            }
            found.push(PostmanRequest {
                name: text(&item["name"]),
                line: format!("{} {path}", text(&item["request"]["method"])),
                before: scripts.remove("prerequest").unwrap_or_default(),
                test: scripts.remove("test").unwrap_or_default(),
            });
        }
    }
    found
}

/// Whether a request of the collection is to this route.
fn takes(route: &str, request: &str) -> bool {
    let Some((method, path)) = request.split_once(" {{base_url}}") else { return false };
    let Some((of_method, wanted)) = route.split_once(' ') else { return false };
    let (wanted, given): (Vec<&str>, Vec<&str>) = (wanted.split('/').collect(), path.split('/').collect());
    method == of_method
        && wanted.len() == given.len()
        && wanted.iter().zip(given).all(|(wanted, given)| *wanted == given || wanted.starts_with('{'))
}

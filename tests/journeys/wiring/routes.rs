//! The template's routes against their description in `infra/openapi.yaml`, and against the functions that answer
//! them. A new route is written in the template and in the description. Its function's crate names it too.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use local::{
    ground::StackClock,
    stack::{Options, Stack},
};
use sam_template::{PathSegment, Route, RoutePath, yaml};
use serde_json::json;
use time::macros::datetime;

use super::{Complaints, HOUSE, House, TEMPLATE, assert_blamed, assert_sound, complaints};
use crate::world::Shop;

const OPENAPI: &str = "infra/openapi.yaml";

/// The template's routes, by key (`GET /orders/{order_id}`), with the crates that answer them.
fn wired(house: &House) -> Result<BTreeMap<String, (Route, String)>, String> {
    let template = house.template()?;
    let crate_of = |logical_id: &str| {
        let function = template.functions.iter().find(|function| function.logical_id == logical_id);
        function.map_or_else(String::new, |function| function.binary.clone())
    };
    let routes = template.apis.iter().flat_map(|api| &api.routes);
    Ok(routes
        .map(|route| {
            let key = format!("{} {}", route.method, route.path);
            (key, (route.clone(), crate_of(&route.function)))
        })
        .collect())
}

/// Every route of the template is described, and every description is a route.
fn described(house: &House) -> Result<Complaints, String> {
    let document = yaml::read(house.text(OPENAPI)).map_err(|fault| format!("{OPENAPI}: {fault}"))?;
    let mut described = BTreeSet::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        let methods = item.as_object().into_iter().flatten().filter(|(_, operation)| {
            // A path may hold other members, such as its parameters. They have no answers.
            operation.get("responses").is_some()
        });
        described.extend(methods.map(|(method, _)| format!("{} {path}", method.to_uppercase())));
    }
    let wired = wired(house)?;
    let missing = wired.keys().filter(|route| !described.contains(*route));
    let missing = missing.map(|route| format!("{TEMPLATE} has the route {route}: describe it in {OPENAPI}"));
    let gone = described.iter().filter(|route| !wired.contains_key(*route));
    let gone = gone.map(|route| format!("{OPENAPI} describes {route}: {TEMPLATE} has no such route"));
    Ok(missing.chain(gone).collect())
}

/// A function's crate names the routes that the template gives to it, and no others. A door with several routes tells
/// them apart by these names; a door with one names it in its head.
fn named_in_sources(house: &House) -> Result<Complaints, String> {
    let wired = wired(house)?;
    let mut found = Vec::new();
    for name in house.functions() {
        let folder = format!("crates/{name}/src/");
        for (path, text) in house.sources(&folder) {
            let literals: BTreeSet<&str> =
                text.split('"').skip(1).step_by(2).filter(|l| is_route(l)).collect();
            for route in literals {
                if wired.get(route).is_none_or(|(_, owner)| owner != name) {
                    found.push(format!("{path} answers {route}: {TEMPLATE} does not give it that route"));
                }
            }
        }
        for route in wired.iter().filter(|(_, (_, owner))| owner == name).map(|(route, _)| route) {
            let quoted = [format!("\"{route}\""), format!("`{route}`"), format!("`{route} ")];
            let named = |(_, text): (&str, &str)| quoted.iter().any(|quoted| text.contains(quoted));
            if !house.sources(&folder).any(named) {
                found.push(format!("{TEMPLATE} gives {route} to {name}, and no file of {folder} names it"));
            }
        }
    }
    Ok(found)
}

/// Whether a text is a route's key: a method and a path.
fn is_route(literal: &str) -> bool {
    literal.split_once(' ').is_some_and(|(method, path)| {
        !method.is_empty()
            && method.bytes().all(|byte| byte.is_ascii_uppercase())
            && RoutePath::parse(path).is_ok()
    })
}

/// A path that the route matches.
fn sample(path: &RoutePath) -> String {
    let segments = path.segments().iter().map(|segment| match segment {
        PathSegment::Literal(literal) => format!("/{literal}"),
        PathSegment::Variable(name) if name == "order_id" => {
            "/6f1c3b1e-5d0a-5c0e-9a83-2f5b7e41d0c6".to_owned()
        }
        PathSegment::Variable(_) => "/TEA-1".to_owned(),
    });
    segments.collect()
}

/// Every route of the template reaches a function that knows it.
async fn answered(house: &House) -> Result<Complaints, String> {
    let template = house.template()?;
    let options =
        Options { file: None, clock: StackClock::held(datetime!(2026-03-01 12:00 UTC)), seed: Some(1) };
    let stack = Stack::start(&template, options).await.map_err(|fault| fault.to_string())?;
    let shop = Shop::on(stack);
    let mut found = Vec::new();
    for (key, (route, owner)) in wired(house)? {
        let method: Method = route.method.parse().map_err(|_unknown| format!("{key} has no such method"))?;
        let path = sample(&route.path);
        let body = (method != Method::GET).then(|| json!({}));
        let headers = [("idempotency-key", "any"), ("if-match", "\"1\"")];
        let reply = shop.call(method, &path, &shop.admin, body, &headers).await;
        let no_such_route =
            reply.body["detail"].as_str().is_some_and(|detail| detail.ends_with("such route"));
        // A gateway's own answer, and so no function's, is a message.
        if no_such_route || reply.body.get("message").is_some() {
            found.push(format!("crates/{owner} does not answer {key}: {}", reply.body));
        }
    }
    Ok(found)
}

#[test]
fn every_route_is_described_and_every_description_is_a_route() {
    assert_sound(&complaints(described(&HOUSE)));
}

#[test]
fn a_route_that_is_not_described_and_a_description_without_a_route_are_named() {
    for (from, to, undescribed, gone) in [
        (
            "Path: /orders/{order_id}\n",
            "Path: /orders/{id}\n",
            "PATCH /orders/{id}",
            "PATCH /orders/{order_id}",
        ),
        ("Method: PUT", "Method: PATCH", "PATCH /inventory/{sku}", "PUT /inventory/{sku}"),
    ] {
        let found = complaints(described(&HOUSE.broken(TEMPLATE, from, to)));
        assert_blamed(&found, &[undescribed, "describe it in infra/openapi.yaml"]);
        assert_blamed(&found, &[gone, "no such route"]);
    }
    let more = HOUSE.broken(OPENAPI, "\n  /health:\n", "\n  /alive:\n");
    assert_blamed(&complaints(described(&more)), &["GET /health", "describe it"]);
    assert_blamed(&complaints(described(&more)), &["GET /alive", "no such route"]);
}

#[test]
fn a_function_names_the_routes_that_it_is_given_and_no_others() {
    assert_sound(&complaints(named_in_sources(&HOUSE)));
}

#[test]
fn a_route_that_another_function_answers_is_named_with_both() {
    let house = HOUSE.broken(TEMPLATE, "Path: /health", "Path: /alive");
    assert_blamed(&complaints(named_in_sources(&house)), &["crates/query/src/lib.rs", "GET /health"]);
    assert_blamed(&complaints(named_in_sources(&house)), &["GET /alive to query", "crates/query/src/"]);
    // PlaceOrder takes POST /users, CreateUser POST /orders.
    let swapped = HOUSE
        .broken(TEMPLATE, "Path: /users\n", "Path: /swap\n")
        .broken(TEMPLATE, "Path: /orders\n", "Path: /users\n")
        .broken(TEMPLATE, "Path: /swap\n", "Path: /orders\n");
    let found = complaints(named_in_sources(&swapped));
    assert_blamed(&found, &["crates/create_user/src/lib.rs", "POST /users"]);
    assert_blamed(&found, &["POST /orders to create_user"]);
    assert_blamed(&found, &["POST /users to place_order"]);
}

#[tokio::test(start_paused = true)]
async fn every_route_of_the_template_is_answered_by_its_function() {
    assert_sound(&complaints(answered(&HOUSE).await));
}

#[tokio::test(start_paused = true)]
async fn a_route_that_its_function_does_not_know_is_named() {
    for (from, to, culprits) in [
        ("Path: /health", "Path: /alive", ["crates/query", "GET /alive"]),
        ("Path: /inventory/{sku}/adjustments", "Path: /inventory/{sku}/moves", ["adjust_inventory", "moves"]),
    ] {
        assert_blamed(&complaints(answered(&HOUSE.broken(TEMPLATE, from, to)).await), &culprits);
    }
}

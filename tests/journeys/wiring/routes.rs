//! The API's routes against the template, and against the functions that answer them.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use local::{
    ground::StackClock,
    stack::{Options, Stack},
};
use serde_json::json;
use time::macros::datetime;

use super::{Complaints, HOUSE, House, TEMPLATE, assert_blamed, assert_sound, complaints};
use crate::world::Shop;

/// The API, and the crate that answers each of its routes.
const API: [(&str, &str); 15] = [
    ("POST /users", "create_user"),
    ("GET /users/me", "query"),
    ("DELETE /users/me", "create_user"),
    ("POST /orders", "place_order"),
    ("GET /orders/{order_id}", "query"),
    ("GET /orders", "query"),
    ("POST /orders/{order_id}/cancel", "change_order"),
    ("PATCH /orders/{order_id}", "change_order"),
    ("POST /orders/{order_id}/resume", "change_order"),
    ("GET /inventory", "query"),
    ("GET /inventory/{sku}", "query"),
    ("PUT /inventory/{sku}", "adjust_inventory"),
    ("POST /inventory/{sku}/adjustments", "adjust_inventory"),
    ("GET /inventory/{sku}/movements", "query"),
    ("GET /health", "query"),
];

/// The template's routes, with the crates that answer them.
fn wired(house: &House) -> Result<BTreeMap<String, String>, String> {
    let template = house.template()?;
    let crate_of = |logical_id: &str| {
        let function = template.functions.iter().find(|function| function.logical_id == logical_id);
        function.map_or_else(String::new, |function| function.binary.clone())
    };
    let routes = template.apis.iter().flat_map(|api| &api.routes);
    Ok(routes.map(|route| (format!("{} {}", route.method, route.path), crate_of(&route.function))).collect())
}

/// The template has the API's routes and no others, each with the right function.
fn of_the_api(house: &House) -> Result<Complaints, String> {
    let wired = wired(house)?;
    let mut found = Vec::new();
    for (route, owner) in API {
        match wired.get(route) {
            Some(function) if function == owner => {}
            Some(function) => found.push(format!("{TEMPLATE} gives {route} to {function}; it is {owner}'s")),
            None => found.push(format!("{TEMPLATE} has no route {route}")),
        }
    }
    let known: Vec<&str> = API.iter().map(|(route, _)| *route).collect();
    for route in wired.keys().filter(|route| !known.contains(&route.as_str())) {
        found.push(format!("{TEMPLATE} has {route}, which is not of the API"));
    }
    Ok(found)
}

/// The routes that function crates name in their sources are those that the template gives them.
fn named_in_sources(house: &House) -> Result<Complaints, String> {
    let wired = wired(house)?;
    let mut found = Vec::new();
    for name in house.functions() {
        for (path, text) in house.sources(&format!("crates/{name}/src/")) {
            let literals: BTreeSet<&str> =
                text.split('"').skip(1).step_by(2).filter(|l| is_route(l)).collect();
            for route in literals {
                if wired.get(route).is_none_or(|owner| owner != name) {
                    found.push(format!("{path} answers {route}, which {TEMPLATE} does not give to it"));
                }
            }
        }
    }
    Ok(found)
}

fn is_route(literal: &str) -> bool {
    let method_and_path = literal.split_once(' ');
    method_and_path.is_some_and(|(method, path)| {
        ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method) && path.starts_with('/')
    })
}

/// Every route of the template reaches a function that knows it.
async fn answered(house: &House) -> Result<Complaints, String> {
    let template = house.template()?;
    let options =
        Options { file: None, clock: StackClock::held(datetime!(2026-03-01 12:00 UTC)), seed: Some(1) };
    let stack = Stack::start(&template, options).await.map_err(|fault| fault.to_string())?;
    let shop = Shop::on(stack);
    let mut found = Vec::new();
    for (route, owner) in wired(house)? {
        let (method, path) = route.split_once(' ').unwrap_or_default();
        let method: Method = method.parse().map_err(|_unknown| format!("{route} has no such method"))?;
        let path =
            path.replace("{order_id}", "6f1c3b1e-5d0a-5c0e-9a83-2f5b7e41d0c6").replace("{sku}", "TEA-1");
        let body = (method != Method::GET).then(|| json!({}));
        let headers = [("idempotency-key", "any"), ("if-match", "\"1\"")];
        let reply = shop.call(method, &path, &shop.admin, body, &headers).await;
        let no_such_route =
            reply.body["detail"].as_str().is_some_and(|detail| detail.ends_with("such route"));
        // A gateway's own answer, and so no function's, is a message.
        if no_such_route || reply.body.get("message").is_some() {
            found.push(format!("crates/{owner} does not answer {route}: {}", reply.body));
        }
    }
    Ok(found)
}

#[test]
fn the_template_has_the_routes_of_the_api_and_no_others() {
    assert_sound(&complaints(of_the_api(&HOUSE)));
}

#[test]
fn a_route_that_is_missing_or_new_or_given_to_another_function_is_named() {
    let path = |from, to| HOUSE.broken(TEMPLATE, from, to);
    for (house, culprits) in [
        (
            path("Path: /orders/{order_id}\n", "Path: /orders/{id}\n"),
            ["has no route", "PATCH /orders/{order_id}"],
        ),
        (
            path("Path: /orders/{order_id}\n", "Path: /orders/{id}\n"),
            ["PATCH /orders/{id}", "not of the API"],
        ),
        (path("Method: PUT", "Method: PATCH"), ["has no route", "PUT /inventory/{sku}"]),
        // PlaceOrder takes POST /users, CreateUser POST /orders.
        (
            path("Path: /users\n", "Path: /swap\n")
                .broken(TEMPLATE, "Path: /orders\n", "Path: /users\n")
                .broken(TEMPLATE, "Path: /swap\n", "Path: /orders\n"),
            ["POST /orders to create_user", "place_order's"],
        ),
    ] {
        assert_blamed(&complaints(of_the_api(&house)), &culprits);
    }
}

#[test]
fn no_function_answers_a_route_that_it_is_not_given() {
    assert_sound(&complaints(named_in_sources(&HOUSE)));
}

#[test]
fn a_route_that_is_answered_in_vain_is_named_with_its_file() {
    let house = HOUSE.broken(TEMPLATE, "Path: /health", "Path: /alive");
    assert_blamed(&complaints(named_in_sources(&house)), &["crates/query/src/lib.rs", "GET /health"]);
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

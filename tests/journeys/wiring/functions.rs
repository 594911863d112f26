//! Function crates against the template: each is deployed once, its `main.rs` is wiring only, and it reads exactly the
//! environment variables that it is given.

use std::collections::{BTreeMap, BTreeSet};

use local::{
    ground::StackClock,
    stack::{Options, Stack},
};
use time::macros::datetime;

use super::{Complaints, HOUSE, House, TEMPLATE, assert_blamed, assert_sound, complaints, day};
use crate::world::Shop;

/// The most lines that a `main.rs` may have.
const MOST_MAIN_LINES: usize = 10;

/// The template deploys every function crate once, and nothing else.
fn deployed(house: &House) -> Result<Complaints, String> {
    let crates = house.functions();
    let mut deployed: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for function in house.template()?.functions {
        deployed.entry(function.binary).or_default().push(function.logical_id);
    }
    let mut found = Vec::new();
    for name in &crates {
        match deployed.get(*name).map_or(0, Vec::len) {
            1 => {}
            0 => found.push(format!(
                "crates/{name} is a function (it has a main.rs) that {TEMPLATE} does not deploy: give it a resource"
            )),
            times => found.push(format!("{TEMPLATE} deploys crates/{name} {times} times")),
        }
    }
    for (binary, logical_ids) in &deployed {
        if !crates.contains(&binary.as_str()) {
            let ids = logical_ids.join(", ");
            found.push(format!("{ids} of {TEMPLATE} runs crates/{binary}, which has no main.rs"));
        }
    }
    Ok(found)
}

/// `main.rs` is wiring only.
fn short_mains(house: &House) -> Complaints {
    let mut found = Vec::new();
    for name in house.functions() {
        let lines = house.text(&format!("crates/{name}/src/main.rs")).lines().count();
        if lines > MOST_MAIN_LINES {
            found.push(format!(
                "crates/{name}/src/main.rs has {lines} lines and may have {MOST_MAIN_LINES}: move the rest to lib.rs"
            ));
        }
        if !house.0.contains_key(&format!("crates/{name}/src/lib.rs")) {
            found.push(format!("crates/{name} has no src/lib.rs: the local stack could not run it"));
        }
    }
    found
}

/// Each function reads the variables that the template sets for it, at its start and during a day's work, and no others.
async fn environment(house: &House) -> Result<Complaints, String> {
    let template = house.template()?;
    let options =
        Options { file: None, clock: StackClock::held(datetime!(2026-03-01 12:00 UTC)), seed: Some(1) };
    let stack = Stack::start(&template, options).await.map_err(|fault| fault.to_string())?;
    let shop = Shop::on(stack);
    day::of_a_shop(&shop).await;
    let functions = shop.stack.aws().functions().ok_or("no functions are deployed")?;
    let mut found = Vec::new();
    for function in functions.all() {
        let id = &function.logical_id;
        let wiring = template.functions.iter().find(|wiring| wiring.logical_id == *id);
        let set: BTreeSet<String> =
            wiring.into_iter().flat_map(|wiring| wiring.environment.keys().cloned()).collect();
        let read = function.env.names_read();
        found.extend(read.difference(&set).map(|name| format!("{id} reads {name}: set it in {TEMPLATE}")));
        found.extend(set.difference(&read).map(|name| {
            format!("{id} never reads {name}: take it out of {TEMPLATE}, or let day.rs do what reads it")
        }));
    }
    Ok(found)
}

#[test]
fn every_function_crate_is_deployed_and_nothing_else() {
    assert_sound(&complaints(deployed(&HOUSE)));
}

#[test]
fn a_crate_without_a_function_and_a_function_without_a_crate_are_named() {
    let refund = HOUSE.with("crates/refund/src/main.rs", "").with("crates/refund/Cargo.toml", "");
    assert_blamed(&complaints(deployed(&refund)), &["crates/refund", "does not deploy"]);
    let no_query = HOUSE.without("crates/query/src/main.rs");
    assert_blamed(&complaints(deployed(&no_query)), &["QueryFunction", "crates/query"]);
    let twice = HOUSE.broken(TEMPLATE, "Binary: query", "Binary: create_user").broken(
        TEMPLATE,
        "CodeUri: ../crates/query",
        "CodeUri: ../crates/create_user",
    );
    assert_blamed(&complaints(deployed(&twice)), &["crates/create_user", "2 times"]);
    assert_blamed(&complaints(deployed(&twice)), &["crates/query", "does not deploy"]);
}

#[test]
fn main_is_wiring_only() {
    assert_sound(&short_mains(&HOUSE));
}

#[test]
fn a_long_main_and_a_missing_library_are_named() {
    let long = HOUSE.with("crates/query/src/main.rs", &"//\n".repeat(MOST_MAIN_LINES + 1));
    assert_blamed(&short_mains(&long), &["crates/query/src/main.rs", "11 lines"]);
    assert_blamed(&short_mains(&HOUSE.without("crates/query/src/lib.rs")), &["crates/query", "lib.rs"]);
}

#[tokio::test(start_paused = true)]
async fn every_variable_that_a_function_reads_is_set_and_every_variable_that_is_set_is_read() {
    assert_sound(&complaints(environment(&HOUSE).await));
}

#[tokio::test(start_paused = true)]
async fn a_variable_that_is_missing_or_superfluous_is_named_with_its_function() {
    let missing = HOUSE.broken(TEMPLATE, "          STATE_MACHINE_ARN: !Ref OrderStateMachine\n", "");
    assert_blamed(
        &complaints(environment(&missing).await),
        &["PlaceOrderFunction", "STATE_MACHINE_ARN", TEMPLATE],
    );
    let superfluous = HOUSE.broken_after(
        TEMPLATE,
        "PlaceOrderFunction:",
        "ORDERS_TABLE: !Ref OrdersTable\n",
        "ORDERS_TABLE: !Ref OrdersTable\n          USERS_TABLE: !Ref UsersTable\n",
    );
    assert_blamed(
        &complaints(environment(&superfluous).await),
        &["PlaceOrderFunction", "USERS_TABLE", "never reads"],
    );
    let for_all = HOUSE.broken(TEMPLATE, "        LOG_LEVEL: !Ref LogLevel\n", "");
    assert_blamed(&complaints(environment(&for_all).await), &["LOG_LEVEL"]);
}

//! Sample events against the template. Each function has one; a door's is for a route of that door. The environment file
//! beside them has the local stack's values. `processes.rs` sends the events and reads the answers.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{Complaints, HOUSE, House, assert_blamed, assert_sound, complaints};

const EVENTS: &str = "infra/events/";
const ENVIRONMENT: &str = "infra/events/env.json";

/// Where a function in a container reaches the local stack's AWS port.
const ENDPOINT: (&str, &str) = ("AWS_ENDPOINT_URL", "http://host.docker.internal:4566");

/// The sample events, by the name of the crate that they are for.
fn samples(house: &House) -> BTreeMap<&str, &str> {
    house
        .0
        .iter()
        .filter(|(path, _)| path.as_str() != ENVIRONMENT)
        .filter_map(|(path, text)| Some((path.strip_prefix(EVENTS)?.strip_suffix(".json")?, text.as_str())))
        .collect()
}

/// Every function has a sample event, and every sample event is for a function.
fn events(house: &House) -> Result<Complaints, String> {
    let template = house.template()?;
    let samples = samples(house);
    let mut found = Vec::new();
    for function in &template.functions {
        let path = format!("{EVENTS}{}.json", function.binary);
        let Some(text) = samples.get(function.binary.as_str()) else {
            found.push(format!("{} has no sample event: write {path}", function.logical_id));
            continue;
        };
        let event: Value = serde_json::from_str(text).map_err(|error| format!("{path}: {error}"))?;
        let routes: BTreeSet<String> = template
            .apis
            .iter()
            .flat_map(|api| &api.routes)
            .filter(|route| route.function == function.logical_id)
            .map(|route| format!("{} {}", route.method, route.path))
            .collect();
        let asked = event["routeKey"].as_str().unwrap_or("no route");
        if !routes.is_empty() && !routes.contains(asked) {
            found.push(format!("{path} is for {asked}, which is no route of {}", function.logical_id));
        }
    }
    for name in samples.keys() {
        if !template.functions.iter().any(|function| function.binary == *name) {
            found
                .push(format!("{EVENTS}{name}.json is for no function: remove it, or name it after a crate"));
        }
    }
    Ok(found)
}

/// The environment file has every variable of every function with the local stack's value, and where that stack is.
fn environment(house: &House) -> Result<Complaints, String> {
    let file: Value =
        serde_json::from_str(house.text(ENVIRONMENT)).map_err(|error| format!("{ENVIRONMENT}: {error}"))?;
    let given: BTreeMap<&str, &str> = file["Parameters"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()))
        .collect();
    let template = house.template()?;
    let mut wanted: BTreeMap<&str, &str> = BTreeMap::from([ENDPOINT]);
    for function in &template.functions {
        wanted.extend(function.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    }
    let mut found = Vec::new();
    for (name, value) in &wanted {
        match given.get(name) {
            Some(same) if same == value => {}
            Some(other) => {
                found.push(format!("{ENVIRONMENT} has {other:?} for {name}: the local stack has {value:?}"));
            }
            None => found.push(format!("{ENVIRONMENT} lacks {name}: set it to {value:?}")),
        }
    }
    found.extend(
        given
            .keys()
            .filter(|name| !wanted.contains_key(*name))
            .map(|name| format!("{ENVIRONMENT} has {name}, which no function is given: remove it")),
    );
    Ok(found)
}

#[test]
fn every_function_has_a_sample_event_and_an_environment_to_run_it_in() {
    assert_sound(&complaints(events(&HOUSE)));
    assert_sound(&complaints(environment(&HOUSE)));
}

#[test]
fn an_event_or_a_variable_that_is_missing_or_superfluous_is_named() {
    let missing = HOUSE.without("infra/events/query.json");
    assert_blamed(&complaints(events(&missing)), &["QueryFunction", "write infra/events/query.json"]);
    let lost = HOUSE.with("infra/events/refund.json", "{}");
    assert_blamed(&complaints(events(&lost)), &["infra/events/refund.json", "no function"]);
    let route = "\"routeKey\": \"POST /orders\"";
    let theirs = HOUSE.broken("infra/events/place_order.json", route, "\"routeKey\": \"POST /users\"");
    assert_blamed(&complaints(events(&theirs)), &["place_order.json", "POST /users", "PlaceOrderFunction"]);
    let broken = HOUSE.with("infra/events/query.json", "{");
    assert_blamed(&complaints(events(&broken)), &["infra/events/query.json"]);
    let table = HOUSE.broken(ENVIRONMENT, "orderflow-UsersTable", "UsersTable");
    assert_blamed(&complaints(environment(&table)), &[ENVIRONMENT, "USERS_TABLE"]);
    let unset = HOUSE.broken(ENVIRONMENT, "    \"TLS_ROOTS\": \"amazon\",\n", "");
    assert_blamed(&complaints(environment(&unset)), &["lacks TLS_ROOTS"]);
    let more = HOUSE.broken(ENVIRONMENT, "\"TLS_ROOTS\"", "\"TLS_LEAVES\": \"oak\",\n    \"TLS_ROOTS\"");
    assert_blamed(&complaints(environment(&more)), &["TLS_LEAVES", "no function"]);
}

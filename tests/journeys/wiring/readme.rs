//! README against what it describes: its map against the folders, its tables against template, flags and a placed
//! order, its commands against CI. What it promises the absence of, and no other check looks for, is looked for here.

use std::collections::{BTreeMap, BTreeSet};

use local::aws::Recorded;

use super::{Complaints, HOUSE, House, assert_blamed, assert_sound, complaints, day};
use crate::shop::Shop;

const README: &str = "README.md";
const CI: &str = ".ci/run";
const MAIN: &str = "crates/local/src/main.rs";

/// The folders that the map lists entry by entry; of all others it names the folder alone.
const LISTED: [&str; 7] = ["crates/", "step_function/", "infra/", "docs/", "scripts/", "tests/", ".ci/"];

/// The lines between a heading and the next one.
fn section<'h>(house: &'h House, heading: &str) -> impl Iterator<Item = &'h str> {
    let after = house.text(README).lines().skip_while(move |line| *line != heading).skip(1);
    after.take_while(|line| !line.starts_with("## "))
}

/// The cells of a section's tables, row by row, without the heads.
fn rows(house: &House, heading: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
    };
    let lines: Vec<&str> = section(house, heading).collect();
    let rule = |line: &str| line.starts_with("|--");
    let mut rows = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let head = lines.get(at + 1).is_some_and(|next| rule(next));
        if line.starts_with('|') && !rule(line) && !head {
            rows.push(cells(line));
        }
    }
    rows
}

/// The map names every folder, every entry of the listed ones, and nothing that is not there.
fn map(house: &House) -> Complaints {
    let mut mapped = BTreeSet::new();
    let mut folder = "";
    for line in section(house, "## The map").skip_while(|line| *line != "```").skip(1) {
        if line == "```" {
            break;
        }
        let entry = line.split_whitespace().next().unwrap_or_default();
        if line.starts_with("  ") {
            mapped.insert(format!("{folder}{entry}"));
        } else {
            folder = entry;
            mapped.insert(entry.to_owned());
        }
    }
    let mut there = BTreeSet::new();
    for path in house.0.keys() {
        let Some((top, rest)) = path.split_once('/') else { continue };
        let top = format!("{top}/");
        if LISTED.contains(&top.as_str()) {
            let entry = rest.split_once('/').map_or(rest.to_owned(), |(folder, _)| format!("{folder}/"));
            there.insert(format!("{top}{entry}"));
        }
        there.insert(top);
    }
    let missing = there.difference(&mapped).map(|path| format!("{README}: the map does not name {path}"));
    let gone =
        mapped.difference(&there).map(|path| format!("{README}: the map names {path}, which is not there"));
    missing.chain(gone).collect()
}

/// Every path that stands in backticks exists.
fn paths(house: &House) -> Complaints {
    let mut found = Vec::new();
    // Odd pieces between backticks are code; a fence's are too, and hold no path alone.
    for quoted in house.text(README).split('`').skip(1).step_by(2) {
        let begins = LISTED.iter().any(|folder| quoted.starts_with(folder));
        let exists = house.0.keys().any(|path| path == quoted || path.starts_with(&format!("{quoted}/")));
        if begins && !quoted.contains(char::is_whitespace) && !exists {
            found.push(format!("{README} names {quoted}, which is not there"));
        }
    }
    found
}

/// The API's table is the template's routes.
fn routes(house: &House) -> Result<Complaints, String> {
    let template = house.template()?;
    let shown: BTreeSet<(String, String)> = rows(house, "## The API")
        .into_iter()
        .filter_map(|row| Some((row.first()?.clone(), row.get(2)?.clone())))
        .collect();
    let mut wired = BTreeSet::new();
    for route in template.apis.iter().flat_map(|api| &api.routes) {
        let function = template.functions.iter().find(|function| function.logical_id == route.function);
        let owner = function.map_or_else(String::new, |function| function.binary.clone());
        wired.insert((format!("{} {}", route.method, route.path), owner));
    }
    Ok(differences("route", &shown, &wired))
}

/// The parameters' table is the template's parameters.
fn parameters(house: &House) -> Result<Complaints, String> {
    let shown = rows(house, "## Deploy it").into_iter().filter_map(|row| row.into_iter().next()).collect();
    let there: BTreeSet<String> = house.template()?.parameters.into_keys().collect();
    Ok(differences("parameter", &shown, &there))
}

/// The flags' table is the flags, with their defaults.
fn flags(house: &House) -> Complaints {
    let shown: BTreeSet<(String, String)> = rows(house, "## Run it")
        .into_iter()
        .filter_map(|row| Some((row.first()?.clone(), row.get(1)?.clone())))
        // The template's default is a place to look in, which clap does not know.
        .map(|(flag, default)| if flag == "--template" { (flag, String::new()) } else { (flag, default) })
        .collect();
    let mut there = BTreeSet::new();
    let mut lines = house.text(MAIN).lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(rest) = line.strip_prefix("#[arg(long") else { continue };
        let default = rest.split_once("= ").map_or("", |(_, value)| value);
        let default = default.trim_end_matches(")]").trim_matches('"').to_owned();
        let field = lines.next().and_then(|line| line.split_once(':')).map_or("", |(name, _)| name);
        there.insert((format!("--{}", field.replace('_', "-")), default));
    }
    differences("flag", &shown, &there)
}

fn differences<T: Ord + std::fmt::Debug>(what: &str, shown: &BTreeSet<T>, there: &BTreeSet<T>) -> Complaints {
    let missing = there.difference(shown).map(|one| format!("{README} does not show the {what} {one:?}"));
    let gone =
        shown.difference(there).map(|one| format!("{README} shows the {what} {one:?}, which is not so"));
    missing.chain(gone).collect()
}

/// What CI runs is what the README tells people to run.
fn commands(house: &House) -> Complaints {
    let mut lines = section(house, "## Test it").skip_while(|line| *line != "```sh").skip(1);
    let command = lines.next().unwrap_or_default();
    let ran = house.text(CI).lines().any(|line| line.starts_with("part ") && line.ends_with(command));
    if command.starts_with("cargo test") && ran {
        Vec::new()
    } else {
        vec![format!("{CI} does not run what {README} says tests everything: {command:?}")]
    }
}

/// Every script is run by CI, or by one that is.
fn scripts(house: &House) -> Complaints {
    let scripts =
        house.0.iter().filter(|(path, text)| path.starts_with("scripts/") && text.starts_with("#!"));
    let used = |script: &str| {
        let named = |(path, text): (&String, &String)| {
            path != script && (path == CI || path.starts_with("scripts/")) && text.contains(script)
        };
        house.0.iter().any(named)
    };
    scripts.filter(|(path, _)| !used(path)).map(|(path, _)| format!("{CI} does not run {path}")).collect()
}

/// Whatever depends on chance is run again by CI, with more seeds.
fn races(house: &House) -> Complaints {
    let again = house.text(CI).lines().find(|line| line.contains("ORDERFLOW_SEEDS=")).unwrap_or_default();
    let chance =
        house.sources("tests/journeys/").filter(|(_, text)| text.contains(concat!("in see", "ds()")));
    chance
        .filter_map(|(path, _)| path.strip_prefix("tests/journeys/")?.strip_suffix(".rs"))
        .filter(|module| !again.contains(&format!(" {module}::")))
        .map(|module| format!("{CI} does not run {module}:: with more seeds"))
        .collect()
}

/// What is said not to be there yet is not there.
fn not_yet(house: &House) -> Complaints {
    let text: String = section(house, "## Deploy it").collect::<Vec<_>>().join(" ");
    let Some((_, missing)) = text.split_once("**Not there yet:**") else { return Vec::new() };
    missing
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|kind| {
            kind.starts_with("AWS::") && house.text(super::TEMPLATE).contains(&format!("Type: {kind}"))
        })
        .map(|kind| format!("{README} says that there is no {kind} yet, and there is"))
        .collect()
}

/// What one order of one line costs: calls, read units and write units by operation.
async fn cost_of_an_order() -> BTreeMap<String, [String; 3]> {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.customer("Ada").await;
    shop.stack.faults().record();
    assert_eq!(shop.place(&ada, "key-1", &[("TEA-1", 1)]).await.status, 201);
    let recorded = shop.stack.faults().recorded();
    let mut costs = BTreeMap::new();
    for (call, count) in Shop::counted(&recorded) {
        let operation = call.split_once(' ').map_or(call.as_str(), |(_, operation)| operation).to_owned();
        let units: f64 = recorded
            .iter()
            .filter(|recorded| recorded.call.operation == operation)
            .flat_map(|recorded| &recorded.consumed)
            .filter_map(|consumed| consumed["CapacityUnits"].as_f64())
            .sum();
        // A sum of nothing is -0.
        let units = units.abs().to_string();
        let none = || "0".to_owned();
        let reads = operation.starts_with("BatchGet") || operation.starts_with("Get");
        let [read, write] = if reads { [units, none()] } else { [none(), units] };
        costs.insert(operation, [count.to_string(), read, write]);
    }
    costs
}

/// The cost table is what an order costs.
fn costs(house: &House, costs: &BTreeMap<String, [String; 3]>) -> Complaints {
    let shown: BTreeSet<Vec<String>> = rows(house, "## What an order costs").into_iter().collect();
    let there: BTreeSet<Vec<String>> = costs
        .iter()
        .map(|(operation, [calls, read, write])| {
            vec![calls.clone(), operation.clone(), read.clone(), write.clone()]
        })
        .collect();
    let mut found = differences("cost", &shown, &there);
    let sum = |at: usize| -> u64 { shown.iter().filter_map(|row| row.get(at)?.parse::<u64>().ok()).sum() };
    let total = format!("That is {} read units and {} write units", sum(2), sum(3));
    if !section(house, "## What an order costs").any(|line| line.contains(&total)) {
        found.push(format!("{README} does not say {total:?}"));
    }
    found
}

/// The calls of a day that write without a condition, or scan.
fn unconditional(calls: &[Recorded]) -> Complaints {
    let mut found = Vec::new();
    for Recorded { call, permissions: needs, text, .. } in calls {
        let writes = ["PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem"]
            .contains(&call.operation.as_str());
        // A transaction needs one permission for each of its parts.
        let conditions = text.matches("ConditionExpression\\\":").count();
        if writes && conditions < needs.len() {
            found.push(format!("{} writes without a condition: {} {text}", call.caller, call.operation));
        }
        if call.operation == "Scan" {
            found.push(format!("{} scans a table", call.caller));
        }
    }
    found
}

/// The tests that are not run.
fn ignored(house: &House) -> Complaints {
    let mark = concat!("#[", "ignore");
    house
        .sources("")
        .filter(|(_, text)| text.contains(mark))
        .map(|(path, _)| format!("{path} has a test that is not run"))
        .collect()
}

#[test]
fn the_readme_describes_what_is_there() {
    assert_sound(&map(&HOUSE));
    assert_sound(&paths(&HOUSE));
    assert_sound(&complaints(routes(&HOUSE)));
    assert_sound(&complaints(parameters(&HOUSE)));
    assert_sound(&flags(&HOUSE));
    assert_sound(&commands(&HOUSE));
    assert_sound(&scripts(&HOUSE));
    assert_sound(&races(&HOUSE));
    assert_sound(&not_yet(&HOUSE));
    assert_sound(&ignored(&HOUSE));
}

#[test]
fn what_the_readme_gets_wrong_is_named() {
    let readme = |from, to| HOUSE.broken(README, from, to);
    assert_blamed(&map(&readme("  query/ ", "  querying/ ")), &["crates/querying/", "not there"]);
    assert_blamed(&map(&readme("  query/ ", "  querying/ ")), &["does not name crates/query/"]);
    assert_blamed(&map(&HOUSE.with("scripts/deploy", "")), &["does not name scripts/deploy"]);
    assert_blamed(&map(&HOUSE.with("docs/index.md", "")), &["does not name docs/index.md"]);
    assert_blamed(&paths(&readme("src/quote.rs", "src/price.rs")), &["crates/domain/src/price.rs"]);
    assert_blamed(&complaints(routes(&readme("GET /health", "GET /alive"))), &["does not show", "/health"]);
    assert_blamed(&complaints(routes(&readme("GET /health", "GET /alive"))), &["/alive", "not so"]);
    let removed = HOUSE.broken(super::TEMPLATE, "Path: /health", "Path: /alive");
    assert_blamed(&complaints(routes(&removed)), &["/health", "not so"]);
    assert_blamed(&complaints(parameters(&readme("| `LogLevel`", "| `Level`"))), &["LogLevel"]);
    assert_blamed(&flags(&readme("| `--port` | 3000", "| `--port` | 3001")), &["--port", "3001"]);
    assert_blamed(&flags(&readme("| `--ephemeral`", "| `--memory`")), &["--ephemeral"]);
    assert_blamed(&flags(&HOUSE.broken(MAIN, "    no_demo: bool", "    bare: bool")), &["--bare"]);
    assert_blamed(&commands(&readme("cargo test --workspace", "cargo test")), &[CI, "cargo test"]);
    assert_blamed(&commands(&HOUSE.broken(CI, "cargo test --workspace\n", "true\n")), &[CI]);
    assert_blamed(&scripts(&HOUSE.with("scripts/deploy", "#!/bin/sh")), &[CI, "scripts/deploy"]);
    assert_blamed(&scripts(&HOUSE.broken(CI, "part licences scripts/licences", "")), &["scripts/licences"]);
    assert_blamed(&races(&HOUSE.broken(CI, " races::", "")), &["races::", CI]);
    let denied =
        readme("## Deploy it\n", "## Deploy it\n\n**Not there yet:** any `AWS::CloudWatch::Alarm`.\n");
    assert_blamed(&not_yet(&denied), &["AWS::CloudWatch::Alarm"]);
    let skipped = HOUSE.with("tests/journeys/skipped.rs", concat!("#[", "ignore = \"slow\"]"));
    assert_blamed(&ignored(&skipped), &["tests/journeys/skipped.rs"]);
}

#[tokio::test(start_paused = true)]
async fn an_order_costs_what_the_readme_says() {
    let cost = cost_of_an_order().await;
    assert_sound(&costs(&HOUSE, &cost));
    let dearer = HOUSE.broken(README, "| 2 | `UpdateItem` | 0 | 4 |", "| 2 | `UpdateItem` | 0 | 5 |");
    assert_blamed(&costs(&dearer, &cost), &["UpdateItem", "\"5\""]);
    assert_blamed(&costs(&dearer, &cost), &["11 write units"]);
}

#[tokio::test(start_paused = true)]
async fn no_write_goes_without_a_condition() {
    let shop = Shop::open().await;
    shop.stack.faults().record();
    day::of_a_shop(&shop).await;
    let mut calls = shop.stack.faults().recorded();
    assert_sound(&unconditional(&calls));
    let transaction = calls.iter_mut().find(|call| call.call.operation == "TransactWriteItems");
    let transaction = transaction.expect("a transaction");
    transaction.text = transaction.text.replacen("ConditionExpression", "Other", 1);
    assert_blamed(&unconditional(&calls), &["TransactWriteItems", "without a condition"]);
}

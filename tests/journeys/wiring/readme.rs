//! README and docs against what they describe: the map against the folders, tables against template, flags, workflow and
//! a placed order, pictures against the transitions, commands against CI, links against files. What the README promises
//! the absence of, and no other check looks for, is looked for here.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use aws_adapters::Timeouts;
use domain::Status;
use local::{aws::Recorded, metering::units};

use super::{Complaints, DEFINITION, HOUSE, House, TEMPLATE, assert_blamed, assert_sound, complaints, day};
use crate::world::Shop;

const README: &str = "README.md";
const API: &str = "docs/api.md";
const ARCHITECTURE: &str = "docs/architecture.md";
const COSTS: &str = "docs/costs.md";
const DEPLOY: &str = "docs/deploy.md";
const DEVELOPMENT: &str = "docs/development.md";
const CI: &str = ".ci/run";
const MAIN: &str = "crates/local/src/main.rs";

/// The folders that the map lists entry by entry; of all others it names the folder alone. The README's links list what
/// is in `docs/`.
const LISTED: [&str; 6] = ["crates/", "step_function/", "infra/", "scripts/", "tests/", ".ci/"];

/// The files that set the lints.
const LINTS: [&str; 2] = [".clippy.toml", "Cargo.toml"];

/// A README that is longer is not read to its end.
const MOST_LINES: usize = 240;
const MOST_WORDS: usize = 2_000;

/// README and docs: path and text.
fn pages(house: &House) -> impl Iterator<Item = (&str, &str)> {
    let all = house.0.iter().map(|(path, text)| (path.as_str(), text.as_str()));
    all.filter(|(path, _)| *path == README || path.starts_with("docs/"))
}

/// The lines of a page between a heading and the next one.
fn section<'h>(house: &'h House, page: &str, heading: &str) -> impl Iterator<Item = &'h str> {
    let after = house.text(page).lines().skip_while(move |line| *line != heading).skip(1);
    after.take_while(|line| !line.starts_with("## "))
}

/// The cells of a section's tables, row by row, without the heads.
fn rows(house: &House, page: &str, heading: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        let line = line.strip_prefix('|').unwrap_or(line);
        let line = line.strip_suffix('|').unwrap_or(line);
        line.split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
    };
    let lines: Vec<&str> = section(house, page, heading).collect();
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

/// A page's text without its blocks of code, and those blocks, each with the name of its language.
fn prose_and_code(text: &str) -> (String, Vec<(&str, &str)>) {
    let mut prose = String::new();
    let mut code = Vec::new();
    for (at, piece) in text.split("```").enumerate() {
        if at % 2 == 0 {
            prose.push_str(piece);
        } else {
            code.push(piece.split_once('\n').unwrap_or((piece, "")));
        }
    }
    (prose, code)
}

/// The README can be read in one go.
fn length(house: &House) -> Complaints {
    let text = house.text(README);
    let (lines, words) = (text.lines().count(), text.split_whitespace().count());
    let mut found = Vec::new();
    if lines > MOST_LINES {
        found.push(format!("{README} has {lines} lines, {} too many", lines - MOST_LINES));
    }
    if words > MOST_WORDS {
        found.push(format!("{README} has {words} words, {} too many", words - MOST_WORDS));
    }
    found
}

/// The map names every folder, every entry of the listed ones, and nothing that is not there.
fn map(house: &House) -> Complaints {
    let mut mapped = BTreeSet::new();
    let mut folder = "";
    for line in section(house, README, "## The map").skip_while(|line| *line != "```").skip(1) {
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

/// Whether the repository has this file or folder.
fn exists(house: &House, path: &str) -> bool {
    let path = path.trim_end_matches('/');
    house.0.contains_key(path) || house.0.keys().any(|file| file.starts_with(&format!("{path}/")))
}

/// Every path that stands in backticks exists.
fn paths(house: &House) -> Complaints {
    let folders: BTreeSet<&str> = house.0.keys().filter_map(|path| Some(path.split_once('/')?.0)).collect();
    let mut found = Vec::new();
    for (page, text) in pages(house) {
        // Odd pieces between backticks are code; a fence's are too, and hold no path alone.
        for quoted in text.split('`').skip(1).step_by(2) {
            let begins = quoted.split_once('/').is_some_and(|(top, _)| folders.contains(top));
            if begins && !quoted.contains(char::is_whitespace) && !exists(house, quoted) {
                found.push(format!("{page} names {quoted}, which is not there"));
            }
        }
    }
    found
}

/// The anchor of a heading, as links name it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().chars().filter(|at| at.is_alphanumeric() || [' ', '-', '_'].contains(at));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// The links of a page that lead into this repository: the file from its root, and the heading.
fn links(page: &str, text: &str) -> Vec<(String, String)> {
    let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
    let (prose, _) = prose_and_code(text);
    let targets = prose.split("](").skip(1).filter_map(|after| Some(after.split_once(')')?.0));
    let inside = targets.filter(|target| !target.contains("://"));
    let resolved = inside.map(|target| {
        let (file, heading) = target.split_once('#').unwrap_or((target, ""));
        let file = match file.strip_prefix("../") {
            _ if file.is_empty() => page.to_owned(),
            Some(above) => above.to_owned(),
            None if folder.is_empty() => file.to_owned(),
            None => format!("{folder}/{file}"),
        };
        (file, heading.to_owned())
    });
    resolved.collect()
}

/// Every link leads to a file and a heading that are there, and the README leads to every page.
fn linked(house: &House) -> Complaints {
    let mut found = Vec::new();
    for (page, text) in pages(house) {
        for (file, heading) in links(page, text) {
            let (prose, _) = prose_and_code(house.text(&file));
            let mut headings =
                prose.lines().filter_map(|line| Some(line.strip_prefix('#')?.split_once(' ')?.1));
            if !exists(house, &file) {
                found.push(format!("{page} links to {file}, which is not there"));
            } else if !heading.is_empty() && !headings.any(|there| anchor(there) == heading) {
                found.push(format!("{page} links to {file}#{heading}, which is no heading there"));
            }
        }
    }
    let leads: BTreeSet<String> =
        links(README, house.text(README)).into_iter().map(|(file, _)| file).collect();
    let lost = pages(house).map(|(page, _)| page).filter(|page| *page != README && !leads.contains(*page));
    found.extend(lost.map(|page| format!("{README} does not link to {page}")));
    found
}

/// The routes' table is the template's routes.
fn routes(house: &House) -> Result<Complaints, String> {
    let template = house.template()?;
    let shown: BTreeSet<(String, String)> = rows(house, API, "## Routes")
        .into_iter()
        .filter_map(|row| Some((row.first()?.clone(), row.get(2)?.clone())))
        .collect();
    let mut wired = BTreeSet::new();
    for route in template.apis.iter().flat_map(|api| &api.routes) {
        let function = template.functions.iter().find(|function| function.logical_id == route.function);
        let owner = function.map_or_else(String::new, |function| function.binary.clone());
        wired.insert((format!("{} {}", route.method, route.path), owner));
    }
    Ok(differences(API, "route", &shown, &wired))
}

/// The parameters' table is the template's parameters, with their defaults.
fn parameters(house: &House) -> Result<Complaints, String> {
    let shown = rows(house, DEPLOY, "## Parameters")
        .into_iter()
        .filter_map(|row| Some((row.first()?.clone(), row.get(1)?.clone())))
        .collect();
    let there: BTreeSet<(String, String)> = house.template()?.parameters.into_iter().collect();
    Ok(differences(DEPLOY, "parameter", &shown, &there))
}

/// The flags' table is the flags, with their defaults.
fn flags(house: &House) -> Complaints {
    let shown: BTreeSet<(String, String)> = rows(house, DEVELOPMENT, "## Flags")
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
    differences(DEVELOPMENT, "flag", &shown, &there)
}

fn differences<T: Ord + std::fmt::Debug>(
    page: &str,
    what: &str,
    shown: &BTreeSet<T>,
    there: &BTreeSet<T>,
) -> Complaints {
    let missing = there.difference(shown).map(|one| format!("{page} does not show the {what} {one:?}"));
    let gone = shown.difference(there).map(|one| format!("{page} shows the {what} {one:?}, which is not so"));
    missing.chain(gone).collect()
}

/// The picture and the table of an order's states are the transitions that the domain allows.
fn transitions(house: &House) -> Complaints {
    const HEADING: &str = "## An order's states";
    let begins = |to: &Status| Status::ALL.iter().all(|from| from.step(*to).is_err());
    let ends = |from: &Status| Status::ALL.iter().all(|to| from.step(*to).is_err());
    let all = Status::ALL.iter();
    let mut there: BTreeSet<(String, String)> = all
        .clone()
        .flat_map(|from| Status::ALL.iter().filter(|to| from.step(**to).is_ok()).map(move |to| (from, to)))
        .map(|(from, to)| (from.to_string(), to.to_string()))
        .collect();
    there.extend(all.clone().filter(|to| begins(to)).map(|to| (String::new(), to.to_string())));
    let in_table = rows(house, ARCHITECTURE, HEADING).into_iter().filter_map(|row| {
        let to = row.get(1)?.clone();
        Some(row.first()?.split(", ").map(|from| (from.to_owned(), to.clone())).collect::<Vec<_>>())
    });
    let mut found =
        differences(ARCHITECTURE, "transition in the table", &in_table.flatten().collect(), &there);
    there.extend(all.filter(|from| ends(from)).map(|from| (from.to_string(), String::new())));
    let arrows = section(house, ARCHITECTURE, HEADING).filter_map(|line| line.trim().split_once(" --> "));
    let in_picture = arrows.map(|(from, to)| {
        let to = to.split_once(':').map_or(to, |(to, _)| to);
        let point = |name: &str| if name == "[*]" { String::new() } else { name.to_owned() };
        (point(from), point(to))
    });
    found.extend(differences(ARCHITECTURE, "transition in the picture", &in_picture.collect(), &there));
    found
}

/// The README's picture shows the states that place an order, in the order in which they come, and no others.
fn picture(house: &House) -> Result<Complaints, String> {
    let (_, definition) = house.workflow()?;
    let (_, code) = prose_and_code(house.text(README));
    let picture = code.into_iter().find(|(language, _)| *language == "mermaid").map_or("", |(_, text)| text);
    let mut words: Vec<&str> = picture.split(|at: char| !at.is_alphanumeric()).collect();
    // `CheckInventory`: a capital, and another one after a small letter.
    words.retain(|word| {
        word.starts_with(char::is_uppercase)
            && word.as_bytes().windows(2).any(|at| at[0].is_ascii_lowercase() && at[1].is_ascii_uppercase())
    });
    let shown: BTreeSet<&str> = words.into_iter().collect();
    let mut found: Complaints = shown
        .iter()
        .filter(|word| definition.state(word).is_none())
        .map(|word| format!("{README}: the picture shows {word}, which is no state of {DEFINITION}"))
        .collect();
    let tasks = definition.states().iter().filter(|state| state.resource().is_some());
    let missing = tasks.map(asl::State::name).filter(|name| !shown.contains(name));
    found.extend(missing.map(|name| format!("{README}: the picture does not show the state {name}")));
    Ok(found)
}

/// The picture of the parts shows every function.
fn functions(house: &House) -> Complaints {
    let parts: Vec<&str> = section(house, ARCHITECTURE, "## The parts").collect();
    let parts = parts.join("\n");
    let (_, code) = prose_and_code(&parts);
    let picture = code.iter().find(|(language, _)| *language == "mermaid").map_or("", |(_, picture)| picture);
    let words: BTreeSet<&str> = picture.split(|at: char| !at.is_ascii_alphanumeric() && at != '_').collect();
    let missing = house.functions().into_iter().filter(|name| !words.contains(name));
    missing.map(|name| format!("{ARCHITECTURE}: the picture of the parts does not show {name}")).collect()
}

/// The timeouts' table is what template, workflow and code wait for.
fn timeouts(house: &House) -> Result<Complaints, String> {
    let template = house.template()?;
    let (_, definition) = house.workflow()?;
    let seconds = |time: Duration| format!("{} s", format!("{time:?}").trim_end_matches('s'));
    let of = |binary: &str| {
        template.functions.iter().find(|function| function.binary == binary).map(|function| function.timeout)
    };
    let gateway = template.apis.iter().flat_map(|api| &api.routes).map(|route| route.timeout).max();
    let state = definition.state("CreateOrder").and_then(asl::State::timeout);
    let waits = [
        gateway,
        of("place_order"),
        Some(Timeouts::WORKFLOW),
        Some(Timeouts::OPERATION),
        definition.timeout(),
        state,
        of("create_order"),
        Some(Timeouts::OPERATION),
        Some(Timeouts::CONTENTION + Timeouts::OPERATION),
    ];
    let there: Vec<String> = waits.into_iter().map(|wait| wait.map(seconds).unwrap_or_default()).collect();
    let shown: Vec<String> = rows(house, ARCHITECTURE, "## Timeouts")
        .into_iter()
        .filter_map(|row| row.get(1).map(|wait| wait.trim_end_matches(" each").to_owned()))
        .collect();
    let right = shown == there;
    Ok(if right {
        Vec::new()
    } else {
        vec![format!("{ARCHITECTURE}: the timeouts are {there:?}, not {shown:?}")]
    })
}

/// What CI runs is what the README tells people to run.
fn commands(house: &House) -> Complaints {
    let mut lines = section(house, README, "## Test it").skip_while(|line| *line != "```sh").skip(1);
    let command = lines.next().unwrap_or_default();
    let ran = house.text(CI).lines().any(|line| line.starts_with("part ") && line.ends_with(command));
    if command.starts_with("cargo test") && ran {
        Vec::new()
    } else {
        vec![format!("{CI} does not run what {README} says tests everything: {command:?}")]
    }
}

/// The checks' table is CI's parts, in the order in which they run.
fn parts(house: &House) -> Complaints {
    let shown: Vec<String> =
        rows(house, DEVELOPMENT, "## Checks").into_iter().filter_map(|row| row.into_iter().next()).collect();
    let lines = house.text(CI).lines().filter_map(|line| line.strip_prefix("part "));
    let run: Vec<&str> = lines.filter_map(|line| line.split_whitespace().next()).collect();
    if shown == run {
        Vec::new()
    } else {
        vec![format!("{CI} runs {run:?}, and {DEVELOPMENT} shows {shown:?}")]
    }
}

/// Each absence that the README promises names its check.
fn absences(house: &House) -> Complaints {
    let lines: Vec<&str> = section(house, README, "## What is not there").collect();
    let text = lines.join("\n");
    let mut promises = text.split("\n- ").skip(1).peekable();
    if promises.peek().is_none() {
        return vec![format!("{README} promises no absence")];
    }
    promises
        .filter(|promise| {
            let named = promise.rsplit_once("(`").and_then(|(_, after)| Some(after.split_once('`')?.0));
            !named.is_some_and(|path| path.starts_with("tests/") || LINTS.contains(&path))
        })
        .map(|promise| format!("{README} does not say what checks this: {promise}"))
        .collect()
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
        .filter_map(|(path, _)| path.rsplit('/').next()?.strip_suffix(".rs"))
        .filter(|module| !again.contains(&format!(" {module}::")))
        .map(|module| format!("{CI} does not run {module}:: with more seeds"))
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
        let units = units(recorded.iter().filter(|recorded| recorded.call.operation == operation));
        costs.insert(operation, [count.to_string(), units.read(), units.write()]);
    }
    costs
}

/// The cost table is what an order costs.
fn costs(house: &House, costs: &BTreeMap<String, [String; 3]>) -> Complaints {
    let shown: BTreeSet<Vec<String>> = rows(house, COSTS, "## An order").into_iter().collect();
    let there: BTreeSet<Vec<String>> = costs
        .iter()
        .map(|(operation, [calls, read, write])| {
            vec![calls.clone(), operation.clone(), read.clone(), write.clone()]
        })
        .collect();
    let mut found = differences(COSTS, "cost", &shown, &there);
    let sum = |at: usize| -> f64 { shown.iter().filter_map(|row| row.get(at)?.parse::<f64>().ok()).sum() };
    let total = format!("That is {} read units and {} write units", sum(2), sum(3));
    if !section(house, COSTS, "## An order").any(|line| line.contains(&total)) {
        found.push(format!("{COSTS} does not say {total:?}"));
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
fn the_readme_and_the_docs_describe_what_is_there() {
    assert_sound(&length(&HOUSE));
    assert_sound(&map(&HOUSE));
    assert_sound(&paths(&HOUSE));
    assert_sound(&linked(&HOUSE));
    assert_sound(&complaints(routes(&HOUSE)));
    assert_sound(&complaints(parameters(&HOUSE)));
    assert_sound(&flags(&HOUSE));
    assert_sound(&transitions(&HOUSE));
    assert_sound(&complaints(picture(&HOUSE)));
    assert_sound(&functions(&HOUSE));
    assert_sound(&complaints(timeouts(&HOUSE)));
    assert_sound(&commands(&HOUSE));
    assert_sound(&parts(&HOUSE));
    assert_sound(&scripts(&HOUSE));
    assert_sound(&races(&HOUSE));
    assert_sound(&absences(&HOUSE));
    assert_sound(&ignored(&HOUSE));
}

#[test]
fn what_the_readme_gets_wrong_is_named() {
    let readme = |from, to| HOUSE.broken(README, from, to);
    let longer = |end: &str| HOUSE.with(README, &format!("{}{}", HOUSE.text(README), end.repeat(2_000)));
    assert_blamed(&length(&longer("\n")), &["lines", "too many"]);
    assert_blamed(&length(&longer("word ")), &["words", "too many"]);
    assert_blamed(&map(&readme("  query/ ", "  querying/ ")), &["crates/querying/", "not there"]);
    assert_blamed(&map(&readme("  query/ ", "  querying/ ")), &["does not name crates/query/"]);
    assert_blamed(&map(&HOUSE.with("scripts/ship", "")), &["does not name scripts/ship"]);
    assert_blamed(&map(&HOUSE.with("docker/Dockerfile", "")), &["does not name docker/"]);
    assert_blamed(&paths(&readme("src/quote.rs", "src/price.rs")), &["crates/domain/src/price.rs"]);
    assert_blamed(&commands(&readme("cargo test --workspace", "cargo test")), &[CI, "cargo test"]);
    assert_blamed(&commands(&HOUSE.broken(CI, "cargo test --workspace\n", "true\n")), &[CI]);
    assert_blamed(
        &complaints(picture(&readme("UpdateStatus[", "ConfirmOrder["))),
        &["ConfirmOrder", "no state"],
    );
    let unmarked = HOUSE.with(README, &HOUSE.text(README).replace("MarkNotified", "mark"));
    assert_blamed(&complaints(picture(&unmarked)), &["does not show", "MarkNotified"]);
    assert_blamed(&absences(&readme("(`tests/journeys/wiring/rooms.rs`)", "")), &["starts nothing"]);
    assert_blamed(&absences(&readme("## What is not there", "## What is there")), &["no absence"]);
    assert_blamed(&scripts(&HOUSE.with("scripts/ship", "#!/bin/sh")), &[CI, "scripts/ship"]);
    assert_blamed(&scripts(&HOUSE.broken(CI, "part licences scripts/licences", "")), &["scripts/licences"]);
    assert_blamed(&races(&HOUSE.broken(CI, " races::", "")), &["races::", CI]);
    let skipped = HOUSE.with("tests/journeys/skipped.rs", concat!("#[", "ignore = \"slow\"]"));
    assert_blamed(&ignored(&skipped), &["tests/journeys/skipped.rs"]);
}

#[test]
fn what_the_docs_get_wrong_is_named() {
    let broken = |page, from, to| HOUSE.broken(page, from, to);
    let moved = broken(API, "`crates/domain/src/error.rs`", "`crates/domain/src/errors/`");
    assert_blamed(&paths(&moved), &[API, "crates/domain/src/errors/"]);
    let lost = broken(README, "(docs/costs.md)", "(docs/cost.md)");
    assert_blamed(&linked(&lost), &["links to docs/cost.md", "not there"]);
    assert_blamed(&linked(&lost), &["does not link to docs/costs.md"]);
    assert_blamed(&linked(&HOUSE.with("docs/index.md", "")), &["does not link to docs/index.md"]);
    let above = broken(ARCHITECTURE, "(../README.md)", "(../README.rst)");
    assert_blamed(&linked(&above), &[ARCHITECTURE, "README.rst"]);
    let renamed = broken("docs/sign_in.md", "## The first admin", "## Admins");
    assert_blamed(&linked(&renamed), &[API, "docs/sign_in.md#the-first-admin", "no heading"]);
    let alive = || broken(API, "GET /health", "GET /alive");
    assert_blamed(&complaints(routes(&alive())), &["does not show", "/health"]);
    assert_blamed(&complaints(routes(&alive())), &["/alive", "not so"]);
    let removed = broken(TEMPLATE, "Path: /health", "Path: /alive");
    assert_blamed(&complaints(routes(&removed)), &["/health", "not so"]);
    assert_blamed(&complaints(parameters(&broken(DEPLOY, "| `LogLevel`", "| `Level`"))), &["LogLevel"]);
    let kept = broken(DEPLOY, "| `LogRetentionDays` | 30", "| `LogRetentionDays` | 31");
    assert_blamed(&complaints(parameters(&kept)), &["LogRetentionDays", "31", "not so"]);
    assert_blamed(
        &flags(&broken(DEVELOPMENT, "| `--port` | 3000", "| `--port` | 3001")),
        &["--port", "3001"],
    );
    assert_blamed(&flags(&broken(DEVELOPMENT, "| `--ephemeral`", "| `--memory`")), &["--ephemeral"]);
    assert_blamed(&flags(&broken(MAIN, "    no_demo: bool", "    bare: bool")), &["--bare"]);
    let arrow = broken(ARCHITECTURE, "    SHIPPED --> DELIVERED\n", "    SHIPPED --> CANCELLED\n");
    assert_blamed(&transitions(&arrow), &["picture", "DELIVERED", "does not show"]);
    assert_blamed(&transitions(&arrow), &["picture", "(\"SHIPPED\", \"CANCELLED\")", "not so"]);
    let end = broken(ARCHITECTURE, "    REJECTED --> [*]\n", "");
    assert_blamed(&transitions(&end), &["picture", "REJECTED", "does not show"]);
    let row = broken(ARCHITECTURE, "| PENDING, CONFIRMED | CANCELLED |", "| CONFIRMED | CANCELLED |");
    assert_blamed(&transitions(&row), &["table", "(\"PENDING\", \"CANCELLED\")", "does not show"]);
    let unseen = broken(ARCHITECTURE, "doors:<br>create_user<br>", "doors:<br>");
    assert_blamed(&functions(&unseen), &["picture of the parts", "create_user"]);
    let slower = HOUSE.broken(DEFINITION, "\"TimeoutSeconds\": 20", "\"TimeoutSeconds\": 19");
    assert_blamed(&complaints(timeouts(&slower)), &[ARCHITECTURE, "19 s"]);
    assert_blamed(&complaints(timeouts(&broken(ARCHITECTURE, "| 21.5 s |", "| 21 s |"))), &["21.5 s"]);
    assert_blamed(&parts(&broken(DEVELOPMENT, "| replay |", "| repeat |")), &["replay", "repeat"]);
    assert_blamed(&parts(&broken(CI, "part newman ", "part postman ")), &["postman", DEVELOPMENT]);
}

#[tokio::test(start_paused = true)]
async fn an_order_costs_what_the_docs_say() {
    let cost = cost_of_an_order().await;
    assert_sound(&costs(&HOUSE, &cost));
    let dearer = HOUSE.broken(COSTS, "| 2 | `UpdateItem` | 0 | 4 |", "| 2 | `UpdateItem` | 0 | 5 |");
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

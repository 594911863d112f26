//! The lists of an order's statuses against the domain's own. The compiler finds the places that match on a status; these
//! lists are those that it cannot see.

use std::collections::BTreeSet;

use domain::Status;
use sam_template::yaml;
use serde_json::Value;

use super::{Complaints, HOUSE, House, assert_blamed, assert_sound, complaints};

const ORDER: &str = "crates/domain/src/order.rs";
const SNAPSHOTS: &str = "crates/domain/src/snapshots/";
const OPENAPI: &str = "infra/openapi.yaml";
const AUDIT: &str = "scripts/audit_books.py";
const RECOVERY: &str = "scripts/lib/order_rows.py";
const POSTMAN: &str = "postman/orderflow.postman_collection.json";

/// The table of what every command does in every status, wherever it stands.
const MATRIX: &str = "/every_command.txt";

/// The status of an order that the workflow is still at: not announced, not listed, and an order in it is not settled.
const UNSETTLED: &str = "PENDING";

/// The status of an order that was never placed: a repeat of its request is refused.
const REFUSED: &str = "REJECTED";

/// The status that the workflow alone gives.
const OF_THE_WORKFLOW: &str = "CONFIRMED";

/// Where lists of statuses stand in the description of the API.
const LISTED: &str = "/paths/~1orders/get/parameters";
const ASKED_FOR: &str = "/components/schemas/OrderChange/properties/status/enum";
const EXPLAINED: &str = "/components/schemas/Status/description";
const SETTLED: &str = "/components/schemas/SettledOrder/allOf/1/properties/status/enum";

/// The statuses of the domain, and those of them that some transition leads to.
fn of_the_domain() -> (Vec<&'static str>, Vec<&'static str>) {
    let entered = |to: &Status| Status::ALL.into_iter().any(|from| from.step(*to).is_ok());
    let entered: Vec<&str> = Status::ALL.into_iter().filter(entered).map(Status::as_str).collect();
    (Status::ALL.map(Status::as_str).to_vec(), entered)
}

/// `Status::ALL` has every variant of the type.
fn all(house: &House) -> Complaints {
    let variants = house.text(ORDER).split_once("pub enum Status {").map_or("", |(_, after)| after);
    let variants = variants.split_once("\n}").map_or("", |(variants, _)| variants);
    let variants: Vec<&str> = variants.lines().filter_map(|line| line.trim().strip_suffix(',')).collect();
    let mut found: Complaints = variants
        .iter()
        .filter(|variant| !Status::ALL.iter().any(|status| format!("{status:?}") == **variant))
        .map(|variant| format!("{ORDER}: Status::ALL lacks {variant}"))
        .collect();
    if variants.is_empty() {
        found.push(format!("{ORDER} has no `pub enum Status`: tell this test where it is"));
    }
    found
}

/// Every list of statuses has every status that belongs in it.
fn listed(house: &House, all: &[&str], entered: &[&str]) -> Result<Complaints, String> {
    let mut found = Vec::new();
    let document = yaml::read(house.text(OPENAPI)).map_err(|fault| format!("{OPENAPI}: {fault}"))?;
    let parameters = document.pointer(LISTED).and_then(Value::as_array).into_iter().flatten();
    let filter = parameters.clone().find(|parameter| parameter["name"] == "status");
    let lists = [
        ("the parameter `status` of GET /orders", filter.map(|filter| &filter["schema"]["enum"])),
        (ASKED_FOR, document.pointer(ASKED_FOR)),
        (SETTLED, document.pointer(SETTLED)),
    ];
    for (place, list) in lists {
        let has = |status: &str| {
            list.and_then(Value::as_array).is_some_and(|list| list.iter().any(|one| one == status))
        };
        let belongs = |status: &str| match place {
            ASKED_FOR => entered.contains(&status) && status != OF_THE_WORKFLOW,
            SETTLED => status != UNSETTLED && status != REFUSED,
            _ => status != UNSETTLED,
        };
        for status in all.iter().filter(|status| belongs(status) != has(status)) {
            let verb = if belongs(status) { "lacks" } else { "must not have" };
            found.push(format!("{OPENAPI}: {place} {verb} {status}"));
        }
    }

    let explained = document.pointer(EXPLAINED).and_then(Value::as_str).unwrap_or_default();
    for status in all.iter().filter(|status| !explained.contains(&format!("{status}: "))) {
        found.push(format!("{OPENAPI}: {EXPLAINED} does not explain {status}"));
    }

    let (matrix, text) =
        house.0.iter().find(|(path, _)| path.ends_with(MATRIX)).ok_or("there is no every_command.txt")?;
    let cells: Vec<Vec<&str>> = text.lines().map(|line| line.split('|').map(str::trim).collect()).collect();
    for status in all {
        if !cells.iter().any(|line| line[0] == *status) {
            found.push(format!(
                "{matrix} has no line for {status}: add the lines that the failing test prints"
            ));
        }
        if entered.contains(status)
            && !cells.iter().any(|line| line.get(1) == Some(&&*format!("to {status}")))
        {
            found.push(format!(
                "{matrix} has no command `to {status}`: add the lines that the failing test prints"
            ));
        }
        let mail = format!("\nStatus:    {status} since ");
        let shown = house.0.iter().any(|(path, text)| path.starts_with(SNAPSHOTS) && text.contains(&mail));
        if *status != UNSETTLED && !shown {
            found.push(format!("{SNAPSHOTS} has no mail about {status}: add one to the tests of mail.rs"));
        }
        if *status != UNSETTLED && !house.text(POSTMAN).contains(&format!("'{status}'")) {
            found.push(format!(
                "{POSTMAN} has no assertion that an order is {status}: add a request that has one"
            ));
        }
        if !house.text(AUDIT).contains(&format!("\"{status}\": ")) {
            found.push(format!("{AUDIT} does not say where the units of a {status} order are"));
        }
    }
    Ok(found)
}

/// The table of transitions that recovery holds a history against is the domain's.
fn recovered(house: &House) -> Complaints {
    let table = house.text(RECOVERY).split_once("NEXT = {").map_or("", |(_, after)| after);
    let quoted =
        |text: &str| -> BTreeSet<String> { text.split('"').skip(1).step_by(2).map(str::to_owned).collect() };
    let mut found = Vec::new();
    for from in Status::ALL {
        let next: BTreeSet<String> =
            Status::ALL.into_iter().filter(|to| from.step(*to).is_ok()).map(|to| to.to_string()).collect();
        let row = table.split_once(&format!("\"{from}\": ")).map(|(_, after)| after);
        // An empty set is `set()`.
        let told = row.and_then(|row| row.split_once(['}', ')'])).map(|(row, _)| quoted(row));
        if told.as_ref() != Some(&next) {
            found.push(format!(
                "{RECOVERY} says that {told:?} may follow {from}, and the domain says {next:?}"
            ));
        }
    }
    found
}

#[test]
fn recovery_knows_the_domains_transitions() {
    assert_sound(&recovered(&HOUSE));
    let (table, known) = ("NEXT = {", "\"SHIPPED\": {\"DELIVERED\"}");
    let forgotten = HOUSE.broken_after(RECOVERY, table, known, "\"SHIPPED\": set()");
    assert_blamed(&recovered(&forgotten), &[RECOVERY, "may follow SHIPPED", "DELIVERED"]);
    let lost = HOUSE.broken_after(RECOVERY, table, "\"REJECTED\": set(), ", "");
    assert_blamed(&recovered(&lost), &[RECOVERY, "None may follow REJECTED"]);
}

#[test]
fn every_list_of_statuses_is_complete() {
    let (every, entered) = of_the_domain();
    assert_sound(&all(&HOUSE));
    assert_sound(&complaints(listed(&HOUSE, &every, &entered)));
}

#[test]
fn a_list_that_lacks_a_status_is_named_with_it() {
    let more = HOUSE.broken(
        ORDER,
        "pub enum Status {\n",
        "pub enum Status {\n    /// Lost on the way.\n    Lost,\n",
    );
    assert_blamed(&all(&more), &[ORDER, "Status::ALL lacks Lost"]);

    let (mut every, mut entered) = of_the_domain();
    every.push("LOST");
    entered.push("LOST");
    let found = complaints(listed(&HOUSE, &every, &entered));
    for culprits in [
        ["GET /orders", "lacks LOST"],
        ["OrderChange", "lacks LOST"],
        ["SettledOrder", "lacks LOST"],
        ["every_command.txt", "no line for LOST"],
        ["every_command.txt", "`to LOST`"],
        [SNAPSHOTS, "no mail about LOST"],
        [OPENAPI, "does not explain LOST"],
        [POSTMAN, "an order is LOST"],
        [AUDIT, "LOST order"],
    ] {
        assert_blamed(&found, &culprits);
    }

    let (every, entered) = of_the_domain();
    let asked = HOUSE.broken_after(OPENAPI, "    OrderChange:", "CANCELLED", "CONFIRMED");
    let found = complaints(listed(&asked, &every, &entered));
    assert_blamed(&found, &["OrderChange", "lacks CANCELLED"]);
    assert_blamed(&found, &["OrderChange", "must not have CONFIRMED"]);
}

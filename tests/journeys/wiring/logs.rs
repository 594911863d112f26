//! The crates whose log lines are kept, against the crates that log. A line of a crate that `lambda_shell` does not list
//! is dropped below a warning, and no other test would show it.

use std::collections::BTreeSet;

use tracing::Level;

use super::{Complaints, HOUSE, House, arrows::shipped_with, assert_blamed, assert_sound, complaints};

const LOGS: &str = "crates/lambda_shell/src/logs.rs";

/// The crates of ours that functions are made of: the functions, and the crates that these depend on.
fn shipped(house: &House) -> Result<BTreeSet<String>, String> {
    let crates = house.crates();
    let mut shipped = BTreeSet::new();
    let mut waiting: Vec<String> = house.functions().into_iter().map(str::to_owned).collect();
    while let Some(name) = waiting.pop() {
        if shipped.insert(name.clone()) {
            let needed = shipped_with(house, &name)?;
            waiting.extend(needed.into_iter().filter(|other| crates.contains(&other.as_str())));
        }
    }
    Ok(shipped)
}

/// The filter keeps the lines of every shipped crate that logs, and of no other crate.
fn kept(house: &House) -> Result<Complaints, String> {
    let filter = lambda_shell::log_filter(Level::INFO);
    let mut found = Vec::new();
    for name in shipped(house)? {
        let logs = shipped_with(house, &name)?.contains(&"tracing".to_owned());
        match (logs, filter.would_enable(&name, &Level::INFO)) {
            (true, false) => {
                found.push(format!(
                    "{LOGS} drops the log lines of {name}, which depends on tracing: add it to OURS"
                ));
            }
            (false, true) => {
                found.push(format!(
                    "{LOGS} keeps the log lines of {name}, which does not log: take it out of OURS"
                ));
            }
            (true, true) | (false, false) => {}
        }
    }
    Ok(found)
}

#[test]
fn the_log_lines_of_every_shipped_crate_are_kept() {
    assert_sound(&complaints(kept(&HOUSE)));
}

#[test]
fn a_crate_whose_log_lines_are_dropped_or_kept_in_vain_is_named() {
    let logs = "[dependencies]\ntracing.workspace = true\n";
    for name in ["query", "domain"] {
        let talks = HOUSE.broken(&format!("crates/{name}/Cargo.toml"), "[dependencies]\n", logs);
        assert_blamed(&complaints(kept(&talks)), &[LOGS, "drops", name, "add it to OURS"]);
    }
    let refund = HOUSE
        .with("crates/refund/src/main.rs", "")
        .with("crates/refund/Cargo.toml", &format!("[package]\nname = \"refund\"\n{logs}"));
    assert_blamed(&complaints(kept(&refund)), &["drops", "refund"]);
    let silent = HOUSE.broken("crates/sweep_orders/Cargo.toml", "tracing.workspace = true\n", "");
    assert_blamed(&complaints(kept(&silent)), &[LOGS, "keeps", "sweep_orders", "take it out"]);
}

//! `hot-sku`: how many orders a second one product takes, today and with its stock split over several rows ("lanes").
//! This file has the command. `hot_sku/sale.rs` says what a sale is, `hot_sku/play.rs` plays one, and
//! `hot_sku/tables.rs` has the tables of what came of many. Nothing here calls a service.

mod play;
mod sale;
mod tables;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use bench::report;
use clap::Args;
use serde_json::Value;

use self::sale::{SECOND, StepRetries};

/// The page that holds the tables, and their name there.
const PAGE: &str = "docs/scale.md";
const PLACE: &str = "hot-sku";

/// The state machine, whose retries are part of what is played.
const DEFINITION: &str = include_str!("../../step_function/order.asl.json");

/// Simulates the orders for one product that many want, and prints tables in Markdown.
#[derive(Debug, Args)]
pub(crate) struct HotSkuFlags {
    /// Write the tables into docs/scale.md instead.
    #[arg(long)]
    write: bool,
}

/// Prints the tables, or writes them into the page.
pub(crate) fn run(flags: &HotSkuFlags) -> ExitCode {
    let done = step_retries().and_then(|retries| {
        let tables = tables::all(&retries);
        if flags.write {
            let written = report::write(&repository().join(PAGE), &BTreeMap::from([(PLACE, tables)]));
            written.map_err(|fault| fault.to_string())
        } else {
            let printed = io::stdout().write_all(tables.as_bytes());
            printed.map_err(|error| format!("the tables cannot be printed: {error}"))
        }
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // If standard error is closed too, the exit code still tells.
            drop(writeln!(io::stderr(), "{error}"));
            ExitCode::FAILURE
        }
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The retries of the state that reserves stock, as the state machine has them.
fn step_retries() -> Result<StepRetries, String> {
    let definition: Value =
        serde_json::from_str(DEFINITION).map_err(|error| format!("the state machine is no JSON: {error}"))?;
    let retriers = definition["States"]["CreateOrder"]["Retry"].as_array();
    let contended = |retrier: &&Value| {
        let errors = retrier["ErrorEquals"].as_array();
        errors.is_some_and(|errors| errors.iter().any(|error| error == "StockContention"))
    };
    let retrier = retriers.and_then(|retriers| retriers.iter().find(contended));
    let retrier = retrier.ok_or("the state CreateOrder does not retry StockContention")?;
    let number = |name: &str| retrier[name].as_u64().ok_or_else(|| format!("{name} is no whole number"));
    let (interval, longest) = (number("IntervalSeconds")?, number("MaxDelaySeconds")?);
    if retrier["BackoffRate"].as_f64() != Some(2.0) || retrier["JitterStrategy"] != "FULL" {
        return Err("the simulation knows only retries with BackoffRate 2 and JitterStrategy FULL".to_owned());
    }
    let waits = (0..number("MaxAttempts")?).map(|retry| (interval << retry).min(longest) * SECOND);
    Ok(StepRetries { longest_waits: waits.collect() })
}

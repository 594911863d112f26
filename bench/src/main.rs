//! The bench's commands. `scripts/bench` builds what they count, and calls them; the simulation needs no build.

mod hot_sku;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
};

use bench::{
    Fault,
    gates::{self, All},
    measure::{self, Bench},
    report, valgrind,
};
use clap::{Parser, Subcommand};

/// The page with the table, and its name there.
const PAGE: &str = "docs/performance.md";
const PLACE: &str = "functions";

#[derive(Debug, Parser)]
#[command(about = "Counts what the functions' programs need, and simulates a product that many want")]
struct Arguments {
    /// The repository's root.
    #[arg(long, default_value = ".")]
    root: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    HotSku(hot_sku::HotSkuFlags),
    /// Counts instructions, bytes, calls and connections, and compares them with the committed ones.
    Gates {
        /// The functions: `<function>/bootstrap`, as cargo-lambda builds them.
        functions: PathBuf,
        /// Only this function; may be repeated.
        #[arg(long)]
        only: Vec<String>,
    },
    /// Compares only the programs' bytes, which takes no time.
    Sizes {
        /// The functions.
        functions: PathBuf,
    },
    /// Counts them, commits the figures to bench/committed.json, and writes them into docs/performance.md.
    Commit {
        /// The functions.
        functions: PathBuf,
        /// The functions of an earlier commit, to set the figures beside its own.
        #[arg(long)]
        before: Option<PathBuf>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(code) => code,
        Err(fault) => {
            complain(&fault.to_string());
            ExitCode::from(2)
        }
    }
}

async fn run(arguments: Arguments) -> Result<ExitCode, Fault> {
    let root = arguments.root;
    match arguments.command {
        Command::HotSku(flags) => Ok(hot_sku::run(&flags)),
        Command::Gates { functions, only } => {
            let wanted = |name: &str| only.is_empty() || only.iter().any(|one| one == name);
            let measured = count(&Bench::new(&root)?, &functions, &wanted).await?;
            let mut committed = gates::read(&root)?;
            committed.retain(|name, _| wanted(name));
            Ok(judged(&gates::compare(&committed, &measured), measured.len()))
        }
        Command::Sizes { functions } => {
            let sizes = measure::sizes(&root, &functions)?;
            Ok(judged(&gates::compare_sizes(&gates::read(&root)?, &sizes), sizes.len()))
        }
        Command::Commit { functions, before } => {
            let bench = Bench::new(&root)?;
            let now = count(&bench, &functions, &|_| true).await?;
            let before = match before {
                Some(before) => Some(count(&bench, &before, &|_| true).await?),
                None => None,
            };
            gates::write(&root, &now)?;
            let table = report::table(&now, before.as_ref());
            report::write(&root.join(PAGE), &BTreeMap::from([(PLACE, table)]))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Names each figure that moved.
fn judged(red: &[String], functions: usize) -> ExitCode {
    for one in red {
        complain(one);
    }
    say(&format!("{functions} functions, {} figures moved", red.len()));
    if red.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn count(bench: &Bench, functions: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<All, Fault> {
    valgrind::version()
        .ok_or_else(|| Fault::new("valgrind counts the instructions, and is not installed"))?;
    let mut measured = All::new();
    for function in bench.functions().into_iter().filter(|function| wanted(function)) {
        let figures = bench.count(&bench.shipped(functions, function)?).await?;
        say(&format!("{function}: {figures:?}"));
        measured.insert(function.to_owned(), figures);
    }
    Ok(measured)
}

#[allow(clippy::print_stdout, reason = "a command for people")]
fn say(what: &str) {
    println!("{what}");
}

#[allow(clippy::print_stderr, reason = "a command for people")]
fn complain(what: &str) {
    eprintln!("{what}");
}

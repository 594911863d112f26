//! The bench's commands. `scripts/bench` builds what they count, and calls them; the simulation needs no build.

mod hot_sku;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use bench::{
    Fault,
    gates::{self, All, Gates},
    group::{Group, SHARES, Share},
    machine,
    measure::{Bench, Subject},
    peers::{self, Places},
    report,
    stack::Stack,
    time_tables::{self, Measured},
    times::Times,
    valgrind, workflow, zip,
};
use clap::{Parser, Subcommand};

/// The page with the tables, and their names there.
const PAGE: &str = "docs/performance.md";
const PLACE: &str = "functions";
const WORKFLOW: &str = "workflow";
const TIMES: &str = "times";
const STACK: &str = "stack";
const PEERS: &str = "peers";

#[derive(Debug, Parser)]
#[command(
    about = "Counts and times what the functions' programs need, and simulates a product that many want"
)]
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
        /// Only this function, or `workflow`; may be repeated.
        #[arg(long)]
        only: Vec<String>,
    },
    /// Runs the workflow, for `gates` to count. Says nothing.
    Workflow {
        /// How often.
        executions: u64,
    },
    /// Counts them, commits the figures to bench/committed.json, and writes them into docs/performance.md.
    Commit {
        /// The functions.
        functions: PathBuf,
        /// The functions of an earlier commit, to set the figures beside its own.
        #[arg(long)]
        before: Option<PathBuf>,
    },
    /// Times the functions, and writes the tables into docs/performance.md. No time is a gate.
    Times {
        /// The functions.
        functions: PathBuf,
        /// The functions of an earlier commit, to set their times beside.
        #[arg(long)]
        before: Option<PathBuf>,
        /// Only this function; may be repeated. Then the tables are printed, and not written.
        #[arg(long)]
        only: Vec<String>,
    },
    /// Times `create_order` beside programs that others would write for its work, and writes the tables into
    /// docs/performance.md. Refuses a program that does other work. No time is a gate.
    Peers {
        /// The functions.
        functions: PathBuf,
        /// What would be uploaded for Python and for Node: the folders `python`, `node` and `node_bundled`.
        uploads: PathBuf,
        /// The peers in Rust: `<name>/bootstrap`.
        rust: PathBuf,
        /// Python with boto3 and awslambdaric.
        python: PathBuf,
    },
    /// Times orders on the local stack, and writes the table into docs/performance.md. No time is a gate.
    Stack {
        /// The program `orderflow`.
        orderflow: PathBuf,
        /// The program of an earlier commit, to set its times beside.
        #[arg(long, requires = "before_root")]
        before: Option<PathBuf>,
        /// The root of the repository at that commit, for its template and its workflow.
        #[arg(long)]
        before_root: Option<PathBuf>,
    },
}

#[tokio::main]
async fn main() -> ExitCode {
    let ended = tokio::select! {
        ended = run(Arguments::parse()) => ended,
        // What runs is dropped, which ends the programs and removes their groups.
        _interrupted = tokio::signal::ctrl_c() => Err(Fault::new("interrupted")),
    };
    match ended {
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
            let mut committed = gates::read(&root)?;
            committed.functions.retain(|name, _| wanted(name));
            let measured = count(&Bench::new(&root)?, &functions, &wanted).await?;
            let mut red = gates::compare(&committed.functions, &measured);
            if wanted(WORKFLOW) {
                red.extend(gates::compare_workflow(committed.workflow, count_workflow(&root).await?));
            }
            Ok(judged(&red))
        }
        Command::Commit { functions, before } => {
            let bench = Bench::new(&root)?;
            let now = Gates {
                functions: count(&bench, &functions, &|_| true).await?,
                workflow: count_workflow(&root).await?,
            };
            let before = match before {
                Some(before) => Some(count(&bench, &before, &|_| true).await?),
                None => None,
            };
            gates::write(&root, &now)?;
            let table = report::table(&now.functions, before.as_ref());
            let workflow = report::workflow(now.workflow);
            report::write(&root.join(PAGE), &BTreeMap::from([(PLACE, table), (WORKFLOW, workflow)]))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Workflow { executions } => {
            workflow::run(&root, executions).await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Times { functions, before, only } => {
            let tables = times(&Bench::new(&root)?, &functions, before.as_deref(), &only).await?;
            say(&tables);
            if only.is_empty() {
                report::write(&root.join(PAGE), &BTreeMap::from([(TIMES, tables)]))?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Command::Peers { functions, uploads, rust, python } => {
            let bench = Bench::new(&root)?;
            let tables = peers(&bench, &root, &functions, &Places { uploads, rust, python }).await?;
            say(&tables);
            report::write(&root.join(PAGE), &BTreeMap::from([(PEERS, tables)]))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Stack { orderflow, before, before_root } => {
            let now = Stack::measure(&orderflow, &root).await?;
            let before = match before.zip(before_root) {
                Some((before, root)) => Some(Stack::measure(&before, &root).await?),
                None => None,
            };
            let table = machine::measured_here() + &time_tables::stack(&now, before.as_ref());
            say(&table);
            report::write(&root.join(PAGE), &BTreeMap::from([(STACK, table)]))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Names each figure that moved.
fn judged(red: &[String]) -> ExitCode {
    for one in red {
        complain(one);
    }
    say(&format!("{} figures moved", red.len()));
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

async fn count_workflow(root: &Path) -> Result<u64, Fault> {
    let bench = std::env::current_exe()
        .map_err(|error| Fault::new(format!("the path of this program is not known: {error}")))?;
    let instructions = workflow::count(&bench, root).await?;
    say(&format!("{WORKFLOW}: {instructions}"));
    Ok(instructions)
}

/// Times the functions at each share that can be given, and makes the tables.
async fn times(
    bench: &Bench,
    functions: &Path,
    before: Option<&Path>,
    only: &[String],
) -> Result<String, Fault> {
    let (groups, text) = groups_here();
    let now = timed(bench, functions, &groups, only).await?;
    let before = match before {
        Some(before) => Some(timed(bench, before, &groups, only).await?),
        None => None,
    };
    Ok(text + &time_tables::functions(&now, before.as_ref()))
}

/// The groups for the shares that can be given here, and what the tables begin with.
fn groups_here() -> (Vec<Group>, String) {
    let (groups, missing): (Vec<_>, Vec<_>) = SHARES.into_iter().map(Group::make).partition(Result::is_ok);
    let mut text = machine::measured_here();
    if let Some(Err(fault)) = missing.first() {
        complain(&fault.to_string());
        let _in_memory = writeln!(text, "No share of a core could be given: {fault}.");
    }
    (groups.into_iter().flatten().collect(), text)
}

async fn timed(
    bench: &Bench,
    functions: &Path,
    groups: &[Group],
    only: &[String],
) -> Result<time_tables::All, Fault> {
    let mut all = time_tables::All::new();
    let wanted = |name: &&str| only.is_empty() || only.iter().any(|one| one == name);
    for function in bench.functions().into_iter().filter(wanted) {
        let subject = bench.shipped(functions, function)?;
        let zipped_bytes = zip::zipped_bytes(&functions.join(function), &["bootstrap"])?;
        let times = of_each_share(bench, function, &subject, groups).await?;
        all.insert(function.to_owned(), Measured { zipped_bytes, times });
    }
    Ok(all)
}

async fn of_each_share(
    bench: &Bench,
    name: &str,
    subject: &Subject,
    groups: &[Group],
) -> Result<BTreeMap<Share, Times>, Fault> {
    let mut times = BTreeMap::new();
    for group in groups {
        let measured = bench.times(subject, group).await?;
        complain(&format!("{name}, {:?}: {measured:?}", group.share()));
        times.insert(group.share(), measured);
    }
    Ok(times)
}

/// Times our program and its peers, and makes the tables. All peers are looked at before any is timed.
async fn peers(bench: &Bench, root: &Path, functions: &Path, places: &Places) -> Result<String, Fault> {
    let (groups, text) = groups_here();
    let free = Group::make(Share::Free)?;
    let ours = bench.shipped(functions, peers::FUNCTION)?;
    let zipped_bytes = zip::zipped_bytes(&functions.join(peers::FUNCTION), &["bootstrap"])?;
    let deeds = bench.deeds(&ours, &free).await?;
    let peers = bench.peers(root, places)?;
    for peer in peers.iter().filter(|peer| peer.works) {
        let named = |fault| Fault::new(format!("{}: {fault}", peer.name));
        let theirs = bench.deeds(&peer.subject, &free).await.map_err(named)?;
        peers::refuse_other_work(&peer.name, &deeds, &theirs)?;
    }
    let name = format!("{}, ours", peers::FUNCTION);
    let times = of_each_share(bench, &name, &ours, &groups).await?;
    let mut all = vec![(name, Measured { zipped_bytes, times })];
    for peer in peers {
        let times = of_each_share(bench, &peer.name, &peer.subject, &groups).await?;
        all.push((peer.name, Measured { zipped_bytes: peer.zipped_bytes, times }));
    }
    Ok(text + &time_tables::peers(&all))
}

#[allow(clippy::print_stdout, reason = "a command for people")]
fn say(what: &str) {
    println!("{what}");
}

#[allow(clippy::print_stderr, reason = "a command for people")]
fn complain(what: &str) {
    eprintln!("{what}");
}

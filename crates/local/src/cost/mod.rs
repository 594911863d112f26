//! `orderflow cost`: what AWS bills for a million orders, and for a month without any. It starts a shop in memory, counts
//! what requests use, and multiplies by the prices of `local::prices`. Nothing here opens a port or a data folder, and
//! nothing here calls AWS.
//!
//! | file | owns |
//! |---|---|
//! | `trial` | the shop in memory, and the counting |
//! | `scenarios` | what is done in it |
//! | `usage` | counts times prices |
//! | `grids` | the tables |
//! | `grid` | how a table is written |

mod grid;
mod grids;
mod scenarios;
mod trial;
mod usage;

use std::{
    fs,
    io::{self, Write as _},
    path::PathBuf,
};

use clap::Args;
use local::ground::ACCOUNT;
use sam_template::Template;
use tokio::runtime;
use tracing::Level;
use tracing_subscriber::{Layer as _, layer::SubscriberExt as _};

use self::{grid::Grid, scenarios::Findings, trial::LogVolume};
use crate::{BoxError, parameters_with, template_path};

/// The environment variable of the functions that sets the level of their log lines.
const LOG_LEVEL: &str = "LOG_LEVEL";

/// Prints what AWS bills for a million orders, and for a month without any.
///
/// It runs the template in memory, without a port or a data folder, and places, repeats, rejects, cancels, ships and
/// delivers orders. It counts what AWS would bill for each, and multiplies by the prices in
/// `crates/local/src/prices.rs`. Nothing asks AWS. Times are assumed, since local time is not AWS's time: the last
/// tables list the assumptions and the prices.
#[derive(Debug, Args)]
pub(crate) struct CostFlags {
    /// Print the tables in Markdown.
    #[arg(long)]
    markdown: bool,
    /// Write the tables into this page, between its marks, and print nothing. `docs/costs.md` is such a page.
    #[arg(long, value_name = "PAGE", conflicts_with = "markdown")]
    write: Option<PathBuf>,
    /// The template to run [default: `infra/template.yaml` in this folder or the nearest above].
    #[arg(long, value_name = "FILE")]
    template: Option<PathBuf>,
    /// A value for a parameter of the template, as Name=Value. Repeat the flag to give several.
    #[arg(long)]
    parameter: Vec<String>,
}

/// Counts, and prints or writes the tables.
pub(crate) async fn run(flags: CostFlags) -> Result<(), BoxError> {
    let CostFlags { markdown, write, template, parameter } = flags;
    let parameters = parameters_with(&parameter)?;
    let template = Template::read(&template_path(template)?, ACCOUNT, &parameters)?;
    let standing = template.standing;
    let found = tokio::task::spawn_blocking(move || count(&template)).await??;
    let grids = grids::all(&found, standing);
    if let Some(page) = write {
        let unusable = |problem: String| format!("the page {} {problem}", page.display());
        let text = fs::read_to_string(&page).map_err(|error| unusable(format!("cannot be read: {error}")))?;
        let filled = grid::filled(&text, &grids).map_err(unusable)?;
        fs::write(&page, filled).map_err(|error| unusable(format!("cannot be written: {error}")))?;
        return Ok(());
    }
    let shown = |grid: &Grid| {
        if markdown { format!("{}\n\n{}", grid.title, grid.markdown()) } else { grid.plain() }
    };
    let text: Vec<String> = grids.iter().map(shown).collect();
    write!(io::stdout().lock(), "{}", text.join("\n"))?;
    Ok(())
}

/// Runs the scenarios on this thread, under a clock of its own: it stands still but while a call takes its assumed time.
fn count(template: &Template) -> Result<Findings, BoxError> {
    let volume = LogVolume::default();
    let level = template.functions.iter().find_map(|function| function.environment.get(LOG_LEVEL));
    let level: Level = level.and_then(|level| level.parse().ok()).unwrap_or(Level::INFO);
    let lines = lambda_shell::log_lines(volume.clone()).with_filter(lambda_shell::log_filter(level));
    let metrics = lambda_shell::metric_lines(ACCOUNT.stack_name.to_owned(), volume.clone())
        .with_filter(lambda_shell::log_filter(Level::INFO));
    let _lines = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines).with(metrics));
    // The SDK's jitter comes from this thread's generator.
    fastrand::seed(1);
    let runtime = runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
    runtime.block_on(scenarios::run(template, volume))
}

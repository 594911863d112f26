//! `orderflow reconcile`: compares the reserved stock of every SKU with the quantities in the open orders, on a laptop or
//! on AWS. Nothing here changes a row. Nothing here knows how the comparison is made: the crate `query` owns it.
//!
//! ```text
//! orderflow reconcile                                            the data file of a stopped stack
//! orderflow reconcile --endpoint-url http://127.0.0.1:4566       a running stack
//! orderflow reconcile --orders-table X --inventory-table Y       AWS, with the usual credentials
//! ```
//!
//! It prints a line for each SKU that differs, and a summary as the last line. Exit status: 0 when the books balance, 1
//! when they differ, 2 when the comparison failed.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use clap::Args;
use local::{ground::ACCOUNT, offline::Offline, stack::parameters};
use query::{Difference, Reconciled, reconcile};
use sam_template::Template;

use crate::{BoxError, DATA_FILE, causes, lock_folder, template_path};

/// The exit status when the books differ.
const DIFFER: u8 = 1;
/// The exit status when the comparison failed.
pub(crate) const UNKNOWN: u8 = 2;

/// The access key id of the calls to a local stack, which checks no credentials.
const CALLER: &str = "Reconcile";

/// Compares the reserved stock of every SKU with the open orders, and changes nothing.
///
/// Without flags it reads the data file of a stopped stack. With --endpoint-url alone it asks a running stack. With
/// table names it asks AWS.
///
/// On AWS it uses the credentials and the region that the aws command line would use. They need dynamodb:Query on the
/// indexes and dynamodb:BatchGetItem on both tables. The tables' names are the deployed stack's outputs
/// `OrdersTableName` and `InventoryTableName`.
///
/// Exit status: 0 when the books balance, 1 when they differ, 2 when the comparison failed. An order that changes
/// during the run can look like a difference: run it again and act only on differences that persist.
#[derive(Debug, Args)]
pub(crate) struct ReconcileFlags {
    /// The name of the orders table on AWS.
    #[arg(long, value_name = "NAME", requires = "inventory_table")]
    orders_table: Option<String>,
    /// The name of the stock table on AWS.
    #[arg(long, value_name = "NAME", requires = "orders_table")]
    inventory_table: Option<String>,
    /// The endpoint to call instead of AWS, such as the AWS port of a running stack.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// The AWS region [default: the region of the environment or the profile].
    #[arg(long, requires = "orders_table")]
    region: Option<String>,
    /// The folder of the data file of a stopped stack.
    #[arg(long, value_name = "FOLDER", default_value = ".orderflow", conflicts_with_all = ["orders_table", "endpoint_url"])]
    data_dir: PathBuf,
    /// The template that names a local stack's tables [default: `infra/template.yaml` in this folder or the nearest above].
    #[arg(long, value_name = "FILE", conflicts_with = "orders_table")]
    template: Option<PathBuf>,
}

/// Compares, and prints the result on standard output. An error means that the comparison failed.
pub(crate) async fn run(flags: ReconcileFlags) -> Result<ExitCode, BoxError> {
    let found = audit(flags).await?;
    print_report(&found)?;
    Ok(if found.differences.is_empty() { ExitCode::SUCCESS } else { DIFFER.into() })
}

async fn audit(flags: ReconcileFlags) -> Result<Reconciled, BoxError> {
    let ReconcileFlags { orders_table, inventory_table, endpoint_url, region, data_dir, template } = flags;
    if let (Some(orders), Some(inventory)) = (orders_table, inventory_table) {
        return Ok(reconcile(&aws(endpoint_url, region).await?, orders, inventory).await?);
    }
    let template = Template::read(&template_path(template)?, ACCOUNT, &parameters())?;
    let (orders, inventory) = (table(&template, "OrdersTable")?, table(&template, "InventoryTable")?);
    if let Some(url) = endpoint_url {
        return reconcile(&running(url.clone()).await, orders, inventory).await.map_err(|error| {
            let cause = causes(&error);
            format!("{error}{cause}: check that a stack runs and that {url} is its AWS port").into()
        });
    }
    let (stopped, _lock) = stopped(&data_dir)?;
    Ok(reconcile(&stopped.sdk_config(CALLER), orders, inventory).await?)
}

/// The configuration for AWS, from the environment, the profile or the machine's role.
async fn aws(endpoint_url: Option<String>, region: Option<String>) -> Result<SdkConfig, BoxError> {
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    if let Some(url) = endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if let Some(region) = region {
        loader = loader.region(Region::new(region));
    }
    let config = loader.load().await;
    if config.region().is_none() {
        return Err("no AWS region is set: name one with --region".into());
    }
    Ok(config)
}

/// The configuration for the AWS port of a running stack, which checks no credentials.
async fn running(endpoint_url: String) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(endpoint_url)
        .region(Region::from_static(ACCOUNT.region))
        .credentials_provider(Credentials::new(CALLER, "local", None, None, "local"))
        .load()
        .await
}

/// The tables of a stopped stack, and the lock that keeps a stack from starting on them.
fn stopped(folder: &Path) -> Result<(Offline, File), BoxError> {
    let (shown, file) = (folder.display(), folder.join(DATA_FILE));
    if !file.is_file() {
        let advice = "name its folder with --data-dir, or a running stack's AWS port with --endpoint-url";
        return Err(format!("there is no data file in {shown}: {advice}").into());
    }
    let lock =
        lock_folder(folder).map_err(|error| format!("the data folder {shown} cannot be used: {error}"))?;
    let lock = lock.ok_or_else(|| {
        format!(
            "an orderflow is running on {shown}: stop it, or ask it with --endpoint-url http://127.0.0.1:4566 (or the \
            port that it was started with as --aws-port)"
        )
    })?;
    Ok((Offline::open(&file)?, lock))
}

/// The physical name of a table of the template.
fn table(template: &Template, logical_id: &str) -> Result<String, BoxError> {
    let table = template.tables.iter().find(|table| table.logical_id == logical_id);
    Ok(table
        .map(|table| table.name.clone())
        .ok_or_else(|| format!("the template has no table {logical_id}: name the deployed tables with --orders-table and --inventory-table"))?)
}

fn print_report(found: &Reconciled) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for Difference { sku, reserved, held } in &found.differences {
        writeln!(out, "{sku}: {reserved} reserved, open orders hold {held}")?;
    }
    let verdict = match found.differences.len() {
        0 => "the books balance".to_owned(),
        1 => "1 SKU differs".to_owned(),
        several => format!("{several} SKUs differ"),
    };
    writeln!(out, "{}, {}: {verdict}", counted(found.skus, "SKU"), counted(found.open_orders, "open order"))
}

fn counted(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

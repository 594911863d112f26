//! `orderflow reconcile`: whether what is reserved of every SKU is what the open orders hold. It changes nothing, on a
//! laptop or on AWS; what it looks for is known in `query`, where the shop's reading is.
//!
//! ```text
//! orderflow reconcile                                            the data file of a stack that is stopped
//! orderflow reconcile --endpoint-url http://127.0.0.1:4566       a stack that is running
//! orderflow reconcile --orders-table X --inventory-table Y       AWS, as whoever the usual credentials say
//! ```
//!
//! Each SKU that differs is a line, the last line is the sum of it. Exit status: 0 when the books balance, 1 when they
//! differ, 2 when it could not find out.

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

use crate::{BoxError, DATA_FILE, lock_folder, template_path};

/// The exit status when the books differ.
const DIFFER: u8 = 1;
/// The exit status when it could not find out.
pub(crate) const UNKNOWN: u8 = 2;

/// Who calls, where no credentials are looked at.
const CALLER: &str = "Reconcile";

/// Recomputes what is reserved of every SKU from the open orders and says where it differs. Changes nothing.
///
/// Without flags it reads the data file of a stack that is stopped; with --endpoint-url alone it asks a stack that is
/// running; with table names it asks AWS, with the credentials and the region that the aws command line would use, which
/// need dynamodb:Query on the indexes and dynamodb:BatchGetItem on both tables. The tables' names are outputs of the
/// deployed stack: `OrdersTableName` and `InventoryTableName`.
///
/// Exit status: 0 when the books balance, 1 when they differ, 2 when it could not find out. In a busy shop an order on its
/// way can look like a difference: one that the next run still tells is not.
#[derive(Debug, Args)]
pub(crate) struct ReconcileFlags {
    /// The table of orders, on AWS.
    #[arg(long, value_name = "NAME", requires = "inventory_table")]
    orders_table: Option<String>,
    /// The table of stock, on AWS.
    #[arg(long, value_name = "NAME", requires = "orders_table")]
    inventory_table: Option<String>,
    /// Where to ask in place of AWS: the AWS port of a running stack, or another endpoint for the tables that are named.
    #[arg(long, value_name = "URL")]
    endpoint_url: Option<String>,
    /// The AWS region; the one of the environment or the profile if not given.
    #[arg(long, requires = "orders_table")]
    region: Option<String>,
    /// The folder of the data file.
    #[arg(long, default_value = ".orderflow", conflicts_with_all = ["orders_table", "endpoint_url"])]
    data_dir: PathBuf,
    /// The template that names a local stack's tables; `infra/template.yaml` of this folder or one above it if not given.
    #[arg(long, conflicts_with = "orders_table")]
    template: Option<PathBuf>,
}

/// Finds out, and tells it on standard output. An error means that it could not find out.
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
        return Ok(reconcile(&running(url).await, orders, inventory).await?);
    }
    let (stopped, _lock) = stopped(&data_dir)?;
    Ok(reconcile(&stopped.sdk_config(CALLER), orders, inventory).await?)
}

/// AWS, as the environment, the profile or the machine's role say.
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

/// The AWS port of a running stack, which looks at no credentials.
async fn running(endpoint_url: String) -> SdkConfig {
    aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(endpoint_url)
        .region(Region::from_static(ACCOUNT.region))
        .credentials_provider(Credentials::new(CALLER, "local", None, None, "local"))
        .load()
        .await
}

/// The tables of a stack that is stopped, and the lock that keeps it so.
fn stopped(folder: &Path) -> Result<(Offline, File), BoxError> {
    let (shown, file) = (folder.display(), folder.join(DATA_FILE));
    if !file.is_file() {
        let advice = "name its folder with --data-dir, or a running stack with --endpoint-url";
        return Err(format!("there is no data file in {shown}: {advice}").into());
    }
    let lock =
        lock_folder(folder).map_err(|error| format!("the data folder {shown} cannot be used: {error}"))?;
    let lock = lock.ok_or_else(|| {
        format!(
            "an orderflow is running on {shown}: stop it, or ask it through its AWS port, with --endpoint-url \
             http://127.0.0.1:4566 unless it was started with another --aws-port"
        )
    })?;
    Ok((Offline::open(&file)?, lock))
}

/// The name of a table of the template.
fn table(template: &Template, logical_id: &str) -> Result<String, BoxError> {
    let table = template.tables.iter().find(|table| table.logical_id == logical_id);
    Ok(table
        .map(|table| table.name.clone())
        .ok_or_else(|| format!("the template has no table {logical_id}"))?)
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

fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

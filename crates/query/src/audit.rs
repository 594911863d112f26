//! The audit that an operator runs, from a terminal and not through the API. It belongs here because it only reads.

use aws_adapters::{Orders, Stocks, database};
use domain::Error;
use lambda_shell::SdkConfig;

pub use aws_adapters::{Difference, Reconciled};

/// Recomputes what is reserved of every SKU from the open orders of `orders_table`, and says where `inventory_table` says
/// otherwise. Changes nothing. The credentials of `config` must allow `Query` on the indexes and `BatchGetItem`.
pub async fn reconcile(
    config: &SdkConfig,
    orders_table: String,
    inventory_table: String,
) -> Result<Reconciled, Error> {
    let client = database(config);
    let (orders, stocks) = (Orders::new(client.clone(), orders_table), Stocks::new(client, inventory_table));
    aws_adapters::reconcile(&orders, &stocks).await
}

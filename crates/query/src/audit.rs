//! The audit that an operator runs from a terminal. It is here because it only reads. No route leads to it.

use aws_adapters::{Orders, Stocks, database};
use domain::Error;
use lambda_shell::SdkConfig;

pub use aws_adapters::{Difference, Reconciled};

/// Adds up the open orders in `orders_table` for every SKU, and reports the rows of `inventory_table` whose reserved
/// units differ. Changes nothing. The credentials of `config` must allow `Query` on the indexes and `BatchGetItem`.
pub async fn reconcile(
    config: &SdkConfig,
    orders_table: String,
    inventory_table: String,
) -> Result<Reconciled, Error> {
    let client = database(config);
    let (orders, stocks) = (Orders::new(client.clone(), orders_table), Stocks::new(client, inventory_table));
    aws_adapters::reconcile(&orders, &stocks).await
}

//! `PUT /inventory/{sku}` and `POST /inventory/{sku}/adjustments`, on AWS.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_shell::Error> {
    lambda_shell::serve_http(adjust_inventory::AdjustInventory::new).await
}

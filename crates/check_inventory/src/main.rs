//! The workflow step `CheckInventory`, on AWS.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_shell::Error> {
    lambda_shell::serve_step(check_inventory::CheckInventory::new).await
}

//! The workflow step `UpdateStatus`, on AWS.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_shell::Error> {
    lambda_shell::serve_step(update_order_status::UpdateOrderStatus::new).await
}

//! The workflow step `CreateOrder`; the door is `place_order`. On AWS.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_shell::Error> {
    lambda_shell::serve_step(create_order::CreateOrder::new).await
}

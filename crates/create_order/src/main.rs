//! The workflow step `CreateOrder`, on AWS. `POST /orders` itself is in `place_order`.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_shell::Error> {
    lambda_shell::serve_step(create_order::CreateOrder::new).await
}

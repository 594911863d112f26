//! The run of every minute, on AWS.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_shell::Error> {
    lambda_shell::serve_step(sweep_orders::SweepOrders::new).await
}

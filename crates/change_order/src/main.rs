//! `POST /orders/{order_id}/cancel`, `PATCH /orders/{order_id}` and `POST /orders/{order_id}/resume`, on AWS.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_shell::Error> {
    lambda_shell::serve_http(change_order::ChangeOrder::new).await
}

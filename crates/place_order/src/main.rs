//! `POST /orders`, on AWS. The step that stores the order is in `create_order`.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_shell::Error> {
    lambda_shell::serve_http(place_order::PlaceOrder::new).await
}

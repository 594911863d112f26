//! `POST /orders`: the door; the step that stores the order is `create_order`. On AWS.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_shell::Error> {
    lambda_shell::serve_http(place_order::PlaceOrder::new).await
}

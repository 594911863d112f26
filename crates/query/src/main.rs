//! Every `GET` route, on AWS.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_shell::Error> {
    lambda_shell::serve_http(query::Query::new).await
}

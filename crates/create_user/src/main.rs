//! `POST /users`: registers the caller and subscribes their address. On AWS.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_shell::Error> {
    lambda_shell::serve_http(create_user::CreateUser::new).await
}

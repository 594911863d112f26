//! `POST /users` and `DELETE /users/me`, on AWS.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_shell::Error> {
    lambda_shell::serve_http(create_user::CreateUser::new).await
}

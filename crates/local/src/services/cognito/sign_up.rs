//! `SignUp`: creates an unconfirmed account, and mails its code. Nothing here issues a token.

use sam_template::{UserPool, UserPoolClient};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Cognito, address, api_error, code, invalid_parameter,
    passwords::{self, PasswordHash},
    required,
    users::PoolUser,
};
use crate::ground::{AwsError, is_address};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct SignUp {
    client_id: Option<String>,
    username: Option<String>,
    password: Option<String>,
    #[serde(default)]
    user_attributes: Vec<Attribute>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Attribute {
    name: String,
    value: Option<String>,
}

pub(super) fn run(cognito: &Cognito, request: SignUp) -> Result<Value, AwsError> {
    let client = cognito.client(request.client_id)?;
    let username = address(request.username)?;
    let password = required(request.password, "password")?;
    attributes(client, &username, &request.user_attributes)?;
    check(&cognito.pool, &username, &password)?;
    let mut user = PoolUser::new(&username, PasswordHash::new(&password)?);
    {
        let users = cognito.users();
        if users.get(&username)?.is_some() {
            return Err(api_error(
                "UsernameExistsException",
                "An account with the given email already exists.",
            ));
        }
        code::issue(cognito, &mut user)?;
        users.put(&user)?;
    }
    code::mail(cognito, &user)?;
    Ok(json!({
        "UserConfirmed": false,
        "UserSub": user.sub,
        "CodeDeliveryDetails": code::delivery(&user.email),
    }))
}

/// Refuses an address or a password that the pool does not accept.
pub(super) fn check(pool: &UserPool, email: &str, password: &str) -> Result<(), AwsError> {
    if !is_address(email) {
        return Err(invalid_parameter("Username should be an email."));
    }
    passwords::check(pool.password_policy, password)
}

/// Refuses every attribute except `email`, which must repeat the user name. No other attribute is stored here.
fn attributes(client: &UserPoolClient, username: &str, attributes: &[Attribute]) -> Result<(), AwsError> {
    for Attribute { name, value } in attributes {
        if !client.write_attributes.contains(name) {
            return Err(api_error(
                "NotAuthorizedException",
                "A client attempted to write unauthorized attribute",
            ));
        }
        if name != "email" || value.as_deref().map(str::to_lowercase) != Some(username.to_lowercase()) {
            return Err(invalid_parameter(
                "the local stack supports only the attribute email, which must be the user name",
            ));
        }
    }
    Ok(())
}

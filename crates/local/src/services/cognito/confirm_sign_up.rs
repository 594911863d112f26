//! `ConfirmSignUp` and `ResendConfirmationCode`: a customer confirms the address with the mailed code, or requests a new
//! code. Nothing here issues a token.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Cognito, address, api_error,
    code::{delivery, issue, mail},
    invalid_parameter, required,
};
use crate::ground::AwsError;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ConfirmSignUp {
    client_id: Option<String>,
    username: Option<String>,
    confirmation_code: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct ResendConfirmationCode {
    client_id: Option<String>,
    username: Option<String>,
}

pub(super) fn run(cognito: &Cognito, request: ConfirmSignUp) -> Result<Value, AwsError> {
    cognito.client(request.client_id)?;
    let username = address(request.username)?;
    let given = required(request.confirmation_code, "confirmationCode")?;
    let expired = || api_error("ExpiredCodeException", "Invalid code provided, please request a code again.");
    let users = cognito.users();
    // An unknown address gets the answer of an expired code, so that the answer does not reveal who has an account.
    let mut user = users.get(&username)?.ok_or_else(expired)?;
    if user.confirmed {
        return Err(api_error(
            "NotAuthorizedException",
            "User cannot be confirmed. Current status is CONFIRMED",
        ));
    }
    let now = cognito.clock.unix_seconds();
    let code = user.code.as_ref().filter(|code| code.is_valid_at(now)).ok_or_else(expired)?;
    if !code.matches(&given) {
        let message = "Invalid verification code provided, please try again.";
        return Err(api_error("CodeMismatchException", message));
    }
    user.confirmed = true;
    user.code = None;
    users.put(&user)?;
    Ok(json!({}))
}

pub(super) fn resend(cognito: &Cognito, request: ResendConfirmationCode) -> Result<Value, AwsError> {
    cognito.client(request.client_id)?;
    let username = address(request.username)?;
    let found = {
        let users = cognito.users();
        let mut found = users.get(&username)?;
        if let Some(user) = &mut found {
            if user.confirmed {
                return Err(invalid_parameter("User is already confirmed."));
            }
            issue(cognito, user)?;
            users.put(user)?;
        }
        found
    };
    // An unknown address gets the same answer and no mail, so that the answer does not reveal who has an account.
    if let Some(user) = found {
        mail(cognito, &user)?;
    }
    Ok(json!({ "CodeDeliveryDetails": delivery(&username) }))
}

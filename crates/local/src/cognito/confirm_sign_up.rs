//! `ConfirmSignUp` and `ResendConfirmationCode`: the code that proves that an address is its owner's, from issuing it
//! to taking it back.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Cognito, address, invalid, needed, passwords, refused, users::User};
use crate::{
    sns::{AwsError, MailKind},
    template::CODE,
};

/// How long a code is good for, in seconds: 24 hours, as on AWS ("Signing up and confirming user accounts").
pub const CODE_SECONDS: i64 = 24 * 60 * 60;

/// What was mailed.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Code {
    digits: String,
    /// In seconds since the epoch.
    sent_at: i64,
}

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
    let given = needed(request.confirmation_code, "confirmationCode")?;
    let expired = || refused("ExpiredCodeException", "Invalid code provided, please request a code again.");
    let users = cognito.users();
    // Who has no account is told the same as who has waited too long.
    let mut user = users.get(&username)?.ok_or_else(expired)?;
    if user.confirmed {
        return Err(refused(
            "NotAuthorizedException",
            "User cannot be confirmed. Current status is CONFIRMED",
        ));
    }
    let now = cognito.clock.unix_seconds();
    let code = user.code.as_ref().filter(|code| now - code.sent_at < CODE_SECONDS).ok_or_else(expired)?;
    if code.digits != given {
        let message = "Invalid verification code provided, please try again.";
        return Err(refused("CodeMismatchException", message));
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
                return Err(invalid("User is already confirmed."));
            }
            issue(cognito, user)?;
            users.put(user)?;
        }
        found
    };
    // Who has no account is told of a mail too, and gets none.
    if let Some(user) = found {
        mail(cognito, &user)?;
    }
    Ok(json!({ "CodeDeliveryDetails": delivery(&username) }))
}

/// Gives somebody a new code; one given before is none any more.
pub(super) fn issue(cognito: &Cognito, user: &mut User) -> Result<(), AwsError> {
    let mut bytes = [0; 8];
    passwords::fill(&mut bytes)?;
    let digits = format!("{:06}", u64::from_le_bytes(bytes) % 1_000_000);
    user.code = Some(Code { digits, sent_at: cognito.clock.unix_seconds() });
    Ok(())
}

/// Mails somebody their code, in the pool's words.
pub(super) fn mail(cognito: &Cognito, user: &User) -> Result<(), AwsError> {
    let Some(code) = &user.code else { return Ok(()) };
    let pool = &cognito.pool;
    let text = pool.mail_text.replace(CODE, &code.digits);
    cognito.mailbox.post(MailKind::VerificationCode, &user.email, &pool.mail_subject, &text)?;
    Ok(())
}

/// Where a code goes, as much of it as the caller has shown to know: `a***@e***`.
pub(super) fn delivery(email: &str) -> Value {
    let first = |part: &str| part.chars().next().map(String::from).unwrap_or_default();
    let (name, domain) = email.split_once('@').unwrap_or((email, ""));
    json!({
        "Destination": format!("{}***@{}***", first(name), first(domain)),
        "DeliveryMedium": "EMAIL",
        "AttributeName": "email",
    })
}

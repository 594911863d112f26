//! The confirmation code: proves that a customer reads the mails of an address. This file issues and mails it. Nothing
//! here checks one.

use sam_template::CODE_PLACEHOLDER;
use serde_json::{Value, json};

use super::{
    Cognito,
    passwords::fill_with_random_bytes,
    users::{Code, PoolUser},
};
use crate::ground::{AwsError, DeliveredMail, MailKind};

/// Gives a user a new code, which replaces the previous one.
pub(super) fn issue(cognito: &Cognito, user: &mut PoolUser) -> Result<(), AwsError> {
    let mut bytes = [0; 8];
    fill_with_random_bytes(&mut bytes)?;
    let digits = format!("{:06}", u64::from_le_bytes(bytes) % 1_000_000);
    user.code = Some(Code::new(digits, cognito.clock.unix_seconds()));
    Ok(())
}

/// Mails a user their code, in the user pool's mail template.
pub(super) fn mail(cognito: &Cognito, user: &PoolUser) -> Result<(), AwsError> {
    let Some(code) = &user.code else { return Ok(()) };
    let pool = &cognito.pool;
    let text = pool.mail_text.replace(CODE_PLACEHOLDER, code.digits());
    let at = cognito.clock.now();
    cognito.mailbox.deliver(DeliveredMail::new(
        MailKind::VerificationCode,
        &user.email,
        &pool.mail_subject,
        text,
        at,
    ))?;
    Ok(())
}

/// The `CodeDeliveryDetails`. The address is masked as on AWS: `a***@e***`.
pub(super) fn delivery(email: &str) -> Value {
    let first = |part: &str| part.chars().next().map(String::from).unwrap_or_default();
    let (name, domain) = email.split_once('@').unwrap_or((email, ""));
    json!({
        "Destination": format!("{}***@{}***", first(name), first(domain)),
        "DeliveryMedium": "EMAIL",
        "AttributeName": "email",
    })
}

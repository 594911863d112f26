//! Cognito, as far as customers sign in with it. They sign up with an e-mail address and a password, confirm the address
//! with a mailed code, and receive tokens for their password. Its errors and messages are AWS's. It refuses every other
//! operation by name.
//!
//! Nothing here logs. Nothing here stores a password: it stores a salted hash. Unlike AWS it does not slow down guesses,
//! and its refresh tokens cannot be revoked.
//!
//! | file | owns |
//! |---|---|
//! | `sign_up` | `SignUp` |
//! | `confirm_sign_up` | `ConfirmSignUp` and `ResendConfirmationCode` |
//! | `code` | issuing and mailing a confirmation code |
//! | `initiate_auth` | `InitiateAuth` and the tokens' claims |
//! | `users` | the accounts, in the [`Store`] |
//! | `passwords` | the password policy and the password's hash |

mod code;
mod confirm_sign_up;
mod initiate_auth;
mod passwords;
mod sign_up;
#[cfg(test)]
mod tests;
mod users;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sam_template::{UserPool, UserPoolClient};
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::users::CODE_SECONDS;
use self::{passwords::PasswordHash, users::PoolUsers};
use crate::ground::{
    AwsError, Mailbox, StackClock, Store, is_address,
    tokens::{TokenError, Tokens},
};

const SUPPORTED: &str = "SignUp, ConfirmSignUp, ResendConfirmationCode and InitiateAuth";

/// Members without an effect in a pool like the template's, which has no triggers, analytics, threat protection or
/// aliases.
const WITHOUT_EFFECT: [&str; 5] =
    ["AnalyticsMetadata", "ClientMetadata", "ForceAliasCreation", "UserContextData", "ValidationData"];

/// The local Cognito.
pub struct Cognito {
    pool: UserPool,
    clock: StackClock,
    tokens: Arc<Tokens>,
    /// Receives the mails with codes.
    mailbox: Arc<Mailbox>,
    /// The lock makes reading and changing an account one step.
    users: Mutex<PoolUsers>,
}

impl std::fmt::Debug for Cognito {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cognito")
    }
}

impl Cognito {
    /// Opens the pool with the accounts in `store`. It delivers its mails to `mailbox`.
    pub fn open(
        pool: UserPool,
        store: Store,
        clock: StackClock,
        tokens: Arc<Tokens>,
        mailbox: Arc<Mailbox>,
    ) -> Self {
        Self { pool, clock, tokens, mailbox, users: Mutex::new(PoolUsers::new(store)) }
    }

    /// Answers one call in its JSON form, with the API reference's member names.
    pub fn call(&self, operation: &str, request: &Value) -> Result<Value, AwsError> {
        let answer = match operation {
            "SignUp" => parse(request).and_then(|request| sign_up::run(self, request)),
            "ConfirmSignUp" => parse(request).and_then(|request| confirm_sign_up::run(self, request)),
            "ResendConfirmationCode" => {
                parse(request).and_then(|request| confirm_sign_up::resend(self, request))
            }
            "InitiateAuth" => parse(request).and_then(|request| initiate_auth::run(self, request)),
            other => {
                let message =
                    format!("the local stack does not support Cognito's {other}; it supports {SUPPORTED}");
                Err(api_error("UnknownOperationException", &message))
            }
        };
        answer.map_err(|error| {
            if error.is_service_fault() {
                AwsError { code: "InternalErrorException".to_owned(), ..error }
            } else {
                error
            }
        })
    }

    /// Creates a confirmed account in these groups, as an operator does on AWS with `admin-create-user`,
    /// `admin-set-user-password` and `admin-add-user-to-group`. Leaves an existing account unchanged. Returns whether
    /// the account is confirmed and has this password.
    ///
    /// # Errors
    /// The errors of `SignUp`, and `ResourceNotFoundException` for a group that the pool lacks.
    pub fn ensure_user(&self, email: &str, password: &str, groups: &[&str]) -> Result<bool, AwsError> {
        if groups.iter().any(|group| !self.pool.groups.iter().any(|known| known == group)) {
            return Err(api_error("ResourceNotFoundException", "Group not found."));
        }
        let users = self.users();
        if let Some(user) = users.get(email)? {
            return Ok(user.confirmed && user.password.matches(password));
        }
        sign_up::check(&self.pool, email, password)?;
        let mut user = users::PoolUser::new(email, PasswordHash::new(password)?);
        user.confirmed = true;
        user.groups = groups.iter().map(|group| (*group).to_owned()).collect();
        users.put(&user)?;
        Ok(true)
    }

    /// The client with this id.
    fn client(&self, id: Option<String>) -> Result<&UserPoolClient, AwsError> {
        let id = required(id, "clientId")?;
        self.pool.clients.iter().find(|client| client.id == id).ok_or_else(|| {
            api_error("ResourceNotFoundException", &format!("User pool client {id} does not exist."))
        })
    }

    /// The accounts. A poisoned lock is safe to use: a panic leaves the accounts as of the last completed write.
    fn users(&self) -> MutexGuard<'_, PoolUsers> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error that is the caller's fault.
fn api_error(code: &str, message: &str) -> AwsError {
    AwsError::new(400, code, message.to_owned())
}

fn invalid_parameter(message: &str) -> AwsError {
    api_error("InvalidParameterException", message)
}

/// Parses a request. An unknown member is refused, except one of [`WITHOUT_EFFECT`], which is ignored.
fn parse<T: DeserializeOwned>(request: &Value) -> Result<T, AwsError> {
    let mut request = request.clone();
    if let Some(members) = request.as_object_mut() {
        members.retain(|member, _| !WITHOUT_EFFECT.contains(&member.as_str()));
    }
    T::deserialize(request).map_err(|fault| api_error("SerializationException", &fault.to_string()))
}

/// A required member's value, which must not be empty.
fn required(member: Option<String>, name: &str) -> Result<String, AwsError> {
    let constraint = |constraint: &str| {
        invalid_parameter(&format!(
            "1 validation error detected: Value at '{name}' failed to satisfy constraint: Member must {constraint}"
        ))
    };
    match member {
        None => Err(constraint("not be null")),
        Some(text) if text.is_empty() => Err(constraint("have length greater than or equal to 1")),
        Some(text) => Ok(text),
    }
}

/// The user name, which must be an e-mail address.
fn address(username: Option<String>) -> Result<String, AwsError> {
    let username = required(username, "username")?;
    // Cognito limits user names to 128 characters.
    if is_address(&username) && username.chars().count() <= 128 {
        Ok(username)
    } else {
        Err(invalid_parameter("Username should be an email."))
    }
}

impl From<TokenError> for AwsError {
    fn from(fault: TokenError) -> Self {
        Self::new(500, "InternalErrorException", fault.to_string())
    }
}

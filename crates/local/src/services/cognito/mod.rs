//! Cognito, as far as customers sign in with it: they sign up with an e-mail address and a password, send back the
//! code that was mailed to them, and get tokens for their password. It answers as a user pool of the template does,
//! with AWS's errors and messages, and refuses by name whatever else it is asked. Nothing here logs, and no password
//! is kept, only what checks one.
//!
//! Unlike AWS it does not slow down who guesses, and its refresh tokens cannot be revoked.
//!
//! | file | owns |
//! |---|---|
//! | `sign_up` | `SignUp` |
//! | `confirm_sign_up` | `ConfirmSignUp` and `ResendConfirmationCode` |
//! | `code` | the code that is mailed |
//! | `initiate_auth` | `InitiateAuth` and the tokens' claims |
//! | `users` | who has an account, in the [`Store`] |
//! | `passwords` | the password policy, and how a password is kept |

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

/// Members that do nothing without triggers, analytics and threat protection, and where an address is never an alias.
const WITHOUT_EFFECT: [&str; 5] =
    ["AnalyticsMetadata", "ClientMetadata", "ForceAliasCreation", "UserContextData", "ValidationData"];

/// The local Cognito.
pub struct Cognito {
    pool: UserPool,
    clock: StackClock,
    tokens: Arc<Tokens>,
    /// Codes are delivered here.
    mailbox: Arc<Mailbox>,
    /// Held while a user is looked up and changed.
    users: Mutex<PoolUsers>,
}

impl std::fmt::Debug for Cognito {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Cognito")
    }
}

impl Cognito {
    /// Opens the pool, with the accounts that `store` holds. Its mails go to `mailbox`.
    pub fn open(
        pool: UserPool,
        store: Store,
        clock: StackClock,
        tokens: Arc<Tokens>,
        mailbox: Arc<Mailbox>,
    ) -> Self {
        Self { pool, clock, tokens, mailbox, users: Mutex::new(PoolUsers::new(store)) }
    }

    /// One API call in its JSON form: members named as in the API reference.
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
                    format!("the local stack does not answer Cognito's {other}: it answers {SUPPORTED}");
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

    /// Makes an account of these groups, already confirmed, as an operator does on AWS with `admin-create-user`,
    /// `admin-set-user-password` and `admin-add-user-to-group`. Answers whether there is one of this address and
    /// password: an account that is there stays as it is.
    ///
    /// # Errors
    /// As `SignUp`; `ResourceNotFoundException` for a group that the pool does not have.
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

    /// The client that asks.
    fn client(&self, id: Option<String>) -> Result<&UserPoolClient, AwsError> {
        let id = required(id, "clientId")?;
        self.pool.clients.iter().find(|client| client.id == id).ok_or_else(|| {
            api_error("ResourceNotFoundException", &format!("User pool client {id} does not exist."))
        })
    }

    /// A panic under the lock leaves the accounts as of the last completed write, so a poisoned lock is still good.
    fn users(&self) -> MutexGuard<'_, PoolUsers> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The refusal of what a caller asked.
fn api_error(code: &str, message: &str) -> AwsError {
    AwsError::new(400, code, message.to_owned())
}

fn invalid_parameter(message: &str) -> AwsError {
    api_error("InvalidParameterException", message)
}

/// Reads a request. A member that has no field in its struct is refused rather than passed over, but for those that
/// have no effect on AWS either.
fn parse<T: DeserializeOwned>(request: &Value) -> Result<T, AwsError> {
    let mut request = request.clone();
    if let Some(members) = request.as_object_mut() {
        members.retain(|member, _| !WITHOUT_EFFECT.contains(&member.as_str()));
    }
    T::deserialize(request).map_err(|fault| api_error("SerializationException", &fault.to_string()))
}

/// A member that must be there.
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

/// A user name, which is an e-mail address.
fn address(username: Option<String>) -> Result<String, AwsError> {
    let username = required(username, "username")?;
    // Cognito's own limit for user names.
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

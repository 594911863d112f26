//! SNS, as far as Orderflow uses it: topics, e-mail subscriptions with filter policies, and publishing into
//! a mailbox that the developer reads. It answers the SDK's own wire format, keeps the limits that a real
//! account has, and refuses by name whatever else it is asked. It never sends anything anywhere.
//!
//! | file | owns |
//! |---|---|
//! | `actions` | the API: each action's parameters, checks and effect |
//! | `state` | topics, subscriptions and mails, in memory and in the [`Store`] |
//! | `filter` | filter policies |
//! | `mail` | what a mail is |
//! | `query` | the Query protocol: form in, XML out |

mod actions;
mod filter;
mod mail;
pub(crate) mod query;
#[cfg(test)]
mod sdk_tests;
mod state;
#[cfg(test)]
mod tests;

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::Value;

pub(crate) use self::mail::is_address;
use self::state::State;
pub use self::{
    filter::FilterPolicy,
    mail::{Mail, MailKind},
    state::Subscription,
};
use crate::{
    clock::Clock,
    store::{Store, StoreFault},
};

/// The most subscriptions with a filter policy on one topic, as on AWS.
pub const FILTER_POLICIES_PER_TOPIC: usize = 200;
/// The most subscriptions with a filter policy in one account, as on AWS.
pub const FILTER_POLICIES_PER_ACCOUNT: usize = 10_000;

/// How many subscriptions may have a filter policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// On one topic.
    pub per_topic: usize,
    /// In the whole account.
    pub per_account: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { per_topic: FILTER_POLICIES_PER_TOPIC, per_account: FILTER_POLICIES_PER_ACCOUNT }
    }
}

/// The local SNS.
pub struct Sns {
    clock: Clock,
    state: Mutex<State>,
}

/// An error answer of an AWS service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct AwsError {
    /// The HTTP status.
    pub status: u16,
    /// The code that clients match on, `NotFound`.
    pub code: String,
    /// What is wrong, for people.
    pub message: String,
    /// Whose fault it is.
    pub fault: Fault,
}

/// Whose fault an error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The caller's: repeating does not help.
    Sender,
    /// The service's.
    Receiver,
}

impl AwsError {
    pub(crate) fn sender(status: u16, code: &str, message: String) -> Self {
        Self { status, code: code.to_owned(), message, fault: Fault::Sender }
    }

    fn invalid_parameter(reason: &str) -> Self {
        Self::sender(400, "InvalidParameter", format!("Invalid parameter: {reason}"))
    }

    fn not_found(what: &str) -> Self {
        Self::sender(404, "NotFound", format!("{what} does not exist"))
    }
}

impl From<StoreFault> for AwsError {
    fn from(fault: StoreFault) -> Self {
        // The chain, because a client sees nothing but this text.
        let mut message = fault.to_string();
        let mut source = std::error::Error::source(&fault);
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Self { status: 500, code: "InternalError".to_owned(), message, fault: Fault::Receiver }
    }
}

impl Sns {
    /// Opens the state that `store` holds.
    pub fn open(store: Store, clock: Clock) -> Result<Self, StoreFault> {
        Ok(Self { clock, state: Mutex::new(State::load(store)?) })
    }

    /// One API call in its JSON form: members named as in the API reference. A call either has its whole
    /// effect or, when it answers a [`Fault::Sender`] error, none.
    pub fn call(&self, action: &str, parameters: &Value) -> Result<Value, AwsError> {
        let now = self.clock.now();
        actions::call(&mut self.state(), action, parameters, now)
    }

    /// One HTTP call of the AWS Query protocol: the body of the request in, the whole response out.
    pub fn http(&self, body: &[u8], request_id: &str) -> http::Response<Bytes> {
        match query::read(body) {
            Ok((action, parameters)) => {
                let outcome = self.call(&action, &parameters);
                query::write(&action, &outcome, request_id)
            }
            Err(error) => query::write("", &Err(error), request_id),
        }
    }

    /// Creates the topic with this ARN unless it exists, and gives it this key.
    ///
    /// # Errors
    /// `InvalidParameter` when it is not the ARN of a standard topic in the stack's account and region.
    pub fn ensure_topic(&self, arn: &str, key: Option<&str>) -> Result<(), AwsError> {
        actions::ensure_topic(&mut self.state(), arn, key)
    }

    /// Every mail delivered, oldest first, of one kind or to one address (in any case) if asked.
    pub fn mailbox(&self, kind: Option<MailKind>, to: Option<&str>) -> Vec<Mail> {
        let wanted = |mail: &&Mail| {
            kind.is_none_or(|kind| mail.kind == kind)
                && to.is_none_or(|to| mail.to.to_lowercase() == to.to_lowercase())
        };
        self.state().mailbox().iter().filter(wanted).cloned().collect()
    }

    /// Delivers a mail of another service: the mailbox is one for all.
    pub(crate) fn post(&self, kind: MailKind, to: &str, subject: &str, body: &str) -> Result<(), StoreFault> {
        let at = state::timestamp(self.clock.now());
        let (to, subject, body) = (to.to_owned(), subject.to_owned(), body.to_owned());
        self.state().deliver(Mail { kind, to, subject, body, order_id: None, status: None, at })
    }

    /// Clicks the link in every confirmation mail that is still good. Answers how many subscriptions that
    /// confirmed.
    pub fn confirm_all(&self) -> Result<usize, StoreFault> {
        let now = self.clock.unix_seconds();
        self.state().confirm_all(now)
    }

    /// Sets other limits than those of AWS, from now until the stack ends. Subscriptions that there are stay.
    pub fn limit(&self, limits: Limits) {
        self.state().set_limits(limits);
    }

    /// The ARN of every topic.
    pub fn topics(&self) -> Vec<String> {
        self.state().topics().map(str::to_owned).collect()
    }

    /// Every subscription, by topic and in the order they were made.
    pub fn subscriptions(&self) -> Vec<Subscription> {
        let now = self.clock.unix_seconds();
        self.state().live(now).cloned().collect()
    }

    /// The lock is never held across an await, and a panic under it leaves the state as of the last
    /// completed write, so a poisoned lock is still good.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

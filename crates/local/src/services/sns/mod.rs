//! SNS, as far as Orderflow uses it: topics, e-mail subscriptions with filter policies, and publishing into
//! a mailbox that the developer reads. It keeps the limits that a real
//! account has, and refuses by name whatever else it is asked. It never sends anything anywhere.
//!
//! | file | owns |
//! |---|---|
//! | `actions` | the API: each action's parameters, checks and effect |
//! | `state` | topics and subscriptions, in memory and in the [`Store`] |
//! | `filter` | filter policies |
//! | `quotas` | the account's quotas, and the faults that a test plants |
//! | `declared` | the subscriptions that the template declares |
//! | `feed` | what was published to the template's own topics |

mod actions;
mod declared;
mod feed;
mod filter;
mod quotas;
mod state;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::{Value, json};

use self::state::SnsState;
pub use self::{
    actions::MailedConfirmation,
    declared::DeclaredSubscription,
    feed::FeedItem,
    filter::FilterPolicy,
    quotas::{NewTopicDelay, Quotas},
    state::TopicSubscription,
};
use crate::ground::{AwsError, MailKind, Mailbox, StackClock, Store, StoreError};

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
    clock: StackClock,
    state: Mutex<SnsState>,
}

fn invalid_parameter(reason: &str) -> AwsError {
    AwsError::new(400, "InvalidParameter", format!("Invalid parameter: {reason}"))
}

fn not_found(resource: &str) -> AwsError {
    AwsError::new(404, "NotFound", format!("{resource} does not exist"))
}

impl Sns {
    /// Opens the topics and subscriptions that `store` holds. Mails go to `mailbox`.
    pub fn open(store: Store, clock: StackClock, mailbox: Arc<Mailbox>) -> Result<Self, StoreError> {
        Ok(Self { clock, state: Mutex::new(SnsState::load(store, mailbox)?) })
    }

    /// One API call in its JSON form: members named as in the API reference. A call either has its whole
    /// effect or, when it answers an error of the caller, none.
    pub fn call(&self, action: &str, parameters: &Value) -> Result<Value, AwsError> {
        let now = self.clock.now();
        actions::call(&mut self.state(), action, parameters, now)
    }

    /// Creates the template's topic with this ARN unless it exists, and gives it this key. Quotas and planted delays do
    /// not touch it.
    ///
    /// # Errors
    /// `InvalidParameter` when it is not the ARN of a standard topic in the stack's account and region.
    pub fn ensure_topic(&self, arn: &str, key: Option<&str>) -> Result<(), AwsError> {
        actions::ensure_topic(&mut self.state(), arn, key)
    }

    /// Makes the subscriptions that the template declares, by logical id, and ends those that it no longer does.
    ///
    /// # Errors
    /// `InvalidParameter` for a filter policy that is not supported, `NotFound` for a topic that is not there.
    pub fn declare(&self, declared: &BTreeMap<String, DeclaredSubscription>) -> Result<(), AwsError> {
        let now = self.clock.now();
        declared::declare(&mut self.state(), declared, now)
    }

    /// The address, the topic and the token of every confirmation mail that was delivered, oldest first.
    pub fn confirmations(&self) -> Vec<MailedConfirmation> {
        let mails = self.state().mailbox().mails(Some(MailKind::SubscriptionConfirmation), None);
        mails.iter().filter_map(MailedConfirmation::of).collect()
    }

    /// Clicks the link with this token in a confirmation mail. Answers the subscription's ARN.
    ///
    /// # Errors
    /// Those of `ConfirmSubscription`: `NotFound` when the topic is gone, `InvalidParameter` when the subscription is
    /// gone or the token was never mailed.
    pub fn click(&self, token: &str) -> Result<String, AwsError> {
        let mailed = self.confirmations().into_iter().find(|mailed| mailed.token == token);
        let mailed = mailed.ok_or_else(|| invalid_parameter("Token"))?;
        let confirmed =
            self.call("ConfirmSubscription", &json!({ "TopicArn": mailed.topic_arn, "Token": token }))?;
        Ok(confirmed["SubscriptionArn"].as_str().unwrap_or_default().to_owned())
    }

    /// Clicks the link at the foot of a mail that was delivered to this subscription, which needs no sign-in. The mail
    /// with which AWS offers to undo that is not sent here.
    ///
    /// # Errors
    /// Those of `Unsubscribe`: `InvalidParameter` while the subscription is pending again.
    pub fn unsubscribe_by_link(&self, subscription_arn: &str) -> Result<(), AwsError> {
        self.call("Unsubscribe", &json!({ "SubscriptionArn": subscription_arn })).map(drop)
    }

    /// The last messages that were published to the template's own topics, newest last.
    pub fn feed(&self) -> Vec<FeedItem> {
        self.state().feed().items().cloned().collect()
    }

    /// Sets other quotas than those of AWS, from now until the stack ends. Existing topics and subscriptions stay.
    pub fn set_quotas(&self, quotas: Quotas) {
        self.state().set_quotas(quotas);
    }

    /// Hides each topic that is made from now on for a while; `None` stops that.
    pub fn delay_new_topics(&self, delay: Option<NewTopicDelay>) {
        self.state().delay_new_topics(delay);
    }

    /// Clicks the link in every confirmation mail that is still good. Answers how many subscriptions that
    /// confirmed.
    pub fn confirm_all(&self) -> Result<usize, StoreError> {
        let now = self.clock.unix_seconds();
        self.state().confirm_all(now)
    }

    /// Sets other limits than those of AWS, from now until the stack ends. Subscriptions that there are stay.
    pub fn limit(&self, limits: Limits) {
        self.state().set_limits(limits);
    }

    /// The ARN of every topic, hidden ones too.
    pub fn topics(&self) -> Vec<String> {
        self.state().topics().map(str::to_owned).collect()
    }

    /// Every subscription, by topic and in the order they were made. Pending ones of a deleted topic are among them.
    pub fn subscriptions(&self) -> Vec<TopicSubscription> {
        let now = self.clock.unix_seconds();
        self.state().live(now).cloned().collect()
    }

    /// The lock is never held across an await, and a panic under it leaves the state as of the last
    /// completed write, so a poisoned lock is still good.
    fn state(&self) -> MutexGuard<'_, SnsState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Subscriptions to the stack's topics. Each is filtered to one user within the very call that makes it: there is
//! no moment at which a subscription receives another customer's mail.
//!
//! SNS takes 200 filter policies on one topic, 10,000 in one account, and one subscription for each address and
//! topic (source: Amazon SNS endpoints and quotas). So there are overflow topics, `<topic>-2` and on, of which
//! `UsersTable` remembers the newest.

use std::sync::{Mutex, PoisonError};

use aws_sdk_sns::{
    Client,
    error::ProvideErrorMetadata,
    operation::{
        create_topic::CreateTopicError, get_subscription_attributes::GetSubscriptionAttributesError,
        subscribe::SubscribeError,
    },
};
use domain::{EmailAddress, Error, Notifications, UserId};

use crate::{
    Subscription, Users,
    failure::{failed, incomplete},
    users::Overflow,
};

/// The stack's topics.
#[derive(Debug)]
pub struct Topics {
    client: Client,
    wiring: TopicWiring,
    /// The newest overflow topic that this process knows of.
    newest: Mutex<Option<Overflow>>,
}

/// What the template says of the stack's topics.
#[derive(Clone, Debug)]
pub struct TopicWiring {
    /// The first topic's ARN; the overflow topics are named after it.
    pub first_arn: String,
    /// The key that the first topic is encrypted with, for the others to have the same.
    pub key_id: String,
    /// The queue of mails that SNS gives up. It tries an address 50 times within six hours (source: Amazon SNS
    /// message delivery retries, SMTP); what a mail server took and sent back later is nothing that SNS hears of.
    pub dead_letters_arn: String,
}

/// How subscribing ended.
#[derive(Clone, Debug)]
pub enum Subscribed {
    /// A confirmation was mailed to the address.
    Made(Subscription),
    /// No topic has room for this user.
    Full,
}

/// On which topic a subscription is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// On any that has room.
    Any,
    /// On this one, where it was before, if it still has room: a subscription that waits for its confirmation is
    /// found again there, and the mail that was sent for it stays good.
    Again(String),
    /// On any but this one: another address's subscription to this user's mail is there, and may yet be confirmed.
    Avoid(String),
}

impl Topics {
    /// The topics that are wired so.
    pub fn new(client: Client, wiring: TopicWiring) -> Self {
        Self { client, wiring, newest: Mutex::default() }
    }

    /// Subscribes an address to the mail of one user, on the newest topic that this process knows of; when that is
    /// full, on the newest there is; when that is full too, on a new one. At most one topic is made.
    pub async fn subscribe(
        &self,
        users: &Users,
        user_id: &UserId,
        email: &EmailAddress,
        wish: &Wish,
    ) -> Result<Subscribed, Error> {
        let mut refused: Vec<String> = Vec::new();
        if let Wish::Avoid(topic_arn) = wish {
            refused.push(topic_arn.clone());
        }
        let known = self.newest();
        let known = known.as_ref().map_or(&self.wiring.first_arn, |overflow| &overflow.topic_arn);
        let wished = if let Wish::Again(topic_arn) = wish { Some(topic_arn) } else { None };
        for topic_arn in wished.into_iter().chain([known]) {
            if refused.contains(topic_arn) {
                continue;
            }
            if let asked @ Subscribed::Made(_) = self.subscribe_to(topic_arn, user_id, email).await? {
                return Ok(asked);
            }
            refused.push(topic_arn.clone());
        }
        let newest = users.newest_overflow().await?;
        self.remember(newest.clone());
        if let Some(overflow) = newest.as_ref().filter(|overflow| !refused.contains(&overflow.topic_arn)) {
            let topic_arn = &overflow.topic_arn;
            if let asked @ Subscribed::Made(_) = self.subscribe_to(topic_arn, user_id, email).await? {
                return Ok(asked);
            }
        }
        let number = newest.map_or(2, |overflow| overflow.number + 1);
        let Some(made) = self.make(number).await? else { return Ok(Subscribed::Full) };
        let subscribed = self.subscribe_to(&made.topic_arn, user_id, email).await?;
        // Noted only once it has taken somebody. When it is the account that has no room, the next request finds this
        // topic under the same number, where otherwise each would make one more.
        if let Subscribed::Made(_) = subscribed {
            users.note_overflow(&made).await?;
            self.remember(Some(made));
        }
        Ok(subscribed)
    }

    /// Makes an overflow topic, or finds the one of that number. `None` when the account may have no more topics.
    async fn make(&self, number: u32) -> Result<Option<Overflow>, Error> {
        const DOING: &str = "making an overflow topic";
        let name = self.wiring.first_arn.rsplit(':').next().unwrap_or_default();
        let created = self
            .client
            .create_topic()
            .name(format!("{name}-{number}"))
            .attributes("KmsMasterKeyId", &self.wiring.key_id)
            .send()
            .await;
        match created {
            Ok(made) => {
                let topic_arn = made.topic_arn.ok_or_else(|| incomplete(DOING))?;
                Ok(Some(Overflow { number, topic_arn }))
            }
            Err(error) => match error.as_service_error() {
                Some(CreateTopicError::TopicLimitExceededException(_)) => Ok(None),
                _ => Err(failed(DOING)(error)),
            },
        }
    }

    fn newest(&self) -> Option<Overflow> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember(&self, newest: Option<Overflow>) {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = newest;
    }

    /// Subscribes an address to the mail of one user on one topic. A repeat finds the same subscription, and while
    /// that is unconfirmed, mails its confirmation again.
    async fn subscribe_to(
        &self,
        topic_arn: &str,
        user_id: &UserId,
        email: &EmailAddress,
    ) -> Result<Subscribed, Error> {
        const DOING: &str = "subscribing a user";
        let filter = serde_json::json!({ "user_id": [user_id.as_str()] }).to_string();
        let redrive = serde_json::json!({ "deadLetterTargetArn": self.wiring.dead_letters_arn }).to_string();
        let answer = self
            .client
            .subscribe()
            .topic_arn(topic_arn)
            .protocol("email")
            .endpoint(email.as_str())
            .attributes("FilterPolicy", filter)
            .attributes("RedrivePolicy", redrive)
            .return_subscription_arn(true)
            .send()
            .await;
        match answer {
            Ok(done) => Ok(Subscribed::Made(Subscription {
                topic_arn: topic_arn.to_owned(),
                subscription_arn: done.subscription_arn.ok_or_else(|| incomplete(DOING))?,
            })),
            Err(error) => match error.as_service_error() {
                Some(
                    SubscribeError::FilterPolicyLimitExceededException(_)
                    | SubscribeError::SubscriptionLimitExceededException(_)
                    // The address is there already, with another user's filter.
                    | SubscribeError::InvalidParameterException(_),
                ) => Ok(Subscribed::Full),
                _ => Err(failed(DOING)(error)),
            },
        }
    }

    /// Whether a subscription delivers.
    pub async fn state_of(&self, subscription: &Subscription) -> Result<Notifications, Error> {
        notifications_of(&self.client, subscription).await
    }

    /// Ends a subscription. `false` when it waits for its confirmation: SNS ends none such before two days are over,
    /// and until then whoever has the mail can confirm it.
    pub async fn unsubscribe(&self, subscription: &Subscription) -> Result<bool, Error> {
        if !has_arn(subscription) {
            return Ok(false);
        }
        match self.client.unsubscribe().subscription_arn(&subscription.subscription_arn).send().await {
            Ok(_ended) => Ok(true),
            Err(error) => match error.as_service_error().and_then(ProvideErrorMetadata::code) {
                Some("NotFound") => Ok(true),
                Some("InvalidParameter") => Ok(false),
                _ => Err(failed("unsubscribing a user")(error)),
            },
        }
    }
}

/// Whether a subscription delivers. SNS is asked: it is never guessed from the clock.
pub async fn notifications_of(client: &Client, subscription: &Subscription) -> Result<Notifications, Error> {
    if !has_arn(subscription) {
        return Ok(Notifications::Pending);
    }
    let asked =
        client.get_subscription_attributes().subscription_arn(&subscription.subscription_arn).send().await;
    match asked {
        Ok(answer) => {
            let pending = answer.attributes().and_then(|all| all.get("PendingConfirmation"));
            Ok(if pending.is_some_and(|pending| pending == "false") {
                Notifications::Confirmed
            } else {
                Notifications::Pending
            })
        }
        Err(error) => match error.as_service_error() {
            Some(GetSubscriptionAttributesError::NotFoundException(_)) => Ok(Notifications::None),
            _ => Err(failed("asking for a subscription's state")(error)),
        },
    }
}

fn has_arn(subscription: &Subscription) -> bool {
    subscription.subscription_arn.starts_with("arn:")
}

//! The customers' topics in SNS, each with one subscription.
//!
//! `domain::account` names a topic before it is made. A repeat of each call here finds what the first one made.

use std::time::Duration;

use aws_sdk_sns::{
    Client,
    operation::{
        create_topic::CreateTopicError, get_subscription_attributes::GetSubscriptionAttributesError,
        subscribe::SubscribeError,
    },
    types::Tag,
};
use domain::{EmailAddress, Error, SubscriptionState};

use crate::failure::{failed, incomplete, unbuildable};

/// The sender's name in a mail. It is the same for every topic, so that a repeat of `CreateTopic` is the same call.
const DISPLAY_NAME: &str = "Orders";

/// The waits before `Subscribe` is tried again, when it does not find the topic that was just made.
const NEW_TOPIC: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(300), Duration::from_millis(500)];

/// The operations on the customers' topics.
#[derive(Clone, Debug)]
pub struct Topics {
    client: Client,
    wiring: TopicWiring,
}

/// What the template says of the customers' topics.
#[derive(Clone, Debug)]
pub struct TopicWiring {
    /// The name of the stack, as a tag of each topic.
    pub stack: String,
    /// The key that the topics are encrypted with, if they are.
    pub key_id: Option<String>,
    /// The queue of mails that SNS gives up. It tries an address 50 times within six hours (source: Amazon SNS
    /// message delivery retries, SMTP); what a mail server took and sent back later is nothing that SNS hears of.
    pub dead_letters_arn: String,
}

/// How subscribing ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subscribed {
    /// The address was asked to confirm, unless it has confirmed already. Holds the subscription's ARN.
    Made(String),
    /// The account may have no more topics, or no more subscriptions.
    NoRoom,
}

impl Topics {
    /// The topics that are wired so.
    pub fn new(client: Client, wiring: TopicWiring) -> Self {
        Self { client, wiring }
    }

    /// Makes the topic, and subscribes the address to it. While the subscription is not confirmed, each call mails the
    /// request to confirm it.
    pub async fn subscribe(&self, topic_arn: &str, email: &EmailAddress) -> Result<Subscribed, Error> {
        const DOING: &str = "subscribing a user";
        if !self.make(topic_arn).await? {
            return Ok(Subscribed::NoRoom);
        }
        let redrive = serde_json::json!({ "deadLetterTargetArn": self.wiring.dead_letters_arn }).to_string();
        let mut waits = NEW_TOPIC.into_iter();
        loop {
            let answer = self
                .client
                .subscribe()
                .topic_arn(topic_arn)
                .protocol("email")
                .endpoint(email.as_str())
                .attributes("RedrivePolicy", &redrive)
                .return_subscription_arn(true)
                .send()
                .await;
            let error = match answer {
                Ok(done) => {
                    return Ok(Subscribed::Made(done.subscription_arn.ok_or_else(|| incomplete(DOING))?));
                }
                Err(error) => error,
            };
            match error.as_service_error() {
                Some(SubscribeError::SubscriptionLimitExceededException(_)) => return Ok(Subscribed::NoRoom),
                Some(SubscribeError::NotFoundException(_)) => {
                    let Some(wait) = waits.next() else {
                        // SNS shows the topic later. Then a repeat finds it.
                        let source = "the new topic is not visible yet".into();
                        return Err(Error::Unavailable { doing: DOING, source });
                    };
                    tokio::time::sleep(wait).await;
                }
                _ => return Err(failed(DOING)(error)),
            }
        }
    }

    /// Makes a topic, or finds it. `false` when the account may have no more topics.
    async fn make(&self, topic_arn: &str) -> Result<bool, Error> {
        const DOING: &str = "making a customer's topic";
        let name = topic_arn.rsplit(':').next().unwrap_or_default();
        let tag = Tag::builder().key("orderflow:stack").value(&self.wiring.stack).build();
        let create = self
            .client
            .create_topic()
            .name(name)
            .attributes("DisplayName", DISPLAY_NAME)
            .tags(tag.map_err(|_refused| unbuildable(DOING))?);
        let create = match &self.wiring.key_id {
            Some(key_id) => create.attributes("KmsMasterKeyId", key_id),
            None => create,
        };
        match create.send().await {
            Ok(_made) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(CreateTopicError::TopicLimitExceededException(_)) => Ok(false),
                // The topic is there with attributes of an earlier set-up, such as another key. Its name is unique, so it
                // is this customer's.
                Some(CreateTopicError::InvalidParameterException(_)) => Ok(true),
                _ => Err(failed(DOING)(error)),
            },
        }
    }

    /// Deletes a topic with its subscriptions. A topic that is gone counts as deleted. A subscription that waits for its
    /// confirmation can outlive its topic for two days. Nothing is ever published to it.
    pub async fn delete(&self, topic_arn: &str) -> Result<(), Error> {
        self.client
            .delete_topic()
            .topic_arn(topic_arn)
            .send()
            .await
            .map(|_deleted| ())
            .map_err(failed("deleting a customer's topic"))
    }

    /// What SNS says of a subscription.
    pub async fn state_of(&self, subscription_arn: &str) -> Result<SubscriptionState, Error> {
        subscription_state(&self.client, subscription_arn).await
    }
}

/// What SNS says of a subscription. It is never guessed from the clock.
pub async fn subscription_state(client: &Client, subscription_arn: &str) -> Result<SubscriptionState, Error> {
    // An emulator may answer `pending confirmation` where AWS answers the ARN that was asked for.
    if !subscription_arn.starts_with("arn:") {
        return Ok(SubscriptionState::Pending);
    }
    let asked = client.get_subscription_attributes().subscription_arn(subscription_arn).send().await;
    match asked {
        Ok(answer) => {
            let pending = answer.attributes().and_then(|all| all.get("PendingConfirmation"));
            Ok(if pending.is_some_and(|pending| pending == "false") {
                SubscriptionState::Confirmed
            } else {
                SubscriptionState::Pending
            })
        }
        Err(error) => match error.as_service_error() {
            Some(GetSubscriptionAttributesError::NotFoundException(_)) => Ok(SubscriptionState::Gone),
            _ => Err(failed("asking for a subscription's state")(error)),
        },
    }
}

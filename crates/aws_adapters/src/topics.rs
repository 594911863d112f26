//! Subscriptions to the stack's topics. Each is filtered to one user within the very call that makes it: there is
//! no moment at which a subscription receives another customer's mail.

use aws_sdk_sns::{
    Client,
    error::ProvideErrorMetadata,
    operation::{get_subscription_attributes::GetSubscriptionAttributesError, subscribe::SubscribeError},
};
use domain::{EmailAddress, Error, Notifications, UserId};

use crate::{
    Subscription,
    failure::{failed, incomplete},
};

/// The stack's topic.
#[derive(Clone, Debug)]
pub struct Topics {
    client: Client,
    topic_arn: String,
}

/// How subscribing ended.
#[derive(Clone, Debug)]
pub enum Subscribed {
    /// A confirmation was mailed to the address.
    Asked(Subscription),
    /// The topic has no room for this user: 200 filters, or one subscription for each address.
    Full,
}

impl Topics {
    /// The topic with this ARN.
    pub fn new(client: Client, topic_arn: String) -> Self {
        Self { client, topic_arn }
    }

    /// Subscribes an address to the mail of one user. A repeat finds the same subscription, and while that is
    /// unconfirmed, mails its confirmation again.
    pub async fn subscribe(&self, user_id: &UserId, email: &EmailAddress) -> Result<Subscribed, Error> {
        const DOING: &str = "subscribing a user";
        let filter = serde_json::json!({ "user_id": [user_id.as_str()] }).to_string();
        let answer = self
            .client
            .subscribe()
            .topic_arn(&self.topic_arn)
            .protocol("email")
            .endpoint(email.as_str())
            .attributes("FilterPolicy", filter)
            .return_subscription_arn(true)
            .send()
            .await;
        match answer {
            Ok(done) => Ok(Subscribed::Asked(Subscription {
                topic_arn: self.topic_arn.clone(),
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

    /// Ends a subscription. One that is gone, or was never confirmed, counts as ended.
    pub async fn unsubscribe(&self, subscription: &Subscription) -> Result<(), Error> {
        if !has_arn(subscription) {
            return Ok(());
        }
        match self.client.unsubscribe().subscription_arn(&subscription.subscription_arn).send().await {
            Ok(_ended) => Ok(()),
            Err(error) => match error.as_service_error().and_then(ProvideErrorMetadata::code) {
                Some("NotFound" | "InvalidParameter") => Ok(()),
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

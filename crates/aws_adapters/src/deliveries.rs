//! Decides what becomes of a customer's mail: it is published, it waits for the confirmation, or it is not sent.

use domain::{Error, MailState, Recipient, Timestamp, UserId, workflow::Delivery};

use crate::{Later, NotificationsClient, StoreOutcome, Timeouts, Users, subscription_state};

/// The message of the log line. The runbook looks for it.
const REFUSED: &str = "SNS refused to say whether an address is confirmed";

/// The most rounds while others change the account.
const MAX_ROUNDS: usize = 2;

/// The decisions about the mail of the customers of one table.
#[derive(Clone, Debug)]
pub struct Deliveries {
    users: Users,
    /// Most mails are decided without asking SNS.
    client: Later<NotificationsClient>,
}

impl Deliveries {
    /// The decisions about these customers. Calls nothing.
    pub fn new(users: Users, client: Later<NotificationsClient>) -> Self {
        Self { users, client }
    }

    /// What becomes of a mail to this customer now. `known` is their account, if the caller has read it.
    ///
    /// A confirmation that was noted within a day is relied on. After that SNS is asked once, and its answer is noted
    /// before anything is published.
    pub async fn decide(
        &self,
        user_id: &UserId,
        known: Option<Recipient>,
        now: Timestamp,
    ) -> Result<Delivery, Error> {
        let delivery = self.find(user_id, known, now).await?;
        match &delivery {
            Delivery::Publish { .. } => {
                tracing::info!(metric = "EmailsPublished", value = 1_u64, "a mail is handed to SNS");
            }
            Delivery::Park { .. } => {
                tracing::info!(metric = "EmailsWaiting", value = 1_u64, "a mail waits for the confirmation");
            }
            Delivery::Off { .. } | Delivery::Later { .. } => {}
        }
        Ok(delivery)
    }

    async fn find(
        &self,
        user_id: &UserId,
        mut known: Option<Recipient>,
        now: Timestamp,
    ) -> Result<Delivery, Error> {
        for _ in 0..MAX_ROUNDS {
            let recipient = match known.take() {
                Some(recipient) => Some(recipient),
                None => self.users.recipient(user_id).await?,
            };
            let Some(recipient) = recipient else { return Ok(Delivery::OFF) };
            let (Some(topic_arn), Some(subscription_arn)) =
                (recipient.topic_arn.clone(), &recipient.subscription_arn)
            else {
                return Ok(of_unsubscribed(&recipient, now));
            };
            match recipient.mail {
                MailState::Off => return Ok(Delivery::OFF),
                MailState::Pending => return Ok(Delivery::park(now.after(Recipient::FIRST_LOOK))),
                MailState::Confirmed if recipient.is_known_confirmed(now) => {
                    return Ok(Delivery::Publish { topic_arn });
                }
                MailState::Confirmed => {}
            }
            let asking = subscription_state(&self.client, subscription_arn);
            let state = match tokio::time::timeout(Timeouts::ASKING, asking).await {
                Ok(Ok(state)) => state,
                // A missing permission, for example. The mail waits until an operator has mended it.
                Ok(Err(refused @ Error::Internal { .. })) => {
                    let error = refused.chain();
                    tracing::error!(metric = "AsksRefused", value = 1_u64, error, "{REFUSED}");
                    return Ok(Delivery::LATER);
                }
                Ok(Err(_)) | Err(_) => {
                    tracing::warn!("SNS did not say whether a customer's address is confirmed");
                    return Ok(Delivery::LATER);
                }
            };
            let Some(noted) = recipient.noted(state, now) else { return Ok(Delivery::LATER) };
            match self.users.note(user_id, &noted).await {
                Ok(StoreOutcome::Stored) => known = Some(noted.stored()),
                // Another caller has changed the account. It is read anew.
                Ok(StoreOutcome::Lost) => {}
                Err(error) => {
                    tracing::warn!(error = error.chain(), "what SNS said of an address could not be noted");
                    return Ok(Delivery::LATER);
                }
            }
        }
        Ok(Delivery::LATER)
    }
}

/// What becomes of a mail to a customer without a subscription: it waits until the address is asked.
fn of_unsubscribed(recipient: &Recipient, now: Timestamp) -> Delivery {
    match recipient.mail {
        MailState::Pending => Delivery::park(now.after(Recipient::FIRST_LOOK)),
        MailState::Confirmed | MailState::Off => Delivery::OFF,
    }
}

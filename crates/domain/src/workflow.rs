//! What the state machine's steps say to each other: their inputs and outputs.
//!
//! A step's messages stay compatible one version both ways: unknown fields are ignored and new ones have defaults,
//! so that old and new functions can meet inside one execution during a deployment. None holds an e-mail address or
//! a person's name.

use serde::{Deserialize, Serialize};

use crate::{
    Fingerprint, Mail, Money, Order, OrderId, Quote, Quoted, Reference, RequestedLine, Status, UserId,
};

/// The state machine's input for a new order: `command: "place"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Which order, derived from the user and the Idempotency-Key.
    pub order_id: OrderId,
    /// Who orders.
    pub user_id: UserId,
    /// What: merged and sorted.
    pub lines: Vec<RequestedLine>,
    /// What makes a repeat the same.
    pub fingerprint: Fingerprint,
    /// The customer's own name for the order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// What the customer believes it costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_total: Option<Money>,
}

/// An execution's input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Place an order.
    Place(Place),
}

/// `CheckInventory` answers: the quote, and where the user's mail goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Checked {
    /// The lines were looked at.
    Quote {
        /// What came of it.
        #[serde(flatten)]
        quote: Quote,
        /// The topic that reaches the user, if one does.
        topic_arn: Option<String>,
    },
    /// The caller has no user row; the lines were not priced.
    Unregistered {
        /// Always `user_not_registered`.
        outcome: UserNotRegistered,
    },
}

/// The one value of [`Checked::Unregistered`]'s outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UserNotRegistered {
    /// The caller has no user row.
    UserNotRegistered,
}

/// `CreateOrder` is asked: the execution's input and `CheckInventory`'s answer, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateOrder {
    /// The execution's input.
    pub request: Place,
    /// The quote to store.
    pub quote: QuotedFor,
}

/// A quote and where the user's mail goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotedFor {
    /// The quote.
    #[serde(flatten)]
    pub quoted: Quoted,
    /// The topic that reaches the user, if one does.
    #[serde(default)]
    pub topic_arn: Option<String>,
}

/// `CreateOrder` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Created {
    /// The order is stored and its stock reserved.
    Placed {
        /// The order, PENDING.
        order: Order,
    },
    /// The order is stored as REJECTED; no stock was touched.
    Rejected {
        /// The order.
        order: Order,
        /// What its customer is to be told.
        announce: Announcement,
    },
    /// This very request was stored before.
    Replayed {
        /// The order as it stands now.
        order: Order,
    },
    /// The key was used before for another request.
    KeyReused,
}

/// What `TriggerEmail` and `MarkNotified` need to tell a customer of one status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// The version that is announced, to be taken out of `unsent`.
    pub version: u32,
    /// The status that is announced.
    pub status: Status,
    /// Where to publish; nobody is listening when there is none.
    pub topic_arn: Option<String>,
    /// The text.
    #[serde(flatten)]
    pub mail: Mail,
}

impl Announcement {
    /// The announcement of the status that `order` has now; `None` while it is PENDING.
    pub fn of(order: &Order, topic_arn: Option<String>) -> Option<Self> {
        let mail = order.announcement()?;
        Some(Self { version: order.version, status: order.status, topic_arn, mail })
    }
}

/// `UpdateStatus` is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateStatus {
    /// Which order.
    pub order_id: OrderId,
    /// The status to take.
    pub to: Status,
    /// The topic that reaches the user, if one does.
    #[serde(default)]
    pub topic_arn: Option<String>,
}

/// `UpdateStatus` answers: the order as it stands now, and what to announce when this very call moved it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Updated {
    /// The order.
    pub order: Order,
    /// `None` when the order was there already: whoever moved it announces it.
    pub announce: Option<Announcement>,
}

/// An execution's output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Outcome {
    /// The order was stored, or had been.
    Created(Created),
    /// Nothing was stored.
    Refused(Checked),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_step_of_the_next_version_is_understood_unknown_fields_and_all() {
        let message = json!({
            "order_id": "6f1c3b1e-5d0a-5c0e-9a83-2f5b7e41d0c6", "to": "CONFIRMED", "priority": "high"
        });
        let asked: UpdateStatus = serde_json::from_value(message).unwrap();
        assert_eq!((asked.to, asked.topic_arn), (Status::Confirmed, None));
    }

    #[test]
    fn every_outcome_survives_the_way_through_json() {
        let eur = |amount| Money::new(amount, "EUR".to_owned().try_into().unwrap()).unwrap();
        for outcome in [
            Outcome::Created(Created::KeyReused),
            Outcome::Refused(Checked::Unregistered { outcome: UserNotRegistered::UserNotRegistered }),
            Outcome::Refused(Checked::Quote {
                quote: Quote::PriceChanged { expected: eur(1), quoted: eur(2) },
                topic_arn: None,
            }),
        ] {
            let json = serde_json::to_value(&outcome).unwrap();
            assert_eq!(serde_json::from_value::<Outcome>(json.clone()).unwrap(), outcome, "{json}");
        }
    }
}

//! What the state machine's steps say to each other: their inputs and outputs.
//!
//! A step's messages stay compatible one version both ways: unknown fields are ignored and new ones have defaults,
//! so that old and new functions can meet inside one execution during a deployment. None holds an e-mail address or
//! a person's name.

use serde::{Deserialize, Serialize};

use crate::{
    Actor, Fingerprint, Mail, Order, OrderId, OrderRequest, Quoted, Reason, Refusal, Status, UserId,
};

/// The state machine's input for a new order: `command: "place"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Which order, derived from the user and the Idempotency-Key.
    pub order_id: OrderId,
    /// Who orders.
    pub user_id: UserId,
    /// The lines, the reference and the expected total.
    #[serde(flatten)]
    pub request: OrderRequest,
    /// The request's fingerprint, as the door computed it.
    pub fingerprint: Fingerprint,
}

/// A person's wish to take an order to another status: `command: "change"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Which order.
    pub order_id: OrderId,
    /// The status to take.
    pub to: Status,
    /// Who wants it.
    pub actor: Actor,
    /// Why, if they said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The version that they have read; without one, whatever it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_version: Option<u32>,
}

/// An execution's input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// Place an order.
    Place(Place),
    /// Change an order's status.
    Change(Change),
    /// Finish what an interrupted execution left.
    Resume(Resume),
}

/// What an interrupted execution left is to be finished: `command: "resume"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// Which order.
    pub order_id: OrderId,
    /// The order's version when it was claimed. A later one was made by an execution that announces it itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_version: Option<u32>,
}

impl Command {
    /// Which order it is about.
    pub fn order_id(&self) -> OrderId {
        match self {
            Self::Place(Place { order_id, .. })
            | Self::Change(Change { order_id, .. })
            | Self::Resume(Resume { order_id, .. }) => *order_id,
        }
    }
}

/// `CheckInventory` answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Checked {
    /// The lines can be priced.
    Quoted(QuotedFor),
    /// The order cannot be placed so: this ends the execution, as its [`Outcome`].
    #[serde(untagged)]
    Refused(Refusal),
}

/// The input of `CreateOrder`: the execution's input and `CheckInventory`'s answer, whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateOrderInput {
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

/// The output of `CreateOrder`.
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
        Some(Self { version: order.version(), status: order.status(), topic_arn, mail })
    }
}

/// Where the mail of an order's customer goes, as far as an execution knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Topic {
    /// Nobody has looked yet.
    #[default]
    Unknown,
    /// `CheckInventory` has looked: this topic, or none.
    Known(Option<String>),
}

impl<'de> Deserialize<'de> for Topic {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Null says that there is none; only a missing field says that nobody has looked.
        Option::deserialize(deserializer).map(Self::Known)
    }
}

/// `UpdateStatus` is asked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum UpdateStatus {
    /// Confirm an order that was just placed.
    Place {
        /// Which order.
        order_id: OrderId,
        /// Where its customer's mail goes.
        #[serde(default, rename = "topic_arn")]
        topic: Topic,
        /// Whether an earlier execution stored it, perhaps so long ago that the sweeper is after it.
        #[serde(default)]
        replayed: bool,
    },
    /// Change an order's status.
    Change(Change),
    /// Finish what an interrupted execution left.
    Resume(Resume),
}

/// `UpdateStatus` answers: the order as it stands now, and what this execution has to announce.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Updated {
    /// What came of it.
    pub outcome: ChangeOutcome,
    /// The order.
    pub order: Order,
    /// `None` unless it is this execution's to announce.
    pub announce: Option<Announcement>,
}

/// What came of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeOutcome {
    /// The order has the status, by this change or by the same one before.
    Changed,
    /// The transition table has no such step from where the order stands.
    Illegal,
    /// The order is of another version than the one that was read.
    Stale,
}

/// An execution's output: what came of its command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The order is stored: CONFIRMED, or still PENDING when confirming it failed.
    Placed {
        /// The order.
        order: Order,
    },
    /// The order is stored as REJECTED.
    Rejected {
        /// The order.
        order: Order,
    },
    /// This very request was stored before.
    Replayed {
        /// The order as it stands now.
        order: Order,
    },
    /// A change, or a resumption, was made, or had been.
    Changed {
        /// The order as it stands now.
        order: Order,
    },
    /// The transition table has no such step.
    Illegal {
        /// The order as it stands.
        order: Order,
    },
    /// The order is of another version than the one that was read.
    Stale {
        /// The order as it stands.
        order: Order,
    },
    /// The key was used before for another request.
    KeyReused,
    /// Nothing was stored.
    #[serde(untagged)]
    Refused(Refusal),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Money;

    #[test]
    fn a_step_of_the_next_version_is_understood_unknown_fields_and_all() {
        let id = "6f1c3b1e-5d0a-5c0e-9a83-2f5b7e41d0c6";
        let read = |message| serde_json::from_value::<UpdateStatus>(message).unwrap();
        let topic_of = |asked| match asked {
            UpdateStatus::Place { topic, .. } => topic,
            UpdateStatus::Change(_) | UpdateStatus::Resume(_) => panic!("not a placement"),
        };
        let plain = json!({ "command": "place", "order_id": id, "priority": "high" });
        assert_eq!(topic_of(read(plain)), Topic::Unknown);
        let without = json!({ "command": "place", "order_id": id, "topic_arn": null });
        assert_eq!(topic_of(read(without)), Topic::Known(None));
        let with = json!({ "command": "place", "order_id": id, "topic_arn": "arn:t" });
        assert_eq!(topic_of(read(with)), Topic::Known(Some("arn:t".into())));
        let claimed = json!({ "command": "resume", "order_id": id });
        assert!(matches!(read(claimed), UpdateStatus::Resume(Resume { claimed_version: None, .. })));
    }

    #[test]
    fn what_check_inventory_refuses_is_an_outcome_as_it_stands() {
        let eur = |amount| Money::new(amount, "EUR".to_owned().try_into().unwrap()).unwrap();
        for refusal in [
            Refusal::UserNotRegistered,
            Refusal::UnknownSku { skus: vec!["TEA-1".to_owned().try_into().unwrap()] },
            Refusal::MixedCurrencies { currencies: vec!["EUR".into(), "USD".into()] },
            Refusal::AboveMaxPerOrder {
                limits: vec![crate::OrderLimit {
                    sku: "TEA-1".to_owned().try_into().unwrap(),
                    max_per_order: 2.try_into().unwrap(),
                }],
            },
            Refusal::PriceChanged { expected: eur(1), quoted: eur(2) },
        ] {
            let (checked, outcome) = (Checked::Refused(refusal.clone()), Outcome::Refused(refusal));
            let json = serde_json::to_value(checked).unwrap();
            assert_eq!(serde_json::from_value::<Outcome>(json.clone()).unwrap(), outcome, "{json}");
        }
    }

    #[test]
    fn a_quote_reaches_create_order_as_check_inventory_wrote_it() {
        let total = Money::new(7, "EUR".to_owned().try_into().unwrap()).unwrap();
        let quoted =
            QuotedFor { quoted: Quoted { lines: vec![], total, shortages: vec![] }, topic_arn: None };
        let json = serde_json::to_value(Checked::Quoted(quoted.clone())).unwrap();
        assert_eq!(json["outcome"], "quoted");
        assert_eq!(serde_json::from_value::<QuotedFor>(json).unwrap(), quoted);
    }
}

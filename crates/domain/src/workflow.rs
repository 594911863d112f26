//! The messages of the state machine: the inputs and outputs of its executions and of its steps.
//!
//! During a deployment, one execution may call both old and new functions. So each message must be readable by the
//! version before and the version after: unknown fields are ignored, and new fields have defaults. No message holds an
//! e-mail address or a user's name.

use serde::{Deserialize, Serialize};

use crate::{
    Actor, Fingerprint, Mail, Order, OrderId, OrderRequest, Quoted, Reason, Refusal, Status, UserId,
};

/// The command to place a new order: `command: "place"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The new order's id, derived from the user and the Idempotency-Key.
    pub order_id: OrderId,
    /// The customer who places the order.
    pub user_id: UserId,
    /// The lines, the reference and the expected total.
    #[serde(flatten)]
    pub request: OrderRequest,
    /// The request's fingerprint, as `POST /orders` computed it.
    pub fingerprint: Fingerprint,
}

/// A customer's or an admin's command to change an order's status: `command: "change"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The order to change.
    pub order_id: OrderId,
    /// The requested status.
    pub to: Status,
    /// The customer or admin who requests it.
    pub actor: Actor,
    /// The actor's own words on why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The version that the actor has read. The change is made to this version only; `None` allows any version.
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
    /// Finish the work that an interrupted execution left.
    Resume(Resume),
}

/// The command to finish the work that an interrupted execution left: `command: "resume"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// The order to resume.
    pub order_id: OrderId,
    /// The order's version when it was claimed. The execution that made a later version announces that one itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_version: Option<u32>,
}

impl Command {
    /// The order that the command is about.
    pub fn order_id(&self) -> OrderId {
        match self {
            Self::Place(Place { order_id, .. })
            | Self::Change(Change { order_id, .. })
            | Self::Resume(Resume { order_id, .. }) => *order_id,
        }
    }
}

/// The output of `CheckInventory`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Checked {
    /// Every line has a price.
    Quoted(QuotedFor),
    /// The request cannot become an order. The execution ends with this as its [`Outcome`].
    #[serde(untagged)]
    Refused(Refusal),
}

/// The input of `CreateOrder`: the execution's input and the whole output of `CheckInventory`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateOrderInput {
    /// The execution's input.
    pub request: Place,
    /// The prices to store, and the customer's topic.
    pub quote: QuotedFor,
}

/// A quote, and the topic of the customer's mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotedFor {
    /// The priced lines, whose fields the message holds beside the topic.
    #[serde(flatten)]
    pub quoted: Quoted,
    /// The topic that the customer is subscribed to. `None` when they have no subscription.
    #[serde(default)]
    pub topic_arn: Option<String>,
}

/// The output of `CreateOrder`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Created {
    /// The order is stored and its stock reserved.
    Placed {
        /// The PENDING order.
        order: Order,
    },
    /// The order is stored as REJECTED. No stock was changed.
    Rejected {
        /// The REJECTED order.
        order: Order,
        /// The announcement of the rejection.
        announce: Announcement,
    },
    /// The same request was stored before.
    Replayed {
        /// The order as it is now.
        order: Order,
    },
    /// The key was used before for another request.
    KeyReused,
}

/// The data that `TriggerEmail` and `MarkNotified` need to announce one status to the customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// The version that is announced. `MarkNotified` removes it from `unsent`.
    pub version: u32,
    /// The status that is announced.
    pub status: Status,
    /// The topic to publish to. With `None` no mail is sent, and the version counts as announced.
    pub topic_arn: Option<String>,
    /// The e-mail, whose fields the message holds beside the others.
    #[serde(flatten)]
    pub mail: Mail,
}

impl Announcement {
    /// The announcement of the status that `order` has now. `None` while it is PENDING.
    pub fn of(order: &Order, topic_arn: Option<String>) -> Option<Self> {
        let mail = order.announcement()?;
        Some(Self { version: order.version(), status: order.status(), topic_arn, mail })
    }
}

/// The customer's topic, as far as an execution knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Topic {
    /// The execution has not read the customer's row.
    #[default]
    Unknown,
    /// `CheckInventory` has read the customer's row. `None` when it has no topic.
    Known(Option<String>),
}

impl<'de> Deserialize<'de> for Topic {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Null means that the customer has no topic. Only a missing field means that the topic is unknown.
        Option::deserialize(deserializer).map(Self::Known)
    }
}

/// The input of `UpdateStatus`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum UpdateStatus {
    /// Confirm an order that was just placed.
    Place {
        /// The PENDING order to confirm.
        order_id: OrderId,
        /// The topic of the customer's mail.
        #[serde(default, rename = "topic_arn")]
        topic: Topic,
        /// Whether an earlier execution stored the order. If so, the sweeper may be about to take it up.
        #[serde(default)]
        replayed: bool,
    },
    /// Change an order's status.
    Change(Change),
    /// Finish the work that an interrupted execution left.
    Resume(Resume),
}

/// The output of `UpdateStatus`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Updated {
    /// How the step ended.
    pub outcome: ChangeOutcome,
    /// The order as it is now.
    pub order: Order,
    /// The announcement that this execution must send. `None` when there is none, or another execution sends it.
    pub announce: Option<Announcement>,
}

/// How `UpdateStatus` ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeOutcome {
    /// The change was made, by this call or by the same request before. Placements and resumptions always end so.
    Changed,
    /// The transition table does not allow the step from the order's status.
    Illegal,
    /// The order's version is not the one that the client has read.
    Stale,
}

/// The output of an execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The order is stored.
    Placed {
        /// The order as it is now: CONFIRMED as a rule, PENDING when it could not be confirmed.
        order: Order,
    },
    /// The order is stored as REJECTED.
    Rejected {
        /// The REJECTED order.
        order: Order,
    },
    /// The same request was stored before.
    Replayed {
        /// The order as it is now.
        order: Order,
    },
    /// A change was made, now or by the same request before, or a resumption ended.
    Changed {
        /// The order as it is now.
        order: Order,
    },
    /// The transition table does not allow the requested step.
    Illegal {
        /// The order, unchanged.
        order: Order,
    },
    /// The order's version is not the one that the client has read.
    Stale {
        /// The order, unchanged.
        order: Order,
    },
    /// The key was used before for another request.
    KeyReused,
    /// The request cannot become an order. Nothing was stored.
    #[serde(untagged)]
    Refused(Refusal),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Money;

    #[test]
    fn update_status_accepts_unknown_fields_and_missing_new_ones() {
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
    fn a_refusal_by_check_inventory_reads_as_the_executions_outcome() {
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
    fn create_order_reads_a_quote_as_check_inventory_wrote_it() {
        let total = Money::new(7, "EUR".to_owned().try_into().unwrap()).unwrap();
        let quoted =
            QuotedFor { quoted: Quoted { lines: vec![], total, shortages: vec![] }, topic_arn: None };
        let json = serde_json::to_value(Checked::Quoted(quoted.clone())).unwrap();
        assert_eq!(json["outcome"], "quoted");
        assert_eq!(serde_json::from_value::<QuotedFor>(json).unwrap(), quoted);
    }
}

//! The messages of the state machine: the inputs and outputs of its executions and of its steps.
//!
//! During a deployment, one execution may call both old and new functions. So each message must be readable by the
//! version before and the version after: unknown fields are ignored, and new fields have defaults. No message holds an
//! e-mail address or a user's name.

use serde::{Deserialize, Serialize};

use crate::{
    Actor, Error, Fingerprint, Mail, Order, OrderEvent, OrderId, OrderRequest, Quoted, Reason, Recipient,
    Refusal, Status, Timestamp, UserId,
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
    /// The id of the request to the API. A step that is tried again knows its own work by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
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
    /// The id of the request to the API. A step that is tried again knows its own work by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
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
    /// The prices to store, and how the customer is mailed.
    pub quote: QuotedFor,
    /// Whether the state machine tells the shop.
    #[serde(default)]
    pub tells: bool,
}

/// A quote, and how the customer is mailed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotedFor {
    /// The priced lines, whose fields the message holds beside the others.
    #[serde(flatten)]
    pub quoted: Quoted,
    /// The customer's account, as far as mail needs it. A function of the version before does not send it.
    #[serde(default)]
    pub recipient: Option<Recipient>,
    /// Always null. A state machine of the version before reads it, and must find it.
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
        /// The announcement of the rejection. `None` when the sweeper has to send it.
        announce: Option<Announcement>,
    },
    /// The same request was stored before.
    Replayed {
        /// The order as it is now.
        order: Order,
    },
    /// The key was used before for another request.
    KeyReused,
}

/// The data that `TriggerEmail` and the states after it need to announce one status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// The version that is announced.
    pub version: u32,
    /// The status that is announced.
    pub status: Status,
    /// What becomes of the customer's mail.
    #[serde(flatten)]
    pub delivery: Delivery,
    /// The e-mail, whose fields the message holds beside the others.
    #[serde(flatten)]
    pub mail: Mail,
    /// The message to the shop, as JSON. `None` when the shop was told, or the state machine does not tell it.
    pub tell: Option<String>,
    /// Whether other versions still wait to be announced, and no other execution is about to announce them.
    #[serde(default)]
    pub rest: bool,
}

/// What becomes of the customer's mail about one status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "delivery", rename_all = "snake_case")]
pub enum Delivery {
    /// It is published to the customer's topic.
    Publish {
        /// The topic.
        topic_arn: String,
    },
    /// It waits until the address is confirmed.
    Park {
        /// The time at which the sweeper looks whether it is.
        look_at: Timestamp,
        /// Always null, for a state machine of the version before.
        #[serde(default)]
        topic_arn: Option<String>,
    },
    /// The customer is not mailed. The version counts as announced.
    Off {
        /// Always null, for a state machine of the version before.
        #[serde(default)]
        topic_arn: Option<String>,
    },
    /// SNS could not be asked whether the address is confirmed. The order stays due, as after any fault.
    Later {
        /// Always null, for a state machine of the version before.
        #[serde(default)]
        topic_arn: Option<String>,
    },
}

impl Delivery {
    /// Waits for the confirmation until `look_at`.
    pub fn park(look_at: Timestamp) -> Self {
        Self::Park { look_at, topic_arn: None }
    }

    /// The customer is not mailed.
    pub const OFF: Self = Self::Off { topic_arn: None };

    /// The order stays due.
    pub const LATER: Self = Self::Later { topic_arn: None };

    /// Whether the mail can neither be sent now nor left out. A state machine of the version before would take that for
    /// a customer without a topic, and count the mail as sent.
    pub fn is_open(&self) -> bool {
        match self {
            Self::Park { .. } | Self::Later { .. } => true,
            Self::Publish { .. } | Self::Off { .. } => false,
        }
    }
}

impl Announcement {
    /// The announcement of the status that `order` has now, to the shop too if `tell`. `None` while it is PENDING.
    pub fn of(order: &Order, delivery: Delivery, tell: bool) -> Result<Option<Self>, Error> {
        let (Some(mail), Some(event)) = (order.announcement(), OrderEvent::of(order)) else {
            return Ok(None);
        };
        let tell = if tell { Some(event.to_json()?) } else { None };
        Ok(Some(Self { version: order.version(), status: order.status(), delivery, mail, tell, rest: false }))
    }
}

/// The input of `UpdateStatus`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct UpdateStatus {
    /// Whether the state machine tells the shop. It says so as a constant of its definition.
    #[serde(default)]
    pub tells: bool,
    /// The command.
    #[serde(flatten)]
    pub update: Update,
}

/// What `UpdateStatus` is to do.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Update {
    /// Confirm an order that was just placed.
    Place {
        /// The PENDING order to confirm.
        order_id: OrderId,
        /// The customer's account, as `CheckInventory` read it. `None` when this step has to read it.
        #[serde(default)]
        recipient: Option<Recipient>,
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
        let older =
            read(json!({ "command": "place", "order_id": id, "topic_arn": "arn:t", "priority": "high" }));
        assert!(!older.tells);
        assert!(matches!(older.update, Update::Place { recipient: None, replayed: false, .. }));
        let newer = read(json!({
            "command": "place", "order_id": id, "tells": true,
            "recipient": { "version": 3, "mail": "confirmed", "topic_arn": "arn:t", "shoe_size": 38 },
        }));
        assert!(newer.tells);
        let Update::Place { recipient: Some(recipient), .. } = newer.update else { panic!("a recipient") };
        assert_eq!((recipient.version, recipient.topic_arn.as_deref()), (3, Some("arn:t")));
        let claimed = read(json!({ "command": "resume", "order_id": id }));
        assert!(matches!(claimed.update, Update::Resume(Resume { claimed_version: None, .. })));
    }

    #[test]
    fn only_a_published_announcement_names_a_topic_to_a_state_machine_of_the_version_before() {
        let spelled = |delivery: Delivery| serde_json::to_value(delivery).unwrap();
        let at = Timestamp::try_from("2026-03-01T12:30:00.000Z".to_owned()).unwrap();
        assert_eq!(
            spelled(Delivery::Publish { topic_arn: "arn:t".into() }),
            json!({ "delivery": "publish", "topic_arn": "arn:t" })
        );
        assert_eq!(
            spelled(Delivery::park(at)),
            json!({ "delivery": "park", "topic_arn": null, "look_at": "2026-03-01T12:30:00.000Z" })
        );
        assert_eq!(spelled(Delivery::OFF), json!({ "delivery": "off", "topic_arn": null }));
        assert_eq!(spelled(Delivery::LATER), json!({ "delivery": "later", "topic_arn": null }));
    }

    #[test]
    fn a_refusal_by_check_inventory_reads_as_the_executions_outcome() {
        let eur = |amount| Money::new(amount, "EUR".to_owned().try_into().unwrap()).unwrap();
        for refusal in [
            Refusal::UserNotRegistered,
            Refusal::TooManyOrders { retry_after_s: 60 },
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
        let quoted = QuotedFor {
            quoted: Quoted { lines: vec![], total, shortages: vec![] },
            recipient: Some(Recipient { version: 2, ..Recipient::default() }),
            topic_arn: None,
        };
        let json = serde_json::to_value(Checked::Quoted(quoted.clone())).unwrap();
        assert_eq!(json["outcome"], "quoted");
        assert_eq!(serde_json::from_value::<QuotedFor>(json).unwrap(), quoted);
    }
}

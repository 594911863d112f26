//! An order and its life: the one table of transitions, and who may make them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    Error, Fault, Fingerprint, Mail, Money, OrderId, PricedLine, Quoted, Reason, Reference, Shortage,
    Timestamp, UserId,
};

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Stored, its stock reserved, its customer not told yet.
    Pending,
    /// Accepted: the customer is told, the stock is theirs.
    Confirmed,
    /// Refused for lack of stock. Holds nothing.
    Rejected,
    /// Taken back. Its stock is available again.
    Cancelled,
    /// Left the house.
    Shipped,
    /// Arrived.
    Delivered,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Confirmed, Self::Rejected, Self::Cancelled, Self::Shipped, Self::Delivered];

    /// The transition table: `next`, when an order may go there from here.
    pub fn step(self, next: Self) -> Result<Self, Error> {
        use Status::{Cancelled, Confirmed, Delivered, Pending, Rejected, Shipped};
        match (self, next) {
            (Pending, Confirmed)
            | (Confirmed, Shipped)
            | (Shipped, Delivered)
            | (Pending | Confirmed, Cancelled) => Ok(next),
            (from @ (Pending | Confirmed | Rejected | Cancelled | Shipped | Delivered), to) => {
                Err(Error::IllegalTransition { from, to })
            }
        }
    }

    /// What taking this status does to the stock that an order holds.
    pub fn effect(self) -> StockEffect {
        match self {
            Self::Cancelled => StockEffect::Release,
            Self::Shipped => StockEffect::Ship,
            Self::Pending | Self::Confirmed | Self::Rejected | Self::Delivered => StockEffect::None,
        }
    }

    /// As it is written in JSON and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Confirmed => "CONFIRMED",
            Self::Rejected => "REJECTED",
            Self::Cancelled => "CANCELLED",
            Self::Shipped => "SHIPPED",
            Self::Delivered => "DELIVERED",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a transition does to the stock that an order holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StockEffect {
    /// Nothing.
    None,
    /// Reserved units become available again.
    Release,
    /// Reserved units leave the house.
    Ship,
}

impl TryFrom<String> for Status {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            Error::Invalid(vec![Fault::new("status", format!("must be one of {names}"))])
        })
    }
}

/// Who made a transition: the workflow, or the user with this id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Actor {
    /// The state machine, on nobody's behalf.
    Workflow,
    /// A person.
    User(String),
}

impl From<String> for Actor {
    fn from(text: String) -> Self {
        if text == "workflow" { Self::Workflow } else { Self::User(text) }
    }
}

impl From<Actor> for String {
    fn from(actor: Actor) -> Self {
        match actor {
            Actor::Workflow => "workflow".to_owned(),
            Actor::User(id) => id,
        }
    }
}

/// One step of an order's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The status it took.
    pub status: Status,
    /// The order's version from then on.
    pub version: u32,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// Why, if they said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
}

/// An order as its owner may see it: the body of every answer on it. Nothing internal is in here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Which.
    pub order_id: OrderId,
    /// Whose.
    pub user_id: UserId,
    /// The customer's own name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// Where it stands.
    pub status: Status,
    /// What was ordered, in SKU order.
    pub lines: Vec<PricedLine>,
    /// What it costs.
    pub total: Money,
    /// Why it was rejected.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortages: Vec<Shortage>,
    /// Every status it had, oldest first.
    pub history: Vec<HistoryEntry>,
    /// Counts the transitions, from 1. The `ETag`.
    pub version: u32,
    /// When it was placed.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

impl Order {
    /// The order after one more transition, if the table has it.
    pub fn advance(
        &self,
        to: Status,
        at: Timestamp,
        actor: Actor,
        reason: Option<Reason>,
    ) -> Result<Self, Error> {
        let status = self.status.step(to)?;
        let version = self.version + 1;
        let mut after = self.clone();
        after.history.push(HistoryEntry { status, version, at, actor, reason });
        after.status = status;
        after.version = version;
        after.updated_at = at;
        Ok(after)
    }

    /// Whether taking `to` would repeat what this actor did last: that is success, without a second entry or e-mail.
    pub fn repeats(&self, to: Status, actor: &Actor) -> bool {
        self.history.last().is_some_and(|entry| entry.status == to && entry.actor == *actor)
    }

    /// The order as it was in an earlier version, for an announcement that is late; `None` if it never had it.
    pub fn as_of(&self, version: u32) -> Option<Self> {
        let mut before = self.clone();
        before.history.retain(|entry| entry.version <= version);
        let entry = before.history.last().filter(|entry| entry.version == version)?;
        before.status = entry.status;
        before.version = version;
        before.updated_at = entry.at;
        Some(before)
    }

    /// When it took the status it has.
    pub fn since(&self) -> Timestamp {
        self.history.last().map_or(self.created_at, |entry| entry.at)
    }

    /// The mail that announces the status it has now; `None` for PENDING, which is not announced.
    pub fn announcement(&self) -> Option<Mail> {
        Mail::announcing(self)
    }
}

/// A new order on its way into the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The order: PENDING, or REJECTED when it has shortages.
    pub order: Order,
    /// What makes a repeat of the request the same.
    pub fingerprint: Fingerprint,
}

impl Placement {
    /// A new order: PENDING, or REJECTED when its quote has shortages.
    pub fn new(
        order_id: OrderId,
        user_id: UserId,
        reference: Option<Reference>,
        fingerprint: Fingerprint,
        quoted: Quoted,
        at: Timestamp,
    ) -> Self {
        let status = if quoted.shortages.is_empty() { Status::Pending } else { Status::Rejected };
        let history = vec![HistoryEntry { status, version: 1, at, actor: Actor::Workflow, reason: None }];
        let Quoted { lines, total, shortages } = quoted;
        let order = Order {
            order_id,
            user_id,
            reference,
            status,
            lines,
            total,
            shortages,
            history,
            version: 1,
            created_at: at,
            updated_at: at,
        };
        Self { order, fingerprint }
    }

    /// The same order, rejected for these shortages: stock ran out between the quote and the reservation.
    #[must_use]
    pub fn rejected(mut self, shortages: Vec<Shortage>) -> Self {
        self.order.status = Status::Rejected;
        self.order.shortages = shortages;
        for entry in &mut self.order.history {
            entry.status = Status::Rejected;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transition_table_is_this_one() {
        use Status::{Cancelled, Confirmed, Delivered, Pending, Shipped};
        let allowed = [
            (Pending, Confirmed),
            (Pending, Cancelled),
            (Confirmed, Cancelled),
            (Confirmed, Shipped),
            (Shipped, Delivered),
        ];
        for from in Status::ALL {
            for to in Status::ALL {
                let answer = from.step(to);
                assert_eq!(answer.is_ok(), allowed.contains(&(from, to)), "{from} to {to}");
                if let Err(error) = answer {
                    assert_eq!(error.code(), "illegal_transition");
                }
            }
        }
    }

    #[test]
    fn an_order_remembers_every_status_it_had_and_can_be_shown_as_it_was() {
        let at = Timestamp::try_from("2026-03-01T12:30:00.000Z".to_owned()).unwrap();
        let user = UserId::try_from("ada".to_owned()).unwrap();
        let id = OrderId::derive(&user, &"k".to_owned().try_into().unwrap());
        let total = Money::new(0, "EUR".to_owned().try_into().unwrap()).unwrap();
        let quoted = Quoted { lines: Vec::new(), total, shortages: Vec::new() };
        let placed = Placement::new(id, user, None, Fingerprint::of_order(&[], None, None), quoted, at).order;
        let (ada, bob) = (Actor::User("ada".into()), Actor::User("bob".into()));
        let confirmed = placed.advance(Status::Confirmed, at, Actor::Workflow, None).unwrap();
        let cancelled = confirmed.advance(Status::Cancelled, at, ada.clone(), None).unwrap();

        assert_eq!((cancelled.version, cancelled.history.len()), (3, 3));
        assert_eq!(cancelled.as_of(2), Some(confirmed));
        assert_eq!(cancelled.as_of(1), Some(placed));
        assert_eq!((cancelled.as_of(0), cancelled.as_of(4)), (None, None));
        assert!(cancelled.repeats(Status::Cancelled, &ada));
        assert!(!cancelled.repeats(Status::Cancelled, &bob) && !cancelled.repeats(Status::Shipped, &ada));
        assert!(cancelled.advance(Status::Shipped, at, bob, None).is_err());
    }

    #[test]
    fn a_status_is_written_the_same_by_hand_and_by_serde() {
        for status in Status::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
    }
}

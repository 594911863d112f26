//! An order, its history and the one table of transitions.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize, Serializer};

use crate::{
    Error, Fingerprint, InvalidField, Mail, Money, OrderId, PricedLine, Quoted, Reason, Reference, Shortage,
    Timestamp, UserId, workflow::Place,
};

/// An order's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Stored, with its stock reserved. The customer gets no mail about it.
    Pending,
    /// Accepted. Its stock stays reserved until the order is shipped or cancelled.
    Confirmed,
    /// Refused for lack of stock. It reserves nothing.
    Rejected,
    /// Cancelled by the customer or an admin. Its stock is available again.
    Cancelled,
    /// Sent. Its units are no longer in the stock.
    Shipped,
    /// Received by the customer.
    Delivered,
}

impl Status {
    /// Every status, in the order of the variants.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Confirmed, Self::Rejected, Self::Cancelled, Self::Shipped, Self::Delivered];

    /// The transition table. Answers `next` when an order may take it after this status.
    ///
    /// # Errors
    /// [`Error::IllegalTransition`] for every other pair.
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

    /// The effect that taking this status has on the stock that an order holds. `None` when it changes no stock.
    pub fn stock_effect(self) -> Option<StockEffect> {
        match self {
            Self::Cancelled => Some(StockEffect::Release),
            Self::Shipped => Some(StockEffect::Ship),
            Self::Pending | Self::Confirmed | Self::Rejected | Self::Delivered => None,
        }
    }

    /// Whether a person may ask for this status. The workflow alone gives the others.
    pub fn is_given_on_request(self) -> bool {
        match self {
            Self::Cancelled | Self::Shipped | Self::Delivered => true,
            Self::Pending | Self::Confirmed | Self::Rejected => false,
        }
    }

    /// The status as JSON and the table spell it.
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

/// The effect of a transition on the stock that an order holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StockEffect {
    /// Reserved units become available again.
    Release,
    /// Reserved units leave the stock.
    Ship,
}

impl TryFrom<String> for Status {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            Error::Invalid(vec![InvalidField::new("status", format!("must be one of {names}"))])
        })
    }
}

/// The maker of a transition. It is written as `workflow` or `user:<id>`, so no user id can be read as the workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Actor {
    /// The state machine, which stores, rejects and confirms orders.
    Workflow,
    /// The customer or the admin who requested the transition.
    User(UserId),
}

/// The prefix of a user's id in an actor's text.
const USER: &str = "user:";

impl TryFrom<String> for Actor {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        match text.strip_prefix(USER) {
            Some(id) => Ok(Self::User(UserId::try_from(id.to_owned())?)),
            None if text == "workflow" => Ok(Self::Workflow),
            None => Err(Error::Invalid(vec![InvalidField::new("actor", "must be workflow or user:<id>")])),
        }
    }
}

impl From<Actor> for String {
    fn from(actor: Actor) -> Self {
        match actor {
            Actor::Workflow => "workflow".to_owned(),
            Actor::User(id) => format!("{USER}{id}"),
        }
    }
}

/// One transition in an order's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The status that the order took.
    pub status: Status,
    /// The order's version after this transition. The first transition makes version 1.
    pub version: u32,
    /// The time of the transition.
    pub at: Timestamp,
    /// The maker of the transition.
    pub actor: Actor,
    /// The actor's own words on why. Only a cancellation can have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The time at which the mail about this transition was handed to SNS for a confirmed address. Missing while it waits,
    /// and when it was never sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mailed_at: Option<Timestamp>,
}

impl HistoryEntry {
    /// A transition that is not announced yet.
    pub fn new(status: Status, version: u32, at: Timestamp, actor: Actor, reason: Option<Reason>) -> Self {
        Self { status, version, at, actor, reason, mailed_at: None }
    }
}

/// An order as its customer may see it. Every answer about an order has it as its body. It holds no internal attribute.
///
/// Status, version and time of the last change are those of the last history entry. JSON and the table hold them beside
/// the history as well. A record in which the two disagree is refused.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "OrderRecord")]
pub struct Order {
    /// The id, which is derived from the customer and their Idempotency-Key.
    pub order_id: OrderId,
    /// The customer who placed it.
    pub user_id: UserId,
    /// The customer's own name for the order, such as a purchase order's number.
    pub reference: Option<Reference>,
    /// The lines, in SKU order, with the prices at which the order was placed.
    pub lines: Vec<PricedLine>,
    /// The sum of the lines.
    pub total: Money,
    /// The lines for which stock was short. Empty unless the order is REJECTED.
    pub shortages: Vec<Shortage>,
    /// The time when the order was placed.
    pub created_at: Timestamp,
    /// The transitions before the last one, oldest first.
    earlier: Vec<HistoryEntry>,
    /// The last transition.
    latest: HistoryEntry,
}

/// An order as JSON and table rows spell it. Writing borrows the order's parts instead of copying them.
#[derive(Serialize, Deserialize)]
struct OrderRecord<'a> {
    order_id: OrderId,
    user_id: Cow<'a, UserId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reference: Option<Cow<'a, Reference>>,
    status: Status,
    lines: Cow<'a, [PricedLine]>,
    total: Money,
    #[serde(default, skip_serializing_if = "<[Shortage]>::is_empty")]
    shortages: Cow<'a, [Shortage]>,
    history: Vec<Cow<'a, HistoryEntry>>,
    version: u32,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl Serialize for Order {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let record = OrderRecord {
            order_id: self.order_id,
            user_id: Cow::Borrowed(&self.user_id),
            reference: self.reference.as_ref().map(Cow::Borrowed),
            status: self.status(),
            lines: Cow::Borrowed(&self.lines),
            total: self.total,
            shortages: Cow::Borrowed(&self.shortages),
            history: self.history().map(Cow::Borrowed).collect(),
            version: self.version(),
            created_at: self.created_at,
            updated_at: self.updated_at(),
        };
        record.serialize(serializer)
    }
}

impl TryFrom<OrderRecord<'_>> for Order {
    type Error = Error;

    fn try_from(mut record: OrderRecord<'_>) -> Result<Self, Error> {
        let disagrees = |reason: &str| Error::Invalid(vec![InvalidField::new("history", reason)]);
        let latest =
            record.history.pop().ok_or_else(|| disagrees("must hold at least one entry"))?.into_owned();
        if (latest.status, latest.version, latest.at) != (record.status, record.version, record.updated_at) {
            return Err(disagrees("must end with the order's status, version and updated_at"));
        }
        let earlier: Vec<HistoryEntry> = record.history.into_iter().map(Cow::into_owned).collect();
        if !earlier.iter().chain([&latest]).map(|entry| entry.version).eq(1..=latest.version) {
            return Err(disagrees("must count its versions from 1"));
        }
        Ok(Self {
            order_id: record.order_id,
            user_id: record.user_id.into_owned(),
            reference: record.reference.map(Cow::into_owned),
            lines: record.lines.into_owned(),
            total: record.total,
            shortages: record.shortages.into_owned(),
            created_at: record.created_at,
            earlier,
            latest,
        })
    }
}

impl Order {
    /// The status after the last transition.
    pub fn status(&self) -> Status {
        self.latest.status
    }

    /// The number of transitions so far, from 1. It is the order's `ETag`.
    pub fn version(&self) -> u32 {
        self.latest.version
    }

    /// The time of the last transition.
    pub fn updated_at(&self) -> Timestamp {
        self.latest.at
    }

    /// Every transition, oldest first.
    pub fn history(&self) -> impl Iterator<Item = &HistoryEntry> {
        self.earlier.iter().chain([&self.latest])
    }

    /// The last transition. An order always has one.
    pub fn latest(&self) -> &HistoryEntry {
        &self.latest
    }

    /// The order after one more transition.
    ///
    /// # Errors
    /// [`Error::IllegalTransition`] when the transition table does not allow it.
    pub fn advance(
        &self,
        to: Status,
        at: Timestamp,
        actor: Actor,
        reason: Option<Reason>,
    ) -> Result<Self, Error> {
        let status = self.status().step(to)?;
        let mut after = self.clone();
        let latest = HistoryEntry::new(status, self.version() + 1, at, actor, reason);
        after.earlier.push(std::mem::replace(&mut after.latest, latest));
        Ok(after)
    }

    /// Whether the last transition was to this status and by this actor. Such a repeat succeeds without a second
    /// history entry or e-mail.
    pub fn repeats(&self, to: Status, actor: &Actor) -> bool {
        self.latest.status == to && self.latest.actor == *actor
    }

    /// The order as it was in `version`, for a late announcement. `None` if the order never had that version.
    pub fn as_of(&self, version: u32) -> Option<Self> {
        let mut before = self.clone();
        while before.latest.version > version {
            before.latest = before.earlier.pop()?;
        }
        (before.latest.version == version).then_some(before)
    }

    /// The mail that announces the order's status. `None` for PENDING, which is not announced.
    pub fn announcement(&self) -> Option<Mail> {
        Mail::announcing(self)
    }
}

/// A new order that is not stored yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The order in its first version: PENDING, or REJECTED when it has shortages.
    pub order: Order,
    /// The fingerprint of the request, which tells a repeat from another request under the same key.
    pub fingerprint: Fingerprint,
    /// The id of the request to the API, which tells a step that is tried again from a repeat.
    pub request_id: Option<String>,
}

impl Placement {
    /// A new order: PENDING, or REJECTED when its quote has shortages.
    pub fn new(place: Place, quoted: Quoted, at: Timestamp) -> Self {
        let status = if quoted.shortages.is_empty() { Status::Pending } else { Status::Rejected };
        let Place { order_id, user_id, request, fingerprint, request_id } = place;
        let Quoted { lines, total, shortages } = quoted;
        let order = Order {
            order_id,
            user_id,
            reference: request.into_reference(),
            lines,
            total,
            shortages,
            created_at: at,
            earlier: Vec::new(),
            latest: HistoryEntry::new(status, 1, at, Actor::Workflow, None),
        };
        Self { order, fingerprint, request_id }
    }

    /// The same order as REJECTED. This happens when stock runs out between the quote and the reservation.
    #[must_use]
    pub fn rejected(mut self, shortages: Vec<Shortage>) -> Self {
        self.order.latest.status = Status::Rejected;
        self.order.shortages = shortages;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_transition_table_allows_exactly_five_steps() {
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

    fn user(id: &str) -> UserId {
        UserId::try_from(id.to_owned()).unwrap()
    }

    fn placed(at: Timestamp) -> Order {
        let sku = "TEA-1".to_owned().try_into().unwrap();
        let line = crate::RequestedLine { sku, quantity: 1.try_into().unwrap() };
        let request = crate::OrderRequest::new(vec![line]).unwrap();
        let order_id = OrderId::derive(&user("ada"), &"k".to_owned().try_into().unwrap());
        let fingerprint = request.fingerprint();
        let place = Place { order_id, user_id: user("ada"), request, fingerprint, request_id: None };
        let total = Money::new(0, "EUR".to_owned().try_into().unwrap()).unwrap();
        Placement::new(place, Quoted { lines: Vec::new(), total, shortages: Vec::new() }, at).order
    }

    #[test]
    fn no_user_id_is_read_as_the_workflow() {
        for (actor, written) in [
            (Actor::Workflow, "workflow"),
            (Actor::User(user("workflow")), "user:workflow"),
            (Actor::User(user("user:ada")), "user:user:ada"),
        ] {
            assert_eq!(String::from(actor.clone()), written);
            assert_eq!(Actor::try_from(written.to_owned()).unwrap(), actor);
        }
        for unknown in ["ada", "user:", "Workflow", "", "user:a b"] {
            assert!(Actor::try_from(unknown.to_owned()).is_err(), "{unknown:?}");
        }
    }

    #[test]
    fn a_record_that_disagrees_with_its_history_is_refused() {
        let at = Timestamp::try_from("2026-03-01T12:30:00.000Z".to_owned()).unwrap();
        let order = placed(at).advance(Status::Confirmed, at, Actor::Workflow, None).unwrap();
        let record = serde_json::to_value(&order).unwrap();
        assert_eq!((&record["status"], &record["version"]), (&"CONFIRMED".into(), &2.into()));
        assert_eq!(serde_json::from_value::<Order>(record.clone()).unwrap(), order);
        for (field, other) in [
            ("status", serde_json::json!("SHIPPED")),
            ("version", 3.into()),
            ("updated_at", "2026-03-01T12:30:00.001Z".into()),
            ("history", serde_json::json!([])),
            ("history", serde_json::json!([record["history"][1]])),
        ] {
            let mut torn = record.clone();
            torn[field] = other;
            assert!(serde_json::from_value::<Order>(torn).is_err(), "{field}");
        }
    }

    #[test]
    fn an_order_keeps_every_earlier_version() {
        let at = Timestamp::try_from("2026-03-01T12:30:00.000Z".to_owned()).unwrap();
        let placed = placed(at);
        let (ada, bob) = (Actor::User(user("ada")), Actor::User(user("bob")));
        let confirmed = placed.advance(Status::Confirmed, at, Actor::Workflow, None).unwrap();
        let cancelled = confirmed.advance(Status::Cancelled, at, ada.clone(), None).unwrap();

        assert_eq!((cancelled.version(), cancelled.history().count()), (3, 3));
        assert_eq!(cancelled.as_of(2), Some(confirmed));
        assert_eq!(cancelled.as_of(1), Some(placed));
        assert_eq!((cancelled.as_of(0), cancelled.as_of(4)), (None, None));
        assert!(cancelled.repeats(Status::Cancelled, &ada));
        assert!(!cancelled.repeats(Status::Cancelled, &bob) && !cancelled.repeats(Status::Shipped, &ada));
        assert!(cancelled.advance(Status::Shipped, at, bob, None).is_err());
    }

    #[test]
    fn as_str_spells_a_status_as_serde_does() {
        for status in Status::ALL {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
    }
}

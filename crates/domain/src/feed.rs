//! The message that tells the shop of one announced status.

use serde::Serialize;

use crate::{Error, Money, Order, OrderId, Quantity, Sku, Status, Timestamp, UserId};

/// The message that tells the shop's staff and machines that an order took a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OrderEvent {
    event: String,
    order_id: OrderId,
    user_id: UserId,
    status: Status,
    version: u32,
    at: Timestamp,
    total: Money,
    lines: Vec<EventLine>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct EventLine {
    sku: Sku,
    quantity: Quantity,
}

impl OrderEvent {
    /// The message about the status that `order` has now. `None` while it is PENDING.
    pub fn of(order: &Order) -> Option<Self> {
        let name = order.status().as_str().to_lowercase();
        (order.status() != Status::Pending).then(|| Self {
            event: format!("order.{name}"),
            order_id: order.order_id,
            user_id: order.user_id.clone(),
            status: order.status(),
            version: order.version(),
            at: order.updated_at(),
            total: order.total,
            lines: order
                .lines
                .iter()
                .map(|line| EventLine { sku: line.sku.clone(), quantity: line.quantity })
                .collect(),
        })
    }

    /// The message as JSON.
    pub fn to_json(&self) -> Result<String, Error> {
        serde_json::to_string(self)
            .map_err(|source| Error::Internal { doing: "telling the shop", source: source.into() })
    }

    /// The event's name, such as `order.confirmed`.
    pub fn name(&self) -> &str {
        &self.event
    }
}

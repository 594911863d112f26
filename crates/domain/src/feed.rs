//! The message that tells the shop's staff and machines of one announced status. `docs/feed.md` describes it, and
//! `infra/openapi.yaml` under `webhooks`.
//!
//! It holds ids, quantities and amounts, and nothing else that the customer has written or is called.

use serde::{Deserialize, Serialize};

use crate::{Error, Money, Order, OrderId, Quantity, Sku, Status, Timestamp, UserId};

/// The news that an order took a status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderEvent {
    /// The event's name: `order.` and the status in lower case.
    pub event: String,
    /// The order.
    pub order_id: OrderId,
    /// Its customer.
    pub user_id: UserId,
    /// The status that it took.
    pub status: Status,
    /// The order's version since then. With the order's id it tells a repeated message from a new one.
    pub version: u32,
    /// The time at which it took the status.
    pub at: Timestamp,
    /// The order's total.
    pub total: Money,
    /// What was ordered.
    pub lines: Vec<EventLine>,
}

/// One line of an order, as the shop is told of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventLine {
    /// The product's code.
    pub sku: Sku,
    /// The units.
    pub quantity: Quantity,
}

impl OrderEvent {
    /// The news of the status that `order` has now. `None` for PENDING, which is not announced.
    pub fn of(order: &Order) -> Option<Self> {
        if order.status() == Status::Pending {
            return None;
        }
        let lines = order.lines.iter();
        Some(Self {
            event: format!("order.{}", order.status().as_str().to_lowercase()),
            order_id: order.order_id,
            user_id: order.user_id.clone(),
            status: order.status(),
            version: order.version(),
            at: order.updated_at(),
            total: order.total,
            lines: lines.map(|line| EventLine { sku: line.sku.clone(), quantity: line.quantity }).collect(),
        })
    }

    /// The message as JSON.
    pub fn to_json(&self) -> Result<String, Error> {
        let unwritable = |source: serde_json::Error| Error::Internal {
            doing: "telling the shop of an order",
            source: source.into(),
        };
        serde_json::to_string(self).map_err(unwritable)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{
        Actor, Currency, IdempotencyKey, MAX_LINES, MAX_QUANTITY, Name, OrderRequest, Placement, Product,
        Quote, Reason, Reference, RequestedLine, Stock, quote, workflow::Place,
    };

    /// An order of so many lines, each with the longest texts.
    fn order(lines: usize) -> Order {
        let currency = Currency::try_from("EUR".to_owned()).unwrap();
        let stock: Vec<Stock> = (0..lines)
            .map(|n| Stock {
                product: Product {
                    sku: Sku::try_from(format!("{n:02}{}", "T".repeat(62))).unwrap(),
                    name: Name::try_from("Zaphod's tea".to_owned()).unwrap(),
                    unit_price: Money::new(450, currency).unwrap().try_into().unwrap(),
                    max_per_order: None,
                },
                available: 1_000,
                reserved: 0,
            })
            .collect();
        let quantity = Quantity::try_from(i64::from(MAX_QUANTITY)).unwrap();
        let wanted =
            stock.iter().map(|row| RequestedLine { sku: row.product.sku.clone(), quantity }).collect();
        let reference = Reference::try_from("for-Zaphod".to_owned()).unwrap();
        let request = OrderRequest::new(wanted).unwrap().with_reference(Some(reference));
        let Ok(Quote::Priced(quoted)) = quote(&request, &stock) else { panic!("it can be priced") };
        let user_id = UserId::try_from("user-1".to_owned()).unwrap();
        let key = IdempotencyKey::try_from("key-1".to_owned()).unwrap();
        let order_id = OrderId::derive(&user_id, &key);
        let at = Timestamp::try_from("2026-03-01T12:30:00.000Z".to_owned()).unwrap();
        let fingerprint = request.fingerprint();
        let place = Place { order_id, user_id, request, fingerprint, request_id: None };
        Placement::new(place, quoted, at).order
    }

    fn advanced(order: &Order, status: Status, reason: Option<&str>) -> Order {
        let reason = reason.map(|text| Reason::try_from(text.to_owned()).unwrap());
        order.advance(status, order.updated_at(), Actor::Workflow, reason).unwrap()
    }

    #[test]
    fn a_message_holds_ids_quantities_and_amounts_and_no_word_of_a_person() {
        let placed = order(1);
        assert_eq!(OrderEvent::of(&placed), None, "PENDING is not announced");
        let cancelled = advanced(&placed, Status::Cancelled, Some("Zaphod changed his mind"));
        let told = OrderEvent::of(&cancelled).unwrap().to_json().unwrap();
        assert!(!told.contains("Zaphod"), "{told}");
        let sku = format!("00{}", "T".repeat(62));
        let expected = json!({
            "event": "order.cancelled", "order_id": placed.order_id, "user_id": "user-1", "status": "CANCELLED",
            "version": 2, "at": "2026-03-01T12:30:00.000Z",
            "total": { "amount": 450_000, "currency": "EUR" }, "lines": [{ "sku": sku, "quantity": 1_000 }],
        });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&told).unwrap(), expected);
    }

    #[test]
    fn the_event_of_an_earlier_version_is_that_of_its_own_status() {
        let confirmed = advanced(&order(1), Status::Confirmed, None);
        let shipped = advanced(&confirmed, Status::Shipped, None);
        let then = OrderEvent::of(&shipped.as_of(2).unwrap()).unwrap();
        assert_eq!((then.event.as_str(), then.version), ("order.confirmed", 2));
    }

    #[test]
    fn the_largest_order_makes_a_message_far_below_the_limit_of_sns() {
        // "A single message ... at most 256 KB" (Amazon SNS endpoints and quotas), and one of 64 KB is billed as one.
        let told = OrderEvent::of(&advanced(&order(MAX_LINES), Status::Confirmed, None)).unwrap();
        assert!(told.to_json().unwrap().len() < 64 * 1_024 / 8);
    }
}

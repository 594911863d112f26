//! Orders in `OrdersTable`. Only this folder knows the form of a row, and `step_function/order.asl.json` its outbox.
//!
//! This file places, rejects and reads orders. `change.rs` takes an order to its later statuses, `due.rs` keeps the
//! outbox, `waiting.rs` the part of it that waits for customers, and `list.rs` lists orders.

mod change;
mod due;
mod list;
mod waiting;

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    operation::put_item::PutItemError,
    types::{AttributeValue, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem},
};
use domain::{Error, Fingerprint, HistoryEntry, Order, OrderId, Placement, Shortage, Status};

use crate::{
    Stocks,
    failure::{failed, incomplete, unbuildable, unreadable},
    transaction::{Transacted, condition_failed, transact, write},
};

/// The time from a change of an order until the sweeper may take it up. It is longer than the timeouts of the state
/// machine and of the functions and the difference between their clocks together, so no execution is still at work.
const DUE_AFTER: Duration = Duration::from_mins(1);

type Item = HashMap<String, AttributeValue>;

pub use self::{
    change::{Advanced, DueTime, MadeBy},
    due::{Claim, DueOrder, TakenUp},
    list::{OVERDUE_AFTER, OrderFilter},
    waiting::WaitingOrder,
};

/// The operations on the orders in one table.
#[derive(Clone, Debug)]
pub struct Orders {
    client: Client,
    table: String,
}

/// An order, and the attributes of its row that no client sees.
#[derive(Clone, Debug)]
pub struct StoredOrder {
    /// The order as clients see it.
    pub order: Order,
    /// The fingerprint of the request that placed it. A repeat of the request has the same one.
    pub fingerprint: Fingerprint,
    /// The ids of the requests that made the versions, in the order of the history. Empty for one that no request made.
    requests: Vec<String>,
    /// The versions whose mail to the customer is not known to be sent.
    pub unsent: BTreeSet<u32>,
    /// The versions that the shop is not known to have been told.
    pub untold: BTreeSet<u32>,
}

impl StoredOrder {
    /// Whether this request gave the order this status.
    pub fn was_made(&self, status: Status, request_id: Option<&str>) -> bool {
        self.entries().any(|(entry, made_by)| entry.status == status && Some(made_by) == request_id)
    }

    /// Whether this request placed the order.
    pub fn was_placed_by(&self, request_id: Option<&str>) -> bool {
        self.entries().next().is_some_and(|(_, made_by)| Some(made_by) == request_id)
    }

    /// The transitions, and the requests that made them. Empty for one that no request made.
    fn entries(&self) -> impl Iterator<Item = (&HistoryEntry, &str)> {
        self.order.history().zip(self.requests.iter().map(String::as_str))
    }
}

/// How placing or rejecting an order ended. Each outcome is certain.
#[derive(Clone, Debug)]
pub enum Placed {
    /// The order is stored. If it is PENDING, its stock is reserved.
    Stored,
    /// An order with this id existed before. Nothing was written.
    Exists(Box<StoredOrder>),
    /// Stock is short for these lines. Nothing was written.
    Short(Vec<Shortage>),
}

impl Orders {
    /// Makes the operations on `table`. Calls nothing.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Stores a PENDING order and reserves the stock of all its lines, in one transaction.
    pub async fn place(&self, placement: &Placement, stocks: &Stocks) -> Result<Placed, Error> {
        const DOING: &str = "placing an order";
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(row(placement, false)?))
            .condition_expression("attribute_not_exists(order_id)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|_refused| unbuildable(DOING))?;
        let mut actions = vec![TransactWriteItem::builder().put(put).build()];
        for line in &placement.order.lines {
            actions.push(stocks.reserve(line)?);
        }
        let reasons = match transact(&self.client, DOING, actions, 0).await? {
            Transacted::Committed => return Ok(Placed::Stored),
            Transacted::ConditionFailed(reasons) => reasons,
        };
        let [of_order, of_lines @ ..] = &reasons[..] else { return Err(incomplete(DOING)) };
        if condition_failed(of_order) {
            let existing = of_order.item().cloned().ok_or_else(|| incomplete(DOING))?;
            return Ok(Placed::Exists(Box::new(stored(existing)?)));
        }
        let mut shortages = Vec::new();
        for (line, reason) in placement.order.lines.iter().zip(of_lines) {
            if condition_failed(reason) {
                shortages.push(Shortage {
                    sku: line.sku.clone(),
                    requested: line.quantity,
                    available: crate::stock::available(reason.item()),
                });
            }
        }
        Ok(Placed::Short(shortages))
    }

    /// Stores a REJECTED order. Changes no stock. With `tells` the shop is to be told of it too.
    pub async fn reject(&self, placement: &Placement, tells: bool) -> Result<Placed, Error> {
        const DOING: &str = "rejecting an order";
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(row(placement, tells)?))
            .condition_expression("attribute_not_exists(order_id)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match write(DOING, || put.clone().send()).await? {
            Ok(_stored) => Ok(Placed::Stored),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(existing)) => {
                    let existing = existing.item().cloned().ok_or_else(|| incomplete(DOING))?;
                    Ok(Placed::Exists(Box::new(stored(existing)?)))
                }
                _ => Err(failed(DOING)(error)),
            },
        }
    }

    /// Reads one order, consistently. `None` when it does not exist.
    pub async fn get(&self, order_id: OrderId) -> Result<Option<StoredOrder>, Error> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("order_id", AttributeValue::S(order_id.to_string()))
            .consistent_read(true)
            .send()
            .await
            .map_err(failed("reading an order"))?;
        answer.item.map(stored).transpose()
    }
}

/// The row of a new order. Beside the order, it holds the attributes that the indexes list it by, and its outbox: the
/// versions to announce, and the time at which the sweeper takes the order up.
fn row(placement: &Placement, tells: bool) -> Result<Item, Error> {
    const DOING: &str = "writing an order's row";
    let order = &placement.order;
    let mut item: Item = serde_dynamo::to_item(order).map_err(unreadable(DOING))?;
    let fingerprint = serde_dynamo::to_attribute_value(&placement.fingerprint).map_err(unreadable(DOING))?;
    if let (Some(AttributeValue::L(history)), Some(request_id)) =
        (item.get_mut("history"), &placement.request_id)
    {
        for entry in history {
            name_request(entry, request_id);
        }
    }
    let mut text = |name: &str, value: String| item.insert(name.to_owned(), AttributeValue::S(value));
    text("due_at", order.created_at.after(DUE_AFTER).to_string());
    text("due_shard", order.order_id.due_shard().to_owned());
    if order.status() != Status::Pending {
        text("listed_at", order.updated_at().to_string());
        let announced = AttributeValue::Ns(vec![order.version().to_string()]);
        if tells {
            item.insert("untold".to_owned(), announced.clone());
        }
        item.insert("unsent".to_owned(), announced);
    }
    item.insert("fingerprint".to_owned(), fingerprint);
    Ok(item)
}

/// The member of a history entry that says which request made it. No answer shows it.
const REQUEST: &str = "request";

/// Writes into a history entry which request made it.
fn name_request(entry: &mut AttributeValue, request_id: &str) {
    if let AttributeValue::M(entry) = entry {
        entry.insert(REQUEST.to_owned(), AttributeValue::S(request_id.to_owned()));
    }
}

/// The requests that made the entries of a history.
fn requests(item: &Item) -> Vec<String> {
    let Some(AttributeValue::L(history)) = item.get("history") else { return Vec::new() };
    let request = |entry: &AttributeValue| entry.as_m().ok()?.get(REQUEST)?.as_s().ok().cloned();
    history.iter().map(|entry| request(entry).unwrap_or_default()).collect()
}

fn stored(mut item: Item) -> Result<StoredOrder, Error> {
    const DOING: &str = "reading an order's row";
    let fingerprint = item.remove("fingerprint").ok_or_else(|| incomplete(DOING))?;
    let mut versions = |name: &str| match item.remove(name) {
        Some(AttributeValue::Ns(versions)) => {
            versions.iter().filter_map(|version| version.parse().ok()).collect()
        }
        _ => BTreeSet::new(),
    };
    let (unsent, untold) = (versions("unsent"), versions("untold"));
    let requests = requests(&item);
    Ok(StoredOrder {
        fingerprint: serde_dynamo::from_attribute_value(fingerprint).map_err(unreadable(DOING))?,
        order: serde_dynamo::from_item(item).map_err(unreadable(DOING))?,
        requests,
        unsent,
        untold,
    })
}

/// The key of an order's row.
fn key(order_id: OrderId) -> Item {
    HashMap::from([("order_id".to_owned(), AttributeValue::S(order_id.to_string()))])
}

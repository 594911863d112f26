//! Takes orders through the transition table. Status and version guard each write. When a transition changes stock,
//! one transaction writes the order and the stock.

use aws_sdk_dynamodb::{
    operation::update_item::UpdateItemError,
    types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update},
};
use domain::{Actor, Error, HistoryEntry, Order, OrderId, Status, Timestamp};

use super::{DUE_AFTER, Item, Orders, key, name_request, stored};
use crate::{
    Stocks,
    failure::{failed, incomplete, unbuildable, unreadable},
    transaction::{Transacted, condition_failed, transact, write},
};

/// How a transition ended.
#[derive(Clone, Debug)]
pub enum Advanced {
    /// This call made the transition. Holds the order after it.
    Done(Order),
    /// The order had another status or version. Holds the order as it is. Nothing was written.
    Conflict(Order),
    /// The order does not exist.
    NotFound,
}

/// Whether a confirmation moves the time at which the sweeper takes the order up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DueTime {
    /// Keeps the time, because it was set for this execution: at creation, or by a claim. That saves a write to the
    /// index.
    Keep,
    /// Sets the time again, because it may have passed. Otherwise the sweeper could send the same announcement.
    Renew,
}

/// What a transition's row says beside the transition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MadeBy {
    /// Whether the state machine tells the shop, so that it is to be told of this transition too.
    pub tells: bool,
    /// The request to the API that the transition is made for.
    pub request_id: Option<String>,
}

/// The update expression of a transition and its values. A single update and an action of a transaction use the same
/// ones, but the SDK has a different builder for each.
struct StatusUpdate {
    update: String,
    values: Vec<(&'static str, AttributeValue)>,
}

const GUARD: &str = "#status = :from AND version = :before";

impl Orders {
    /// Takes an order from PENDING to CONFIRMED and marks the new version as to be announced. The caller need not have
    /// read the order.
    pub async fn confirm(
        &self,
        order_id: OrderId,
        at: Timestamp,
        due: DueTime,
        by: &MadeBy,
    ) -> Result<Advanced, Error> {
        // An order is PENDING in version 1 only, so CONFIRMED after it is version 2.
        let entry = HistoryEntry::new(Status::Confirmed, 2, at, Actor::Workflow, None);
        let due = (due == DueTime::Renew).then_some(order_id);
        let transition = StatusUpdate::new(Status::Pending, entry, due, by)?;
        self.update(order_id, transition).await
    }

    /// Takes an order from `before` to `after`, its next version, and marks that version as to be announced. The
    /// sweeper takes the order up if it is not announced one minute later.
    pub async fn advance(
        &self,
        before: &Order,
        after: &Order,
        stocks: &Stocks,
        by: &MadeBy,
    ) -> Result<Advanced, Error> {
        const DOING: &str = "changing an order";
        let due = Some(before.order_id);
        let transition = StatusUpdate::new(before.status(), after.latest().clone(), due, by)?;
        let Some(effect) = after.status().stock_effect() else {
            return self.update(before.order_id, transition).await;
        };
        let update = transition
            .values
            .into_iter()
            .fold(Update::builder(), |update, (name, value)| update.expression_attribute_values(name, value))
            .table_name(&self.table)
            .set_key(Some(key(before.order_id)))
            .update_expression(transition.update)
            .condition_expression(GUARD)
            .expression_attribute_names("#status", "status")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|_refused| unbuildable(DOING))?;
        let mut actions = vec![TransactWriteItem::builder().update(update).build()];
        for line in &before.lines {
            actions.push(stocks.unreserve(line, effect)?);
        }
        match transact(&self.client, DOING, actions, 0).await? {
            // A transaction returns no values, but it has written exactly `after`.
            Transacted::Committed => Ok(Advanced::Done(after.clone())),
            Transacted::ConditionFailed(reasons) => match reasons.first() {
                Some(of_order) if condition_failed(of_order) => conflict(of_order.item()),
                _ => {
                    let source = "a SKU has fewer units reserved than the order holds".into();
                    Err(Error::Internal { doing: DOING, source })
                }
            },
        }
    }

    async fn update(&self, order_id: OrderId, transition: StatusUpdate) -> Result<Advanced, Error> {
        const DOING: &str = "changing an order";
        let update = self.client.update_item().table_name(&self.table);
        let update = transition
            .values
            .into_iter()
            .fold(update, |update, (name, value)| update.expression_attribute_values(name, value))
            .set_key(Some(key(order_id)))
            .update_expression(transition.update)
            .condition_expression(GUARD)
            .expression_attribute_names("#status", "status")
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match write(DOING, || update.clone().send()).await? {
            Ok(done) => {
                let item = done.attributes.ok_or_else(|| incomplete(DOING))?;
                Ok(Advanced::Done(stored(item)?.order))
            }
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(existing)) => conflict(existing.item()),
                _ => Err(failed(DOING)(error)),
            },
        }
    }
}

impl StatusUpdate {
    /// The transition from `from` to the status of `entry`. With `due` it also sets the time for the sweeper and
    /// clears the count of attempts.
    fn new(from: Status, entry: HistoryEntry, due: Option<OrderId>, by: &MadeBy) -> Result<Self, Error> {
        let text = |value: String| AttributeValue::S(value);
        let number = |value: u32| AttributeValue::N(value.to_string());
        let mut values = vec![
            (":from", text(from.to_string())),
            (":to", text(entry.status.to_string())),
            (":before", number(entry.version - 1)),
            (":next", number(entry.version)),
            (":at", text(entry.at.to_string())),
            (":announced", AttributeValue::Ns(vec![entry.version.to_string()])),
        ];
        let mut update = "SET #status = :to, version = :next, updated_at = :at, listed_at = :at, \
                          history = list_append(history, :entry)"
            .to_owned();
        if let Some(order_id) = due {
            update.push_str(", due_at = :due_at, due_shard = :due_shard REMOVE attempts");
            values.push((":due_at", text(entry.at.after(DUE_AFTER).to_string())));
            values.push((":due_shard", text(order_id.due_shard().to_owned())));
        }
        update.push_str(if by.tells {
            " ADD unsent :announced, untold :announced"
        } else {
            " ADD unsent :announced"
        });
        let mut entry = serde_dynamo::to_attribute_value(entry).map_err(unreadable("changing an order"))?;
        if let Some(request_id) = &by.request_id {
            name_request(&mut entry, request_id);
        }
        values.push((":entry", AttributeValue::L(vec![entry])));
        Ok(Self { update, values })
    }
}

fn conflict(existing: Option<&Item>) -> Result<Advanced, Error> {
    match existing {
        Some(item) if !item.is_empty() => Ok(Advanced::Conflict(stored(item.clone())?.order)),
        _ => Ok(Advanced::NotFound),
    }
}

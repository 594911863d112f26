//! Orders whose mail waits until their customer confirms the address. They have a shard of their own in the outbox, so
//! they never delay an order that is stuck.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{Error, OrderId, Timestamp, UserId};
use futures_util::{StreamExt as _, stream};

use super::{
    Claim, DUE_AFTER, Item, Orders,
    due::{held, version},
    key,
};
use crate::{
    batch::{Wanted, read_batch},
    failure::failed,
    transaction::write,
};

/// The shard of orders that wait for a confirmation. `step_function/order.asl.json` moves orders to it.
pub(super) const WAITING: &str = "waiting";

/// How far back a confirmation looks for orders of its customer: as long as a mail waits.
const RELEASED: Duration = Duration::from_hours(72);

/// The most orders that one confirmation makes due at once. The sweeper's next looks find the others.
const MAX_RELEASED: usize = 100;

/// The number of orders that one confirmation writes at the same time.
const AT_ONCE: usize = 8;

/// The rows in one batch, as many as DynamoDB takes.
const BATCH: usize = 100;

/// The attributes that a look at a waiting order needs.
const OF_WAITING: &str = "order_id, user_id, updated_at, due_at, due_shard";

/// An order that waits for its customer's confirmation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingOrder {
    /// The order.
    pub order_id: OrderId,
    /// Its customer.
    pub user_id: UserId,
    /// The time of the last status that waits.
    pub since: Timestamp,
    due_at: String,
}

impl WaitingOrder {
    /// The waiting order in a row. `None` when it waits no more.
    fn read(row: &Item) -> Option<Self> {
        let text = |name: &str| row.get(name).and_then(|value| value.as_s().ok());
        if text("due_shard")? != WAITING {
            return None;
        }
        Some(Self {
            order_id: OrderId::parse(text("order_id")?)?,
            user_id: UserId::try_from(text("user_id")?.clone()).ok()?,
            since: Timestamp::parse(text("updated_at")?)?,
            due_at: text("due_at")?.clone(),
        })
    }
}

impl Orders {
    /// Lists the waiting orders whose next look is due at `now`, at most `limit`, the longest due first.
    pub async fn waiting(&self, now: Timestamp, limit: u16) -> Result<Vec<WaitingOrder>, Error> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("by_due")
            .key_condition_expression("due_shard = :shard AND due_at <= :now")
            .expression_attribute_values(":shard", AttributeValue::S(WAITING.to_owned()))
            .expression_attribute_values(":now", AttributeValue::S(now.to_string()))
            .limit(i32::from(limit))
            .send()
            .await
            .map_err(failed("looking for orders that wait for a confirmation"))?;
        let ids: Vec<&Item> = answer.items().iter().collect();
        self.read_waiting(&ids).await
    }

    /// Makes the waiting orders of a customer due at once: at most the newest hundred of the last 72 hours.
    pub async fn release_waiting(&self, user_id: &UserId, now: Timestamp) -> Result<(), Error> {
        const DOING: &str = "looking for a customer's waiting orders";
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("by_user")
            .key_condition_expression("user_id = :user AND created_at >= :since")
            .expression_attribute_values(":user", AttributeValue::S(user_id.to_string()))
            .expression_attribute_values(":since", AttributeValue::S(now.before(RELEASED).to_string()))
            .scan_index_forward(false)
            .limit(i32::try_from(MAX_RELEASED).unwrap_or(i32::MAX))
            .send()
            .await
            .map_err(failed(DOING))?;
        let ids: Vec<&Item> = answer.items().iter().collect();
        let waiting = self.read_waiting(&ids).await?;
        let mut ended = stream::iter(waiting)
            .map(|order| async move { self.end_waiting(&order, now).await })
            .buffer_unordered(AT_ONCE);
        let mut result = Ok(());
        while let Some(end) = ended.next().await {
            // A failure does not keep the others from being tried.
            result = result.and(end);
        }
        result
    }

    /// Claims a waiting order for the attempt that mails it. From then on it is due like any other order.
    pub async fn claim_waiting(&self, order: &WaitingOrder, now: Timestamp) -> Result<Claim, Error> {
        const DOING: &str = "claiming an order whose customer has confirmed";
        let update = self
            .moving(order, "SET due_shard = :own, due_at = :later, attempts = :first")
            .expression_attribute_values(":own", AttributeValue::S(order.order_id.due_shard().to_owned()))
            .expression_attribute_values(":later", AttributeValue::S(now.after(DUE_AFTER).to_string()))
            .expression_attribute_values(":first", AttributeValue::N("1".to_owned()))
            .return_values(aws_sdk_dynamodb::types::ReturnValue::AllNew);
        let answer = write(DOING, || update.clone().send()).await?;
        Ok(match held(answer, DOING)? {
            Some(claimed) => Claim::Claimed(version(&claimed, DOING)?),
            None => Claim::Lost,
        })
    }

    /// Moves the next look at a waiting order to `look_at`.
    pub async fn wait_on(&self, order: &WaitingOrder, look_at: Timestamp) -> Result<(), Error> {
        const DOING: &str = "letting an order wait on";
        let update = self
            .moving(order, "SET due_at = :later")
            .expression_attribute_values(":later", AttributeValue::S(look_at.to_string()));
        let answer = write(DOING, || update.clone().send()).await?;
        held(answer, DOING).map(|_held| ())
    }

    /// Returns a waiting order to its own shard, where it is due at once.
    pub async fn end_waiting(&self, order: &WaitingOrder, now: Timestamp) -> Result<(), Error> {
        const DOING: &str = "making a waiting order due";
        let update = self
            .moving(order, "SET due_shard = :own, due_at = :now")
            .expression_attribute_values(":own", AttributeValue::S(order.order_id.due_shard().to_owned()))
            .expression_attribute_values(":now", AttributeValue::S(now.to_string()));
        let answer = write(DOING, || update.clone().send()).await?;
        held(answer, DOING).map(|_held| ())
    }

    /// Takes a waiting order out of the outbox without its mail. Answers whether this call did.
    pub async fn leave_unmailed(&self, order: &WaitingOrder) -> Result<bool, Error> {
        const DOING: &str = "giving up a mail that nobody confirmed";
        let update = self.moving(order, "REMOVE unsent, due_at, due_shard, attempts");
        let answer = write(DOING, || update.clone().send()).await?;
        held(answer, DOING).map(|held| held.is_some())
    }

    /// An update of a waiting order, unless it was changed since it was read.
    fn moving(
        &self,
        order: &WaitingOrder,
        update: &str,
    ) -> aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(order.order_id)))
            .update_expression(update)
            .condition_expression("due_shard = :waiting AND due_at = :seen")
            .expression_attribute_values(":waiting", AttributeValue::S(WAITING.to_owned()))
            .expression_attribute_values(":seen", AttributeValue::S(order.due_at.clone()))
    }

    /// The waiting orders among those that an index lists, in its order.
    async fn read_waiting(&self, listed: &[&Item]) -> Result<Vec<WaitingOrder>, Error> {
        let ids: Vec<String> = super::list::ids(listed.iter().copied());
        let mut waiting = Vec::new();
        for ids in ids.chunks(BATCH) {
            let keys = ids
                .iter()
                .map(|id| HashMap::from([("order_id".to_owned(), AttributeValue::S(id.clone()))]))
                .collect();
            let wanted = Wanted { keys, projection: Some(OF_WAITING) };
            let found = read_batch(&self.client, [(self.table.clone(), wanted)]).await?;
            let mut found: HashMap<OrderId, WaitingOrder> = found
                .into_values()
                .flatten()
                .filter_map(|row| WaitingOrder::read(&row))
                .map(|order| (order.order_id, order))
                .collect();
            waiting.extend(ids.iter().filter_map(|id| found.remove(&OrderId::parse(id)?)));
        }
        Ok(waiting)
    }
}

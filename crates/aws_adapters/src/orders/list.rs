//! Lists of orders. The indexes hold keys only, so a list reads an index and then the rows.

use std::{collections::HashMap, time::Duration};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{Error, Order, OrderId, Status, Timestamp, UserId};

use super::{
    Item, Orders,
    due::{GIVEN_UP, SHARDS},
    stored,
};
use crate::{
    Page,
    batch::read_batch,
    failure::{failed, incomplete},
};

/// The most reads of the index for one page. More than one is needed when rows no longer match the index.
const MAX_ROUNDS: u32 = 10;

/// The number of orders in one read of an audit: one batch takes at most 100 keys.
const PAGE: u16 = 100;

/// The choice of the orders to list, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderFilter {
    /// The orders of one user, by the time when they were placed.
    User(UserId),
    /// The orders in one status, by the time when they took it. PENDING orders are not in this index.
    Status(Status),
    /// The orders that a person should look at, by the time when they were last due: those that were given up, and then
    /// those that have been due since `overdue` and were not taken up. Orders that wait for a confirmation are not among
    /// them.
    Attention {
        /// An order that was due by then is overdue.
        overdue: Timestamp,
    },
}

/// An order that has been due for so long is overdue. The sweeper takes up each due order within two minutes, and moves
/// its time on. So it has stopped, or cannot keep up.
pub const OVERDUE_AFTER: Duration = Duration::from_mins(5);

impl OrderFilter {
    /// The index, and the names of its partition key and its sort key.
    fn index(&self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::User(_) => ("by_user", "user_id", "created_at"),
            Self::Status(_) => ("by_status", "status", "listed_at"),
            Self::Attention { .. } => ("by_due", "due_shard", "due_at"),
        }
    }

    /// The partitions to read, one after the other.
    fn partitions(&self) -> Vec<String> {
        match self {
            Self::User(user) => vec![user.to_string()],
            Self::Status(status) => vec![status.to_string()],
            Self::Attention { .. } => [GIVEN_UP].into_iter().chain(SHARDS).map(str::to_owned).collect(),
        }
    }

    /// The latest place in a partition that the list shows. `None` when it shows all of the partition.
    fn latest(&self, partition: &str) -> Option<Timestamp> {
        match self {
            Self::Attention { overdue } if partition != GIVEN_UP => Some(*overdue),
            Self::User(_) | Self::Status(_) | Self::Attention { .. } => None,
        }
    }

    /// Whether the row still belongs in this partition of the list. The index may lag behind it.
    fn holds(&self, partition: &str, row: &Item, order: &Order) -> bool {
        match self {
            Self::User(user) => order.user_id == *user,
            Self::Status(status) => order.status() == *status,
            Self::Attention { .. } => self.is_due_in(partition, row),
        }
    }

    /// Whether the row is due in this shard, so that the list shows it there. An order that an index still lists in a
    /// shard that it has left is listed in its own too, or will be.
    fn is_due_in(&self, shard: &str, row: &Item) -> bool {
        let text = |name: &str| row.get(name).and_then(|value| value.as_s().ok());
        let (Some(own), Some(due_at)) = (text("due_shard"), text("due_at")) else { return false };
        own == shard && self.latest(shard).is_none_or(|latest| *due_at <= latest.to_string())
    }

    /// Reads where a page starts: the number of the partition, and the last row before the page, if one is in it.
    fn start(&self, after: Option<&str>) -> Result<(usize, Option<Item>), Error> {
        let Some(after) = after else { return Ok((0, None)) };
        let partitions = self.partitions();
        let (at, place) = if let [_only] = &partitions[..] {
            (0, Some(after))
        } else {
            let (partition, place) = match after.split_once(' ') {
                Some((partition, place)) => (partition, Some(place)),
                None => (after, None),
            };
            (partitions.iter().position(|one| one == partition).ok_or(Error::BadCursor)?, place)
        };
        let Some(place) = place else { return Ok((at, None)) };
        let (time, order_id) = read_place(place).ok_or(Error::BadCursor)?;
        // DynamoDB refuses a start beyond the key condition. The clock of the function that gave the cursor may be ahead of
        // this one's. The list goes on with the latest row that it shows.
        if self.latest(&partitions[at]).is_some_and(|latest| latest < time) {
            return Ok((at, None));
        }
        let (_, partition_name, sort_name) = self.index();
        let text = |value: &str| AttributeValue::S(value.to_owned());
        let start = HashMap::from([
            (partition_name.to_owned(), text(&partitions[at])),
            (sort_name.to_owned(), text(&time.to_string())),
            ("order_id".to_owned(), text(&order_id.to_string())),
        ]);
        Ok((at, Some(start)))
    }

    /// The place after which the next page starts, as [`OrderFilter::start`] reads it.
    fn place(&self, at: usize, start: Option<&Item>) -> Option<String> {
        let (_, _, sort_name) = self.index();
        let part = |name: &str| start?.get(name)?.as_s().ok();
        let row = part(sort_name).zip(part("order_id")).map(|(time, id)| format!("{time} {id}"));
        match &self.partitions()[..] {
            [_only] => row,
            partitions => {
                let partition = partitions.get(at)?;
                Some(row.map_or_else(|| partition.clone(), |row| format!("{partition} {row}")))
            }
        }
    }
}

/// Reads a place in a list of orders: a time, a space and an id. It is checked here, because DynamoDB accepts some
/// texts that are not a place and refuses others with an error of its own.
fn read_place(place: &str) -> Option<(Timestamp, OrderId)> {
    let (at, order_id) = place.split_once(' ')?;
    Some((Timestamp::parse(at)?, OrderId::parse(order_id)?))
}

impl Orders {
    /// Lists one page of orders, `limit` at most, after the place `after` that an earlier page gave. Rows that no
    /// longer match the filter are left out. So a page may be short or empty and still not be the last.
    ///
    /// # Errors
    /// [`Error::BadCursor`] when `after` is not a place in a list of orders.
    pub async fn list(
        &self,
        filter: &OrderFilter,
        limit: u16,
        after: Option<&str>,
    ) -> Result<Page<Order>, Error> {
        const DOING: &str = "listing orders";
        let (index, partition_name, sort_name) = filter.index();
        let partitions = filter.partitions();
        let (mut at, mut start) = filter.start(after)?;
        let limit = usize::from(limit);
        let mut items = Vec::new();
        for _ in 0..MAX_ROUNDS {
            let Some(partition) = partitions.get(at) else { break };
            let wanted = i32::try_from(limit - items.len()).unwrap_or(i32::MAX);
            let query = self
                .client
                .query()
                .table_name(&self.table)
                .index_name(index)
                .expression_attribute_names("#partition", partition_name)
                .expression_attribute_values(":partition", AttributeValue::S(partition.clone()))
                .scan_index_forward(false)
                .limit(wanted)
                .set_exclusive_start_key(start);
            let query = match filter.latest(partition) {
                None => query.key_condition_expression("#partition = :partition"),
                Some(latest) => query
                    .key_condition_expression("#partition = :partition AND #sort <= :latest")
                    .expression_attribute_names("#sort", sort_name)
                    .expression_attribute_values(":latest", AttributeValue::S(latest.to_string())),
            };
            let answer = query.send().await.map_err(failed(DOING))?;
            let ids = ids(answer.items().iter());
            let mut rows = self.rows(&ids).await?;
            for id in &ids {
                let Some((row, order)) = rows.remove(id) else { continue };
                if filter.holds(partition, &row, &order) {
                    items.push(order);
                }
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                at += 1;
            }
            if items.len() == limit {
                break;
            }
        }
        let next = if at < partitions.len() {
            Some(filter.place(at, start.as_ref()).ok_or_else(|| incomplete(DOING))?)
        } else {
            None
        };
        Ok(Page { items, next })
    }

    /// When a user placed their newest orders since `since`, `limit` at most, newest first. The index may lag behind the
    /// table, so an order of the last moments may be missing.
    pub async fn placed_since(
        &self,
        user_id: &UserId,
        since: Timestamp,
        limit: u16,
    ) -> Result<Vec<Timestamp>, Error> {
        const DOING: &str = "counting a customer's orders";
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("by_user")
            .key_condition_expression("user_id = :user AND created_at > :since")
            .expression_attribute_values(":user", AttributeValue::S(user_id.to_string()))
            .expression_attribute_values(":since", AttributeValue::S(since.to_string()))
            .scan_index_forward(false)
            .limit(i32::from(limit))
            .send()
            .await
            .map_err(failed(DOING))?;
        let placed = |row: &Item| Timestamp::parse(row.get("created_at")?.as_s().ok()?);
        answer.items().iter().map(|row| placed(row).ok_or_else(|| incomplete(DOING))).collect()
    }

    /// Reads the rows of these orders, consistently. Answers them by id.
    async fn rows(&self, ids: &[String]) -> Result<HashMap<String, (Item, Order)>, Error> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let keys =
            ids.iter().map(|id| HashMap::from([("order_id".to_owned(), AttributeValue::S(id.clone()))]));
        let keys: Vec<Item> = keys.collect();
        let found = read_batch(&self.client, [(self.table.clone(), keys.into())]).await?;
        let rows = found.into_values().flatten().map(|row| {
            let order = stored(row.clone())?.order;
            Ok((order.order_id.to_string(), (row, order)))
        });
        rows.collect()
    }

    /// Calls `see` with every order that holds stock, for the audit. Reads the PENDING orders first: each of them is
    /// in the outbox. Reads the CONFIRMED orders after them, so an order that is confirmed in between may come twice.
    /// It is missed only while an index lags.
    pub(crate) async fn each_open(&self, mut see: impl FnMut(&Order)) -> Result<(), Error> {
        for shard in SHARDS.into_iter().chain([GIVEN_UP]) {
            self.each_pending(shard, &mut see).await?;
        }
        let mut after = None;
        loop {
            let page = self.list(&OrderFilter::Status(Status::Confirmed), PAGE, after.as_deref()).await?;
            page.items.iter().for_each(&mut see);
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn each_pending(&self, shard: &str, see: &mut impl FnMut(&Order)) -> Result<(), Error> {
        let mut start = None;
        loop {
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .index_name("by_due")
                .key_condition_expression("due_shard = :shard")
                .expression_attribute_values(":shard", AttributeValue::S(shard.to_owned()))
                .limit(i32::from(PAGE))
                .set_exclusive_start_key(start)
                .send()
                .await
                .map_err(failed("looking for pending orders"))?;
            let rows = self.rows(&ids(answer.items().iter())).await?;
            rows.values()
                .map(|(_, order)| order)
                .filter(|order| order.status() == Status::Pending)
                .for_each(&mut *see);
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(());
            }
        }
    }
}

/// The order ids in an index's rows, in the order of the index.
pub(super) fn ids<'a>(keys: impl Iterator<Item = &'a Item>) -> Vec<String> {
    keys.filter_map(|key| key.get("order_id")?.as_s().ok().cloned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_that_left_a_shard_or_is_due_again_later_is_not_shown_there() {
        let overdue = Timestamp::parse("2026-03-01T12:00:00.000Z").unwrap();
        let attention = OrderFilter::Attention { overdue };
        let row = |shard: &str, due_at: &str| {
            let text = |value: &str| AttributeValue::S(value.to_owned());
            Item::from([("due_shard".to_owned(), text(shard)), ("due_at".to_owned(), text(due_at))])
        };
        let (early, late) = ("2026-03-01T11:59:59.999Z", "2026-03-01T12:00:00.001Z");
        assert!(attention.is_due_in("2", &row("2", early)));
        assert!(!attention.is_due_in("2", &row("2", late)), "it was taken up");
        assert!(attention.is_due_in(GIVEN_UP, &row(GIVEN_UP, late)));
        assert!(!attention.is_due_in("2", &row(GIVEN_UP, early)), "it was given up since");
        assert!(!attention.is_due_in(GIVEN_UP, &row("2", early)), "it was taken up since");
        assert!(!attention.is_due_in("2", &row("waiting", early)), "it waits since");
        assert!(!attention.is_due_in("2", &Item::new()), "it is finished");
    }
}

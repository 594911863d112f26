//! The outbox: lists the orders that are due, claims them for one attempt each, and gives them up after ten.

use std::time::Duration;

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::update_item::{UpdateItemError, UpdateItemOutput},
    types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use domain::{Error, OrderId, Timestamp};
use futures_util::{StreamExt as _, stream};
use serde::Serialize;

use super::{DUE_AFTER, Orders, key};
use crate::{
    failure::{failed, incomplete},
    transaction::write,
};

/// The number of attempts after which an order is given up and waits for a person.
const MAX_ATTEMPTS: u32 = 10;

/// The longest wait between two attempts.
const MAX_BACKOFF: Duration = Duration::from_hours(1);

/// The shards of the `by_due` index that the sweeper reads.
pub(super) const SHARDS: [&str; 4] = ["0", "1", "2", "3"];

/// The shard of orders that were given up.
pub(super) const GIVEN_UP: &str = "given-up";

/// An order that is due, as the index lists it. The index may lag behind the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueOrder {
    /// The order to claim.
    pub order_id: OrderId,
    due_at: String,
}

/// How claiming a due order ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// This caller resumes the order. Holds the order's version at the claim.
    Claimed(u32),
    /// Another caller has claimed the order, or it is finished.
    Lost,
    /// The order has used up its attempts. It waits for a person from now on. If the outcome of that write is unknown, the
    /// next run repeats it.
    GivenUp,
}

/// The most orders that one call takes up.
const MOST_TAKEN_UP: i32 = 100;

/// The number of orders that one call takes up at the same time. With so many, a hundred updates that all time out end
/// before the function does.
const TAKEN_UP_AT_ONCE: usize = 20;

/// What one call took up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TakenUp {
    /// The orders that it took up.
    pub taken_up: usize,
    /// Whether some are left, which a repeat takes up.
    pub more: bool,
}

impl Orders {
    /// Lists the orders that are due at `now`, at most `limit` of each shard. Within a shard, the one that has been
    /// due longest comes first.
    pub async fn due(&self, now: Timestamp, limit: u16) -> Result<Vec<DueOrder>, Error> {
        let mut due = Vec::new();
        for shard in SHARDS {
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .index_name("by_due")
                .key_condition_expression("due_shard = :shard AND due_at <= :now")
                .expression_attribute_values(":shard", AttributeValue::S(shard.to_owned()))
                .expression_attribute_values(":now", AttributeValue::S(now.to_string()))
                .limit(i32::from(limit))
                .send()
                .await
                .map_err(failed("looking for orders that are due"))?;
            due.extend(answer.items().iter().filter_map(|row| {
                let text = |name: &str| row.get(name).and_then(|value| value.as_s().ok());
                Some(DueOrder {
                    order_id: OrderId::parse(text("order_id")?)?,
                    due_at: text("due_at")?.clone(),
                })
            }));
        }
        Ok(due)
    }

    /// Claims a due order for one attempt. The claim moves the time at which the order is due again: by one minute at
    /// the first attempt, by twice as much at each further one, by one hour at most. After 10 attempts the order is
    /// given up instead.
    pub async fn claim(&self, due: &DueOrder, now: Timestamp) -> Result<Claim, Error> {
        const DOING: &str = "claiming an order that is due";
        // The wait depends on the number of attempts, which only the row holds. The guess of none is right for nearly
        // every order. A wrong guess costs a second call.
        let mut tried = 0;
        loop {
            let text = |value: String| AttributeValue::S(value);
            let number = |value: u32| AttributeValue::N(value.to_string());
            let update = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(key(due.order_id)))
                .update_expression("SET due_at = :later, attempts = :tried")
                .expression_attribute_values(":seen", text(due.due_at.clone()))
                .expression_attribute_values(":shard", text(due.order_id.due_shard().to_owned()))
                .expression_attribute_values(":later", text(now.after(backoff(tried)).to_string()))
                .expression_attribute_values(":tried", number(tried + 1))
                .return_values(ReturnValue::AllNew)
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            let update = if tried == 0 {
                update.condition_expression(
                    "due_at = :seen AND due_shard = :shard AND attribute_not_exists(attempts)",
                )
            } else {
                update
                    .condition_expression("due_at = :seen AND due_shard = :shard AND attempts = :before")
                    .expression_attribute_values(":before", number(tried))
            };
            match write(DOING, || update.clone().send()).await? {
                Ok(claimed) => return version(&claimed, DOING).map(Claim::Claimed),
                Err(error) => match error.as_service_error() {
                    Some(UpdateItemError::ConditionalCheckFailedException(row)) => {
                        let row = row.item();
                        let same = row
                            .and_then(|row| row.get("due_at"))
                            .is_some_and(|at| at.as_s() == Ok(&due.due_at));
                        let attempts = row
                            .and_then(|row| row.get("attempts"))
                            .and_then(|attempts| attempts.as_n().ok())
                            .and_then(|attempts| attempts.parse().ok())
                            .unwrap_or(0);
                        if !same || attempts == tried {
                            return Ok(Claim::Lost);
                        }
                        if attempts >= MAX_ATTEMPTS {
                            return self.give_up(due).await;
                        }
                        tried = attempts;
                    }
                    _ => return Err(failed(DOING)(error)),
                },
            }
        }
    }

    /// Moves the order to the shard of orders that wait for a person, unless another caller has claimed it. A write whose
    /// outcome is unknown counts as made: the order may wait for a person, and one report too many does no harm.
    async fn give_up(&self, due: &DueOrder) -> Result<Claim, Error> {
        const DOING: &str = "giving an order up";
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(due.order_id)))
            .update_expression("SET due_shard = :given_up")
            // A repeat by the SDK, after a lost acknowledgement, must find that the order was given up.
            .condition_expression("due_at = :seen AND due_shard IN (:shard, :given_up)")
            .expression_attribute_values(":given_up", AttributeValue::S(GIVEN_UP.to_owned()))
            .expression_attribute_values(":seen", AttributeValue::S(due.due_at.clone()))
            .expression_attribute_values(":shard", AttributeValue::S(due.order_id.due_shard().to_owned()));
        let answer = write(DOING, || update.clone().send()).await?;
        match held(answer, DOING) {
            Ok(Some(_)) | Err(Error::Unavailable { .. }) => Ok(Claim::GivenUp),
            Ok(None) => Ok(Claim::Lost),
            Err(certain) => Err(certain),
        }
    }

    /// Takes up an order that was given up, or that is due and not claimed yet. Its attempts count from zero again.
    ///
    /// Answers the order's version. Answers `None` when the order is not due: it is finished, or an execution is
    /// working on it, and a second one would announce the same status again. The row remembers the request, so that a
    /// repeat by the SDK, after a lost acknowledgement, finds its own claim.
    pub async fn take_up(
        &self,
        order_id: OrderId,
        request_id: &str,
        now: Timestamp,
    ) -> Result<Option<u32>, Error> {
        const DOING: &str = "taking an order up again";
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(order_id)))
            .update_expression(
                "SET due_at = :soon, due_shard = :shard, claimed_by = :request REMOVE attempts",
            )
            .condition_expression(
                "due_shard = :given_up OR due_at <= :now OR (due_at = :soon AND claimed_by = :request)",
            )
            .expression_attribute_values(":request", AttributeValue::S(request_id.to_owned()))
            .expression_attribute_values(":given_up", AttributeValue::S(GIVEN_UP.to_owned()))
            .expression_attribute_values(":now", AttributeValue::S(now.to_string()))
            .expression_attribute_values(":soon", AttributeValue::S(now.after(DUE_AFTER).to_string()))
            .expression_attribute_values(":shard", AttributeValue::S(order_id.due_shard().to_owned()))
            .return_values(ReturnValue::AllNew);
        let answer = write(DOING, || update.clone().send()).await?;
        held(answer, DOING)?.map(|taken| version(&taken, DOING)).transpose()
    }

    /// Takes up the orders that were given up, at most a hundred of them, the longest due first. Each is due at once in its
    /// own shard, and its attempts count from zero again. The sweeper does the rest. An order that could not be taken up
    /// is named in the log.
    ///
    /// # Errors
    /// The first failure, when not one order could be taken up.
    pub async fn take_up_all(&self, request_id: &str, now: Timestamp) -> Result<TakenUp, Error> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("by_due")
            .key_condition_expression("due_shard = :shard")
            .expression_attribute_values(":shard", AttributeValue::S(GIVEN_UP.to_owned()))
            // One more than are taken up shows whether some are left.
            .limit(MOST_TAKEN_UP + 1)
            .send()
            .await
            .map_err(failed("looking for orders that were given up"))?;
        let ids = answer.items().iter().filter_map(|row| OrderId::parse(row.get("order_id")?.as_s().ok()?));
        let ids: Vec<OrderId> = ids.collect();
        let most = usize::try_from(MOST_TAKEN_UP).unwrap_or_default();
        let mut all = TakenUp { taken_up: 0, more: ids.len() > most };
        let mut ended = stream::iter(ids.into_iter().take(most))
            .map(async |order_id| (order_id, self.take_up_given_up(order_id, request_id, now).await))
            .buffer_unordered(TAKEN_UP_AT_ONCE);
        let mut failure = None;
        while let Some((order_id, end)) = ended.next().await {
            match end {
                Ok(taken) => all.taken_up += usize::from(taken),
                // The order stays given up, so a repeat takes it up.
                Err(error) => {
                    tracing::warn!(%order_id, error = error.chain(), "the order could not be taken up");
                    all.more = true;
                    failure = failure.or(Some(error));
                }
            }
        }
        match failure {
            Some(error) if all.taken_up == 0 => Err(error),
            _ => Ok(all),
        }
    }

    /// Takes up one order, if it is still given up. The row remembers the request, as in [`Orders::take_up`]. So a repeat
    /// by the SDK finds its own write, and two requests in one millisecond do not both count the order.
    async fn take_up_given_up(
        &self,
        order_id: OrderId,
        request_id: &str,
        now: Timestamp,
    ) -> Result<bool, Error> {
        const DOING: &str = "taking up an order that was given up";
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(order_id)))
            .update_expression("SET due_at = :now, due_shard = :own, claimed_by = :request REMOVE attempts")
            .condition_expression(
                "due_shard = :given_up OR (due_shard = :own AND due_at = :now AND claimed_by = :request)",
            )
            .expression_attribute_values(":request", AttributeValue::S(request_id.to_owned()))
            .expression_attribute_values(":given_up", AttributeValue::S(GIVEN_UP.to_owned()))
            .expression_attribute_values(":now", AttributeValue::S(now.to_string()))
            .expression_attribute_values(":own", AttributeValue::S(order_id.due_shard().to_owned()));
        let answer = write(DOING, || update.clone().send()).await?;
        held(answer, DOING).map(|held| held.is_some())
    }

    /// Removes an order from the outbox, if it is past PENDING and has no version to announce.
    pub async fn settle(&self, order_id: OrderId) -> Result<(), Error> {
        const DOING: &str = "settling an order";
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(key(order_id)))
            .update_expression("REMOVE due_at, due_shard, attempts")
            .condition_expression(
                "attribute_exists(order_id) AND attribute_not_exists(unsent) AND attribute_not_exists(untold) \
                 AND #status <> :pending",
            )
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":pending", AttributeValue::S("PENDING".to_owned()));
        let answer = write(DOING, || update.clone().send()).await?;
        // When the condition fails, the order still has work left and stays in the outbox.
        held(answer, DOING).map(|_held| ())
    }
}

/// The answer of an update. `None` when its condition failed.
pub(super) fn held<R>(
    answer: Result<UpdateItemOutput, SdkError<UpdateItemError, R>>,
    doing: &'static str,
) -> Result<Option<UpdateItemOutput>, Error>
where
    R: std::fmt::Debug + Send + Sync + 'static,
{
    match answer {
        Ok(written) => Ok(Some(written)),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(None),
            _ => Err(failed(doing)(error)),
        },
    }
}

/// The order's version in the row that an update returned.
pub(super) fn version(written: &UpdateItemOutput, doing: &'static str) -> Result<u32, Error> {
    let version = written.attributes().and_then(|row| row.get("version")?.as_n().ok()?.parse().ok());
    version.ok_or_else(|| incomplete(doing))
}

/// The wait until an order is due again, when it is claimed after `tried` attempts.
fn backoff(tried: u32) -> Duration {
    DUE_AFTER.saturating_mul(2_u32.saturating_pow(tried)).min(MAX_BACKOFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_after_an_attempt_starts_at_a_minute_and_doubles_up_to_an_hour() {
        let minutes: Vec<u64> = (0..MAX_ATTEMPTS).map(|tried| backoff(tried).as_secs() / 60).collect();
        assert_eq!(minutes, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
    }
}

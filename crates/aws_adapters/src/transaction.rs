//! Runs one DynamoDB transaction, and retries it while other transactions hold its rows.

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    operation::transact_write_items::TransactWriteItemsError,
    types::{CancellationReason, TransactWriteItem},
};
use domain::{Contention, Error};

use crate::{Timeouts, failure::failed};

/// The code of an action that did not cause the cancellation.
const NO_FAULT: &str = "None";

/// How a transaction ended.
pub(crate) enum Transacted {
    /// Every action is written.
    Committed,
    /// Nothing is written, because at least one condition failed. Holds one reason for each action, in their order.
    ConditionFailed(Vec<CancellationReason>),
}

/// Whether this action's own condition failed.
pub(crate) fn condition_failed(reason: &CancellationReason) -> bool {
    reason.code() == Some("ConditionalCheckFailed")
}

/// Writes `actions` together or not at all: one action per row, 100 at most. The SDK does not retry a cancelled
/// transaction. So a conflict with another transaction is retried here, up to 4 times within 500 ms.
///
/// `decisive` is the index of the action whose failed condition ends the tries at once, even beside a conflict.
///
/// # Errors
/// [`Error::StockContention`] when every try meets a conflict.
pub(crate) async fn transact(
    client: &Client,
    doing: &'static str,
    actions: Vec<TransactWriteItem>,
    decisive: usize,
) -> Result<Transacted, Error> {
    let started = tokio::time::Instant::now();
    let mut retries = 0;
    loop {
        let error = match client.transact_write_items().set_transact_items(Some(actions.clone())).send().await
        {
            Ok(_done) => return Ok(Transacted::Committed),
            Err(error) => error,
        };
        match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => {
                let reasons = cancelled.cancellation_reasons();
                if reasons.get(decisive).is_some_and(condition_failed) {
                    return Ok(Transacted::ConditionFailed(reasons.to_vec()));
                }
                let held = |reason: &CancellationReason| {
                    matches!(
                        reason.code(),
                        Some("TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded")
                    )
                };
                if !reasons.iter().any(held) {
                    let known = |reason: &CancellationReason| {
                        condition_failed(reason) || reason.code() == Some(NO_FAULT)
                    };
                    if reasons.iter().any(condition_failed) && reasons.iter().all(known) {
                        return Ok(Transacted::ConditionFailed(reasons.to_vec()));
                    }
                    return Err(failed(doing)(error));
                }
            }
            Some(TransactWriteItemsError::TransactionInProgressException(_)) => {}
            _ => return Err(failed(doing)(error)),
        }
        // A random wait with a doubling limit, so that two transactions that collided do not collide again.
        let wait = Contention::longest_wait(retries).map(|longest| longest.mul_f64(fastrand::f64()));
        let in_time = |wait: &Duration| started.elapsed() + *wait < Timeouts::CONTENTION;
        let Some(wait) = wait.filter(in_time) else { return Err(Error::StockContention) };
        retries += 1;
        tracing::info!(
            metric = "ContentionRetries",
            value = 1_u64,
            doing,
            "another transaction holds the rows"
        );
        tokio::time::sleep(wait).await;
    }
}

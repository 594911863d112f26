//! Writes to DynamoDB, and retries while other transactions hold the rows. Every write of this crate goes through here:
//! a transaction through [`transact`], any other through [`write`].

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::transact_write_items::TransactWriteItemsError,
    types::{CancellationReason, TransactWriteItem},
};
use domain::{Contention, Error};
use tokio::time::Instant;

use crate::{Timeouts, failure::failed};

/// The code of an action that did not cause the cancellation.
const NO_FAULT: &str = "None";

/// The code of a write to one row that a transaction holds. DynamoDB refuses it at once (source: DynamoDB developer guide,
/// "Transaction conflict handling in DynamoDB"), and the SDK does not retry it.
const HELD: &str = "TransactionConflictException";

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
    let mut tries = Tries::begin();
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
        tries.next(doing).await?;
    }
}

/// Makes one write to one row. While a transaction holds the row, it is tried again as [`transact`] is: up to 4 times
/// within 500 ms. The row may be a product that many order at once, or an order that is being cancelled.
///
/// Answers what the call answered: every other failure is the caller's to read.
///
/// # Errors
/// [`Error::StockContention`] when every try meets a transaction. Nothing was written.
pub(crate) async fn write<T, E, R, F>(
    doing: &'static str,
    send: impl Fn() -> F,
) -> Result<Result<T, SdkError<E, R>>, Error>
where
    E: ProvideErrorMetadata,
    F: Future<Output = Result<T, SdkError<E, R>>>,
{
    let mut tries = Tries::begin();
    loop {
        let answer = send().await;
        let refused = answer.as_ref().err().and_then(SdkError::as_service_error);
        if refused.and_then(ProvideErrorMetadata::code) != Some(HELD) {
            return Ok(answer);
        }
        tries.next(doing).await?;
    }
}

/// The tries of one write.
struct Tries {
    started: Instant,
    retries: u32,
}

impl Tries {
    fn begin() -> Self {
        Self { started: Instant::now(), retries: 0 }
    }

    /// Waits until the next try: for a random time with a doubling limit, so that two writes that collided do not collide
    /// again.
    ///
    /// # Errors
    /// [`Error::StockContention`] when no try is left.
    async fn next(&mut self, doing: &'static str) -> Result<(), Error> {
        let wait = Contention::longest_wait(self.retries).map(|longest| longest.mul_f64(fastrand::f64()));
        let in_time = |wait: &Duration| self.started.elapsed() + *wait < Timeouts::CONTENTION;
        let wait = wait.filter(in_time).ok_or(Error::StockContention)?;
        self.retries += 1;
        tracing::info!(
            metric = "ContentionRetries",
            value = 1_u64,
            doing,
            "another transaction holds the rows"
        );
        tokio::time::sleep(wait).await;
        Ok(())
    }
}

//! Finishes the accounts that a registration, a change of address or an erasure has left: retired topics are deleted, and
//! the address is subscribed.

use aws_adapters::{Finished, StoreOutcome, Timeouts, finish};
use domain::{Error, UserId};
use futures_util::{StreamExt as _, stream};
use lambda_shell::Count;
use tokio::time::Instant;

use crate::{SweepOrders, Swept};

/// The most accounts that one run finishes. SNS takes some thirty calls a second that make or delete topics, and this
/// leaves most of them to customers who register now.
const PER_RUN: u16 = 100;

/// The number of accounts that are finished at the same time.
const AT_ONCE: usize = 4;

impl SweepOrders {
    /// Finishes the accounts that are due.
    pub(crate) async fn finish_accounts(&self, last_claim: Instant, swept: &mut Swept) -> Result<(), Error> {
        let due = self.users.todo(self.clock.now(), PER_RUN).await?;
        let attempts = stream::iter(due).map(|user_id| {
            // Whatever hangs, the run ends by itself. Each step is stored, so that the next run goes on.
            tokio::time::timeout(Timeouts::FINISHING, self.finish_account(user_id, last_claim))
        });
        let mut ended = attempts.buffer_unordered(AT_ONCE);
        while let Some(end) = ended.next().await {
            match end {
                Ok(Ok(true)) => swept.finished_accounts += 1,
                Ok(Ok(false)) => {}
                Ok(Err(error)) => tracing::warn!(error = error.chain(), "an account could not be finished"),
                Err(_elapsed) => tracing::warn!("an account could not be finished in time"),
            }
        }
        Ok(())
    }

    /// Finishes one account. `false` when there was nothing to finish, or another caller does it.
    async fn finish_account(&self, user_id: UserId, last_claim: Instant) -> Result<bool, Error> {
        if Instant::now() >= last_claim {
            return Ok(false);
        }
        let now = self.clock.now();
        let Some(account) = self.users.get(&user_id).await? else { return Ok(false) };
        // The index may lag behind the table.
        if account.todo.as_ref().is_none_or(|todo| todo.at > now) {
            return Ok(false);
        }
        let claimed = account.claimed(&self.order_topic_arn, now);
        if self.users.store(&claimed).await? == StoreOutcome::Lost {
            return Ok(false);
        }
        match finish(&self.users, &self.topics, claimed, now).await? {
            Finished::Done(_) => Ok(true),
            Finished::Later(account) => {
                if account.to_subscribe().is_some() {
                    lambda_shell::count(Count::EmailsUnavailable, 1);
                }
                Ok(false)
            }
            Finished::Lost => Ok(false),
        }
    }
}

//! Runs every minute: claims the orders that are due, and has the workflow resume each of them.
//!
//! An order is due when its execution did not finish it: after a crash, a lost acknowledgement, or an e-mail that
//! could not be sent. Nothing here cancels an order. No order is given up before ten attempts.

use aws_adapters::{Claim, DueOrder, Orders, Timeouts, Workflow, database, workflows};
use domain::{
    Error,
    workflow::{Command, Resume},
};
use futures_util::{StreamExt as _, stream};
use lambda_shell::{Clock, Count, Env, SdkConfig, SetupFault, Step, trace_header};
use serde::Serialize;
use tokio::time::Instant;

/// The most orders that one run takes from each of the four shards. The others stay due, and the next run takes them.
const PER_SHARD: u16 = 50;

/// The number of orders that are resumed at the same time. Each of them occupies an execution and a function.
const AT_ONCE: usize = 4;

/// The function of the schedule.
#[derive(Debug)]
pub struct SweepOrders {
    orders: Orders,
    workflow: Workflow,
    clock: Clock,
}

/// The result of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// The due orders that this run listed.
    pub due: usize,
    /// The orders whose execution ended without a failure.
    pub resumed: usize,
    /// The orders that could not be claimed, or whose execution failed. A later run takes them up.
    pub failed: usize,
    /// The orders that used up their attempts. They wait for a person from now on.
    pub given_up: usize,
    /// Orders that this run had no time to claim. They stay due, and the next run takes them.
    pub left_due: usize,
}

impl SweepOrders {
    /// Makes the function from its environment: `ORDERS_TABLE` and `STATE_MACHINE_ARN`.
    #[allow(clippy::unused_async, reason = "every function is made the same way")]
    pub async fn new(env: &Env, config: &SdkConfig) -> Result<Self, SetupFault> {
        let [orders_table, state_machine_arn] = env.read(["ORDERS_TABLE", "STATE_MACHINE_ARN"])?;
        Ok(Self {
            orders: Orders::new(database(config), orders_table),
            workflow: Workflow::new(workflows(config), state_machine_arn),
            clock: Clock::of(config),
        })
    }
}

impl Step for SweepOrders {
    /// The schedule's event. Nothing of it is read.
    type Input = serde_json::Value;
    type Output = Swept;

    async fn handle(&self, _scheduled: serde_json::Value) -> Result<Swept, Error> {
        let last_claim = Instant::now() + Timeouts::CLAIMING;
        let due = self.orders.due(self.clock.now(), PER_SHARD).await?;
        let mut swept = Swept { due: due.len(), ..Swept::default() };
        // The stream starts an attempt only when another one has ended.
        let attempts = stream::iter(due).map(|order| self.sweep(order, last_claim));
        let mut ended = attempts.buffer_unordered(AT_ONCE);
        while let Some(end) = ended.next().await {
            match end {
                End::Resumed => swept.resumed += 1,
                End::Failed => swept.failed += 1,
                End::GivenUp => swept.given_up += 1,
                End::Lost => {}
                End::LeftDue => swept.left_due += 1,
            }
        }
        tracing::info!(
            due = swept.due,
            resumed = swept.resumed,
            failed = swept.failed,
            given_up = swept.given_up,
            left_due = swept.left_due,
            "swept"
        );
        if swept.resumed > 0 {
            lambda_shell::count(Count::OrdersSwept, swept.resumed);
        }
        Ok(swept)
    }
}

/// How the run ended for one due order.
enum End {
    Resumed,
    Failed,
    GivenUp,
    /// Another run claimed it, or nothing is left to do.
    Lost,
    /// It was not claimed, since this run has worked for long enough.
    LeftDue,
}

impl SweepOrders {
    /// Claims and resumes one order. A failure is logged, so that the run goes on with the other orders.
    async fn sweep(&self, due: DueOrder, last_claim: Instant) -> End {
        if Instant::now() >= last_claim {
            return End::LeftDue;
        }
        let order_id = due.order_id;
        // A run may take most of a minute, so the clock is read again for each claim.
        let resume = match self.orders.claim(&due, self.clock.now()).await {
            Ok(Claim::Claimed(version)) => {
                Command::Resume(Resume { order_id, claimed_version: Some(version) })
            }
            Ok(Claim::Lost) => return End::Lost,
            Ok(Claim::GivenUp) => {
                // Counted here and not at the end, so that a run that is cut off loses no count.
                lambda_shell::count(Count::OrdersGivenUp, 1);
                tracing::error!(%order_id, "gave the order up: POST /orders/{{order_id}}/resume takes it up again");
                return End::GivenUp;
            }
            Err(error) => {
                tracing::warn!(%order_id, error = error.chain(), "the order could not be claimed");
                return End::Failed;
            }
        };
        match self.workflow.run(&resume, trace_header()).await {
            Ok(_outcome) => End::Resumed,
            Err(error) => {
                tracing::warn!(%order_id, error = error.chain(), "the order could not be resumed");
                End::Failed
            }
        }
    }
}

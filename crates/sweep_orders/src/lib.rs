//! Every minute: claims the orders that are due and has the workflow resume each. Writes nothing but claims, cancels
//! nothing, and gives nothing up that was not tried ten times.
//!
//! An order is due when the execution that should have finished it did not: a crash, a lost acknowledgement, an e-mail
//! that could not be sent.

use aws_adapters::{Claim, DueOrder, Orders, Workflow, database, workflows};
use domain::{
    Error,
    workflow::{Command, Resume},
};
use futures_util::{StreamExt as _, stream};
use lambda_shell::{Clock, Count, Env, SdkConfig, SetupFault, Step, trace_header};
use serde::Serialize;

/// Orders that one run takes from each of the four shards. What is left is due in a minute still.
const PER_SHARD: u16 = 50;

/// Orders that are resumed at the same time: each holds an execution and a function.
const AT_ONCE: usize = 4;

/// The function behind the schedule.
#[derive(Debug)]
pub struct SweepOrders {
    orders: Orders,
    workflow: Workflow,
    clock: Clock,
}

/// What one run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Orders that were due.
    pub due: usize,
    /// Resumptions that ran to their end.
    pub resumed: usize,
    /// Resumptions that failed; their orders are due again later.
    pub failed: usize,
    /// Orders that wait for a person from now on.
    pub given_up: usize,
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
    /// The schedule's event says nothing that is needed.
    type Input = serde_json::Value;
    type Output = Swept;

    async fn handle(&self, _scheduled: serde_json::Value) -> Result<Swept, Error> {
        let now = self.clock.now();
        let due = self.orders.due(now, PER_SHARD).await?;
        let mut swept = Swept { due: due.len(), ..Swept::default() };
        let mut ended = stream::iter(due).map(|order| self.sweep(order)).buffer_unordered(AT_ONCE);
        while let Some(end) = ended.next().await {
            match end {
                End::Resumed => swept.resumed += 1,
                End::Failed => swept.failed += 1,
                End::GivenUp => swept.given_up += 1,
                End::Lost => {}
            }
        }
        tracing::info!(
            due = swept.due,
            resumed = swept.resumed,
            failed = swept.failed,
            given_up = swept.given_up,
            "swept"
        );
        if swept.resumed > 0 {
            lambda_shell::count(Count::OrdersSwept, swept.resumed);
        }
        if swept.given_up > 0 {
            lambda_shell::count(Count::OrdersGivenUp, swept.given_up);
        }
        Ok(swept)
    }
}

/// How the attempt at one due order ended.
enum End {
    Resumed,
    Failed,
    GivenUp,
    Lost,
}

impl SweepOrders {
    /// One order's failure is no other order's.
    async fn sweep(&self, due: DueOrder) -> End {
        let order_id = due.order_id;
        // A run may take most of a minute: a claim counts from when it is made, not from when the run began.
        let resume = match self.orders.claim(&due, self.clock.now()).await {
            Ok(Claim::Claimed(version)) => {
                Command::Resume(Resume { order_id, claimed_version: Some(version) })
            }
            Ok(Claim::Lost) => return End::Lost,
            Ok(Claim::GivenUp) => {
                tracing::error!(%order_id, "given up: POST /orders/{{order_id}}/resume takes it up again");
                return End::GivenUp;
            }
            Err(error) => {
                tracing::warn!(%order_id, error = error.chain(), "could not be claimed");
                return End::Failed;
            }
        };
        match self.workflow.run(&resume, trace_header()).await {
            Ok(_outcome) => End::Resumed,
            Err(error) => {
                tracing::warn!(%order_id, error = error.chain(), "could not be resumed");
                End::Failed
            }
        }
    }
}

//! Runs every minute: finishes what executions and registrations have left.
//!
//! - An order is due when its execution did not finish it: after a crash, a lost acknowledgement, or an e-mail that could
//!   not be sent. The run claims such orders, and has the workflow resume each of them.
//! - An account is due when its topics are not in order: `accounts.rs`.
//! - An order waits when its customer has not confirmed the address: `waiting.rs`.
//!
//! Orders that are stuck come first, so no number of waiting orders delays them. Nothing here cancels an order. No order
//! is given up before ten attempts.

mod accounts;
mod waiting;

use aws_adapters::{
    Claim, DueOrder, NotificationsClient, Orders, Timeouts, TopicWiring, Topics, Users, Workflow, database,
    notifications, workflows,
};
use domain::{
    Error, OrderId,
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
    users: Users,
    topics: Topics,
    notifications: NotificationsClient,
    workflow: Workflow,
    order_topic_arn: String,
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
    /// The accounts whose topics this run put in order.
    pub finished_accounts: usize,
    /// The waiting orders that this run looked at.
    pub looked_at: usize,
    /// The waiting orders that are no longer mailed: their customer has not confirmed in time, or wants no mail.
    pub unmailed: usize,
}

impl SweepOrders {
    /// Makes the function from its environment: `ORDERS_TABLE`, `USERS_TABLE`, `STATE_MACHINE_ARN`,
    /// `ORDER_TOPIC_ARN`, `STACK_NAME`, `DEAD_LETTERS_ARN` and `CUSTOMER_TOPIC_KEY`, which is empty when the topics have no
    /// key.
    #[allow(clippy::unused_async, reason = "every function is made the same way")]
    pub async fn new(env: &Env, config: &SdkConfig) -> Result<Self, SetupFault> {
        // Read first and checked last, so that the fault names every missing variable.
        let key_id = env.read_or_empty("CUSTOMER_TOPIC_KEY");
        let [orders_table, users_table, state_machine_arn, order_topic_arn, stack, dead_letters_arn] = env
            .read([
                "ORDERS_TABLE",
                "USERS_TABLE",
                "STATE_MACHINE_ARN",
                "ORDER_TOPIC_ARN",
                "STACK_NAME",
                "DEAD_LETTERS_ARN",
            ])?;
        let (client, sns) = (database(config), notifications(config));
        Ok(Self {
            orders: Orders::new(client.clone(), orders_table),
            users: Users::new(client, users_table),
            topics: Topics::new(sns.clone(), TopicWiring { stack, key_id: key_id?, dead_letters_arn }),
            notifications: sns,
            workflow: Workflow::new(workflows(config), state_machine_arn),
            order_topic_arn,
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
            swept.add(end);
        }
        // A failure of one part does not keep the next one from being tried. It is the run's failure all the same.
        let accounts = self.finish_accounts(last_claim, &mut swept).await;
        let waiting = self.look_at_waiting(last_claim, &mut swept).await;
        tracing::info!(
            due = swept.due,
            resumed = swept.resumed,
            failed = swept.failed,
            given_up = swept.given_up,
            left_due = swept.left_due,
            finished_accounts = swept.finished_accounts,
            looked_at = swept.looked_at,
            unmailed = swept.unmailed,
            "swept"
        );
        if swept.resumed > 0 {
            lambda_shell::count(Count::OrdersSwept, swept.resumed);
        }
        accounts.and(waiting).map(|()| swept)
    }
}

impl Swept {
    fn add(&mut self, end: End) {
        match end {
            End::Resumed => self.resumed += 1,
            End::Failed => self.failed += 1,
            End::GivenUp => self.given_up += 1,
            End::Lost => {}
            End::LeftDue => self.left_due += 1,
        }
    }
}

/// How the run ended for one due order.
#[derive(Clone, Copy)]
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
        let claimed = self.orders.claim(&due, self.clock.now()).await;
        self.resume(order_id, claimed).await
    }

    /// Has the workflow resume an order, if this run has claimed it.
    async fn resume(&self, order_id: OrderId, claimed: Result<Claim, Error>) -> End {
        let resume = match claimed {
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

//! The workflow step `UpdateStatus`: one guarded transition. Only the call that made it announces it; whoever finds
//! the order there already says nothing.

use aws_adapters::{Advanced, Orders, database};
use domain::{
    Error, Status,
    workflow::{Announcement, UpdateStatus, Updated},
};
use lambda_shell::{Clock, Env, SdkConfig, SetupFault, Step};

/// The function behind `UpdateStatus`.
#[derive(Debug)]
pub struct UpdateOrderStatus {
    orders: Orders,
    clock: Clock,
}

impl UpdateOrderStatus {
    /// Makes the function from its environment: `ORDERS_TABLE`.
    #[allow(clippy::unused_async, reason = "every function is made the same way")]
    pub async fn new(env: &Env, config: &SdkConfig) -> Result<Self, SetupFault> {
        let [orders_table] = env.read(["ORDERS_TABLE"])?;
        Ok(Self { orders: Orders::new(database(config), orders_table), clock: Clock::of(config) })
    }
}

impl Step for UpdateOrderStatus {
    type Input = UpdateStatus;
    type Output = Updated;

    async fn handle(&self, asked: UpdateStatus) -> Result<Updated, Error> {
        lambda_shell::concerning(asked.order_id);
        // The workflow's own transition is the only one so far.
        Status::Pending.step(asked.to)?;
        match self.orders.confirm(asked.order_id, self.clock.now()).await? {
            Advanced::Moved(order) => {
                let announce = Announcement::of(&order, asked.topic_arn);
                Ok(Updated { order, announce })
            }
            Advanced::NotThere(order) => Ok(Updated { order, announce: None }),
            Advanced::Missing => Err(Error::NotFound("order")),
        }
    }
}

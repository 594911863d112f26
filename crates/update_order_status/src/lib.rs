//! The workflow step `UpdateStatus`: makes one transition, if the order has the expected status and version. The same
//! write changes the stock.
//!
//! The call that makes a transition announces it. A call that finds the transition made announces nothing. A
//! resumption announces a transition whose execution was interrupted.

use aws_adapters::{Advanced, DueTime, Orders, Stocks, Users, database};
use domain::{
    Error, Order, OrderId, Status,
    workflow::{Announcement, Change, ChangeOutcome, Resume, Topic, UpdateStatus, Updated},
};
use lambda_shell::{Clock, Env, SdkConfig, SetupFault, Step};

/// The most tries of a change while others change the same order. Each lost try means that the order took another
/// status. An order takes each status at most once, so as many tries as there are statuses are enough.
const MAX_TRIES: usize = Status::ALL.len();

/// The function of the step `UpdateStatus`.
#[derive(Debug)]
pub struct UpdateOrderStatus {
    orders: Orders,
    stocks: Stocks,
    users: Users,
    clock: Clock,
}

impl UpdateOrderStatus {
    /// Makes the function from its environment: `ORDERS_TABLE`, `INVENTORY_TABLE` and `USERS_TABLE`.
    pub async fn new(env: &Env, config: &SdkConfig) -> Result<Self, SetupFault> {
        let [orders_table, inventory_table, users_table] =
            env.read(["ORDERS_TABLE", "INVENTORY_TABLE", "USERS_TABLE"])?;
        let client = database(config);
        let orders = Orders::new(client.clone(), orders_table);
        orders.connect().await;
        Ok(Self {
            orders,
            stocks: Stocks::new(client.clone(), inventory_table),
            users: Users::new(client, users_table),
            clock: Clock::of(config),
        })
    }
}

impl Step for UpdateOrderStatus {
    type Input = UpdateStatus;
    type Output = Updated;

    async fn handle(&self, asked: UpdateStatus) -> Result<Updated, Error> {
        match asked {
            UpdateStatus::Place { order_id, topic, replayed } => {
                lambda_shell::concerning(order_id);
                self.confirm(order_id, topic, if replayed { DueTime::Renew } else { DueTime::Keep }).await
            }
            UpdateStatus::Change(change) => {
                lambda_shell::concerning(change.order_id);
                self.change(&change).await
            }
            UpdateStatus::Resume(resume) => {
                lambda_shell::concerning(resume.order_id);
                self.resume(&resume).await
            }
        }
    }
}

impl UpdateOrderStatus {
    async fn confirm(&self, order_id: OrderId, topic: Topic, due: DueTime) -> Result<Updated, Error> {
        match self.orders.confirm(order_id, self.clock.now(), due).await? {
            Advanced::Done(order) => self.announce(&order, order.clone(), topic).await,
            Advanced::Conflict(order) => Ok(unannounced(ChangeOutcome::Changed, order)),
            Advanced::NotFound => Err(Error::NotFound("order")),
        }
    }

    async fn change(&self, change: &Change) -> Result<Updated, Error> {
        let Change { order_id, to, actor, reason, if_version } = change;
        for _ in 0..MAX_TRIES {
            let before = self.orders.get(*order_id).await?.ok_or(Error::NotFound("order"))?.order;
            // A repeat by the same actor succeeds. The order is then one version after the one that they had read.
            let repeated =
                before.repeats(*to, actor) && if_version.is_none_or(|read| before.version() == read + 1);
            if repeated {
                return Ok(unannounced(ChangeOutcome::Changed, before));
            }
            if if_version.is_some_and(|read| read != before.version()) {
                return Ok(unannounced(ChangeOutcome::Stale, before));
            }
            let after = match before.advance(*to, self.clock.now(), actor.clone(), reason.clone()) {
                Ok(after) => after,
                Err(Error::IllegalTransition { .. }) => {
                    return Ok(unannounced(ChangeOutcome::Illegal, before));
                }
                Err(other) => return Err(other),
            };
            match self.orders.advance(&before, &after, &self.stocks).await? {
                Advanced::Done(order) => return self.announce(&order, order.clone(), Topic::Unknown).await,
                // The order was changed since it was read. The change may still be possible, or made already.
                Advanced::Conflict(_) => {}
                Advanced::NotFound => return Err(Error::NotFound("order")),
            }
        }
        Err(Error::StatusContention)
    }

    /// Confirms a PENDING order, or announces the earliest version that is not announced. Later runs announce the
    /// others.
    async fn resume(&self, resume: &Resume) -> Result<Updated, Error> {
        let Resume { order_id, claimed_version } = *resume;
        let stored = self.orders.get(order_id).await?.ok_or(Error::NotFound("order"))?;
        let order = stored.order;
        if order.status() == Status::Pending {
            return self.confirm(order_id, Topic::Unknown, DueTime::Keep).await;
        }
        let Some(version) = stored.unsent.first() else {
            self.orders.settle(order_id).await?;
            return Ok(unannounced(ChangeOutcome::Changed, order));
        };
        if claimed_version.is_some_and(|claimed| *version > claimed) {
            // Another execution made this version after the claim, and announces it. If that fails, the order is due
            // again.
            return Ok(unannounced(ChangeOutcome::Changed, order));
        }
        let then = order.as_of(*version).ok_or_else(|| Error::Internal {
            doing: "announcing a status",
            source: "the order never had the version that waits to be announced".into(),
        })?;
        self.announce(&then, order, Topic::Unknown).await
    }

    /// The answer after which the workflow mails the status of `announced`. `order` is the order as it is now.
    async fn announce(&self, announced: &Order, order: Order, topic: Topic) -> Result<Updated, Error> {
        let topic_arn = match topic {
            Topic::Known(topic_arn) => topic_arn,
            Topic::Unknown => {
                self.users.recipient(&order.user_id).await?.and_then(|recipient| recipient.topic_arn)
            }
        };
        let announce = Announcement::of(announced, topic_arn);
        Ok(Updated { outcome: ChangeOutcome::Changed, order, announce })
    }
}

fn unannounced(outcome: ChangeOutcome, order: Order) -> Updated {
    Updated { outcome, order, announce: None }
}

//! The workflow step `UpdateStatus`: makes one transition, if the order has the expected status and version. The same
//! write changes the stock.
//!
//! The call that makes a transition announces it. A call that finds the transition made announces nothing. A
//! resumption announces a transition whose execution was interrupted.

use std::collections::BTreeSet;

use aws_adapters::{
    Advanced, Deliveries, DueTime, MadeBy, Orders, Stocks, Users, connect_database, database, later,
    notifications,
};
use domain::{
    Error, Order, OrderId, Recipient, Status,
    workflow::{Announcement, Change, ChangeOutcome, Delivery, Resume, Update, UpdateStatus, Updated},
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
    deliveries: Deliveries,
    clock: Clock,
}

impl UpdateOrderStatus {
    /// Makes the function from its environment: `ORDERS_TABLE`, `INVENTORY_TABLE` and `USERS_TABLE`.
    pub async fn new(env: &Env, config: &SdkConfig) -> Result<Self, SetupFault> {
        let [orders_table, inventory_table, users_table] =
            env.read(["ORDERS_TABLE", "INVENTORY_TABLE", "USERS_TABLE"])?;
        let client = database(config);
        connect_database(&client).await;
        Ok(Self {
            orders: Orders::new(client.clone(), orders_table),
            stocks: Stocks::new(client.clone(), inventory_table),
            deliveries: Deliveries::new(Users::new(client, users_table), later(config, notifications)),
            clock: Clock::of(config),
        })
    }
}

impl Step for UpdateOrderStatus {
    type Input = UpdateStatus;
    type Output = Updated;

    async fn handle(&self, asked: UpdateStatus) -> Result<Updated, Error> {
        let UpdateStatus { tells, update } = asked;
        match update {
            Update::Place { order_id, recipient, replayed } => {
                lambda_shell::concerning(order_id);
                let due = if replayed { DueTime::Renew } else { DueTime::Keep };
                self.confirm(order_id, recipient, due, tells).await
            }
            Update::Change(change) => {
                lambda_shell::concerning(change.order_id);
                self.change(&change, tells).await
            }
            Update::Resume(resume) => {
                lambda_shell::concerning(resume.order_id);
                self.resume(&resume, tells).await
            }
        }
    }
}

impl UpdateOrderStatus {
    async fn confirm(
        &self,
        order_id: OrderId,
        recipient: Option<Recipient>,
        due: DueTime,
        tells: bool,
    ) -> Result<Updated, Error> {
        // No request makes a confirmation: the one that placed the order is named with its first version.
        let by = MadeBy { tells, request_id: None };
        match self.orders.confirm(order_id, self.clock.now(), due, &by).await? {
            Advanced::Done(order) => self.announce(order, recipient, tells).await,
            Advanced::Conflict(order) => Ok(unannounced(ChangeOutcome::Changed, order)),
            Advanced::NotFound => Err(Error::NotFound("order")),
        }
    }

    async fn change(&self, change: &Change, tells: bool) -> Result<Updated, Error> {
        let Change { order_id, to, actor, reason, if_version, request_id } = change;
        let by = MadeBy { tells, request_id: request_id.clone() };
        for _ in 0..MAX_TRIES {
            let stored = self.orders.get(*order_id).await?.ok_or(Error::NotFound("order"))?;
            // This very request has made a change: the step was tried again, or the execution was started twice. Other
            // changes may have followed.
            if stored.was_made(*to, request_id.as_deref()) {
                return Ok(unannounced(ChangeOutcome::Changed, stored.order));
            }
            let before = stored.order;
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
            match self.orders.advance(&before, &after, &self.stocks, &by).await? {
                Advanced::Done(order) => return self.announce(order, None, tells).await,
                // The order was changed since it was read. The change may still be possible, or made already.
                Advanced::Conflict(_) => {}
                Advanced::NotFound => return Err(Error::NotFound("order")),
            }
        }
        Err(Error::StatusContention)
    }

    /// Announces the status that this call has just given to `order`. The transition is made, so a failure here does not
    /// fail the change: the order is due, and the sweeper announces it.
    async fn announce(
        &self,
        order: Order,
        recipient: Option<Recipient>,
        tells: bool,
    ) -> Result<Updated, Error> {
        let decided = self.deliveries.decide(&order.user_id, recipient, self.clock.now()).await;
        match decided.and_then(|delivery| announcement(&order, delivery, tells, tells)) {
            Ok(announce) => Ok(Updated { outcome: ChangeOutcome::Changed, order, announce }),
            Err(error) => {
                tracing::warn!(error = error.chain(), "the sweeper has to announce this status");
                Ok(unannounced(ChangeOutcome::Changed, order))
            }
        }
    }

    /// Confirms a PENDING order, or announces the earliest version that can be announced. Later runs announce the
    /// others.
    async fn resume(&self, resume: &Resume, tells: bool) -> Result<Updated, Error> {
        let Resume { order_id, claimed_version } = *resume;
        let stored = self.orders.get(order_id).await?.ok_or(Error::NotFound("order"))?;
        let order = stored.order;
        if order.status() == Status::Pending {
            return self.confirm(order_id, None, DueTime::Keep, tells).await;
        }
        let untold = if tells { stored.untold } else { BTreeSet::new() };
        let open: BTreeSet<u32> = stored.unsent.union(&untold).copied().collect();
        if open.is_empty() {
            self.orders.settle(order_id).await?;
            return Ok(unannounced(ChangeOutcome::Changed, order));
        }
        let delivery = if stored.unsent.is_empty() {
            Delivery::OFF
        } else {
            self.deliveries.decide(&order.user_id, None, self.clock.now()).await?
        };
        // While the mail has to wait, the shop is still told of each version.
        let next = if delivery.is_open() { untold.first().or(stored.unsent.first()) } else { open.first() };
        let Some(version) = next.copied() else { return Ok(unannounced(ChangeOutcome::Changed, order)) };
        if claimed_version.is_some_and(|claimed| version > claimed) {
            // Another execution made this version after the claim, and announces it. If that fails, the order is due
            // again.
            return Ok(unannounced(ChangeOutcome::Changed, order));
        }
        let then = order.as_of(version).ok_or_else(|| Error::Internal {
            doing: "announcing a status",
            source: "the order never had the version that waits to be announced".into(),
        })?;
        let delivery = if stored.unsent.contains(&version) { delivery } else { Delivery::OFF };
        let mut announce = announcement(&then, delivery, tells, untold.contains(&version))?;
        if let Some(announce) = &mut announce {
            // A version that was made after the claim belongs to the execution that made it.
            let claimed = claimed_version.unwrap_or_default();
            announce.rest = open.len() > 1 && open.iter().all(|version| *version <= claimed);
        }
        Ok(Updated { outcome: ChangeOutcome::Changed, order, announce })
    }
}

/// The announcement of the status of `order`. `None` when the state machine does not know what to do with it: then the
/// order stays due.
fn announcement(
    order: &Order,
    delivery: Delivery,
    tells: bool,
    tell: bool,
) -> Result<Option<Announcement>, Error> {
    if delivery.is_open() && !tells { Ok(None) } else { Announcement::of(order, delivery, tell) }
}

fn unannounced(outcome: ChangeOutcome, order: Order) -> Updated {
    Updated { outcome, order, announce: None }
}

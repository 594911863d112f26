//! The workflow step `CheckInventory`: prices the lines, lists the shortages, and counts the customer's orders of the last
//! hour.
//!
//! Nothing here writes. The stock may change right after it is read, so only `create_order`'s transaction reserves it. The
//! count is a soft bound: it does not see the orders that are on their way at the same time.

use std::time::Duration;

use aws_adapters::{Orders, Stocks, Users, connect_database, database};
use domain::{
    Error, Quote, Refusal, UserId, quote,
    workflow::{Checked, Place, QuotedFor},
};
use lambda_shell::{Clock, Env, SdkConfig, SetupFault, Step};

/// The time in which `ORDERS_PER_HOUR` are counted.
const HOUR: Duration = Duration::from_hours(1);

/// The function of the step `CheckInventory`.
#[derive(Debug)]
pub struct CheckInventory {
    stocks: Stocks,
    users: Users,
    orders: Orders,
    /// The most orders of one customer within an hour; 0 for any number.
    orders_per_hour: u16,
    clock: Clock,
}

impl CheckInventory {
    /// Makes the function from its environment: `INVENTORY_TABLE`, `USERS_TABLE`, `ORDERS_TABLE` and `ORDERS_PER_HOUR`,
    /// a number.
    pub async fn new(env: &Env, config: &SdkConfig) -> Result<Self, SetupFault> {
        let [inventory_table, users_table, orders_table, per_hour] =
            env.read(["INVENTORY_TABLE", "USERS_TABLE", "ORDERS_TABLE", "ORDERS_PER_HOUR"])?;
        let orders_per_hour = per_hour.parse().map_err(|_not_a_number| {
            SetupFault::new(format!(
                "ORDERS_PER_HOUR is {per_hour}, and must be a number from 0 to {}",
                u16::MAX
            ))
        })?;
        let client = database(config);
        // It reads the stock and counts the customer's orders at the same time.
        tokio::join!(connect_database(&client), connect_database(&client));
        Ok(Self {
            stocks: Stocks::new(client.clone(), inventory_table),
            users: Users::new(client.clone(), users_table),
            orders: Orders::new(client, orders_table),
            orders_per_hour,
            clock: Clock::of(config),
        })
    }
}

impl Step for CheckInventory {
    type Input = Place;
    type Output = Checked;

    async fn handle(&self, asked: Place) -> Result<Checked, Error> {
        lambda_shell::concerning(asked.order_id);
        let skus = asked.request.lines().iter().map(|line| &line.sku);
        let reading = self.stocks.with_recipient(&self.users, &asked.user_id, skus);
        // Counted at the same time, so that it takes no time of its own.
        let ((stock, recipient), too_many) = tokio::try_join!(reading, self.too_many(&asked.user_id))?;
        let Some(recipient) = recipient else { return Ok(Checked::Refused(Refusal::UserNotRegistered)) };
        if let Some(refusal) = too_many {
            return Ok(Checked::Refused(refusal));
        }
        Ok(match quote(&asked.request, &stock)? {
            Quote::Priced(quoted) => {
                Checked::Quoted(QuotedFor { quoted, recipient: Some(recipient), topic_arn: None })
            }
            Quote::Refused(refusal) => Checked::Refused(refusal),
        })
    }
}

impl CheckInventory {
    /// The refusal of a customer who has placed as many orders within an hour as the shop takes.
    async fn too_many(&self, user_id: &UserId) -> Result<Option<Refusal>, Error> {
        if self.orders_per_hour == 0 {
            return Ok(None);
        }
        let now = self.clock.now();
        let placed = self.orders.placed_since(user_id, now.before(HOUR), self.orders_per_hour).await?;
        if placed.len() < usize::from(self.orders_per_hour) {
            return Ok(None);
        }
        let oldest = placed.last().copied().unwrap_or(now);
        let wait = oldest.after(HOUR).since(now);
        let retry_after_s = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        Ok(Some(Refusal::TooManyOrders { retry_after_s: retry_after_s.max(1) }))
    }
}

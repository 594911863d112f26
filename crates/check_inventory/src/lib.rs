//! The workflow step `CheckInventory`: prices the lines and lists the shortages.
//!
//! Nothing here writes. The stock may change right after it is read, so only `create_order`'s transaction reserves it.

use aws_adapters::{Stocks, Users, database};
use domain::{
    Error, Quote, Refusal, quote,
    workflow::{Checked, Place, QuotedFor},
};
use lambda_shell::{Env, SdkConfig, SetupFault, Step};

/// The function of the step `CheckInventory`.
#[derive(Debug)]
pub struct CheckInventory {
    stocks: Stocks,
    users: Users,
}

impl CheckInventory {
    /// Makes the function from its environment: `INVENTORY_TABLE` and `USERS_TABLE`.
    pub async fn new(env: &Env, config: &SdkConfig) -> Result<Self, SetupFault> {
        let [inventory_table, users_table] = env.read(["INVENTORY_TABLE", "USERS_TABLE"])?;
        let client = database(config);
        let stocks = Stocks::new(client.clone(), inventory_table);
        stocks.connect().await;
        Ok(Self { stocks, users: Users::new(client, users_table) })
    }
}

impl Step for CheckInventory {
    type Input = Place;
    type Output = Checked;

    async fn handle(&self, asked: Place) -> Result<Checked, Error> {
        lambda_shell::concerning(asked.order_id);
        let skus = asked.request.lines().iter().map(|line| &line.sku);
        let (stock, recipient) = self.stocks.with_recipient(&self.users, &asked.user_id, skus).await?;
        let Some(recipient) = recipient else { return Ok(Checked::Refused(Refusal::UserNotRegistered)) };
        Ok(match quote(&asked.request, &stock)? {
            Quote::Priced(quoted) => {
                Checked::Quoted(QuotedFor { quoted, recipient: Some(recipient), topic_arn: None })
            }
            Quote::Refused(refusal) => Checked::Refused(refusal),
        })
    }
}

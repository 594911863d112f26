//! `PUT /inventory/{sku}` adds a product or changes its name and price. `POST /inventory/{sku}/adjustments` changes
//! its available units and writes a row of the ledger. Both are for admins only.

use aws_adapters::{Adjusted, Stocks, connect_database, database};
use domain::{
    Adjustment, Delta, Error, Field, MAX_AVAILABLE, MovementId, Name, Product, Reason, Sku, Stock, field,
};
use lambda_shell::{AdminRule, Caller, Clock, Door, Env, Request, Response, SdkConfig, SetupFault};

/// The function of the routes that write the inventory.
#[derive(Debug)]
pub struct AdjustInventory {
    stocks: Stocks,
    admins: AdminRule,
    clock: Clock,
}

impl AdjustInventory {
    /// Makes the function from its environment: `INVENTORY_TABLE`, `ADMIN_CLAIM` and `ADMIN_VALUE`.
    pub async fn new(env: &Env, config: &SdkConfig) -> Result<Self, SetupFault> {
        // Read first and checked last, so that the fault names every missing variable.
        let admins = AdminRule::from_env(env);
        let [inventory_table] = env.read(["INVENTORY_TABLE"])?;
        let client = database(config);
        connect_database(&client).await;
        Ok(Self { stocks: Stocks::new(client, inventory_table), admins: admins?, clock: Clock::of(config) })
    }
}

impl Door for AdjustInventory {
    async fn handle(&self, request: Request) -> Result<Response, Error> {
        let caller = request.caller()?;
        self.admins.require(&caller)?;
        match request.route.as_str() {
            "PUT /inventory/{sku}" => self.describe(&request).await,
            "POST /inventory/{sku}/adjustments" => self.adjust(&request, caller).await,
            _ => Err(Error::NotFound("route")),
        }
    }
}

impl AdjustInventory {
    async fn describe(&self, request: &Request) -> Result<Response, Error> {
        let mut body = request.body()?;
        let (name, unit_price) = (body.text::<Name>("name"), body.unit_price("unit_price"));
        let max_per_order = body.optional_integer("max_per_order");
        let (sku, name, unit_price, max_per_order) =
            body.finish((sku(request)?, name, unit_price, max_per_order))?;
        let (stock, new) = self.stocks.describe(&Product { sku, name, unit_price, max_per_order }).await?;
        let status = if new { 201 } else { 200 };
        let response = Response::json(status, &stock)?;
        Ok(if new { response.header("location", location(&stock)) } else { response })
    }

    async fn adjust(&self, request: &Request, caller: Caller) -> Result<Response, Error> {
        let key = field(request.idempotency_key())?;
        let mut body = request.body()?;
        let (delta, reason) = (body.integer::<Delta>("delta"), body.text::<Reason>("reason"));
        let (sku, key, delta, reason) = body.finish((sku(request)?, key, delta, reason))?;
        let movement = MovementId::derive(&sku, &key);
        let adjustment =
            Adjustment { sku, movement, delta, reason, actor: caller.user_id, at: self.clock.now() };
        match self.stocks.adjust(&adjustment).await? {
            Adjusted::Done(stock) => Response::json(201, &stock),
            Adjusted::Replayed(stock) => {
                Ok(Response::json(200, &stock)?.header("idempotent-replayed", "true"))
            }
            Adjusted::KeyReused => Err(Error::IdempotencyKeyReused),
            Adjusted::NotFound => Err(Error::NotFound("SKU")),
            Adjusted::BelowZero => Err(Error::BelowZero),
            Adjusted::AboveLimit => Err(Error::AboveLimit { limit: MAX_AVAILABLE }),
        }
    }
}

/// The SKU in the path. Its faults are reported with the body's.
fn sku(request: &Request) -> Result<Field<Sku>, Error> {
    field(Sku::try_from(request.path("sku").to_owned()))
}

fn location(stock: &Stock) -> String {
    format!("/inventory/{}", stock.product.sku)
}

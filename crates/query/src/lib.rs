//! Every `GET` route. The function's role permits no write to a table, a topic or a queue.

mod audit;
mod cursor;
mod orders;
mod page;

use aws_adapters::{
    Later, NotificationsClient, Orders, Stocks, Users, connect_database, database, later, notifications,
    subscription_state,
};
use domain::{Error, Notifications, OrderId, Product, Sku, Stock};
use lambda_shell::{AdminRule, Caller, Clock, Door, Env, Request, Response, SdkConfig, SetupFault};
use serde::Serialize;

pub use self::audit::{Difference, Reconciled, reconcile};
use crate::page::{Listed, PageRequest};

/// The function of every `GET` route.
#[derive(Debug)]
pub struct Query {
    users: Users,
    orders: Orders,
    stocks: Stocks,
    notifications: Later<NotificationsClient>,
    admins: AdminRule,
    clock: Clock,
}

impl Query {
    /// Makes the function from its environment: `USERS_TABLE`, `ORDERS_TABLE`, `INVENTORY_TABLE`, `ADMIN_CLAIM` and
    /// `ADMIN_VALUE`.
    pub async fn new(env: &Env, config: &SdkConfig) -> Result<Self, SetupFault> {
        // Read first and checked last, so that the fault names every missing variable.
        let admins = AdminRule::from_env(env);
        let [users_table, orders_table, inventory_table] =
            env.read(["USERS_TABLE", "ORDERS_TABLE", "INVENTORY_TABLE"])?;
        let client = database(config);
        connect_database(&client).await;
        Ok(Self {
            users: Users::new(client.clone(), users_table),
            orders: Orders::new(client.clone(), orders_table),
            stocks: Stocks::new(client, inventory_table),
            notifications: later(config, notifications),
            admins: admins?,
            clock: Clock::of(config),
        })
    }
}

impl Door for Query {
    async fn handle(&self, request: Request) -> Result<Response, Error> {
        match request.route.as_str() {
            "GET /health" => Response::json(200, &Health { status: "ok" }),
            "GET /users/me" => self.me(&request.caller()?).await,
            "GET /orders/{order_id}" => self.order(&request, &request.caller()?).await,
            "GET /orders" => self.orders(&request, &request.caller()?).await,
            "GET /inventory/{sku}/movements" => self.movements(&request, &request.caller()?).await,
            "GET /inventory" => self.inventory(&request, &request.caller()?).await,
            "GET /inventory/{sku}" => self.stock(&request, &request.caller()?).await,
            _ => Err(Error::NotFound("route")),
        }
    }
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

/// Stock as the caller may see it. Only an admin sees the reserved units.
#[derive(Serialize)]
struct SeenStock {
    #[serde(flatten)]
    product: Product,
    available: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reserved: Option<u64>,
}

impl Query {
    async fn me(&self, caller: &Caller) -> Result<Response, Error> {
        let account = self.users.get(&caller.user_id).await?.ok_or(Error::NotFound("user"))?;
        let state = match account.to_look_at() {
            None => Ok(None),
            Some(subscription_arn) => {
                subscription_state(&self.notifications, subscription_arn).await.map(Some)
            }
        };
        // When SNS does not answer, users can still read their own data.
        let unanswered = state.is_err();
        let mut user = account.seen(state.unwrap_or(None)).ok_or(Error::NotFound("user"))?;
        if unanswered {
            user.notifications = Notifications::Unavailable;
        }
        Response::json(200, &user)
    }

    async fn order(&self, request: &Request, caller: &Caller) -> Result<Response, Error> {
        let missing = || Error::NotFound("order");
        let order_id = OrderId::parse(request.path("order_id")).ok_or_else(missing)?;
        lambda_shell::concerning(order_id);
        let order = self.orders.get(order_id).await?.ok_or_else(missing)?.order;
        self.admins.may_see(caller, &order)?;
        let etag = format!("\"{}\"", order.version());
        Ok(Response::json(200, &order)?.header("etag", etag))
    }

    async fn orders(&self, request: &Request, caller: &Caller) -> Result<Response, Error> {
        let admin = self.admins.admits(caller);
        let (filter, list) = match orders::filter(request.query(), caller, admin, self.clock.now()) {
            // The faults of the page's parameters are reported with those of the filter.
            Err(Error::Invalid(mut faults)) => {
                faults.append(&mut PageRequest::faults(request.query(), &orders::PARAMETERS));
                return Err(Error::Invalid(faults));
            }
            filter => filter?,
        };
        let page = PageRequest::read(request.query(), &orders::PARAMETERS, &list, &caller.user_id)?;
        let found = self.orders.list(&filter, page.limit, page.after.as_deref()).await?;
        Response::json(200, &Listed { items: found.items, next_cursor: page.next(found.next) })
    }

    async fn movements(&self, request: &Request, caller: &Caller) -> Result<Response, Error> {
        self.admins.require(caller)?;
        let missing = |_unusable| Error::NotFound("SKU");
        let sku = Sku::try_from(request.path("sku").to_owned()).map_err(missing)?;
        let list = format!("movements of {sku}");
        let page = PageRequest::read(request.query(), &[], &list, &caller.user_id)?;
        let found = self.stocks.movements(&sku, page.limit, page.after.as_deref()).await?;
        if found.items.is_empty() && page.after.is_none() && self.stocks.get(&sku).await?.is_none() {
            return Err(Error::NotFound("SKU"));
        }
        Response::json(200, &Listed { items: found.items, next_cursor: page.next(found.next) })
    }

    async fn inventory(&self, request: &Request, caller: &Caller) -> Result<Response, Error> {
        let page = PageRequest::read(request.query(), &[], "inventory", &caller.user_id)?;
        let after = match &page.after {
            Some(after) => Some(Sku::try_from(after.clone()).map_err(|_forged| Error::BadCursor)?),
            None => None,
        };
        let found = self.stocks.list(page.limit, after.as_ref()).await?;
        let admin = self.admins.admits(caller);
        let items = found.items.into_iter().map(|stock| seen(stock, admin)).collect();
        Response::json(200, &Listed { items, next_cursor: page.next(found.next) })
    }

    async fn stock(&self, request: &Request, caller: &Caller) -> Result<Response, Error> {
        let missing = |_unusable| Error::NotFound("SKU");
        let sku = Sku::try_from(request.path("sku").to_owned()).map_err(missing)?;
        let stock = self.stocks.get(&sku).await?.ok_or(Error::NotFound("SKU"))?;
        Response::json(200, &seen(stock, self.admins.admits(caller)))
    }
}

fn seen(stock: Stock, admin: bool) -> SeenStock {
    let Stock { product, available, reserved } = stock;
    SeenStock { product, available, reserved: admin.then_some(reserved) }
}

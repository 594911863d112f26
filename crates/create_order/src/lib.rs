//! The workflow step `CreateOrder`: one transaction reserves all lines and stores the order. `POST /orders` itself is
//! in `place_order`.
//!
//! The step is safe to repeat, because the order's row records the request. If the order exists already, it is the
//! answer, even when stock is short now.

use aws_adapters::{
    Deliveries, Orders, Placed, Stocks, StoredOrder, Users, connect_database, database, later, notifications,
};
use domain::{
    Error, Placement, Recipient, Status,
    workflow::{Announcement, CreateOrderInput, Created},
};
use lambda_shell::{Clock, Env, SdkConfig, SetupFault, Step};

/// The function of the step `CreateOrder`.
#[derive(Debug)]
pub struct CreateOrder {
    orders: Orders,
    stocks: Stocks,
    deliveries: Deliveries,
    clock: Clock,
}

impl CreateOrder {
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

impl Step for CreateOrder {
    type Input = CreateOrderInput;
    type Output = Created;

    async fn handle(&self, input: CreateOrderInput) -> Result<Created, Error> {
        let CreateOrderInput { request, quote, tells } = input;
        let recipient = quote.recipient;
        lambda_shell::concerning(request.order_id);
        let placement = Placement::new(request, quote.quoted, self.clock.now());
        if placement.order.status() == Status::Rejected {
            return self.reject(placement, recipient, tells).await;
        }
        match self.orders.place(&placement, &self.stocks).await? {
            Placed::Stored => Ok(Created::Placed { order: placement.order }),
            Placed::Exists(existing) => Ok(repeated(*existing, &placement)),
            Placed::Short(shortages) => self.reject(placement.rejected(shortages), recipient, tells).await,
        }
    }
}

impl CreateOrder {
    async fn reject(
        &self,
        placement: Placement,
        recipient: Option<Recipient>,
        tells: bool,
    ) -> Result<Created, Error> {
        match self.orders.reject(&placement, tells).await? {
            Placed::Exists(existing) => Ok(repeated(*existing, &placement)),
            Placed::Stored | Placed::Short(_) => {
                let order = placement.order;
                let delivery = self.deliveries.decide(&order.user_id, recipient, self.clock.now()).await?;
                let announce = if delivery.is_open() && !tells {
                    None
                } else {
                    Announcement::of(&order, delivery, tells)?
                };
                Ok(Created::Rejected { order, announce })
            }
        }
    }
}

/// The outcome when an order with this id exists. The id is derived from the user and the key, so only the content of
/// the request can differ. An order that this very request has stored is no repeat: the step was tried again, or the
/// execution was started twice. Whoever stored it announces it, or else the sweeper.
fn repeated(existing: StoredOrder, placement: &Placement) -> Created {
    if existing.fingerprint != placement.fingerprint {
        return Created::KeyReused;
    }
    let ours = existing.was_placed_by(placement.request_id.as_deref());
    let order = existing.order;
    match (ours, order.status()) {
        (true, Status::Rejected) => Created::Rejected { order, announce: None },
        (true, _) => Created::Placed { order },
        (false, _) => Created::Replayed { order },
    }
}

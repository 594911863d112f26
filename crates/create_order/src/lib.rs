//! The workflow step `CreateOrder`: one transaction reserves all lines and stores the order. `POST /orders` itself is
//! in `place_order`.
//!
//! The step is safe to repeat, because the order's row records the request. If the order exists already, it is the
//! answer, even when stock is short now.

use aws_adapters::{Orders, Placed, Stocks, StoredOrder, database};
use domain::{
    Error, Fingerprint, Placement, Status,
    workflow::{Announcement, CreateOrderInput, Created},
};
use lambda_shell::{Clock, Env, SdkConfig, SetupFault, Step};

/// The function of the step `CreateOrder`.
#[derive(Debug)]
pub struct CreateOrder {
    orders: Orders,
    stocks: Stocks,
    clock: Clock,
}

impl CreateOrder {
    /// Makes the function from its environment: `ORDERS_TABLE` and `INVENTORY_TABLE`.
    #[allow(clippy::unused_async, reason = "every function is made the same way")]
    pub async fn new(env: &Env, config: &SdkConfig) -> Result<Self, SetupFault> {
        let [orders_table, inventory_table] = env.read(["ORDERS_TABLE", "INVENTORY_TABLE"])?;
        let client = database(config);
        Ok(Self {
            orders: Orders::new(client.clone(), orders_table),
            stocks: Stocks::new(client, inventory_table),
            clock: Clock::of(config),
        })
    }
}

impl Step for CreateOrder {
    type Input = CreateOrderInput;
    type Output = Created;

    async fn handle(&self, input: CreateOrderInput) -> Result<Created, Error> {
        let CreateOrderInput { request, quote } = input;
        lambda_shell::concerning(request.order_id);
        let placement = Placement::new(request, quote.quoted, self.clock.now());
        if placement.order.status() == Status::Rejected {
            return self.reject(placement, quote.topic_arn).await;
        }
        match self.orders.place(&placement, &self.stocks).await? {
            Placed::Stored => Ok(Created::Placed { order: placement.order }),
            Placed::Exists(existing) => Ok(repeated(*existing, &placement.fingerprint)),
            Placed::Short(shortages) => self.reject(placement.rejected(shortages), quote.topic_arn).await,
        }
    }
}

impl CreateOrder {
    async fn reject(&self, placement: Placement, topic_arn: Option<String>) -> Result<Created, Error> {
        match self.orders.reject(&placement).await? {
            Placed::Exists(existing) => Ok(repeated(*existing, &placement.fingerprint)),
            Placed::Stored | Placed::Short(_) => {
                let order = placement.order;
                let unannounced = || Error::Internal {
                    doing: "rejecting an order",
                    source: "it has nothing to announce".into(),
                };
                let announce = Announcement::of(&order, topic_arn).ok_or_else(unannounced)?;
                Ok(Created::Rejected { order, announce })
            }
        }
    }
}

/// The outcome when an order with this id exists. The id is derived from the user and the key, so only the content of
/// the request can differ.
fn repeated(existing: StoredOrder, fingerprint: &Fingerprint) -> Created {
    if existing.fingerprint == *fingerprint {
        Created::Replayed { order: existing.order }
    } else {
        Created::KeyReused
    }
}

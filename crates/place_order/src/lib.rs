//! `POST /orders`: reads the request, runs the workflow, and answers with its outcome. The step that stores the order
//! is in `create_order`.
//!
//! Nothing here writes to a table: only the workflow does. Nothing here knows an e-mail address or a name.

mod request;

use std::time::Duration;

use aws_adapters::{Later, Orders, StoredOrder, Workflow, connect_workflows, database, later, workflows};
use domain::{
    Error, Fingerprint, InvalidField, Order, OrderId, Refusal, Status,
    workflow::{Command, Outcome, Place},
};
use lambda_shell::{Clock, Count, Door, Env, Request, Response, SdkConfig, SetupFault, trace_header};

use crate::request::{above_limit, read};

/// The function of `POST /orders`.
#[derive(Debug)]
pub struct PlaceOrder {
    /// Read only when the outcome of a run is unknown.
    orders: Later<Orders>,
    workflow: Workflow,
    clock: Clock,
}

impl PlaceOrder {
    /// Makes the function from its environment: `ORDERS_TABLE` and `STATE_MACHINE_ARN`.
    pub async fn new(env: &Env, config: &SdkConfig) -> Result<Self, SetupFault> {
        let [orders_table, state_machine_arn] = env.read(["ORDERS_TABLE", "STATE_MACHINE_ARN"])?;
        let runs = workflows(config);
        connect_workflows(&runs).await;
        Ok(Self {
            orders: later(config, |config| Orders::new(database(config), orders_table)),
            workflow: Workflow::new(runs, state_machine_arn),
            clock: Clock::of(config),
        })
    }
}

impl Door for PlaceOrder {
    async fn handle(&self, request: Request) -> Result<Response, Error> {
        let caller = request.caller()?;
        let (key, order_request) = read(&request)?;
        let order_id = OrderId::derive(&caller.user_id, &key);
        lambda_shell::concerning(order_id);
        let fingerprint = order_request.fingerprint();
        let command = Command::Place(Place {
            order_id,
            user_id: caller.user_id,
            request: order_request,
            fingerprint: fingerprint.clone(),
            request_id: Some(request.id.clone()),
        });
        let asked = self.clock.now();
        let ran = self.workflow.run(&command, trace_header()).await;
        lambda_shell::time(self.clock.now().since(asked));
        match ran {
            Ok(outcome) => self.answer(outcome, &request, order_id, &fingerprint).await,
            Err(unknown @ Error::Unavailable { .. }) => {
                self.recover(&request.id, order_id, &fingerprint, unknown).await
            }
            Err(certain) => Err(certain),
        }
    }
}

impl PlaceOrder {
    async fn answer(
        &self,
        outcome: Outcome,
        request: &Request,
        order_id: OrderId,
        fingerprint: &Fingerprint,
    ) -> Result<Response, Error> {
        let refusal = match outcome {
            Outcome::Placed { order } => {
                lambda_shell::count(Count::OrdersPlaced, 1);
                return placed(order);
            }
            Outcome::Rejected { order } => {
                lambda_shell::count(Count::OrdersRejected, 1);
                return Err(Error::InsufficientStock(Box::new(order)));
            }
            Outcome::Replayed { order } => return replayed(order),
            Outcome::KeyReused => return Err(Error::IdempotencyKeyReused),
            Outcome::Refused(Refusal::UnknownSku { skus }) => Error::UnknownSku(skus),
            Outcome::Refused(Refusal::MixedCurrencies { currencies }) => {
                let reason = format!("are priced in {}: an order has one currency", currencies.join(" and "));
                Error::Invalid(vec![InvalidField::new("lines", reason)])
            }
            Outcome::Refused(Refusal::AboveMaxPerOrder { limits }) => {
                Error::Invalid(limits.iter().flat_map(|limit| above_limit(request, limit)).collect())
            }
            Outcome::Refused(Refusal::PriceChanged { expected, quoted }) => {
                Error::PriceChanged { expected, quoted }
            }
            Outcome::Refused(Refusal::UserNotRegistered) => Error::UserNotRegistered,
            Outcome::Refused(Refusal::TooManyOrders { retry_after_s }) => {
                Error::TooManyOrders { retry_after: Duration::from_secs(retry_after_s) }
            }
            Outcome::Changed { .. } | Outcome::Illegal { .. } | Outcome::Stale { .. } => {
                let source = "the workflow answered a placement as if it were a change".into();
                return Err(Error::Internal { doing: "placing an order", source });
            }
        };
        // If an order was placed under this key before, it is the answer, even if a price or the customer's
        // registration has changed since. Only a refusal needs this read.
        match self.orders.get(order_id).await? {
            Some(existing) => found(existing, &request.id, fingerprint),
            None => Err(refusal),
        }
    }

    /// Reads the order after an execution whose outcome is unknown.
    async fn recover(
        &self,
        request_id: &str,
        order_id: OrderId,
        fingerprint: &Fingerprint,
        unknown: Error,
    ) -> Result<Response, Error> {
        match self.orders.get(order_id).await? {
            Some(existing) => found(existing, request_id, fingerprint),
            None => Err(unknown),
        }
    }
}

/// The answer for an order that is there. This very request may have placed it, by an execution whose end was not heard.
fn found(existing: StoredOrder, request_id: &str, fingerprint: &Fingerprint) -> Result<Response, Error> {
    if existing.fingerprint != *fingerprint {
        return Err(Error::IdempotencyKeyReused);
    }
    let ours = existing.was_placed_by(Some(request_id));
    let order = existing.order;
    if !ours {
        return replayed(order);
    }
    let rejected = order.status() == Status::Rejected;
    lambda_shell::count(if rejected { Count::OrdersRejected } else { Count::OrdersPlaced }, 1);
    placed(order)
}

fn placed(order: Order) -> Result<Response, Error> {
    respond(order, 201)
}

fn replayed(order: Order) -> Result<Response, Error> {
    lambda_shell::count(Count::OrdersReplayed, 1);
    Ok(respond(order, 200)?.header("idempotent-replayed", "true"))
}

/// The answer for an order in its current status. `settled` is the status code unless the order is PENDING or
/// REJECTED.
fn respond(order: Order, settled: u16) -> Result<Response, Error> {
    let location = format!("/orders/{}", order.order_id);
    if order.status() == Status::Rejected {
        Err(Error::InsufficientStock(Box::new(order)))
    } else if order.status() == Status::Pending {
        Ok(Response::json(202, &order)?.header("location", location).header("retry-after", "1"))
    } else {
        Ok(Response::json(settled, &order)?.header("location", location))
    }
}

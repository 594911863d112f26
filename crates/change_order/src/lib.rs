//! The routes that change an order: to cancel it, to take it to its next status, or to resume it when it is stuck.
//!
//! The workflow makes the change. The condition of its write decides whether the order's status allows the change.

mod request;

use aws_adapters::{Orders, Workflow, connect_database, connect_workflows, database, workflows};
use domain::{
    Actor, Error, Order, OrderId, Status,
    workflow::{Change, Command, Outcome, Resume},
};
use lambda_shell::{
    AdminRule, Caller, Clock, Count, Door, Env, Request, Response, SdkConfig, SetupFault, trace_header,
};

/// The function of the routes that change an order.
#[derive(Debug)]
pub struct ChangeOrder {
    orders: Orders,
    workflow: Workflow,
    admins: AdminRule,
    clock: Clock,
}

impl ChangeOrder {
    /// Makes the function from its environment: `ORDERS_TABLE`, `STATE_MACHINE_ARN`, `ADMIN_CLAIM` and `ADMIN_VALUE`.
    pub async fn new(env: &Env, config: &SdkConfig) -> Result<Self, SetupFault> {
        // Read first and checked last, so that the fault names every missing variable.
        let admins = AdminRule::from_env(env);
        let [orders_table, state_machine_arn] = env.read(["ORDERS_TABLE", "STATE_MACHINE_ARN"])?;
        let (tables, runs) = (database(config), workflows(config));
        // A change reads the order, and runs the workflow.
        tokio::join!(connect_database(&tables), connect_workflows(&runs));
        Ok(Self {
            orders: Orders::new(tables, orders_table),
            workflow: Workflow::new(runs, state_machine_arn),
            admins: admins?,
            clock: Clock::of(config),
        })
    }
}

impl Door for ChangeOrder {
    async fn handle(&self, request: Request) -> Result<Response, Error> {
        let caller = request.caller()?;
        match request.route.as_str() {
            "POST /orders/{order_id}/cancel" => self.cancel(&request, &caller).await,
            "PATCH /orders/{order_id}" => self.patch(&request, &caller).await,
            "POST /orders/{order_id}/resume" => self.resume(&request, &caller).await,
            "POST /orders/resume" => self.resume_all(&request, &caller).await,
            _ => Err(Error::NotFound("route")),
        }
    }
}

impl ChangeOrder {
    async fn cancel(&self, request: &Request, caller: &Caller) -> Result<Response, Error> {
        let order = self.order(request).await?;
        self.admins.may_see(caller, &order)?;
        let reason = request::cancel(request)?;
        let actor = Actor::User(caller.user_id.clone());
        let order_id = order.order_id;
        let request_id = Some(request.id.clone());
        self.change(Change { order_id, to: Status::Cancelled, actor, reason, if_version: None, request_id })
            .await
    }

    async fn patch(&self, request: &Request, caller: &Caller) -> Result<Response, Error> {
        self.admins.require(caller)?;
        let order = self.order(request).await?;
        let (to, if_version) = request::patch(request)?;
        let actor = Actor::User(caller.user_id.clone());
        let request_id = Some(request.id.clone());
        self.change(Change { order_id: order.order_id, to, actor, reason: None, if_version, request_id })
            .await
    }

    async fn resume(&self, request: &Request, caller: &Caller) -> Result<Response, Error> {
        self.admins.require(caller)?;
        let order_id = Self::order_id(request)?;
        let Some(version) = self.orders.take_up(order_id, &request.id, self.clock.now()).await? else {
            let there = self.orders.get(order_id).await?.is_some();
            return Err(if there { Error::NothingDue } else { Error::NotFound("order") });
        };
        let resume = Command::Resume(Resume { order_id, claimed_version: Some(version) });
        // If this run fails, the order is due again one minute later, and the sweeper resumes it.
        if let Err(error) = self.workflow.run(&resume, trace_header()).await {
            tracing::warn!(error = error.chain(), "the order could not be resumed");
        }
        let order = self.orders.get(order_id).await?.ok_or(Error::NotFound("order"))?.order;
        respond(202, &order)
    }

    /// Takes up what the sweeper gave up. The sweeper's next runs do the work, so that one call is short.
    async fn resume_all(&self, request: &Request, caller: &Caller) -> Result<Response, Error> {
        self.admins.require(caller)?;
        request::resume_all(request)?;
        Response::json(200, &self.orders.take_up_all(&request.id, self.clock.now()).await?)
    }

    /// The order that the path names.
    async fn order(&self, request: &Request) -> Result<Order, Error> {
        let order_id = Self::order_id(request)?;
        Ok(self.orders.get(order_id).await?.ok_or(Error::NotFound("order"))?.order)
    }

    fn order_id(request: &Request) -> Result<OrderId, Error> {
        let order_id = OrderId::parse(request.path("order_id")).ok_or(Error::NotFound("order"))?;
        lambda_shell::concerning(order_id);
        Ok(order_id)
    }

    async fn change(&self, change: Change) -> Result<Response, Error> {
        let unknown = match self.workflow.run(&Command::Change(change.clone()), trace_header()).await {
            Ok(outcome) => {
                return match outcome {
                    Outcome::Changed { order } => {
                        if change.to == Status::Cancelled {
                            lambda_shell::count(Count::OrdersCancelled, 1);
                        }
                        respond(200, &order)
                    }
                    Outcome::Illegal { order } => {
                        Err(Error::IllegalTransition { from: order.status(), to: change.to })
                    }
                    Outcome::Stale { .. } => Err(Error::StaleVersion),
                    Outcome::Placed { .. }
                    | Outcome::Rejected { .. }
                    | Outcome::Replayed { .. }
                    | Outcome::KeyReused
                    | Outcome::Refused(_) => {
                        let source = "the workflow answered a change as if it were a placement".into();
                        Err(Error::Internal { doing: "changing an order", source })
                    }
                };
            }
            Err(unknown @ Error::Unavailable { .. }) => unknown,
            Err(certain) => return Err(certain),
        };
        // Only the table shows how far the execution came.
        let stored = self.orders.get(change.order_id).await?.ok_or(Error::NotFound("order"))?;
        let ours = stored.was_made(change.to, change.request_id.as_deref());
        let order = stored.order;
        let repeated = order.repeats(change.to, &change.actor)
            && change.if_version.is_none_or(|read| order.version() == read + 1);
        if ours && change.to == Status::Cancelled {
            lambda_shell::count(Count::OrdersCancelled, 1);
        }
        if ours || repeated { respond(200, &order) } else { Err(unknown) }
    }
}

fn respond(status: u16, order: &Order) -> Result<Response, Error> {
    Ok(Response::json(status, order)?.header("etag", format!("\"{}\"", order.version())))
}

//! The world of the journeys: a stack in memory, without a socket, under a clock and with a seed that the test
//! holds. Hides the set-up, so that a case costs a line.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::{Router, body::Body};
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use local::{
    ground::{ACCOUNT, DeliveredMail, MailKind, StackClock, tokens::TokenRequest},
    services::lambda::Invocation,
    stack::{Options, Stack, parameters},
};
use sam_template::Template;
use serde_json::{Value, json};
use time::macros::datetime;
use tower::ServiceExt as _;

use crate::world::openapi::{OPENAPI, Sent};

/// The shipped template, read once.
pub(crate) static TEMPLATE: LazyLock<Template> = LazyLock::new(|| {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/template.yaml");
    Template::read(&path, ACCOUNT, &parameters()).expect("the template can be read")
});

/// How many seeds a race is run with, unless `ORDERFLOW_SEEDS` says otherwise.
const SEEDS: u64 = 20;

/// The seeds to run a race with: `ORDERFLOW_SEEDS` of them, or `ORDERFLOW_SEED` alone, to see one again.
pub(crate) fn seeds() -> impl Iterator<Item = Seed> {
    seeds_of("ORDERFLOW_SEEDS", SEEDS)
}

/// As many seeds as the variable of this name says, or so many, or `ORDERFLOW_SEED` alone.
#[allow(clippy::disallowed_methods, reason = "how long to test is for whoever runs the tests to say")]
pub(crate) fn seeds_of(name: &str, default: u64) -> impl Iterator<Item = Seed> + use<> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse().expect("a number of seeds"));
    let seeds = match number("ORDERFLOW_SEED") {
        Some(one) => one..=one,
        None => 1..=number(name).unwrap_or(default),
    };
    seeds.map(Seed)
}

/// Whether to test at full size what `cargo test` tests smaller: when at least a hundred seeds are asked for.
pub(crate) fn thorough() -> bool {
    seeds().count() >= 100
}

/// A seed that names itself when the test fails while it is held.
pub(crate) struct Seed(pub(crate) u64);

#[allow(clippy::print_stderr, reason = "the test runner shows it with the failure")]
impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("this was seed {0}: ORDERFLOW_SEED={0} runs it again", self.0);
        }
    }
}

/// A running shop. Clones share the stack.
#[derive(Clone)]
pub(crate) struct Shop {
    pub(crate) stack: Stack,
    router: Router,
    pub(crate) admin: Arc<Customer>,
}

/// Somebody who is signed in.
#[derive(Clone, Debug)]
pub(crate) struct Customer {
    pub(crate) token: String,
    pub(crate) user_id: String,
    pub(crate) email: String,
}

/// An answer of the API.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Reply {
    /// A header's text; empty when it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Status and problem code: what bad input is judged by.
    pub(crate) fn problem(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }

    /// Every field that a problem names.
    pub(crate) fn fields(&self) -> Vec<&str> {
        self.body["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|fault| fault["field"].as_str())
            .collect()
    }

    pub(crate) fn order_id(&self) -> &str {
        self.body["order_id"].as_str().unwrap_or_default()
    }
}

impl Shop {
    /// A shop whose calls interleave by chance, the same way each time.
    pub(crate) async fn open() -> Self {
        Self::open_with(1).await
    }

    /// A shop of this seed.
    pub(crate) async fn open_with(seed: u64) -> Self {
        // The SDK's and our own jitter come from this thread's generator.
        fastrand::seed(seed);
        let clock = StackClock::held(datetime!(2026-03-01 12:00 UTC));
        let options = Options { file: None, clock, seed: Some(seed) };
        Self::on(Stack::start(&TEMPLATE, options).await.expect("the stack starts"))
    }

    /// The shop that this stack runs.
    pub(crate) fn on(stack: Stack) -> Self {
        let router = stack.router();
        let admin = sign_in(&stack, "admin@shop.example", &["admin"]);
        Self { stack, router, admin: Arc::new(admin) }
    }

    /// The same shop with a product at 4.50 EUR, of which this many are available.
    pub(crate) async fn stocked(self, sku: &str, count: i64) -> Self {
        let product =
            json!({ "name": format!("The {sku}"), "unit_price": { "amount": 450, "currency": "EUR" } });
        let listed =
            self.call(Method::PUT, &format!("/inventory/{sku}"), &self.admin, Some(product), &[]).await;
        assert_eq!(listed.status, 201, "{listed:?}");
        if count != 0 {
            let adjusted = self.adjust(sku, &format!("opening-{sku}"), count).await;
            assert_eq!(adjusted.status, 201, "{adjusted:?}");
        }
        self
    }

    /// A registered customer whose subscription is confirmed.
    pub(crate) async fn customer(&self, name: &str) -> Customer {
        let customer = self.registered(name).await;
        self.stack.sns().confirm_all().expect("subscriptions can be confirmed");
        customer
    }

    /// A registered customer who has not confirmed the subscription.
    pub(crate) async fn registered(&self, name: &str) -> Customer {
        let customer = self.signed_in(name);
        let reply = self.register(&customer, name).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        customer
    }

    /// The user of this id, with a token for this address.
    pub(crate) fn signed_in_as(&self, user_id: &str, email: &str) -> Customer {
        let request = TokenRequest { user_id: Some(user_id.to_owned()), ..TokenRequest::new(email) };
        let issued = self.stack.tokens().issue(&request).expect("a token");
        Customer { token: issued.id_token, user_id: issued.user_id, email: email.to_owned() }
    }

    /// Registers whoever is signed in, or repeats it.
    pub(crate) async fn register(&self, customer: &Customer, name: &str) -> Reply {
        self.call(Method::POST, "/users", customer, Some(json!({ "name": name })), &[]).await
    }

    /// Somebody with a token, and no more.
    pub(crate) fn signed_in(&self, name: &str) -> Customer {
        sign_in(&self.stack, &format!("{}@example.com", name.to_lowercase()), &[])
    }

    /// One more admin.
    pub(crate) fn signed_in_as_admin(&self, email: &str) -> Customer {
        sign_in(&self.stack, email, &["admin"])
    }

    /// The admin with a fresh token: one lasts an hour of the shop's clock.
    pub(crate) fn admin_again(&self) -> Customer {
        sign_in(&self.stack, &self.admin.email, &["admin"])
    }

    /// Another admin.
    pub(crate) fn another_admin(&self, name: &str) -> Customer {
        sign_in(&self.stack, &format!("{}@shop.example", name.to_lowercase()), &["admin"])
    }

    pub(crate) async fn adjust(&self, sku: &str, key: &str, delta: i64) -> Reply {
        let body = json!({ "delta": delta, "reason": "test" });
        let path = format!("/inventory/{sku}/adjustments");
        self.call(Method::POST, &path, &self.admin, Some(body), &[("idempotency-key", key)]).await
    }

    /// Places an order of these SKUs and quantities.
    pub(crate) async fn place(&self, customer: &Customer, key: &str, lines: &[(&str, i64)]) -> Reply {
        let lines: Vec<Value> = lines.iter().map(|(sku, n)| json!({ "sku": sku, "quantity": n })).collect();
        self.order(customer, key, json!({ "lines": lines })).await
    }

    /// Posts an order.
    pub(crate) async fn order(&self, customer: &Customer, key: &str, body: Value) -> Reply {
        self.call(Method::POST, "/orders", customer, Some(body), &[("idempotency-key", key)]).await
    }

    pub(crate) async fn get(&self, path: &str, caller: &Customer) -> Reply {
        self.call(Method::GET, path, caller, None, &[]).await
    }

    /// Available and reserved, as the admin sees them.
    pub(crate) async fn stock(&self, sku: &str) -> (u64, u64) {
        let reply = self.get(&format!("/inventory/{sku}"), &self.admin).await;
        let count = |name: &str| reply.body[name].as_u64().expect("a count");
        (count("available"), count("reserved"))
    }

    /// Cancels an order.
    pub(crate) async fn cancel(&self, caller: &Customer, order_id: &str) -> Reply {
        self.call(Method::POST, &format!("/orders/{order_id}/cancel"), caller, None, &[]).await
    }

    /// Takes an order to a status, as whoever has read this version of it.
    pub(crate) async fn patch(&self, caller: &Customer, order_id: &str, status: &str, version: u64) -> Reply {
        let etag = format!("\"{version}\"");
        let body = json!({ "status": status });
        self.call(Method::PATCH, &format!("/orders/{order_id}"), caller, Some(body), &[("if-match", &etag)])
            .await
    }

    /// Has an admin take up what was left of an order.
    pub(crate) async fn resume(&self, caller: &Customer, order_id: &str) -> Reply {
        self.call(Method::POST, &format!("/orders/{order_id}/resume"), caller, None, &[]).await
    }

    /// Has the sweeper run once, this long from now.
    pub(crate) async fn sweep_after(&self, wait: Duration) {
        self.stack.clock().advance(wait);
        for ended in self.stack.run_schedules().await {
            assert!(matches!(ended, Invocation::Answered(_)), "{ended:?}");
        }
    }

    /// Every e-mail about orders.
    pub(crate) fn order_mail(&self) -> Vec<DeliveredMail> {
        self.stack.mailbox().mails(Some(MailKind::OrderStatus), None)
    }

    /// A call with a JSON body.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        caller: &Customer,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Reply {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::AUTHORIZATION, format!("Bearer {}", caller.token));
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        self.send(request.body(body).expect("a request")).await
    }

    /// Any call at all, held against the description of the API together with its answer.
    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let sent = Sent::new(&parts, body.clone());
        let Ok(response) = self.router.clone().oneshot(Request::from_parts(parts, Body::from(body))).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).expect("JSON") };
        // Whatever a client does, it is never our fault.
        assert_ne!(parts.status, StatusCode::INTERNAL_SERVER_ERROR, "{body}");
        let reply = Reply { status: parts.status.as_u16(), headers: parts.headers, body };
        assert_eq!(OPENAPI.check(&sent, &reply), Ok(()));
        reply
    }

    /// The calls of one service that were recorded, counted by operation.
    pub(crate) fn counted(recorded: &[local::aws::Recorded]) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for recorded in recorded {
            *counts.entry(format!("{} {}", recorded.call.service, recorded.call.operation)).or_default() += 1;
        }
        counts
    }
}

fn sign_in(stack: &Stack, email: &str, groups: &[&str]) -> Customer {
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    let request = TokenRequest { groups, ..TokenRequest::new(email) };
    let issued = stack.tokens().issue(&request).expect("a token");
    Customer { token: issued.id_token, user_id: issued.user_id, email: email.to_owned() }
}

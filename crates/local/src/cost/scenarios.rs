//! The things whose cost is asked for, each done once: orders of several sizes, a repeat, a rejection, the changes of
//! status, and a run of each schedule. Nothing here knows a price.

use serde_json::{Value, json};

use sam_template::{Schedule, Template};

use super::{
    trial::{Gesture, LogVolume, TrialShop, order_of},
    usage::Usage,
};
use crate::BoxError;

/// The most lines of an order that is measured.
const MOST_LINES: usize = 10;
/// A product that is listed and has no stock.
const SOLD_OUT: &str = "TEA-SOLD-OUT";

/// What a run counted.
#[derive(Debug)]
pub(super) struct Findings {
    /// What was done, and what it used.
    pub(super) rows: Vec<(String, Usage)>,
    /// The schedules, and what one run of each used while there was nothing to do.
    pub(super) idle: Vec<(Schedule, Usage)>,
    /// How many metrics the functions counted.
    pub(super) metrics: u64,
}

impl Findings {
    /// An order of one line: the first that is measured.
    pub(super) fn order(&self) -> Usage {
        self.rows.first().map(|(_, usage)| *usage).unwrap_or_default()
    }
}

/// Does all of it in a shop in memory.
pub(super) async fn run(template: &Template, volume: LogVolume) -> Result<Findings, BoxError> {
    let shop = TrialShop::open(template, volume.clone()).await?;
    let mut idle = Vec::new();
    for schedule in &template.schedules {
        idle.push((schedule.clone(), shop.scheduled(schedule).await?));
    }
    let skus: Vec<String> = (1..=MOST_LINES).map(|n| format!("TEA-{n:02}")).collect();
    let admin = stock(&shop, &skus).await?;

    let mut rows = Vec::new();
    for lines in [1, 3, MOST_LINES] {
        let ada = customer(&shop, &format!("ada{lines}@example.com")).await?;
        let (_, usage) = place(&shop, &ada, &skus[..lines], 201).await?;
        rows.push((format!("an order of {lines} line{}", if lines == 1 { "" } else { "s" }), usage));
    }
    let bob = customer(&shop, "bob@example.com").await?;
    let (placed, _) = place(&shop, &bob, &skus[..1], 201).await?;
    let (_, usage) = place(&shop, &bob, &skus[..1], 200).await?;
    rows.push(("the same order sent again".to_owned(), usage));
    let (_, usage) = shop.request(cancel(&bob, id(&placed))).await?;
    let cancelled = ("a cancellation".to_owned(), usage);
    let cat = customer(&shop, "cat@example.com").await?;
    let (_, usage) = place(&shop, &cat, &[SOLD_OUT.to_owned()], 409).await?;
    rows.push(("an order that is rejected".to_owned(), usage));
    rows.push(cancelled);
    let dan = customer(&shop, "dan@example.com").await?;
    let (placed, mut life) = place(&shop, &dan, &skus[..1], 201).await?;
    for (status, version, what) in [("SHIPPED", "\"2\"", "a shipment"), ("DELIVERED", "\"3\"", "a delivery")]
    {
        let body = json!({ "status": status });
        let (_, usage) = shop
            .request(Gesture {
                route: "PATCH /orders/{order_id}",
                of: id(&placed),
                token: &admin,
                headers: &[("if-match", version)],
                body: Some(&body),
                status: 200,
            })
            .await?;
        life = life + usage;
        rows.push((what.to_owned(), usage));
    }
    rows.push(("an order of 1 line, shipped and delivered".to_owned(), life));
    Ok(Findings { rows, idle, metrics: volume.metrics().len() as u64 })
}

/// Lists these products and one that is sold out, and returns the token of the admin who did.
async fn stock(shop: &TrialShop<'_>, skus: &[String]) -> Result<String, BoxError> {
    let admin = shop.token("admin@example.com", &["admin"])?;
    let put = Gesture {
        route: "PUT /inventory/{sku}",
        of: SOLD_OUT,
        token: &admin,
        headers: &[],
        body: None,
        status: 201,
    };
    let product = json!({ "name": "Sencha, 100 g", "unit_price": { "amount": 850, "currency": "EUR" } });
    let opening = json!({ "delta": 1_000, "reason": "opening" });
    shop.request(Gesture { body: Some(&product), ..put }).await?;
    for sku in skus {
        shop.request(Gesture { of: sku, body: Some(&product), ..put }).await?;
        let headers = [("idempotency-key", "opening")];
        let route = "POST /inventory/{sku}/adjustments";
        shop.request(Gesture { route, of: sku, headers: &headers, body: Some(&opening), ..put }).await?;
    }
    Ok(admin)
}

/// Registers a customer who confirms their address, and returns their token. The shop knows of the confirmation.
async fn customer(shop: &TrialShop<'_>, email: &str) -> Result<String, BoxError> {
    let token = shop.token(email, &[])?;
    let name = json!({ "name": "Ada" });
    let register =
        Gesture { route: "POST /users", of: "", token: &token, headers: &[], body: Some(&name), status: 201 };
    shop.request(register).await?;
    shop.confirm_mails()?;
    shop.request(Gesture { status: 200, ..register }).await?;
    Ok(token)
}

async fn place(
    shop: &TrialShop<'_>,
    token: &str,
    skus: &[String],
    status: u16,
) -> Result<(Value, Usage), BoxError> {
    let body = order_of(skus);
    let headers = [("idempotency-key", "the-order")];
    let route = "POST /orders";
    shop.request(Gesture { route, of: "", token, headers: &headers, body: Some(&body), status }).await
}

fn cancel<'a>(token: &'a str, order_id: &'a str) -> Gesture<'a> {
    Gesture {
        route: "POST /orders/{order_id}/cancel",
        of: order_id,
        token,
        headers: &[],
        body: None,
        status: 200,
    }
}

fn id(order: &Value) -> &str {
    order["order_id"].as_str().unwrap_or_default()
}

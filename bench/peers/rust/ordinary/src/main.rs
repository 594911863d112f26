//! `create_order` as a tutorial writes it: the SDK and the runtime with their default features, their default
//! configuration, and no thought for the cold start. The bench measures it beside ours.
//!
//! It does the work of the main path: it merges lines of one SKU, and stores the order and reserves its stock in one
//! transaction, with our conditions. It leaves out what costs ours time or bytes: validation of the event, orders that are
//! short, repeats of a request, retries under contention, log lines, metrics and the trace. So the comparison favours it.

use std::{collections::HashMap, env};

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::{
    Client,
    types::{
        AttributeValue::{self, L, M, N, S},
        Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
    },
};
use chrono::{SecondsFormat, TimeDelta, Utc};
use lambda_runtime::{Error, LambdaEvent, service_fn, tracing};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Input {
    request: Request,
    quote: Quote,
}

#[derive(Deserialize)]
struct Request {
    order_id: String,
    user_id: String,
    fingerprint: String,
    reference: String,
}

#[derive(Deserialize)]
struct Quote {
    lines: Vec<Line>,
    total: Money,
}

#[derive(Clone, Deserialize, Serialize)]
struct Line {
    sku: String,
    name: String,
    quantity: u64,
    unit_price: Money,
    line_total: Money,
}

#[derive(Clone, Deserialize, Serialize)]
struct Money {
    amount: u64,
    currency: String,
}

#[derive(Serialize)]
struct Output {
    outcome: &'static str,
    order: Order,
}

#[derive(Serialize)]
struct Order {
    order_id: String,
    user_id: String,
    reference: String,
    status: &'static str,
    lines: Vec<Line>,
    total: Money,
    history: [Entry; 1],
    version: u32,
    created_at: String,
    updated_at: String,
}

#[derive(Serialize)]
struct Entry {
    status: &'static str,
    version: u32,
    at: String,
    actor: &'static str,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
    let client = Client::new(&config);
    let (orders, inventory) = (env::var("ORDERS_TABLE")?, env::var("INVENTORY_TABLE")?);
    lambda_runtime::run(service_fn(|event| handle(&client, &orders, &inventory, event))).await
}

async fn handle(
    client: &Client,
    orders: &str,
    inventory: &str,
    event: LambdaEvent<Input>,
) -> Result<Output, Error> {
    let Input { request, quote } = event.payload;
    let now = Utc::now();
    let at = now.to_rfc3339_opts(SecondsFormat::Millis, true);
    let due_at = (now + TimeDelta::minutes(1)).to_rfc3339_opts(SecondsFormat::Millis, true);
    let order = Order {
        order_id: request.order_id,
        user_id: request.user_id,
        reference: request.reference,
        status: "PENDING",
        lines: merged(quote.lines),
        total: quote.total,
        history: [Entry { status: "PENDING", version: 1, at: at.clone(), actor: "workflow" }],
        version: 1,
        created_at: at.clone(),
        updated_at: at,
    };
    let put = Put::builder()
        .table_name(orders)
        .set_item(Some(row(&order, request.fingerprint, due_at)?))
        .condition_expression("attribute_not_exists(order_id)")
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .build()?;
    let mut transaction =
        client.transact_write_items().transact_items(TransactWriteItem::builder().put(put).build());
    for line in &order.lines {
        let update = Update::builder()
            .table_name(inventory)
            .key("sku", S(line.sku.clone()))
            .key("kind", S("STOCK".to_owned()))
            .update_expression("SET available = available - :q, reserved = reserved + :q")
            .condition_expression("available >= :q")
            .expression_attribute_values(":q", N(line.quantity.to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()?;
        transaction = transaction.transact_items(TransactWriteItem::builder().update(update).build());
    }
    transaction.send().await?;
    Ok(Output { outcome: "placed", order })
}

/// One line for each SKU. A transaction may hold only one action for a row.
fn merged(lines: Vec<Line>) -> Vec<Line> {
    let mut merged: Vec<Line> = Vec::new();
    for line in lines {
        match merged.iter_mut().find(|other| other.sku == line.sku) {
            Some(other) => {
                other.quantity += line.quantity;
                other.line_total.amount += line.line_total.amount;
            }
            None => merged.push(line),
        }
    }
    merged
}

fn row(order: &Order, fingerprint: String, due_at: String) -> Result<HashMap<String, AttributeValue>, Error> {
    let text = |text: &str| S(text.to_owned());
    let map = |members: Vec<(&str, AttributeValue)>| -> HashMap<String, AttributeValue> {
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    };
    let money = |money: &Money| {
        M(map(vec![("amount", N(money.amount.to_string())), ("currency", text(&money.currency))]))
    };
    let lines = order.lines.iter().map(|line| {
        M(map(vec![
            ("sku", text(&line.sku)),
            ("name", text(&line.name)),
            ("quantity", N(line.quantity.to_string())),
            ("unit_price", money(&line.unit_price)),
            ("line_total", money(&line.line_total)),
        ]))
    });
    let history = order.history.iter().map(|entry| {
        M(map(vec![
            ("status", text(entry.status)),
            ("version", N(entry.version.to_string())),
            ("at", text(&entry.at)),
            ("actor", text(entry.actor)),
        ]))
    });
    // The orders that the sweeper looks after are spread over four shards by the last digit of their id.
    let last = order.order_id.chars().last().and_then(|digit| digit.to_digit(16));
    let shard = last.ok_or("the order's id is no UUID")? % 4;
    Ok(map(vec![
        ("order_id", text(&order.order_id)),
        ("user_id", text(&order.user_id)),
        ("reference", text(&order.reference)),
        ("status", text(order.status)),
        ("lines", L(lines.collect())),
        ("total", money(&order.total)),
        ("history", L(history.collect())),
        ("version", N(order.version.to_string())),
        ("created_at", text(&order.created_at)),
        ("updated_at", text(&order.updated_at)),
        ("fingerprint", S(fingerprint)),
        ("due_at", S(due_at)),
        ("due_shard", S(shard.to_string())),
    ]))
}

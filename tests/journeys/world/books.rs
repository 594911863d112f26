//! The books: what the tables hold, read behind the API's back, and whether stock, orders and e-mails agree.
//!
//! Nothing here writes, and nothing here goes through a function: what a function believes is not evidence.

use std::collections::BTreeMap;

use axum::body::Body;
use http::{Request, header};
use http_body_util::BodyExt as _;
use serde_json::{Map, Value, json};
use tower::ServiceExt as _;

use crate::world::shop::{Customer, Shop, TEMPLATE};

/// What a table's rows are signed for by: no function has this id, so no role and no fault means it.
pub(crate) const READER: &str = "Books";

impl Shop {
    /// Every row of a table, named by its logical id, as plain JSON.
    pub(crate) async fn rows(&self, table: &str) -> Vec<Value> {
        let table =
            TEMPLATE.tables.iter().find(|one| one.logical_id == table).expect("a table of the template");
        let answer = self.dynamodb("Scan", &json!({ "TableName": table.name, "ConsistentRead": true })).await;
        assert_eq!(answer.get("LastEvaluatedKey"), None, "more than one page");
        answer["Items"].as_array().expect("rows").iter().map(plain_row).collect()
    }

    /// One order's whole row, what is internal included.
    pub(crate) async fn row(&self, order_id: &str) -> Value {
        let rows = self.rows("OrdersTable").await;
        rows.into_iter().find(|row| row["order_id"] == order_id).expect("the order's row")
    }

    /// The orders that something is still to be done about: PENDING, or with something unsent.
    pub(crate) async fn unfinished(&self) -> Vec<String> {
        let orders = self.rows("OrdersTable").await;
        orders
            .iter()
            .filter(|row| row.get("due_at").is_some())
            .map(|row| text(row, "order_id").to_owned())
            .collect()
    }

    /// A call of DynamoDB's own API.
    pub(crate) async fn dynamodb(&self, operation: &str, request: &Value) -> Value {
        let scope = format!("AWS4-HMAC-SHA256 Credential={READER}/20260301/us-east-1/dynamodb/aws4_request");
        let request = Request::post("/")
            .header(header::AUTHORIZATION, scope)
            .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
            .body(Body::from(request.to_string()))
            .expect("a request");
        let Ok(response) = self.stack.aws_router().oneshot(request).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        assert!(parts.status.is_success(), "{operation}: {body}");
        body
    }

    /// Waits until what callers gave up on has come to its end: executions and functions run on without them. A
    /// minute is longer than any of them may take, and costs nothing under paused time.
    pub(crate) async fn settle(&self) {
        tokio::time::sleep(std::time::Duration::from_mins(1)).await;
    }

    /// Sees to it that stock, orders and e-mails agree. `opening` is what each SKU started with.
    ///
    /// - No unit is lost, made or promised twice: available + reserved is what there was, and reserved is what the
    ///   orders hold that are PENDING or CONFIRMED.
    /// - Whatever is unfinished is due: PENDING, or with something unsent.
    /// - An order that is announced was mailed to its customer, or that is still to be done; and to nobody else.
    pub(crate) async fn audit(&self, opening: &[(&str, u64)], customers: &[&Customer]) {
        let orders = self.rows("OrdersTable").await;
        let mut held: BTreeMap<&str, u64> = BTreeMap::new();
        for order in &orders {
            if ["PENDING", "CONFIRMED"].contains(&text(order, "status")) {
                for line in order["lines"].as_array().expect("lines") {
                    *held.entry(text(line, "sku")).or_default() +=
                        line["quantity"].as_u64().expect("a count");
                }
            }
        }
        let stock = self.rows("InventoryTable").await;
        for (sku, opening) in opening {
            let row =
                stock.iter().find(|row| row["sku"] == *sku && row["kind"] == "STOCK").expect("a stock row");
            let count = |name: &str| row[name].as_u64().unwrap_or_else(|| panic!("{name} of {row}"));
            let held = held.get(sku).copied().unwrap_or_default();
            let seen = (count("available") + count("reserved"), count("reserved"));
            assert_eq!(
                seen,
                (*opening, held),
                "{sku}: (available + reserved, reserved), not (opening, held)"
            );
        }
        for order in &orders {
            self.audit_announcements(order, customers);
        }
    }

    fn audit_announcements(&self, order: &Value, customers: &[&Customer]) {
        let unsent = order.get("unsent").is_some();
        let due = order.get("due_at").is_some() && order.get("due_shard").is_some();
        assert_eq!(
            unsent || order["status"] == "PENDING",
            due,
            "an order is due while it is unfinished: {order}"
        );
        assert_eq!(order.get("due_at").is_some(), order.get("due_shard").is_some(), "{order}");
        let mails = self.order_mail();
        let about = mails.iter().filter(|mail| mail.order_id.as_deref() == order["order_id"].as_str());
        let about: Vec<_> = about.collect();
        let Some(owner) = customers.iter().find(|customer| order["user_id"] == customer.user_id.as_str())
        else {
            return;
        };
        assert!(about.iter().all(|mail| mail.to == owner.email), "mailed to somebody else: {about:?}");
        if order["status"] != "PENDING" {
            assert!(unsent || !about.is_empty(), "announced to nobody, and nobody will: {order}");
        }
    }
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap_or_default()
}

/// A row without DynamoDB's type names.
fn plain_row(row: &Value) -> Value {
    let members = row.as_object().expect("a row");
    Value::Object(members.iter().map(|(name, value)| (name.clone(), plain(value))).collect::<Map<_, _>>())
}

fn plain(attribute: &Value) -> Value {
    let (kind, value) = attribute.as_object().and_then(|one| one.iter().next()).expect("a typed value");
    let number = |text: &Value| text.as_str().and_then(|n| n.parse::<i64>().ok()).map(Value::from);
    match kind.as_str() {
        "S" | "BOOL" | "SS" => value.clone(),
        "NULL" => Value::Null,
        "N" => number(value).expect("a whole number"),
        "NS" => value.as_array().expect("a set").iter().map(|n| number(n).expect("a whole number")).collect(),
        "L" => value.as_array().expect("a list").iter().map(plain).collect(),
        "M" => plain_row(value),
        other => panic!("no row holds a {other}"),
    }
}

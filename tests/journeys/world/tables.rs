//! The one reader of rows, and the few writes that no function makes. They go past the functions: what a function
//! believes of a table is no evidence.

use axum::body::Body;
use http::{Request, header};
use local::stack::Stack;
use serde_json::{Map, Value, json};

use super::{
    requests::{answered, signature},
    shop::{Shop, TEMPLATE},
};

/// The caller of these calls. No function has this id, so no role applies to it, and a storm of faults spares it.
pub(crate) const READER: &str = "Tables";

/// The tables of the shop.
const TABLES: [&str; 3] = ["UsersTable", "OrdersTable", "InventoryTable"];

impl Shop {
    /// Every row of a table.
    pub(crate) async fn rows(&self, table: &str) -> Vec<Value> {
        rows(&self.stack, table).await
    }

    /// Every row of every table.
    pub(crate) async fn everything(&self) -> Vec<Value> {
        let mut all = Vec::new();
        for table in TABLES {
            all.extend(self.rows(table).await);
        }
        all
    }

    /// An order's row, with the members that the API does not show.
    pub(crate) async fn row(&self, order_id: &str) -> Value {
        let rows = self.rows("OrdersTable").await;
        rows.into_iter().find(|row| row["order_id"] == order_id).expect("the order's row")
    }

    /// Sets what a SKU's row says is available or reserved.
    pub(crate) async fn set_stock(&self, sku: &str, member: &str, count: u64) {
        let request = json!({
            "TableName": name("InventoryTable"),
            "Key": stock_key(sku),
            "UpdateExpression": "SET #member = :count",
            "ExpressionAttributeNames": { "#member": member },
            "ExpressionAttributeValues": { ":count": typed(&json!(count)) },
        });
        call(&self.stack, "UpdateItem", &request).await;
    }

    /// Deletes a SKU's row; its movements stay.
    pub(crate) async fn delete_stock(&self, sku: &str) {
        let request = json!({ "TableName": name("InventoryTable"), "Key": stock_key(sku) });
        call(&self.stack, "DeleteItem", &request).await;
    }

    /// Deletes an order's row.
    pub(crate) async fn delete_order(&self, order_id: &str) {
        let key = typed(&json!({ "order_id": order_id }))["M"].take();
        call(&self.stack, "DeleteItem", &json!({ "TableName": name("OrdersTable"), "Key": key })).await;
    }

    /// Stores an order's row, which may be a copy of another. A read or a list does not ask who wrote a row.
    pub(crate) async fn put_order(&self, row: &Value) {
        put(&self.stack, name("OrdersTable"), row).await;
    }
}

/// Every row of a table of the template, named by its logical id, as plain JSON.
pub(crate) async fn rows(stack: &Stack, table: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut scan = json!({ "TableName": name(table), "ConsistentRead": true });
    loop {
        let page = call(stack, "Scan", &scan).await;
        rows.extend(page["Items"].as_array().expect("rows").iter().map(plain_row));
        match page.get("LastEvaluatedKey") {
            None | Some(Value::Null) => return rows,
            Some(key) => scan["ExclusiveStartKey"] = key.clone(),
        }
    }
}

/// Stores a row in the table of this name. A row with a set cannot be stored.
pub(crate) async fn put(stack: &Stack, table_name: &str, row: &Value) {
    call(stack, "PutItem", &json!({ "TableName": table_name, "Item": typed(row)["M"] })).await;
}

/// The name of a table of the template.
pub(crate) fn name(logical_id: &str) -> &'static str {
    let table = TEMPLATE.tables.iter().find(|table| table.logical_id == logical_id);
    &table.expect("a table of the template").name
}

fn stock_key(sku: &str) -> Value {
    typed(&json!({ "sku": sku, "kind": "STOCK" }))["M"].take()
}

/// A call of DynamoDB's own API, which must succeed.
async fn call(stack: &Stack, operation: &str, request: &Value) -> Value {
    let request = Request::post("/")
        .header(header::AUTHORIZATION, signature(READER, "dynamodb"))
        .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
        .body(Body::from(request.to_string()))
        .expect("a request");
    let (parts, body) = answered(stack.aws_router(), request).await;
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert!(parts.status.is_success(), "{operation}: {body}");
    body
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

/// The value with DynamoDB's type names.
fn typed(value: &Value) -> Value {
    match value {
        Value::Null => json!({ "NULL": true }),
        Value::Bool(_) => json!({ "BOOL": value }),
        Value::Number(number) => json!({ "N": number.to_string() }),
        Value::String(_) => json!({ "S": value }),
        Value::Array(elements) => json!({ "L": elements.iter().map(typed).collect::<Vec<_>>() }),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), typed(value)));
            json!({ "M": members.collect::<Map<_, _>>() })
        }
    }
}

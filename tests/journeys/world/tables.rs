//! What the tables hold, for tests that must look behind the API: through the same handler of AWS calls that the
//! functions use. Nothing of the shop's behaviour is judged here.

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use local::stack::Stack;
use sam_template::Template;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::world::shop::TEMPLATE;

/// Calls DynamoDB as nobody in particular. The answer must be a success.
pub(crate) async fn call(stack: &Stack, operation: &str, request: &Value) -> Value {
    let request = Request::builder()
        .method("POST")
        .uri("/")
        .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
        .header("authorization", "AWS4-HMAC-SHA256 Credential=test/20260301/us-east-1/dynamodb/aws4_request")
        .body(Body::from(request.to_string()))
        .expect("a request");
    let Ok(response) = stack.aws_router().oneshot(request).await;
    let status = response.status();
    let bytes = response.into_body().collect().await.expect("a body").to_bytes();
    let answer = serde_json::from_slice(&bytes).expect("JSON");
    assert!(status.is_success(), "{operation}: {answer}");
    answer
}

/// Every row of a table of the shipped template.
pub(crate) async fn rows(stack: &Stack, logical_id: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut scan = json!({ "TableName": name(&TEMPLATE, logical_id) });
    loop {
        let page = call(stack, "Scan", &scan).await;
        rows.extend(page["Items"].as_array().expect("rows").iter().cloned());
        match page.get("LastEvaluatedKey") {
            None | Some(Value::Null) => return rows,
            Some(key) => scan["ExclusiveStartKey"] = key.clone(),
        }
    }
}

/// The name that a table has.
pub(crate) fn name<'a>(template: &'a Template, logical_id: &str) -> &'a str {
    let table = template.tables.iter().find(|table| table.logical_id == logical_id);
    &table.expect("a table of the template").name
}

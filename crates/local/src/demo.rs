//! Something to try: a small catalog of our own, and the lines to paste.

use axum::{
    Router,
    body::Body,
    http::{Request, header},
};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

type Fault = Box<dyn std::error::Error + Send + Sync>;

/// SKU, name, price in cents of a euro, and how many there are.
const CATALOG: [(&str, &str, u64, u64); 5] = [
    ("TEA-SENCHA", "Sencha, 100 g", 850, 40),
    ("TEA-ASSAM", "Assam, 100 g", 620, 60),
    ("POT-IRON", "Cast iron teapot", 6900, 5),
    ("CUP-SET", "Four porcelain cups", 3200, 12),
    ("WHISK", "Bamboo whisk", 1450, 1),
];

/// Stocks the catalog, through the API as an admin does, unless there is anything in stock already.
pub(crate) async fn stock(api: &Router) -> Result<(), Fault> {
    let admin = json!({ "email": "admin@shop.example", "name": "Demo admin", "groups": ["admin"] });
    let signed_in = call(api, "POST", "/local/token", None, Some(admin)).await?;
    let token = signed_in["id_token"].as_str().unwrap_or_default();
    let listed = call(api, "GET", "/inventory?limit=1", Some(token), None).await?;
    if listed["items"].as_array().is_some_and(|items| !items.is_empty()) {
        return Ok(());
    }
    for (sku, name, cents, count) in CATALOG {
        let product = json!({ "name": name, "unit_price": { "amount": cents, "currency": "EUR" } });
        call(api, "PUT", &format!("/inventory/{sku}"), Some(token), Some(product)).await?;
        let opening = json!({ "delta": count, "reason": "demo catalog" });
        call(api, "POST", &format!("/inventory/{sku}/adjustments"), Some(token), Some(opening)).await?;
    }
    Ok(())
}

/// A walk through the system, for a shell with curl.
pub(crate) fn lines(url: &str) -> Vec<String> {
    let token = |body: &str| {
        format!(
            "curl -s {url}/local/token -H 'content-type: application/json' -d '{body}' | sed 's/.*\"id_token\":\"\\([^\"]*\\)\".*/\\1/'"
        )
    };
    vec![
        format!("TOKEN=$({})", token(r#"{"email": "ada@example.com", "name": "Ada"}"#)),
        format!(
            "curl -s {url}/users -H \"authorization: Bearer $TOKEN\" -H 'content-type: application/json' -d '{{\"name\": \"Ada\"}}'; echo"
        ),
        format!("curl -s -X POST {url}/local/mailbox/confirm-all; echo"),
        format!("curl -s {url}/inventory -H \"authorization: Bearer $TOKEN\"; echo"),
        format!(
            "curl -s {url}/orders -H \"authorization: Bearer $TOKEN\" -H 'content-type: application/json' -H 'idempotency-key: my-first-order' \\\n  -d '{{\"lines\": [{{\"sku\": \"TEA-SENCHA\", \"quantity\": 2}}, {{\"sku\": \"POT-IRON\", \"quantity\": 1}}]}}'; echo"
        ),
        format!("curl -s '{url}/local/mailbox?kind=order_status'; echo"),
        format!("curl -s {url}/inventory/POT-IRON -H \"authorization: Bearer $TOKEN\"; echo"),
    ]
}

async fn call(
    api: &Router,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<Value>,
) -> Result<Value, Fault> {
    let mut request =
        Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
    if let Some(token) = token {
        request = request
            .header(header::AUTHORIZATION, format!("Bearer {token}"))
            .header("idempotency-key", "demo-catalog");
    }
    let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
    let response = api.clone().oneshot(request.body(body)?).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    if !status.is_success() {
        return Err(format!("the demo catalog cannot be stocked: {method} {path} answered {status}").into());
    }
    Ok(if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? })
}

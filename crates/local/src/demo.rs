//! The demo: an admin's account, a small catalog, and the commands of the first output. Nothing here runs a command, and
//! nothing here writes to a table except through the API.

use axum::Router;
use local::services::cognito::Cognito;
use serde_json::{Value, json};

use crate::{
    BoxError,
    in_process::{Asked, send},
};

/// SKU, name, price in euro cents, and units in stock.
const CATALOG: [(&str, &str, u64, u64); 5] = [
    ("TEA-SENCHA", "Sencha, 100 g", 850, 40),
    ("TEA-ASSAM", "Assam, 100 g", 620, 60),
    ("POT-IRON", "Cast iron teapot", 6900, 5),
    ("CUP-SET", "Four porcelain cups", 3200, 12),
    ("WHISK", "Bamboo whisk", 1450, 1),
];

/// The demo admin's address and password. They are no secret, because only this machine reaches the stack.
pub(crate) const ADMIN: (&str, &str) = ("admin@example.com", "Orderflow-on-1-laptop");

/// Creates the admin's account unless it exists. Returns whether the account has this password.
pub(crate) fn ensure_admin(cognito: &Cognito) -> Result<bool, BoxError> {
    Ok(cognito.ensure_user(ADMIN.0, ADMIN.1, &["admin"])?)
}

/// Stocks the catalog through the API, as an admin does. Does nothing if the inventory has a product.
pub(crate) async fn stock_catalog(api: &Router) -> Result<(), BoxError> {
    let admin = json!({ "email": ADMIN.0, "name": "Demo admin", "groups": ["admin"] });
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

/// One request of the walkthrough.
struct DemoStep {
    path: &'static str,
    /// The JSON to send.
    body: Option<&'static str>,
    /// Whether it is a POST; else it is a GET.
    post: bool,
    /// Whether it carries Ada's token.
    signed_in: bool,
    /// The idempotency key.
    key: Option<&'static str>,
}

impl DemoStep {
    const fn get(path: &'static str) -> Self {
        Self { path, body: None, post: false, signed_in: true, key: None }
    }

    const fn post(path: &'static str, body: &'static str) -> Self {
        Self { body: Some(body), post: true, ..Self::get(path) }
    }
}

/// The request that issues Ada's token.
const TOKEN: DemoStep = DemoStep {
    signed_in: false,
    ..DemoStep::post("/local/token", r#"{"email": "ada@example.com", "name": "Ada"}"#)
};

/// Ada registers, confirms her address, sees that the shop knows, looks at the inventory, orders, reads her mail and looks
/// at the stock.
const WALKTHROUGH: [DemoStep; 7] = [
    DemoStep::post("/users", r#"{"name": "Ada"}"#),
    DemoStep { post: true, signed_in: false, ..DemoStep::get("/local/mailbox/confirm-all") },
    DemoStep::post("/users", r#"{"name": "Ada"}"#),
    DemoStep::get("/inventory"),
    DemoStep {
        key: Some("my-first-order"),
        ..DemoStep::post(
            "/orders",
            r#"{"lines": [{"sku": "TEA-SENCHA", "quantity": 2}, {"sku": "POT-IRON", "quantity": 1}]}"#,
        )
    },
    DemoStep { signed_in: false, ..DemoStep::get("/local/mailbox?kind=order_status") },
    DemoStep::get("/inventory/POT-IRON"),
];

/// The walkthrough, as commands for a shell with curl.
pub(crate) fn commands(url: &str) -> Vec<String> {
    let token = format!(r#"TOKEN=$({} | sed 's/.*"id_token":"\([^"]*\)".*/\1/')"#, curl(url, &TOKEN));
    let walk = WALKTHROUGH.iter().map(|step| format!("{}; echo", curl(url, step)));
    std::iter::once(token).chain(walk).collect()
}

fn curl(url: &str, step: &DemoStep) -> String {
    let mut words = vec!["curl -s".to_owned()];
    if step.post && step.body.is_none() {
        words.push("-X POST".to_owned());
    }
    // A shell would expand a question mark outside quotes.
    let quote = if step.path.contains('?') { "'" } else { "" };
    words.push(format!("{quote}{url}{}{quote}", step.path));
    if step.signed_in {
        words.push("-H \"authorization: Bearer $TOKEN\"".to_owned());
    }
    if step.body.is_some() {
        words.push("-H 'content-type: application/json'".to_owned());
    }
    words.extend(step.key.map(|key| format!("-H 'idempotency-key: {key}' \\\n ")));
    words.extend(step.body.map(|body| format!("-d '{body}'")));
    words.join(" ")
}

async fn call(
    api: &Router,
    method: &str,
    path: &str,
    token: Option<&str>,
    body: Option<Value>,
) -> Result<Value, BoxError> {
    let body = body.map(|body| body.to_string());
    let headers = [("idempotency-key", "demo-catalog")];
    let asked = Asked { method, path, token, headers: &headers, body: body.as_deref() };
    let answer = send(api, asked).await?;
    if !answer.status.is_success() {
        let status = answer.status;
        return Err(format!("the demo catalog cannot be stocked: {method} {path} answered {status}").into());
    }
    Ok(serde_json::from_str(&answer.body)?)
}

#[cfg(test)]
mod tests {
    use local::{
        ground::{ACCOUNT, StackClock},
        stack::{Options, Stack, parameters},
    };
    use regex_lite::Regex;
    use sam_template::Template;
    use time::macros::datetime;

    use super::*;

    const README: &str = include_str!("../../../README.md");

    /// The text with every time replaced by one placeholder.
    fn timeless(text: &str) -> String {
        let times = Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z").unwrap();
        times.replace_all(text, "<time>").into_owned()
    }

    #[test]
    fn the_readme_has_the_lines_that_are_printed() {
        let lines = commands("http://127.0.0.1:3000").join("\n");
        assert!(
            README.contains(&format!("\n```sh\n{lines}\n```\n")),
            "README.md lacks these lines:\n{lines}"
        );
    }

    #[tokio::test]
    async fn the_readme_shows_what_the_lines_answer() {
        let template = concat!(env!("CARGO_MANIFEST_DIR"), "/../../infra/template.yaml");
        let template = Template::read(template.as_ref(), ACCOUNT, &parameters()).unwrap();
        let options =
            Options { file: None, clock: StackClock::held(datetime!(2026-03-01 12:00 UTC)), seed: None };
        let api = Stack::start(&template, options).await.unwrap().router();
        stock_catalog(&api).await.unwrap();
        let asked = |step: &DemoStep| Asked {
            method: if step.post { "POST" } else { "GET" },
            path: step.path,
            token: None,
            headers: &[],
            body: step.body,
        };
        let issued = send(&api, asked(&TOKEN)).await.unwrap().body;
        let issued: Value = serde_json::from_str(&issued).unwrap();
        let token = issued["id_token"].as_str().unwrap();
        let mut answers = Vec::new();
        for step in &WALKTHROUGH {
            let headers: Vec<(&str, &str)> =
                step.key.map(|key| ("idempotency-key", key)).into_iter().collect();
            let token = step.signed_in.then_some(token);
            let answer = send(&api, Asked { token, headers: &headers, ..asked(step) }).await.unwrap();
            assert!(answer.status.is_success(), "{}: {} {}", step.path, answer.status, answer.body);
            answers.push(timeless(&answer.body));
        }
        let answers = answers.join("\n");
        let shown = timeless(README);
        assert!(
            shown.contains(&format!("\n```json\n{answers}\n```\n")),
            "README.md does not show this:\n{answers}"
        );
    }
}

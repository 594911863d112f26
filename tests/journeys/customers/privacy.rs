//! Only `UsersTable` and SNS hold a customer's name and address. No log line, execution, order, stock row or other call
//! holds a name, an address, a token, or input that was refused.

use http::Method;
use local::aws::{Fault, Recorded};
use serde_json::{Value, json};
use tracing::subscriber::DefaultGuard;

use crate::world::{
    Customer, Lines, Shop, logs,
    requests::{answered, asked, with_json, with_text},
};

/// A word in every name, address and text of these tests that must stay private, in upper or lower case.
const MARK: &str = "zaphod";

/// A shop whose log lines and AWS calls are kept.
struct Observed {
    shop: Shop,
    lines: Lines,
    tokens: Vec<String>,
    _guard: DefaultGuard,
}

impl Observed {
    async fn open() -> Self {
        let (lines, guard) = logs::keep();
        let shop = Shop::open().await.stocked("TEA-1", 50).await;
        shop.stack.faults().record();
        Self { shop, lines, tokens: Vec::new(), _guard: guard }
    }

    /// The marked customer, registered under the marked name.
    async fn customer(&mut self) -> Customer {
        let customer = self.shop.customer("Zaphod").await;
        self.tokens.push(customer.token.clone());
        customer
    }

    /// Searches everything that was kept. Each of `logged` must be in a line, which shows that lines were kept.
    async fn search(self, logged: &[&str]) {
        self.shop.heal();
        self.shop.settle().await;
        let calls = self.shop.stack.faults().recorded();
        let calls: Vec<&Recorded> = calls.iter().filter(|recorded| !may_know(recorded)).collect();
        let lines = self.lines.text();
        for expected in logged {
            assert!(lines.contains(expected), "no line has {expected:?}:\n{lines}");
        }
        let mut places: Vec<(String, String)> =
            lines.lines().map(|line| ("a log line".to_owned(), line.to_owned())).collect();
        for execution in self.shop.stack.aws().executions() {
            let text = serde_json::to_string(&*execution).expect("an execution is JSON");
            places.push(("an execution".to_owned(), text));
        }
        for table in ["OrdersTable", "InventoryTable"] {
            for row in self.shop.rows(table).await {
                places.push((table.to_owned(), row.to_string()));
            }
        }
        for recorded in calls {
            places.push((format!("{:?}", recorded.call), recorded.text.clone()));
        }
        for (place, text) in &places {
            assert!(!text.to_lowercase().contains(MARK), "{place} has a name or an address:\n{text}");
            for token in &self.tokens {
                // The claims alone tell who the customer is, so the middle of a token must stay private too.
                let claims = token.split('.').nth(1).expect("a token has three parts");
                assert!(!text.contains(claims), "{place} has a token:\n{text}");
            }
        }
    }
}

/// Whether a call may hold a name or an address: one on the user's row by its functions, or one on the subscription.
fn may_know(recorded: &Recorded) -> bool {
    let call = &recorded.call;
    let own_row = call.target.ends_with("UsersTable") && !call.target.contains(',');
    let theirs = ["CreateUserFunction", "QueryFunction"].contains(&call.caller.as_str());
    (own_row && theirs) || ["Subscribe", "GetSubscriptionAttributes"].contains(&call.operation.as_str())
}

#[tokio::test(start_paused = true)]
async fn only_the_users_own_row_holds_a_name_or_an_address() {
    let mut observed = Observed::open().await;
    let zaphod = observed.customer().await;
    let shop = &observed.shop;

    assert_eq!(shop.place(&zaphod, "zaphod-1", &[("TEA-1", 2)]).await.status, 201);
    assert_eq!(shop.place(&zaphod, "zaphod-1", &[("TEA-1", 2)]).await.status, 200);
    assert_eq!(shop.place(&zaphod, "zaphod-1", &[("TEA-1", 3)]).await.status, 422);
    let short = shop.place(&zaphod, "zaphod-2", &[("TEA-1", 999)]).await;
    assert_eq!(short.status, 409);
    assert_eq!(shop.place(&zaphod, "zaphod-3", &[("TEA-9", 1)]).await.status, 422);
    assert_eq!(shop.register(&zaphod, "Zaphod the Second").await.status, 200);
    let moved = shop.signed_in_as(&zaphod.user_id, "zaphod@elsewhere.example");
    assert_eq!(shop.register(&moved, "Zaphod").await.status, 200);
    assert_eq!(shop.get("/users/me", &moved).await.body["email"], "zaphod@elsewhere.example");
    assert_eq!(shop.get(&format!("/orders/{}", short.order_id()), &moved).await.status, 200);
    assert_eq!(shop.get("/orders", &moved).await.status, 200);
    assert_eq!(shop.order_mail().len(), 2);
    let ended = shop.leave(&moved).await;
    assert_eq!(ended.status, 204, "{ended:?}");
    let users = shop.rows("UsersTable").await;
    assert!(!format!("{users:?}").to_lowercase().contains(MARK), "{users:?}");

    let order_id = short.order_id().to_owned();
    observed.search(&[&order_id, "answered", "idempotency_key_reused", "insufficient_stock"]).await;
}

#[tokio::test(start_paused = true)]
async fn input_that_is_refused_is_repeated_nowhere() {
    let mut observed = Observed::open().await;
    let zaphod = observed.customer().await;
    let shop = &observed.shop;

    for (path, body) in [
        ("/users", json!({ "name": "Zaphod\u{0}" })),
        ("/users", json!({ "name": "Zaphod", "zaphod@example.com": true })),
        ("/users", json!("Zaphod")),
        ("/orders", json!({ "lines": "zaphod" })),
        ("/orders", json!({ "lines": [{ "sku": "zaphod@example.com", "quantity": 1 }] })),
        ("/orders", json!({ "lines": [{ "sku": "TEA-1", "quantity": "Zaphod" }] })),
        ("/orders", json!({ "lines": [{ "sku": "TEA-1", "quantity": 1, "zaphod": 1 }] })),
        ("/orders", json!({ "lines": [{ "sku": "TEA-1", "quantity": 1 }], "reference": "für Zaphod" })),
        ("/orders", json!({ "lines": [{ "sku": "TEA-1", "quantity": 1 }], "email": "zaphod@example.com" })),
        (
            "/orders",
            json!({
                "lines": [{ "sku": "TEA-1", "quantity": 1 }], "expected_total": { "amount": 1, "currency": "Zaphod" },
            }),
        ),
    ] {
        let refused =
            shop.call(Method::POST, path, &zaphod, Some(body.clone()), &[("idempotency-key", "k")]).await;
        assert!([400, 422].contains(&refused.status), "{path} {body}: {refused:?}");
    }
    for (text, key) in [
        ("{\"name\": \"Zaphod\", }", "k"),
        ("zaphod@example.com", "k"),
        ("{\"lines\": [{\"sku\": \"TEA-1\", \"quantity\": 1}]}", "Zaphod é"),
    ] {
        for path in ["/users", "/orders"] {
            let request = asked(Method::POST, path, Some(&zaphod.token));
            let request = request.header("idempotency-key", key.as_bytes());
            let refused = shop.send(with_text(request, text)).await;
            assert!([400, 422].contains(&refused.status), "{path} {text}: {refused:?}");
        }
    }
    for path in
        ["/orders/zaphod", "/orders?cursor=zaphod", "/orders?zaphod=1", "/inventory/zaphod", "/zaphod"]
    {
        let refused = shop.get(path, &zaphod).await;
        assert!((400..500).contains(&refused.status), "{path}: {refused:?}");
    }
    let unverified = shop.signed_in_unverified("zaphod@unverified.example");
    assert_eq!(shop.register(&unverified, "Zaphod").await.status, 403);
    let forged = Customer { token: format!("{}zaphod", zaphod.token), ..zaphod };
    assert_eq!(shop.register(&forged, "Zaphod").await.status, 401);

    observed.tokens.push(unverified.token);
    observed.search(&["validation_failed", "malformed_json", "email_not_verified", "refused"]).await;
}

#[tokio::test(start_paused = true)]
async fn no_failure_repeats_a_name_or_an_address() {
    // The last is the refusal of a role without a permission, which is an internal error.
    for fault in [Fault::Before, Fault::After, Fault::Throttle, Fault::Refuse("AccessDeniedException")] {
        for service in ["sns", "dynamodb", "lambda", "states"] {
            let mut observed = Observed::open().await;
            let zaphod = observed.customer().await;
            let planted = fault.clone();
            observed.shop.plant(move |call| (call.service == service).then(|| planted.clone()));

            let mut failed = 0;
            for (path, body) in [
                ("/users", json!({ "name": "Zaphod the Second" })),
                ("/orders", json!({ "lines": [{ "sku": "TEA-1", "quantity": 1 }] })),
                ("/orders", json!({ "lines": [{ "sku": "TEA-1", "quantity": 999 }] })),
            ] {
                failed += usize::from(post(&observed.shop, &zaphod, path, &body).await >= 500);
            }

            assert!(failed > 0 || fault == Fault::After, "{fault:?} {service}");
            let logged: &[&str] = if service == "lambda" {
                &["invocation"]
            } else if let Fault::Refuse(code) = fault {
                &["failed for good", code]
            } else if fault == Fault::Before {
                &["try_again", "the service refused"]
            } else {
                &["invocation"]
            };
            observed.search(logged).await;
        }
    }
}

/// Posts a request that may be answered with an internal error, and answers the status.
async fn post(shop: &Shop, caller: &Customer, path: &str, body: &Value) -> u16 {
    let request = asked(Method::POST, path, Some(&caller.token));
    // A comma would stand between two keys.
    let key = format!("zaphod-{body}").replace(',', ";");
    let request = request.header("idempotency-key", key);
    let (parts, _) = answered(shop.stack.router(), with_json(request, Some(body))).await;
    parts.status.as_u16()
}

//! A day in a shop: everything that the shop does, once. The wiring must give the functions what they read and call in
//! it, and no more.
//!
//! Add a new route here, and a new AWS call of an old one. Without that, its permissions look superfluous.

use std::time::Duration;

use http::Method;
use local::{aws::Fault, ground::tokens::TokenRequest};
use serde_json::json;

use crate::world::{Customer, Shop};

/// Longer than an order waits before the sweeper resumes it.
const DUE: Duration = Duration::from_secs(61);

/// Runs the day in a shop.
pub(super) async fn of_a_shop(shop: &Shop) {
    let shop = &shop.clone().stocked("TEA-1", 50).await.stocked("TEA-2", 1).await;
    keep_stock(shop).await;
    let ada = register(shop).await;
    order(shop, &ada).await;
    read(shop, &ada).await;
    change(shop, &ada).await;
    share_an_address(shop).await;
    interrupted(shop, &ada).await;
}

async fn keep_stock(shop: &Shop) {
    let product = json!({ "name": "Sencha", "unit_price": { "amount": 500, "currency": "EUR" } });
    let renamed = shop.call(Method::PUT, "/inventory/TEA-1", &shop.admin, Some(product), &[]).await;
    assert_eq!(renamed.status, 200, "{renamed:?}");
    assert_eq!(shop.adjust("TEA-1", "recount", 2).await.status, 201);
    assert_eq!(shop.adjust("TEA-1", "recount", 2).await.status, 200);
    assert_eq!(shop.adjust("TEA-1", "loss", -100).await.problem(), (409, "below_zero"));
}

/// A customer registers, registers again, and moves to another address.
async fn register(shop: &Shop) -> Customer {
    let ada = shop.customer("Ada").await;
    assert_eq!(register_again(shop, &ada).await, 200);
    let address = ada.email.replace('@', "@new.");
    let request = TokenRequest { user_id: Some(ada.user_id.clone()), ..TokenRequest::new(&address) };
    let issued = shop.stack.tokens().issue(&request).expect("a token");
    let moved = Customer { token: issued.id_token, email: address, ..ada };
    assert_eq!(register_again(shop, &moved).await, 200);
    shop.stack.sns().confirm_all().expect("subscriptions can be confirmed");
    moved
}

async fn register_again(shop: &Shop, customer: &Customer) -> u16 {
    let body = Some(json!({ "name": "Ada" }));
    shop.call(Method::POST, "/users", customer, body, &[]).await.status
}

/// Orders: one placed, one repeated, one short of stock, and two with errors.
async fn order(shop: &Shop, ada: &Customer) {
    assert_eq!(shop.place(ada, "one", &[("TEA-1", 1)]).await.status, 201);
    assert_eq!(shop.place(ada, "one", &[("TEA-1", 1)]).await.status, 200);
    assert_eq!(shop.place(ada, "short", &[("TEA-2", 9)]).await.problem(), (409, "insufficient_stock"));
    assert_eq!(shop.place(ada, "none", &[("NONE", 1)]).await.problem(), (422, "unknown_sku"));
    assert_eq!(shop.place(ada, "zero", &[("TEA-1", 0)]).await.fields(), ["lines[0].quantity"]);
}

async fn read(shop: &Shop, ada: &Customer) {
    let order = format!("/orders/{}", shop.place(ada, "one", &[("TEA-1", 1)]).await.order_id());
    for path in ["/users/me", "/orders", "/inventory?limit=1", "/inventory/TEA-1", "/health", &order] {
        assert_eq!(shop.get(path, ada).await.status, 200, "{path}");
    }
    for path in ["/orders?status=CONFIRMED", "/orders?attention=true", "/inventory/TEA-1/movements"] {
        assert_eq!(shop.get(path, &shop.admin).await.status, 200, "{path}");
    }
}

async fn change(shop: &Shop, ada: &Customer) {
    let shipped = shop.place(ada, "shipped", &[("TEA-1", 1)]).await;
    assert_eq!(shop.patch(&shop.admin, shipped.order_id(), "SHIPPED", 2).await.status, 200);
    let cancelled = shop.place(ada, "cancelled", &[("TEA-1", 1)]).await;
    assert_eq!(shop.cancel(ada, cancelled.order_id()).await.status, 200);
}

/// A second user of an address that is taken gets an overflow topic, orders, and leaves.
async fn share_an_address(shop: &Shop) {
    let bob = shop.customer("Bob").await;
    let request = TokenRequest { user_id: Some("bobs-twin".to_owned()), ..TokenRequest::new(&bob.email) };
    let issued = shop.stack.tokens().issue(&request).expect("a token");
    let twin = Customer { token: issued.id_token, user_id: issued.user_id, email: bob.email };
    assert_eq!(register_again(shop, &twin).await, 201);
    assert_eq!(register_again(shop, &twin).await, 200);
    shop.stack.sns().confirm_all().expect("subscriptions can be confirmed");
    assert_eq!(shop.get("/users/me", &twin).await.body["notifications"], "confirmed");
    assert_eq!(shop.place(&twin, "one", &[("TEA-1", 1)]).await.status, 201);
    assert_eq!(shop.call(Method::DELETE, "/users/me", &twin, None, &[]).await.status, 204);
}

/// E-mails that cannot be sent: an admin resumes one order, the sweeper the other.
async fn interrupted(shop: &Shop, ada: &Customer) {
    shop.stack.faults().plant(|call| (call.operation == "Publish").then_some(Fault::Before));
    let by_hand = shop.place(ada, "by-hand", &[("TEA-1", 1)]).await;
    assert_eq!(shop.place(ada, "by-the-clock", &[("TEA-1", 1)]).await.status, 201);
    // Where no run can be started, the door reads the table.
    shop.stack.faults().plant(|call| (call.service == "states").then_some(Fault::Before));
    assert_eq!(shop.place(ada, "unheard", &[("TEA-1", 1)]).await.problem(), (503, "try_again"));
    shop.stack.faults().clear();
    shop.stack.clock().advance(DUE);
    let resume = format!("/orders/{}/resume", by_hand.order_id());
    assert_eq!(shop.call(Method::POST, &resume, &shop.admin_again(), None, &[]).await.status, 202);
    shop.sweep_after(DUE).await;
    assert_eq!(shop.get("/orders?attention=true", &shop.admin_again()).await.status, 200);
}

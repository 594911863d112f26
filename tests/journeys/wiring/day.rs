//! A day in a shop: everything that the shop does, once. The wiring must give the functions what they read and call in
//! it, and no more.
//!
//! Add a new route here, and a new AWS call of an old one. Without that, its permissions look superfluous.

use std::time::Duration;

use http::Method;
use local::aws::Fault;
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
    leave(shop).await;
    interrupted(shop, &ada).await;
    wait_for_a_confirmation(shop).await;
    the_day_after(shop, &ada).await;
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
    let moved = shop.signed_in_as(&ada.user_id, &ada.email.replace('@', "@new."));
    assert_eq!(register_again(shop, &moved).await, 200);
    shop.stack.sns().confirm_all().expect("subscriptions can be confirmed");
    assert_eq!(register_again(shop, &moved).await, 200);
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

/// A customer orders and leaves.
async fn leave(shop: &Shop) {
    let bob = shop.customer("Bob").await;
    assert_eq!(shop.get("/users/me", &bob).await.body["notifications"], "confirmed");
    assert_eq!(shop.place(&bob, "one", &[("TEA-1", 1)]).await.status, 201);
    assert_eq!(shop.call(Method::DELETE, "/users/me", &bob, None, &[]).await.status, 204);
    // The sweeper deletes the topic once more.
    shop.sweep_after(Duration::from_mins(16)).await;
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
    assert_eq!(shop.resume_all(&shop.admin_again()).await.status, 200);
}

/// Orders of customers who have not confirmed. The sweeper asks an address that could not be asked before, and looks
/// whether it is confirmed. One customer says so first.
async fn wait_for_a_confirmation(shop: &Shop) {
    shop.stack.faults().plant(|call| (call.operation == "Subscribe").then_some(Fault::Before));
    let cleo = shop.signed_in("Cleo");
    assert_eq!(shop.register(&cleo, "Cleo").await.problem(), (503, "try_again"));
    shop.stack.faults().clear();
    let dora = shop.registered("Dora").await;
    for customer in [&cleo, &dora] {
        assert_eq!(shop.place(customer, "one", &[("TEA-1", 1)]).await.status, 201);
    }
    shop.sweep_after(DUE).await;
    shop.stack.sns().confirm_all().expect("subscriptions can be confirmed");
    shop.confirmed(&dora, "Dora").await;
    shop.sweep_after(DUE * 2).await;
}

/// A confirmation is noted for a day. After that SNS is asked again.
async fn the_day_after(shop: &Shop, ada: &Customer) {
    for (key, quantity, status) in [("late", 1, 201), ("late-short", 99, 409)] {
        shop.wait(Duration::from_hours(25));
        let ada = shop.signed_in_as(&ada.user_id, &ada.email);
        // Another caller writes the account before the note, so it is read again.
        let refused = Fault::Refuse("ConditionalCheckFailedException");
        shop.plant_times(1, refused, |call| {
            call.operation == "UpdateItem" && call.target.ends_with("UsersTable")
        });
        assert_eq!(shop.place(&ada, key, &[("TEA-1", quantity)]).await.status, status);
    }
}

//! One Idempotency-Key is one order. A repeat is answered with that order, even when stock or price has changed since.

use serde_json::{Value, json};

use crate::world::{Shop, gestures::product};

#[tokio::test(start_paused = true)]
async fn a_repeat_gets_the_first_order_back_and_moves_nothing() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.customer("Ada").await;

    let first = shop.place(&ada, "key-1", &[("TEA-1", 2)]).await;
    let again = shop.place(&ada, "key-1", &[("TEA-1", 2)]).await;

    assert_eq!((first.status, first.header("idempotent-replayed")), (201, ""));
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"));
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(again.order(), first.order());
    assert_eq!(shop.stock("TEA-1").await, (3, 2));
    assert_eq!(shop.order_mail().len(), 1);
    shop.audit(&[("TEA-1", 5)], &[&ada]).await;
}

#[tokio::test(start_paused = true)]
async fn the_same_lines_reordered_or_split_are_the_same_request() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await.stocked("TEA-2", 5).await;
    let ada = shop.customer("Ada").await;

    let first = shop.place(&ada, "key-1", &[("TEA-1", 3), ("TEA-2", 1)]).await;

    assert_eq!(first.status, 201, "{first:?}");
    for lines in [
        &[("TEA-2", 1), ("TEA-1", 3)][..],
        &[("TEA-1", 1), ("TEA-1", 2), ("TEA-2", 1)],
        &[("TEA-1", 2), ("TEA-2", 1), ("TEA-1", 1)],
    ] {
        let again = shop.place(&ada, "key-1", lines).await;
        assert_eq!((again.status, again.order_id()), (200, first.order_id()), "{lines:?}: {again:?}");
    }
    assert_eq!((shop.stock("TEA-1").await, shop.stock("TEA-2").await), ((2, 3), (4, 1)));
}

#[tokio::test(start_paused = true)]
async fn a_key_with_another_request_is_refused() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await.stocked("TEA-2", 5).await;
    let ada = shop.customer("Ada").await;
    let line = json!([{ "sku": "TEA-1", "quantity": 1 }]);
    let total = json!({ "amount": 450, "currency": "EUR" });
    let first = json!({ "lines": line, "reference": "spring", "expected_total": total });
    assert_eq!(shop.order(&ada, "key-1", first.clone()).await.status, 201);

    let mut others = Vec::new();
    for (member, value) in [
        ("lines", json!([{ "sku": "TEA-1", "quantity": 2 }])),
        ("lines", json!([{ "sku": "TEA-2", "quantity": 1 }])),
        ("lines", json!([{ "sku": "TEA-1", "quantity": 1 }, { "sku": "TEA-2", "quantity": 1 }])),
        // An unknown SKU and a shortage: once the key is taken, neither is checked.
        ("lines", json!([{ "sku": "TEA-9", "quantity": 1 }])),
        ("lines", json!([{ "sku": "TEA-1", "quantity": 1000 }])),
        ("reference", json!("summer")),
        ("reference", Value::Null),
        ("expected_total", json!({ "amount": 451, "currency": "EUR" })),
        ("expected_total", json!({ "amount": 450, "currency": "USD" })),
        ("expected_total", Value::Null),
    ] {
        let mut other = first.clone();
        if value.is_null() {
            other.as_object_mut().expect("an object").remove(member);
        } else {
            other[member] = value;
        }
        others.push(other);
    }
    for other in others {
        let refused = shop.order(&ada, "key-1", other.clone()).await;
        assert_eq!(refused.problem(), (422, "idempotency_key_reused"), "{other}: {refused:?}");
        assert_eq!(refused.body.get("order_id"), None, "a refusal does not tell which order has the key");
    }
    assert_eq!((shop.stock("TEA-1").await, shop.stock("TEA-2").await), ((4, 1), (5, 0)));
    assert_eq!(shop.order_mail().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_users_may_use_the_same_key() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let (ada, bob) = (shop.customer("Ada").await, shop.customer("Bob").await);

    let of_ada = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;
    let of_bob = shop.place(&bob, "key-1", &[("TEA-1", 1)]).await;

    assert_eq!((of_ada.status, of_bob.status), (201, 201));
    assert_ne!(of_ada.order_id(), of_bob.order_id());
    assert_eq!(shop.stock("TEA-1").await, (3, 2));
}

#[tokio::test(start_paused = true)]
async fn a_repeat_of_a_rejected_order_is_rejected_again_even_when_stock_has_arrived() {
    let shop = Shop::open().await.stocked("TEA-1", 1).await;
    let ada = shop.customer("Ada").await;

    let first = shop.place(&ada, "key-1", &[("TEA-1", 2)]).await;
    shop.adjust("TEA-1", "delivery", 10).await;
    let again = shop.place(&ada, "key-1", &[("TEA-1", 2)]).await;

    assert_eq!(first.problem(), (409, "insufficient_stock"));
    assert_eq!(again.problem(), (409, "insufficient_stock"));
    for member in ["order_id", "shortages"] {
        assert!(!first.body[member].is_null(), "{first:?}");
        assert_eq!(again.body[member], first.body[member], "{member}");
    }
    assert_eq!(shop.stock("TEA-1").await, (11, 0));
    assert_eq!(shop.order_mail().len(), 1);
    // The same request with a new key is a new order.
    assert_eq!(shop.place(&ada, "key-2", &[("TEA-1", 2)]).await.status, 201);
    shop.audit(&[("TEA-1", 11)], &[&ada]).await;
}

#[tokio::test(start_paused = true)]
async fn a_repeat_after_the_price_changed_gets_the_first_order_at_the_first_price() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.customer("Ada").await;
    let plain = json!({ "lines": [{ "sku": "TEA-1", "quantity": 2 }] });
    let expecting = json!({
        "lines": [{ "sku": "TEA-1", "quantity": 2 }], "expected_total": { "amount": 900, "currency": "EUR" },
    });
    let first =
        [shop.order(&ada, "key-1", plain.clone()).await, shop.order(&ada, "key-2", expecting.clone()).await];
    let dearer = product("The TEA-1", 500, "EUR");
    assert_eq!(shop.describe(&shop.admin, "TEA-1", &dearer).await.status, 200);

    let again = [shop.order(&ada, "key-1", plain).await, shop.order(&ada, "key-2", expecting.clone()).await];

    for (first, again) in first.iter().zip(&again) {
        assert_eq!((first.status, again.status), (201, 200), "{first:?} {again:?}");
        assert_eq!(again.header("idempotent-replayed"), "true");
        assert_eq!((again.order(), &again.body["total"]["amount"]), (first.order(), &json!(900)));
    }
    // With a new key the same request finds that the price changed, and reserves nothing.
    let refused = shop.order(&ada, "key-3", expecting).await;
    assert_eq!(refused.problem(), (409, "price_changed"), "{refused:?}");
    assert_eq!(shop.stock("TEA-1").await, (1, 4));
    assert_eq!(shop.rows("OrdersTable").await.len(), 2);
    assert_eq!(shop.order_mail().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_repeat_of_an_order_that_was_left_pending_finishes_it_and_mails_once() {
    let shop = Shop::open().await.stocked("TEA-1", 1).await;
    let ada = shop.customer("Ada").await;
    shop.fail_confirmations();

    let first = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;
    let still = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;

    for (reply, replayed) in [(&first, ""), (&still, "true")] {
        assert_eq!((reply.status, &reply.body["status"]), (202, &json!("PENDING")), "{reply:?}");
        assert_eq!(reply.header("location"), format!("/orders/{}", first.order_id()));
        assert_eq!(reply.header("retry-after"), "1");
        assert_eq!(reply.header("idempotent-replayed"), replayed);
    }
    assert_eq!(shop.order_mail(), []);
    assert_eq!(shop.get(first.header("location"), &ada).await.body["status"], "PENDING");
    shop.heal();
    shop.audit(&[("TEA-1", 1)], &[&ada]).await;

    let finished = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;

    assert_eq!((finished.status, finished.header("idempotent-replayed")), (200, "true"), "{finished:?}");
    assert_eq!((finished.order_id(), &finished.body["status"]), (first.order_id(), &json!("CONFIRMED")));
    let entered: Vec<String> =
        shop.stack.aws().executions()[0].states.iter().map(|state| state.name.clone()).collect();
    assert!(entered.contains(&"UpdateStatus".to_owned()), "{entered:?}");
    // A further repeat neither confirms nor announces the order again.
    let settled = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;
    assert_eq!((settled.status, settled.order()), (200, finished.order()));
    assert_eq!(shop.order_mail().len(), 1);
    assert_eq!(finished.body["history"].as_array().map(Vec::len), Some(2));
    shop.audit(&[("TEA-1", 1)], &[&ada]).await;
}

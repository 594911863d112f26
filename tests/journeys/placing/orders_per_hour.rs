//! `OrdersPerHour`: one customer places at most so many orders within an hour, so nobody can reserve all stock at once.

use std::time::Duration;

use futures_util::future::join_all;
use local::aws::Fault;

use crate::world::{
    Customer, Shop,
    faults::operation,
    shop::{TEMPLATE, template_with},
};

/// A shop that takes so many orders of a customer within an hour, and a customer.
async fn opened(per_hour: &str) -> (Shop, Customer) {
    let template = template_with(&[("OrdersPerHour", per_hour)]).expect("a template");
    let shop = Shop::of(&template, 1).await.stocked("TEA-1", 1_000).await;
    let ada = shop.customer("Ada").await;
    (shop, ada)
}

/// Places so many orders, a second apart.
async fn place_many(shop: &Shop, customer: &Customer, count: usize) {
    for n in 0..count {
        let placed = shop.place(customer, &format!("key-{n}"), &[("TEA-1", 1)]).await;
        assert_eq!(placed.status, 201, "{n}: {placed:?}");
        shop.wait(Duration::from_secs(1));
    }
}

#[tokio::test(start_paused = true)]
async fn with_the_default_the_sixty_first_order_within_an_hour_is_refused_and_reserves_nothing() {
    let shop = Shop::of(&TEMPLATE, 1).await.stocked("TEA-1", 1_000).await;
    let (ada, bob) = (shop.customer("Ada").await, shop.customer("Bob").await);
    place_many(&shop, &ada, 60).await;
    let before = shop.stock("TEA-1").await;

    let refused = shop.place(&ada, "one-more", &[("TEA-1", 1)]).await;

    assert_eq!(refused.problem(), (429, "too_many_orders"), "{refused:?}");
    // The first of the sixty is a minute old.
    assert_eq!(refused.header("retry-after"), "3540");
    assert_eq!((shop.stock("TEA-1").await, shop.rows("OrdersTable").await.len()), (before, 60));
    // Another customer is not affected, and a repeat of an earlier order is answered.
    assert_eq!(shop.place(&bob, "key-1", &[("TEA-1", 1)]).await.status, 201);
    let again = shop.place(&ada, "key-7", &[("TEA-1", 1)]).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"), "{again:?}");
    assert_eq!(shop.place(&ada, "key-7", &[("TEA-1", 2)]).await.problem(), (422, "idempotency_key_reused"));

    shop.wait(Duration::from_secs(3_539));
    let ada = shop.signed_in_as(&ada.user_id, &ada.email);
    assert_eq!(shop.place(&ada, "one-more", &[("TEA-1", 1)]).await.status, 201);
    assert_eq!(shop.place(&ada, "and-another", &[("TEA-1", 1)]).await.problem(), (429, "too_many_orders"));
}

#[tokio::test(start_paused = true)]
async fn a_rejected_order_counts_and_a_refused_one_does_not() {
    let (shop, ada) = opened("2").await;
    assert_eq!(shop.place(&ada, "unknown", &[("TEA-9", 1)]).await.problem(), (422, "unknown_sku"));
    assert_eq!(shop.place(&ada, "short", &[("CUP-1", 1)]).await.problem(), (422, "unknown_sku"));
    let shop = shop.stocked("CUP-1", 0).await;
    assert_eq!(shop.place(&ada, "short", &[("CUP-1", 1)]).await.problem(), (409, "insufficient_stock"));
    assert_eq!(shop.place(&ada, "key-1", &[("TEA-1", 1)]).await.status, 201);
    assert_eq!(shop.place(&ada, "key-2", &[("TEA-1", 1)]).await.problem(), (429, "too_many_orders"));
}

#[tokio::test(start_paused = true)]
async fn orders_at_the_same_moment_may_pass_the_bound_and_none_is_lost() {
    let (shop, ada) = opened("5").await;
    let keys: Vec<String> = (0..50).map(|n| format!("key-{n}")).collect();

    let replies = join_all(keys.iter().map(|key| shop.place(&ada, key, &[("TEA-1", 1)]))).await;

    let count = |status: u16| replies.iter().filter(|reply| reply.status == status).count();
    assert_eq!(count(201) + count(429), 50, "{replies:?}");
    assert!(count(201) >= 5);
    assert_eq!(shop.rows("OrdersTable").await.len(), count(201));
    shop.audit(&[("TEA-1", 1_000)], &[&ada]).await;
    assert_eq!(shop.place(&ada, "late", &[("TEA-1", 1)]).await.problem(), (429, "too_many_orders"));
}

#[tokio::test(start_paused = true)]
async fn without_a_bound_nothing_is_counted() {
    let (shop, ada) = opened("0").await;
    let (placed, calls) = shop.recording(shop.place(&ada, "key-0", &[("TEA-1", 1)])).await;
    assert_eq!(placed.status, 201);
    assert!(calls.iter().all(|made| made.call.operation != "Query"));
    for n in 1..70 {
        assert_eq!(shop.place(&ada, &format!("key-{n}"), &[("TEA-1", 1)]).await.status, 201);
    }
}

#[tokio::test(start_paused = true)]
async fn while_orders_cannot_be_counted_none_is_taken() {
    let (shop, ada) = opened("60").await;
    shop.plant_times(usize::MAX, Fault::Before, operation("Query"));
    assert_eq!(shop.place(&ada, "key-1", &[("TEA-1", 1)]).await.problem(), (503, "try_again"));
    assert_eq!(shop.rows("OrdersTable").await.len(), 0);
    shop.heal();
    assert_eq!(shop.place(&ada, "key-1", &[("TEA-1", 1)]).await.status, 201);
}

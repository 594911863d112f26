//! An order is cancelled, shipped, delivered, and resumed when an execution was interrupted.

use crate::world::{
    Shop,
    waiting::{ATTEMPTS, DUE, LONGEST_WAIT},
};

#[tokio::test(start_paused = true)]
async fn a_cancelled_order_releases_its_stock_and_its_customer_is_mailed_once() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.customer("Ada").await;
    let placed = shop.place(&ada, "key-1", &[("TEA-1", 2)]).await;

    let cancelled = shop.cancel(&ada, placed.order_id()).await;

    assert_eq!((cancelled.status, cancelled.header("etag")), (200, "\"3\""), "{cancelled:?}");
    assert_eq!(cancelled.body["status"], "CANCELLED");
    assert_eq!(shop.stock("TEA-1").await, (5, 0));
    let again = shop.cancel(&ada, placed.order_id()).await;
    assert_eq!((again.status, again.order()), (200, cancelled.order()));
    assert_eq!(shop.mailed_statuses(), ["CONFIRMED", "CANCELLED"]);
    assert_eq!(shop.cancel(&shop.admin, placed.order_id()).await.problem(), (409, "illegal_transition"));
}

#[tokio::test(start_paused = true)]
async fn an_order_is_shipped_and_delivered_only_by_an_admin_who_has_read_its_current_version() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.customer("Ada").await;
    let placed = shop.place(&ada, "key-1", &[("TEA-1", 2)]).await;
    let id = placed.order_id();

    assert_eq!(shop.patch(&ada, id, "SHIPPED", 2).await.problem(), (403, "forbidden"));
    assert_eq!(shop.patch(&shop.admin, id, "SHIPPED", 1).await.problem(), (412, "stale_version"));
    assert_eq!(shop.patch(&shop.admin, id, "DELIVERED", 2).await.problem(), (409, "illegal_transition"));
    let shipped = shop.patch(&shop.admin, id, "SHIPPED", 2).await;
    assert_eq!((shipped.status, shipped.header("etag")), (200, "\"3\""), "{shipped:?}");
    assert_eq!(shop.stock("TEA-1").await, (3, 0));
    let again = shop.patch(&shop.admin, id, "SHIPPED", 2).await;
    assert_eq!((again.status, again.order()), (200, shipped.order()));
    let delivered = shop.patch(&shop.admin, id, "DELIVERED", 3).await;
    assert_eq!(delivered.body["status"], "DELIVERED");
    assert_eq!(shop.cancel(&ada, id).await.problem(), (409, "illegal_transition"));
    assert_eq!(shop.order_mail().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_an_interrupted_execution_left_is_finished_a_minute_later() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.customer("Ada").await;
    shop.fail_mails();
    let placed = shop.place(&ada, "key-1", &[("TEA-1", 2)]).await;
    assert_eq!(placed.status, 201);
    let cancelled = shop.cancel(&ada, placed.order_id()).await;
    assert_eq!(cancelled.status, 200);
    assert_eq!(shop.order_mail().len(), 0);
    shop.heal();

    shop.sweep_when_due().await;
    shop.sweep_after(2 * DUE).await;

    assert_eq!(shop.mailed_statuses(), ["CONFIRMED", "CANCELLED"]);
    let nothing = shop.resume(&shop.admin, placed.order_id()).await;
    assert_eq!(nothing.problem(), (409, "nothing_due"));
}

#[tokio::test(start_paused = true)]
async fn an_order_that_cannot_be_finished_is_given_up_after_ten_attempts_and_waits_for_a_person() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.customer("Ada").await;
    shop.fail_mails();
    let placed = shop.place(&ada, "key-1", &[("TEA-1", 2)]).await;
    for _ in 0..ATTEMPTS {
        shop.sweep_after(LONGEST_WAIT).await;
        assert_eq!(shop.waiting_for_a_person().await, [""; 0]);
    }
    shop.sweep_after(LONGEST_WAIT).await;
    assert_eq!(shop.waiting_for_a_person().await, [placed.order_id()]);
    shop.heal();

    let resumed = shop.resume(&shop.admin_again(), placed.order_id()).await;

    assert_eq!(resumed.status, 202, "{resumed:?}");
    assert_eq!(shop.order_mail().len(), 1);
    assert_eq!(shop.waiting_for_a_person().await, [""; 0]);
}

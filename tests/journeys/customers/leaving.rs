//! Leaving by `DELETE /users/me`, and `notifications` in each state of a subscription. `registering.rs` has the
//! registration, and `mail/mail_at_scale.rs` that of many customers at once.

use std::time::Duration;

use axum::body::Body;
use http::Request;
use local::{aws::Fault, ground::MailKind, services::sns::Limits};
use serde_json::json;

use crate::world::{
    Customer, Shop,
    faults::operation,
    requests::{answered, signature},
};

impl Shop {
    /// Ends a subscription through SNS, as the link in an e-mail or an operator does.
    async fn unsubscribed_elsewhere(&self, customer: &Customer) {
        let subscriptions = self.stack.sns().subscriptions();
        let arn =
            &subscriptions.iter().find(|one| one.endpoint == customer.email).expect("a subscription").arn;
        let form =
            format!("Action=Unsubscribe&Version=2010-03-31&SubscriptionArn={}", arn.replace(':', "%3A"));
        let request = Request::post("/")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", signature("ada", "sns"))
            .body(Body::from(form))
            .expect("a request");
        let (answer, _) = answered(self.stack.aws_router(), request).await;
        assert_eq!(answer.status, 200);
    }

    /// Whether any row holds any of these texts, in upper or lower case.
    async fn holds(&self, texts: &[&str]) -> bool {
        let all = format!("{:?}", self.everything().await).to_lowercase();
        texts.iter().any(|text| all.contains(&text.to_lowercase()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_customer_who_leaves_is_erased_and_not_mailed_and_the_orders_stay_under_the_id() {
    let shop = Shop::open().await.stocked("TEA-1", 9).await;
    let (ada, bob) = (shop.customer("Ada").await, shop.customer("Bob").await);
    let shipped = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;
    let cancelled = shop.place(&ada, "key-2", &[("TEA-1", 2)]).await;
    assert!(
        shop.holds(&["ada@example.com"]).await && shop.holds(&["\"Ada\""]).await,
        "the search finds a customer who has not left"
    );

    let left = shop.leave(&ada).await;

    assert_eq!((left.status, &left.body), (204, &json!(null)), "{left:?}");
    assert_eq!(shop.get("/users/me", &ada).await.problem(), (404, "not_found"));
    assert_eq!(shop.leave(&ada).await.problem(), (404, "not_found"));
    assert!(!shop.holds(&["ada@example.com", "\"Ada\"", "Ada@"]).await);
    assert!(shop.holds(&[&ada.user_id]).await, "the orders are kept under the id");
    let listed = shop.get("/orders", &ada).await;
    for order in [&shipped, &cancelled] {
        assert!(listed.body["items"].as_array().expect("items").contains(&order.body), "{listed:?}");
    }
    let subscribed: Vec<String> =
        shop.stack.sns().subscriptions().into_iter().map(|one| one.endpoint).collect();
    assert_eq!(subscribed, ["bob@example.com"]);

    // A change of such an order is mailed to nobody, and counts as announced.
    let before = shop.order_mail();
    assert_eq!(shop.patch(&shop.admin, shipped.order_id(), "SHIPPED", 2).await.status, 200);
    assert_eq!(shop.cancel(&ada, cancelled.order_id()).await.status, 200);
    shop.sweep_when_due().await;
    assert_eq!(shop.order_mail(), before);
    for row in shop.rows("OrdersTable").await {
        assert!(row.get("unsent").is_none() && row.get("due_at").is_none(), "{row}");
    }
    assert_eq!(shop.stock("TEA-1").await, (8, 0));
    let refused = shop.place(&ada, "key-3", &[("TEA-1", 1)]).await;
    assert_eq!(refused.problem(), (409, "user_not_registered"));
    assert_eq!(shop.told(&bob, "key-1").await, ["bob@example.com"]);
}

#[tokio::test(start_paused = true)]
async fn an_e_mail_that_was_not_sent_when_its_customer_left_is_never_sent() {
    let shop = Shop::open().await.stocked("TEA-1", 9).await;
    let ada = shop.customer("Ada").await;
    shop.place_unsent(&ada, "key-1", &[("TEA-1", 1)]).await;

    assert_eq!(shop.leave(&ada).await.status, 204);
    shop.sweep_when_due().await;

    assert_eq!(shop.order_mail(), []);
    assert_eq!(shop.rows("OrdersTable").await[0].get("unsent"), None);
}

/// SNS cannot end a pending subscription, so the customer can still confirm it. That has no effect.
#[tokio::test(start_paused = true)]
async fn a_customer_who_left_and_confirms_late_is_not_mailed() {
    let shop = Shop::open().await.stocked("TEA-1", 9).await;
    let ada = shop.registered("Ada").await;
    let placed = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;

    assert_eq!(shop.leave(&ada).await.status, 204);
    shop.confirm_mails();

    assert_eq!(shop.patch(&shop.admin, placed.order_id(), "SHIPPED", 2).await.status, 200);
    assert_eq!(shop.order_mail(), []);
    assert_eq!(shop.get("/users/me", &ada).await.problem(), (404, "not_found"));
}

#[tokio::test(start_paused = true)]
async fn a_customer_who_returns_is_a_new_user_and_is_mailed_about_old_orders_too() {
    for confirmed_before in [true, false] {
        let shop = Shop::open().await.stocked("TEA-1", 9).await;
        let ada = if confirmed_before { shop.customer("Ada").await } else { shop.registered("Ada").await };
        let old = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;
        assert_eq!(shop.leave(&ada).await.status, 204);
        shop.wait(Duration::from_mins(10));

        let back = shop.register(&ada, "Ada Lovelace").await;

        assert_eq!((back.status, back.header("location")), (201, "/users/me"), "{back:?}");
        assert_eq!(back.body["created_at"], "2026-03-01T12:10:00.000Z");
        assert_eq!(
            (&back.body["name"], &back.body["notifications"]),
            (&json!("Ada Lovelace"), &json!("pending"))
        );
        shop.confirm_mails();
        assert_eq!(shop.notifications(&ada).await, "confirmed");
        assert_eq!(shop.told(&ada, "key-2").await, ["ada@example.com"]);
        let before = shop.order_mail().len();
        assert_eq!(shop.patch(&shop.admin, old.order_id(), "SHIPPED", 2).await.status, 200);
        assert_eq!(shop.order_mail().len(), before + 1);
        assert_eq!(shop.stack.sns().subscriptions().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_person_who_never_registered_cannot_leave() {
    let shop = Shop::open().await;
    let stranger = shop.signed_in("Stranger");
    assert_eq!(shop.leave(&stranger).await.problem(), (404, "not_found"));
    assert_eq!(shop.get("/users/me", &stranger).await.problem(), (404, "not_found"));
}

#[tokio::test(start_paused = true)]
async fn when_any_call_of_leaving_fails_a_repeat_completes_it() {
    let shop = Shop::open().await;
    let ada = shop.customer("Ada").await;
    let calls = shop.calls_of(shop.leave(&ada)).await;
    assert_eq!(calls.len(), 3, "{calls:?}");
    for call in calls {
        for fault in [Fault::Before, Fault::After, Fault::Throttle] {
            for times in [1, usize::MAX] {
                let of = format!("{call:?} {fault:?} {times} times");
                let shop = Shop::open().await.stocked("TEA-1", 5).await;
                let ada = shop.customer("Ada").await;
                let placed = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;
                let failing = call.clone();
                shop.plant_times(times, fault.clone(), move |made| *made == failing);

                let first = shop.leave(&ada).await;

                // The SDK's second attempt repairs a single failure. It makes no second attempt when SNS throttles.
                let mended = times == 1 && (fault != Fault::Throttle || call.service != "sns");
                assert_eq!(first.status, if mended { 204 } else { 503 }, "{of}: {first:?}");
                shop.heal();
                let again = shop.leave(&ada).await.status;
                let erased_before = mended || (call.operation == "DeleteItem" && fault == Fault::After);
                assert_eq!(again, if erased_before { 404 } else { 204 }, "{of}");
                assert!(!shop.holds(&["ada@example.com", "\"Ada\""]).await, "{of}");
                assert_eq!(shop.stack.sns().subscriptions().len(), 0, "{of}");
                let before = shop.order_mail();
                assert_eq!(shop.cancel(&ada, placed.order_id()).await.status, 200, "{of}");
                assert_eq!(shop.order_mail(), before, "{of}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn notifications_show_the_state_of_the_subscription_in_sns() {
    let shop = Shop::open().await.stocked("TEA-1", 9).await;
    let ada = shop.registered("Ada").await;
    assert_eq!(shop.notifications(&ada).await, "pending");
    shop.confirm_mails();
    assert_eq!(shop.notifications(&ada).await, "confirmed");

    shop.plant_times(usize::MAX, Fault::Before, operation("GetSubscriptionAttributes"));
    let me = shop.get("/users/me", &ada).await;
    assert_eq!((me.status, &me.body["notifications"]), (200, &json!("unavailable")));
    assert_eq!((&me.body["name"], &me.body["email"]), (&json!("Ada"), &json!("ada@example.com")));
    shop.heal();

    shop.unsubscribed_elsewhere(&ada).await;
    assert_eq!(shop.notifications(&ada).await, "none");
    assert_eq!(shop.told(&ada, "key-1").await, [""; 0]);

    let again = shop.register(&ada, "Ada").await;
    assert_eq!((again.status, &again.body["notifications"]), (200, &json!("pending")));
    assert_eq!(shop.notifications(&ada).await, "pending");
    shop.confirm_mails();
    assert_eq!(shop.notifications(&ada).await, "confirmed");
    assert_eq!(shop.told(&ada, "key-2").await, ["ada@example.com"]);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_lapsed_is_shown_as_none() {
    let shop = Shop::open().await;
    let ada = shop.registered("Ada").await;
    shop.wait(Duration::from_hours(47));
    let ada = shop.signed_in_as(&ada.user_id, &ada.email);
    assert_eq!(shop.notifications(&ada).await, "pending");
    shop.wait(Duration::from_hours(2));
    let ada = shop.signed_in_as(&ada.user_id, &ada.email);
    assert_eq!(shop.notifications(&ada).await, "none");
}

/// Otherwise the first confirmation, once clicked, would subscribe the address where nothing of its user is published.
#[tokio::test(start_paused = true)]
async fn a_repeat_finds_the_unconfirmed_subscription_also_when_its_topic_is_full() {
    let shop = Shop::open().await.stocked("TEA-1", 9).await;
    shop.stack.sns().limit(Limits { per_topic: 1, per_account: 2 });
    let (ada, bob) = (shop.registered("Ada").await, shop.registered("Bob").await);
    let before = shop.stack.sns().subscriptions();

    for customer in [&ada, &bob] {
        let again = shop.register(customer, "Again").await;
        assert_eq!((again.status, &again.body["notifications"]), (200, &json!("pending")), "{again:?}");
    }

    let arns = |subscriptions: Vec<local::services::sns::TopicSubscription>| {
        subscriptions.into_iter().map(|one| one.arn).collect::<Vec<_>>()
    };
    assert_eq!(arns(shop.stack.sns().subscriptions()), arns(before));
    assert_eq!(shop.stack.mailbox().mails(Some(MailKind::SubscriptionConfirmation), None).len(), 4);
    shop.confirm_mails();
    assert_eq!(shop.told(&ada, "key-1").await, ["ada@example.com"]);
    assert_eq!(shop.told(&bob, "key-1").await, ["bob@example.com"]);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_confirms_after_it_was_replaced_is_not_mailed() {
    let shop = Shop::open().await.stocked("TEA-1", 9).await;
    let first = shop.registered("Ada").await;
    let second = shop.signed_in_as(&first.user_id, "ada@second.example");
    let third = shop.signed_in_as(&first.user_id, "ada@third.example");
    for customer in [&second, &third, &third] {
        let changed = shop.register(customer, "Ada").await;
        assert_eq!((changed.status, &changed.body["notifications"]), (200, &json!("pending")), "{changed:?}");
        assert_eq!(changed.body["email"], customer.email);
    }
    // Every confirmation is clicked.
    shop.confirm_mails();
    assert_eq!(shop.told(&third, "key-1").await, ["ada@third.example"]);
    assert_eq!(shop.notifications(&third).await, "confirmed");
    // The first address has confirmed before, so its subscription exists.
    let back = shop.register(&first, "Ada").await;
    assert_eq!((back.status, &back.body["email"]), (200, &json!("ada@example.com")));
    shop.confirm_mails();
    assert_eq!(shop.told(&first, "key-2").await, ["ada@example.com"]);
}

#[tokio::test(start_paused = true)]
async fn a_customer_who_cannot_be_subscribed_is_told_so_until_there_is_room() {
    let shop = Shop::open().await.stocked("TEA-1", 9).await;
    shop.stack.sns().limit(Limits { per_topic: 5, per_account: 1 });
    let ada = shop.customer("Ada").await;
    let bob = shop.signed_in("Bob");

    let registered = shop.register(&bob, "Bob").await;

    assert_eq!((registered.status, &registered.body["notifications"]), (201, &json!("unavailable")));
    assert_eq!(shop.notifications(&bob).await, "unavailable");
    assert_eq!(shop.told(&bob, "key-1").await, [""; 0]);
    let again = shop.register(&bob, "Bob").await;
    assert_eq!((again.status, &again.body["notifications"]), (200, &json!("unavailable")));

    assert_eq!(shop.leave(&ada).await.status, 204);
    let now = shop.register(&bob, "Bob").await;
    assert_eq!((now.status, &now.body["notifications"]), (200, &json!("pending")));
    shop.confirm_mails();
    assert_eq!(shop.told(&bob, "key-2").await, ["bob@example.com"]);
}

//! Leaving by `DELETE /users/me`, and `notifications` in each state of a subscription. `registering.rs` has the
//! registration, and `mail/mail_at_scale.rs` that of many customers at once.

use std::time::Duration;

use axum::body::Body;
use http::Request;
use local::{aws::Fault, ground::MailKind, services::sns::Quotas};
use serde_json::json;

use crate::world::{
    Customer, Shop,
    faults::operation,
    requests::{answered, signature, without_mailed_at},
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
        let listed: Vec<_> = listed.items().iter().map(without_mailed_at).collect();
        assert!(listed.contains(&order.order()), "{listed:?}");
    }
    let subscribed: Vec<String> =
        shop.stack.sns().subscriptions().into_iter().map(|one| one.endpoint).collect();
    assert_eq!(subscribed, ["bob@example.com"]);
    assert_eq!(shop.customer_topics().len(), 1);

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
        let early = shop.register(&ada, "Ada Lovelace").await;
        assert_eq!(early.problem(), (403, "token_before_erasure"), "{early:?}");
        shop.wait(Duration::from_mins(10) - Duration::from_secs(1));
        let ada = shop.signed_in_as(&ada.user_id, &ada.email);

        let back = shop.register(&ada, "Ada Lovelace").await;

        assert_eq!((back.status, back.header("location")), (201, "/users/me"), "{back:?}");
        assert_eq!(back.body["created_at"], "2026-03-01T12:10:00.000Z");
        assert_eq!(
            (&back.body["name"], &back.body["notifications"]),
            (&json!("Ada Lovelace"), &json!("pending"))
        );
        shop.confirm_mails();
        assert_eq!(shop.notifications(&ada).await, "confirmed");
        shop.confirmed(&ada, "Ada Lovelace").await;
        assert_eq!(shop.told(&ada, "key-2").await, ["ada@example.com"]);
        let before = shop.order_mail().len();
        assert_eq!(shop.patch(&shop.admin, old.order_id(), "SHIPPED", 2).await.status, 200);
        assert_eq!(shop.order_mail().len(), before + 1);
        assert_eq!(shop.customer_topics().len(), 1);
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
    let made: Vec<&str> = calls.iter().map(|call| call.operation.as_str()).collect();
    assert_eq!(
        made,
        ["GetItem", "PutItem", "DeleteTopic", "PutItem"],
        "the last one is a write like the first"
    );
    for call in calls.into_iter().take(3) {
        for fault in [Fault::Before, Fault::After, Fault::Throttle] {
            for times in [1, usize::MAX] {
                let of = format!("{call:?} {fault:?} {times} times");
                let shop = Shop::open().await.stocked("TEA-1", 5).await;
                let ada = shop.customer("Ada").await;
                let placed = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;
                let failing = call.clone();
                shop.plant_times(times, fault.clone(), move |made| *made == failing);

                let first = shop.leave(&ada).await;

                // Once the row is erased, the rest is the sweeper's.
                let answered = times == 1 || call.operation == "DeleteTopic";
                let first_write = call.operation == "PutItem";
                assert_eq!(first.status, if answered { 204 } else { 503 }, "{of}: {first:?}");
                shop.heal();
                let again = shop.leave(&ada).await.status;
                let erased_before = answered || (first_write && fault == Fault::After);
                assert_eq!(again, if erased_before { 404 } else { 204 }, "{of}");
                assert!(!shop.holds(&["ada@example.com", "\"Ada\""]).await, "{of}");
                let before = shop.order_mail();
                assert_eq!(shop.cancel(&ada, placed.order_id()).await.status, 200, "{of}");
                assert_eq!(shop.order_mail(), before, "{of}");
                shop.sweep_when_due().await;
                assert_eq!(shop.customer_topics().len(), 0, "{of}");
                shop.sweep_after(Duration::from_mins(16)).await;
                let row = shop.rows("UsersTable").await.remove(0);
                let left: Vec<&String> = row.as_object().expect("a row").keys().collect();
                assert!(
                    !left.iter().any(|name| name.starts_with("todo") || *name == "retired"),
                    "{of}: {row}"
                );
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
    assert_eq!(shop.notifications(&ada).await, "pending", "the account does not know of the confirmation");
    shop.wait(Duration::from_hours(1));
    let ada = shop.signed_in_as(&ada.user_id, &ada.email);
    let again = shop.register(&ada, "Ada").await;
    assert_eq!((again.status, &again.body["notifications"]), (200, &json!("pending")));
    shop.confirm_mails();
    shop.confirmed(&ada, "Ada").await;
    assert_eq!(shop.told(&ada, "key-2").await, ["ada@example.com"]);
}

#[tokio::test(start_paused = true)]
async fn who_ends_the_mail_by_its_link_is_off_until_they_want_it_again() {
    let shop = Shop::open().await.stocked("TEA-1", 9).await;
    let ada = shop.customer("Ada").await;
    assert_eq!(shop.told(&ada, "key-1").await, ["ada@example.com"]);
    shop.unsubscribed_elsewhere(&ada).await;

    assert_eq!(shop.notifications(&ada).await, "off");
    let again = shop.register(&ada, "Ada").await;
    assert_eq!((again.status, &again.body["notifications"]), (200, &json!("off")), "it is not asked again");
    let placed = shop.place(&ada, "key-2", &[("TEA-1", 1)]).await;
    assert_eq!(shop.row(placed.order_id()).await.get("unsent"), None, "it counts as announced");
    assert_eq!(
        shop.get(&format!("/orders/{}", placed.order_id()), &ada).await.body["history"][1].get("mailed_at"),
        None
    );

    let wanted = json!({ "name": "Ada", "notifications": "on" });
    let on = shop.register_with(&ada, wanted.clone()).await;
    assert_eq!((on.status, &on.body["notifications"]), (200, &json!("pending")));
    assert_eq!(shop.confirm_mails(), 1);
    let on = shop.register_with(&ada, wanted).await;
    assert_eq!((on.status, &on.body["notifications"]), (200, &json!("confirmed")));
    assert_eq!(shop.told(&ada, "key-3").await, ["ada@example.com"]);
    assert_eq!(shop.order_mail().len(), 2, "the mail about the second order was not wanted");
}

#[tokio::test(start_paused = true)]
async fn who_wants_no_mail_gets_none_and_can_have_it_back_without_confirming_again() {
    let shop = Shop::open().await.stocked("TEA-1", 9).await;
    let ada = shop.customer("Ada").await;
    let wish = |wish: &str| json!({ "name": "Ada", "notifications": wish });

    let (off, calls) = shop.recording(shop.register_with(&ada, wish("off"))).await;
    assert_eq!((off.status, &off.body["notifications"]), (200, &json!("off")));
    assert!(calls.iter().all(|made| made.call.service != "sns"), "the row says it, and SNS is not called");
    assert_eq!(shop.told(&ada, "key-1").await, [""; 0]);
    assert_eq!(shop.register(&ada, "Ada").await.body["notifications"], "off", "a repeat leaves it as it is");
    assert_eq!(shop.notifications(&ada).await, "off");

    let on = shop.register_with(&ada, wish("on")).await;
    assert_eq!((on.status, &on.body["notifications"]), (200, &json!("confirmed")));
    assert_eq!(shop.told(&ada, "key-2").await, ["ada@example.com"]);
    let mails = shop.stack.mailbox().mails(Some(MailKind::SubscriptionConfirmation), None);
    assert_eq!(mails.len(), 1, "the address was asked once");
}

#[tokio::test(start_paused = true)]
async fn who_registers_without_mail_has_no_topic_until_they_want_it() {
    let shop = Shop::open().await.stocked("TEA-1", 9).await;
    let ada = shop.signed_in("Ada");
    let off = shop.register_with(&ada, json!({ "name": "Ada", "notifications": "off" })).await;
    assert_eq!((off.status, &off.body["notifications"]), (201, &json!("off")));
    assert_eq!(shop.customer_topics().len(), 0);
    assert_eq!(shop.told(&ada, "key-1").await, [""; 0]);

    let on = shop.register_with(&ada, json!({ "name": "Ada", "notifications": "on" })).await;
    assert_eq!((on.status, &on.body["notifications"]), (200, &json!("pending")));
    assert_eq!(shop.customer_topics().len(), 1);
    for wrong in [json!("yes"), json!(true), json!(null), json!("ON")] {
        let refused = shop.register_with(&ada, json!({ "name": "Ada", "notifications": wrong })).await;
        assert_eq!(refused.problem(), (422, "validation_failed"), "{wrong}");
        assert_eq!(refused.fields(), ["notifications"], "{wrong}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_lapsed_is_asked_for_again_when_its_customer_calls() {
    let shop = Shop::open().await;
    let ada = shop.registered("Ada").await;
    shop.wait(Duration::from_hours(49));
    let ada = shop.signed_in_as(&ada.user_id, &ada.email);
    assert_eq!(shop.notifications(&ada).await, "pending");
    let again = shop.register(&ada, "Ada").await;
    assert_eq!((again.status, &again.body["notifications"]), (200, &json!("pending")));
    assert_eq!(shop.confirm_mails(), 1);
    shop.confirmed(&ada, "Ada").await;
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
    // Every confirmation is clicked, also those whose topics are gone.
    for mailed in shop.stack.sns().confirmations() {
        let _gone = shop.stack.sns().click(&mailed.token);
    }
    shop.confirmed(&third, "Ada").await;
    assert_eq!(shop.told(&third, "key-1").await, ["ada@third.example"]);
    // The first address comes back with a newer token, and has to confirm again.
    let back = shop.signed_in_as(&first.user_id, &first.email);
    let changed = shop.register(&back, "Ada").await;
    assert_eq!((changed.status, &changed.body["notifications"]), (200, &json!("pending")));
    assert_eq!(shop.told(&back, "key-2").await, [""; 0]);
    shop.confirm_mails();
    shop.confirmed(&back, "Ada").await;
    assert_eq!(shop.told(&back, "key-3").await, ["ada@example.com"]);
}

#[tokio::test(start_paused = true)]
async fn a_customer_who_cannot_be_subscribed_is_told_so_until_there_is_room() {
    let shop = Shop::open().await.stocked("TEA-1", 9).await;
    let ada = shop.customer("Ada").await;
    let full = shop.stack.sns().topics().len();
    shop.stack.sns().set_quotas(Quotas { topics: full, ..Quotas::default() });
    let bob = shop.signed_in("Bob");

    let registered = shop.register(&bob, "Bob").await;

    assert_eq!((registered.status, &registered.body["notifications"]), (201, &json!("unavailable")));
    assert_eq!(shop.notifications(&bob).await, "unavailable");
    assert_eq!(shop.told(&bob, "key-1").await, [""; 0]);
    let (again, calls) = shop.recording(shop.register(&bob, "Bob")).await;
    assert_eq!((again.status, &again.body["notifications"]), (200, &json!("unavailable")));
    assert!(calls.iter().all(|made| made.call.service != "sns"), "SNS is not asked by each request");

    assert_eq!(shop.leave(&ada).await.status, 204);
    shop.wait(Duration::from_mins(2));
    let now = shop.register(&bob, "Bob").await;
    assert_eq!((now.status, &now.body["notifications"]), (200, &json!("pending")));
    shop.confirm_mails();
    shop.confirmed(&bob, "Bob").await;
    assert_eq!(shop.told(&bob, "key-2").await, ["bob@example.com"]);
}

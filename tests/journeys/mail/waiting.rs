//! Mail that waits until its customer confirms the address: when it is looked at, when it is sent, and what it costs.

use std::time::Duration;

use local::{aws::Fault, services::sns::Quotas};
use serde_json::json;

use crate::world::{
    Customer, Mailed, Shop,
    faults::{operation, sends_mail, tells_shop},
    logs,
};

const MINUTE: Duration = Duration::from_mins(1);

/// A shop, a customer who has not confirmed, and the id of their order.
async fn waiting() -> (Shop, Customer, String) {
    let shop = Shop::open().await.stocked("TEA-1", 50).await;
    let ada = shop.registered("Ada").await;
    let placed = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;
    assert_eq!(placed.status, 201, "{placed:?}");
    (shop, ada, placed.order_id().to_owned())
}

/// Runs the sweeper every minute until a mail about an order is there. Answers the minutes.
async fn minutes_until_mailed(shop: &Shop, most: u32) -> u32 {
    let before = shop.order_mail().len();
    for minute in 1..=most {
        shop.sweep_after(MINUTE).await;
        if shop.order_mail().len() > before {
            return minute;
        }
    }
    panic!("no mail within {most} minutes");
}

#[tokio::test(start_paused = true)]
async fn a_click_in_the_first_minutes_brings_the_mail_within_two_minutes_and_a_later_one_within_a_quarter_of_the_wait()
 {
    for waited in [0, 1, 2, 3, 4, 10, 30, 60, 5 * 60, 20 * 60] {
        let (shop, _ada, id) = waiting().await;
        for _ in 0..waited {
            shop.sweep_after(MINUTE).await;
        }
        shop.confirm_mails();
        let quarter = (waited / 4).clamp(1, 60);
        let took = minutes_until_mailed(&shop, 62).await;
        assert!(took <= quarter + 1, "{waited} minutes after the order it took {took}");
        assert!(waited > 4 || took <= 2, "{waited} minutes after the order it took {took}");
        shop.audit_settled(Mailed::Once).await;
        let row = shop.row(&id).await;
        assert!(row["history"][1]["mailed_at"].is_string(), "{row}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_shows_the_confirmation_to_the_shop_is_mailed_by_the_next_run() {
    let (shop, ada, _id) = waiting().await;
    for _ in 0..200 {
        shop.sweep_after(MINUTE).await;
    }
    shop.confirm_mails();
    let ada = shop.signed_in_as(&ada.user_id, &ada.email);
    shop.confirmed(&ada, "Ada").await;
    shop.sweep_after(Duration::ZERO).await;
    shop.audit_settled(Mailed::Once).await;
}

#[tokio::test(start_paused = true)]
async fn several_statuses_that_wait_are_mailed_in_their_order_and_the_shop_is_told_of_each_once() {
    let (shop, _ada, id) = waiting().await;
    shop.wait(Duration::from_mins(2));
    assert_eq!(shop.patch(&shop.admin, &id, "SHIPPED", 2).await.status, 200);
    shop.sweep_after(MINUTE).await;
    assert_eq!(shop.patch(&shop.admin, &id, "DELIVERED", 3).await.status, 200);
    for _ in 0..10 {
        shop.sweep_after(MINUTE).await;
    }
    let row = shop.row(&id).await;
    let mut unsent: Vec<u64> = serde_json::from_value(row["unsent"].clone()).expect("versions");
    unsent.sort_unstable();
    assert_eq!((&row["due_shard"], unsent), (&json!("waiting"), vec![2, 3, 4]), "{row}");
    assert_eq!(shop.stack.sns().feed().len(), 3, "staff do not wait");
    assert_eq!(row.get("attempts"), None, "waiting uses up no attempt");

    shop.confirm_mails();
    for _ in 0..10 {
        shop.sweep_after(MINUTE).await;
    }
    assert_eq!(shop.mailed_statuses(), ["CONFIRMED", "SHIPPED", "DELIVERED"]);
    shop.audit_settled(Mailed::Once).await;
}

#[tokio::test(start_paused = true)]
async fn after_72_hours_the_mail_is_given_up_and_counted_and_the_order_is_finished() {
    let (lines, _guard) = logs::keep();
    let (shop, _ada, id) = waiting().await;
    for _ in 0..71 {
        shop.sweep_after(Duration::from_hours(1)).await;
    }
    assert_eq!(shop.row(&id).await["due_shard"], "waiting");
    assert!(!lines.text().contains("EmailsUndelivered"));
    for _ in 0..3 {
        shop.sweep_after(Duration::from_hours(1)).await;
    }
    let row = shop.row(&id).await;
    for name in ["unsent", "due_at", "due_shard", "attempts"] {
        assert_eq!(row.get(name), None, "{row}");
    }
    assert_eq!(row["history"][1].get("mailed_at"), None, "nothing was mailed: {row}");
    assert_eq!(lines.text().matches("\"EmailsUndelivered\"").count(), 1, "{}", lines.text());
    assert!(!lines.text().contains("OrdersGivenUp"), "nobody need look");
    assert_eq!(shop.order_mail(), []);
}

#[tokio::test(start_paused = true)]
async fn who_wants_no_mail_or_leaves_is_waited_for_no_longer() {
    for leaves in [true, false] {
        let (shop, ada, id) = waiting().await;
        if leaves {
            assert_eq!(shop.leave(&ada).await.status, 204);
        } else {
            let off = shop.register_with(&ada, json!({ "name": "Ada", "notifications": "off" })).await;
            assert_eq!(off.status, 200);
        }
        shop.sweep_after(MINUTE).await;
        let row = shop.row(&id).await;
        assert_eq!((row.get("unsent"), row.get("due_at")), (None, None), "{row}");
        assert_eq!(shop.order_mail(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_replaced_while_mail_waits_never_gets_it() {
    let (shop, ada, _id) = waiting().await;
    let moved = shop.signed_in_as(&ada.user_id, "ada@new.example");
    assert_eq!(shop.register(&moved, "Ada").await.status, 200);
    for mailed in shop.stack.sns().confirmations() {
        let _gone = shop.stack.sns().click(&mailed.token);
    }
    for _ in 0..5 {
        shop.sweep_after(MINUTE).await;
    }
    let to: Vec<String> = shop.order_mail().into_iter().map(|mail| mail.to).collect();
    assert_eq!(to, ["ada@new.example"]);
}

#[tokio::test(start_paused = true)]
async fn while_sns_does_not_say_whether_an_address_is_confirmed_the_order_is_due_like_after_any_fault() {
    let (shop, _ada, id) = waiting().await;
    shop.plant_times(usize::MAX, Fault::Before, operation("GetSubscriptionAttributes"));
    shop.sweep_after(MINUTE).await;
    let row = shop.row(&id).await;
    assert_ne!(row["due_shard"], "waiting", "{row}");
    shop.heal();
    shop.confirm_mails();
    for _ in 0..6 {
        shop.sweep_after(MINUTE).await;
    }
    shop.audit_settled(Mailed::Once).await;
}

/// A day after the note, SNS is asked. It does not answer within a second, or only with a fault.
#[tokio::test(start_paused = true)]
async fn a_confirmation_that_was_noted_a_day_ago_is_asked_for_before_anything_is_published() {
    for fault in [Fault::Before, Fault::Delay(Duration::from_secs(2))] {
        let shop = Shop::open().await.stocked("TEA-1", 50).await;
        let ada = shop.customer("Ada").await;
        shop.wait(Duration::from_hours(25));
        let ada = shop.signed_in_as(&ada.user_id, &ada.email);
        shop.plant_times(usize::MAX, fault.clone(), operation("GetSubscriptionAttributes"));
        let placed = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;
        assert_eq!((placed.status, &placed.body["status"]), (201, &json!("CONFIRMED")), "{fault:?}");
        assert_eq!(shop.order_mail(), [], "{fault:?}");
        assert_eq!(shop.stack.sns().feed().len(), 1, "the shop is told: {fault:?}");
        shop.heal();
        shop.sweep_after(MINUTE * 2).await;
        shop.audit_settled(Mailed::Once).await;
        // The note is good for a day again.
        let (_, calls) = shop.recording(shop.place(&ada, "key-2", &[("TEA-1", 1)])).await;
        assert!(calls.iter().all(|made| made.call.operation != "GetSubscriptionAttributes"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_that_sns_turned_off_for_its_rate_is_noticed_within_a_day() {
    let shop = Shop::open_unbounded().await.stocked("TEA-1", 500).await;
    let ada = shop.customer("Ada").await;
    shop.stack.sns().set_quotas(Quotas::OF_AWS);
    for n in 0..12 {
        assert_eq!(shop.place(&ada, &format!("key-{n}"), &[("TEA-1", 1)]).await.status, 201);
    }
    assert!(shop.order_mail().len() < 12, "SNS has turned the address off, and told nobody");
    shop.wait(Duration::from_hours(25));
    let ada = shop.signed_in_as(&ada.user_id, &ada.email);
    let placed = shop.place(&ada, "late", &[("TEA-1", 1)]).await;
    let row = shop.row(placed.order_id()).await;
    assert_eq!((row["history"][1].get("mailed_at"), &row["due_shard"]), (None, &json!("waiting")), "{row}");
    assert_eq!(shop.notifications(&ada).await, "pending");
    // The customer asks for the mail again, and gets what waited.
    assert_eq!(shop.register(&ada, "Ada").await.body["notifications"], "pending");
    shop.confirm_mails();
    shop.confirmed(&ada, "Ada").await;
    shop.sweep_after(MINUTE).await;
    assert!(shop.order_mail().iter().any(|mail| mail.order_id.as_deref() == Some(placed.order_id())));
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_gone_is_not_tried_again_and_marks_nothing() {
    let shop = Shop::open().await.stocked("TEA-1", 50).await;
    let ada = shop.customer("Ada").await;
    let topic = shop.customer_topics().into_iter().next().expect("a topic");
    shop.stack.sns().call("DeleteTopic", &json!({ "TopicArn": topic })).expect("it is deleted");

    let (placed, calls) = shop.recording(shop.place(&ada, "key-1", &[("TEA-1", 1)])).await;

    assert_eq!(placed.status, 201);
    assert_eq!(calls.iter().filter(|made| sends_mail(&made.call)).count(), 1);
    let row = shop.row(placed.order_id()).await;
    assert_eq!((&row["unsent"], row.get("untold")), (&json!([2]), None), "{row}");
    assert_eq!(row["history"][1].get("mailed_at"), None, "{row}");
}

#[tokio::test(start_paused = true)]
async fn the_shop_is_told_while_the_mail_fails_and_the_customer_is_mailed_while_telling_fails() {
    for mail_fails in [true, false] {
        let shop = Shop::open().await.stocked("TEA-1", 50).await;
        let ada = shop.customer("Ada").await;
        shop.plant(move |call| {
            let fails = if mail_fails { sends_mail(call) } else { tells_shop(call) };
            fails.then_some(Fault::Before)
        });
        let placed = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;
        let row = shop.row(placed.order_id()).await;
        assert_eq!(shop.order_mail().len(), usize::from(!mail_fails));
        assert_eq!(shop.stack.sns().feed().len(), usize::from(mail_fails));
        assert_eq!(row.get("unsent").is_some(), mail_fails, "{row}");
        assert_eq!(row.get("untold").is_some(), !mail_fails, "{row}");
        assert_eq!(row["history"][1].get("mailed_at").is_some(), !mail_fails, "{row}");
        shop.heal();
        shop.sweep_after(MINUTE * 2).await;
        shop.audit_settled(Mailed::Once).await;
    }
}

#[tokio::test(start_paused = true)]
async fn five_hundred_who_never_confirm_delay_no_order_that_is_stuck_and_each_is_asked_about_once() {
    const WAITING: usize = 500;
    const STUCK: usize = 20;
    let mut sweeps_needed = Vec::new();
    for waiting in [0, WAITING] {
        let shop = Shop::open().await.stocked("TEA-1", 10_000).await;
        let ada = shop.customer("Ada").await;
        for n in 0..waiting {
            let customer = shop.registered(&format!("Waiting{n}")).await;
            assert_eq!(shop.place(&customer, "key-1", &[("TEA-1", 1)]).await.status, 201);
        }
        shop.fail_mails();
        for n in 0..STUCK {
            assert_eq!(shop.place(&ada, &format!("key-{n}"), &[("TEA-1", 1)]).await.status, 201);
        }
        shop.heal();
        let mut sweeps = 0;
        while shop.order_mail().len() < STUCK {
            let ((), calls) = shop.recording(shop.sweep_after(MINUTE)).await;
            let asked =
                calls.iter().filter(|made| made.call.operation == "GetSubscriptionAttributes").count();
            assert!(asked <= waiting, "{asked} of {waiting} were asked about in one sweep");
            sweeps += 1;
            assert!(sweeps < 10, "the stuck orders are not finished");
        }
        sweeps_needed.push(sweeps);
        assert_eq!(shop.order_mail().len(), STUCK);
    }
    assert_eq!(sweeps_needed[0], sweeps_needed[1], "those who wait delay nobody");
}

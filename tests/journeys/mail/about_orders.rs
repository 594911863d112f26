//! An order is mailed to its own customer, once, and to no other address. That holds with many subscribers, and while
//! calls fail.

use std::time::Duration;

use local::aws::Fault;
use serde_json::json;

use crate::world::{
    Shop,
    faults::{operation, sends_mail},
    gestures::product,
};

#[tokio::test(start_paused = true)]
async fn an_order_is_mailed_to_its_own_customer_among_fifty() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let mut customers = Vec::new();
    for n in 0..50 {
        customers.push(shop.customer(&format!("Customer{n}")).await);
    }

    let placed = shop.place(&customers[17], "key-1", &[("TEA-1", 1)]).await;
    let refused = shop.place(&customers[23], "key-1", &[("TEA-1", 9)]).await;

    let mails = shop.order_mail();
    let told: Vec<(&str, Option<&str>)> =
        mails.iter().map(|m| (m.to.as_str(), m.order_id.as_deref())).collect();
    let expected = [
        ("customer17@example.com", Some(placed.order_id())),
        ("customer23@example.com", Some(refused.order_id())),
    ];
    assert_eq!(told, expected);
}

#[tokio::test(start_paused = true)]
async fn a_customer_who_has_not_confirmed_can_order_and_is_mailed_once_they_have() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.registered("Ada").await;

    let (placed, calls) = shop.recording(shop.place(&ada, "key-1", &[("TEA-1", 1)])).await;

    assert_eq!((placed.status, shop.order_mail()), (201, Vec::new()));
    assert!(!calls.iter().any(|made| sends_mail(&made.call)), "nothing is published to nobody");
    let row = shop.row(placed.order_id()).await;
    assert_eq!(
        (&row["unsent"], &row["due_shard"], row.get("untold")),
        (&json!([2]), &json!("waiting"), None)
    );
    assert_eq!(row["history"][1].get("mailed_at"), None, "it says that it is not mailed");
    assert_eq!(shop.stack.sns().feed().len(), 1, "the shop is told meanwhile");

    shop.confirm_mails();
    shop.sweep_when_due().await;
    assert_eq!(shop.order_mail().len(), 1);
    let row = shop.row(placed.order_id()).await;
    assert_eq!((row.get("unsent"), row.get("due_at")), (None, None), "{row}");
    assert!(row["history"][1]["mailed_at"].is_string(), "{row}");
    assert_eq!(shop.stack.sns().feed().len(), 1, "the shop is not told again");
    shop.place(&ada, "key-2", &[("TEA-1", 1)]).await;
    assert_eq!(shop.order_mail().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_customer_for_whom_no_topic_has_room_orders_all_the_same() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    shop.plant_times(usize::MAX, Fault::Refuse("TopicLimitExceeded"), operation("CreateTopic"));
    let ada = shop.signed_in("Ada");

    let registered = shop.register(&ada, "Ada").await;
    assert_eq!((registered.status, &registered.body["notifications"]), (201, &json!("unavailable")));
    shop.heal();
    let both = async {
        let placed = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;
        (placed, shop.place(&ada, "key-2", &[("TEA-1", 9)]).await)
    };
    let ((placed, rejected), recorded) = shop.recording(both).await;

    assert_eq!((placed.status, rejected.status), (201, 409), "{placed:?} {rejected:?}");
    assert!(!recorded.iter().any(|made| sends_mail(&made.call)));
    for order in [&placed, &rejected] {
        let row = shop.row(order.order_id()).await;
        assert_eq!(row["due_shard"], "waiting", "its mail waits until the address can be asked: {row}");
    }
    // The sweeper asks the address, and then the mails are sent.
    shop.sweep_after(Duration::from_mins(2)).await;
    assert_eq!(shop.confirm_mails(), 1);
    shop.sweep_after(Duration::from_mins(2)).await;
    assert_eq!(shop.order_mail().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn while_sns_is_down_orders_are_accepted_and_their_e_mails_stay_due() {
    for fault in [Fault::Before, Fault::Throttle] {
        let shop = Shop::open().await.stocked("TEA-1", 5).await;
        let ada = shop.customer("Ada").await;
        shop.plant(move |call| (call.service == "sns").then(|| fault.clone()));

        let placed = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;
        let rejected = shop.place(&ada, "key-2", &[("TEA-1", 9)]).await;

        assert_eq!((placed.status, &placed.body["status"]), (201, &json!("CONFIRMED")), "{placed:?}");
        assert_eq!(rejected.problem(), (409, "insufficient_stock"), "{rejected:?}");
        assert_eq!(shop.order_mail(), []);
        for (order, unsent) in [(&placed, 2), (&rejected, 1)] {
            let row = shop.row(order.order_id()).await;
            assert_eq!(row["unsent"], json!([unsent]), "{row}");
            // It is due a minute after it was placed. The execution is over by then.
            let due_at = row["created_at"].as_str().expect("a time").replacen("12:00:", "12:01:", 1);
            assert_eq!(row["due_at"], due_at, "{row}");
            assert!(row["due_shard"].is_string(), "{row}");
        }
        shop.heal();
        shop.audit(&[("TEA-1", 5)], &[&ada]).await;
        // A repeat made no transition, so it leaves the e-mail to the sweeper.
        assert_eq!(shop.place(&ada, "key-1", &[("TEA-1", 1)]).await.status, 200);
        assert_eq!(shop.order_mail(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn an_e_mail_that_cannot_be_noted_as_sent_is_sent_and_stays_due() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.customer("Ada").await;
    shop.plant(|call| {
        (call.caller == "OrderStateMachine" && call.operation == "UpdateItem").then_some(Fault::Before)
    });

    let placed = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;

    assert_eq!((placed.status, shop.order_mail().len()), (201, 1));
    let row = shop.row(placed.order_id()).await;
    assert_eq!((&row["unsent"], row.get("due_at").is_some()), (&json!([2]), true), "{row}");
}

/// The subject of an e-mail must be short and in ASCII, for any product name.
#[tokio::test(start_paused = true)]
async fn an_e_mail_is_sent_for_any_product_name() {
    let names = [
        "Thé «vert» 🍵".to_owned(),
        "茶".repeat(100),
        "{% $states.input %}".to_owned(),
        "\"; Subject: free tea".to_owned(),
        "<b>&amp;</b>".to_owned(),
    ];
    let shop = Shop::open().await.stocked("TEA-1", 50).await;
    let ada = shop.customer("Ada").await;
    for (index, name) in names.iter().enumerate() {
        let described = shop.describe(&shop.admin, "TEA-1", &product(name, 450, "EUR")).await;
        assert_eq!(described.status, 200, "{name}: {described:?}");
        for (key, quantity) in [("few", 1), ("many", 999)] {
            let reply = shop.place(&ada, &format!("{key}-{index}"), &[("TEA-1", quantity)]).await;
            assert!([201, 409].contains(&reply.status), "{name}: {reply:?}");
            let mails = shop.order_mail();
            let mail = mails.last().expect("a mail");
            assert_eq!(mail.order_id.as_deref(), Some(reply.order_id()), "{name}");
            assert!(mail.subject.is_ascii() && (1..100).contains(&mail.subject.len()), "{mail:?}");
        }
        let mails = shop.order_mail();
        assert!(mails[mails.len() - 2].body.contains(name.as_str()), "{name}: {mails:?}");
    }
}

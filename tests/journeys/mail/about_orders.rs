//! An order is mailed to its own customer, once, and to no other address. That holds with many subscribers, and while
//! calls fail.

use local::{aws::Fault, services::sns::FILTER_POLICIES_PER_TOPIC};
use serde_json::{Value, json};

use crate::world::{Shop, TEMPLATE, faults::operation, gestures::product};

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
async fn a_customer_who_has_not_confirmed_can_order_and_is_not_mailed() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.registered("Ada").await;

    let placed = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;

    assert_eq!((placed.status, shop.order_mail()), (201, Vec::new()));
    // The e-mail was published, so nothing is left for the sweeper.
    assert_eq!(shop.row(placed.order_id()).await.get("unsent"), None);
    // An e-mail that was published before the confirmation is not delivered later.
    shop.confirm_mails();
    assert_eq!(shop.order_mail(), []);
    shop.place(&ada, "key-2", &[("TEA-1", 1)]).await;
    assert_eq!(shop.order_mail().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_message_without_a_known_user_id_is_delivered_to_no_address() {
    let shop = Shop::open().await;
    let (ada, _bob) = (shop.customer("Ada").await, shop.customer("Bob").await);
    let attribute = |value: &str| json!({ "DataType": "String", "StringValue": value });

    for attributes in [
        json!({}),
        json!({ "order_id": attribute("1") }),
        json!({ "user_id": attribute("nobody") }),
        json!({ "user_id": attribute(&ada.user_id.to_uppercase()) }),
        json!({ "user_id": attribute(&format!("{} ", ada.user_id)) }),
        json!({ "User_Id": attribute(&ada.user_id) }),
    ] {
        publish(&shop, &attributes);
        assert_eq!(shop.order_mail(), [], "{attributes}");
    }
    publish(&shop, &json!({ "user_id": attribute(&ada.user_id) }));
    assert_eq!(shop.order_mail().len(), 1, "the topic delivers a message with a known user id");
}

#[tokio::test(start_paused = true)]
async fn a_customer_for_whom_the_topic_has_no_room_is_mailed_through_the_next_one() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.customer("Ada").await;
    fill_the_topic(&shop);

    let bob = shop.customer("Bob").await;

    for (customer, key, address) in [(&bob, "key-1", "bob@example.com"), (&ada, "key-1", "ada@example.com")] {
        let placed = shop.place(customer, key, &[("TEA-1", 1)]).await;
        let mails = shop.order_mail();
        let about: Vec<&str> = mails
            .iter()
            .filter(|mail| mail.order_id.as_deref() == Some(placed.order_id()))
            .map(|mail| mail.to.as_str())
            .collect();
        assert_eq!(about, [address]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_customer_for_whom_no_topic_has_room_orders_all_the_same() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    // The account's limit, which no further topic moves.
    shop.plant_times(usize::MAX, Fault::Refuse("FilterPolicyLimitExceeded"), operation("Subscribe"));
    let ada = shop.signed_in("Ada");

    let registered = shop.register(&ada, "Ada").await;
    assert_eq!((registered.status, &registered.body["notifications"]), (201, &json!("unavailable")));
    shop.heal();
    let both = async {
        let placed = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;
        (placed, shop.place(&ada, "key-2", &[("TEA-1", 9)]).await)
    };
    let ((placed, rejected), recorded) = shop.recording(both).await;

    let calls = Shop::counted(&recorded);
    assert_eq!((placed.status, rejected.status), (201, 409), "{placed:?} {rejected:?}");
    assert_eq!(calls.get("sns Publish"), None, "{calls:?}");
    for order in [&placed, &rejected] {
        let row = shop.row(order.order_id()).await;
        for member in ["unsent", "due_at", "due_shard"] {
            assert_eq!(row.get(member), None, "without a subscription it counts as mailed: {row}");
        }
    }
    assert_eq!(shop.order_mail(), []);
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

/// Publishes to the stack's topic without a function.
fn publish(shop: &Shop, attributes: &Value) {
    let message = json!({
        "TopicArn": TEMPLATE.topics[0].arn, "Subject": "s", "Message": "m", "MessageAttributes": attributes,
    });
    shop.stack.sns().call("Publish", &message).expect("it is published");
}

/// Subscribes as many others as the topic has room for.
fn fill_the_topic(shop: &Shop) {
    for n in shop.stack.sns().subscriptions().len()..FILTER_POLICIES_PER_TOPIC {
        let subscription = json!({
            "TopicArn": TEMPLATE.topics[0].arn,
            "Protocol": "email",
            "Endpoint": format!("other{n}@example.com"),
            "Attributes": { "FilterPolicy": json!({ "user_id": [format!("other-{n}")] }).to_string() },
        });
        shop.stack.sns().call("Subscribe", &subscription).expect("there is room");
    }
}

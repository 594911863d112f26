//! The rules of the local SNS, through its JSON form.

mod declared;
mod feed;
mod quotas;
mod topics;

use std::{sync::Arc, time::Duration};

use dynoxide::Database;
use serde_json::{Value, json};
use time::macros::datetime;

use super::Sns;
use crate::ground::{AwsError, MailKind, Mailbox, StackClock, Store};

const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:orders";

struct SnsWorld {
    sns: Sns,
    mailbox: Arc<Mailbox>,
    clock: StackClock,
}

impl SnsWorld {
    fn open() -> Self {
        Self::on(Database::memory().unwrap())
    }

    fn on(db: Database) -> Self {
        let clock = StackClock::held(datetime!(2026-03-01 12:00:00.25 UTC));
        let store = Store::open(db).unwrap();
        let mailbox = Arc::new(Mailbox::open(store.clone()).unwrap());
        let sns = Sns::open(store, clock.clone(), Arc::clone(&mailbox)).unwrap();
        sns.ensure_topic(TOPIC, None).unwrap();
        Self { sns, mailbox, clock }
    }

    fn subscribe(&self, to: &str, user_id: Option<&str>) -> Result<String, AwsError> {
        let attributes = match user_id {
            Some(id) => json!({ "FilterPolicy": json!({ "user_id": [id] }).to_string() }),
            None => json!({}),
        };
        let answer = self.sns.call(
            "Subscribe",
            &json!({"TopicArn": TOPIC, "Protocol": "email", "Endpoint": to, "Attributes": attributes,
                    "ReturnSubscriptionArn": true}),
        )?;
        Ok(answer["SubscriptionArn"].as_str().unwrap().to_owned())
    }

    fn publish(&self, attributes: &[(&str, &str)]) {
        let attributes: serde_json::Map<String, Value> = attributes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!({"DataType": "String", "StringValue": value})))
            .collect();
        let message = json!({"TopicArn": TOPIC, "Subject": "Your order", "Message": "Dear",
                             "MessageAttributes": attributes});
        self.sns.call("Publish", &message).unwrap();
    }

    fn statuses_to(&self, to: &str) -> usize {
        self.mailbox.mails(Some(MailKind::OrderStatus), Some(to)).len()
    }

    fn attribute(&self, arn: &str, name: &str) -> Result<String, AwsError> {
        let answer = self.sns.call("GetSubscriptionAttributes", &json!({ "SubscriptionArn": arn }))?;
        Ok(answer["Attributes"][name].as_str().unwrap_or_default().to_owned())
    }

    fn refusal(&self, action: &str, parameters: &Value) -> String {
        self.sns.call(action, parameters).unwrap_err().to_string()
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_reaches_confirmed_subscriptions_whose_filter_matches_and_nobody_else() {
    let world = SnsWorld::open();
    world.subscribe("ana@example.com", Some("u-ana")).unwrap();
    world.subscribe("everything@example.com", None).unwrap();
    assert_eq!(world.sns.confirm_all().unwrap(), 2);
    world.subscribe("pending@example.com", Some("u-pending")).unwrap();

    world.publish(&[("user_id", "u-ana"), ("order_id", "o-1"), ("status", "CONFIRMED")]);
    world.publish(&[("user_id", "u-pending")]);
    world.publish(&[]);

    assert_eq!(world.statuses_to("ana@example.com"), 1);
    assert_eq!(world.statuses_to("ANA@Example.com"), 1);
    assert_eq!(world.statuses_to("pending@example.com"), 0);
    assert_eq!(world.statuses_to("everything@example.com"), 3);
    let mail = &world.mailbox.mails(Some(MailKind::OrderStatus), Some("ana@example.com"))[0];
    assert_eq!(
        serde_json::to_value(mail).unwrap(),
        json!({"kind": "order_status", "to": "ana@example.com", "subject": "Your order", "body": "Dear",
               "order_id": "o-1", "status": "CONFIRMED", "at": "2026-03-01T12:00:00.250Z"})
    );
}

#[tokio::test(start_paused = true)]
async fn subscribing_again_answers_the_same_subscription_and_asks_again_while_it_is_pending() {
    let world = SnsWorld::open();
    let asked =
        || world.mailbox.mails(Some(MailKind::SubscriptionConfirmation), Some("ana@example.com")).len();
    let arn = world.subscribe("ana@example.com", Some("u-ana")).unwrap();
    assert_eq!(world.subscribe("ana@example.com", Some("u-ana")).unwrap(), arn);
    assert_eq!(asked(), 2);
    world.sns.confirm_all().unwrap();
    assert_eq!(world.subscribe("ana@example.com", Some("u-ana")).unwrap(), arn);
    assert_eq!(world.subscribe("ana@example.com", None).unwrap(), arn);
    assert_eq!(asked(), 2);

    let other = world.subscribe("ana@example.com", Some("u-other")).unwrap_err();
    assert_eq!((other.status, other.code.as_str()), (400, "InvalidParameter"));
    assert!(other.message.ends_with("Subscription already exists with different attributes"));
    assert_eq!(world.sns.subscriptions().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pending_subscription_lapses_after_two_days_and_cannot_be_deleted_before() {
    let world = SnsWorld::open();
    let arn = world.subscribe("ana@example.com", Some("u-ana")).unwrap();
    world.clock.advance(Duration::from_hours(48) - Duration::from_secs(1));
    assert!(world.refusal("Unsubscribe", &json!({ "SubscriptionArn": arn })).contains("pending"));
    assert_eq!(world.attribute(&arn, "PendingConfirmation").unwrap(), "true");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.attribute(&arn, "PendingConfirmation").unwrap_err().status, 404);
    assert_eq!(world.sns.confirm_all().unwrap(), 0);
    assert!(world.sns.subscriptions().is_empty());

    let again = world.subscribe("ana@example.com", Some("u-other")).unwrap();
    assert_ne!(again, arn);
    assert_eq!(world.sns.confirm_all().unwrap(), 1);
    world.clock.advance(Duration::from_hours(48));
    assert_eq!(world.attribute(&again, "PendingConfirmation").unwrap(), "false");
}

#[tokio::test(start_paused = true)]
async fn everything_survives_reopening_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = || Database::new(folder.path().join("data.db").to_str().unwrap()).unwrap();
    let world = SnsWorld::on(file());
    let arns: Vec<String> =
        (0..12).map(|n| world.subscribe(&format!("user{n}@example.com"), Some("u")).unwrap()).collect();
    world.sns.confirm_all().unwrap();
    world.sns.call("Unsubscribe", &json!({ "SubscriptionArn": arns[3] })).unwrap();
    world.publish(&[("user_id", "u")]);
    let (mails, first_id) = (world.mailbox.mails(None, None), world.sns.state().next_id());
    drop(world);

    let world = SnsWorld::on(file());
    assert_eq!(world.mailbox.mails(None, None), mails);
    assert_ne!(world.sns.state().next_id(), first_id);
    world.publish(&[("user_id", "u")]);
    // In the order of subscribing, after what was there, without the one that left.
    let to: Vec<String> = world.mailbox.mails(None, None).drain(mails.len()..).map(|mail| mail.to).collect();
    let left: Vec<String> = (0..12).filter(|n| *n != 3).map(|n| format!("user{n}@example.com")).collect();
    assert_eq!(to, left);
    assert_eq!(world.subscribe("user0@example.com", Some("u")).unwrap(), arns[0]);
    drop(world);
    assert_eq!(SnsWorld::on(file()).mailbox.mails(None, None).len(), mails.len() + 11);
}

fn redrive(queue: &str) -> String {
    json!({ "deadLetterTargetArn": queue }).to_string()
}

#[tokio::test(start_paused = true)]
async fn a_subscription_keeps_its_dead_letters_and_a_topic_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = || Database::new(folder.path().join("data.db").to_str().unwrap()).unwrap();
    let queue = redrive("arn:aws:sqs:us-east-1:000000000000:lost");
    let subscribe = |world: &SnsWorld, queue: &str| {
        let wish = json!({"TopicArn": TOPIC, "Protocol": "email", "Endpoint": "ana@example.com",
                          "Attributes": {"RedrivePolicy": queue}, "ReturnSubscriptionArn": true});
        world
            .sns
            .call("Subscribe", &wish)
            .map(|answer| answer["SubscriptionArn"].as_str().unwrap().to_owned())
    };
    let make = |world: &SnsWorld, key: &str| {
        world.sns.call("CreateTopic", &json!({"Name": "orders-2", "Attributes": {"KmsMasterKeyId": key}}))
    };
    let world = SnsWorld::on(file());
    let arn = subscribe(&world, &queue).unwrap();
    make(&world, "alias/aws/sns").unwrap();
    drop(world);

    let world = SnsWorld::on(file());
    assert_eq!(world.attribute(&arn, "RedrivePolicy").unwrap(), queue);
    assert_eq!(subscribe(&world, &queue).unwrap(), arn);
    assert!(subscribe(&world, &redrive("arn:aws:sqs:us-east-1:000000000000:other")).is_err());
    make(&world, "alias/aws/sns").unwrap();
    assert!(make(&world, "alias/other").is_err());
    world.sns.call("CreateTopic", &json!({"Name": "orders-2"})).unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_a_call_gets_wrong_is_named() {
    let world = SnsWorld::open();
    let publish = |change: Value| {
        let mut message = json!({"TopicArn": TOPIC, "Subject": "s", "Message": "m"});
        message.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        world.sns.call("Publish", &message).map_err(|error| error.to_string())
    };
    let attribute = |data_type: &str, value: &str| json!({"MessageAttributes": {"status": {"DataType": data_type, "StringValue": value}}});
    for (change, named) in [
        (json!({"TopicArn": format!("{TOPIC}-2")}), "NotFound: Topic does not exist"),
        (json!({"Message": ""}), "Empty message"),
        (json!({"Message": "m".repeat(262_145)}), "262145 bytes"),
        (json!({"Message": {"default": "m"}}), "expected a string"),
        (json!({"Subject": ""}), "Subject"),
        (json!({"Subject": "s".repeat(100)}), "Subject"),
        (json!({"Subject": "a\nb"}), "Subject"),
        (json!({"Subject": " a"}), "Subject"),
        (json!({"Subject": "Bestellung bestätigt"}), "Subject"),
        (json!({"MessageStructure": "json"}), "unknown field `MessageStructure`"),
        (attribute("Number", "1"), "supports String"),
        (attribute("String", ""), "non-empty"),
    ] {
        let refused = publish(change.clone()).unwrap_err();
        assert!(refused.contains(named), "{change}: {refused}");
    }
    for change in [
        json!({"Subject": "s".repeat(99)}),
        json!({"Message": "m".repeat(262_144)}),
        json!({"Subject": null}),
    ] {
        publish(change).unwrap();
    }

    let subscribe = |change: Value| {
        let mut wish = json!({"TopicArn": TOPIC, "Protocol": "email", "Endpoint": "ana@example.com"});
        wish.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        world.refusal("Subscribe", &wish)
    };
    for (change, named) in [
        (json!({"TopicArn": format!("{TOPIC}-2")}), "NotFound: Topic does not exist"),
        (json!({"Protocol": "sqs"}), "supports email"),
        (json!({"Endpoint": "ana"}), "Email address"),
        (json!({"Attributes": {"RawMessageDelivery": "true"}}), "RawMessageDelivery = true is not supported"),
        (json!({"Attributes": {"FilterPolicyScope": "MessageBody"}}), "MessageBody is not supported"),
        (json!({"Attributes": {"FilterPolicy": "{\"a\": [{\"exists\": true}]}"}}), "exact strings"),
        (json!({"Attributes": {"RedrivePolicy": "{}"}}), "nothing else"),
        (
            json!({"Attributes": {"RedrivePolicy": redrive("arn:aws:sqs:eu-west-1:000000000000:lost")}}),
            "lost",
        ),
        (
            json!({"Attributes": {"RedrivePolicy": redrive("arn:aws:sqs:us-east-1:000000000000:q.fifo")}}),
            "fifo",
        ),
        (json!({"Attributes": {"RedrivePolicy": redrive("https://sqs/lost")}}), "standard queue"),
        (json!({"ReturnSubscriptionArn": "yes"}), "neither true nor false"),
    ] {
        let refused = subscribe(change.clone());
        assert!(refused.contains(named), "{change}: {refused}");
    }
    for (action, parameters, named) in [
        ("Unsubscribe", json!({"SubscriptionArn": "pending confirmation"}), "at least 6 elements, not 1"),
        ("Unsubscribe", json!({}), "missing field `SubscriptionArn`"),
        ("ConfirmSubscription", json!({"TopicArn": TOPIC, "Token": "guessed"}), "Invalid parameter: Token"),
        ("CreateTopic", json!({"Name": "orders.fifo"}), "no FIFO topics"),
        (
            "CreateTopic",
            json!({"Name": "orders", "Attributes": {"FifoTopic": "true"}}),
            "FifoTopic is not supported, the local SNS supports KmsMasterKeyId",
        ),
        ("CreateTopic", json!({"Name": "orders", "Attributes": {"KmsMasterKeyId": ""}}), "names no key"),
        (
            "CreateTopic",
            json!({"Name": "orders", "Attributes": {"KmsMasterKeyId": "alias/other"}}),
            "Topic already exists with different attributes",
        ),
        ("SetSubscriptionAttributes", json!({}), "supports CreateTopic"),
    ] {
        let refused = world.refusal(action, &parameters);
        assert!(refused.contains(named), "{action}: {refused}");
    }
    let elsewhere = world.sns.ensure_topic("arn:aws:sns:eu-west-1:000000000000:orders", None).unwrap_err();
    assert!(elsewhere.message.contains("us-east-1"), "{elsewhere}");
    assert!(world.mailbox.mails(None, None).is_empty(), "a refused call left a mail");
}

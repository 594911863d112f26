//! Quotas, and what a test plants: late topics, fewer mails a second.

use super::*;
use crate::services::sns::{NewTopicDelay, Quotas};

impl SnsWorld {
    fn outcome(&self, action: &str, parameters: &Value) -> (u16, String) {
        self.sns
            .call(action, parameters)
            .map_or_else(|error| (error.status, error.code), |_| (200, String::new()))
    }
}

fn refused(code: &str) -> (u16, String) {
    (403, code.to_owned())
}

#[tokio::test(start_paused = true)]
async fn an_account_has_so_many_topics_and_so_many_pending_subscriptions() {
    let world = SnsWorld::open();
    world.sns.set_quotas(Quotas { topics: 2, pending_subscriptions: 1, ..Quotas::default() });
    let make = |name: &str| world.outcome("CreateTopic", &json!({ "Name": name }));
    assert_eq!(make("second").0, 200);
    assert_eq!(make("third"), refused("TopicLimitExceeded"));
    assert_eq!(make("second").0, 200, "one that is there is answered");
    let second = TOPIC.replace("orders", "second");
    assert_eq!(world.outcome("DeleteTopic", &json!({ "TopicArn": second })).0, 200);
    assert_eq!(make("third").0, 200);

    let ask = |to: &str| {
        world.outcome("Subscribe", &json!({"TopicArn": TOPIC, "Protocol": "email", "Endpoint": to}))
    };
    assert_eq!(ask("ana@example.com").0, 200);
    assert_eq!(ask("bob@example.com"), refused("SubscriptionLimitExceeded"));
    assert_eq!(ask("ana@example.com").0, 200, "the one that is pending is asked again");
    world.sns.confirm_all().unwrap();
    assert_eq!(ask("bob@example.com").0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_new_topic_is_found_late() {
    let world = SnsWorld::open();
    let topic = |name: &str| TOPIC.replace("orders", name);
    let make = |name: &str| world.outcome("CreateTopic", &json!({ "Name": name })).0;
    let subscribe = |name: &str| {
        let wish = json!({"TopicArn": topic(name), "Protocol": "email", "Endpoint": "ana@example.com"});
        world.outcome("Subscribe", &wish)
    };
    let publish = |name: &str| world.outcome("Publish", &json!({"TopicArn": topic(name), "Message": "hi"}));
    let unknown = (404, "NotFound".to_owned());

    world.sns.delay_new_topics(Some(NewTopicDelay::Calls(2)));
    assert_eq!(make("one"), 200);
    assert_eq!((subscribe("one"), make("one"), publish("one")), (unknown.clone(), 200, unknown.clone()));
    assert_eq!((subscribe("one").0, publish("one").0), (200, 200));
    assert_eq!(publish("orders").0, 200, "the template's topics are there from the start");

    world.sns.delay_new_topics(Some(NewTopicDelay::Time(Duration::from_secs(3))));
    assert_eq!(make("two"), 200);
    world.clock.advance(Duration::from_millis(2_999));
    assert_eq!(subscribe("two"), unknown);
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(subscribe("two").0, 200);

    assert_eq!(make("three"), 200);
    assert_eq!(world.outcome("DeleteTopic", &json!({ "TopicArn": topic("three") })).0, 200);
    world.sns.delay_new_topics(None);
    assert_eq!((publish("three"), make("three"), publish("three").0), (unknown, 200, 200));
}

#[tokio::test(start_paused = true)]
async fn more_than_ten_mails_a_second_make_a_subscription_pending_again_in_silence() {
    let world = SnsWorld::open();
    world.sns.set_quotas(Quotas::OF_AWS);
    let ana = world.subscribe("ana@example.com", Some("u-ana")).unwrap();
    let bob = world.subscribe("bob@example.com", Some("u-bob")).unwrap();
    world.sns.confirm_all().unwrap();
    world.clock.advance(Duration::from_hours(72));
    let asked = || world.mailbox.mails(Some(MailKind::SubscriptionConfirmation), None).len();
    let publish = |times: usize| (0..times).for_each(|_| world.publish(&[("user_id", "u-ana")]));

    publish(10);
    world.clock.advance(Duration::from_millis(999));
    world.publish(&[("user_id", "u-bob")]);
    assert_eq!(world.attribute(&ana, "PendingConfirmation").unwrap(), "false");
    world.clock.advance(Duration::from_millis(1));
    publish(10);
    assert_eq!(world.statuses_to("ana@example.com"), 20);

    world.clock.advance(Duration::from_millis(999));
    publish(3);
    assert_eq!((world.statuses_to("ana@example.com"), asked()), (20, 2));
    assert_eq!(world.attribute(&ana, "PendingConfirmation").unwrap(), "true");
    assert_eq!(world.attribute(&bob, "PendingConfirmation").unwrap(), "false");

    // A subscription that stays pending for 48 hours is deleted. A click before that confirms it again.
    world.clock.advance(Duration::from_hours(47));
    assert_eq!(world.sns.click(&world.sns.confirmations()[0].token).unwrap(), ana);
    publish(11);
    assert_eq!(world.statuses_to("ana@example.com"), 30);
    world.clock.advance(Duration::from_hours(48));
    assert_eq!(world.attribute(&ana, "PendingConfirmation").unwrap_err().status, 404);

    world.sns.set_quotas(Quotas::default());
    (0..50).for_each(|_| world.publish(&[("user_id", "u-bob")]));
    assert_eq!(world.statuses_to("bob@example.com"), 51);
}

//! The messages that were published to the template's own topics.

use super::*;
use crate::services::sns::feed::KEPT;

#[tokio::test(start_paused = true)]
async fn the_feed_holds_what_was_published_to_the_templates_own_topics() {
    let world = SnsWorld::open();
    world.sns.call("CreateTopic", &json!({"Name": "customer-1"})).unwrap();
    let publish = |topic: &str, message: &str| {
        let message = json!({"TopicArn": topic, "Message": message,
                             "MessageAttributes": {"event": {"DataType": "String", "StringValue": "order.confirmed"}}});
        world.sns.call("Publish", &message)
    };
    publish(&TOPIC.replace("orders", "customer-1"), "Dear Ana").unwrap();
    publish(TOPIC, r#"{"event": "order.confirmed", "version": 2}"#).unwrap();
    world.clock.advance(Duration::from_secs(1));
    publish(TOPIC, "plain text").unwrap();
    publish(TOPIC, "").unwrap_err();
    let attributes = json!({"event": "order.confirmed"});
    assert_eq!(
        serde_json::to_value(world.sns.feed()).unwrap(),
        json!([
            {"topic": TOPIC, "message": {"event": "order.confirmed", "version": 2}, "attributes": attributes,
             "at": "2026-03-01T12:00:00.250Z"},
            {"topic": TOPIC, "message": "plain text", "attributes": attributes, "at": "2026-03-01T12:00:01.250Z"},
        ])
    );
}

#[tokio::test(start_paused = true)]
async fn the_feed_keeps_the_last_messages_when_the_file_is_reopened_too() {
    let folder = tempfile::tempdir().unwrap();
    let file = || Database::new(folder.path().join("data.db").to_str().unwrap()).unwrap();
    let publish = |world: &SnsWorld, n: usize| {
        world.sns.call("Publish", &json!({"TopicArn": TOPIC, "Message": n.to_string()})).unwrap();
    };
    let numbers = |world: &SnsWorld| {
        world
            .sns
            .feed()
            .into_iter()
            .map(|item| usize::try_from(item.message.as_u64().unwrap()).unwrap())
            .collect()
    };
    let world = SnsWorld::on(file());
    (0..KEPT + 2).for_each(|n| publish(&world, n));
    let kept: Vec<usize> = numbers(&world);
    assert_eq!(kept, (2..KEPT + 2).collect::<Vec<_>>());
    drop(world);

    let world = SnsWorld::on(file());
    assert_eq!(numbers(&world), kept);
    publish(&world, KEPT + 2);
    let kept: Vec<usize> = numbers(&world);
    assert_eq!(kept, (3..KEPT + 3).collect::<Vec<_>>());
    drop(world);
    assert_eq!(numbers(&SnsWorld::on(file())), kept);
}

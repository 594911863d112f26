//! Topics that come and go, and what becomes of their subscriptions.

use super::*;

impl SnsWorld {
    fn make(&self, name: &str, more: &Value) -> Result<String, AwsError> {
        let mut wish = json!({ "Name": name });
        wish.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = self.sns.call("CreateTopic", &wish)?;
        Ok(answer["TopicArn"].as_str().unwrap().to_owned())
    }

    fn delete(&self, topic: &str) {
        assert_eq!(self.sns.call("DeleteTopic", &json!({ "TopicArn": topic })).unwrap(), json!({}));
    }

    fn subscribe_to(&self, topic: &str, to: &str) -> Result<String, AwsError> {
        let wish =
            json!({"TopicArn": topic, "Protocol": "email", "Endpoint": to, "ReturnSubscriptionArn": true});
        Ok(self.sns.call("Subscribe", &wish)?["SubscriptionArn"].as_str().unwrap().to_owned())
    }

    fn publish_to(&self, topic: &str) -> Result<Value, AwsError> {
        self.sns.call("Publish", &json!({"TopicArn": topic, "Message": "Dear"}))
    }

    /// The token of the last confirmation that was mailed to this address.
    fn token_of(&self, to: &str) -> String {
        self.sns.confirmations().into_iter().rfind(|mailed| mailed.to == to).unwrap().token
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_made_again_is_the_same_unless_what_it_is_made_with_differs() {
    let world = SnsWorld::open();
    let with = |name: &str, key: &str, tag: &str| {
        json!({"Attributes": {"DisplayName": name, "KmsMasterKeyId": key},
               "Tags": [{"Key": "orderflow:stack", "Value": tag}]})
    };
    let arn = world.make("customer-1", &with("Shop", "alias/a", "one")).unwrap();
    assert_eq!(arn, TOPIC.replace("orders", "customer-1"));
    for same in [
        with("Shop", "alias/a", "one"),
        json!({}),
        json!({"Attributes": {"DisplayName": "Shop"}}),
        json!({"Tags": []}),
    ] {
        assert_eq!(world.make("customer-1", &same).unwrap(), arn, "{same}");
    }
    for (other, named) in [
        (
            with("Other", "alias/a", "one"),
            "Attributes Reason: Topic already exists with different attributes",
        ),
        (with("Shop", "alias/b", "one"), "Attributes Reason: Topic already exists with different attributes"),
        (with("Shop", "alias/a", "two"), "Tags Reason: Topic already exists with different tags"),
    ] {
        let refused = world.make("customer-1", &other).unwrap_err();
        assert_eq!((refused.status, refused.code.as_str()), (400, "InvalidParameter"));
        assert_eq!(refused.message, format!("Invalid parameter: {named}"), "{other}");
    }
    let long = json!({"Attributes": {"DisplayName": "é".repeat(101)}});
    assert!(world.make("customer-2", &long).unwrap_err().message.contains("more than 100 characters"));
    world.make("customer-2", &json!({"Attributes": {"DisplayName": "é".repeat(100)}})).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_deleted_topic_takes_its_confirmed_subscriptions_along() {
    let world = SnsWorld::open();
    let topic = world.make("customer-1", &json!({})).unwrap();
    let arn = world.subscribe_to(&topic, "ana@example.com").unwrap();
    let token = world.token_of("ana@example.com");
    assert_eq!(world.sns.click(&token).unwrap(), arn);
    world.publish_to(&topic).unwrap();
    assert_eq!(world.statuses_to("ana@example.com"), 1);

    world.delete(&topic);
    world.delete(&topic);
    for refused in [
        world.publish_to(&topic).unwrap_err(),
        world.subscribe_to(&topic, "ana@example.com").unwrap_err(),
        world.sns.click(&token).unwrap_err(),
    ] {
        assert_eq!(
            (refused.status, refused.code.as_str(), refused.message.as_str()),
            (404, "NotFound", "Topic does not exist")
        );
    }
    assert_eq!(world.attribute(&arn, "TopicArn").unwrap_err().status, 404);
    world.sns.unsubscribe_by_link(&arn).unwrap();
    assert_eq!((world.sns.topics(), world.sns.subscriptions().len()), (vec![TOPIC.to_owned()], 0));

    // The same name made again has nothing of the first.
    world.make("customer-1", &json!({"Attributes": {"DisplayName": "Other"}})).unwrap();
    world.publish_to(&topic).unwrap();
    assert!(world.sns.click(&token).unwrap_err().message.ends_with("Token"));
    assert_eq!(world.statuses_to("ana@example.com"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pending_subscription_outlives_its_topic_and_its_old_link_works_on_a_new_one() {
    let world = SnsWorld::open();
    let topic = world.make("customer-1", &json!({})).unwrap();
    let arn = world.subscribe_to(&topic, "ana@example.com").unwrap();
    let token = world.token_of("ana@example.com");
    world.delete(&topic);
    assert_eq!(world.sns.click(&token).unwrap_err().code, "NotFound");
    assert_eq!(world.sns.confirm_all().unwrap(), 0);
    assert_eq!(world.attribute(&arn, "PendingConfirmation").unwrap(), "true");

    world.clock.advance(Duration::from_hours(47));
    world.make("customer-1", &json!({})).unwrap();
    assert_eq!(world.sns.click(&token).unwrap(), arn);
    world.publish_to(&topic).unwrap();
    assert_eq!(world.statuses_to("ana@example.com"), 1);

    let bob = world.subscribe_to(&topic, "bob@example.com").unwrap();
    let token = world.token_of("bob@example.com");
    world.delete(&topic);
    world.clock.advance(Duration::from_hours(48));
    world.make("customer-1", &json!({})).unwrap();
    assert_eq!(world.sns.click(&token).unwrap_err().code, "InvalidParameter");
    assert_eq!(world.attribute(&bob, "PendingConfirmation").unwrap_err().status, 404);
}

#[tokio::test(start_paused = true)]
async fn topics_and_orphans_survive_reopening_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = || Database::new(folder.path().join("data.db").to_str().unwrap()).unwrap();
    let settings = json!({"Attributes": {"DisplayName": "Shop"}, "Tags": [{"Key": "a", "Value": "b"}]});
    let world = SnsWorld::on(file());
    let (kept, gone) = (world.make("kept", &settings).unwrap(), world.make("gone", &json!({})).unwrap());
    let arn = world.subscribe_to(&gone, "ana@example.com").unwrap();
    world.subscribe_to(&gone, "bob@example.com").unwrap();
    world.sns.click(&world.token_of("bob@example.com")).unwrap();
    world.delete(&gone);
    drop(world);

    let world = SnsWorld::on(file());
    assert_eq!(world.sns.topics(), [kept, TOPIC.to_owned()]);
    world.make("kept", &settings).unwrap();
    assert!(world.make("kept", &json!({"Tags": [{"Key": "a", "Value": "c"}]})).is_err());
    world.make("gone", &json!({})).unwrap();
    assert_eq!(world.sns.click(&world.token_of("ana@example.com")).unwrap(), arn);
    assert!(world.sns.click(&world.token_of("bob@example.com")).is_err());
}

#[tokio::test(start_paused = true)]
async fn every_confirmation_that_was_mailed_can_be_clicked() {
    let world = SnsWorld::open();
    let topic = world.make("customer-1", &json!({})).unwrap();
    for to in ["ana@example.com", "bob@example.com", "ana@example.com"] {
        world.subscribe_to(&topic, to).unwrap();
    }
    let mailed = world.sns.confirmations();
    let to: Vec<&str> = mailed.iter().map(|one| one.to.as_str()).collect();
    assert_eq!(to, ["ana@example.com", "bob@example.com", "ana@example.com"]);
    assert!(mailed.iter().all(|one| one.topic_arn == topic));
    let ana = world.sns.click(&mailed[2].token).unwrap();
    assert_eq!(world.sns.click(&mailed[0].token).unwrap(), ana);
    let confirmed: Vec<(String, bool)> =
        world.sns.subscriptions().into_iter().map(|one| (one.endpoint, one.confirmed)).collect();
    assert_eq!(confirmed, [("ana@example.com".to_owned(), true), ("bob@example.com".to_owned(), false)]);

    world.sns.unsubscribe_by_link(&ana).unwrap();
    world.publish_to(&topic).unwrap();
    assert_eq!(world.statuses_to("ana@example.com"), 0);
    assert_eq!(world.sns.click(&mailed[0].token).unwrap_err().code, "InvalidParameter");
    assert_eq!(world.sns.click("guessed").unwrap_err().code, "InvalidParameter");
}

//! The real SDK against the local SNS and the Query protocol, in memory: each side understands the other.

use std::{collections::HashMap, sync::Arc};

use aws_sdk_sns::{
    Client,
    config::{BehaviorVersion, Credentials, Region, SharedHttpClient},
    error::ProvideErrorMetadata,
    operation::{RequestId, subscribe::SubscribeError},
    types::{MessageAttributeValue, Tag},
};
use aws_smithy_runtime_api::client::{
    http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
    orchestrator::HttpRequest,
};
use aws_smithy_types::body::SdkBody;
use dynoxide::Database;

use super::query;
use crate::{
    ground::{MailKind, Mailbox, StackClock, Store},
    services::sns::Sns,
};

#[derive(Clone)]
struct InMemory(Arc<Sns>);

impl std::fmt::Debug for InMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InMemory")
    }
}

impl HttpConnector for InMemory {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (action, parameters) = query::read(request.body().bytes().unwrap()).unwrap();
        let answer = query::write(&action, &self.0.call(&action, &parameters), "request-1");
        HttpConnectorFuture::ready(Ok(answer.map(SdkBody::from).try_into().unwrap()))
    }
}

fn world() -> (Arc<Mailbox>, Client) {
    let store = Store::open(Database::memory().unwrap()).unwrap();
    let mailbox = Arc::new(Mailbox::open(store.clone()).unwrap());
    let sns = Arc::new(Sns::open(store, StackClock::system(), Arc::clone(&mailbox)).unwrap());
    let connector = SharedHttpConnector::new(InMemory(Arc::clone(&sns)));
    let http_client: SharedHttpClient = http_client_fn(move |_, _| connector.clone());
    let config = aws_sdk_sns::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("TestFunction", "secret", None, None, "test"))
        .http_client(http_client)
        .build();
    (mailbox, Client::from_conf(config))
}

#[tokio::test]
async fn the_sdk_subscribes_confirms_publishes_and_unsubscribes() {
    let (mailbox, client) = world();
    let topic = client.create_topic().name("orders").send().await.unwrap();
    assert_eq!(topic.request_id(), Some("request-1"));
    let topic = topic.topic_arn.unwrap();

    let subscribe = || {
        client
            .subscribe()
            .topic_arn(&topic)
            .protocol("email")
            .endpoint("ana+<&>@example.com".replace(['<', '>'], ""))
            .attributes("FilterPolicy", r#"{"user_id": ["ana & co"]}"#)
    };
    assert_eq!(subscribe().send().await.unwrap().subscription_arn.as_deref(), Some("pending confirmation"));
    let arn = subscribe().return_subscription_arn(true).send().await.unwrap().subscription_arn.unwrap();
    assert!(arn.starts_with(&format!("{topic}:")));

    let attributes = async || {
        let answer = client.get_subscription_attributes().subscription_arn(&arn).send().await.unwrap();
        answer.attributes.unwrap()
    };
    let before = attributes().await;
    assert_eq!(before["PendingConfirmation"], "true");
    assert_eq!(before["Endpoint"], "ana+&@example.com");
    assert_eq!(before["FilterPolicy"], r#"{"user_id": ["ana & co"]}"#);

    let pending = client.unsubscribe().subscription_arn(&arn).send().await.unwrap_err().into_service_error();
    assert!(pending.is_invalid_parameter_exception(), "{pending:?}");

    let mail = mailbox.mails(None, None).pop().unwrap();
    let token = mail.body.split("--token ").nth(1).unwrap().trim();
    let confirmed = client.confirm_subscription().topic_arn(&topic).token(token).send().await.unwrap();
    assert_eq!(confirmed.subscription_arn.as_deref(), Some(arn.as_str()));
    assert_eq!(attributes().await["PendingConfirmation"], "false");

    let attribute = |value: &str| {
        MessageAttributeValue::builder().data_type("String").string_value(value).build().unwrap()
    };
    let attributes = HashMap::from([
        ("user_id".to_owned(), attribute("ana & co")),
        ("order_id".to_owned(), attribute("o-1")),
        ("status".to_owned(), attribute("CONFIRMED")),
    ]);
    let body = "Dear Ana,\r\n\"50 % off\" <b> é 日本\n";
    let publish = client.publish().topic_arn(&topic).subject("Order o-1: confirmed").message(body);
    let first = publish.clone().set_message_attributes(Some(attributes.clone())).send().await.unwrap();
    let second = publish.clone().send().await.unwrap();
    assert_ne!(first.message_id, second.message_id);
    let delivered = mailbox.mails(Some(MailKind::OrderStatus), None);
    assert_eq!(delivered.len(), 1, "a message without user_id was delivered");
    assert_eq!(delivered[0].body, body);
    assert_eq!(delivered[0].order_id.as_deref(), Some("o-1"));
    assert_eq!(delivered[0].status.as_deref(), Some("CONFIRMED"));

    client.unsubscribe().subscription_arn(&arn).send().await.unwrap();
    client.unsubscribe().subscription_arn(&arn).send().await.unwrap();
    publish.set_message_attributes(Some(attributes)).send().await.unwrap();
    assert_eq!(mailbox.mails(Some(MailKind::OrderStatus), None).len(), 1);
}

#[tokio::test]
async fn the_sdk_receives_each_error_under_its_own_type() {
    let (_, client) = world();
    let topic = client.create_topic().name("orders").send().await.unwrap().topic_arn.unwrap();
    let subscribe = |n: usize, policy: &str| {
        client
            .subscribe()
            .topic_arn(&topic)
            .protocol("email")
            .endpoint(format!("user{n}@example.com"))
            .attributes("FilterPolicy", policy)
            .send()
    };
    for n in 0..200 {
        subscribe(n, r#"{"user_id": ["1"]}"#).await.unwrap();
    }
    let full = subscribe(200, r#"{"user_id": ["1"]}"#).await.unwrap_err();
    assert_eq!(full.raw_response().unwrap().status().as_u16(), 403);
    assert!(matches!(full.into_service_error(), SubscribeError::FilterPolicyLimitExceededException(_)));
    // An existing subscription is returned, even on a full topic.
    subscribe(7, r#"{"user_id": ["1"]}"#).await.unwrap();

    let other = subscribe(7, r#"{"user_id": ["2"]}"#).await.unwrap_err().into_service_error();
    assert!(other.is_invalid_parameter_exception());
    assert!(other.message().unwrap().contains("already exists with different attributes"), "{other:?}");

    let nowhere = client.publish().topic_arn(format!("{topic}-2")).message("x").send().await.unwrap_err();
    assert!(nowhere.into_service_error().is_not_found_exception());
    let gone = client.get_subscription_attributes().subscription_arn(format!("{topic}:gone")).send();
    assert!(gone.await.unwrap_err().into_service_error().is_not_found_exception());
    let pending = client.get_subscription_attributes().subscription_arn("pending confirmation").send();
    assert!(pending.await.unwrap_err().into_service_error().is_invalid_parameter_exception());
    let unsupported = client.list_topics().send().await.unwrap_err().into_service_error();
    assert_eq!(unsupported.code(), Some("InvalidAction"));
    assert!(unsupported.message().unwrap().contains("ListTopics"));
}

#[tokio::test]
async fn the_sdk_makes_a_topic_of_its_own_and_deletes_it() {
    let (_, client) = world();
    let tag = Tag::builder().key("orderflow:stack").value("orderflow").build().unwrap();
    let make = |name: &str| {
        let wish = client.create_topic().name("customer-1").attributes("DisplayName", name).tags(tag.clone());
        wish.attributes("KmsMasterKeyId", "alias/aws/sns").send()
    };
    let topic = make("Shop").await.unwrap().topic_arn.unwrap();
    assert_eq!(make("Shop").await.unwrap().topic_arn.as_ref(), Some(&topic));
    let other = make("Other").await.unwrap_err().into_service_error();
    assert!(other.is_invalid_parameter_exception(), "{other:?}");
    client.delete_topic().topic_arn(&topic).send().await.unwrap();
    client.delete_topic().topic_arn(&topic).send().await.unwrap();
    let gone = client.publish().topic_arn(&topic).message("x").send().await.unwrap_err();
    assert!(gone.into_service_error().is_not_found_exception());
}

//! Many customers at once, each with a topic of their own.

use std::collections::{BTreeMap, BTreeSet};

use local::{
    aws::Recorded,
    ground::ACCOUNT,
    services::sns::{NewTopicDelay, Quotas},
};
use sam_template::{Template, permits};
use serde_json::json;

use crate::world::{
    Customer, Shop,
    requests::Reply,
    seeds::{seeds, thorough},
    shop::{TEMPLATE, template_with},
};

/// The customers who register at the same time.
const AT_ONCE: usize = 16;

impl Shop {
    /// So many people with a token.
    fn crowd(&self, name: &str, size: usize) -> Vec<Customer> {
        (0..size).map(|n| self.signed_in(&format!("{name}-{n}"))).collect()
    }

    /// Registers them all, sixteen at a time.
    async fn register_all(&self, customers: &[Customer]) -> Vec<Reply> {
        let mut replies = Vec::new();
        for some in customers.chunks(AT_ONCE) {
            let registering = some.iter().map(|customer| self.register(customer, "Somebody"));
            replies.extend(futures_util::future::join_all(registering).await);
        }
        replies
    }

    /// The customers' topics.
    pub(crate) fn customer_topics(&self) -> BTreeSet<String> {
        let prefix = format!("{}-customer-", TEMPLATE.topics.first().expect("a topic").arn);
        self.stack.sns().topics().into_iter().filter(|arn| arn.starts_with(&prefix)).collect()
    }

    /// Sees to it that an order of each is mailed to that customer, once, and to nobody else.
    async fn each_is_told_alone(&self, customers: &[Customer], key: &str) {
        let before = self.order_mail().len();
        for customer in customers {
            assert_eq!(self.told(customer, key).await, [customer.email.as_str()], "{}", customer.user_id);
        }
        assert_eq!(self.order_mail().len(), before + customers.len());
    }
}

fn told(replies: &[Reply]) -> BTreeMap<(u16, String), usize> {
    let mut counts = BTreeMap::new();
    for reply in replies {
        let state = reply.body["notifications"].as_str().unwrap_or_default().to_owned();
        *counts.entry((reply.status, state)).or_default() += 1;
    }
    counts
}

#[tokio::test(start_paused = true)]
async fn four_hundred_and_fifty_customers_have_a_topic_each_and_are_mailed_alone() {
    let shop = Shop::open().await.stocked("TEA-1", 100_000).await;
    let customers = shop.crowd("customer", 450);

    let replies = shop.register_all(&customers).await;

    assert_eq!(told(&replies), BTreeMap::from([((201, "pending".to_owned()), 450)]));
    assert_eq!(shop.customer_topics().len(), 450);
    assert_eq!(shop.confirm_mails(), 450);
    // An order takes a while in a build for debugging: every ninth then.
    let every = if thorough() { 1 } else { 9 };
    let some: Vec<Customer> = customers.iter().step_by(every).cloned().collect();
    for customer in &some {
        assert_eq!(shop.register(customer, "Somebody").await.body["notifications"], "confirmed");
    }
    shop.each_is_told_alone(&some, "key-1").await;
}

#[tokio::test(start_paused = true)]
async fn two_users_of_one_address_who_register_at_once_are_each_told_of_their_own_orders() {
    for seed in seeds() {
        let shop = Shop::open_with(seed.0).await.stocked("TEA-1", 100).await;
        let users: Vec<Customer> =
            (0..2).map(|n| shop.signed_in_as(&format!("user-{n}"), "both@example.com")).collect();

        let replies = shop.register_all(&users).await;

        assert_eq!(told(&replies), BTreeMap::from([((201, "pending".to_owned()), 2)]));
        assert_eq!(shop.customer_topics().len(), 2);
        shop.confirm_mails();
        shop.register_all(&users).await;
        shop.each_is_told_alone(&users, "key-1").await;
    }
}

#[tokio::test(start_paused = true)]
async fn one_customer_who_registers_sixteen_times_at_once_has_one_topic_and_is_asked_once() {
    for seed in seeds() {
        let shop = Shop::open_with(seed.0).await;
        let ada = shop.signed_in("Ada");

        let replies = futures_util::future::join_all((0..AT_ONCE).map(|_| shop.register(&ada, "Ada"))).await;

        let made = replies.iter().filter(|reply| reply.status == 201).count();
        assert_eq!(made, 1, "{replies:?}");
        assert!(replies.iter().all(|reply| [200, 201].contains(&reply.status)), "{replies:?}");
        assert_eq!(shop.customer_topics().len(), 1);
        assert_eq!(shop.stack.sns().confirmations().len(), 1, "the address is asked once");
    }
}

#[tokio::test(start_paused = true)]
async fn with_no_room_for_topics_customers_register_and_order_and_the_sweeper_asks_them_later() {
    let shop = Shop::open().await.stocked("TEA-1", 1_000).await;
    let own = shop.stack.sns().topics().len();
    shop.stack.sns().set_quotas(Quotas { topics: own + 10, ..Quotas::default() });
    let customers = shop.crowd("customer", 40);

    let replies = shop.register_all(&customers).await;

    let expected = [((201, "pending".to_owned()), 10), ((201, "unavailable".to_owned()), 30)];
    assert_eq!(told(&replies), BTreeMap::from(expected));
    let (served, refused): (Vec<_>, Vec<_>) =
        customers.iter().zip(&replies).partition(|(_, reply)| reply.body["notifications"] == "pending");
    for (customer, _) in &refused {
        assert_eq!(shop.notifications(customer).await, "unavailable");
        assert_eq!(shop.place(customer, "key-1", &[("TEA-1", 1)]).await.status, 201);
    }
    assert_eq!(shop.stack.sns().confirmations().len(), served.len());
    // Once there is room, the sweeper asks them.
    shop.stack.sns().set_quotas(Quotas::default());
    for _ in 0..3 {
        shop.sweep_when_due().await;
        shop.sweep_when_due().await;
    }
    assert_eq!(shop.customer_topics().len(), 40);
    shop.confirm_mails();
    for (customer, _) in &refused {
        assert_eq!(shop.register(customer, "Somebody").await.body["notifications"], "confirmed");
    }
    shop.sweep_when_due().await;
    let mailed: BTreeSet<String> = shop.order_mail().into_iter().map(|mail| mail.to).collect();
    let waited: BTreeSet<String> = refused.iter().map(|(customer, _)| customer.email.clone()).collect();
    assert_eq!(mailed, waited, "the mails that waited are sent");
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_visible_late_is_subscribed_all_the_same() {
    for calls in 1..=3 {
        let shop = Shop::open().await;
        shop.stack.sns().delay_new_topics(Some(NewTopicDelay::Calls(calls)));
        let ada = shop.signed_in("Ada");
        let reply = shop.register(&ada, "Ada").await;
        assert_eq!((reply.status, &reply.body["notifications"]), (201, &json!("pending")), "{calls}");
        assert_eq!(shop.stack.sns().confirmations().len(), 1, "{calls}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_stays_invisible_is_subscribed_by_the_sweeper() {
    let shop = Shop::open().await;
    shop.stack.sns().delay_new_topics(Some(NewTopicDelay::Calls(1_000)));
    let ada = shop.signed_in("Ada");

    let reply = shop.register(&ada, "Ada").await;

    assert_eq!(reply.problem(), (503, "try_again"), "{reply:?}");
    assert_eq!(shop.notifications(&ada).await, "pending");
    let topics = shop.customer_topics();
    shop.stack.sns().delay_new_topics(None);
    shop.stack.sns().call("DeleteTopic", &json!({ "TopicArn": topics.first() })).expect("it is deleted");
    shop.sweep_when_due().await;
    assert_eq!(shop.customer_topics(), topics, "the same topic");
    assert_eq!(shop.stack.sns().confirmations().len(), 1);
}

/// The queue of what could not be delivered.
fn dead_letters() -> &'static str {
    let sweeper = TEMPLATE.functions.iter().find(|function| function.binary == "sweep_orders");
    sweeper.and_then(|sweeper| sweeper.on_failure.as_deref()).expect("a queue")
}

#[tokio::test(start_paused = true)]
async fn every_topic_says_whose_stack_it_is_and_every_subscription_has_the_queue_of_dead_letters() {
    let shop = Shop::open().await;
    let customers = shop.crowd("customer", 3);

    let (_, recorded) = shop.recording(shop.register_all(&customers)).await;

    let made: Vec<&str> = recorded
        .iter()
        .filter(|recorded| recorded.call.operation == "CreateTopic")
        .map(|recorded| recorded.text.as_str())
        .collect();
    assert_eq!(made.len(), 3);
    for call in made {
        assert!(call.contains("orderflow:stack") && call.contains("DisplayName"), "{call}");
        assert!(!call.contains("KmsMasterKeyId"), "no key unless the template names one: {call}");
    }
    let subscriptions = shop.stack.sns().subscriptions();
    assert_eq!(subscriptions.len(), 3);
    for subscription in subscriptions {
        assert_eq!(subscription.dead_letters.as_deref(), Some(dead_letters()), "{subscription:?}");
        assert_eq!(subscription.filter_policy, None, "{subscription:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_of_the_team_encrypts_every_customers_topic_and_the_workflow_may_use_it() {
    let key = format!("arn:aws:kms:us-east-1:{}:key/our-own", ACCOUNT.id);
    let template = template_with(&[("CustomerTopicKey", &key)]).expect("a template");
    let shop = Shop::of(&template, 1).await.stocked("TEA-1", 5).await;
    let (ada, recorded) = shop.recording(shop.customer("Ada")).await;
    let made: Vec<&Recorded> = recorded.iter().filter(|made| made.call.operation == "CreateTopic").collect();
    assert_eq!(made.len(), 1);
    assert!(made[0].text.contains(&key), "{}", made[0].text);
    assert_eq!(shop.told(&ada, "key-1").await, ["ada@example.com"]);
    let may = |template: &Template| {
        let machine = template.state_machines.first().expect("a machine");
        permits(&machine.statements, "kms:GenerateDataKey", &key)
    };
    assert!(may(&template) && !may(&TEMPLATE));
    assert!(
        template_with(&[("CustomerTopicKey", "alias/ours")]).is_err(),
        "a role is permitted a key by its ARN"
    );
}

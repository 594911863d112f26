//! More customers than one topic takes: everybody is subscribed, and each order is mailed to its own customer alone.
//! Topics are made when they are needed and no sooner, however many register at once and whatever fails meanwhile.

use std::collections::BTreeMap;

use aws_adapters::{Subscribed, TopicWiring, Topics, Users, Wish, database, notifications};
use domain::{EmailAddress, UserId};
use futures_util::{StreamExt as _, stream};
use local::{
    aws::{Fault, sdk_config},
    services::sns::Limits,
};
use serde_json::json;

use crate::world::{
    Customer, Reply, Shop, TEMPLATE,
    faults::{counts, operation},
    seeds,
    seeds::thorough,
    tables,
};

/// Customers who register at the same time.
const AT_ONCE: usize = 16;

impl Shop {
    /// Registers everybody, 16 at a time, and answers what each was told.
    async fn register_all(&self, customers: &[Customer]) -> Vec<Reply> {
        let registered = customers.iter().map(|customer| self.register(customer, "Somebody"));
        stream::iter(registered).buffered(AT_ONCE).collect().await
    }

    fn crowd(&self, name: &str, count: usize) -> Vec<Customer> {
        (0..count).map(|n| self.signed_in(&format!("{name}-{n}"))).collect()
    }

    /// How many subscriptions each topic of customers has, by the topics' names.
    fn by_topic(&self) -> BTreeMap<String, usize> {
        let name = |arn: &str| arn.rsplit(':').next().expect("a name").to_owned();
        let sns = self.stack.sns();
        let first = &TEMPLATE.topics.first().expect("a topic").arn;
        let topics = sns.topics();
        let of_customers = topics.iter().filter(|arn| arn.starts_with(first.as_str()));
        let mut counts: BTreeMap<String, usize> = of_customers.map(|arn| (name(arn), 0)).collect();
        for subscription in sns.subscriptions() {
            *counts.entry(name(&subscription.topic_arn)).or_default() += 1;
        }
        counts
    }

    /// Sees to it that an order of each is mailed to that customer, once, and to nobody else.
    async fn each_is_told_alone(&self, customers: &[Customer], key: &str) {
        let before = self.order_mail().len();
        for customer in customers {
            assert_eq!(self.told(customer, key).await, [customer.email.as_str()], "{}", customer.user_id);
        }
        assert_eq!(self.order_mail().len(), before + customers.len());
    }

    /// The overflow topic that the table remembers.
    async fn remembered(&self) -> Option<String> {
        let rows = self.rows("UsersTable").await;
        let row = rows.into_iter().find(|row| row.get("newest").is_some())?;
        let arn = row["topic_arn"].as_str().expect("an ARN").to_owned();
        assert!(arn.ends_with(&format!("-{}", row["newest"])), "{row}");
        Some(arn)
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
async fn four_hundred_and_fifty_customers_need_three_topics_and_each_is_mailed_alone() {
    let shop = Shop::open().await.stocked("TEA-1", 100_000).await;
    let customers = shop.crowd("customer", 450);

    let replies = shop.register_all(&customers).await;

    assert_eq!(told(&replies), BTreeMap::from([((201, "pending".to_owned()), 450)]));
    let counts: Vec<usize> = shop.by_topic().into_values().collect();
    assert_eq!(counts, [200, 200, 50], "{:?}", shop.by_topic());
    assert_eq!(shop.confirm_mails(), 450);
    // An order takes a while in a build for debugging: every ninth then, of each topic some.
    let every = if thorough() { 1 } else { 9 };
    let some: Vec<Customer> = customers.iter().step_by(every).cloned().collect();
    shop.each_is_told_alone(&some, "key-1").await;
    for customer in &some {
        assert_eq!(shop.notifications(customer).await, "confirmed");
    }
}

#[tokio::test(start_paused = true)]
async fn two_users_of_one_address_who_register_at_once_are_each_told_of_their_own_orders() {
    for seed in seeds() {
        let shop = Shop::open_with(seed.0).await.stocked("TEA-1", 100).await;
        let users: Vec<Customer> =
            (0..2).map(|n| shop.signed_in_as(&format!("user-{n}"), "both@example.com")).collect();

        let replies = shop.register_all(&users).await;

        assert_eq!(told(&replies), BTreeMap::from([((201, "pending".to_owned()), 2)]));
        assert_eq!(shop.by_topic().into_values().collect::<Vec<_>>(), [1, 1]);
        shop.confirm_mails();
        shop.each_is_told_alone(&users, "key-1").await;
    }
}

#[tokio::test(start_paused = true)]
async fn at_the_edge_of_a_topic_sixteen_at_once_make_one_more_and_no_second() {
    for seed in seeds() {
        let shop = Shop::open_with(seed.0).await;
        shop.stack.sns().limit(Limits { per_topic: 20, per_account: 10_000 });
        shop.register_all(&shop.crowd("early", 17)).await;
        let replies = shop.register_all(&shop.crowd("late", AT_ONCE)).await;
        assert_eq!(told(&replies), BTreeMap::from([((201, "pending".to_owned()), AT_ONCE)]));
        assert_eq!(shop.by_topic().into_values().collect::<Vec<_>>(), [20, 13]);
        // The next edge: seven more fit.
        let replies = shop.register_all(&shop.crowd("later", AT_ONCE)).await;
        assert_eq!(told(&replies), BTreeMap::from([((201, "pending".to_owned()), AT_ONCE)]));
        assert_eq!(shop.by_topic().into_values().collect::<Vec<_>>(), [20, 20, 9]);
    }
}

/// Topics as small as these are full before everybody who saw them empty has tried: some are told `unavailable`, and
/// subscribed when they try again. No topic is made while another has room, and the newest one is not forgotten.
#[tokio::test(start_paused = true)]
async fn a_crowd_that_fills_topics_faster_than_they_are_made_is_subscribed_in_the_end() {
    for seed in seeds() {
        let shop = Shop::open_with(seed.0).await;
        shop.stack.sns().limit(Limits { per_topic: 2, per_account: 10_000 });
        let mut waiting = shop.crowd("customer", AT_ONCE);
        for _ in 0..AT_ONCE {
            let replies = shop.register_all(&waiting).await;
            let refused = |reply: &Reply| reply.body["notifications"] == "unavailable";
            let states = replies.iter().map(refused);
            waiting =
                waiting.into_iter().zip(states).filter(|(_, refused)| *refused).map(|(one, _)| one).collect();
            let counts = shop.by_topic();
            let newest = counts.keys().max_by_key(|name| (name.len(), *name)).expect("a topic");
            let remembered = shop.remembered().await.expect("an overflow topic");
            assert!(remembered.ends_with(newest), "{remembered} is not the newest: {counts:?}");
        }
        assert!(waiting.is_empty(), "{} are still not subscribed", waiting.len());
        assert_eq!(shop.by_topic().into_values().collect::<Vec<_>>(), [2; AT_ONCE / 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn with_the_accounts_limit_reached_users_register_and_order_and_no_topics_pile_up() {
    let shop = Shop::open().await.stocked("TEA-1", 1_000).await;
    shop.stack.sns().limit(Limits { per_topic: 4, per_account: 10 });
    let customers = shop.crowd("customer", 40);

    let replies = shop.register_all(&customers).await;

    let expected = [((201, "pending".to_owned()), 10), ((201, "unavailable".to_owned()), 30)];
    assert_eq!(told(&replies), BTreeMap::from(expected));
    // The fourth was made to find out that a further topic is of no use, once.
    assert_eq!(shop.by_topic().into_values().collect::<Vec<_>>(), [4, 4, 2, 0]);
    shop.confirm_mails();
    for (customer, reply) in customers.iter().zip(&replies) {
        let subscribed = reply.body["notifications"] == "pending";
        assert_eq!(shop.notifications(customer).await, if subscribed { "confirmed" } else { "unavailable" });
        let mailed = shop.told(customer, "key-1").await;
        assert_eq!(mailed, if subscribed { vec![customer.email.clone()] } else { vec![] });
    }
    for row in shop.rows("OrdersTable").await {
        assert!(row.get("unsent").is_none() && row.get("due_at").is_none(), "nobody can be told: {row}");
    }
    // Once there is room, whoever tries again is subscribed.
    shop.stack.sns().limit(Limits { per_topic: 4, per_account: 40 });
    for (customer, before) in customers.iter().zip(&replies) {
        let again = shop.register(customer, "Somebody").await;
        let subscribed = before.body["notifications"] == "pending";
        let now = if subscribed { "confirmed" } else { "pending" };
        assert_eq!((again.status, &again.body["notifications"]), (200, &json!(now)), "{again:?}");
    }
    assert_eq!(shop.by_topic().into_values().collect::<Vec<_>>(), [4; 10]);
}

#[tokio::test(start_paused = true)]
async fn a_request_makes_one_topic_at_most_and_none_while_the_newest_has_room() {
    let shop = Shop::open().await;
    shop.stack.sns().limit(Limits { per_topic: 3, per_account: 8 });
    let mut made = Vec::new();
    for customer in shop.crowd("customer", 11) {
        let (_, recorded) = shop.recording(shop.register(&customer, "Somebody")).await;
        let calls = Shop::counted(&recorded);
        made.push(calls.get("sns CreateTopic").copied().unwrap_or_default());
        assert!(calls.get("sns Subscribe").is_some_and(|count| *count <= 3), "{calls:?}");
    }
    assert_eq!(made, [0, 0, 0, 1, 0, 0, 1, 0, 1, 1, 1]);
    assert_eq!(shop.by_topic().into_values().collect::<Vec<_>>(), [3, 3, 2, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_note_that_comes_late_does_not_bring_an_older_topic_back() {
    let shop = Shop::open().await;
    shop.stack.sns().limit(Limits { per_topic: 2, per_account: 100 });
    shop.register_all(&shop.crowd("early", 2)).await;
    let (bob, others) = (shop.signed_in("Bob"), shop.crowd("late", 2));
    let noting = shop.plant_once(Fault::Before, operation("UpdateItem"));

    // Bob's note that there is a second topic fails. Before the SDK tries it again, others have filled the second and
    // noted a third.
    let (bobs, ()) = tokio::join!(shop.register(&bob, "Bob"), async {
        noting.notified().await;
        for other in &others {
            assert_eq!(shop.register(other, "Other").await.status, 201);
        }
        assert!(shop.remembered().await.is_some_and(|arn| arn.ends_with("-3")));
    });

    assert_eq!((bobs.status, &bobs.body["notifications"]), (201, &json!("pending")));
    assert_eq!(shop.by_topic().into_values().collect::<Vec<_>>(), [2, 2, 1]);
    assert!(shop.remembered().await.is_some_and(|arn| arn.ends_with("-3")));
}

/// Lambda runs as many instances of a function as there are requests at once, each with a memory of its own.
#[tokio::test(start_paused = true)]
async fn another_instance_of_the_function_finds_the_topic_that_the_first_one_made() {
    let shop = Shop::open().await;
    shop.stack.sns().limit(Limits { per_topic: 2, per_account: 100 });
    shop.register_all(&shop.crowd("customer", 3)).await;
    assert_eq!(shop.by_topic().into_values().collect::<Vec<_>>(), [2, 1]);

    let config = sdk_config(shop.stack.aws(), "CreateUserFunction", shop.stack.clock());
    let users = Users::new(database(&config), tables::name("UsersTable").to_owned());
    let topic = TEMPLATE.topics.first().expect("a topic");
    let wiring = TopicWiring {
        first_arn: topic.arn.clone(),
        key_id: topic.key_id.clone().expect("a key"),
        dead_letters_arn: dead_letters().to_owned(),
    };
    let fresh = Topics::new(notifications(&config), wiring);
    let subscribe = async |name: &str| {
        let user = UserId::try_from(name.to_owned()).expect("an id");
        let email = EmailAddress::try_from(format!("{name}@example.com")).expect("an address");
        let subscribing = fresh.subscribe(&users, &user, &email, &Wish::Any);
        let (subscribed, recorded) = shop.recording(subscribing).await;
        let subscribed = subscribed.expect("an answer");
        let Subscribed::Made(subscription) = subscribed else { panic!("there is room") };
        (subscription.topic_arn, Shop::counted(&recorded))
    };

    let (topic, calls) = subscribe("dora").await;
    assert!(topic.ends_with("-2"), "{topic}");
    assert_eq!(calls, counts(&[("dynamodb GetItem", 1), ("sns Subscribe", 2)]));
    let (topic, calls) = subscribe("emil").await;
    assert!(topic.ends_with("-3"), "{topic}");
    let once =
        [("dynamodb GetItem", 1), ("dynamodb UpdateItem", 1), ("sns CreateTopic", 1), ("sns Subscribe", 2)];
    assert_eq!(calls, counts(&once));
    // From then on it knows: one call.
    let (topic, calls) = subscribe("finn").await;
    assert!(topic.ends_with("-3"), "{topic}");
    assert_eq!(calls, counts(&[("sns Subscribe", 1)]));
    // The shop's own instance, which knows of the second only, follows.
    shop.register_all(&shop.crowd("guest", 1)).await;
    assert_eq!(shop.by_topic().into_values().collect::<Vec<_>>(), [2, 2, 2, 1]);
    assert!(shop.remembered().await.is_some_and(|arn| arn.ends_with("-4")));
}

#[tokio::test(start_paused = true)]
async fn whichever_call_of_making_a_topic_fails_repeating_it_makes_one_and_only_one() {
    let open = async || {
        let shop = Shop::open().await.stocked("TEA-1", 5).await;
        shop.stack.sns().limit(Limits { per_topic: 1, per_account: 10 });
        let ada = shop.customer("Ada").await;
        (shop.signed_in("Bob"), shop, ada)
    };
    let (bob, shop, _) = open().await;
    let calls = shop.calls_of(shop.register(&bob, "Bob")).await;
    assert!(calls.iter().any(|call| call.operation == "CreateTopic"), "{calls:?}");
    for (at, call) in calls.iter().enumerate() {
        for fault in [Fault::Before, Fault::After, Fault::Throttle] {
            for times in [1, usize::MAX] {
                let of = format!("call {at}, {call:?}, {fault:?} {times} times");
                let (bob, shop, ada) = open().await;
                let mut made = 0;
                shop.plant_times(times, fault.clone(), move |_| {
                    made += 1;
                    made > at
                });

                let first = shop.register(&bob, "Bob").await;

                assert!([201, 200, 503].contains(&first.status), "{of}: {first:?}");
                shop.heal();
                let again = shop.register(&bob, "Bob").await;
                assert_eq!(again.body["notifications"], json!("pending"), "{of}: {again:?}");
                assert_eq!(shop.by_topic().into_values().collect::<Vec<_>>(), [1, 1], "{of}");
                assert!(shop.remembered().await.is_some_and(|arn| arn.ends_with("-2")), "{of}");
                shop.confirm_mails();
                shop.each_is_told_alone(&[ada, bob], "key-1").await;
            }
        }
    }
}

/// The queue of what could not be delivered.
fn dead_letters() -> &'static str {
    let sweeper = TEMPLATE.functions.iter().find(|function| function.binary == "sweep_orders");
    sweeper.and_then(|sweeper| sweeper.on_failure.as_deref()).expect("a queue")
}

#[tokio::test(start_paused = true)]
async fn every_topic_has_the_key_of_the_first_and_every_subscription_the_queue_of_dead_letters() {
    let shop = Shop::open().await;
    shop.stack.sns().limit(Limits { per_topic: 2, per_account: 100 });
    let customers = shop.crowd("customer", 3);

    let (_, recorded) = shop.recording(shop.register_all(&customers)).await;

    let calls = |operation: &str| -> Vec<&str> {
        let made = recorded.iter().filter(|recorded| recorded.call.operation == operation);
        made.map(|recorded| recorded.text.as_str()).collect()
    };
    let key = TEMPLATE.topics[0].key_id.as_deref().expect("the first topic has a key");
    let made = calls("CreateTopic");
    assert!(!made.is_empty());
    for call in made {
        assert!(call.contains(&format!("\"KmsMasterKeyId\": String(\"{key}\")")), "{call}");
    }
    let subscriptions = shop.stack.sns().subscriptions();
    assert_eq!(subscriptions.len(), 3);
    for subscription in subscriptions {
        assert_eq!(subscription.dead_letters.as_deref(), Some(dead_letters()), "{subscription:?}");
    }
}

//! Why each customer has a topic of their own. The design before had one topic with a filter policy for each customer, and
//! further topics when one was full. It is kept here, without its table, as a control: the same deeds that the shop
//! withstands give its mail to a former address, use up the account, and count mails as sent that reach nobody.

use std::collections::BTreeMap;

use local::services::sns::Limits;
use serde_json::{Value, json};

use crate::world::{Customer, Shop, shop::TEMPLATE};

/// A customer's row, as the design before had it.
#[derive(Clone, Default)]
struct FormerRow {
    email: String,
    /// The topic and the subscription.
    subscription: Option<(String, String)>,
}

/// The rows and the newest overflow topic, which all instances of the function share.
#[derive(Default)]
struct FormerTables {
    rows: BTreeMap<String, FormerRow>,
    newest: u32,
}

/// One instance of the function, with what it remembers.
#[derive(Default)]
struct FormerInstance {
    newest: u32,
}

struct Former {
    shop: Shop,
    tables: FormerTables,
}

impl Former {
    fn of(shop: &Shop) -> Self {
        Self { shop: shop.clone(), tables: FormerTables::default() }
    }

    fn topic(number: u32) -> String {
        let first = &TEMPLATE.topics[0].arn;
        if number < 2 { first.clone() } else { format!("{first}-{number}") }
    }

    /// Subscribes an address, filtered to its user. `None` when the topic has no room for it.
    fn subscribe_to(&self, number: u32, user: &str, email: &str) -> Option<(String, String)> {
        let topic = Self::topic(number);
        let filter = json!({ "user_id": [user] }).to_string();
        let wish = json!({
            "TopicArn": topic, "Protocol": "email", "Endpoint": email, "ReturnSubscriptionArn": true,
            "Attributes": { "FilterPolicy": filter },
        });
        let made = self.shop.stack.sns().call("Subscribe", &wish).ok()?;
        Some((topic, made["SubscriptionArn"].as_str()?.to_owned()))
    }

    fn pending(&self, subscription: &str) -> bool {
        let asked = json!({ "SubscriptionArn": subscription });
        let state = self.shop.stack.sns().call("GetSubscriptionAttributes", &asked);
        state.is_ok_and(|state| state["Attributes"]["PendingConfirmation"] == "true")
    }

    /// `POST /users`. Answers whether the address was subscribed.
    fn register(&mut self, instance: &mut FormerInstance, user: &str, email: &str) -> bool {
        let before = self.tables.rows.get(user).cloned().unwrap_or_default();
        let mut avoid = None;
        if let Some((topic, subscription)) = before.subscription {
            if before.email == email {
                self.tables.rows.insert(
                    user.to_owned(),
                    FormerRow { email: email.to_owned(), subscription: Some((topic, subscription)) },
                );
                return true;
            }
            // A pending subscription cannot be ended, so its topic is avoided.
            if self.pending(&subscription) {
                avoid = Some(topic);
            } else {
                let _ended =
                    self.shop.stack.sns().call("Unsubscribe", &json!({ "SubscriptionArn": subscription }));
            }
        }
        let mut tries = vec![instance.newest, self.tables.newest];
        tries.dedup();
        let mut made = None;
        for number in tries {
            if made.is_none() && avoid.as_deref() != Some(&Self::topic(number)) {
                made = self.subscribe_to(number, user, email);
            }
        }
        instance.newest = self.tables.newest;
        if made.is_none() {
            let number = self.tables.newest.max(1) + 1;
            let name = Self::topic(number).rsplit(':').next().unwrap_or_default().to_owned();
            if self.shop.stack.sns().call("CreateTopic", &json!({ "Name": name })).is_ok() {
                made = self.subscribe_to(number, user, email);
                if made.is_some() {
                    (self.tables.newest, instance.newest) = (number, number);
                }
            }
        }
        let subscribed = made.is_some();
        self.tables.rows.insert(user.to_owned(), FormerRow { email: email.to_owned(), subscription: made });
        subscribed
    }

    /// `DELETE /users/me`.
    fn leave(&mut self, user: &str) {
        if let Some((_, subscription)) = self.tables.rows.remove(user).and_then(|row| row.subscription) {
            // It has no effect while the subscription is pending.
            let _pending =
                self.shop.stack.sns().call("Unsubscribe", &json!({ "SubscriptionArn": subscription }));
        }
    }

    /// Announces a status. Answers whether it counts as announced: SNS took it.
    fn announce(&self, user: &str) -> bool {
        let Some((topic, _)) = self.tables.rows.get(user).and_then(|row| row.subscription.clone()) else {
            return true;
        };
        let attribute = |value: &str| json!({ "DataType": "String", "StringValue": value });
        let attributes = json!({ "user_id": attribute(user), "order_id": attribute("1"), "status": attribute("CONFIRMED") });
        let message =
            json!({ "TopicArn": topic, "Subject": "s", "Message": "m", "MessageAttributes": attributes });
        self.shop.stack.sns().call("Publish", &message).is_ok()
    }
}

/// Clicks every confirmation that was ever mailed.
fn click_all(shop: &Shop) {
    for mailed in shop.stack.sns().confirmations() {
        let _gone = shop.stack.sns().click(&mailed.token);
    }
}

fn mailed(shop: &Shop) -> Vec<String> {
    shop.order_mail().into_iter().map(|mail| mail.to).collect()
}

const ADDRESSES: [&str; 3] = ["a@example.com", "b@example.com", "c@example.com"];

#[tokio::test(start_paused = true)]
async fn two_tokens_that_alternate_used_up_the_account_and_the_next_customer_was_not_served() {
    let shop = Shop::open().await;
    shop.stack.sns().limit(Limits { per_topic: 200, per_account: 20 });
    let (mut former, mut instance) = (Former::of(&shop), FormerInstance::default());
    let topics = shop.stack.sns().topics().len();
    for n in 0..21 {
        former.register(&mut instance, "eve", ADDRESSES[n % 2]);
    }
    assert!(shop.stack.sns().topics().len() >= topics + 18, "a topic for nearly each request");
    assert!(!former.register(&mut instance, "bob", "bob@example.com"), "the next customer is unavailable");

    // The shop, asked the same.
    let shop = Shop::open().await;
    let tokens: Vec<Customer> = (0..2).map(|n| shop.signed_in_as("eve", ADDRESSES[n])).collect();
    for n in 0..21 {
        shop.register(&tokens[n % 2], "Eve").await;
    }
    assert_eq!(shop.customer_topics().len(), 1);
    assert_eq!(shop.registered("Bob").await.email, "bob@example.com");
}

#[tokio::test(start_paused = true)]
async fn a_click_on_an_old_confirmation_brought_a_former_address_back() {
    for erased in [true, false] {
        let shop = Shop::open().await;
        let mut former = Former::of(&shop);
        former.register(&mut FormerInstance::default(), "ada", ADDRESSES[0]);
        if erased {
            former.leave("ada");
        } else {
            former.register(&mut FormerInstance::default(), "ada", ADDRESSES[1]);
        }
        // Another instance, which knows nothing of the topics so far.
        former.register(&mut FormerInstance::default(), "ada", ADDRESSES[2]);
        click_all(&shop);
        assert!(former.announce("ada"));
        assert!(mailed(&shop).contains(&ADDRESSES[0].to_owned()), "erased {erased}: {:?}", mailed(&shop));

        // The shop, asked the same.
        let shop = Shop::open().await.stocked("TEA-1", 5).await;
        let ada = shop.signed_in_as("ada", ADDRESSES[0]);
        shop.register(&ada, "Ada").await;
        if erased {
            assert_eq!(shop.leave(&ada).await.status, 204);
        } else {
            shop.register(&shop.signed_in_as("ada", ADDRESSES[1]), "Ada").await;
        }
        let last = shop.signed_in_as("ada", ADDRESSES[2]);
        shop.register(&last, "Ada").await;
        click_all(&shop);
        shop.confirmed(&last, "Ada").await;
        assert_eq!(shop.told(&last, "key-1").await, [ADDRESSES[2]]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_status_counted_as_announced_although_nobody_was_mailed() {
    let shop = Shop::open().await;
    let mut former = Former::of(&shop);
    former.register(&mut FormerInstance::default(), "ada", ADDRESSES[0]);
    assert!(former.announce("ada"), "it counts as announced");
    click_all(&shop);
    assert_eq!(mailed(&shop), [""; 0], "and nobody will ever be mailed");

    // The shop, asked the same.
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.registered("Ada").await;
    let placed = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;
    assert_eq!(shop.row(placed.order_id()).await["unsent"], json!([2]), "it does not count");
    click_all(&shop);
    shop.sweep_when_due().await;
    assert_eq!(mailed(&shop), ["ada@example.com"]);
    let read: Value = shop.get(&format!("/orders/{}", placed.order_id()), &ada).await.body;
    assert!(read["history"][1]["mailed_at"].is_string(), "{read}");
}

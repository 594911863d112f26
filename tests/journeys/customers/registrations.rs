//! Random histories of registration: after any of them, mail reaches nobody but the customer.
//!
//! Two customers register, with old and new tokens and addresses that they share, leave, come back, click every
//! confirmation that was ever mailed, end mails by their links, and order in between. Several deeds happen at once.
//! `create_user` remembers nothing between two requests, so its instances need no telling apart.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use domain::Timestamp;
use fastrand::Rng;
use futures_util::future::join_all;
use local::{aws::Recorded, services::sns::NewTopicDelay};
use serde_json::{Value, json};

use crate::world::{Customer, Reply, Shop, Storm, each_of, seeds::seeds_of};

/// Says how many histories there are. Each takes as long as a few races.
const HISTORIES: &str = "ORDERFLOW_SEEDS";
const ROUNDS: usize = 10;
const AT_ONCE: usize = 3;
const USERS: [&str; 2] = ["user-1", "user-2"];
/// Both customers use the last one.
const ADDRESSES: [&str; 4] = ["a@example.com", "b@example.com", "c@example.com", "shared@example.com"];

/// What somebody does.
#[derive(Clone, Debug)]
enum Act {
    /// Register with a token, and perhaps a wish.
    Register {
        caller: Customer,
        wish: Option<&'static str>,
    },
    Leave {
        caller: Customer,
    },
    Place {
        caller: Customer,
        key: String,
    },
    Cancel {
        caller: Customer,
        order_id: String,
    },
    Ship {
        order_id: String,
        version: u64,
    },
    /// Click any confirmation that was ever mailed.
    Click {
        token: String,
    },
    /// Click the link of any mail that was ever sent.
    End {
        subscription: String,
    },
    Sweep,
}

/// A history, and what it knows.
struct Registrations {
    shop: Shop,
    random: Rng,
    /// Every token so far.
    tokens: Vec<Customer>,
    /// The orders so far, with the version that was last seen.
    orders: BTreeMap<String, u64>,
    /// Every subscription that was ever seen.
    subscriptions: BTreeSet<String>,
    keys: usize,
    /// The mails about orders that were judged so far.
    judged: usize,
}

impl Registrations {
    async fn begin(seed: u64) -> Self {
        let shop = Shop::open_with(seed).await.stocked("TEA-1", 1_000).await;
        let random = Rng::with_seed(seed);
        let (tokens, orders, subscriptions) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        Self { shop, random, tokens, orders, subscriptions, keys: 0, judged: 0 }
    }

    /// A token for any address, which may be older than others, or not say how old it is.
    fn token(&mut self) -> Customer {
        if !self.tokens.is_empty() && self.random.u8(..10) < 4 {
            return self.tokens[self.random.usize(..self.tokens.len())].clone();
        }
        let user = USERS[self.random.usize(..USERS.len())];
        let address = ADDRESSES[self.random.usize(..ADDRESSES.len())];
        let mut token = self.shop.signed_in_as(user, address);
        if self.random.u8(..10) == 0 {
            token = self.shop.claiming(&token, &json!({ "iat": null }));
        }
        self.tokens.push(token.clone());
        token
    }

    fn think_up(&mut self) -> Act {
        let order = (!self.orders.is_empty()).then(|| self.random.usize(..self.orders.len()));
        let order =
            order.and_then(|at| self.orders.iter().nth(at).map(|(id, version)| (id.clone(), *version)));
        let mailed = self.shop.stack.sns().confirmations();
        match (self.random.u8(..20), order) {
            (0..=6, _) => {
                let wish = [None, None, None, Some("on"), Some("off")][self.random.usize(..5)];
                Act::Register { caller: self.token(), wish }
            }
            (7, _) => Act::Leave { caller: self.token() },
            (8..=10, _) if !mailed.is_empty() => {
                Act::Click { token: mailed[self.random.usize(..mailed.len())].token.clone() }
            }
            (11, _) if !self.subscriptions.is_empty() => {
                let at = self.random.usize(..self.subscriptions.len());
                Act::End { subscription: self.subscriptions.iter().nth(at).cloned().unwrap_or_default() }
            }
            (12, Some((order_id, _))) => Act::Cancel { caller: self.token(), order_id },
            (13 | 14, Some((order_id, version))) => Act::Ship { order_id, version },
            (15, _) => Act::Sweep,
            _ => {
                self.keys += 1;
                Act::Place { caller: self.token(), key: format!("key-{}", self.keys) }
            }
        }
    }

    async fn act(&self, act: &Act) -> Option<Reply> {
        let shop = &self.shop;
        Some(match act {
            Act::Register { caller, wish: None } => shop.register(caller, "Somebody").await,
            Act::Register { caller, wish: Some(wish) } => {
                shop.register_with(caller, json!({ "name": "Somebody", "notifications": wish })).await
            }
            Act::Leave { caller } => shop.leave(caller).await,
            Act::Place { caller, key } => shop.place(caller, key, &[("TEA-1", 1)]).await,
            Act::Cancel { caller, order_id } => shop.cancel(caller, order_id).await,
            Act::Ship { order_id, version } => {
                shop.patch(&shop.admin_again(), order_id, "SHIPPED", *version).await
            }
            Act::Click { token } => {
                let _gone = shop.stack.sns().click(token);
                return None;
            }
            Act::End { subscription } => {
                let _pending = shop.stack.sns().unsubscribe_by_link(subscription);
                return None;
            }
            Act::Sweep => {
                shop.sweep().await;
                return None;
            }
        })
    }

    /// Does a few deeds at once, judges what came of them, and lets time pass.
    async fn round(&mut self) {
        let acts: Vec<Act> = (0..self.random.usize(1..=AT_ONCE)).map(|_| self.think_up()).collect();
        let (before, rows) = (self.addresses().await, self.users().await);
        let sent = self.mailed_at().await;
        let (replies, recorded) = {
            let this = &*self;
            this.shop.recording(join_all(acts.iter().map(|act| this.act(act)))).await
        };
        // An execution that nobody waits for any more must end in its own round.
        let ((), late) = self.shop.recording(self.shop.settle()).await;
        for (act, reply) in acts.iter().zip(replies.into_iter().flatten()) {
            let fine = [200, 201, 202, 204, 401, 403, 404, 409, 412, 429, 503].contains(&reply.status);
            assert!(fine, "{act:?}: {reply:?}");
            if let (false, Some(version)) = (reply.order_id().is_empty(), reply.body["version"].as_u64()) {
                self.orders.insert(reply.order_id().to_owned(), version);
            }
        }
        let calls: Vec<&Recorded> = recorded.iter().chain(&late).collect();
        self.judge_mail(before, calls.iter().copied()).await;
        self.judge_topics().await;
        self.judge_addresses(&rows).await;
        self.judge_marks(&rows, &sent, &calls).await;
        let there = self.shop.stack.sns().subscriptions();
        self.subscriptions.extend(there.into_iter().map(|one| one.arn));
        let minutes = [0, 1, 1, 2, 5, 20, 61, 60 * 25][self.random.usize(..8)];
        self.shop.wait(Duration::from_mins(minutes));
    }

    /// The rows of the customers, by id.
    async fn users(&self) -> BTreeMap<String, Value> {
        let rows = self.shop.rows("UsersTable").await;
        rows.into_iter().map(|row| (text(&row, "user_id"), row)).collect()
    }

    /// Each version of an order that says it was mailed, with its customer and the time.
    async fn mailed_at(&self) -> BTreeMap<(String, u64), (String, String)> {
        let mut mailed = BTreeMap::new();
        for order in self.shop.rows("OrdersTable").await {
            for entry in order["history"].as_array().into_iter().flatten() {
                let version = entry["version"].as_u64().unwrap_or_default();
                if entry.get("mailed_at").is_some() {
                    let said = (text(&order, "user_id"), text(entry, "mailed_at"));
                    mailed.insert((text(&order, "order_id"), version), said);
                }
            }
        }
        mailed
    }

    /// An address changes only with a token that is newer than every one before.
    async fn judge_addresses(&self, before: &BTreeMap<String, Value>) {
        for (user, row) in self.users().await {
            let Some(was) = before.get(&user) else { continue };
            let newest = |row: &Value| row["address_token_at"].as_i64().unwrap_or_default();
            assert!(newest(&row) >= newest(was), "{was:#} became {row:#}");
            if row.get("email").is_some() && row["email"] != was["email"] {
                assert!(
                    newest(&row) > newest(was),
                    "an old token changed the address: {was:#} became {row:#}"
                );
            }
        }
    }

    /// An order says that it was mailed only if a confirmation was noted within the day before.
    async fn judge_marks(
        &self,
        before: &BTreeMap<String, Value>,
        sent: &BTreeMap<(String, u64), (String, String)>,
        calls: &[&Recorded],
    ) {
        let after = self.users().await;
        for (version, (user, at)) in self.mailed_at().await {
            let written = calls.iter().any(|made| {
                made.call.operation == "PutItem"
                    && made.call.target.ends_with("UsersTable")
                    && made.text.contains(user.as_str())
            });
            // A row that was written meanwhile may have been another one when it was read.
            if written || sent.get(&version).is_some_and(|(_, before)| *before == at) {
                continue;
            }
            let parsed = |text: &str| Timestamp::parse(text).expect("a time");
            let noted = [before.get(&user), after.get(&user)].into_iter().flatten().any(|row| {
                let noted = row["confirmed_at"].as_str();
                noted.is_some_and(|noted| parsed(&at).since(parsed(noted)) <= Duration::from_hours(24))
            });
            assert!(
                noted,
                "{version:?} says it was mailed at {at}, and no confirmation is noted: {before:#?}"
            );
        }
    }

    /// The address of each registered customer.
    async fn addresses(&self) -> BTreeMap<String, BTreeSet<String>> {
        let rows = self.shop.rows("UsersTable").await;
        let registered = rows.iter().filter(|row| row.get("email").is_some());
        registered.map(|row| (text(row, "user_id"), BTreeSet::from([text(row, "email")]))).collect()
    }

    /// Whoever was mailed had the address of the customer's row within this round.
    async fn judge_mail<'a>(
        &mut self,
        mut addresses: BTreeMap<String, BTreeSet<String>>,
        recorded: impl Iterator<Item = &'a Recorded>,
    ) {
        for put in recorded
            .filter(|made| made.call.operation == "PutItem" && made.call.target.ends_with("UsersTable"))
        {
            for user in USERS.iter().filter(|user| put.text.contains(**user)) {
                let written = ADDRESSES.iter().filter(|address| put.text.contains(**address));
                addresses.entry((*user).to_owned()).or_default().extend(written.map(|one| (*one).to_owned()));
            }
        }
        let orders = self.shop.rows("OrdersTable").await;
        for mail in self.shop.order_mail().split_off(self.judged) {
            self.judged += 1;
            let order = orders.iter().find(|order| Some(text(order, "order_id")) == mail.order_id);
            let user = text(order.expect("a mail about an order"), "user_id");
            let allowed = addresses.get(&user).is_some_and(|known| known.contains(&mail.to));
            assert!(allowed, "{user} had {:?}, and {} was mailed", addresses.get(&user), mail.to);
        }
    }

    /// A customer has one topic and three that are being deleted, and no topic is without a customer.
    async fn judge_topics(&self) {
        let rows = self.shop.rows("UsersTable").await;
        let mut known = BTreeSet::new();
        for row in &rows {
            let retired: Vec<String> = row["retired"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|topic| text(topic, "topic_arn"))
                .collect();
            let current = row.get("topic_arn").map(|_| text(row, "topic_arn"));
            assert!(retired.len() + usize::from(current.is_some()) <= 4, "{row:#}");
            known.extend(retired.into_iter().chain(current));
            if row.get("email").is_none() {
                for name in ["name", "mail", "topic_arn", "subscription_arn"] {
                    assert!(row.get(name).is_none(), "{name} of a customer who left: {row:#}");
                }
            }
        }
        for topic in self.shop.customer_topics() {
            assert!(known.contains(&topic), "{topic} belongs to no row: {rows:#?}");
        }
    }

    /// Lets everything that is left be finished, and judges that it is. So many mails were sent and not acknowledged, or
    /// could not be noted. If their customer left before they could be sent again, no history says that they were sent.
    async fn run_dry(&mut self, unacknowledged: usize) {
        let mut unnoted = 0;
        self.shop.stack.sns().delay_new_topics(None);
        // Longer than a mail waits for a confirmation, and more often than the sweeper tries.
        let hours = [1; 12].into_iter().chain([24; 4]).chain([1; 4]);
        for wait in hours.map(Duration::from_hours) {
            let before = self.addresses().await;
            let ((), recorded) = self.shop.recording(self.shop.sweep_after(wait)).await;
            self.judge_mail(before, recorded.iter()).await;
        }
        self.judge_topics().await;
        let rows = self.shop.rows("UsersTable").await;
        let mut current = BTreeSet::new();
        for row in &rows {
            for name in ["todo_shard", "todo_at", "retired"] {
                assert!(row.get(name).is_none(), "{name} is left over: {row:#}");
            }
            let on = row.get("topic_arn").filter(|_| row["mail"] != "off");
            current.extend(on.map(|_| text(row, "topic_arn")));
        }
        let live = self.shop.customer_topics();
        assert!(current.is_subset(&live), "a customer has no topic: {rows:#?} {live:?}");
        for order in self.shop.rows("OrdersTable").await {
            for name in ["unsent", "untold", "due_at", "due_shard", "attempts"] {
                assert!(order.get(name).is_none(), "{name} is left over: {order:#}");
            }
            let mails = self.shop.order_mail();
            for entry in order["history"].as_array().into_iter().flatten() {
                let about = |mail: &&local::ground::DeliveredMail| {
                    mail.order_id.as_deref() == order["order_id"].as_str()
                        && mail.status.as_deref() == entry["status"].as_str()
                };
                let mailed = mails.iter().filter(about).count();
                unnoted += usize::from(mailed > 0 && entry.get("mailed_at").is_none());
                assert!(unnoted <= unacknowledged, "mailed, and the history does not say so: {order:#}");
            }
        }
    }

    /// Whatever has happened, a customer who registers with a new token and confirms is mailed, alone and at that address.
    async fn everybody_can_be_mailed(&self) {
        // The bounds of a day are over.
        self.shop.wait(Duration::from_hours(25));
        for (user, address) in USERS.iter().zip(ADDRESSES) {
            let customer = self.shop.signed_in_as(user, address);
            let wanted = json!({ "name": "Somebody", "notifications": "on" });
            let reply = self.shop.register_with(&customer, wanted.clone()).await;
            assert!([200, 201].contains(&reply.status), "{reply:?}");
            self.shop.confirm_mails();
            let reply = self.shop.register_with(&customer, wanted).await;
            assert_eq!(
                (&reply.body["notifications"], &reply.body["email"]),
                (&json!("confirmed"), &json!(address)),
                "{reply:?}"
            );
            assert_eq!(self.shop.told(&customer, "at-last").await, [address]);
        }
    }
}

fn text(row: &Value, name: &str) -> String {
    row[name].as_str().unwrap_or_default().to_owned()
}

#[test]
fn after_any_history_only_the_customer_is_mailed_and_each_topic_has_a_customer() {
    each_of(seeds_of(HISTORIES, 24), async |seed| {
        let mut history = Registrations::begin(seed).await;
        for _ in 0..ROUNDS {
            history.round().await;
        }
        history.run_dry(0).await;
        history.everybody_can_be_mailed().await;
    });
}

#[test]
fn with_faults_in_three_of_ten_calls_only_the_customer_is_mailed_and_each_topic_has_a_customer() {
    each_of(seeds_of(HISTORIES, 12), async |seed| {
        let mut history = Registrations::begin(seed).await;
        let storm = Storm::over(&history.shop, seed);
        history.shop.stack.sns().delay_new_topics(Some(NewTopicDelay::Calls(u32::from(seed % 3 == 0))));
        for _ in 0..ROUNDS {
            history.round().await;
        }
        let unacknowledged = storm.end(&history.shop);
        history.run_dry(unacknowledged).await;
        history.everybody_can_be_mailed().await;
    });
}

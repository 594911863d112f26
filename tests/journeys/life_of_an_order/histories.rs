//! Random histories of a shop. Customers and admins place, repeat, cancel, ship, deliver, adjust and resume, a few of
//! them at once, while the sweeper runs. In the end the books balance, and every status was mailed once. With faults in
//! the AWS calls it was mailed at least once.
//!
//! A seed makes a history: `ORDERFLOW_SEED=17` runs the seventeenth again, call by call.

use std::time::Duration;

use fastrand::Rng;
use futures_util::future::join_all;
use local::aws::Fault;
use serde_json::{Value, json};

use crate::world::{
    Books, Customer, Mailed, Reply, Shop, Storm, each_of, requests::without_mailed_at, seeds::seeds_of,
    waiting::LONGEST_WAIT,
};

/// The products and their first stock, which is low enough to run out.
const SKUS: [(&str, i64); 3] = [("TEA-1", 12), ("TEA-2", 6), ("CUP-1", 3)];
const CUSTOMERS: [&str; 3] = ["Ada", "Bob", "Cyd"];
const ADMINS: [&str; 2] = ["Ann", "Ben"];

/// The variable that says how many histories to run.
const HISTORIES: &str = "ORDERFLOW_HISTORIES";

/// The number of rounds, and the most deeds in one round.
const ROUNDS: usize = 8;
const AT_ONCE: usize = 4;

/// Among so many orders each status must occur.
const MANY: usize = 200;

/// The time between two rounds. An order that was left is due after two rounds.
const BETWEEN: Duration = Duration::from_secs(31);

#[test]
fn after_any_history_the_books_balance_and_every_status_is_mailed_once() {
    let histories = each_of(seeds_of(HISTORIES, 200), async |seed| {
        let mut history = History::begin(seed).await;
        for _ in 0..ROUNDS {
            history.round(Allowed::Plain).await;
        }
        history.run_dry().await;
        let books = history.books().await;
        books.are_settled(Mailed::Once);
        history.answers_came_true(&books);
        Tally::of(&books)
    });
    Tally::sum(&histories).has_everything();
}

#[test]
fn with_faults_in_three_of_ten_calls_the_books_balance_and_every_status_is_mailed_at_least_once() {
    // Half as many as without faults, since each takes longer.
    let histories = each_of(seeds_of(HISTORIES, 100), async |seed| {
        let mut history = History::begin(seed).await;
        let storm = Storm::over(&history.shop, seed);
        for _ in 0..ROUNDS {
            history.round(Allowed::Unknown).await;
        }
        let lost = storm.end(&history.shop);
        history.run_dry().await;
        let books = history.books().await;
        books.are_settled(Mailed::AtLeastOnce { repeats: lost });
        history.answers_came_true(&books);
        Tally { repeats: books.repeated_mails(), ..Tally::of(&books) }
    });
    let all = Tally::sum(&histories);
    all.has_everything();
}

#[test]
fn a_seed_runs_the_same_history_again() {
    let traces: Vec<_> = (0..2)
        .flat_map(|_| {
            each_of(seeds_of(HISTORIES, 2).take(2), async |seed| {
                let mut history = History::begin(seed).await;
                let shop = history.shop.clone();
                let acted = async {
                    let storm = Storm::over(&shop, seed);
                    for _ in 0..ROUNDS {
                        history.round(Allowed::Unknown).await;
                    }
                    storm.end(&shop);
                    history.run_dry().await;
                };
                let calls = shop.calls_of(acted).await.into_iter();
                calls.map(|call| format!("{call:?}")).collect::<Vec<_>>()
            })
        })
        .collect();
    let (once, again) = traces.split_at(traces.len() / 2);
    for (once, again) in once.iter().zip(again) {
        let parted = once.iter().zip(again).position(|(one, other)| one != other);
        assert_eq!(parted, None, "of {} and {} calls", once.len(), again.len());
        assert_eq!(once.len(), again.len());
    }
}

/// Otherwise a seed would run differently beside other tests.
#[tokio::test(start_paused = true)]
async fn failures_in_one_shop_use_up_no_retries_of_another() {
    let (poor, rich) = (Shop::open_with(1).await, Shop::open_with(2).await.stocked("TEA-1", 1).await);
    poor.plant(|_call| Some(Fault::Before));
    for _ in 0..60 {
        let nothing = poor.get("/inventory/TEA-1", &poor.admin).await;
        assert_eq!(nothing.problem(), (503, "try_again"));
    }

    let mut first = true;
    rich.plant(move |_call| std::mem::take(&mut first).then_some(Fault::Before));

    assert_eq!(rich.get("/inventory/TEA-1", &rich.admin).await.status, 200);
}

/// The answers that a round accepts.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Allowed {
    /// Those of [`expected`].
    Plain,
    /// Those of [`beyond`] as well.
    Unknown,
}

/// A request, or a run of the sweeper.
#[derive(Clone, Debug)]
enum Deed {
    Place { order: usize },
    PlaceOther { order: usize },
    Cancel { order: usize, by: Who },
    Patch { order: usize, by: usize, status: &'static str, version: u64 },
    Adjust { sku: usize, key: u64, delta: i64 },
    Resume { order: usize, by: usize },
    Sweep,
}

#[derive(Clone, Copy, Debug)]
enum Who {
    Owner,
    Stranger,
    Admin(usize),
}

/// An order that a customer has asked for. It may not be stored.
#[derive(Clone, Debug)]
struct WantedOrder {
    owner: usize,
    key: String,
    lines: Vec<(&'static str, i64)>,
    /// The last version that was answered; 0 before the first.
    version: u64,
    order_id: String,
}

struct History {
    shop: Shop,
    random: Rng,
    wishes: Vec<WantedOrder>,
    /// Every order in an answer.
    answers: Vec<Value>,
}

impl History {
    async fn begin(seed: u64) -> Self {
        let mut shop = Shop::open_with(seed).await;
        for (sku, count) in SKUS {
            shop = shop.stocked(sku, count).await;
        }
        for name in CUSTOMERS {
            shop.customer(name).await;
        }
        Self { shop, random: Rng::with_seed(seed), wishes: Vec::new(), answers: Vec::new() }
    }

    /// Does a few deeds at once, and then lets time pass.
    async fn round(&mut self, allowed: Allowed) {
        let count = self.random.usize(1..=AT_ONCE);
        let deeds: Vec<Deed> = (0..count).map(|_| self.think_up()).collect();
        let acts = deeds.iter().map(|deed| self.act(deed));
        let replies = join_all(acts).await;
        for (deed, reply) in deeds.iter().zip(replies) {
            let Some(reply) = reply else { continue };
            let answer = reply.problem();
            let fine = expected(deed).contains(&answer)
                || (allowed == Allowed::Unknown && beyond(deed).contains(&answer));
            assert!(fine, "{deed:?}: {reply:?}");
            self.learn(deed, &reply);
        }
        self.shop.wait(BETWEEN);
    }

    fn think_up(&mut self) -> Deed {
        let random = &mut self.random;
        let known = self.wishes.len();
        if known == 0 || random.u8(..) < 70 {
            let mut lines: Vec<_> = SKUS.iter().map(|(sku, _)| (*sku, random.i64(1..=3))).collect();
            random.shuffle(&mut lines);
            lines.truncate(random.usize(1..=SKUS.len()));
            let owner = random.usize(..CUSTOMERS.len());
            let key = format!("key-{known}");
            self.wishes.push(WantedOrder { owner, key, lines, version: 0, order_id: String::new() });
            return Deed::Place { order: known };
        }
        // Mostly one of the latest orders.
        let order = known - 1 - random.usize(..known).min(random.usize(..known));
        let by = random.usize(..ADMINS.len());
        let seen = self.wishes[order].version;
        match random.u8(..16) {
            0 | 1 => Deed::Place { order },
            2 if !self.wishes[order].order_id.is_empty() => Deed::PlaceOther { order },
            3 | 4 => Deed::Cancel { order, by: Who::Owner },
            5 => Deed::Cancel { order, by: Who::Admin(by) },
            6 => Deed::Cancel { order, by: Who::Stranger },
            7..=9 => Deed::Patch { order, by, status: "SHIPPED", version: seen },
            10 | 11 => Deed::Patch { order, by, status: "DELIVERED", version: seen },
            12 => Deed::Patch { order, by, status: "CANCELLED", version: seen },
            13 => Deed::Adjust {
                sku: random.usize(..SKUS.len()),
                key: random.u64(..6),
                delta: random.i64(-4..=6),
            },
            14 => Deed::Resume { order, by },
            _ => Deed::Sweep,
        }
    }

    async fn act(&self, deed: &Deed) -> Option<Reply> {
        let shop = &self.shop;
        let admin = |by: usize| shop.another_admin(ADMINS[by]);
        let reply = match deed {
            Deed::Place { order } => {
                let wish = &self.wishes[*order];
                shop.place(&self.owner(wish), &wish.key, &wish.lines).await
            }
            Deed::PlaceOther { order } => {
                let wish = &self.wishes[*order];
                shop.place(&self.owner(wish), &wish.key, &[("TEA-1", 7)]).await
            }
            Deed::Cancel { order, by } => {
                let wish = &self.wishes[*order];
                let by = match by {
                    Who::Owner => self.owner(wish),
                    Who::Stranger => shop.signed_in(CUSTOMERS[(wish.owner + 1) % CUSTOMERS.len()]),
                    Who::Admin(by) => admin(*by),
                };
                shop.cancel(&by, &wish.id()).await
            }
            Deed::Patch { order, by, status, version } => {
                shop.patch(&admin(*by), &self.wishes[*order].id(), status, *version).await
            }
            Deed::Adjust { sku, key, delta } => {
                let delta = if *delta == 0 { 1 } else { *delta };
                // Keys are used again, sometimes with another delta.
                let body = json!({ "delta": delta, "reason": "counted" });
                let key = format!("count-{key}");
                shop.adjust_with(&admin(0), SKUS[*sku].0, Some(&key), &body).await
            }
            Deed::Resume { order, by } => shop.resume(&admin(*by), &self.wishes[*order].id()).await,
            Deed::Sweep => {
                // A run may fail. The next run does its work.
                shop.sweep().await;
                return None;
            }
        };
        Some(reply)
    }

    /// The owner of an order, with a fresh token.
    fn owner(&self, wish: &WantedOrder) -> Customer {
        self.shop.signed_in(CUSTOMERS[wish.owner])
    }

    /// Keeps the order in an answer.
    fn learn(&mut self, deed: &Deed, reply: &Reply) {
        let (Deed::Place { order }
        | Deed::PlaceOther { order }
        | Deed::Cancel { order, .. }
        | Deed::Patch { order, .. }
        | Deed::Resume { order, .. }) = deed
        else {
            return;
        };
        let wish = &mut self.wishes[*order];
        if !reply.order_id().is_empty() {
            reply.order_id().clone_into(&mut wish.order_id);
        }
        if (200..300).contains(&reply.status) {
            wish.version = wish.version.max(reply.body["version"].as_u64().expect("a version"));
            self.answers.push(reply.body.clone());
        }
    }

    /// Runs the sweeper without faults until no order is due.
    async fn run_dry(&self) {
        for _ in 0..20 {
            self.shop.sweep_after(LONGEST_WAIT).await;
            let books = self.books().await;
            let admin = self.shop.admin_again();
            for given_up in books.given_up() {
                assert_eq!(self.shop.resume(&admin, given_up).await.status, 202);
            }
            if books.unfinished().is_empty() {
                return;
            }
        }
        panic!("orders are still due: {:#?}", self.books().await);
    }

    async fn books(&self) -> Books {
        let books = self.shop.books().await;
        books.balance();
        books
    }

    /// Checks that each history in an answer is the beginning of the order's history.
    fn answers_came_true(&self, books: &Books) {
        for wish in self.wishes.iter().filter(|wish| !wish.order_id.is_empty()) {
            assert!(books.orders.contains_key(&wish.order_id), "answered, and not stored: {wish:?}");
        }
        for answer in &self.answers {
            let id = answer["order_id"].as_str().expect("an id");
            let stored =
                books.orders.get(id).unwrap_or_else(|| panic!("answered, and not stored: {answer:#}"));
            let (answer, stored) = (without_mailed_at(answer), without_mailed_at(stored));
            let (told, history) = (answer["history"].as_array(), stored["history"].as_array());
            let (told, history) = (told.expect("a history"), history.expect("a history"));
            assert!(history.starts_with(told), "answered {answer:#}\nstored {stored:#}");
        }
    }
}

impl WantedOrder {
    /// The order's id, or an id without an order.
    fn id(&self) -> String {
        let nobodys = "00000000-0000-0000-0000-000000000000";
        if self.order_id.is_empty() { nobodys.to_owned() } else { self.order_id.clone() }
    }
}

/// Status and code of every answer that a deed may have without faults.
fn expected(deed: &Deed) -> &'static [(u16, &'static str)] {
    match deed {
        Deed::Place { .. } => &[(201, ""), (200, ""), (409, "insufficient_stock")],
        Deed::PlaceOther { .. } => &[(422, "idempotency_key_reused")],
        Deed::Cancel { by: Who::Stranger, .. } => &[(404, "not_found")],
        Deed::Cancel { .. } => &[(200, ""), (404, "not_found"), (409, "illegal_transition")],
        Deed::Patch { .. } => {
            &[(200, ""), (404, "not_found"), (409, "illegal_transition"), (412, "stale_version")]
        }
        Deed::Adjust { .. } => &[(201, ""), (200, ""), (409, "below_zero"), (422, "idempotency_key_reused")],
        Deed::Resume { .. } => &[(202, ""), (404, "not_found"), (409, "nothing_due")],
        Deed::Sweep => &[],
    }
}

/// Status and code of every further answer that a deed may have when AWS calls fail.
fn beyond(deed: &Deed) -> &'static [(u16, &'static str)] {
    match deed {
        Deed::Place { .. } => &[(202, ""), (503, "try_again")],
        Deed::PlaceOther { .. }
        | Deed::Cancel { .. }
        | Deed::Patch { .. }
        | Deed::Adjust { .. }
        | Deed::Resume { .. } => &[(503, "try_again")],
        Deed::Sweep => &[],
    }
}

/// The number of orders by last status. It shows that every status is reached.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    confirmed: usize,
    rejected: usize,
    cancelled: usize,
    shipped: usize,
    delivered: usize,
    repeats: usize,
}

impl Tally {
    fn of(books: &Books) -> Self {
        let count = |status: &str| books.orders.values().filter(|order| order["status"] == status).count();
        Self {
            confirmed: count("CONFIRMED"),
            rejected: count("REJECTED"),
            cancelled: count("CANCELLED"),
            shipped: count("SHIPPED"),
            delivered: count("DELIVERED"),
            repeats: 0,
        }
    }

    fn sum(all: &[Self]) -> Self {
        let sum = |of: fn(&Self) -> usize| all.iter().map(of).sum();
        Self {
            confirmed: sum(|tally| tally.confirmed),
            rejected: sum(|tally| tally.rejected),
            cancelled: sum(|tally| tally.cancelled),
            shipped: sum(|tally| tally.shipped),
            delivered: sum(|tally| tally.delivered),
            repeats: sum(|tally| tally.repeats),
        }
    }

    fn has_everything(self) {
        let Self { confirmed, rejected, cancelled, shipped, delivered, repeats: _ } = self;
        let counts = [confirmed, rejected, cancelled, shipped, delivered];
        assert!(counts.iter().sum::<usize>() < MANY || counts.iter().all(|count| *count > 0), "{self:?}");
    }
}

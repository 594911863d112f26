//! `kill -9` ends a busy `orderflow` again and again, on one data folder. Every answer stays true, a request without an
//! answer can be repeated, and the books balance after each kill.

use std::{collections::HashMap, fs, net::SocketAddr, path::Path};

use local::ground::StackClock;
use serde_json::{Value, json};
use tokio::{sync::mpsc, task::JoinSet};

use crate::world::{
    Books, Customer, Reply, TEMPLATE,
    gestures::product,
    orderflow::{Orderflow, send, text},
    shop::start as start_stack,
};

/// The products and their first stock. The last product runs out.
const STOCK: [(&str, i64); 4] = [("TEA-1", 5_000), ("TEA-2", 5_000), ("TEA-3", 5_000), ("RARE", 12)];
/// The number of customers. Each orders without a pause.
const CUSTOMERS: u64 = 8;
/// The number of answers before each kill.
const KILLS: [usize; 4] = [30, 1, 12, 30];

/// A request under a key, with its caller and its answer.
struct Attempt {
    call: String,
    token: String,
    email: String,
    key: String,
    body: Value,
    answer: Option<Reply>,
    /// Whether a kill came before the first answer, so that the answer is a repeat's.
    was_cut_off: bool,
}

impl Attempt {
    async fn send(&self, api: SocketAddr) -> std::io::Result<Reply> {
        send(api, &self.call, Some(&self.token), Some(&self.key), Some(&self.body)).await
    }

    fn is_order(&self) -> bool {
        self.call == "POST /orders"
    }
}

/// The data folder, all people, and every request so far.
struct Business {
    folder: tempfile::TempDir,
    admin: Customer,
    customers: Vec<Customer>,
    attempts: Vec<Attempt>,
}

#[tokio::test]
async fn every_answer_survives_kill_9_and_a_request_without_an_answer_can_be_repeated() {
    let mut business = open().await;
    let mut unanswered = 0;
    for (round, answers) in KILLS.into_iter().enumerate() {
        let before = business.attempts.len();
        let stack = start(&business.folder);
        business.trade_until_killed(stack, round, answers).await;
        let asked = &business.attempts[before..];
        assert!(asked.iter().filter(|attempt| attempt.answer.is_some()).count() >= answers, "round {round}");
        unanswered += asked.iter().filter(|attempt| attempt.answer.is_none()).count();
        books_balance(business.folder.path()).await;

        let stack = start(&business.folder);
        business.customers_are_still_known(&stack).await;
        business.mail_was_delivered_once(&stack).await;
        business.repeats_answer_the_same(&stack).await;
        business.stock_is_what_was_counted(&stack).await;
        stack.kill();
    }
    assert!(unanswered > 0, "no kill interrupted a request");
    let rejected =
        business.attempts.iter().filter(|attempt| attempt.answer.as_ref().is_some_and(|a| a.status == 409));
    assert!(rejected.count() > 0, "no product ran out");
}

fn start(folder: &tempfile::TempDir) -> Orderflow {
    Orderflow::start(["--aws-port", "0", "--no-demo", "--data-dir", text(folder.path())])
}

/// Stocks the products and registers the customers. Then the first kill comes, while no request is under way.
async fn open() -> Business {
    let folder = tempfile::tempdir().expect("a folder");
    let stack = start(&folder);
    let admin = stack.signed_in("admin@shop.example", &["admin"]).await;
    for (sku, count) in STOCK {
        let product = product(&format!("The {sku}"), 450, "EUR");
        let call = format!("PUT /inventory/{sku}");
        let listed = stack.call(&call, Some(&admin.token), None, Some(&product)).await.expect("an answer");
        assert_eq!(listed.status, 201, "{listed:?}");
        let opening = json!({ "delta": count, "reason": "opening" });
        let call = format!("POST /inventory/{sku}/adjustments");
        let stocked = stack.call(&call, Some(&admin.token), Some("opening"), Some(&opening)).await;
        assert_eq!(stocked.expect("an answer").status, 201);
    }
    let mut customers = Vec::new();
    for n in 0..CUSTOMERS {
        let customer = stack.signed_in(&format!("customer-{n}@example.com"), &[]).await;
        let name = json!({ "name": format!("Customer {n}") });
        let registered = stack.call("POST /users", Some(&customer.token), None, Some(&name)).await;
        assert_eq!(registered.expect("an answer").status, 201);
        customers.push(customer);
    }
    let confirmed = stack.call("POST /local/mailbox/confirm-all", None, None, None).await.expect("an answer");
    assert_eq!(confirmed.body["confirmed"], CUSTOMERS);
    for customer in &customers {
        let name = json!({ "name": "Customer" });
        let again = stack.call("POST /users", Some(&customer.token), None, Some(&name)).await;
        assert_eq!(again.expect("an answer").body["notifications"], "confirmed");
    }
    stack.kill();
    Business { folder, admin, customers, attempts: Vec::new() }
}

impl Business {
    /// Customers order and the admin adjusts stock until there are so many answers. Then the stack is killed.
    async fn trade_until_killed(&mut self, stack: Orderflow, round: usize, answers: usize) {
        let (answered, mut count) = mpsc::unbounded_channel();
        let mut busy = JoinSet::new();
        for (n, person) in self.customers.iter().chain([&self.admin]).cloned().enumerate() {
            let (api, answered) = (stack.api, answered.clone());
            let mut chance = fastrand::Rng::with_seed(n as u64);
            busy.spawn(async move {
                let mut attempts = Vec::new();
                for turn in 0_u32.. {
                    let key = format!("round-{round}-{n}-{turn}");
                    let mut attempt = if n as u64 == CUSTOMERS {
                        count_stock(&person, key, &mut chance)
                    } else {
                        order(&person, key, &mut chance)
                    };
                    attempt.answer = attempt.send(api).await.ok();
                    let killed = attempt.answer.is_none();
                    attempts.push(attempt);
                    if killed || answered.send(()).is_err() {
                        break;
                    }
                }
                attempts
            });
        }
        for _ in 0..answers {
            count.recv().await.expect("a customer is still ordering");
        }
        stack.kill();
        while let Some(attempts) = busy.join_next().await {
            self.attempts.extend(attempts.expect("a customer"));
        }
    }

    /// Checks that tokens, users and confirmed subscriptions have outlived the process.
    async fn customers_are_still_known(&self, stack: &Orderflow) {
        for customer in &self.customers {
            let me = stack.call("GET /users/me", Some(&customer.token), None, None).await.expect("an answer");
            assert_eq!((me.status, &me.body["notifications"]), (200, &json!("confirmed")), "{me:?}");
            assert_eq!(me.body["email"], customer.email);
        }
    }

    /// Checks that each order was mailed to its own customer, and once if it was answered before a kill.
    async fn mail_was_delivered_once(&self, stack: &Orderflow) {
        let mailbox = stack.call("GET /local/mailbox", None, None, None).await.expect("an answer");
        let mail = mailbox.body["items"].as_array().expect("mail");
        let of_kind = |kind: &str| mail.iter().filter(|mail| mail["kind"] == kind).count() as u64;
        assert_eq!(of_kind("subscription_confirmation"), CUSTOMERS);
        let mut sent: HashMap<(&str, &str, &str), usize> = HashMap::new();
        for mail in mail.iter().filter(|mail| mail["kind"] == "order_status") {
            let text = |name: &str| mail[name].as_str().unwrap_or_default();
            *sent.entry((text("order_id"), text("status"), text("to"))).or_default() += 1;
        }
        for attempt in self.attempts.iter().filter(|attempt| attempt.is_order()) {
            let Some(answer) = &attempt.answer else { continue };
            let status = if answer.status == 409 { "REJECTED" } else { "CONFIRMED" };
            // Removed, so that only unexpected e-mails are left.
            let count = sent.remove(&(answer.order_id(), status, &attempt.email)).unwrap_or_default();
            // A kill between the order and its e-mail leaves the e-mail to the sweeper, a minute later. A kill between
            // the e-mail and its note lets the sweeper send it again.
            let expected = if attempt.was_cut_off { 0..=2 } else { 1..=1 };
            assert!(expected.contains(&count), "{}: {count} mails for {answer:?}", attempt.key);
        }
        let known: Vec<&str> =
            self.attempts.iter().filter_map(|a| a.answer.as_ref()).map(Reply::order_id).collect();
        let stray: Vec<_> = sent.keys().filter(|(order_id, _, _)| known.contains(order_id)).collect();
        assert!(stray.is_empty(), "mailed to another address, or about another status: {stray:?}");
    }

    /// Repeats every request so far, and checks the answers.
    async fn repeats_answer_the_same(&mut self, stack: &Orderflow) {
        for attempt in &mut self.attempts {
            let again = attempt.send(stack.api).await.expect("an answer");
            let context =
                format!("{} of {}, before: {:?}, now: {again:?}", attempt.key, attempt.call, attempt.answer);
            match &attempt.answer {
                None => assert!(matches!(again.status, 200 | 201 | 409), "{context}"),
                Some(first) if first.status == 409 => {
                    assert_eq!(again.problem(), (409, "insufficient_stock"), "{context}");
                    assert_eq!(again.order_id(), first.order_id(), "{context}");
                    assert_eq!(again.body["shortages"], first.body["shortages"], "{context}");
                }
                Some(first) => {
                    assert!(matches!(first.status, 200 | 201), "{context}");
                    assert_eq!(
                        (again.status, again.header("idempotent-replayed")),
                        (200, "true"),
                        "{context}"
                    );
                    // The repeat of an adjustment shows the current stock.
                    assert!(again.order() == first.order() || !attempt.is_order(), "{context}");
                }
            }
            if attempt.is_order() && again.status != 409 {
                assert_eq!(again.body["status"], "CONFIRMED", "{context}");
                let call = format!("GET /orders/{}", again.order_id());
                let read = stack.call(&call, Some(&attempt.token), None, None).await.expect("an answer");
                assert_eq!((read.status, read.order()), (200, again.order()), "{context}");
            }
            if attempt.answer.is_none() {
                (attempt.answer, attempt.was_cut_off) = (Some(again), true);
            }
        }
    }

    /// Checks that the API shows the adjusted stock less the ordered units.
    async fn stock_is_what_was_counted(&self, stack: &Orderflow) {
        for (sku, opening) in STOCK {
            let (mut counted, mut ordered) = (opening, 0);
            for attempt in &self.attempts {
                let answer = attempt.answer.as_ref().expect("every request was repeated");
                if attempt.call == format!("POST /inventory/{sku}/adjustments") {
                    counted += attempt.body["delta"].as_i64().expect("a number");
                } else if attempt.is_order() && answer.status != 409 {
                    let lines = attempt.body["lines"].as_array().expect("lines");
                    let of_sku = lines.iter().filter(|line| line["sku"] == sku);
                    ordered += of_sku.map(|line| line["quantity"].as_i64().expect("a number")).sum::<i64>();
                }
            }
            let call = format!("GET /inventory/{sku}");
            let seen = stack.call(&call, Some(&self.admin.token), None, None).await.expect("an answer").body;
            let expected = (&json!(counted - ordered), &json!(ordered));
            assert_eq!((&seen["available"], &seen["reserved"]), expected, "{sku}");
        }
    }
}

/// An order of one to three products, sometimes with the rare one.
fn order(customer: &Customer, key: String, chance: &mut fastrand::Rng) -> Attempt {
    let mut skus: Vec<&str> = STOCK.iter().map(|(sku, _)| *sku).collect();
    chance.shuffle(&mut skus);
    let lines: Vec<Value> = skus
        .into_iter()
        .take(chance.usize(1..=3))
        .map(|sku| json!({ "sku": sku, "quantity": chance.u32(1..=3) }))
        .collect();
    attempt(customer, "POST /orders".to_owned(), key, json!({ "lines": lines }))
}

/// An adjustment by one unit.
fn count_stock(admin: &Customer, key: String, chance: &mut fastrand::Rng) -> Attempt {
    let (sku, _) = STOCK[chance.usize(0..3)];
    let found = json!({ "delta": 1, "reason": "found behind the shelf" });
    attempt(admin, format!("POST /inventory/{sku}/adjustments"), key, found)
}

fn attempt(person: &Customer, call: String, key: String, body: Value) -> Attempt {
    Attempt {
        call,
        token: person.token.clone(),
        email: person.email.clone(),
        key,
        body,
        answer: None,
        was_cut_off: false,
    }
}

/// Audits what a killed process left, in a copy of its folder, before a start repairs anything.
async fn books_balance(folder: &Path) {
    let copy = tempfile::tempdir().expect("a folder");
    for file in fs::read_dir(folder).expect("the folder") {
        let file = file.expect("a file").path();
        fs::copy(&file, copy.path().join(file.file_name().expect("a name"))).expect("a copy");
    }
    let stack = start_stack(&TEMPLATE, Some(copy.path()), StackClock::system()).await;
    let books = Books::read(&stack).await;
    assert!(STOCK.iter().all(|(sku, _)| books.reserved(sku) >= 0), "every product has a stock row");
    books.balance();
}

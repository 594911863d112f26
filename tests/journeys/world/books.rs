//! The one auditor of the books, which are stock, orders and e-mails.
//!
//! The rules are written down here a second time: nothing is taken from the code under test. Nothing here writes.

use std::collections::BTreeMap;

use local::{ground::MailKind, stack::Stack};
use serde_json::Value;

use super::{people::Customer, shop::Shop, tables};

/// How often each status must have been mailed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mailed {
    /// Once: nothing went wrong.
    Once,
    /// At least once, with no more mails beyond the first of each than this.
    AtLeastOnce {
        /// How many mails may be repeats.
        repeats: usize,
    },
}

/// A copy of everything that is stored or mailed.
#[derive(Debug)]
pub(crate) struct Books {
    /// The orders' rows, by id.
    pub(crate) orders: BTreeMap<String, Value>,
    /// Available and reserved, by SKU.
    stock: BTreeMap<String, (i64, i64)>,
    /// The sum of all adjustments, by SKU.
    adjusted: BTreeMap<String, i64>,
    /// The addresses, by user.
    addresses: BTreeMap<String, String>,
    /// Order, status and address of each mail.
    mails: Vec<(String, String, String)>,
    /// How often the shop was told of each order and version. `None` when it was told of more than the feed keeps.
    told: Option<BTreeMap<(String, u64), usize>>,
}

/// The most messages to the shop that the local stack keeps.
const FEED: usize = 1_000;

impl Shop {
    /// Reads the books.
    pub(crate) async fn books(&self) -> Books {
        Books::read(&self.stack).await
    }

    /// Audits the books while orders may be unfinished. `opening` is the number of units of each SKU that the test put
    /// into stock; `customers` are those who ordered.
    pub(crate) async fn audit(&self, opening: &[(&str, i64)], customers: &[&Customer]) {
        let books = self.books().await;
        books.balance();
        books.opened_with(opening);
        books.know(customers);
        books.are_due_and_announced();
    }

    /// Audits the books when nothing may be left to do, and answers them.
    pub(crate) async fn audit_settled(&self, mailed: Mailed) -> Books {
        let books = self.books().await;
        books.balance();
        books.are_settled(mailed);
        books
    }
}

impl Books {
    /// Reads the books of a stack.
    pub(crate) async fn read(from: &Stack) -> Self {
        let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let count = |row: &Value, name: &str| row[name].as_i64().expect("a count");
        let (mut stock, mut adjusted) = (BTreeMap::new(), BTreeMap::new());
        for row in tables::rows(from, "InventoryTable").await {
            let sku = text(&row, "sku");
            if row["kind"] == "STOCK" {
                stock.insert(sku, (count(&row, "available"), count(&row, "reserved")));
            } else {
                *adjusted.entry(sku).or_default() += count(&row, "delta");
            }
        }
        let orders = tables::rows(from, "OrdersTable").await.into_iter();
        let users = tables::rows(from, "UsersTable").await.into_iter();
        let mails = from.mailbox().mails(Some(MailKind::OrderStatus), None).into_iter();
        let feed = from.sns().feed();
        let complete = feed.len() < FEED;
        let mut told = BTreeMap::new();
        for item in feed {
            let version = item.message["version"].as_u64().expect("a version");
            *told.entry((text(&item.message, "order_id"), version)).or_default() += 1;
        }
        Self {
            orders: orders.map(|row| (text(&row, "order_id"), row)).collect(),
            stock,
            adjusted,
            addresses: users.map(|row| (text(&row, "user_id"), text(&row, "email"))).collect(),
            mails: mails
                .map(|mail| (mail.order_id.unwrap_or_default(), mail.status.unwrap_or_default(), mail.to))
                .collect(),
            told: complete.then_some(told),
        }
    }

    /// The orders that are still due: PENDING, or with a status that is not announced.
    pub(crate) fn unfinished(&self) -> Vec<&str> {
        let due = self.orders.iter().filter(|(_, order)| !order["due_at"].is_null());
        due.map(|(id, _)| id.as_str()).collect()
    }

    /// The orders that were given up.
    pub(crate) fn given_up(&self) -> Vec<&str> {
        let given_up = self.orders.iter().filter(|(_, order)| order["due_shard"] == "given-up");
        given_up.map(|(id, _)| id.as_str()).collect()
    }

    /// The statuses that an order has had, in their order.
    pub(crate) fn statuses(&self, order_id: &str) -> Vec<&str> {
        let history = self.orders[order_id]["history"].as_array().into_iter().flatten();
        history.map(|entry| entry["status"].as_str().unwrap_or_default()).collect()
    }

    /// Units of a SKU that are reserved.
    pub(crate) fn reserved(&self, sku: &str) -> i64 {
        self.stock[sku].1
    }

    /// Units of a SKU in orders that were not rejected.
    pub(crate) fn in_orders(&self, sku: &str) -> i64 {
        self.units(sku, |status| status != "REJECTED")
    }

    /// Checks that units and orders agree, and that every order has kept to the transition table.
    ///
    /// - No unit is lost, made or promised twice: reserved is what PENDING and CONFIRMED orders hold, and available and
    ///   reserved together are what was adjusted less what was shipped.
    /// - Every SKU that was adjusted or ordered has a stock row.
    pub(crate) fn balance(&self) {
        for (sku, (available, reserved)) in &self.stock {
            let held = self.units(sku, |status| ["PENDING", "CONFIRMED"].contains(&status));
            assert_eq!(*reserved, held, "{sku}: reserved, and held by open orders\n{self:#?}");
            let on_hand = self.adjusted.get(sku).copied().unwrap_or_default() - self.shipped(sku);
            assert_eq!(available + reserved, on_hand, "{sku}: on hand, and by the ledger\n{self:#?}");
            assert!(*available >= 0 && *reserved >= 0, "{sku} is below zero\n{self:#?}");
        }
        let lines = self.orders.values().flat_map(lines).filter_map(|line| line["sku"].as_str());
        for sku in self.adjusted.keys().map(String::as_str).chain(lines) {
            assert!(self.stock.contains_key(sku), "{sku} has no stock row\n{self:#?}");
        }
        for order in self.orders.values() {
            kept_to_the_table(order);
        }
    }

    /// Checks that as many units of each SKU exist, or were shipped, as the test put into stock. The ledger cannot show
    /// an adjustment that was entered twice, and this can.
    fn opened_with(&self, opening: &[(&str, i64)]) {
        for (sku, opening) in opening {
            let (available, reserved) = self.stock[*sku];
            let there = available + reserved + self.shipped(sku);
            assert_eq!(there, *opening, "{sku}: units now and shipped, and units at first\n{self:#?}");
        }
    }

    /// Checks that these customers have the addresses that they registered with.
    fn know(&self, customers: &[&Customer]) {
        for customer in customers {
            assert_eq!(self.addresses.get(&customer.user_id), Some(&customer.email), "{self:#?}");
        }
    }

    /// Checks that an order is due while it is PENDING or has something to announce; and that each order was announced to
    /// its own customer, or has that e-mail unsent.
    fn are_due_and_announced(&self) {
        for (order_id, order) in &self.orders {
            let unsent = !order["unsent"].is_null();
            let due = !order["due_at"].is_null();
            assert_eq!(due, !order["due_shard"].is_null(), "half due: {order:#}");
            let unfinished = unsent || !order["untold"].is_null() || order["status"] == "PENDING";
            assert_eq!(due, unfinished, "due, and unfinished: {order:#}");
            let about: Vec<_> = self.mails.iter().filter(|(about, ..)| about == order_id).collect();
            for (_, _, to) in &about {
                assert_eq!(Some(to), self.address_of(order), "mailed to another address: {order:#}");
            }
            let announced = unsent || !about.is_empty() || order["status"] == "PENDING";
            assert!(announced, "neither mailed nor unsent: {order:#}");
        }
    }

    /// Checks that nothing is left to do, and that every status was announced to the order's customer.
    pub(crate) fn are_settled(&self, mailed: Mailed) {
        let mut mails: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for (order_id, status, to) in &self.mails {
            let order =
                self.orders.get(order_id).unwrap_or_else(|| panic!("a mail about no order: {order_id}"));
            assert_eq!(Some(to), self.address_of(order), "mailed to another address: {order:#}");
            *mails.entry((order_id, status)).or_default() += 1;
        }
        let mut announced = 0;
        for (order_id, order) in &self.orders {
            for name in ["unsent", "untold", "due_at", "due_shard", "attempts"] {
                assert!(order[name].is_null(), "{name} is left over: {order:#}");
            }
            assert_ne!(order["status"], "PENDING", "{order:#}");
            for entry in order["history"].as_array().into_iter().flatten() {
                let status = entry["status"].as_str().unwrap_or_default();
                if status == "PENDING" {
                    continue;
                }
                announced += 1;
                let times = mails.remove(&(order_id, status)).unwrap_or_default();
                assert!(!entry["mailed_at"].is_null(), "no mailed_at of {status}: {order:#}");
                let version = entry["version"].as_u64().unwrap_or_default();
                let told = self.told.as_ref();
                let told =
                    told.map(|told| told.get(&(order_id.clone(), version)).copied().unwrap_or_default());
                match mailed {
                    Mailed::Once => {
                        assert_eq!(times, 1, "mails about {status}: {order:#}");
                        assert_eq!(told.unwrap_or(1), 1, "messages to the shop about {status}: {order:#}");
                    }
                    Mailed::AtLeastOnce { .. } => {
                        assert!(times >= 1, "no mail about {status}: {order:#}");
                        assert!(told.unwrap_or(1) >= 1, "the shop was not told of {status}: {order:#}");
                    }
                }
            }
        }
        assert!(mails.is_empty(), "mailed, and not in the history: {mails:?}");
        if let Mailed::AtLeastOnce { repeats } = mailed {
            let repeated = self.mails.len() - announced;
            assert!(repeated <= repeats, "{repeated} mails are repeats, and {repeats} may be");
        }
    }

    /// The mails that were not the first about their order's status.
    pub(crate) fn repeated_mails(&self) -> usize {
        let mut first = self.mails.clone();
        first.sort();
        first.dedup();
        self.mails.len() - first.len()
    }

    fn address_of(&self, order: &Value) -> Option<&String> {
        order["user_id"].as_str().and_then(|user| self.addresses.get(user))
    }

    fn shipped(&self, sku: &str) -> i64 {
        self.units(sku, |status| ["SHIPPED", "DELIVERED"].contains(&status))
    }

    /// Units of a SKU in orders of some statuses.
    fn units(&self, sku: &str, of: impl Fn(&str) -> bool) -> i64 {
        let orders = self.orders.values().filter(|order| of(order["status"].as_str().unwrap_or_default()));
        let lines = orders.flat_map(lines).filter(|line| line["sku"] == sku);
        lines.filter_map(|line| line["quantity"].as_i64()).sum()
    }
}

fn lines(order: &Value) -> impl Iterator<Item = &Value> {
    order["lines"].as_array().into_iter().flatten()
}

/// Checks that an order's history is a path of the transition table, and that each step was made by an actor who may.
fn kept_to_the_table(order: &Value) {
    let owner = format!("user:{}", order["user_id"].as_str().expect("an owner"));
    let history = order["history"].as_array().expect("a history");
    let (mut before, mut since) = ("", "");
    for (entry, version) in history.iter().zip(1..) {
        let text = |name: &str| entry[name].as_str().expect("a text");
        let (status, actor, at) = (text("status"), text("actor"), text("at"));
        let by_workflow = actor == "workflow";
        assert!(
            by_workflow || actor.starts_with("user:"),
            "{actor} is neither the workflow nor a user: {order:#}"
        );
        let may = match (before, status) {
            ("", "PENDING" | "REJECTED") | ("PENDING", "CONFIRMED") => by_workflow,
            ("PENDING" | "CONFIRMED", "CANCELLED") => !by_workflow,
            ("CONFIRMED", "SHIPPED") | ("SHIPPED", "DELIVERED") => !by_workflow && actor != owner,
            _ => false,
        };
        assert!(may, "{before} to {status} by {actor}: {order:#}");
        assert_eq!(entry["version"], version, "the version of an entry: {order:#}");
        assert!(at >= since, "time runs backwards: {order:#}");
        (before, since) = (status, at);
    }
    assert_eq!(order["status"], before, "the status, and the last entry: {order:#}");
    assert_eq!(order["version"], history.len(), "the version, and the number of entries: {order:#}");
    assert_eq!(order["listed_at"].is_null(), before == "PENDING", "listed_at, and PENDING: {order:#}");
}

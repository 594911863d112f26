//! The reckoning: what must hold of the books when nothing is left to do, whatever has happened to the orders, their later
//! statuses and their interrupted executions included. The rules are spelled out here once more, and nothing is taken from
//! the code that is tested.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::world::shop::Shop;

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

/// Everything that is written.
#[derive(Debug)]
pub(crate) struct Books {
    /// The orders' rows, by id.
    pub(crate) orders: BTreeMap<String, Value>,
    /// Available and reserved, by SKU.
    stock: BTreeMap<String, (i64, i64)>,
    /// What was stocked and adjusted, by SKU.
    adjusted: BTreeMap<String, i64>,
    /// The addresses, by user.
    addresses: BTreeMap<String, String>,
    /// Order, status and address of each mail.
    mails: Vec<(String, String, String)>,
}

impl Books {
    /// Reads everything.
    pub(crate) async fn read(shop: &Shop) -> Self {
        let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let count = |row: &Value, name: &str| row[name].as_i64().expect("a count");
        let (mut stock, mut adjusted) = (BTreeMap::new(), BTreeMap::new());
        for row in shop.rows("InventoryTable").await {
            let sku = text(&row, "sku");
            if row["kind"] == "STOCK" {
                stock.insert(sku, (count(&row, "available"), count(&row, "reserved")));
            } else {
                *adjusted.entry(sku).or_default() += count(&row, "delta");
            }
        }
        let orders = shop.rows("OrdersTable").await.into_iter().map(|row| (text(&row, "order_id"), row));
        let users = shop.rows("UsersTable").await.into_iter();
        let mails = shop.order_mail().into_iter();
        Self {
            orders: orders.collect(),
            stock,
            adjusted,
            addresses: users.map(|row| (text(&row, "user_id"), text(&row, "email"))).collect(),
            mails: mails
                .map(|mail| (mail.order_id.unwrap_or_default(), mail.status.unwrap_or_default(), mail.to))
                .collect(),
        }
    }

    /// Whether anything is still to be done for an order.
    pub(crate) fn is_settled(&self) -> bool {
        self.orders.values().all(|order| order["due_at"].is_null())
    }

    /// The orders that were given up.
    pub(crate) fn given_up(&self) -> Vec<String> {
        let given_up = self.orders.iter().filter(|(_, order)| order["due_shard"] == "given-up");
        given_up.map(|(id, _)| id.clone()).collect()
    }

    /// Sees to it that units and orders agree, and that every order has lived by the rules.
    pub(crate) fn balance(&self) {
        for (sku, (available, reserved)) in &self.stock {
            let held = self.units(sku, &["PENDING", "CONFIRMED"]);
            assert_eq!(*reserved, held, "{sku}: reserved against what open orders hold\n{self:#?}");
            let stocked = self.adjusted.get(sku).copied().unwrap_or_default();
            let shipped = self.units(sku, &["SHIPPED", "DELIVERED"]);
            assert_eq!(
                available + reserved,
                stocked - shipped,
                "{sku}: on hand against the ledger\n{self:#?}"
            );
            assert!(*available >= 0 && *reserved >= 0, "{sku} is below zero\n{self:#?}");
        }
        for order in self.orders.values() {
            lived_by_the_rules(order);
        }
    }

    /// Sees to it that nothing is left to do, and that every status was announced to the order's customer.
    pub(crate) fn settled(&self, mailed: Mailed) {
        let mut mails: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for (order_id, status, to) in &self.mails {
            let order =
                self.orders.get(order_id).unwrap_or_else(|| panic!("a mail about no order: {order_id}"));
            let address = order["user_id"].as_str().and_then(|user| self.addresses.get(user));
            assert_eq!(Some(to), address, "somebody else was told of {order_id}");
            *mails.entry((order_id, status)).or_default() += 1;
        }
        let mut announced = 0;
        for (order_id, order) in &self.orders {
            for name in ["unsent", "due_at", "due_shard", "attempts"] {
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
                match mailed {
                    Mailed::Once => assert_eq!(times, 1, "mails about {status}: {order:#}"),
                    Mailed::AtLeastOnce { .. } => assert!(times >= 1, "no mail about {status}: {order:#}"),
                }
            }
        }
        assert!(mails.is_empty(), "mailed, and never so: {mails:?}");
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

    fn units(&self, sku: &str, statuses: &[&str]) -> i64 {
        let orders =
            self.orders.values().filter(|order| statuses.iter().any(|status| order["status"] == *status));
        let lines = orders.flat_map(|order| order["lines"].as_array().into_iter().flatten());
        lines.filter(|line| line["sku"] == sku).filter_map(|line| line["quantity"].as_i64()).sum()
    }
}

/// Every order's history is a path of the transition table, made by those who may.
fn lived_by_the_rules(order: &Value) {
    let owner = &order["user_id"];
    let history = order["history"].as_array().expect("a history");
    let (mut before, mut since) = ("", "");
    for (entry, version) in history.iter().zip(1..) {
        let text = |name: &str| entry[name].as_str().expect("a text");
        let (status, actor, at) = (text("status"), text("actor"), text("at"));
        let by_workflow = actor == "workflow";
        let may = match (before, status) {
            ("", "PENDING" | "REJECTED") | ("PENDING", "CONFIRMED") => by_workflow,
            ("PENDING" | "CONFIRMED", "CANCELLED") => !by_workflow,
            ("CONFIRMED", "SHIPPED") | ("SHIPPED", "DELIVERED") => !by_workflow && actor != owner,
            _ => false,
        };
        assert!(may, "{before} to {status} by {actor}: {order:#}");
        assert_eq!(entry["version"], version, "{order:#}");
        assert!(at >= since, "time runs backwards: {order:#}");
        (before, since) = (status, at);
    }
    assert_eq!(order["status"], before, "{order:#}");
    assert_eq!(order["version"], history.len(), "{order:#}");
    assert_eq!(order["listed_at"].is_null(), before == "PENDING", "{order:#}");
}

//! Compares the reserved units of each SKU with the units that the open orders hold.
//!
//! Nothing here writes, and nothing here scans a table. A person decides how to repair a difference.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    time::Duration,
};

use domain::{Error, OrderId, Sku};

use crate::{Orders, Stocks};

/// The wait before the second read. As a rule, it is longer than an index lags behind its table, and longer than it
/// takes to store and confirm an order.
const SETTLING: Duration = Duration::from_secs(1);

/// The number of SKUs in one read: one batch takes at most 100 keys.
const PAGE: u16 = 100;

/// The result of an audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconciled {
    /// The number of SKUs that have a stock row.
    pub skus: usize,
    /// The number of PENDING and CONFIRMED orders.
    pub open_orders: usize,
    /// The differences, in SKU order. Without any, stock and orders agree.
    pub differences: Vec<Difference>,
}

/// A SKU whose reserved units differ from the units that the open orders hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The SKU to look at.
    pub sku: Sku,
    /// The reserved units in the stock row. 0 when there is no row.
    pub reserved: u64,
    /// The units that PENDING and CONFIRMED orders hold.
    pub held: u64,
}

/// Adds up the open orders for every SKU, and reports the stock rows that differ.
///
/// Orders and stock are read one after the other while the shop is open. So an order that changes in between looks
/// like a difference. After a difference, both are read again one second later, and only SKUs that differ both times
/// are reported. In a busy shop this can still happen by chance. Run it again and act only on differences that
/// persist.
pub async fn reconcile(orders: &Orders, stocks: &Stocks) -> Result<Reconciled, Error> {
    let first = read(orders, stocks).await?;
    if first.differences.is_empty() {
        return Ok(first);
    }
    tokio::time::sleep(SETTLING).await;
    let mut second = read(orders, stocks).await?;
    let suspects: BTreeSet<Sku> = first.differences.into_iter().map(|difference| difference.sku).collect();
    second.differences.retain(|difference| suspects.contains(&difference.sku));
    Ok(second)
}

async fn read(orders: &Orders, stocks: &Stocks) -> Result<Reconciled, Error> {
    let mut seen: HashSet<OrderId> = HashSet::new();
    let mut held: BTreeMap<Sku, u64> = BTreeMap::new();
    orders
        .each_open(|order| {
            if seen.insert(order.order_id) {
                for line in &order.lines {
                    *held.entry(line.sku.clone()).or_default() += u64::from(line.quantity.get());
                }
            }
        })
        .await?;
    let (mut skus, mut differences, mut after) = (0, Vec::new(), None);
    loop {
        let page = stocks.list(PAGE, after.as_ref()).await?;
        skus += page.items.len();
        for stock in page.items {
            let (sku, reserved) = (stock.product.sku, stock.reserved);
            let held = held.remove(&sku).unwrap_or(0);
            if held != reserved {
                differences.push(Difference { sku, reserved, held });
            }
        }
        after = match page.next {
            Some(sku) => Some(Sku::try_from(sku)?),
            None => break,
        };
    }
    // The SKUs that are left have no stock row.
    differences.extend(held.into_iter().map(|(sku, held)| Difference { sku, reserved: 0, held }));
    differences.sort_by(|a, b| a.sku.cmp(&b.sku));
    Ok(Reconciled { skus, open_orders: seen.len(), differences })
}

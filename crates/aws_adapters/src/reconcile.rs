//! Whether the books balance: what is reserved of each SKU against what the open orders hold. Reads, without a Scan, and
//! writes nothing: what to do about a difference is for a person to decide.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    time::Duration,
};

use domain::{Error, OrderId, Sku};

use crate::{Orders, Stocks};

/// How long to wait before a difference is looked at again: longer than an index lags behind its table, as a rule, and
/// than an order takes to be stored and confirmed.
const SETTLING: Duration = Duration::from_secs(1);

/// SKUs that are read at a time.
const PAGE: u16 = 100;

/// What an audit found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reconciled {
    /// How many SKUs there are.
    pub skus: usize,
    /// How many orders hold stock.
    pub open_orders: usize,
    /// Where the two differ, by SKU. None: the books balance.
    pub differences: Vec<Difference>,
}

/// A SKU of which more or less is reserved than the open orders hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which.
    pub sku: Sku,
    /// Units that its stock row says are reserved; none where there is no row.
    pub reserved: u64,
    /// Units that PENDING and CONFIRMED orders hold.
    pub held: u64,
}

/// Recomputes what is reserved of every SKU from the open orders, and says where the stock rows say otherwise.
///
/// Orders and stock are read one after the other while the shop goes on, so an order that moves meanwhile looks like a
/// difference. Where there is one, both are read again a second later, and only what differs both times is told. In a
/// busy shop even that can be an order on its way: what is still told by the next run is not.
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
    // What is left is held of SKUs that have no row.
    differences.extend(held.into_iter().map(|(sku, held)| Difference { sku, reserved: 0, held }));
    differences.sort_by(|a, b| a.sku.cmp(&b.sku));
    Ok(Reconciled { skus, open_orders: seen.len(), differences })
}

//! Why an order is one transaction. The same rush on the same few units runs twice under the same faults: through the
//! shop, and through a plain shop without a transaction.
//!
//! The plain shop decrements the stock if enough is available, then stores the order, and gives the units back when
//! that fails. Each write has a condition. Even so, the SDK repeats a write whose acknowledgement was lost, and makes
//! some writes twice.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    operation::{put_item::PutItemError, update_item::UpdateItemError},
    types::AttributeValue,
};
use futures_util::future::join_all;
use local::aws::sdk_config;

use crate::world::{Customer, Shop, Storm, each_of, seeds, tables};

const SKUS: [&str; 2] = ["TEA-1", "CUP-1"];
const STOCKED: [i64; 2] = [10, 2];

/// Each buyer wants one unit of the first product. Every second buyer also wants one of the other, which soon sells
/// out.
const BUYERS: usize = 20;
const AT_ONCE: usize = 4;

/// How often a buyer tries a request that fails, with the same key.
const ASKS: usize = 3;

/// Among so many rushes some must oversell without a transaction.
const MANY: usize = 20;

#[test]
fn a_rush_under_faults_sells_each_unit_once() {
    each_of(seeds(), async |seed| {
        let shop = opened(seed).await;
        let ada = shop.customer("Ada").await;

        rush(&shop, seed, async |key, skus| buy(&shop, &ada, key, skus).await).await;

        shop.books().await.balance();
        assert!(!outcome(&shop).await.oversold);
    });
}

#[test]
fn the_same_rush_on_a_plain_conditional_decrement_oversells() {
    let outcomes = each_of(seeds(), async |seed| {
        let shop = opened(seed).await;
        let plain = Plain::of(&shop);

        rush(&shop, seed, async |key, skus| plain.buy(key, skus).await).await;

        outcome(&shop).await
    });
    let oversold = outcomes.iter().filter(|outcome| outcome.oversold).count();
    let lost = outcomes.iter().filter(|outcome| outcome.lost).count();
    assert!(oversold > 0 || outcomes.len() < MANY, "none of {} oversold", outcomes.len());
    assert!(lost > 0 || outcomes.len() < MANY, "none of {} lost a unit", outcomes.len());
}

async fn opened(seed: u64) -> Shop {
    let mut shop = Shop::open_with(seed).await;
    for (sku, count) in SKUS.into_iter().zip(STOCKED) {
        shop = shop.stocked(sku, count).await;
    }
    shop
}

/// The outcome of a rush, over all products.
struct RushOutcome {
    /// Orders hold more units than were ever in stock.
    oversold: bool,
    /// More units are reserved than orders hold.
    lost: bool,
}

async fn outcome(shop: &Shop) -> RushOutcome {
    let books = shop.books().await;
    let mut outcome = RushOutcome { oversold: false, lost: false };
    for (sku, stocked) in SKUS.into_iter().zip(STOCKED) {
        let sold = books.in_orders(sku);
        outcome.oversold |= sold > stocked;
        outcome.lost |= books.reserved(sku) > sold;
    }
    outcome
}

/// Lets every buyer buy, a few at once, under faults.
async fn rush(shop: &Shop, seed: u64, buy: impl AsyncFn(&str, &[&str]) -> bool) {
    let storm = Storm::over(shop, seed);
    for first in (0..BUYERS).step_by(AT_ONCE) {
        let buyers = (first..first + AT_ONCE).map(async |buyer| {
            for _ in 0..ASKS {
                if buy(&format!("key-{buyer}"), &SKUS[..=buyer % 2]).await {
                    break;
                }
            }
        });
        join_all(buyers).await;
    }
    storm.end(shop);
}

/// Buys through the shop, and answers whether the outcome is known.
async fn buy(shop: &Shop, customer: &Customer, key: &str, skus: &[&str]) -> bool {
    let lines: Vec<_> = skus.iter().map(|sku| (*sku, 1)).collect();
    shop.place(customer, key, &lines).await.status != 503
}

/// The shop without a transaction.
struct Plain(Client);

/// Whether a write was made; an error when that is unknown.
type Known = Result<bool, ()>;

impl Plain {
    fn of(shop: &Shop) -> Self {
        let config = sdk_config(shop.stack.aws(), "PlainShop", shop.stack.clock());
        // The functions' own client, with its repeats and timeouts.
        Self(aws_adapters::database(&config))
    }

    /// Buys, and answers whether the outcome is known.
    async fn buy(&self, key: &str, skus: &[&str]) -> bool {
        match self.exists(key).await {
            Ok(false) => {}
            Ok(true) => return true,
            Err(()) => return false,
        }
        let mut known = true;
        let mut taken = Vec::new();
        for sku in skus {
            match self.take(sku, 1).await {
                Ok(true) => taken.push(*sku),
                Ok(false) => break,
                Err(()) => {
                    known = false;
                    break;
                }
            }
        }
        if taken.len() == skus.len() {
            if self.store(key, skus).await.is_ok() {
                return true;
            }
            known = false;
        }
        // The order is not known to be stored, so its units go back.
        for sku in taken {
            known &= self.take(sku, -1).await.is_ok();
        }
        known
    }

    async fn exists(&self, key: &str) -> Known {
        let read = self.0.get_item().table_name(tables::name("OrdersTable")).consistent_read(true);
        let read = read.key("order_id", AttributeValue::S(key.to_owned())).send().await;
        read.map(|answer| answer.item.is_some()).map_err(|_unknown| ())
    }

    /// Moves units from available to reserved; a negative number moves them back.
    async fn take(&self, sku: &str, units: i64) -> Known {
        let text = |value: &str| AttributeValue::S(value.to_owned());
        let taken = self
            .0
            .update_item()
            .table_name(tables::name("InventoryTable"))
            .key("sku", text(sku))
            .key("kind", text("STOCK"))
            .update_expression("SET available = available - :q, reserved = reserved + :q")
            .condition_expression("available >= :q")
            .expression_attribute_values(":q", AttributeValue::N(units.to_string()))
            .send()
            .await;
        match taken {
            Ok(_taken) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(()),
            },
        }
    }

    async fn store(&self, key: &str, skus: &[&str]) -> Known {
        let lines = skus.iter().map(|sku| {
            AttributeValue::M(HashMap::from([
                ("sku".to_owned(), AttributeValue::S((*sku).to_owned())),
                ("quantity".to_owned(), AttributeValue::N("1".to_owned())),
            ]))
        });
        let stored = self
            .0
            .put_item()
            .table_name(tables::name("OrdersTable"))
            .item("order_id", AttributeValue::S(key.to_owned()))
            .item("lines", AttributeValue::L(lines.collect()))
            .condition_expression("attribute_not_exists(order_id)")
            .send()
            .await;
        match stored {
            Ok(_stored) => Ok(true),
            Err(error) => match error.as_service_error() {
                // An earlier attempt of the SDK stored it.
                Some(PutItemError::ConditionalCheckFailedException(_)) => Ok(true),
                _ => Err(()),
            },
        }
    }
}

//! Stock in `InventoryTable`: products, counters and the ledger of adjustments.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    operation::{put_item::PutItemError, update_item::UpdateItemError},
    types::{
        AttributeValue, Put, ReturnValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
    },
};
use domain::{
    Adjustment, Error, MAX_AVAILABLE, Movement, MovementId, PricedLine, Product, Recipient, Sku, Stock,
    StockEffect, Timestamp, UserId,
};

use crate::{
    Users,
    batch::read_batch,
    failure::{failed, incomplete, unbuildable, unreadable},
    transaction::{Transacted, condition_failed, transact, write},
    users::recipient,
};

type Item = HashMap<String, AttributeValue>;

/// The sort key of a SKU's stock row.
const STOCK: &str = "STOCK";

/// The prefix of a ledger row's sort key. The movement's id follows.
const MOVE: &str = "MOVE#";

/// The index that lists stock by SKU and a SKU's ledger by time.
const LISTING: &str = "listing";

/// The operations on the stock in one table.
#[derive(Clone, Debug)]
pub struct Stocks {
    client: Client,
    table: String,
}

/// How an adjustment ended. Each outcome is certain.
#[derive(Clone, Debug)]
pub enum Adjusted {
    /// The adjustment is made. Holds the stock after it.
    Done(Stock),
    /// The same adjustment was made before. Holds the stock as it is now.
    Replayed(Stock),
    /// The key was used before, for another adjustment.
    KeyReused,
    /// The shop does not have the SKU.
    NotFound,
    /// The available units would fall below zero.
    BelowZero,
    /// The available units would exceed [`MAX_AVAILABLE`].
    AboveLimit,
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The page's rows, in the order of the list.
    pub items: Vec<T>,
    /// The place after which the next page starts. `None` on the last page.
    pub next: Option<String>,
}

impl Stocks {
    /// Makes the operations on `table`. Calls nothing.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Reads one SKU's stock, consistently. `None` when the shop does not have the SKU.
    pub async fn get(&self, sku: &Sku) -> Result<Option<Stock>, Error> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(key(sku, STOCK)))
            .consistent_read(true)
            .send()
            .await
            .map_err(failed("reading stock"))?;
        answer.item.map(stock).transpose()
    }

    /// Reads the stock of `skus` and, in the same consistent batch, what an announcement
    /// needs of `user`. SKUs that the shop does not
    /// have are left out. The recipient is `None` when the user is not registered.
    pub async fn with_recipient(
        &self,
        users: &Users,
        user: &UserId,
        skus: impl Iterator<Item = &Sku>,
    ) -> Result<(Vec<Stock>, Option<Recipient>), Error> {
        let (users_table, of_user) = users.recipient_key(user);
        let of_stock: Vec<Item> = skus.map(|sku| key(sku, STOCK)).collect();
        let wanted = [(self.table.clone(), of_stock.into()), (users_table.clone(), of_user)];
        let mut found = read_batch(&self.client, wanted).await?;
        let recipient =
            found.remove(&users_table).unwrap_or_default().pop().map(recipient).transpose()?.flatten();
        let rows = found.remove(&self.table).unwrap_or_default();
        Ok((rows.into_iter().map(stock).collect::<Result<_, _>>()?, recipient))
    }

    /// Lists stock by SKU, `limit` rows at most, after the SKU `after`.
    pub async fn list(&self, limit: u16, after: Option<&Sku>) -> Result<Page<Stock>, Error> {
        const DOING: &str = "listing stock";
        let text = |value: &str| AttributeValue::S(value.to_owned());
        let start = after.map(|sku| {
            let mut start = key(sku, STOCK);
            start.insert("list_pk".to_owned(), text(STOCK));
            start.insert("list_sk".to_owned(), text(sku.as_str()));
            start
        });
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(LISTING)
            .key_condition_expression("list_pk = :stock")
            .expression_attribute_values(":stock", text(STOCK))
            .limit(i32::from(limit))
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(failed(DOING))?;
        let sku_of = |item: &Item| item.get("sku").and_then(|sku| sku.as_s().ok()).cloned();
        let skus: Vec<String> = answer.items().iter().filter_map(sku_of).collect();
        let next = answer.last_evaluated_key().and_then(sku_of);
        if skus.is_empty() {
            return Ok(Page { items: Vec::new(), next });
        }
        // The index holds keys only, so the rows are read from the table.
        let keys = skus
            .iter()
            .map(|sku| HashMap::from([("sku".to_owned(), text(sku)), ("kind".to_owned(), text(STOCK))]));
        let rows = self.rows(keys.collect()).await?;
        let mut items: Vec<Stock> = rows.into_iter().map(stock).collect::<Result<_, _>>()?;
        items.sort_by(|a, b| a.product.sku.cmp(&b.product.sku));
        Ok(Page { items, next })
    }

    /// Adds a product with no available units, or changes the name, price and limit of an existing one. The second value
    /// is true when the product is new.
    pub async fn describe(&self, product: &Product) -> Result<(Stock, bool), Error> {
        const DOING: &str = "describing a product";
        let new = Stock { product: product.clone(), available: 0, reserved: 0 };
        let mut item: Item = serde_dynamo::to_item(&new).map_err(unreadable(DOING))?;
        for (name, value) in [("kind", STOCK), ("list_pk", STOCK), ("list_sk", product.sku.as_str())] {
            item.insert(name.to_owned(), AttributeValue::S(value.to_owned()));
        }
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(sku)");
        match write(DOING, || put.clone().send()).await? {
            Ok(_listed) => return Ok((new, true)),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(_)) => {}
                _ => return Err(failed(DOING)(error)),
            },
        }
        let price = serde_dynamo::to_attribute_value(product.unit_price).map_err(unreadable(DOING))?;
        let update = self.client.update_item().table_name(&self.table);
        let update = match product.max_per_order {
            Some(most) => update
                .update_expression("SET #name = :name, unit_price = :price, max_per_order = :most")
                .expression_attribute_values(":most", AttributeValue::N(most.get().to_string())),
            None => update.update_expression("SET #name = :name, unit_price = :price REMOVE max_per_order"),
        };
        let update = update
            .set_key(Some(key(&product.sku, STOCK)))
            .condition_expression("attribute_exists(sku)")
            .expression_attribute_names("#name", "name")
            .expression_attribute_values(":name", AttributeValue::S(product.name.as_str().to_owned()))
            .expression_attribute_values(":price", price)
            .return_values(ReturnValue::AllNew);
        let changed =
            write(DOING, || update.clone().send()).await?.map_err(failed::<UpdateItemError, _>(DOING))?;
        Ok((stock(changed.attributes.ok_or_else(|| incomplete(DOING))?)?, false))
    }

    /// Changes the available units and writes the ledger, in one transaction.
    pub async fn adjust(&self, adjustment: &Adjustment) -> Result<Adjusted, Error> {
        const DOING: &str = "adjusting stock";
        let delta = adjustment.delta.get();
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(ledger_row(adjustment)?))
            .condition_expression("attribute_not_exists(sku)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|_refused| unbuildable(DOING))?;
        let count = |value: i64| AttributeValue::N(value.to_string());
        let most = i64::try_from(MAX_AVAILABLE).unwrap_or(i64::MAX);
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(&adjustment.sku, STOCK)))
            .update_expression("SET available = available + :delta")
            .condition_expression("attribute_exists(sku) AND available BETWEEN :floor AND :ceiling")
            .expression_attribute_values(":delta", count(delta))
            .expression_attribute_values(":floor", count((-delta).max(0)))
            .expression_attribute_values(":ceiling", count(most - delta.max(0)))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|_refused| unbuildable(DOING))?;
        let actions = vec![
            TransactWriteItem::builder().put(put).build(),
            TransactWriteItem::builder().update(update).build(),
        ];
        let replayed = match transact(&self.client, DOING, actions, 0).await? {
            Transacted::Committed => false,
            Transacted::ConditionFailed(reasons) => {
                let [of_ledger, of_stock] = &reasons[..] else { return Err(incomplete(DOING)) };
                if !condition_failed(of_ledger) {
                    return Ok(match of_stock.item() {
                        Some(item) if !item.is_empty() && delta < 0 => Adjusted::BelowZero,
                        Some(item) if !item.is_empty() => Adjusted::AboveLimit,
                        _ => Adjusted::NotFound,
                    });
                }
                let made = of_ledger.item().cloned().ok_or_else(|| incomplete(DOING))?;
                let made: Movement = serde_dynamo::from_item(made).map_err(unreadable(DOING))?;
                if made.fingerprint() != adjustment.fingerprint() {
                    return Ok(Adjusted::KeyReused);
                }
                true
            }
        };
        // A transaction returns no values, so the stock is read again.
        let stock = self.get(&adjustment.sku).await?.ok_or_else(|| incomplete(DOING))?;
        Ok(if replayed { Adjusted::Replayed(stock) } else { Adjusted::Done(stock) })
    }

    /// The transaction's action that moves a line's units from available to reserved. Its condition fails when too few
    /// are available.
    pub(crate) fn reserve(&self, line: &PricedLine) -> Result<TransactWriteItem, Error> {
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(&line.sku, STOCK)))
            .update_expression("SET available = available - :q, reserved = reserved + :q")
            .condition_expression("available >= :q")
            .expression_attribute_values(":q", AttributeValue::N(line.quantity.get().to_string()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(|_refused| unbuildable("reserving stock"))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// The transaction's action that takes a line's units out of reserved. `effect` says whether they become available
    /// again or leave the stock.
    pub(crate) fn unreserve(
        &self,
        line: &PricedLine,
        effect: StockEffect,
    ) -> Result<TransactWriteItem, Error> {
        let update = Update::builder()
            .table_name(&self.table)
            .set_key(Some(key(&line.sku, STOCK)))
            .update_expression(match effect {
                StockEffect::Ship => "SET reserved = reserved - :q",
                StockEffect::Release => "SET reserved = reserved - :q, available = available + :q",
            })
            .condition_expression("reserved >= :q")
            .expression_attribute_values(":q", AttributeValue::N(line.quantity.get().to_string()))
            .build()
            .map_err(|_refused| unbuildable("unreserving stock"))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }

    /// Lists a SKU's ledger, newest first, `limit` rows at most, after the place `after` that an earlier page gave.
    ///
    /// # Errors
    /// [`Error::BadCursor`] when `after` is not a place in a ledger.
    pub async fn movements(
        &self,
        sku: &Sku,
        limit: u16,
        after: Option<&str>,
    ) -> Result<Page<Movement>, Error> {
        const DOING: &str = "listing a ledger";
        let text = |value: &str| AttributeValue::S(value.to_owned());
        let partition = format!("{MOVE}{sku}");
        let start = match after {
            None => None,
            Some(after) => {
                let (at, movement) = read_place(after).ok_or(Error::BadCursor)?;
                let mut start = key(sku, &ledger_kind(movement));
                start.insert("list_pk".to_owned(), text(&partition));
                start.insert("list_sk".to_owned(), text(&at.to_string()));
                Some(start)
            }
        };
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .index_name(LISTING)
            .key_condition_expression("list_pk = :ledger")
            .expression_attribute_values(":ledger", text(&partition))
            .scan_index_forward(false)
            .limit(i32::from(limit))
            .set_exclusive_start_key(start)
            .send()
            .await
            .map_err(failed(DOING))?;
        let part = |row: &Item, name: &str| row.get(name).and_then(|value| value.as_s().ok()).cloned();
        let kinds: Vec<String> = answer.items().iter().filter_map(|row| part(row, "kind")).collect();
        let place = |row: &Item| {
            Some(format!("{} {}", part(row, "list_sk")?, part(row, "kind")?.strip_prefix(MOVE)?))
        };
        let next = answer.last_evaluated_key().and_then(place);
        if kinds.is_empty() {
            return Ok(Page { items: Vec::new(), next });
        }
        let rows = self.rows(kinds.iter().map(|kind| key(sku, kind)).collect()).await?;
        let mut rows: HashMap<String, Item> =
            rows.into_iter().filter_map(|row| Some((part(&row, "kind")?, row))).collect();
        let rows = kinds.iter().filter_map(|kind| rows.remove(kind));
        let items = rows.map(|row| serde_dynamo::from_item(row).map_err(unreadable(DOING)));
        Ok(Page { items: items.collect::<Result<_, _>>()?, next })
    }

    async fn rows(&self, keys: Vec<Item>) -> Result<Vec<Item>, Error> {
        let found = read_batch(&self.client, [(self.table.clone(), keys.into())]).await?;
        Ok(found.into_values().flatten().collect())
    }
}

/// The available units in a stock row. 0 when there is no row.
pub(crate) fn available(row: Option<&Item>) -> u64 {
    row.and_then(|row| row.get("available"))
        .and_then(|n| n.as_n().ok())
        .and_then(|n| n.parse().ok())
        .unwrap_or(0)
}

fn key(sku: &Sku, kind: &str) -> Item {
    HashMap::from([
        ("sku".to_owned(), AttributeValue::S(sku.to_string())),
        ("kind".to_owned(), AttributeValue::S(kind.to_owned())),
    ])
}

fn ledger_kind(movement: MovementId) -> String {
    format!("{MOVE}{movement}")
}

/// Reads a place in a ledger: a time, a space and a movement's id.
fn read_place(place: &str) -> Option<(Timestamp, MovementId)> {
    let (at, movement) = place.split_once(' ')?;
    Some((Timestamp::parse(at)?, MovementId::parse(movement)?))
}

fn stock(item: Item) -> Result<Stock, Error> {
    serde_dynamo::from_item(item).map_err(unreadable("reading a stock row"))
}

fn ledger_row(adjustment: &Adjustment) -> Result<Item, Error> {
    let Adjustment { sku, movement, delta, reason, actor, at } = adjustment;
    let made = Movement { delta: *delta, reason: reason.clone(), actor: actor.clone(), at: *at };
    let mut item: Item = serde_dynamo::to_item(made).map_err(unreadable("writing the ledger"))?;
    item.extend(key(sku, &ledger_kind(*movement)));
    for (name, value) in [("list_pk", format!("{MOVE}{sku}")), ("list_sk", at.to_string())] {
        item.insert(name.to_owned(), AttributeValue::S(value));
    }
    Ok(item)
}

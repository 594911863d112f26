//! Prices a request and finds the reasons to refuse it. Nothing here reads a table: the caller hands in the stock.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Error, Money, OrderRequest, PricedLine, Product, Quantity, RequestedLine, Shortage, Sku, Stock};

/// Priced lines and their shortages. An order with shortages is stored as REJECTED.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quoted {
    /// All lines, in SKU order, those that are short included.
    pub lines: Vec<PricedLine>,
    /// The sum of the lines.
    pub total: Money,
    /// The lines that need more units than are available now.
    #[serde(default)]
    pub shortages: Vec<Shortage>,
}

/// The result of pricing a request. Business outcomes are data, never errors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quote {
    /// Every line has a price. Some may be short.
    Priced(Quoted),
    /// The request cannot become an order.
    Refused(Refusal),
}

/// The reason why a request cannot become an order. Nothing is stored for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Refusal {
    /// The shop does not sell some of the SKUs.
    UnknownSku {
        /// The unknown SKUs, in order.
        skus: Vec<Sku>,
    },
    /// The lines are priced in more than one currency.
    MixedCurrencies {
        /// The currencies' three-letter codes, each once.
        currencies: Vec<String>,
    },
    /// Some lines hold more units than one order may hold of their product.
    AboveMaxPerOrder {
        /// The products, in SKU order.
        limits: Vec<OrderLimit>,
    },
    /// The total differs from the one that the customer expects.
    PriceChanged {
        /// The total in the request.
        expected: Money,
        /// The total at the prices of now.
        quoted: Money,
    },
    /// The caller has no user row.
    UserNotRegistered,
    /// The caller has placed as many orders within an hour as the shop takes.
    TooManyOrders {
        /// The seconds until the oldest of them is an hour old.
        retry_after_s: u64,
    },
}

/// The most units of a product that one order may hold, as an admin set it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLimit {
    /// The product's code.
    pub sku: Sku,
    /// The largest quantity that an order may have.
    pub max_per_order: Quantity,
}

/// Prices a request. `stock` holds one row for each SKU that exists. A SKU without a row is unknown.
pub fn quote(request: &OrderRequest, stock: &[Stock]) -> Result<Quote, Error> {
    let stock: BTreeMap<&Sku, &Stock> = stock.iter().map(|row| (&row.product.sku, row)).collect();
    let mut unknown = Vec::new();
    let mut shortages = Vec::new();
    let mut priced = Vec::new();
    for line in request.lines() {
        let Some(row) = stock.get(&line.sku) else {
            unknown.push(line.sku.clone());
            continue;
        };
        if row.available < u64::from(line.quantity.get()) {
            let sku = line.sku.clone();
            shortages.push(Shortage { sku, requested: line.quantity, available: row.available });
        }
        priced.push((line, &row.product));
    }
    if !unknown.is_empty() {
        return Ok(Quote::Refused(Refusal::UnknownSku { skus: unknown }));
    }
    let currencies: BTreeSet<&str> =
        priced.iter().map(|(_, product)| product.unit_price.money().currency().code()).collect();
    if currencies.len() > 1 {
        let currencies = currencies.into_iter().map(str::to_owned).collect();
        return Ok(Quote::Refused(Refusal::MixedCurrencies { currencies }));
    }
    let limits: Vec<OrderLimit> =
        priced.iter().filter_map(|(line, product)| exceeded(line, product)).collect();
    if !limits.is_empty() {
        return Ok(Quote::Refused(Refusal::AboveMaxPerOrder { limits }));
    }
    let Some(currency) = priced.first().map(|(_, product)| product.unit_price.money().currency()) else {
        return Err(Error::Invalid(vec![crate::InvalidField::new("lines", "must hold at least one line")]));
    };
    let mut sum = 0;
    let mut lines = Vec::with_capacity(priced.len());
    for (line, product) in priced {
        let line_total = product.unit_price.money().amount() * u64::from(line.quantity.get());
        sum += line_total;
        lines.push(PricedLine {
            sku: line.sku.clone(),
            name: product.name.clone(),
            quantity: line.quantity,
            unit_price: product.unit_price,
            line_total: Money::new(line_total, currency)?,
        });
    }
    let total = Money::new(sum, currency)?;
    Ok(match request.expected_total() {
        Some(expected) if expected != total => {
            Quote::Refused(Refusal::PriceChanged { expected, quoted: total })
        }
        _ => Quote::Priced(Quoted { lines, total, shortages }),
    })
}

/// The limit that a line exceeds.
fn exceeded(line: &RequestedLine, product: &Product) -> Option<OrderLimit> {
    let max_per_order = product.max_per_order.filter(|max| line.quantity > *max)?;
    Some(OrderLimit { sku: line.sku.clone(), max_per_order })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Currency, Name};

    fn stock(sku: &str, price: u64, currency: &str, available: u64) -> Stock {
        let money = Money::new(price, Currency::try_from(currency.to_owned()).unwrap()).unwrap();
        Stock {
            product: Product {
                sku: Sku::try_from(sku.to_owned()).unwrap(),
                name: Name::try_from(format!("The {sku}")).unwrap(),
                unit_price: money.try_into().unwrap(),
                max_per_order: None,
            },
            available,
            reserved: 0,
        }
    }

    fn request(lines: &[(&str, i64)], expected_total: Option<Money>) -> OrderRequest {
        let line = |&(sku, n): &(&str, i64)| RequestedLine {
            sku: Sku::try_from(sku.to_owned()).unwrap(),
            quantity: Quantity::try_from(n).unwrap(),
        };
        OrderRequest::new(lines.iter().map(line).collect()).unwrap().with_expected_total(expected_total)
    }

    fn eur(amount: u64) -> Money {
        Money::new(amount, Currency::try_from("EUR".to_owned()).unwrap()).unwrap()
    }

    #[test]
    fn a_quote_has_the_total_and_lists_the_shortages() {
        let shop = [stock("A", 250, "EUR", 5), stock("B", 99, "EUR", 1)];
        let Quote::Priced(quoted) = quote(&request(&[("A", 2), ("B", 3)], None), &shop).unwrap() else {
            panic!()
        };
        assert_eq!(quoted.total, eur(797));
        assert_eq!(quoted.lines[1].line_total, eur(297));
        let short = &quoted.shortages[..];
        assert_eq!(short.len(), 1);
        assert_eq!((short[0].sku.as_str(), short[0].requested.get(), short[0].available), ("B", 3, 1));
    }

    #[test]
    fn an_unknown_sku_comes_before_mixed_currencies_then_a_changed_price_then_a_shortage() {
        let shop = [stock("A", 250, "EUR", 0), stock("B", 99, "USD", 1)];
        let of = |wanted: &[(&str, i64)]| quote(&request(wanted, Some(eur(1))), &shop).unwrap();
        assert!(
            matches!(of(&[("A", 1), ("B", 1), ("C", 1)]), Quote::Refused(Refusal::UnknownSku { skus }) if skus.len() == 1)
        );
        assert!(
            matches!(of(&[("A", 1), ("B", 1)]), Quote::Refused(Refusal::MixedCurrencies { currencies }) if currencies == ["EUR", "USD"])
        );
        assert!(
            matches!(of(&[("A", 1)]), Quote::Refused(Refusal::PriceChanged { quoted, .. }) if quoted == eur(250))
        );
    }

    #[test]
    fn a_line_above_its_products_limit_is_refused_with_every_other_one() {
        let mut shop = [stock("A", 250, "EUR", 9), stock("B", 99, "EUR", 9), stock("C", 99, "EUR", 9)];
        for (row, limit) in shop.iter_mut().zip([2, 3, 4]) {
            row.product.max_per_order = Some(Quantity::try_from(limit).unwrap());
        }
        let Quote::Refused(Refusal::AboveMaxPerOrder { limits }) =
            quote(&request(&[("A", 3), ("B", 3), ("C", 5)], None), &shop).unwrap()
        else {
            panic!()
        };
        let limits: Vec<_> =
            limits.iter().map(|limit| (limit.sku.as_str(), limit.max_per_order.get())).collect();
        assert_eq!(limits, [("A", 2), ("C", 4)]);
        assert!(matches!(quote(&request(&[("A", 2)], None), &shop), Ok(Quote::Priced(_))));
    }

    #[test]
    fn the_total_of_the_most_expensive_order_is_exact() {
        let shop: Vec<Stock> =
            (0..50).map(|n| stock(&format!("S{n:02}"), 1_000_000_000, "EUR", 1000)).collect();
        let wanted: Vec<RequestedLine> = shop
            .iter()
            .map(|row| RequestedLine {
                sku: row.product.sku.clone(),
                quantity: Quantity::try_from(1000).unwrap(),
            })
            .collect();
        let wanted = OrderRequest::new(wanted).unwrap();
        let Quote::Priced(quoted) = quote(&wanted, &shop).unwrap() else { panic!() };
        assert_eq!(quoted.total.amount(), 50_000_000_000_000);
        assert!(quoted.total.amount() < 1 << 53, "JSONata counts in doubles");
    }
}

//! Order lines: a SKU and a quantity, as requested and as priced.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{Error, InvalidField, Money, Name, UnitPrice};

/// The most lines that one order may have.
pub const MAX_LINES: usize = 50;

/// The most units of one SKU that one order may hold, after merging.
pub const MAX_QUANTITY: u32 = 1_000;

/// A stock keeping unit's code: `[A-Z0-9][A-Z0-9._-]{0,63}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sku(String);

impl Sku {
    /// The code as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Sku {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        let first = text.bytes().next().is_some_and(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        let rest = text
            .bytes()
            .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-'));
        if first && rest && text.len() <= 64 {
            Ok(Self(text))
        } else {
            Err(Error::Invalid(vec![InvalidField::new("sku", "must match [A-Z0-9][A-Z0-9._-]{0,63}")]))
        }
    }
}

impl From<Sku> for String {
    fn from(sku: Sku) -> Self {
        sku.0
    }
}

impl fmt::Display for Sku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A number of units of one SKU: 1 to 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Quantity(u32);

impl Quantity {
    /// The number of units.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<i64> for Quantity {
    type Error = Error;

    fn try_from(count: i64) -> Result<Self, Error> {
        u32::try_from(count).ok().filter(|count| (1..=MAX_QUANTITY).contains(count)).map(Self).ok_or_else(
            || {
                Error::Invalid(vec![InvalidField::new(
                    "quantity",
                    format!("must be an integer from 1 to {MAX_QUANTITY}"),
                )])
            },
        )
    }
}

impl From<Quantity> for i64 {
    fn from(quantity: Quantity) -> Self {
        Self::from(quantity.0)
    }
}

/// A line as the customer requests it, without a price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedLine {
    /// The product to order.
    pub sku: Sku,
    /// The number of units to order.
    pub quantity: Quantity,
}

/// Merges lines of one SKU, because DynamoDB allows one action per row in a transaction. Sorts the lines by SKU, so
/// that two requests with the same meaning have the same fingerprint.
pub(crate) fn merge(lines: Vec<RequestedLine>) -> Result<Vec<RequestedLine>, Error> {
    let mut merged: BTreeMap<Sku, i64> = BTreeMap::new();
    for line in lines {
        *merged.entry(line.sku).or_default() += i64::from(line.quantity);
    }
    let mut faults = Vec::new();
    let mut lines = Vec::with_capacity(merged.len());
    for (sku, count) in merged {
        match Quantity::try_from(count) {
            Ok(quantity) => lines.push(RequestedLine { sku, quantity }),
            Err(_out_of_range) => faults.push(InvalidField::new(
                "lines",
                format!("the quantities of {sku} add up to {count}, more than {MAX_QUANTITY}"),
            )),
        }
    }
    Error::reject_if_any(faults)?;
    Ok(lines)
}

/// A line with the product's name and price at the moment when the order was placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricedLine {
    /// The ordered product.
    pub sku: Sku,
    /// The product's name at that moment. A later change of the product does not change it.
    pub name: Name,
    /// The ordered number of units.
    pub quantity: Quantity,
    /// The price of one unit at that moment.
    pub unit_price: UnitPrice,
    /// The unit price times the quantity.
    pub line_total: Money,
}

/// A line for which stock is short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shortage {
    /// The product that is short.
    pub sku: Sku,
    /// The number of units that the order asks for.
    pub requested: Quantity,
    /// The number of units that were available, fewer than requested.
    pub available: u64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(sku: &str, quantity: i64) -> RequestedLine {
        RequestedLine {
            sku: Sku::try_from(sku.to_owned()).unwrap(),
            quantity: Quantity::try_from(quantity).unwrap(),
        }
    }

    #[test]
    fn a_sku_holds_capitals_digits_dots_underscores_and_hyphens() {
        let sku = |text: &str| Sku::try_from(text.to_owned()).is_ok();
        assert!(sku("TEA-1") && sku("0") && sku("A.B_C-9") && sku(&"A".repeat(64)));
        for bad in ["", "tea-1", "-A", ".A", "A B", "A/B", "Ä", "A\n", &"A".repeat(65)] {
            assert!(!sku(bad), "{bad:?}");
        }
    }

    #[test]
    fn merged_quantities_above_the_limit_are_a_fault_that_names_the_sku() {
        let error = merge(vec![line("A", 600), line("B", 1), line("A", 600)]).unwrap_err();
        let Error::Invalid(faults) = error else { panic!("{error}") };
        assert_eq!(
            faults,
            [InvalidField::new("lines", "the quantities of A add up to 1200, more than 1000")]
        );
    }

    proptest! {
        #[test]
        fn merging_keeps_every_unit_and_leaves_one_line_for_each_sku_in_order(
            lines in prop::collection::vec(("[A-D]", 1..=20_i64), 1..50)
        ) {
            let lines: Vec<_> = lines.iter().map(|(sku, n)| line(sku, *n)).collect();
            let units = |lines: &[RequestedLine]| lines.iter().map(|l| l.quantity.get()).sum::<u32>();
            let merged = merge(lines.clone()).unwrap();
            prop_assert_eq!(units(&merged), units(&lines));
            prop_assert!(merged.windows(2).all(|pair| pair[0].sku < pair[1].sku));
        }
    }
}

//! The capacity units that `DynamoDB` bills for recorded calls. Nothing here knows a price or a table.
//!
//! The local `DynamoDB` reports units as AWS does
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>, and `dynoxide`'s
//! `actions/index_capacity.rs`, whose rules were captured from the real service):
//!
//! - A write is one unit for each KB begun, and twice that in a transaction.
//! - A write to an index is charged only if its entry changes. It is not doubled in a transaction.
//! - A consistent read is one unit for each 4 KB begun of each row.
//!
//! An error reports no units. AWS bills a write whose condition fails by the size of its row, with one unit at least.

use std::{
    fmt,
    ops::{Add, AddAssign},
};

use serde_json::Value;

use crate::{assumptions::CANCELLED_UNITS, aws::Recorded};

/// Capacity units, counted in tenths: an eventually consistent read takes half a unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Units {
    /// Tenths of a read unit.
    pub read_tenths: u64,
    /// Tenths of a write unit.
    pub write_tenths: u64,
}

impl Units {
    /// The read units as text, such as `2.5`.
    pub fn read(self) -> String {
        shown(self.read_tenths)
    }

    /// The write units as text.
    pub fn write(self) -> String {
        shown(self.write_tenths)
    }
}

impl fmt::Display for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} read units, {} write units", self.read(), self.write())
    }
}

impl Add for Units {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            read_tenths: self.read_tenths + other.read_tenths,
            write_tenths: self.write_tenths + other.write_tenths,
        }
    }
}

impl AddAssign for Units {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// The units of these calls, of tables and indexes together.
pub fn units<'r>(recorded: impl IntoIterator<Item = &'r Recorded>) -> Units {
    recorded.into_iter().map(of_call).fold(Units::default(), Add::add)
}

fn of_call(recorded: &Recorded) -> Units {
    let reported: u64 = recorded.consumed.iter().map(|table| tenths(&table["CapacityUnits"])).sum();
    match recorded.call.operation.as_str() {
        "BatchGetItem" | "GetItem" | "Query" | "Scan" => Units { read_tenths: reported, ..Units::default() },
        _ => Units { write_tenths: reported + refused(recorded), ..Units::default() },
    }
}

/// Tenths of the units of a write whose condition failed. Its rows are taken to be under 1 KB. A transaction needs one
/// permission for each of its actions.
fn refused(recorded: &Recorded) -> u64 {
    match recorded.error.as_deref() {
        Some("ConditionalCheckFailedException") => 10,
        Some("TransactionCanceledException") => {
            10 * CANCELLED_UNITS.value * recorded.permissions.len() as u64
        }
        _ => 0,
    }
}

/// A reported number of units, such as `2.5`, in tenths. `DynamoDB` reports whole and half units.
pub fn tenths(units: &Value) -> u64 {
    let text = units.to_string();
    let (whole, part) = text.split_once('.').unwrap_or((&text, "0"));
    let digit = |text: &str| text.get(..1).and_then(|digit| digit.parse::<u64>().ok()).unwrap_or(0);
    whole.parse::<u64>().unwrap_or(0) * 10 + digit(part)
}

/// Tenths as a decimal number, without a zero at the end.
pub fn shown(tenths: u64) -> String {
    match tenths % 10 {
        0 => (tenths / 10).to_string(),
        tenth => format!("{}.{tenth}", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn halves_and_whole_units_are_read_and_shown() {
        for (units, expected) in
            [(json!(2.5), "2.5"), (json!(10.0), "10"), (json!(3), "3"), (json!(null), "0")]
        {
            assert_eq!(shown(tenths(&units)), expected, "{units}");
        }
    }
}

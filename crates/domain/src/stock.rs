//! Products, their stock, and the adjustments that people make to it.

use serde::{Deserialize, Serialize};

use crate::{
    Error, Fingerprint, InvalidField, MovementId, Name, Quantity, Reason, Sku, Timestamp, UnitPrice, UserId,
};

/// The most units of one SKU that may be available.
pub const MAX_AVAILABLE: u64 = 1_000_000_000;

/// The largest adjustment, in units, up or down.
pub const MAX_DELTA: i64 = 1_000_000;

/// A product that the shop sells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// The code that identifies the product. It never changes.
    pub sku: Sku,
    /// The name that customers read.
    pub name: Name,
    /// The price of one unit now. An order keeps the price at which it was placed.
    pub unit_price: UnitPrice,
    /// The most units that one order may hold. `None` leaves the limit of every product, 1,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_order: Option<Quantity>,
}

/// A product and its units in stock. Available and reserved units add up to the units on hand. Neither is negative.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// The product, whose fields JSON and the table hold beside the counters.
    #[serde(flatten)]
    pub product: Product,
    /// Units that can be ordered.
    pub available: u64,
    /// Units that PENDING and CONFIRMED orders hold.
    pub reserved: u64,
}

/// The change of the available units by one adjustment: -10^6 to 10^6, not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Delta(i64);

impl Delta {
    /// The number of units. A negative number takes units away.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl TryFrom<i64> for Delta {
    type Error = Error;

    fn try_from(units: i64) -> Result<Self, Error> {
        if units != 0 && (-MAX_DELTA..=MAX_DELTA).contains(&units) {
            Ok(Self(units))
        } else {
            let reason = format!("must be an integer from -{MAX_DELTA} to {MAX_DELTA}, and not 0");
            Err(Error::Invalid(vec![InvalidField::new("delta", reason)]))
        }
    }
}

impl From<Delta> for i64 {
    fn from(delta: Delta) -> Self {
        delta.0
    }
}

/// An adjustment of one SKU's available units that is not made yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    /// The SKU whose stock changes.
    pub sku: Sku,
    /// The id of its row in the ledger, derived from the SKU and the Idempotency-Key.
    pub movement: MovementId,
    /// The units to add. A negative number takes units away.
    pub delta: Delta,
    /// The admin's own words on why.
    pub reason: Reason,
    /// The admin who makes the adjustment.
    pub actor: UserId,
    /// The time of the request.
    pub at: Timestamp,
}

impl Adjustment {
    /// The fingerprint of delta and reason. It tells a repeat from another adjustment under the same Idempotency-Key.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_adjustment(self.delta, &self.reason)
    }
}

/// An adjustment that was made, as the ledger holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Movement {
    /// The units that were added, or taken away.
    pub delta: Delta,
    /// The admin's own words on why.
    pub reason: Reason,
    /// The admin who made the adjustment.
    pub actor: UserId,
    /// The time of the request.
    pub at: Timestamp,
}

impl Movement {
    /// The fingerprint of delta and reason. It tells a repeat from another adjustment under the same Idempotency-Key.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_adjustment(self.delta, &self.reason)
    }
}

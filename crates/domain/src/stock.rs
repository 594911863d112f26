//! What the shop has: products, what is available and reserved, and how it got there.

use serde::{Deserialize, Serialize};

use crate::{
    Error, Fingerprint, InvalidField, MovementId, Name, Quantity, Reason, Sku, Timestamp, UnitPrice, UserId,
};

/// The most units of one SKU that may be available.
pub const MAX_AVAILABLE: u64 = 1_000_000_000;

/// The largest adjustment, in units, up or down.
pub const MAX_DELTA: i64 = 1_000_000;

/// What can be sold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Its code.
    pub sku: Sku,
    /// Its name.
    pub name: Name,
    /// What one costs.
    pub unit_price: UnitPrice,
    /// The most units that one order may hold; no limit of its own without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_per_order: Option<Quantity>,
}

/// A product and how many of it there are. On hand = available + reserved; neither is ever negative.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    /// The product.
    #[serde(flatten)]
    pub product: Product,
    /// Units that can be ordered.
    pub available: u64,
    /// Units that open orders hold.
    pub reserved: u64,
}

/// By how many units an adjustment changes what is available: -10^6 to 10^6, not zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct Delta(i64);

impl Delta {
    /// The number of units; negative takes away.
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

/// An adjustment that somebody wants to make to one SKU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adjustment {
    /// Which SKU's stock.
    pub sku: Sku,
    /// Its place in the ledger, derived from the SKU and the Idempotency-Key.
    pub movement: MovementId,
    /// By how much.
    pub delta: Delta,
    /// Why.
    pub reason: Reason,
    /// Who.
    pub actor: UserId,
    /// When.
    pub at: Timestamp,
}

impl Adjustment {
    /// What makes a repeat of it the same.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_adjustment(self.delta, &self.reason)
    }
}

/// An adjustment that was made: a row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Movement {
    /// By how much.
    pub delta: Delta,
    /// Why.
    pub reason: Reason,
    /// Who.
    pub actor: UserId,
    /// When.
    pub at: Timestamp,
}

impl Movement {
    /// What makes a repeat of it the same.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_adjustment(self.delta, &self.reason)
    }
}

//! What is played in a simulation, and what came of it. All times are microseconds.

use std::ops::RangeInclusive;

/// A second.
pub(super) const SECOND: u64 = 1_000_000;

/// What an order does when its lane has too few units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// It is refused.
    Nowhere,
    /// It reads all lanes and takes one that has enough.
    OneLane,
    /// As `OneLane`. If no lane has enough, it takes from several in one transaction.
    SeveralLanes,
}

/// The state machine's retries of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StepRetries {
    /// The longest wait before each retry. The wait is a random part of it.
    pub(super) longest_waits: Vec<u64>,
}

/// What is played.
#[derive(Clone, Debug)]
pub(super) struct Sale {
    pub(super) orders_per_second: u64,
    /// For how long orders arrive.
    pub(super) seconds: u64,
    /// The rows that the product's stock is split over.
    pub(super) lanes: usize,
    pub(super) search: Search,
    /// How long a transaction holds its rows.
    pub(super) hold: RangeInclusive<u64>,
    /// How long it takes until the function knows that its transaction was cancelled.
    pub(super) told: RangeInclusive<u64>,
    /// Changes of status that move stock, for each 100 orders: shipments, and one cancellation in ten.
    pub(super) changes_percent: u64,
    /// Adjustments of the count, for each 100 orders. Each adds a unit.
    pub(super) adjustments_percent: u64,
    /// The units of an order.
    pub(super) quantity: RangeInclusive<u64>,
    /// The units that are available at the beginning.
    pub(super) units: u64,
    pub(super) retries: StepRetries,
    pub(super) seed: u64,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Course {
    /// For how long orders arrived.
    pub(super) seconds: u64,
    pub(super) orders: u64,
    pub(super) confirmed: u64,
    /// The orders that were confirmed while others still arrived.
    pub(super) confirmed_in_time: u64,
    /// The orders whose step failed after all retries. Their clients are answered 503.
    pub(super) gave_up: u64,
    /// The orders that were refused for lack of stock.
    pub(super) refused: u64,
    /// The refused orders for which the lanes together had enough.
    pub(super) refused_wrongly: u64,
    /// How long the step took, for each confirmed order, in order of size.
    pub(super) times: Vec<u64>,
    /// The transactions tried for orders.
    pub(super) tries: u64,
    /// The write units that the product's rows took.
    pub(super) row_units: u64,
    /// The reads of all lanes.
    pub(super) searches: u64,
    /// The changes and adjustments that were asked for, and those that failed after all retries.
    pub(super) others: u64,
    pub(super) others_gave_up: u64,
    /// The units at the end, by where they are.
    pub(super) available: u64,
    pub(super) reserved: u64,
    pub(super) shipped: u64,
    pub(super) added: u64,
}

impl Course {
    /// The time within which this many of 100 confirmed orders were placed.
    pub(super) fn percentile(&self, percent: usize) -> u64 {
        let last = self.times.len().saturating_sub(1);
        self.times.get(last * percent / 100).copied().unwrap_or_default()
    }
}

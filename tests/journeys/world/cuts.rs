//! AWS calls that are cut off: those of a process that dies, and of one that hangs.

use std::time::Duration;

use local::aws::Fault;

use super::shop::Shop;

/// A way of cutting calls off.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    /// The first calls succeed. The others fail without an effect.
    After,
    /// The same, and the last call with an effect is not acknowledged.
    Unacknowledged,
    /// The last of the first calls and every call after it has its effect, and is not answered in time.
    Hanging,
}

impl Cut {
    pub(crate) const ALL: [Self; 3] = [Self::After, Self::Unacknowledged, Self::Hanging];

    /// The fault of a call, by its number, when `happen` calls may succeed.
    fn of(self, number: u64, happen: u64) -> Option<Fault> {
        match self {
            _ if number < happen => None,
            Self::After if number == happen => None,
            Self::Unacknowledged if number == happen => Some(Fault::After),
            Self::After | Self::Unacknowledged => Some(Fault::Before),
            // Longer than any timeout.
            Self::Hanging => Some(Fault::Delay(Duration::from_mins(5))),
        }
    }

    /// Cuts off every call of a shop from now on, except its first `happen` calls.
    pub(crate) fn plant(self, shop: &Shop, happen: u64) {
        let mut number = 0;
        shop.plant(move |_call| {
            number += 1;
            self.of(number, happen)
        });
    }
}

//! When a write is tried again that a transaction has kept from its rows.

use std::time::Duration;

/// The rule for tries of one write, of one row or of several. The caller draws the wait and sleeps.
#[derive(Clone, Copy, Debug)]
pub struct Contention;

impl Contention {
    /// The most tries after the first one.
    pub const MAX_RETRIES: u32 = 4;

    /// The time after the first try in which a further one may begin.
    pub const WITHIN: Duration = Duration::from_millis(500);

    /// The longest wait before the next try, after this many retries. The caller waits a random part of it, so that two
    /// transactions that collided do not collide again. It doubles with each retry. `None` after the last retry.
    pub fn longest_wait(retries: u32) -> Option<Duration> {
        let left = Self::MAX_RETRIES.checked_sub(retries).filter(|left| *left > 0)?;
        Some(Self::WITHIN / 2_u32.pow(left))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_wait_doubles_up_to_half_the_time_for_all_tries() {
        let waits: Vec<_> = (0..=Contention::MAX_RETRIES).map(Contention::longest_wait).collect();
        let micros = |micros| Some(Duration::from_micros(micros));
        assert_eq!(waits, [micros(31_250), micros(62_500), micros(125_000), micros(250_000), None]);
    }

    #[test]
    fn there_is_no_wait_after_more_retries_than_allowed() {
        assert_eq!(Contention::longest_wait(Contention::MAX_RETRIES + 1), None);
    }
}

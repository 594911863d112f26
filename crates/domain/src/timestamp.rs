//! Points in time, written in RFC 3339, in UTC, with milliseconds. Nothing here reads a clock.

use std::{fmt, time::Duration, time::SystemTime};

use serde::{Deserialize, Serialize};
use time::{
    OffsetDateTime, UtcOffset, format_description::BorrowedFormatItem,
    format_description::well_known::Rfc3339, macros::format_description,
};

const FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A point in time, in UTC, written with milliseconds. Texts sort in the order of their times, as the indexes need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Timestamp(OffsetDateTime);

impl Timestamp {
    /// Reads a time as [`Display`](fmt::Display) writes it. `None` for any other spelling, since that would sort
    /// elsewhere.
    pub fn parse(text: &str) -> Option<Self> {
        Self::try_from(text.to_owned()).ok().filter(|time| time.to_string() == text)
    }

    /// The time `wait` later, at most the last time that the calendar holds.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(time::Duration::try_from(wait).unwrap_or(time::Duration::MAX)))
    }

    /// The time `ago` earlier, at least the first time that the calendar holds.
    #[must_use]
    pub fn before(self, ago: Duration) -> Self {
        Self(self.0.saturating_sub(time::Duration::try_from(ago).unwrap_or(time::Duration::MAX)))
    }

    /// The time that has passed since `earlier`. Zero when `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::try_from(self.0 - earlier.0).unwrap_or(Duration::ZERO)
    }
}

impl Timestamp {
    /// The whole seconds since 1970, as a token counts them.
    pub fn unix_seconds(self) -> i64 {
        self.0.unix_timestamp()
    }

    /// The UTC day, such as `2026-03-01`.
    pub fn day(self) -> String {
        self.0.date().to_string()
    }

    /// The time that is left of the UTC day.
    pub fn until_next_day(self) -> Duration {
        Duration::from_hours(24).saturating_sub(self.since(Self(self.0.replace_time(time::Time::MIDNIGHT))))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let time = OffsetDateTime::from(time);
        // Cut to the millisecond, so that the value read back from its text is equal.
        Self(time.replace_millisecond(time.millisecond()).unwrap_or(time))
    }
}

impl TryFrom<String> for Timestamp {
    type Error = time::error::Parse;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        OffsetDateTime::parse(&text, &Rfc3339).map(|time| Self(time.to_offset(UtcOffset::UTC)))
    }
}

impl From<Timestamp> for String {
    fn from(timestamp: Timestamp) -> Self {
        timestamp.to_string()
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.format(FORMAT).map_err(|_unformattable| fmt::Error)?;
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_in_utc_with_milliseconds_and_read_back_the_same() {
        let time = Timestamp::from(SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456));
        assert_eq!(time.to_string(), "2023-11-14T22:13:20.123Z");
        assert_eq!(Timestamp::try_from(time.to_string()).unwrap(), time);
    }

    #[test]
    fn a_time_with_an_offset_is_the_same_moment_in_utc() {
        let time = Timestamp::try_from("2026-01-01T01:30:00+01:00".to_owned()).unwrap();
        assert_eq!(time.to_string(), "2026-01-01T00:30:00.000Z");
    }

    #[test]
    fn a_day_and_the_time_that_is_left_of_it_are_those_of_utc() {
        let time = Timestamp::try_from("2026-03-02T00:59:00+01:00".to_owned()).unwrap();
        assert_eq!((time.day(), time.unix_seconds()), ("2026-03-01".to_owned(), 1_772_409_540));
        assert_eq!(time.until_next_day(), Duration::from_mins(1));
    }

    #[test]
    fn since_answers_the_wait_that_after_added_and_never_less_than_zero() {
        let time = Timestamp::from(SystemTime::UNIX_EPOCH);
        assert_eq!(time.after(Duration::from_mins(1)).since(time), Duration::from_mins(1));
        assert_eq!(time.since(time.after(Duration::from_mins(1))), Duration::ZERO);
    }
}

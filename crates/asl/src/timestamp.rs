//! The text form of a time in Step Functions. Nothing here parses one.

use time::OffsetDateTime;

/// The time as RFC 3339 in UTC, to the millisecond.
pub(crate) fn rfc3339(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC);
    let ((year, month, day), (hour, minute, second, millisecond)) =
        (at.to_calendar_date(), at.to_hms_milli());
    let month = u8::from(month);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
}

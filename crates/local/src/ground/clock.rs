//! The stack's one clock. Everything local that asks for the time asks here, and so do the AWS SDKs,
//! through [`TimeSource`]. It must never be read from the operating system anywhere else.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use aws_smithy_async::time::TimeSource;
use time::{OffsetDateTime, macros::format_description};

/// What time it is: the system's time, or a time that a test holds.
#[derive(Clone, Debug)]
pub struct StackClock(TimeKind);

#[derive(Clone, Debug)]
enum TimeKind {
    System,
    Held(Arc<Held>),
}

#[derive(Debug)]
struct Held {
    start: SystemTime,
    started: tokio::time::Instant,
    advanced: Mutex<Duration>,
}

impl StackClock {
    /// The operating system's clock.
    pub fn system() -> Self {
        Self(TimeKind::System)
    }

    /// A clock that starts at `start` and moves with tokio's time (which a test pauses), and by
    /// [`advance`](Self::advance).
    pub fn held(start: OffsetDateTime) -> Self {
        Self(TimeKind::Held(Arc::new(Held {
            start: start.into(),
            started: tokio::time::Instant::now(),
            advanced: Mutex::new(Duration::ZERO),
        })))
    }

    /// Moves a held clock forward; the system's clock is nobody's to move, so there this does nothing.
    pub fn advance(&self, by: Duration) {
        if let TimeKind::Held(held) = &self.0 {
            *held.advanced.lock().unwrap_or_else(PoisonError::into_inner) += by;
        }
    }

    /// The time now, in UTC.
    pub fn now(&self) -> OffsetDateTime {
        self.system_time().into()
    }

    /// The time now, in whole seconds since the Unix epoch.
    pub fn unix_seconds(&self) -> i64 {
        self.now().unix_timestamp()
    }

    /// The time now, for the AWS SDKs.
    #[allow(clippy::disallowed_methods, reason = "this is the one place that asks the system for the time")]
    pub fn system_time(&self) -> SystemTime {
        match &self.0 {
            TimeKind::System => SystemTime::now(),
            TimeKind::Held(held) => {
                let advanced = *held.advanced.lock().unwrap_or_else(PoisonError::into_inner);
                held.start + held.started.elapsed() + advanced
            }
        }
    }
}

impl TimeSource for StackClock {
    fn now(&self) -> SystemTime {
        self.system_time()
    }
}

/// A time as RFC 3339 in UTC, with milliseconds.
pub(crate) fn timestamp(at: OffsetDateTime) -> String {
    let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    // Formatting a date of this description cannot fail, and an empty text would show at once.
    at.to_offset(time::UtcOffset::UTC).format(format).unwrap_or_default()
}

//! The stack's one clock, also for the AWS SDKs, through [`TimeSource`]. Nothing else in the local stack reads the
//! operating system's clock.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use aws_smithy_async::time::TimeSource;
use time::{OffsetDateTime, macros::format_description};

/// The stack's clock: the operating system's time, or a time that a test controls.
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

    /// A clock that a test controls. It starts at `start`, and moves with tokio's clock, which a test can pause, and
    /// with [`advance`](Self::advance).
    pub fn held(start: OffsetDateTime) -> Self {
        Self(TimeKind::Held(Arc::new(Held {
            start: start.into(),
            started: tokio::time::Instant::now(),
            advanced: Mutex::new(Duration::ZERO),
        })))
    }

    /// Moves a held clock forward. Does nothing to the system's clock.
    pub fn advance(&self, by: Duration) {
        if let TimeKind::Held(held) = &self.0 {
            *held.advanced.lock().unwrap_or_else(PoisonError::into_inner) += by;
        }
    }

    /// The current time, in UTC.
    pub fn now(&self) -> OffsetDateTime {
        self.system_time().into()
    }

    /// The current time, in whole seconds since the Unix epoch.
    pub fn unix_seconds(&self) -> i64 {
        self.now().unix_timestamp()
    }

    /// The current time, in the type that the AWS SDKs use.
    #[allow(clippy::disallowed_methods, reason = "no other place reads the system's clock")]
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
    // This format cannot fail for a date. An empty text would be noticed at once.
    at.to_offset(time::UtcOffset::UTC).format(format).unwrap_or_default()
}

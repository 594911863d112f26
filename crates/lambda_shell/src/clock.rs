//! The time, from the SDK configuration's time source. A test that sets this source controls every clock in a
//! function.

use aws_config::SdkConfig;
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use domain::Timestamp;

/// A function's clock. Every time that the function stores comes from it.
#[derive(Clone, Debug)]
pub struct Clock(SharedTimeSource);

impl Clock {
    /// The clock of `config`. The SDK clients that are made from `config` use it too.
    pub fn of(config: &SdkConfig) -> Self {
        Self(config.time_source().unwrap_or_else(|| SharedTimeSource::new(SystemTimeSource::new())))
    }

    /// The time of now, cut to the millisecond.
    pub fn now(&self) -> Timestamp {
        self.0.now().into()
    }
}

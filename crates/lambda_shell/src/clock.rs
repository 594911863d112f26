//! What time it is: the SDK configuration's time source, so that whoever holds that holds all time.

use aws_config::SdkConfig;
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use domain::Timestamp;

/// A function's clock.
#[derive(Clone, Debug)]
pub struct Clock(SharedTimeSource);

impl Clock {
    /// The clock that the SDK clients made from `config` use.
    pub fn of(config: &SdkConfig) -> Self {
        Self(config.time_source().unwrap_or_else(|| SharedTimeSource::new(SystemTimeSource::new())))
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.0.now().into()
    }
}

//! The SDK clients and how long each waits. The times nest (milliseconds and seconds, worst-case retries
//! included): gateway 30 s > door function 28 s > an operation on the workflow 21.5 s > state machine 20 s > task 5 s >
//! step function 4 s > an operation on a table or topic 3 s > one attempt at it 1.5 s.

use std::time::Duration;

use aws_config::{
    SdkConfig, retry::RetryConfig, stalled_stream_protection::StalledStreamProtectionConfig,
    timeout::TimeoutConfig,
};
use aws_sdk_dynamodb::config::retry::RetryPartition;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::BeforeTransmitInterceptorContextMut, dyn_dispatch_hint},
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;

/// How long calls may take, for whoever checks that the times nest.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts;

impl Timeouts {
    /// One attempt at a call of a table or a topic.
    pub const ATTEMPT: Duration = Duration::from_millis(1_500);
    /// A call of a table or a topic, all attempts and the waits between them.
    pub const OPERATION: Duration = Duration::from_secs(3);
    /// How long after its first try a transaction may still be tried anew, when other transactions hold its rows.
    pub const CONTENTION: Duration = Duration::from_millis(500);
    /// A run of the workflow, as its caller waits for it. Short enough for a call of the table before and one after it.
    pub const WORKFLOW: Duration = Duration::from_millis(21_500);
    /// How long a run of the sweeper claims orders. The last claim and its execution must end before the function's own
    /// timeout.
    pub const CLAIMING: Duration = Duration::from_secs(30);
    /// Attempts at one call; the SDK waits between them.
    pub const MAX_ATTEMPTS: u32 = 3;
}

/// The first wait of the SDK's exponential backoff. Its default of a second is meant for batch jobs.
const INITIAL_BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_millis(400);

fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(Timeouts::MAX_ATTEMPTS)
        .with_initial_backoff(INITIAL_BACKOFF)
        .with_max_backoff(MAX_BACKOFF)
}

/// A quota of retries for one client alone. The SDK's default is one quota for a service and a process, which on Lambda
/// is the same: a process makes one client of a service there. Where many functions, or many stacks, live in one process,
/// the failures of one must not cost the others their retries.
fn own_quota() -> RetryPartition {
    RetryPartition::custom("orderflow").build()
}

fn short_timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Timeouts::ATTEMPT)
        .operation_attempt_timeout(Timeouts::ATTEMPT)
        .operation_timeout(Timeouts::OPERATION)
        .build()
}

/// The client of the tables. Make it once, in init.
pub fn database(config: &SdkConfig) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::config::Builder::from(config)
        .retry_config(retries())
        .retry_partition(own_quota())
        .timeout_config(short_timeouts())
        .build();
    aws_sdk_dynamodb::Client::from_conf(config)
}

/// The client of the topics. Make it once, in init.
pub fn notifications(config: &SdkConfig) -> aws_sdk_sns::Client {
    let config = aws_sdk_sns::config::Builder::from(config)
        .retry_config(retries())
        .retry_partition(own_quota())
        .timeout_config(short_timeouts())
        .build();
    aws_sdk_sns::Client::from_conf(config)
}

/// The client of the workflow. Make it once, in init.
pub fn workflows(config: &SdkConfig) -> aws_sdk_sfn::Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Timeouts::ATTEMPT)
        .operation_timeout(Timeouts::WORKFLOW)
        .build();
    let builder = aws_sdk_sfn::config::Builder::from(config)
        .retry_config(retries())
        .retry_partition(own_quota())
        .timeout_config(timeouts)
        // An execution answers nothing for seconds, which this protection takes for a stalled download.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    let builder = if config.endpoint_url().is_some() { builder.interceptor(PlainHost) } else { builder };
    aws_sdk_sfn::Client::from_conf(builder.build())
}

/// `StartSyncExecution` is sent to `sync-<host>`, which a custom endpoint does not have.
#[derive(Debug)]
struct PlainHost;

#[dyn_dispatch_hint]
impl Intercept for PlainHost {
    fn name(&self) -> &'static str {
        "PlainHost"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let plain = context.request().uri().replacen("://sync-", "://", 1);
        Ok(context.request_mut().set_uri(plain)?)
    }
}

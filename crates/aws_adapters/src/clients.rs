//! The SDK clients and their timeouts.
//!
//! Every timeout exceeds that of each call it waits for. For a command that runs through the workflow they are, from
//! the outside in: gateway 30 s, door function 28 s, call of the workflow 21.5 s, state machine 20 s, task 5 s, step
//! function 4 s, call of a table or topic with its retries 3 s, one attempt 1.5 s.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use aws_config::{
    SdkConfig, retry::RetryConfig, stalled_stream_protection::StalledStreamProtectionConfig,
    timeout::TimeoutConfig,
};
use aws_sdk_dynamodb::{config::retry::RetryPartition, error::ProvideErrorMetadata};
use aws_sdk_sfn::operation::start_sync_execution::StartSyncExecutionError;
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{
            Intercept,
            context::{BeforeTransmitInterceptorContextMut, FinalizerInterceptorContextRef},
            dyn_dispatch_hint,
        },
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;
use domain::Contention;

/// The limits of the calls. They are public so that a test can compare them with the template's timeouts.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts;

impl Timeouts {
    /// The limit of one attempt at a call of a table or a topic.
    pub const ATTEMPT: Duration = Duration::from_millis(1_500);
    /// The limit of a call of a table or a topic, with all attempts and the waits between them.
    pub const OPERATION: Duration = Duration::from_secs(3);
    /// The time after its first try in which a write is tried again, while transactions hold its rows.
    pub const CONTENTION: Duration = Contention::WITHIN;
    /// The time for which a step waits for SNS to say whether an address is confirmed.
    pub const ASKING: Duration = Duration::from_secs(1);
    /// The limit of a call of the workflow. It leaves a door function time for a call of a table before and after it.
    pub const WORKFLOW: Duration = Duration::from_millis(21_500);
    /// How long a run of the sweeper claims orders. The last claim, with its tries while a transaction holds the row, and
    /// its execution must end before the function's own timeout.
    pub const CLAIMING: Duration = Duration::from_secs(29);
    /// How long a run of the sweeper works on one account. What it has not done by then, the next run does.
    pub const FINISHING: Duration = Duration::from_secs(20);
    /// The most attempts at one call, the first included.
    pub const MAX_ATTEMPTS: u32 = 3;
}

/// The first wait of the SDK's exponential backoff. The SDK's default of one second would use up much of
/// [`Timeouts::OPERATION`].
const INITIAL_BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_millis(400);

fn retries() -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(Timeouts::MAX_ATTEMPTS)
        .with_initial_backoff(INITIAL_BACKOFF)
        .with_max_backoff(MAX_BACKOFF)
}

/// A quota of retries for one client alone. By default, all clients of a service in one process share a quota. On
/// Lambda that makes no difference, because a process has one client of each service. Locally, many functions run in
/// one process, and the failures of one must not use up the retries of the others.
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

/// A value that is made when it is first used. A new client reads the SDK's table of AWS's partitions, which takes long, so a
/// function makes a client in this way if few of its requests need it. Clones share the value.
pub type Later<T> = Arc<LazyLock<T, Box<dyn FnOnce() -> T + Send>>>;

/// A value that `make` makes when it is first used.
pub fn later<T>(config: &SdkConfig, make: impl FnOnce(&SdkConfig) -> T + Send + 'static) -> Later<T> {
    let config = config.clone();
    Arc::new(LazyLock::new(Box::new(move || make(&config))))
}

/// Makes the client of the tables. Call this once, in init: each client opens connections of its own.
pub fn database(config: &SdkConfig) -> aws_sdk_dynamodb::Client {
    let config = aws_sdk_dynamodb::config::Builder::from(config)
        .retry_config(retries())
        .retry_partition(own_quota())
        .timeout_config(short_timeouts())
        .build();
    aws_sdk_dynamodb::Client::from_conf(config)
}

/// Makes the client of the topics. Call this once, in init: each client opens connections of its own.
pub fn notifications(config: &SdkConfig) -> aws_sdk_sns::Client {
    let config = aws_sdk_sns::config::Builder::from(config)
        .retry_config(retries())
        .retry_partition(own_quota())
        .timeout_config(short_timeouts())
        .build();
    aws_sdk_sns::Client::from_conf(config)
}

/// Makes the client of the workflow. Call this once, in init: each client opens connections of its own.
pub fn workflows(config: &SdkConfig) -> aws_sdk_sfn::Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Timeouts::ATTEMPT)
        .operation_timeout(Timeouts::WORKFLOW)
        .build();
    let builder = aws_sdk_sfn::config::Builder::from(config)
        .retry_config(retries())
        .retry_partition(own_quota())
        .timeout_config(timeouts)
        // An execution sends nothing for seconds, and this protection would mistake that for a stalled download.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .interceptor(CountThrottled);
    let builder = if config.endpoint_url().is_some() { builder.interceptor(PlainHost) } else { builder };
    aws_sdk_sfn::Client::from_conf(builder.build())
}

/// Counts every start of the workflow that Step Functions refuses because there are too many, also one that the SDK repeats
/// with success. AWS has no metric for it: an Express workflow's capacity follows the load and is no quota that it shows.
/// <https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html>
#[derive(Debug)]
struct CountThrottled;

#[dyn_dispatch_hint]
impl Intercept for CountThrottled {
    fn name(&self) -> &'static str {
        "CountThrottled"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let error = context.output_or_error().and_then(Result::err);
        let error =
            error.and_then(|error| error.as_operation_error()?.downcast_ref::<StartSyncExecutionError>());
        let code = error.and_then(ProvideErrorMetadata::code).unwrap_or_default();
        if ["Throttl", "TooManyRequests", "LimitExceeded"].iter().any(|part| code.contains(part)) {
            tracing::warn!(
                metric = "StartsThrottled",
                value = 1_u64,
                code,
                "the workflow could not be started"
            );
        }
        Ok(())
    }
}

/// The SDK sends `StartSyncExecution` to `sync-<host>`. A custom endpoint has no such host, so the prefix is removed.
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

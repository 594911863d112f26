//! Opens connections in init, so that the first request does not wait for TCP and TLS. A function opens one to each host
//! that most of its requests call, and to no other.
//!
//! The SDK has no call for this. So an operation of the SDK is sent as an unsigned `GET /` instead: endpoint, TLS and pool
//! of connections are the client's own, and no permission and no table is needed. The answer does not matter. A failure
//! does not either: the first request would report it.

use aws_config::{retry::RetryConfig, timeout::TimeoutConfig};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        interceptors::{Intercept, context::BeforeTransmitInterceptorContextMut, dyn_dispatch_hint},
        orchestrator::HttpRequest,
        runtime_components::RuntimeComponents,
    },
};
use aws_smithy_types::config_bag::ConfigBag;

use crate::clients::Timeouts;

/// Opens a connection to the tables.
pub async fn connect_database(client: &aws_sdk_dynamodb::Client) {
    let once = aws_sdk_dynamodb::config::Builder::new()
        .retry_config(RetryConfig::disabled())
        .timeout_config(brief());
    let greeting = client.list_tables().customize().config_override(once).interceptor(Greeting);
    let _ignored = greeting.send().await;
}

/// Opens a connection to the topics.
pub async fn connect_notifications(client: &aws_sdk_sns::Client) {
    let once =
        aws_sdk_sns::config::Builder::new().retry_config(RetryConfig::disabled()).timeout_config(brief());
    let greeting = client.list_topics().customize().config_override(once).interceptor(Greeting);
    let _ignored = greeting.send().await;
}

/// Opens a connection to the host that runs workflows, which is not the one of Step Functions' other calls.
pub async fn connect_workflows(client: &aws_sdk_sfn::Client) {
    let once =
        aws_sdk_sfn::config::Builder::new().retry_config(RetryConfig::disabled()).timeout_config(brief());
    let operation = client.start_sync_execution().state_machine_arn("-");
    let greeting = operation.customize().config_override(once).interceptor(Greeting);
    let _ignored = greeting.send().await;
}

/// A short limit for the whole call. The connect timeout must be the client's own, because the SDK keeps a pool of
/// connections for each connect timeout.
fn brief() -> TimeoutConfig {
    TimeoutConfig::builder().connect_timeout(Timeouts::ATTEMPT).operation_timeout(Timeouts::ATTEMPT).build()
}

/// Sends `GET /` to the host of the operation, without its signature, its headers and its body.
#[derive(Debug)]
struct Greeting;

#[dyn_dispatch_hint]
impl Intercept for Greeting {
    fn name(&self) -> &'static str {
        "Greeting"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // Each of these operations is a POST to `/`.
        let root = context.request().uri().to_owned();
        *context.request_mut() = HttpRequest::get(root)?;
        Ok(())
    }
}

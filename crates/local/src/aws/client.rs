//! The HTTP client with which the AWS SDKs call [`Aws`] in process. Nothing here opens a socket.

use std::sync::{Arc, Weak};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime_api::{
    client::{
        http::{
            HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
            SharedHttpConnector,
        },
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt as _;

use super::Aws;
use crate::ground::{ACCOUNT, StackClock};

/// The configuration of `caller`'s SDK clients, whose calls `aws` answers. `caller` becomes the access key id, so that
/// each call names its caller.
pub fn sdk_config(aws: &Arc<Aws>, caller: &str, clock: &StackClock) -> SdkConfig {
    let credentials = Credentials::new(caller, "local", None, None, "local");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static(ACCOUNT.region))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(SharedHttpClient::new(InProcess(Arc::downgrade(aws))))
        .sleep_impl(TokioSleep::new())
        .time_source(clock.clone())
        .build()
}

/// The reference is weak, because [`Aws`] owns the functions, whose clients own this.
#[derive(Clone, Debug)]
struct InProcess(Weak<Aws>);

impl HttpClient for InProcess {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for InProcess {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let aws = self.0.upgrade();
        HttpConnectorFuture::new(async move {
            let broken = |error: String| ConnectorError::other(error.into(), None);
            let aws = aws.ok_or_else(|| broken("the stack has stopped".to_owned()))?;
            let request = request.try_into_http1x().map_err(|error| broken(error.to_string()))?;
            let (parts, body) = request.into_parts();
            let body = body.collect().await.map_err(|error| broken(error.to_string()))?.to_bytes();
            let (parts, body) = aws.handle(http::Request::from_parts(parts, body)).await.into_parts();
            let status =
                StatusCode::try_from(parts.status.as_u16()).map_err(|error| broken(error.to_string()))?;
            let mut response = HttpResponse::new(status, SdkBody::from(body));
            for (name, value) in &parts.headers {
                if let Ok(value) = value.to_str() {
                    response.headers_mut().append(name.as_str().to_owned(), value.to_owned());
                }
            }
            Ok(response)
        })
    }
}

//! Start-up on Lambda: logs, trusted root certificates, the SDK's configuration, and the runtime's loop.

use std::sync::Arc;

use aws_config::{
    BehaviorVersion, SdkConfig,
    environment::{EnvironmentVariableCredentialsProvider, EnvironmentVariableRegionProvider},
};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode},
};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use serde_json::value::RawValue;

use crate::{Door, Env, Error, Function, SetupFault, Step, hush_panics, logs};

/// The root certificates of AWS's endpoints: the four of Amazon Trust Services, and Starfield Services G2. A system
/// trusts some 145 roots, and reading them all takes most of a cold start's instructions.
const AMAZON_ROOTS: &[u8] = include_bytes!("roots.pem");

/// The settings that every function reads from its environment.
#[derive(Clone, Debug)]
pub struct Settings {
    log_level: tracing::Level,
    metrics_namespace: String,
    trust_system_roots: bool,
}

impl Settings {
    /// Reads `LOG_LEVEL` (trace, debug, info, warn or error), `METRICS_NAMESPACE` and `TLS_ROOTS` (amazon or system).
    /// Use system for endpoints with other root certificates, such as a company's proxy.
    pub fn from_env(env: &Env) -> Result<Self, SetupFault> {
        let [level, metrics_namespace, roots] = env.read(["LOG_LEVEL", "METRICS_NAMESPACE", "TLS_ROOTS"])?;
        let log_level = level
            .parse()
            .map_err(|_unknown| SetupFault::new("LOG_LEVEL must be trace, debug, info, warn or error"))?;
        let trust_system_roots = match roots.as_str() {
            "amazon" => false,
            "system" => true,
            _ => return Err(SetupFault::new("TLS_ROOTS must be amazon or system")),
        };
        Ok(Self { log_level, metrics_namespace, trust_system_roots })
    }
}

/// Serves a function that the HTTP API calls. Returns only when it cannot start or the runtime fails.
pub async fn serve_http<D: Door>(
    new: impl AsyncFnOnce(&Env, &SdkConfig) -> Result<D, SetupFault>,
) -> Result<(), Error> {
    let (env, config, settings) = start().await?;
    let door = new(&env, &config).await?;
    settings?;
    run(Function::door(door)).await
}

/// Serves a function that the state machine or a schedule calls. Returns only when it cannot start or the runtime
/// fails.
pub async fn serve_step<S: Step>(
    new: impl AsyncFnOnce(&Env, &SdkConfig) -> Result<S, SetupFault>,
) -> Result<(), Error> {
    let (env, config, settings) = start().await?;
    let step = new(&env, &config).await?;
    settings?;
    run(Function::step(step)).await
}

/// Starts the logs and makes the SDK's configuration. A fault of the settings is not returned at once: the function
/// reads its own variables first, so that the fault names every missing variable.
async fn start() -> Result<(Env, SdkConfig, Result<Settings, SetupFault>), Error> {
    let env = Env::process();
    let settings = Settings::from_env(&env);
    let (level, namespace) = match &settings {
        Ok(settings) => (settings.log_level, settings.metrics_namespace.clone()),
        Err(_reported_later) => (tracing::Level::INFO, String::new()),
    };
    logs::start(level, namespace);
    hush_panics();
    let roots = if settings.as_ref().is_ok_and(|settings| settings.trust_system_roots) {
        TrustStore::default()
    } else {
        TrustStore::empty().with_pem_certificate(AMAZON_ROOTS)
    };
    let tls = TlsContext::builder().with_trust_store(roots).build()?;
    let http =
        Builder::new().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).tls_context(tls).build_https();
    // Lambda gives a function its region and its credentials as variables. The SDK would look in files, and make a client
    // of STS, before it looked there.
    let config = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .region(EnvironmentVariableRegionProvider::new())
        .credentials_provider(EnvironmentVariableCredentialsProvider::new())
        .profile_files(EnvConfigFiles::builder().with_contents(EnvConfigFileKind::Config, "").build())
        .load()
        .await;
    Ok((env, config, settings))
}

async fn run(function: Function) -> Result<(), Error> {
    let function = Arc::new(function);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| {
        let function = Arc::clone(&function);
        async move {
            let context = &event.context;
            let trace = context.xray_trace_id.as_deref();
            let answer = function.invoke(event.payload.get(), &context.request_id, trace).await;
            let answer = answer.map_err(|error| Diagnostic {
                error_type: error.name.to_owned(),
                error_message: error.message,
            })?;
            RawValue::from_string(answer).map_err(|unreadable| Diagnostic {
                error_type: "internal".to_owned(),
                error_message: format!("the answer is no JSON, at column {}", unreadable.column()),
            })
        }
    }))
    .await
}

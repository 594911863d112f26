//! `AWS::Serverless::Function`: its code, environment, limits and permissions. Nothing here reads its events.

use std::{collections::BTreeMap, path::Path, time::Duration};

use super::{
    names::Identity,
    node::Node,
    queues::{self, Queue},
    roles::{self, Role, Statement},
};

/// A Lambda function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionResource {
    /// Its key under `Resources`.
    pub logical_id: String,
    /// Its physical name, which ends its ARN.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// The binary that it runs. The crate has the same name.
    pub binary: String,
    /// Its environment variables, those of `Globals` included.
    pub environment: BTreeMap<String, String>,
    /// The longest that one invocation may take.
    pub timeout: Duration,
    /// The size of its memory, in MB.
    pub memory_mb: u64,
    /// The processor that it runs on: `arm64` or `x86_64`.
    pub architecture: String,
    /// The logical id of the role that it runs as.
    pub role_logical_id: String,
    /// The statements of that role's policies.
    pub statements: Vec<Statement>,
    /// Whether X-Ray traces it.
    pub traced: bool,
    /// The ARN of the queue for failed asynchronous invocations. The local stack has no queues, and logs such a failure
    /// instead.
    pub on_failure: Option<String>,
}

/// Properties that other files of this folder read, or that have no effect that a program can observe.
const AWS_ONLY: &[&str] = &[
    "FunctionName",
    "Description",
    "EphemeralStorage",
    "Events",
    "Handler",
    "LoggingConfig",
    "ReservedConcurrentExecutions",
    "Tags",
];

/// The defaults of Lambda.
const DEFAULT_TIMEOUT_S: u64 = 3;
const DEFAULT_MEMORY_MB: u64 = 128;
const DEFAULT_ARCHITECTURE: &str = "x86_64";

pub(super) fn read(
    logical_id: &str,
    identity: &Identity,
    properties: &Node<'_>,
    metadata: &Node<'_>,
    roles: &[Role],
    queues: &[Queue],
) -> Option<FunctionResource> {
    properties.expect_keys(
        &[
            "Architectures",
            "CodeUri",
            "Environment",
            "EventInvokeConfig",
            "MemorySize",
            "Role",
            "Runtime",
            "Timeout",
            "Tracing",
        ],
        AWS_ONLY,
    );
    if let Some(runtime) = properties.required("Runtime") {
        runtime.expect_one_of(&["provided.al2023"]);
    }
    let role = roles::find(roles, properties, "Role", "lambda.amazonaws.com");
    let limit = |key, most, default| match properties.get(key) {
        Some(node) => {
            let value = node.whole_number()?;
            if value == 0 || value > most {
                node.report(format!("expected 1 to {most}"));
            }
            Some(value)
        }
        None => Some(default),
    };
    let timeout_s = limit("Timeout", 900, DEFAULT_TIMEOUT_S);
    let memory_mb = limit("MemorySize", 10_240, DEFAULT_MEMORY_MB);
    let architecture = properties.get("Architectures").and_then(|list| list.list().into_iter().next());
    if let Some(architecture) = &architecture {
        architecture.expect_one_of(&["arm64", "x86_64"]);
    }
    let mut environment = BTreeMap::new();
    if let Some(node) = properties.get("Environment") {
        node.expect_keys(&["Variables"], &[]);
        for (name, variable) in node.get("Variables").iter().flat_map(Node::entries) {
            environment.extend(variable.text().map(|text| (name.to_owned(), text)));
        }
    }
    let tracing = properties.get("Tracing");
    if let Some(tracing) = &tracing {
        tracing.expect_one_of(&["Active", "PassThrough"]);
    }
    let on_failure = properties.get("EventInvokeConfig").and_then(|config| on_failure(&config, queues));
    let binary = binary(properties, metadata);
    let role = role?;
    Some(FunctionResource {
        logical_id: logical_id.to_owned(),
        name: identity.name.clone(),
        arn: identity.arn(),
        binary: binary?,
        environment,
        timeout: Duration::from_secs(timeout_s?),
        memory_mb: memory_mb?,
        architecture: architecture
            .and_then(|architecture| architecture.text())
            .unwrap_or_else(|| DEFAULT_ARCHITECTURE.to_owned()),
        role_logical_id: role.logical_id.clone(),
        statements: role.statements.clone(),
        traced: tracing.is_some_and(|tracing| tracing.value == "Active"),
        on_failure,
    })
}

/// The ARN of the queue for failed asynchronous invocations.
fn on_failure(config: &Node<'_>, queues: &[Queue]) -> Option<String> {
    config.expect_keys(&["DestinationConfig", "MaximumRetryAttempts"], &["MaximumEventAgeInSeconds"]);
    // By default Lambda retries a failed invocation twice. The local stack does not retry.
    if let Some(attempts) = config.required("MaximumRetryAttempts") {
        attempts.expect_one_of(&["0"]);
    }
    let destinations = config.get("DestinationConfig")?;
    destinations.expect_keys(&["OnFailure"], &[]);
    let on_failure = destinations.get("OnFailure")?;
    on_failure.expect_keys(&["Type", "Destination"], &[]);
    if let Some(of_type) = on_failure.required("Type") {
        of_type.expect_one_of(&["SQS"]);
    }
    queues::find_arn(queues, &on_failure.required("Destination")?)
}

/// The binary that `sam build` makes. Folder, crate and binary share one name. A mismatch is reported here, before the
/// next deployment would fail.
fn binary(properties: &Node<'_>, metadata: &Node<'_>) -> Option<String> {
    metadata.expect_keys(&["BuildMethod", "BuildProperties"], &[]);
    if let Some(method) = metadata.required("BuildMethod") {
        method.expect_one_of(&["rust-cargolambda"]);
    }
    let build = metadata.required("BuildProperties");
    if let Some(build) = &build {
        build.expect_keys(&["Binary"], &[]);
    }
    let binary = build.and_then(|build| build.required("Binary"));
    let (binary, code) = (binary?, properties.required("CodeUri")?);
    let (name, folder) = (binary.text()?, code.text()?);
    if Path::new(&folder).file_name() != Some(name.as_ref()) {
        binary.report(format!(
            "expected the name of the crate's folder, which CodeUri says is {folder}, found `{name}`"
        ));
    }
    Some(name)
}

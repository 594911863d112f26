//! AWS's wire protocols, as far as Orderflow uses them: JSON 1.0 (DynamoDB, Step Functions), JSON 1.1 (Cognito), Query
//! (SNS) and REST (Lambda's `Invoke`). The signature names a call's service. Cognito's calls are recognised by their
//! operation instead, because callers make them before they have credentials. Nothing here verifies a signature.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use serde_json::{Value, json};

use super::query;
use crate::ground::AwsError;

/// A parsed call.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    /// A DynamoDB operation and its request, as JSON text.
    DynamoDb { operation: String, body: String },
    /// An SNS action and its parameters.
    Sns { action: String, parameters: Value },
    /// A Cognito operation and its request.
    Cognito { operation: String, request: Redacted },
    /// Step Functions' `StartSyncExecution` and its request.
    StartSyncExecution { body: Value },
    /// Lambda's `Invoke`, synchronous.
    Invoke { function: String, payload: String },
}

/// A request that may hold a password. Its `Debug` form shows no content, so records and messages cannot leak it.
#[derive(Clone)]
pub(super) struct Redacted(pub(super) Value);

impl std::fmt::Debug for Redacted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redacted")
    }
}

impl Operation {
    pub(super) fn service(&self) -> &'static str {
        match self {
            Self::DynamoDb { .. } => "dynamodb",
            Self::Sns { .. } => "sns",
            Self::Cognito { .. } => "cognito-idp",
            Self::StartSyncExecution { .. } => "states",
            Self::Invoke { .. } => "lambda",
        }
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Self::DynamoDb { operation, .. } | Self::Cognito { operation, .. } => operation,
            Self::Sns { action, .. } => action,
            Self::StartSyncExecution { .. } => "StartSyncExecution",
            Self::Invoke { .. } => "Invoke",
        }
    }

    /// The resource that the call is made on, as [`Call::target`](super::Call) describes it.
    pub(super) fn target(&self) -> String {
        let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
        match self {
            Self::DynamoDb { body, .. } => tables(&serde_json::from_str(body).unwrap_or_default()),
            Self::Sns { parameters, .. } => text(parameters, "TopicArn"),
            Self::Cognito { request, .. } => text(&request.0, "ClientId"),
            Self::StartSyncExecution { body } => text(body, "stateMachineArn"),
            Self::Invoke { function, .. } => function.clone(),
        }
    }
}

/// The tables that a DynamoDB request names, sorted, each once, separated by commas.
fn tables(request: &Value) -> String {
    let one = request.get("TableName").and_then(Value::as_str);
    let batch = request.get("RequestItems").and_then(Value::as_object);
    let actions = request.get("TransactItems").and_then(Value::as_array);
    let action = |action: &Value| {
        let action = action.as_object()?.values().next()?;
        Some(action["TableName"].as_str()?.to_owned())
    };
    let mut names: Vec<String> = one.into_iter().map(str::to_owned).collect();
    names.extend(batch.into_iter().flat_map(|tables| tables.keys().cloned()));
    names.extend(actions.into_iter().flatten().filter_map(action));
    names.sort();
    names.dedup();
    names.join(",")
}

/// The prefix of Cognito's operations in `X-Amz-Target`.
const COGNITO: &str = "AWSCognitoIdentityProviderService.";

/// The protocol of a call's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Json,
    Json11,
    Query,
    Rest,
}

type Read = Result<(String, Protocol, Operation), (Protocol, AwsError)>;

/// Parses a call: its caller, the protocol of its answer, and the operation.
pub(super) fn read(request: &Request<Bytes>) -> Read {
    let target =
        request.headers().get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let signed = signed_for(request);
    if let Some(operation) = target.strip_prefix(COGNITO) {
        let request = serde_json::from_slice(request.body()).map_err(|error| {
            // The message gives the position only, because the text may hold a password.
            let message = format!("not JSON at line {}, column {}", error.line(), error.column());
            (Protocol::Json11, AwsError::new(400, "SerializationException", message))
        })?;
        let operation = Operation::Cognito { operation: operation.to_owned(), request: Redacted(request) };
        let caller = signed.map(|(caller, _)| caller).unwrap_or_default();
        return Ok((caller.to_owned(), Protocol::Json11, operation));
    }
    let (caller, service) = signed.or_else(|| unsigned(request)).ok_or_else(|| {
        (
            Protocol::Json,
            AwsError::new(403, "MissingAuthenticationTokenException", "Missing Authentication Token"),
        )
    })?;
    let operation = target.rsplit('.').next().unwrap_or_default();
    match service {
        "dynamodb" => {
            let body = String::from_utf8_lossy(request.body()).into_owned();
            Ok((
                caller.to_owned(),
                Protocol::Json,
                Operation::DynamoDb { operation: operation.to_owned(), body },
            ))
        }
        "states" if operation == "StartSyncExecution" => {
            let body = serde_json::from_slice(request.body()).map_err(|error| {
                (Protocol::Json, AwsError::new(400, "SerializationException", error.to_string()))
            })?;
            Ok((caller.to_owned(), Protocol::Json, Operation::StartSyncExecution { body }))
        }
        "sns" => {
            let (action, parameters) =
                query::read(request.body()).map_err(|error| (Protocol::Query, error))?;
            Ok((caller.to_owned(), Protocol::Query, Operation::Sns { action, parameters }))
        }
        "lambda" => invocation(request)
            .map(|operation| (caller.to_owned(), Protocol::Rest, operation))
            .ok_or_else(|| (Protocol::Rest, unsupported("lambda", request.uri().path()))),
        other => Err((Protocol::Json, unsupported(other, operation))),
    }
}

/// Writes an answer in its protocol.
pub(super) fn write(
    protocol: Protocol,
    operation: &str,
    answer: &Result<Value, AwsError>,
) -> Response<Bytes> {
    match (protocol, answer) {
        (Protocol::Query, answer) => query::write(operation, answer, "local"),
        (Protocol::Rest, Ok(invoked)) => {
            let payload = invoked["payload"].as_str().unwrap_or_default().to_owned();
            let mut response = respond(200, "application/json", payload);
            if invoked["failed"] == true {
                response
                    .headers_mut()
                    .insert("x-amz-function-error", header::HeaderValue::from_static("Unhandled"));
            }
            response
        }
        (Protocol::Json, Ok(value)) => respond(200, "application/x-amz-json-1.0", value.to_string()),
        (Protocol::Json11, Ok(value)) => respond(200, JSON_11, value.to_string()),
        (Protocol::Json11, Err(error)) => {
            let body = json!({ "__type": error.code, "message": error.message });
            with_error_type(respond(error.status, JSON_11, body.to_string()), &error.code)
        }
        (Protocol::Json | Protocol::Rest, Err(error)) => {
            let body = error.body.as_deref().cloned().unwrap_or_else(
                || json!({ "__type": error.code, "message": error.message, "Message": error.message }),
            );
            with_error_type(
                respond(error.status, "application/x-amz-json-1.0", body.to_string()),
                &error.code,
            )
        }
    }
}

/// Adds the error's code to the answer's headers, where the SDKs look first.
fn with_error_type(mut response: Response<Bytes>, code: &str) -> Response<Bytes> {
    if let Ok(code) = header::HeaderValue::from_str(code) {
        response.headers_mut().insert("x-amzn-errortype", code);
    }
    response
}

const JSON_11: &str = "application/x-amz-json-1.1";

/// The access key id and the service in a Signature Version 4.
fn signed_for(request: &Request<Bytes>) -> Option<(&str, &str)> {
    let authorization = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let scope = authorization.split_once("Credential=")?.1.split(',').next()?;
    let mut parts = scope.trim().split('/');
    let caller = parts.next()?;
    let service = parts.nth(2)?;
    Some((caller, service))
}

/// The path of Lambda's `Invoke`, before the function's name.
const INVOCATIONS: &str = "/2015-03-31/functions/";

/// The caller and service of an unsigned invocation: `cargo lambda invoke` does not sign calls to a local port.
fn unsigned(request: &Request<Bytes>) -> Option<(&'static str, &'static str)> {
    let invokes = request.uri().path().starts_with(INVOCATIONS);
    (invokes && !request.headers().contains_key(header::AUTHORIZATION)).then_some(("unsigned", "lambda"))
}

fn invocation(request: &Request<Bytes>) -> Option<Operation> {
    // An image's address makes a browser send a GET without an Origin.
    if request.method() != Method::POST {
        return None;
    }
    let function = request.uri().path().strip_prefix(INVOCATIONS)?.strip_suffix("/invocations")?;
    let function = percent_encoding::percent_decode_str(function).decode_utf8().ok()?.into_owned();
    let payload = String::from_utf8(request.body().to_vec()).ok()?;
    Some(Operation::Invoke {
        function,
        payload: if payload.is_empty() { "null".to_owned() } else { payload },
    })
}

fn unsupported(service: &str, operation: &str) -> AwsError {
    let message = format!(
        "the local stack does not support {service} {operation}; it supports dynamodb, sns, states StartSyncExecution, lambda Invoke, and cognito-idp's unsigned operations"
    );
    AwsError::new(400, "UnknownOperationException", message)
}

fn respond(status: u16, content_type: &'static str, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}

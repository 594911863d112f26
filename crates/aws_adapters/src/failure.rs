//! Turns failed calls into errors. All calls use this, so no timeout is ever reported as "not found".

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use domain::Error;

/// The error of a call that failed for another reason than its condition. A refusal that every repeat would meet again
/// is [`Error::Internal`]. Every other failure is [`Error::Unavailable`], since the write may have happened.
pub(crate) fn failed<E, R>(doing: &'static str) -> impl Fn(SdkError<E, R>) -> Error
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    move |error| {
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code).map(str::to_owned);
        let source = Failure { code: code.clone(), kind: kind(&error) }.into();
        match code.as_deref() {
            Some(
                "AccessDeniedException"
                | "AuthorizationError"
                | "ValidationException"
                | "ResourceNotFoundException"
                | "StateMachineDoesNotExist"
                | "InvalidArn"
                | "NotFound"
                | "UnrecognizedClientException",
            ) => Error::Internal { doing, source },
            _ => Error::Unavailable { doing, source },
        }
    }
}

/// The error of a row that cannot be read or written as its type.
pub(crate) fn unreadable(doing: &'static str) -> impl Fn(serde_dynamo::Error) -> Error {
    // The message is dropped, because it could repeat a value of the row.
    move |_message| Error::Internal {
        doing,
        source: Failure {
            code: Some("UnreadableRow".to_owned()),
            kind: "the row is not of the expected form",
        }
        .into(),
    }
}

/// The error of an answer that lacks a part.
pub(crate) fn incomplete(doing: &'static str) -> Error {
    let source =
        Failure { code: Some("IncompleteAnswer".to_owned()), kind: "the answer lacks a part" }.into();
    Error::Internal { doing, source }
}

/// The error of a request that the SDK's builder refused.
pub(crate) fn unbuildable(doing: &'static str) -> Error {
    let source =
        Failure { code: Some("UnbuildableRequest".to_owned()), kind: "the request could not be built" }
            .into();
    Error::Internal { doing, source }
}

/// The code and the kind of a failure. It never holds the service's message, because that can repeat keys and values.
#[derive(Debug, thiserror::Error)]
#[error("{kind} ({})", code.as_deref().unwrap_or("no code"))]
struct Failure {
    code: Option<String>,
    kind: &'static str,
}

fn kind<E, R>(error: &SdkError<E, R>) -> &'static str {
    match error {
        SdkError::ConstructionFailure(_) => "the request could not be built",
        SdkError::TimeoutError(_) => "the call timed out",
        SdkError::DispatchFailure(_) => "the connection failed",
        SdkError::ResponseError(_) => "the answer could not be read",
        SdkError::ServiceError(_) | _ => "the service refused",
    }
}

//! What a failed call means. Made once here, so that no caller invents "not found" out of a timeout.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use domain::Error;

/// A call that failed for another reason than its condition. Refusals that no repeat can mend are broken set-ups;
/// everything else may have happened.
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

/// A row that cannot be read as what it should be.
pub(crate) fn unreadable(doing: &'static str) -> impl Fn(serde_dynamo::Error) -> Error {
    // The message could repeat a value out of the row: only the fact is kept.
    move |_message| Error::Internal {
        doing,
        source: Failure {
            code: Some("UnreadableRow".to_owned()),
            kind: "the row is not of the expected form",
        }
        .into(),
    }
}

/// An answer without something that it always has.
pub(crate) fn incomplete(doing: &'static str) -> Error {
    let source =
        Failure { code: Some("IncompleteAnswer".to_owned()), kind: "the answer lacks a part" }.into();
    Error::Internal { doing, source }
}

/// The code and kind of a failure. Never its message: those repeat keys and values.
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

//! The error answer of an AWS service, in one form for every service and protocol. Nothing here writes one on the wire.

use serde_json::Value;

use super::StoreError;

/// An error answer of an AWS service.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct AwsError {
    /// The HTTP status. From 500 on, the service is at fault. Below 500 the caller is, or the call was throttled.
    pub status: u16,
    /// The code that clients match on, such as `NotFound`.
    pub code: String,
    /// The explanation, for a person.
    pub message: String,
    /// The whole JSON body, if it holds more than code and message.
    pub body: Option<Box<Value>>,
}

impl AwsError {
    /// An error whose body holds only code and message.
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), body: None }
    }

    /// Whether the service is at fault, rather than its caller.
    pub(crate) fn is_service_fault(&self) -> bool {
        self.status >= 500
    }
}

impl From<StoreError> for AwsError {
    fn from(fault: StoreError) -> Self {
        // The message holds the whole chain of causes, because a client sees only this text.
        let mut message = fault.to_string();
        let mut source = std::error::Error::source(&fault);
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Self::new(500, "InternalError", message)
    }
}

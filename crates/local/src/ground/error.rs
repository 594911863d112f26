//! The error answer of an AWS service, whichever service and protocol it is.

use serde_json::Value;

use super::StoreError;

/// An error answer of an AWS service.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct AwsError {
    /// The HTTP status. From 500 on the fault is the service's, and repeating may help; below it is the caller's.
    pub status: u16,
    /// The code that clients match on, such as `NotFound`.
    pub code: String,
    /// What is wrong, for people.
    pub message: String,
    /// The whole JSON body, where it holds more than code and message.
    pub body: Option<Box<Value>>,
}

impl AwsError {
    /// An error whose body holds code and message alone.
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), body: None }
    }

    /// Whether the service is at fault, and not its caller.
    pub(crate) fn is_service_fault(&self) -> bool {
        self.status >= 500
    }
}

impl From<StoreError> for AwsError {
    fn from(fault: StoreError) -> Self {
        // The whole chain, because a client sees nothing but this text.
        let mut message = fault.to_string();
        let mut source = std::error::Error::source(&fault);
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Self::new(500, "InternalError", message)
    }
}

//! Errors as RFC 9457 problem documents. Only this file gives an error its HTTP status.

use std::time::Duration;

use domain::{Error, InvalidField};
use serde_json::{Value, json};

use crate::Response;

/// The HTTP status of an error, and the title of its problem document.
fn status_and_title(error: &Error) -> (u16, &'static str) {
    match error {
        Error::BadCursor => (400, "The cursor is not one of this list"),
        Error::MalformedJson { .. } => (400, "The body is not a JSON object"),
        Error::IdempotencyKeyMissing => (400, "The Idempotency-Key header is missing"),
        Error::IdempotencyKeyRepeated => (400, "There is more than one Idempotency-Key"),
        Error::IdTokenRequired => (401, "An ID token is required"),
        Error::EmailNotVerified => (403, "The e-mail address is not verified"),
        Error::TokenBeforeErasure => (403, "Sign in again"),
        Error::AddressChangedTooOften { .. } => (429, "The address was changed too often today"),
        Error::AddressChangePending { .. } => (503, "The address cannot change yet"),
        Error::Forbidden => (403, "Not allowed"),
        Error::NotFound(_) => (404, "Not found"),
        Error::UserNotRegistered => (409, "Not registered"),
        Error::TooManyOrders { .. } => (429, "Too many orders within an hour"),
        Error::PriceChanged { .. } => (409, "The price has changed"),
        Error::InsufficientStock(_) => (409, "Not enough stock"),
        Error::IllegalTransition { .. } => (409, "Not possible in this status"),
        Error::NothingDue => (409, "Nothing is due"),
        Error::StaleVersion => (412, "The order has changed"),
        Error::IfMatchMissing => (428, "The If-Match header is missing"),
        Error::BelowZero => (409, "Not that much available"),
        Error::AboveLimit { .. } => (409, "Too much available"),
        Error::BodyTooLarge { .. } => (413, "The body is too large"),
        Error::Invalid(_) => (422, "The request is not valid"),
        Error::UnknownSku(_) => (422, "Unknown SKU"),
        Error::IdempotencyKeyReused => (422, "The Idempotency-Key was used before"),
        Error::StockContention | Error::StatusContention | Error::Unavailable { .. } => (503, "Try again"),
        Error::Internal { .. } => (500, "Internal error"),
    }
}

/// The members of the problem document that only some errors have.
fn details(error: &Error) -> Value {
    match error {
        Error::Invalid(faults) => json!({ "errors": faults }),
        Error::UnknownSku(skus) => {
            let faults: Vec<InvalidField> = skus
                .iter()
                .map(|sku| InvalidField::new("lines", format!("{sku} is not sold here")))
                .collect();
            json!({ "errors": faults, "skus": skus })
        }
        Error::IfMatchMissing => json!({ "errors": [InvalidField::new("If-Match", "is required")] }),
        Error::IdempotencyKeyMissing => {
            json!({ "errors": [InvalidField::new("Idempotency-Key", "is required")] })
        }
        Error::IdempotencyKeyRepeated => {
            json!({ "errors": [InvalidField::new("Idempotency-Key", "must be given once, and hold no comma")] })
        }
        Error::MalformedJson { repeated: Some(repeated), .. } => json!({ "errors": [repeated] }),
        Error::PriceChanged { expected, quoted } => {
            json!({ "expected_total": expected, "quoted_total": quoted })
        }
        Error::InsufficientStock(order) => {
            json!({ "order_id": order.order_id, "shortages": order.shortages })
        }
        Error::MalformedJson { repeated: None, .. }
        | Error::BadCursor
        | Error::IdTokenRequired
        | Error::EmailNotVerified
        | Error::TokenBeforeErasure
        | Error::AddressChangedTooOften { .. }
        | Error::AddressChangePending { .. }
        | Error::Forbidden
        | Error::NotFound(_)
        | Error::UserNotRegistered
        | Error::TooManyOrders { .. }
        | Error::IllegalTransition { .. }
        | Error::NothingDue
        | Error::StaleVersion
        | Error::BelowZero
        | Error::AboveLimit { .. }
        | Error::BodyTooLarge { .. }
        | Error::IdempotencyKeyReused
        | Error::StockContention
        | Error::StatusContention
        | Error::Unavailable { .. }
        | Error::Internal { .. } => json!({}),
    }
}

/// Answers `error` with a problem document.
pub(crate) fn problem(error: &Error, request_id: &str) -> Result<Response, Error> {
    let (status, title) = status_and_title(error);
    let wait = retry_after(error);
    // Only the workflow tells kinds of contention apart. A client can only try again.
    let unknown = status == 503 && wait.is_none();
    let code = if unknown { "try_again" } else { error.code() };
    let detail = match status {
        503 if unknown => {
            "the outcome is unknown: repeat the request, with the same Idempotency-Key if it has one"
                .to_owned()
        }
        500 => "this is our fault; the request_id helps us find it".to_owned(),
        _ => error.to_string(),
    };
    let mut document = json!({
        "type": format!("urn:orderflow:problem:{code}"),
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": request_id,
    });
    if let (Value::Object(document), Value::Object(mut details)) = (&mut document, details(error)) {
        document.append(&mut details);
    }
    let response = Response::of(status, "application/problem+json", &document)?;
    Ok(match wait {
        Some(wait) => response.header("retry-after", whole_seconds(wait).to_string()),
        None if unknown => response.header("retry-after", "1"),
        None => response,
    })
}

/// The time after which a refused request may succeed. `None` when the error does not say.
fn retry_after(error: &Error) -> Option<Duration> {
    if let Error::AddressChangedTooOften { retry_after }
    | Error::AddressChangePending { retry_after }
    | Error::TooManyOrders { retry_after } = error
    {
        Some(*retry_after)
    } else {
        None
    }
}

/// The wait in whole seconds, rounded up, one at least: `Retry-After` knows no fractions.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

//! Everything that can go wrong, once: a variant for each thing that a caller does differently.
//!
//! [`Error::code`] is the contract with HTTP clients and with the state machine. Which HTTP status a variant
//! has is not known here: only `lambda_shell` maps it.

use serde::Serialize;

use crate::{Money, Order, Sku, Status};

/// One thing wrong with a request body, header or query parameter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct InvalidField {
    /// Where: a path such as `lines[2].quantity`, or a header's name.
    pub field: String,
    /// What was expected there. Never repeats the value.
    pub reason: String,
}

impl InvalidField {
    /// A fault of `field`, which should have been as `reason` says.
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

/// Why something was not done, or may not have been.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body is not a JSON object.
    #[error("the body is not a JSON object: {0}")]
    MalformedJson(String),
    /// The body is larger than the limit, in bytes.
    #[error("the body is larger than {limit} bytes")]
    BodyTooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The cursor is damaged, or of another list or caller.
    #[error("the cursor is not one that this list gave to this caller")]
    BadCursor,
    /// The body, a header or the query is well-formed but breaks a rule: every fault of it.
    #[error("the request breaks {} rule(s)", .0.len())]
    Invalid(Vec<InvalidField>),
    /// A request that needs an `Idempotency-Key` came without one.
    #[error("the Idempotency-Key header is missing")]
    IdempotencyKeyMissing,
    /// The `Idempotency-Key` was used before, for something else.
    #[error("this Idempotency-Key was used before with another request")]
    IdempotencyKeyReused,
    /// The token is not an ID token.
    #[error("the bearer token is not an ID token")]
    IdTokenRequired,
    /// The caller's e-mail address is missing from the token or not verified.
    #[error("the token carries no verified e-mail address")]
    EmailNotVerified,
    /// The caller may not do this.
    #[error("this needs the admin role")]
    Forbidden,
    /// There is no such thing, or the caller may not know of it.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The caller has no user row.
    #[error("the caller is not registered: POST /users first")]
    UserNotRegistered,
    /// SKUs that the shop does not sell.
    #[error("{} SKU(s) are unknown", .0.len())]
    UnknownSku(Vec<Sku>),
    /// The quote differs from the total that the client expected.
    #[error("the total is {quoted}, not {expected}")]
    PriceChanged {
        /// What the client expected.
        expected: Money,
        /// What the lines cost now.
        quoted: Money,
    },
    /// The order was rejected for lack of stock.
    #[error("there is not enough stock")]
    InsufficientStock(Box<Order>),
    /// The transition table has no such step.
    #[error("an order cannot go from {from} to {to}")]
    IllegalTransition {
        /// The order's status.
        from: Status,
        /// The status that was asked for.
        to: Status,
    },
    /// The order has changed since the client read it.
    #[error("the order has changed since: read it again")]
    StaleVersion,
    /// A change that depends on what the client has read came without saying which version that is.
    #[error("the If-Match header is missing: send the ETag of the order as you read it")]
    IfMatchMissing,
    /// Nothing is left to do for the order, or somebody is at it.
    #[error("nothing is left to do for this order, or it is being done")]
    NothingDue,
    /// An adjustment would take the available stock below zero.
    #[error("the adjustment would leave less than nothing available")]
    BelowZero,
    /// An adjustment would take the available stock above its limit.
    #[error("the adjustment would leave more than {limit} available")]
    AboveLimit {
        /// The most that may be available.
        limit: u64,
    },
    /// Other transactions held the same rows for as long as we tried. Nothing was written.
    #[error("other transactions held the same stock for as long as this one tried")]
    StockContention,
    /// Others changed the order in every try of this change. Nothing was written.
    #[error("others changed this order for as long as this change was tried")]
    StatusContention,
    /// A call failed and its effect is unknown: it may have happened. Repeating must be safe.
    #[error("{doing} failed")]
    Unavailable {
        /// What was being done.
        doing: &'static str,
        /// What the call said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The set-up is wrong or a row cannot be read: nobody but an operator can mend it.
    #[error("{doing} failed for good")]
    Internal {
        /// What was being done.
        doing: &'static str,
        /// What is wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// The stable name of this error: `code` in problem documents, and the error name that the state machine's
    /// `ErrorEquals` sees. `StockContention` and `StatusContention` are the state machine's alone: clients see `try_again`
    /// in their place.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MalformedJson(_) => "malformed_json",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::BadCursor => "bad_cursor",
            Self::Invalid(_) => "validation_failed",
            Self::IdempotencyKeyMissing => "idempotency_key_missing",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::IdTokenRequired => "id_token_required",
            Self::EmailNotVerified => "email_not_verified",
            Self::Forbidden => "forbidden",
            Self::NotFound(_) => "not_found",
            Self::UserNotRegistered => "user_not_registered",
            Self::UnknownSku(_) => "unknown_sku",
            Self::PriceChanged { .. } => "price_changed",
            Self::InsufficientStock(_) => "insufficient_stock",
            Self::IllegalTransition { .. } => "illegal_transition",
            Self::StaleVersion => "stale_version",
            Self::IfMatchMissing => "if_match_missing",
            Self::NothingDue => "nothing_due",
            Self::BelowZero => "below_zero",
            Self::AboveLimit { .. } => "above_limit",
            Self::StockContention => "StockContention",
            Self::StatusContention => "StatusContention",
            Self::Unavailable { .. } => "try_again",
            Self::Internal { .. } => "internal",
        }
    }

    /// Every code there is, in the order of the variants.
    pub const CODES: [&'static str; 24] = [
        "malformed_json",
        "body_too_large",
        "bad_cursor",
        "validation_failed",
        "idempotency_key_missing",
        "idempotency_key_reused",
        "id_token_required",
        "email_not_verified",
        "forbidden",
        "not_found",
        "user_not_registered",
        "unknown_sku",
        "price_changed",
        "insufficient_stock",
        "illegal_transition",
        "stale_version",
        "if_match_missing",
        "nothing_due",
        "below_zero",
        "above_limit",
        "StockContention",
        "StatusContention",
        "try_again",
        "internal",
    ];

    /// This error and what caused it, for a log line: `Display` never repeats its source.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }

    /// Gathers faults: `Ok` when there are none.
    pub fn reject_if_any(faults: Vec<InvalidField>) -> Result<(), Self> {
        if faults.is_empty() { Ok(()) } else { Err(Self::Invalid(faults)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_codes_is_complete() {
        // `code` matches without `_`, so its own text names them all.
        let (_, text) = include_str!("error.rs").split_once("pub fn code").unwrap();
        let (code, _) = text.split_once("\n    }\n").unwrap();
        let named: Vec<&str> = code.split('"').skip(1).step_by(2).collect();
        assert_eq!(named, Error::CODES);
    }
}

//! The one error type. It has a variant for each failure that a caller treats differently.
//!
//! [`Error::code`] is the contract with HTTP clients and with the state machine. Nothing here knows an HTTP status:
//! only `lambda_shell` gives one to each variant.

use std::time::Duration;

use serde::Serialize;

use crate::{Money, Order, Sku, Status};

/// One thing wrong with a request body, header or query parameter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct InvalidField {
    /// The path of the field, such as `lines[2].quantity`, or the name of a header or query parameter.
    pub field: String,
    /// The rule that the value breaks. It may name a SKU or a currency, but repeats no free text of the client.
    pub reason: String,
}

impl InvalidField {
    /// A fault of `field`. `reason` completes a sentence that begins with the field: "must be ...", "is required".
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }
}

/// The reason why an operation failed, or may have failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The body is not a JSON object, or an object in it has a name twice.
    #[error("the body is not a JSON object: {reason}")]
    MalformedJson {
        /// Why, and where. It never repeats the text of the body.
        reason: String,
        /// The name that is there twice.
        repeated: Option<InvalidField>,
    },
    /// The body is too large to be read.
    #[error("the body is larger than {limit} bytes")]
    BodyTooLarge {
        /// The largest body that is read, in bytes.
        limit: usize,
    },
    /// The cursor is damaged, or it was given for another list or to another caller.
    #[error("the cursor is not one that this list gave to this caller")]
    BadCursor,
    /// The body, a header or the query is well-formed but breaks rules. Holds one entry for each broken rule.
    #[error("the request breaks {} rule(s)", .0.len())]
    Invalid(Vec<InvalidField>),
    /// A request that needs an `Idempotency-Key` came without one.
    #[error("the Idempotency-Key header is missing")]
    IdempotencyKeyMissing,
    /// A request came with more than one `Idempotency-Key`, or with a comma in its key. The gateway joins two keys with a
    /// comma, so these two cannot be told apart.
    #[error("the Idempotency-Key is given twice, or has a comma")]
    IdempotencyKeyRepeated,
    /// The `Idempotency-Key` was used before, for a request with another content.
    #[error("this Idempotency-Key was used before with another request")]
    IdempotencyKeyReused,
    /// The request carries no token, or one that is not an ID token.
    #[error("the bearer token is not an ID token")]
    IdTokenRequired,
    /// The caller's e-mail address is missing from the token or not verified.
    #[error("the token carries no verified e-mail address")]
    EmailNotVerified,
    /// The token was issued before its user left. Such a token registers nobody again.
    #[error("the token is older than the erasure of this user: sign in again")]
    TokenBeforeErasure,
    /// The user's address has changed five times on this day.
    #[error("the address was changed {} times today, which is the most", crate::MAX_ADDRESS_CHANGES)]
    AddressChangedTooOften {
        /// The time after which it may change again.
        retry_after: Duration,
    },
    /// The topics of the user's earlier addresses are still being deleted.
    #[error("topics of earlier addresses are still being deleted: the address stays as it is until then")]
    AddressChangePending {
        /// The time after which it may change again.
        retry_after: Duration,
    },
    /// Only an admin may do this, and the caller is not one.
    #[error("this needs the admin role")]
    Forbidden,
    /// The named thing does not exist, or the caller may not know that it does.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The caller has no user row.
    #[error("the caller is not registered: POST /users first")]
    UserNotRegistered,
    /// The caller has placed as many orders within an hour as the shop takes.
    #[error("this customer has placed as many orders within an hour as the shop takes")]
    TooManyOrders {
        /// The time after which the next order is taken.
        retry_after: Duration,
    },
    /// The shop does not sell these SKUs.
    #[error("{} SKU(s) are unknown", .0.len())]
    UnknownSku(Vec<Sku>),
    /// The quote differs from the total that the client expected.
    #[error("the total is {quoted}, not {expected}")]
    PriceChanged {
        /// The total in the request.
        expected: Money,
        /// The total at the prices of now.
        quoted: Money,
    },
    /// The order was rejected for lack of stock. Holds the rejected order.
    #[error("there is not enough stock")]
    InsufficientStock(Box<Order>),
    /// The transition table does not allow this step.
    #[error("an order cannot go from {from} to {to}")]
    IllegalTransition {
        /// The status that the order has.
        from: Status,
        /// The requested status.
        to: Status,
    },
    /// The order has changed since the client read it.
    #[error("the order has changed since: read it again")]
    StaleVersion,
    /// The request has no `If-Match`. A change needs it, so that it does not overwrite what the client has not read.
    #[error("the If-Match header is missing: send the ETag of the order as you read it")]
    IfMatchMissing,
    /// The order is finished, or an execution is working on it.
    #[error("nothing is left to do for this order, or it is being done")]
    NothingDue,
    /// An adjustment would take the available stock below zero.
    #[error("the adjustment would leave less than nothing available")]
    BelowZero,
    /// An adjustment would take the available stock above its limit.
    #[error("the adjustment would leave more than {limit} available")]
    AboveLimit {
        /// The most units that may be available.
        limit: u64,
    },
    /// Other transactions held the same rows during every try. Nothing was written.
    #[error("other transactions held the same rows for as long as this write was tried")]
    StockContention,
    /// Others changed the order during every try. Nothing was written.
    #[error("others changed this order for as long as this change was tried")]
    StatusContention,
    /// A call failed, and its effect is unknown: the write may have happened. The caller must be able to repeat it.
    #[error("{doing} failed")]
    Unavailable {
        /// The operation, as the start of a sentence: "placing an order".
        doing: &'static str,
        /// The failure that the call reported.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The set-up is wrong, or a row or message cannot be read. A repeat fails again until an operator repairs it.
    #[error("{doing} failed for good")]
    Internal {
        /// The operation, as the start of a sentence: "placing an order".
        doing: &'static str,
        /// The fault that an operator has to repair.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    /// The stable name of this error. Problem documents carry it as `code`, and the state machine's `ErrorEquals`
    /// matches it. Only the state machine sees `StockContention` and `StatusContention`: clients see `try_again`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::MalformedJson { .. } => "malformed_json",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::BadCursor => "bad_cursor",
            Self::Invalid(_) => "validation_failed",
            Self::IdempotencyKeyMissing => "idempotency_key_missing",
            Self::IdempotencyKeyRepeated => "idempotency_key_repeated",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::IdTokenRequired => "id_token_required",
            Self::EmailNotVerified => "email_not_verified",
            Self::TokenBeforeErasure => "token_before_erasure",
            Self::AddressChangedTooOften { .. } => "address_changed_too_often",
            Self::AddressChangePending { .. } => "address_change_pending",
            Self::Forbidden => "forbidden",
            Self::NotFound(_) => "not_found",
            Self::UserNotRegistered => "user_not_registered",
            Self::TooManyOrders { .. } => "too_many_orders",
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

    /// Every code, in the order of the variants.
    pub const CODES: [&'static str; 29] = [
        "malformed_json",
        "body_too_large",
        "bad_cursor",
        "validation_failed",
        "idempotency_key_missing",
        "idempotency_key_repeated",
        "idempotency_key_reused",
        "id_token_required",
        "email_not_verified",
        "token_before_erasure",
        "address_changed_too_often",
        "address_change_pending",
        "forbidden",
        "not_found",
        "user_not_registered",
        "too_many_orders",
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

    /// This error and all its causes in one text, for a log line. `Display` alone leaves the causes out.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }

    /// A body that is not a JSON object. `reason` must not repeat the text of the body.
    pub fn malformed_json(reason: impl Into<String>) -> Self {
        Self::MalformedJson { reason: reason.into(), repeated: None }
    }

    /// Turns a list of faults into a result: `Ok` when the list is empty.
    pub fn reject_if_any(faults: Vec<InvalidField>) -> Result<(), Self> {
        if faults.is_empty() { Ok(()) } else { Err(Self::Invalid(faults)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_codes_is_complete() {
        // `code` matches without `_`, so its own source names every code.
        let (_, text) = include_str!("error.rs").split_once("pub fn code").unwrap();
        let (code, _) = text.split_once("\n    }\n").unwrap();
        let named: Vec<&str> = code.split('"').skip(1).step_by(2).collect();
        assert_eq!(named, Error::CODES);
    }
}

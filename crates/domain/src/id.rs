//! Ids. The ids of orders and movements are derived from the request, so a repeated request has the same id.
//!
//! Nothing here is random. A user's id comes from the token.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{Error, IdempotencyKey, InvalidField, Reason, Sku, stock::Delta};

/// The namespace of the derived ids (RFC 9562 section 5.5). It was drawn once and must never change.
pub(crate) const NAMESPACE: Uuid = Uuid::from_u128(0x6f1c_3b1e_5d0a_4c0e_9a83_2f5b_7e41_d0c6);

/// A user's id: the `sub` of their token. 1 to 128 visible ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct UserId(String);

impl UserId {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for UserId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        if (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
            Ok(Self(text))
        } else {
            Err(Error::Invalid(vec![InvalidField::new(
                "user_id",
                "must be 1 to 128 visible ASCII characters",
            )]))
        }
    }
}

impl From<UserId> for String {
    fn from(id: UserId) -> Self {
        id.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An order's id: a UUIDv5 over the user's id and their Idempotency-Key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderId(Uuid);

impl OrderId {
    /// The id of the order that `user` places under `key`. The same user and key always give the same id.
    pub fn derive(user: &UserId, key: &IdempotencyKey) -> Self {
        Self(derive(user.as_str(), key))
    }

    /// Reads an id from a path. `None` when it is not the text of an order's id.
    pub fn parse(text: &str) -> Option<Self> {
        // Only the spelling that was handed out counts: no braces, no capitals.
        Uuid::try_parse(text).ok().map(Self).filter(|id| id.to_string() == text)
    }

    /// The partition of the `by_due` index, "0" to "3", in which the sweeper finds this order.
    pub fn due_shard(self) -> &'static str {
        match self.0.as_bytes()[15] & 3 {
            0 => "0",
            1 => "1",
            2 => "2",
            _ => "3",
        }
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// The id of an adjustment of stock: a UUIDv5 over the SKU and the Idempotency-Key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MovementId(Uuid);

impl MovementId {
    /// The id of the adjustment of `sku` under `key`.
    pub fn derive(sku: &Sku, key: &IdempotencyKey) -> Self {
        Self(derive(sku.as_str(), key))
    }

    /// Reads an id as it was written. `None` when it is not the text of a movement's id.
    pub fn parse(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self).filter(|id| id.to_string() == text)
    }
}

impl fmt::Display for MovementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// NUL separates the parts. Neither part can contain NUL, so two different pairs never give the same text.
fn derive(owner: &str, key: &IdempotencyKey) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{owner}\0{}", key.as_str()).as_bytes())
}

/// A SHA-256 over a request's content, as 64 lower-case hexadecimal digits. It tells a repeat of a request from
/// another request under the same Idempotency-Key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Covers the delta and the reason. The SKU is part of the movement's id already.
    pub fn of_adjustment(delta: Delta, reason: &Reason) -> Self {
        Self::of_text(&format!("{}\0{}", delta.get(), reason.as_str()))
    }

    /// The SHA-256 of a text that spells everything that a fingerprint covers.
    pub(crate) fn of_text(spelled: &str) -> Self {
        use std::fmt::Write as _;
        let mut digits = String::with_capacity(64);
        for byte in Sha256::digest(spelled) {
            // Writing to a String cannot fail.
            let _infallible = write!(digits, "{byte:02x}");
        }
        Self(digits)
    }
}

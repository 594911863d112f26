//! Who has an account: one row each in the store, by the address in lower case, since user names know no case.
//! Nothing here decides what may be done with one.

use serde::{Deserialize, Serialize};

use super::passwords::PasswordHash;
use crate::ground::{Store, StoreError, tokens::user_id_of};

const KIND: &str = "cognito_user";

/// How long a code is good for, in seconds: 24 hours, as on AWS ("Signing up and confirming user accounts").
pub const CODE_SECONDS: i64 = 24 * 60 * 60;

/// A code as it was mailed.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Code {
    digits: String,
    /// In seconds since the epoch.
    sent_at: i64,
}

impl Code {
    /// A code that is mailed at this time, in seconds since the epoch.
    pub(super) fn new(digits: String, sent_at: i64) -> Self {
        Self { digits, sent_at }
    }

    /// The digits, for the mail.
    pub(super) fn digits(&self) -> &str {
        &self.digits
    }

    /// Whether the code can still be used at this time, in seconds since the epoch.
    pub(super) fn is_valid_at(&self, now: i64) -> bool {
        now - self.sent_at < CODE_SECONDS
    }

    /// Whether these are its digits.
    pub(super) fn matches(&self, given: &str) -> bool {
        self.digits == given
    }
}

/// An account.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct PoolUser {
    /// The id: the same as `POST /local/token` gives the address.
    pub(super) sub: String,
    /// The address as it was first written.
    pub(super) email: String,
    pub(super) password: PasswordHash,
    /// Whether the address was proven.
    pub(super) confirmed: bool,
    /// What proves it, until it did.
    pub(super) code: Option<Code>,
    pub(super) groups: Vec<String>,
}

impl PoolUser {
    /// Somebody who has proven nothing yet.
    pub(super) fn new(email: &str, password: PasswordHash) -> Self {
        Self {
            sub: user_id_of(email),
            email: email.to_owned(),
            password,
            confirmed: false,
            code: None,
            groups: Vec::new(),
        }
    }
}

pub(super) struct PoolUsers {
    store: Store,
}

impl PoolUsers {
    pub(super) fn new(store: Store) -> Self {
        Self { store }
    }

    /// The account of an address, in whatever case.
    pub(super) fn get(&self, email: &str) -> Result<Option<PoolUser>, StoreError> {
        self.store.get(KIND, &email.to_lowercase())
    }

    /// Writes an account.
    pub(super) fn put(&self, user: &PoolUser) -> Result<(), StoreError> {
        self.store.put(KIND, &user.email.to_lowercase(), user)
    }
}

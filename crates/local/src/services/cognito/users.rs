//! The accounts: one row in the store for each, by the address in lower case, because user names ignore case. Nothing
//! here decides what an account may do.

use serde::{Deserialize, Serialize};

use super::passwords::PasswordHash;
use crate::ground::{Store, StoreError, tokens::user_id_of};

const KIND: &str = "cognito_user";

/// How long a code is valid, in seconds: 24 hours, as on AWS ("Signing up and confirming user accounts").
pub const CODE_SECONDS: i64 = 24 * 60 * 60;

/// A confirmation code.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Code {
    digits: String,
    /// The time of the mail, in seconds since the Unix epoch.
    sent_at: i64,
}

impl Code {
    /// A code that is mailed at `sent_at`, in seconds since the Unix epoch.
    pub(super) fn new(digits: String, sent_at: i64) -> Self {
        Self { digits, sent_at }
    }

    /// The digits, for the mail.
    pub(super) fn digits(&self) -> &str {
        &self.digits
    }

    /// Whether the code is still valid at `now`, in seconds since the Unix epoch.
    pub(super) fn is_valid_at(&self, now: i64) -> bool {
        now - self.sent_at < CODE_SECONDS
    }

    /// Whether `given` is this code.
    pub(super) fn matches(&self, given: &str) -> bool {
        self.digits == given
    }
}

/// An account.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct PoolUser {
    /// The user's id, derived from the address. `POST /local/token` issues tokens with the same id.
    pub(super) sub: String,
    /// The address, in the case of the sign-up.
    pub(super) email: String,
    pub(super) password: PasswordHash,
    /// Whether the customer has confirmed the address.
    pub(super) confirmed: bool,
    /// The code that confirms the address; `None` for a confirmed account.
    pub(super) code: Option<Code>,
    pub(super) groups: Vec<String>,
}

impl PoolUser {
    /// An unconfirmed account without a code or groups.
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

    /// The account of an address, in any case.
    pub(super) fn get(&self, email: &str) -> Result<Option<PoolUser>, StoreError> {
        self.store.get(KIND, &email.to_lowercase())
    }

    /// Writes or replaces an account.
    pub(super) fn put(&self, user: &PoolUser) -> Result<(), StoreError> {
        self.store.put(KIND, &user.email.to_lowercase(), user)
    }
}

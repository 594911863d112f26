//! Who has an account: one row each in the store, by the address in lower case, since user names know no case.
//! Nothing here decides what may be done with one.

use serde::{Deserialize, Serialize};

use super::{confirm_sign_up::Code, passwords::Hashed};
use crate::{
    store::{Store, StoreFault},
    tokens::user_id_of,
};

const KIND: &str = "cognito_user";

/// An account.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct User {
    /// The id: the same as `POST /local/token` gives the address.
    pub(super) sub: String,
    /// The address as it was first written.
    pub(super) email: String,
    pub(super) password: Hashed,
    /// Whether the address was proven.
    pub(super) confirmed: bool,
    /// What proves it, until it did.
    pub(super) code: Option<Code>,
    pub(super) groups: Vec<String>,
}

impl User {
    /// Somebody who has proven nothing yet.
    pub(super) fn new(email: &str, password: Hashed) -> Self {
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

pub(super) struct Users {
    store: Store,
}

impl Users {
    pub(super) fn new(store: Store) -> Self {
        Self { store }
    }

    /// The account of an address, in whatever case.
    pub(super) fn get(&self, email: &str) -> Result<Option<User>, StoreFault> {
        self.store.get(KIND, &email.to_lowercase())
    }

    /// Writes an account.
    pub(super) fn put(&self, user: &User) -> Result<(), StoreFault> {
        self.store.put(KIND, &user.email.to_lowercase(), user)
    }
}

//! Who orders, and whether e-mail reaches them.

use serde::{Deserialize, Serialize};

use crate::{EmailAddress, Name, Timestamp, UserId};

/// Whether the user's subscription delivers, as SNS says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notifications {
    /// The address confirmed its subscription.
    Confirmed,
    /// A confirmation was asked for and has not been given.
    Pending,
    /// There is no subscription any more: it was cancelled, or never confirmed in time.
    None,
    /// There is no subscription, since SNS had no room for it or did not answer; or how it stands could not be asked.
    Unavailable,
}

/// A registered user, as the user may see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Who.
    pub user_id: UserId,
    /// What they are called.
    pub name: Name,
    /// Where mail goes.
    pub email: EmailAddress,
    /// Whether it does.
    pub notifications: Notifications,
    /// When they registered.
    pub created_at: Timestamp,
}

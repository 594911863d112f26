//! A registered user, and whether e-mail reaches them.

use serde::{Deserialize, Serialize};

use crate::{EmailAddress, Name, Timestamp, UserId};

/// The state of the user's subscription to the mail about their orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notifications {
    /// The user has confirmed the subscription, so mail is sent.
    Confirmed,
    /// SNS has mailed a request for confirmation, and the user has not answered it yet.
    Pending,
    /// The user wants no mail, or has ended it by a mail's link. `notifications: "on"` asks the address again.
    Off,
    /// The address could not be asked yet, or SNS did not answer. The sweeper asks it later.
    Unavailable,
}

/// A registered user, as the user may see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The `sub` of their token.
    pub user_id: UserId,
    /// The name that they registered under.
    pub name: Name,
    /// The verified address that mail about their orders goes to.
    pub email: EmailAddress,
    /// Whether that mail reaches them.
    pub notifications: Notifications,
    /// The time of their first registration.
    pub created_at: Timestamp,
}

//! What the stand-ins for AWS's services stand on: one account, one clock, one store, one mailbox, one kind of error, and
//! the key that signs tokens.
//!
//! Nothing here knows a service's calls, and nothing here is started by itself.

mod account;
mod clock;
mod error;
mod mailbox;
mod store;
pub mod tokens;

pub use self::{
    account::ACCOUNT,
    clock::StackClock,
    error::AwsError,
    mailbox::{DeliveredMail, MailKind, Mailbox},
    store::{FORMAT, Store, StoreError, TABLE},
};
pub(crate) use self::{clock::timestamp, mailbox::is_address};

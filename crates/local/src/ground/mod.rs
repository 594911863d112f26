//! The parts that the local services share: one account, one clock, one store, one mailbox, one error type, and the
//! tokens.
//!
//! Nothing here knows a service's calls, and nothing here starts a task.

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

//! The shop's rules: its values, an order's transitions, and the texts of its e-mails.
//!
//! Nothing here does I/O, reads a clock, draws a random number, awaits anything or knows AWS or HTTP. Ids and times
//! arrive as arguments. A type that has limits checks them whenever a value is made, so HTTP bodies, Step Functions
//! messages and table rows are checked alike. Where a rule became stricter, rows keep the rule before (`text`, `money`).

mod account;
mod body;
mod contention;
mod error;
mod feed;
mod id;
mod json;
mod line;
mod mail;
mod money;
mod order;
mod quote;
mod request;
mod stock;
mod text;
mod timestamp;
mod user;
pub mod workflow;

pub use account::{
    ASK_AGAIN_AFTER, AddressChanges, CustomerData, MAX_ADDRESS_CHANGES, MAX_RETIRED, MailState, MailWish,
    NOTE_LASTS, RETIREMENT, Recipient, Registering, Registration, RetiredTopic, SubscriptionState,
    TODO_AFTER, TODO_SHARD, Todo, UserAccount,
};
pub use body::{Body, Field, Fields, field};
pub use contention::Contention;
pub use error::{Error, InvalidField};
pub use feed::{EventLine, OrderEvent};
pub use id::{Fingerprint, MovementId, OrderId, UserId};
pub use json::parse_object;
pub use line::{MAX_LINES, MAX_QUANTITY, PricedLine, Quantity, RequestedLine, Shortage, Sku};
pub use mail::Mail;
pub use money::{Currency, MAX_UNIT_PRICE, Money, UnitPrice};
pub use order::{Actor, HistoryEntry, Order, Placement, Status, StockEffect};
pub use quote::{OrderLimit, Quote, Quoted, Refusal, quote};
pub use request::{OrderRequest, lines_expected};
pub use stock::{Adjustment, Delta, MAX_AVAILABLE, MAX_DELTA, Movement, Product, Stock};
pub use text::{EmailAddress, IdempotencyKey, Name, Reason, Reference};
pub use timestamp::Timestamp;
pub use user::{Notifications, User};

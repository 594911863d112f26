//! What an order is and what may happen to it.
//!
//! Values, rules, the transition table and the e-mail texts. Nothing here does I/O, reads a clock, draws a
//! random number, awaits anything or knows AWS or HTTP: ids and times arrive as arguments, and every value
//! that has an invariant is guarded by its type, for HTTP bodies, Step Functions messages and table rows alike.

mod body;
mod error;
mod id;
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

pub use body::{Body, Field, Fields, field, parse_object};
pub use error::{Error, InvalidField};
pub use id::{Fingerprint, MovementId, OrderId, UserId};
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

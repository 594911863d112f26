//! What Orderflow does with AWS: the only crate that names an AWS service client.
//!
//! One function for each thing the shop does, noun first: `orders.place`, `stock.adjust`. Nothing here reads,
//! decides and then writes: every write carries its condition. A failed condition is a known no; any other failure
//! may have happened, so each of these functions is safe to repeat.

mod batch;
mod clients;
mod failure;
mod orders;
mod reconcile;
mod stock;
mod topics;
mod transaction;
mod users;
mod workflow;

pub use aws_sdk_sns::Client as NotificationsClient;
pub use clients::{Timeouts, database, notifications, workflows};
pub use orders::{Advanced, Claim, DueOrder, DueTime, OrderFilter, Orders, Placed, StoredOrder};
pub use reconcile::{Difference, Reconciled, reconcile};
pub use stock::{Adjusted, Page, Stocks};
pub use topics::{Subscribed, TopicWiring, Topics, Wish, notifications_of};
pub use users::{Recipient, Registered, Subscription, UserRow, Users};
pub use workflow::Workflow;

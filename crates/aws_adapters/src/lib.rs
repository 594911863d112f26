//! The shop's operations on DynamoDB, SNS and Step Functions. No other crate of the functions names an AWS service.
//!
//! Each operation is one function, named noun first: `orders.place`, `stock.adjust`. No write to a table relies on an
//! earlier read: every one carries its condition. When a condition fails, the write certainly did not happen. After
//! any other failure it may have happened, so every function is safe to repeat.

mod accounts;
mod announcing;
mod batch;
mod clients;
mod connections;
mod deliveries;
mod failure;
mod orders;
mod reconcile;
mod stock;
mod topics;
mod transaction;
mod users;
mod workflow;

pub use accounts::{Finished, finish};
pub use aws_sdk_sns::Client as NotificationsClient;
pub use clients::{Later, Timeouts, database, later, notifications, workflows};
pub use connections::{connect_database, connect_notifications, connect_workflows};
pub use deliveries::Deliveries;
pub use orders::{
    Advanced, Claim, DueOrder, DueTime, MadeBy, OVERDUE_AFTER, OrderFilter, Orders, Placed, StoredOrder,
    TakenUp, WaitingOrder,
};
pub use reconcile::{Difference, Reconciled, reconcile};
pub use stock::{Adjusted, Page, Stocks};
pub use topics::{Subscribed, TopicWiring, Topics, subscription_state};
pub use users::{StoreOutcome, Users};
pub use workflow::Workflow;

//! Orderflow in one process, as `infra/template.yaml` describes it: the shipped functions behind the unmodified AWS SDKs,
//! a real DynamoDB engine, and local versions of the other AWS services.
//!
//! A local service refuses, by name, every call and option that it does not support. The template is the only wiring:
//! nothing in this library names a table, a topic, a route or a state of the workflow, and nothing in it names a type of
//! `domain`.
//!
//! A few parts know of orders. The mailbox labels a mail with its order's id and status. In the program `orderflow`, the
//! demo and `cost` place orders, and `reconcile` audits the books.

pub mod assumptions;
pub mod aws;
pub mod ground;
pub mod http;
pub mod metering;
pub mod offline;
pub mod prices;
pub mod services;
pub mod stack;

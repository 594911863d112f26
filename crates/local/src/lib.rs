//! The whole of Orderflow in one process, as `infra/template.yaml` describes it: the shipped functions behind the
//! unmodified AWS SDKs, a real DynamoDB engine, and stand-ins for the other services.
//!
//! A stand-in refuses by name whatever it does not support. The template is the only wiring: nothing here names a table, a
//! topic, a route or a state of the workflow. Only two places know what an order is: the demo catalog of the program
//! `orderflow`, and its audit of the books.

pub mod aws;
pub mod ground;
pub mod http;
pub mod offline;
pub mod services;
pub mod stack;

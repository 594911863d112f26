//! The whole of Orderflow in one process, as `infra/template.yaml` describes it: the shipped functions behind the
//! unmodified AWS SDKs, a real DynamoDB engine, and stand-ins for the other services.
//!
//! A stand-in refuses by name whatever it does not support. The template is the only wiring: nothing in this library names a
//! table, a topic, a route or a state of the workflow, and nothing in it names a type of `domain`. The program `orderflow`
//! knows more: its demo catalog places an order, and its audit of the books counts what orders hold.

pub mod aws;
pub mod ground;
pub mod http;
pub mod offline;
pub mod services;
pub mod stack;

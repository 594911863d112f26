//! The whole of Orderflow in one process, built from `infra/template.yaml`: the shipped functions behind the
//! unmodified AWS SDKs, a real DynamoDB engine, and small stand-ins for the rest that fail loudly on what they do not
//! support.
//!
//! Nothing here knows what an order is. Whatever is wired is wired by the template.

pub mod asl;
pub mod aws;
pub mod clock;
pub mod cognito;
pub mod functions;
pub mod gateway;
pub mod local_api;
pub mod offline;
pub mod sns;
pub mod stack;
pub mod store;
pub mod template;
pub mod tokens;

//! The whole of Orderflow in one process, built from `infra/template.yaml`.

pub mod asl;
pub mod clock;
pub mod gateway;
pub mod local_api;
pub mod sns;
pub mod store;
pub mod template;
pub mod tokens;

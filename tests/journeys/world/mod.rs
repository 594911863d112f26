//! The fixtures of the journeys. No test is in here.

pub(crate) mod binaries;
pub(crate) mod books;
pub(crate) mod faults;
pub(crate) mod lambda_runtime_api;
pub(crate) mod log_lines;
pub(crate) mod openapi;
pub(crate) mod orderflow;
pub(crate) mod reckoning;
pub(crate) mod refusals;
pub(crate) mod seeds;
pub(crate) mod shop;
pub(crate) mod tables;
pub(crate) mod watch;

pub(crate) use log_lines::{Lines, listen};
pub(crate) use shop::{Customer, Shop, TEMPLATE};

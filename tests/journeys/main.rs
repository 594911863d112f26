//! Journeys through the HTTP surface: each test opens a shop of its own, in memory, and acts as its customers and
//! admins do. Rules are tested beside the code.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says by panicking what it expected")]

mod bad_orders;
mod bad_requests;
mod binaries;
mod broken_setup;
mod first_start;
mod kill;
mod lambda_runtime_api;
mod orderflow;
mod ordering;
mod processes;
mod refusals;
mod shop;
mod sign_in;
mod tables;
mod watch;

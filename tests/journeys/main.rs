//! Journeys through the HTTP surface: each test opens a shop of its own, in memory, and acts as its customers and
//! admins do. Rules are tested beside the code.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says by panicking what it expected"
)]

mod accounts;
mod bad_orders;
mod bad_requests;
mod binaries;
mod books;
mod broken_setup;
mod browsers;
mod contract;
mod cost;
mod cursors;
mod doors;
mod faults;
mod fifty_lines;
mod first_start;
mod giving_up;
mod histories;
mod idempotency;
mod interrupts;
mod kill;
mod lambda_runtime_api;
mod leaving;
mod life;
mod lists;
mod log_lines;
mod mail;
mod mail_at_scale;
mod matrix;
mod openapi;
mod orderflow;
mod ordering;
mod outages;
mod oversell;
mod postman;
mod privacy;
mod processes;
mod races;
mod reckoning;
mod reconcile;
mod refusals;
mod rivals;
mod seeds;
mod shop;
mod sign_in;
mod tables;
mod traces;
mod users;
mod watch;
mod wiring;
mod workflow_cases;

//! Journeys through the HTTP surface: each test opens a shop of its own, in memory, and acts as its customers and
//! admins do. Rules are tested beside the code.
//!
//! Each folder is a promise, and its `mod.rs` says which. Three folders are not: `world` holds the fixtures,
//! `self_checks` tests the fixtures, and `wiring` holds the parts of the repository against each other.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says by panicking what it expected"
)]

mod access;
mod bad_input;
mod contract;
mod customers;
mod failures;
mod life_of_an_order;
mod lists;
mod mail;
mod operating;
mod placing;
mod self_checks;
mod stock;
mod wiring;
mod world;

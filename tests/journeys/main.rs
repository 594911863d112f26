//! Journeys through the HTTP surface: each test opens a shop of its own, in memory, and acts as its customers and
//! admins do. Rules are tested beside the code.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says by panicking what it expected")]

mod contract;
mod life;
mod openapi;
mod ordering;
mod postman;
mod shop;

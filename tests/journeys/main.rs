//! Journeys through the HTTP surface: each test opens a shop of its own, in memory, and acts as its customers and
//! admins do. Rules are tested beside the code.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test says by panicking what it expected")]

mod books;
mod cost;
mod idempotency;
mod life;
mod mail;
mod ordering;
mod outages;
mod privacy;
mod races;
mod shop;
mod users;

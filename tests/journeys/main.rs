//! Journeys through the HTTP surface: each test opens a shop of its own, in memory, and acts as its customers and
//! admins do. Rules are tested beside the code.

mod ordering;
mod shop;

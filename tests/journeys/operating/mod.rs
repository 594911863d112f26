//! Operators can rely on the first start, on clear refusals to start, on the shipped programs, the audit, traces and
//! costs.

mod broken_setup;
mod connections;
mod cost;
mod first_start;
mod processes;
mod reconcile;
mod recorded_answers;
mod traces;

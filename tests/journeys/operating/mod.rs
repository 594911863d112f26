//! What operators rely on: first start, refusals to start, shipped programs, audit, traces, costs.

mod broken_setup;
mod cost;
mod first_start;
mod processes;
mod reconcile;
mod traces;

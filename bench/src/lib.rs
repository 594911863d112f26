//! Counts and times what the functions' programs need as Lambda runs them, and times the local stack. The figures of
//! docs/performance.md come from here, and so do those that a change must keep. No time is among the latter.
//!
//! Nothing here calls AWS. The programs get their events from a Lambda Runtime API of this crate, and their calls are
//! answered by an endpoint of this crate, with answers that were recorded from the local stack (`bench/answers`).

pub mod answers;
mod certificates;
mod endpoint;
pub mod figures;
pub mod gates;
pub mod group;
pub mod machine;
pub mod measure;
pub mod memory;
pub mod peers;
pub mod program;
pub mod report;
pub mod runtime_api;
pub mod stack;
pub mod time_tables;
pub mod times;
pub mod valgrind;
pub mod workflow;
pub mod zip;

/// Why a measurement ended without a figure.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Fault(String);

impl Fault {
    /// The fault that says so.
    pub fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

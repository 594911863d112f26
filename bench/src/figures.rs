//! The figures of one program.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a program needs whatever machine it runs on. These figures are committed, and a change must keep them.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Committed {
    /// Instructions from the start until the program asks for its first event.
    pub ready: u64,
    /// Instructions from the start until the first answer.
    pub cold: u64,
    /// Instructions of each further invocation.
    pub warm: u64,
    /// The size of the program's file.
    pub bytes: u64,
    /// Connections opened before the first invocation.
    pub connections_in_init: u64,
    /// Connections opened afterwards.
    pub connections_later: u64,
    /// The calls of one invocation, by operation.
    pub calls: BTreeMap<String, usize>,
}

impl Committed {
    /// Instructions of the first invocation. As the difference of two large counts it varies from run to run by up to a
    /// hundredth, so it is not committed itself.
    pub fn first(&self) -> u64 {
        self.cold.saturating_sub(self.ready)
    }
}

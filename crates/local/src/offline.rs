//! The tables of a data file that no stack runs on, for tools that look into them. The stack's own state (topics, mailbox,
//! tokens) stays untouched, and nothing is created: whether a stack runs on the file is the caller's to rule out.

use std::{collections::HashMap, path::Path, sync::Arc};

use aws_config::SdkConfig;

use crate::{
    aws::{Aws, Roles, sdk_config},
    clock::Clock,
    sns::Sns,
    stack::{StackFault, open},
    store::Store,
};

/// Tables without a stack. They are answered for as long as this lives.
#[derive(Debug)]
pub struct Offline(Arc<Aws>);

impl Offline {
    /// Opens a data file, which must be there.
    pub fn open(file: &Path) -> Result<Self, StackFault> {
        let database = open(Some(&file.to_owned()))?;
        // What is not a table is not there: an SNS of its own, in memory, no state machine, and nobody to be denied.
        let nothing = open(None)?;
        let sns = Sns::open(Store::open(nothing)?, Clock::system())?;
        Ok(Self(Arc::new(Aws::new(
            database,
            Arc::new(sns),
            None,
            Clock::system(),
            HashMap::new(),
            Roles::default(),
            None,
        ))))
    }

    /// The configuration of SDK clients that see these tables. `caller` is their access key id.
    pub fn sdk_config(&self, caller: &str) -> SdkConfig {
        sdk_config(&self.0, caller, &Clock::system())
    }
}

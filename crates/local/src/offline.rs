//! The tables of a data file that no stack runs on, for tools that look into them. The stack's own state (topics, mailbox,
//! tokens) stays untouched, and nothing is created: whether a stack runs on the file is the caller's to rule out.

use std::{collections::HashMap, path::Path, sync::Arc};

use aws_config::SdkConfig;

use crate::{
    aws::{Aws, Roles, sdk_config},
    ground::{Mailbox, StackClock, Store},
    services::{sns::Sns, states::States},
    stack::{StackError, open_database},
};

/// Tables without a stack. They are answered for as long as this lives.
#[derive(Debug)]
pub struct Offline(Arc<Aws>);

impl Offline {
    /// Opens a data file, which must be there.
    pub fn open(file: &Path) -> Result<Self, StackError> {
        let database = open_database(Some(&file.to_owned()))?;
        // What is not a table is not there: an SNS of its own, in memory, no state machine, and nobody to be denied.
        let nothing = open_database(None)?;
        let store = Store::open(nothing)?;
        let mailbox = Arc::new(Mailbox::open(store.clone())?);
        let sns = Sns::open(store, StackClock::system(), mailbox)?;
        let states = States::new(HashMap::new(), StackClock::system());
        Ok(Self(Arc::new(Aws::new(database, Arc::new(sns), None, Arc::new(states), Roles::default(), None))))
    }

    /// The configuration of SDK clients that see these tables. `caller` is their access key id.
    pub fn sdk_config(&self, caller: &str) -> SdkConfig {
        sdk_config(&self.0, caller, &StackClock::system())
    }
}

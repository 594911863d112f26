//! The tables in the data file of a stopped stack, for tools that read them. Nothing here creates a table, and nothing
//! here touches the stack's own rows (topics, mails, tokens). Nothing here checks that the stack is stopped: the caller
//! does.

use std::{collections::HashMap, path::Path, sync::Arc};

use aws_config::SdkConfig;

use crate::{
    aws::{Aws, Roles, sdk_config},
    ground::{Mailbox, StackClock, Store},
    services::{sns::Sns, states::States},
    stack::{StackError, open_database},
};

/// The tables of a stopped stack. SDK clients can read them until this is dropped.
#[derive(Debug)]
pub struct Offline(Arc<Aws>);

impl Offline {
    /// Opens a data file. The caller checks that it exists.
    pub fn open(file: &Path) -> Result<Self, StackError> {
        let database = open_database(Some(&file.to_owned()))?;
        // Only the tables are real. SNS is empty and in memory, and there are no state machines and no roles.
        let empty = open_database(None)?;
        let store = Store::open(empty)?;
        let mailbox = Arc::new(Mailbox::open(store.clone())?);
        let sns = Sns::open(store, StackClock::system(), mailbox)?;
        let states = States::new(HashMap::new(), StackClock::system());
        Ok(Self(Arc::new(Aws::new(database, Arc::new(sns), None, Arc::new(states), Roles::default(), None))))
    }

    /// The configuration of SDK clients that call these tables. `caller` is their access key id.
    pub fn sdk_config(&self, caller: &str) -> SdkConfig {
        sdk_config(&self.0, caller, &StackClock::system())
    }
}

//! The messages that were published to the template's own topics, for a developer to read. Nothing here delivers one.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ground::{Store, StoreError};

const KIND: &str = "sns_feed";
/// The most messages that are kept.
pub(super) const KEPT: usize = 1_000;

/// One message that was published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeedItem {
    /// The topic's ARN.
    pub topic: String,
    /// The message: what it holds when it is JSON, its text otherwise.
    pub message: Value,
    /// The message attributes.
    pub attributes: BTreeMap<String, String>,
    /// When it was published: RFC 3339, UTC, milliseconds.
    pub at: String,
}

/// The last messages, oldest first. Each is in the store before the publisher has its answer.
pub(super) struct Feed {
    store: Store,
    items: VecDeque<FeedItem>,
    /// The number of the next message; those that are kept have the numbers just below.
    next: usize,
}

impl Feed {
    pub(super) fn load(store: Store) -> Result<Self, StoreError> {
        let rows: Vec<(String, FeedItem)> = store.all(KIND)?;
        let last = rows.last().and_then(|(id, _)| id.parse::<usize>().ok());
        let items = rows.into_iter().map(|(_, item)| item).collect();
        Ok(Self { store, items, next: last.map_or(0, |last| last + 1) })
    }

    pub(super) fn items(&self) -> impl Iterator<Item = &FeedItem> {
        self.items.iter()
    }

    pub(super) fn push(&mut self, item: FeedItem) -> Result<(), StoreError> {
        self.store.put(KIND, &id(self.next), &item)?;
        self.items.push_back(item);
        self.next += 1;
        while self.items.len() > KEPT {
            self.store.delete(KIND, &id(self.next - self.items.len()))?;
            self.items.pop_front();
        }
        Ok(())
    }
}

/// Ids sort as text.
fn id(number: usize) -> String {
    format!("{number:020}")
}

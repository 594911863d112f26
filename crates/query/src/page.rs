//! `?limit=&cursor=` and the answer `{items, next_cursor}`, the same for every list.

use std::collections::HashMap;

use domain::{Error, Fault, UserId};
use serde::Serialize;

use crate::cursor;

/// The most rows of one page.
const MAX_LIMIT: u16 = 100;
const DEFAULT_LIMIT: u16 = 20;

/// Which page a caller wants.
pub(crate) struct PageRequest<'a> {
    /// How many rows at most: 1 to 100, 20 if not said.
    pub(crate) limit: u16,
    /// After which place; from the start if not said.
    pub(crate) after: Option<String>,
    list: &'a str,
    caller: &'a UserId,
}

/// A page.
#[derive(Serialize)]
pub(crate) struct Listed<T> {
    /// Its rows.
    pub(crate) items: Vec<T>,
    /// How to get the next one; null at the end.
    pub(crate) next_cursor: Option<String>,
}

impl<'a> PageRequest<'a> {
    /// Reads the query of a request for `list`, which names the list and its filter; `filters` are the parameters that
    /// make the filter.
    pub(crate) fn read(
        query: &HashMap<String, String>,
        filters: &[&str],
        list: &'a str,
        caller: &'a UserId,
    ) -> Result<Self, Error> {
        let mut faults = Vec::new();
        let mut names: Vec<&String> = query
            .keys()
            .filter(|name| !["limit", "cursor"].contains(&name.as_str()) && !filters.contains(&name.as_str()))
            .collect();
        names.sort();
        faults.extend(names.into_iter().map(|name| Fault::new(name, "is not a parameter of this list")));
        let limit = match query.get("limit") {
            None => DEFAULT_LIMIT,
            Some(text) => {
                text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).unwrap_or_else(|| {
                    faults.push(Fault::new("limit", format!("must be an integer from 1 to {MAX_LIMIT}")));
                    DEFAULT_LIMIT
                })
            }
        };
        Error::unless(faults)?;
        let after = query.get("cursor").map(|text| cursor::read(list, caller, text)).transpose()?;
        Ok(Self { limit, after, list, caller })
    }

    /// The cursor of the page that starts after `next`.
    pub(crate) fn next(&self, next: Option<String>) -> Option<String> {
        next.map(|after| cursor::write(self.list, self.caller, &after))
    }
}

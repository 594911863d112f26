//! `?limit=&cursor=` and the answer `{items, next_cursor}`, the same for every list.

use std::collections::HashMap;

use domain::{Error, InvalidField, UserId};
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
        Error::reject_if_any(Self::faults(query, filters))?;
        let limit = query.get("limit").and_then(|text| read_limit(text)).unwrap_or(DEFAULT_LIMIT);
        let after = query.get("cursor").map(|text| cursor::read(list, caller, text)).transpose()?;
        Ok(Self { limit, after, list, caller })
    }

    /// Everything that is wrong with a query, its cursor and the filters' own values apart.
    pub(crate) fn faults(query: &HashMap<String, String>, filters: &[&str]) -> Vec<InvalidField> {
        let known =
            |name: &&String| ["limit", "cursor"].contains(&name.as_str()) || filters.contains(&name.as_str());
        let mut names: Vec<&String> = query.keys().filter(|name| !known(name)).collect();
        names.sort();
        let mut faults: Vec<InvalidField> = names
            .into_iter()
            .map(|name| InvalidField::new(name, "is not a parameter of this list"))
            .collect();
        if query.get("limit").is_some_and(|text| read_limit(text).is_none()) {
            faults.push(InvalidField::new("limit", format!("must be an integer from 1 to {MAX_LIMIT}")));
        }
        faults
    }

    /// The cursor of the page that starts after `next`.
    pub(crate) fn next(&self, next: Option<String>) -> Option<String> {
        next.map(|after| cursor::write(self.list, self.caller, &after))
    }
}

/// A limit that is allowed. Digits only: Rust would read a plus sign, too.
fn read_limit(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|limit| digits && (1..=MAX_LIMIT).contains(limit))
}

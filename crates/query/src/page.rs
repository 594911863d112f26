//! The parameters `limit` and `cursor` and the answer `{items, next_cursor}`, which are the same for every list.

use std::collections::HashMap;

use domain::{Error, InvalidField, UserId};
use serde::Serialize;

use crate::cursor;

/// The most rows that a page may have.
const MAX_LIMIT: u16 = 100;
const DEFAULT_LIMIT: u16 = 20;

/// A caller's request for one page of a list.
pub(crate) struct PageRequest<'a> {
    /// The most rows of the page: 1 to 100, and 20 by default.
    pub(crate) limit: u16,
    /// The place after which the page starts. `None` for the first page.
    pub(crate) after: Option<String>,
    list: &'a str,
    caller: &'a UserId,
}

/// The answer with one page.
#[derive(Serialize)]
pub(crate) struct Listed<T> {
    /// The page's rows, in the order of the list.
    pub(crate) items: Vec<T>,
    /// The cursor of the next page. Null on the last page.
    pub(crate) next_cursor: Option<String>,
}

impl<'a> PageRequest<'a> {
    /// Reads the query of a request for a list. `list` names the list and its filter, and `filters` are the names of
    /// the filter's parameters.
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

    /// The faults of a query, except those of its cursor and of the filters' values.
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

    /// The cursor of the page that starts after the place `next`.
    pub(crate) fn next(&self, next: Option<String>) -> Option<String> {
        next.map(|after| cursor::write(self.list, self.caller, &after))
    }
}

/// Reads a limit. Only digits are accepted, because Rust would read a plus sign too.
fn read_limit(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|limit| digits && (1..=MAX_LIMIT).contains(limit))
}

//! A resolved value and its place. Each method reads the value as one type, and reports a fault when it has another.
//!
//! `null` stands for a value whose fault was reported already, so no method reports it again. (An empty value in the
//! template is itself a fault.) Nothing here knows a resource type.

use serde_json::Value;

use super::faults::FaultList;

/// A value of the template, its place, and the list for its faults.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    pub(super) place: String,
    pub(super) value: &'a Value,
    faults: &'a FaultList,
}

impl<'a> Node<'a> {
    pub(super) fn new(place: impl Into<String>, value: &'a Value, faults: &'a FaultList) -> Self {
        Self { place: place.into(), value, faults }
    }

    /// The value under `key`, if it has one.
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        let value = self.value.get(key).filter(|value| !value.is_null())?;
        Some(Self::new(format!("{}.{key}", self.place), value, self.faults))
    }

    /// The value under `key`. Reports a fault when the key is missing.
    pub(super) fn required(&self, key: &str) -> Option<Self> {
        if self.value.is_object() && self.value.get(key).is_none() {
            self.report(format!("`{key}` is missing"));
        }
        self.get(key)
    }

    /// The text under `key`. Reports a fault when the key is missing.
    pub(super) fn required_text(&self, key: &str) -> Option<String> {
        self.required(key)?.text()
    }

    /// The value as text. Numbers and booleans count as text, as in `CloudFormation`.
    pub(super) fn text(&self) -> Option<String> {
        let text = text_of(self.value);
        if text.is_none() {
            self.unexpected("text");
        }
        text
    }

    /// The value as a whole number from 0. A text of digits counts as a number.
    pub(super) fn whole_number(&self) -> Option<u64> {
        let number = text_of(self.value).and_then(|text| text.parse().ok());
        if number.is_none() {
            self.unexpected("a whole number");
        }
        number
    }

    /// The items of a list.
    pub(super) fn list(&self) -> Vec<Self> {
        let Some(items) = self.value.as_array() else {
            self.unexpected("a list");
            return Vec::new();
        };
        let item = |(index, value)| Self::new(format!("{}[{index}]", self.place), value, self.faults);
        items.iter().enumerate().filter(|(_, value)| !value.is_null()).map(item).collect()
    }

    /// The items of a list. A single value counts as a list of one, as policies allow.
    pub(super) fn one_or_list(&self) -> Vec<Self> {
        if self.value.is_array() { self.list() } else { vec![self.clone()] }
    }

    /// The entries of a map, in the template's order.
    pub(super) fn entries(&self) -> Vec<(&'a str, Self)> {
        let Some(map) = self.value.as_object() else {
            self.unexpected("a map");
            return Vec::new();
        };
        let entry = |(key, value): (&'a String, _)| {
            (key.as_str(), Self::new(format!("{}.{key}", self.place), value, self.faults))
        };
        map.iter().filter(|(_, value)| !value.is_null()).map(entry).collect()
    }

    /// Reports every key that is in neither list. `read` holds the keys with an effect here, `ignored` those with an
    /// effect on AWS only.
    pub(super) fn expect_keys(&self, read: &[&str], ignored: &[&str]) {
        for (key, node) in self.entries() {
            if !read.contains(&key) && !ignored.contains(&key) {
                node.report(format!(
                    "is not supported by the local stack; supported: {}",
                    [read, ignored].concat().join(", ")
                ));
            }
        }
    }

    /// Reports a text that is not one of `supported`.
    pub(super) fn expect_one_of(&self, supported: &[&str]) {
        if let Some(text) = self.text()
            && !supported.contains(&text.as_str())
        {
            self.report(format!(
                "`{text}` is not supported by the local stack; supported: {}",
                supported.join(", ")
            ));
        }
    }

    pub(super) fn report(&self, problem: impl Into<String>) {
        self.faults.report(&self.place, problem);
    }

    fn unexpected(&self, expected: &str) {
        if !self.value.is_null() {
            self.report(format!("expected {expected}, found {}", describe_value(self.value)));
        }
    }
}

/// The value as text; `None` for lists, maps and null.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The value as a message names it.
pub(super) fn describe_value(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            format!("`{}`", text_of(value).unwrap_or_default())
        }
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
    }
}

//! Parses the fields that several state types share: targets, seconds, `Assign`, `Output`, and values that hold
//! expressions. Nothing here looks at more than one state.

use std::time::Duration;

use serde_json::Value;

use super::{MAX_NAME_CHARS, MAX_SECONDS, Object, Reader};
use crate::{
    definition::DataEffect,
    expression::{JsonTemplate, StatesFields, StringKind},
};

/// Fields of the query language `JSONPath`, and the `JSONata` field to write instead.
const JSONPATH: [(&str, &str); 11] = [
    ("InputPath", "Arguments or Output"),
    ("Parameters", "Arguments"),
    ("ResultSelector", "Output"),
    ("ResultPath", "Output or Assign"),
    ("OutputPath", "Output"),
    ("Result", "Output"),
    ("Variable", "Condition"),
    ("SecondsPath", "Seconds"),
    ("TimeoutSecondsPath", "TimeoutSeconds"),
    ("ErrorPath", "Error"),
    ("CausePath", "Cause"),
];

impl Reader<'_> {
    /// Reports every field that is not among `known`. `at` is the place inside the state, such as `Retry[0]/`.
    pub(super) fn reject_unknown_fields(&mut self, fields: &Object, at: &str, known: &[&str]) {
        self.reject_jsonpath_fields(fields, at);
        for field in fields.keys().filter(|field| !known.contains(&field.as_str()) && !is_jsonpath(field)) {
            let known = known.join(", ");
            self.fault(format!("{at}{field} is not supported here (supported: {known})"));
        }
    }

    /// Reports every field that belongs to `JSONPath`.
    pub(super) fn reject_jsonpath_fields(&mut self, fields: &Object, at: &str) {
        for (field, instead) in JSONPATH.iter().filter(|(field, _)| fields.contains_key(*field)) {
            self.fault(format!("{at}{field} belongs to JSONPath; use {instead} with JSONata"));
        }
    }

    /// Parses the name of a next state. `check_graph` checks that it exists.
    pub(super) fn target(&mut self, fields: &Object, at: &str, field: &str) -> Option<String> {
        let target = fields.get(field).and_then(Value::as_str).map(str::to_owned);
        if target.is_none() {
            self.fault(format!("{at}{field} must name a state"));
        }
        target
    }

    /// Parses a whole number of seconds, if the field is present.
    pub(super) fn seconds(&mut self, fields: &Object, at: &str, field: &str, least: u64) -> Option<Duration> {
        let seconds = fields.get(field)?;
        let whole = seconds.as_u64().filter(|seconds| (least..=MAX_SECONDS).contains(seconds));
        if whole.is_none() {
            let range = format!("a whole number of {least} to {MAX_SECONDS}");
            self.fault(format!("{at}{field} must be {range}, but is {seconds}"));
        }
        whole.map(Duration::from_secs)
    }

    /// Parses `Assign` and `Output`.
    pub(super) fn effect(&mut self, fields: &Object, at: &str, reads: StatesFields) -> DataEffect {
        let assign = match fields.get("Assign") {
            None => Vec::new(),
            Some(Value::Object(values)) => {
                let assign = |(name, value): (&String, &Value)| {
                    self.variable_name(name, at);
                    (name.clone(), self.template(value, &format!("{at}Assign/{name}"), reads))
                };
                values.iter().map(assign).collect()
            }
            Some(_) => {
                self.fault(format!("{at}Assign must be an object of variables"));
                Vec::new()
            }
        };
        let output = fields.get("Output").map(|output| self.template(output, &format!("{at}Output"), reads));
        DataEffect { assign, output }
    }

    fn variable_name(&mut self, name: &str, at: &str) {
        let mut chars = name.chars();
        let fits = chars.next().is_some_and(char::is_alphabetic)
            && chars.all(|c| c.is_alphanumeric() || c == '_')
            && name.chars().count() <= MAX_NAME_CHARS;
        if !fits || name == "states" {
            self.fault(format!(
                "{at}Assign/{name}: a variable's name has 1 to {MAX_NAME_CHARS} letters, digits and _, begins \
                 with a letter, and is not `states`"
            ));
        }
    }

    /// Parses a value in which strings of the form `{% %}` are expressions.
    pub(super) fn template(&mut self, value: &Value, field: &str, reads: StatesFields) -> JsonTemplate {
        match value {
            Value::String(text) => match StringKind::of(text) {
                StringKind::Literal => JsonTemplate::Literal(value.clone()),
                StringKind::Expression(source) => self
                    .expression(source, field, reads)
                    .map_or_else(|| JsonTemplate::Literal(Value::Null), JsonTemplate::Expression),
                StringKind::Malformed => {
                    self.fault(format!(
                        "{field}: an expression must begin with {{% and end with %}}, with nothing around it"
                    ));
                    JsonTemplate::Literal(Value::Null)
                }
            },
            Value::Array(items) => {
                let item = |(index, item)| self.template(item, &format!("{field}[{index}]"), reads);
                JsonTemplate::Array(items.iter().enumerate().map(item).collect())
            }
            Value::Object(entries) => {
                let entry = |(key, value): (&String, &Value)| {
                    if key.ends_with(".$") {
                        self.fault(format!("{field}/{key}: a key that ends in .$ belongs to JSONPath"));
                    }
                    (key.clone(), self.template(value, &format!("{field}/{key}"), reads))
                };
                JsonTemplate::Object(entries.iter().map(entry).collect())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => JsonTemplate::Literal(value.clone()),
        }
    }
}

fn is_jsonpath(field: &str) -> bool {
    JSONPATH.iter().any(|(name, _)| *name == field)
}

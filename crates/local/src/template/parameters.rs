//! The template's parameters: defaults, overrides, and whether each value is allowed.

use std::collections::BTreeMap;

use regex_lite::Regex;
use serde_json::{Value, json};

use super::{faults::Faults, node::Node};

/// Each parameter's value; `None` where there is none to use, which has been reported.
pub(super) type Parameters = BTreeMap<String, Option<Given>>;

/// A parameter's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Given {
    Text(String),
    /// Of a `CommaDelimitedList`, never empty: the list of an empty text holds one empty text, as on AWS.
    List(Vec<String>),
}

impl Given {
    /// The value as it is given.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::List(items) => items.join(","),
        }
    }

    /// What `Ref` makes of it.
    pub(super) fn value(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::List(items) => json!(items),
        }
    }
}

/// The value of every parameter that the template declares.
pub(super) fn read(
    section: Option<&Node<'_>>,
    overrides: &BTreeMap<String, String>,
    faults: &Faults,
) -> Parameters {
    let entries = section.map(Node::entries).unwrap_or_default();
    for name in overrides.keys() {
        if !entries.iter().any(|(declared, _)| declared == name) {
            let declared: Vec<_> = entries.iter().map(|(name, _)| *name).collect();
            faults.report(
                format!("Parameters.{name}"),
                format!(
                    "a value is given, but the template has no such parameter; it has: {}",
                    declared.join(", ")
                ),
            );
        }
    }
    entries.iter().map(|(name, node)| ((*name).to_owned(), value(node, overrides.get(*name)))).collect()
}

fn value(parameter: &Node<'_>, given: Option<&String>) -> Option<Given> {
    parameter.allow(
        &[
            "Type",
            "Default",
            "AllowedValues",
            "AllowedPattern",
            "ConstraintDescription",
            "MinLength",
            "MaxLength",
            "MinValue",
            "MaxValue",
        ],
        &["Description", "NoEcho"],
    );
    let of_type = parameter.need("Type")?;
    of_type.expect_text(&["String", "Number", "CommaDelimitedList"]);
    let is_list = of_type.value == "CommaDelimitedList";
    let Some(value) = given.cloned().or_else(|| parameter.get("Default")?.text()) else {
        parameter.report("has neither a default nor a value given for it");
        return None;
    };
    let items: Vec<String> = if is_list {
        value.split(',').map(|item| item.trim().to_owned()).collect()
    } else {
        vec![value.clone()]
    };
    // Each item of a list must keep the rules.
    match items.iter().find_map(|item| violation(parameter, item)) {
        None if is_list => Some(Given::List(items)),
        None => Some(Given::Text(value)),
        Some(violation) => {
            let advice = parameter.get("ConstraintDescription").and_then(|node| node.text());
            let advice = advice.map(|text| format!(" ({text})")).unwrap_or_default();
            parameter.report(format!("the value `{value}` {violation}{advice}"));
            None
        }
    }
}

/// The first rule that the value breaks.
fn violation(parameter: &Node<'_>, value: &str) -> Option<String> {
    let length = value.chars().count() as u64;
    if parameter.get("Type").and_then(|node| node.text()).as_deref() == Some("Number") {
        let Ok(number) = value.parse::<f64>() else { return Some("is not a number".to_owned()) };
        let bound = |key| parameter.get(key)?.text()?.parse::<f64>().ok();
        if let Some(least) = bound("MinValue").filter(|least| number < *least) {
            return Some(format!("is less than MinValue {least}"));
        }
        if let Some(most) = bound("MaxValue").filter(|most| number > *most) {
            return Some(format!("is more than MaxValue {most}"));
        }
    }
    if let Some(allowed) = parameter.get("AllowedValues") {
        let allowed: Vec<_> = allowed.list().iter().filter_map(Node::text).collect();
        if !allowed.iter().any(|text| text == value) {
            return Some(format!("is not one of AllowedValues: {}", allowed.join(", ")));
        }
    }
    if let Some(node) = parameter.get("AllowedPattern") {
        let pattern = node.text()?;
        // CloudFormation wants the pattern to match the entire value.
        match Regex::new(&format!("^(?:{pattern})$")) {
            Ok(regex) if !regex.is_match(value) => {
                return Some(format!("does not match AllowedPattern {pattern}"));
            }
            Ok(_) => {}
            Err(error) => node.report(format!("is not a regular expression: {error}")),
        }
    }
    let limit = |key| parameter.get(key).and_then(|node| node.whole());
    match (limit("MinLength"), limit("MaxLength")) {
        (Some(least), _) if length < least => Some(format!("is shorter than MinLength {least}")),
        (_, Some(most)) if length > most => Some(format!("is longer than MaxLength {most}")),
        _ => None,
    }
}

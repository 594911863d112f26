//! The template's parameters: their defaults, the values that override them, and the check of each value. Nothing here
//! knows what a parameter is used for.

use std::collections::BTreeMap;

use regex_lite::Regex;

use super::{faults::FaultList, node::Node};

/// Each parameter's value; `None` for one whose fault was reported.
pub(super) type Parameters = BTreeMap<String, Option<String>>;

/// Reads every parameter that the template declares.
pub(super) fn read(
    section: Option<&Node<'_>>,
    overrides: &BTreeMap<String, String>,
    faults: &FaultList,
) -> Parameters {
    let entries = section.map(Node::entries).unwrap_or_default();
    for name in overrides.keys() {
        if !entries.iter().any(|(declared, _)| declared == name) {
            let declared: Vec<_> = entries.iter().map(|(name, _)| *name).collect();
            faults.report(
                format!("Parameters.{name}"),
                format!("the template has no such parameter; it has: {}", declared.join(", ")),
            );
        }
    }
    entries.iter().map(|(name, node)| ((*name).to_owned(), value(node, overrides.get(*name)))).collect()
}

fn value(parameter: &Node<'_>, given: Option<&String>) -> Option<String> {
    parameter.expect_keys(
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
    parameter.required("Type")?.expect_one_of(&["String", "Number"]);
    let Some(value) = given.cloned().or_else(|| parameter.get("Default")?.text()) else {
        parameter.report("has no default and no value: give it one");
        return None;
    };
    match violation(parameter, &value) {
        None => Some(value),
        Some(violation) => {
            let advice = parameter.get("ConstraintDescription").and_then(|node| node.text());
            let advice = advice.map(|text| format!(" ({text})")).unwrap_or_default();
            parameter.report(format!("the value `{value}` {violation}{advice}"));
            None
        }
    }
}

/// The first constraint that the value violates.
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
        // CloudFormation matches the pattern against the entire value.
        match Regex::new(&format!("^(?:{pattern})$")) {
            Ok(regex) if !regex.is_match(value) => {
                return Some(format!("does not match AllowedPattern {pattern}"));
            }
            Ok(_) => {}
            Err(error) => node.report(format!("is not a regular expression: {error}")),
        }
    }
    let limit = |key| parameter.get(key).and_then(|node| node.whole_number());
    match (limit("MinLength"), limit("MaxLength")) {
        (Some(least), _) if length < least => Some(format!("is shorter than MinLength {least}")),
        (_, Some(most)) if length > most => Some(format!("is longer than MaxLength {most}")),
        _ => None,
    }
}

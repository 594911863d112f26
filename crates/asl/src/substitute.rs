//! `DefinitionSubstitutions`: each `${Name}` in a definition's text is replaced by its value. `CloudFormation` does
//! this before Step Functions parses the text, so nothing here parses JSON.

use std::collections::{BTreeMap, BTreeSet};

/// The text with its placeholders replaced, and the names that did not match.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Substituted {
    pub(super) text: String,
    /// Placeholders without a value. They are left in the text.
    pub(super) missing: BTreeSet<String>,
    /// Values without a placeholder.
    pub(super) unused: BTreeSet<String>,
}

/// Replaces every `${Name}`. A placeholder inside a value is left as it is.
pub(super) fn substitute(text: &str, values: &BTreeMap<String, String>) -> Substituted {
    let mut unused: BTreeSet<String> = values.keys().cloned().collect();
    let mut missing = BTreeSet::new();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        if let Some(name) = placeholder(from) {
            let length = name.len() + "${}".len();
            if let Some(value) = values.get(name) {
                unused.remove(name);
                out.push_str(value);
            } else {
                missing.insert(name.to_owned());
                out.push_str(&from[..length]);
            }
            rest = &from[length..];
        } else {
            out.push_str("${");
            rest = &from["${".len()..];
        }
    }
    out.push_str(rest);
    Substituted { text: out, missing, unused }
}

/// Every placeholder in `text`.
pub(super) fn placeholders(text: &str) -> BTreeSet<&str> {
    text.match_indices("${").filter_map(|(start, _)| placeholder(&text[start..])).collect()
}

/// The name in the `${Name}` at the start of `text`.
fn placeholder(text: &str) -> Option<&str> {
    let (name, _) = text.strip_prefix("${")?.split_once('}')?;
    let named =
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'));
    named.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_replaced_and_missing_and_unused_names_are_listed() {
        let values = [("A", "one"), ("B", "${A}"), ("C", "never")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let done = substitute("${A}-${B}-${D}-${A}-$states.input.${x: 1}-${", &BTreeMap::from(values));
        assert_eq!(done.text, "one-${A}-${D}-one-$states.input.${x: 1}-${");
        assert_eq!(done.missing, BTreeSet::from(["D".to_owned()]));
        assert_eq!(done.unused, BTreeSet::from(["C".to_owned()]));
    }
}

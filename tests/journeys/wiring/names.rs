//! A type's name means one thing in the whole workspace, so that a reader who knows it from one crate knows it in all.

use std::collections::{BTreeMap, BTreeSet};

use super::{Complaints, HOUSE, House, assert_blamed, assert_sound};

/// Names that may be defined again, each with the reason.
const DELIBERATE: [(&str, &str); 1] = [(
    "Error",
    "each of domain and lambda_shell has the one error that its callers return, as crates do in Rust",
)];

/// One definition of a type.
#[derive(Debug)]
struct TypeDefinition<'h> {
    path: &'h str,
    /// `struct`, `enum`, `trait` or `type`.
    keyword: &'h str,
    name: &'h str,
    /// The whole line of an alias: two aliases of the same type are one thing.
    alias: Option<&'h str>,
}

/// The types that a source defines, its tests included. A type that a macro makes is not found.
fn definitions<'h>(path: &'h str, source: &'h str) -> Vec<TypeDefinition<'h>> {
    let mut found = Vec::new();
    // The lines that the current line stands below, with their indentation.
    let mut above: Vec<(usize, &str)> = Vec::new();
    for line in source.lines() {
        let text = line.trim_start();
        let indentation = line.len() - text.len();
        // Where a header takes several lines, its first says what it is.
        let header_goes_on = ["{", "where"].contains(&text) || text.starts_with(')');
        if text.is_empty() || text.starts_with("//") || header_goes_on {
            continue;
        }
        above.retain(|(outer, _)| *outer < indentation);
        let bare = text.strip_prefix("pub").map_or(text, |rest| {
            let rest =
                rest.strip_prefix('(').and_then(|rest| rest.split_once(')')).map_or(rest, |(_, rest)| rest);
            rest.trim_start()
        });
        if let Some((keyword, rest)) = bare.split_once(' ') {
            let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
            let alias = (keyword == "type").then(|| bare.split_once('=').map_or("", |(_, to)| to.trim()));
            // `type` inside an `impl` or a `trait` is the trait's name, not one of ours.
            let associated = above.last().is_some_and(|(_, opener)| {
                let opener = opener.trim_start_matches("pub ");
                ["impl", "trait", "unsafe impl"].iter().any(|word| opener.starts_with(word))
            });
            if ["struct", "enum", "trait", "union", "type"].contains(&keyword)
                && name.starts_with(char::is_uppercase)
                && !(alias.is_some() && associated)
            {
                found.push(TypeDefinition { path, keyword, name, alias });
            }
        }
        above.push((indentation, text));
    }
    found
}

/// The names that are defined more than once, for different things.
fn doubled(house: &House) -> Complaints {
    let mut by_name: BTreeMap<&str, Vec<TypeDefinition<'_>>> = BTreeMap::new();
    for (path, source) in house.sources("crates/").chain(house.sources("tests/")) {
        for definition in definitions(path, source) {
            by_name.entry(definition.name).or_default().push(definition);
        }
    }
    by_name.retain(|name, definitions| {
        let aliases: Option<BTreeSet<&str>> = definitions.iter().map(|definition| definition.alias).collect();
        let one_thing = definitions.len() == 1 || aliases.is_some_and(|aliases| aliases.len() == 1);
        !one_thing && !DELIBERATE.iter().any(|(deliberate, _)| deliberate == name)
    });
    by_name
        .into_iter()
        .map(|(name, definitions)| {
            let places: Vec<String> = definitions
                .iter()
                .map(|TypeDefinition { path, keyword, .. }| format!("{keyword} in {path}"))
                .collect();
            format!(
                "{name} names {} things, give each a name of its own: {}",
                places.len(),
                places.join(", ")
            )
        })
        .collect()
}

#[test]
fn a_type_name_means_one_thing() {
    assert_sound(&doubled(&HOUSE));
}

#[test]
fn a_type_name_that_is_used_twice_is_named_with_both_places() {
    let path = "crates/query/src/again.rs";
    for (text, name) in [
        ("pub(crate) struct OrderFilter;", "OrderFilter"),
        ("enum RoutePath { A }", "RoutePath"),
        ("pub trait Door {}", "Door"),
        ("type Timestamp = u64;", "Timestamp"),
        ("fn within() {\n    struct Stack;\n}", "Stack"),
        ("mod within {\n    pub type Complaints = u64;\n}", "Complaints"),
    ] {
        assert_blamed(&doubled(&HOUSE.with(path, text)), &[&format!("{name} names 2 things"), path]);
    }
    let sound =
        |text: &str| doubled(&HOUSE.with(path, text)).iter().all(|complaint| !complaint.contains(path));
    assert!(sound("type Complaints = Vec<String>;"), "the same type under the same name is one thing");
    assert!(sound("impl Iterator for Rows {\n    type Stack = u64;\n}"), "a trait's type is not one of ours");
    assert!(sound("impl<T> Step for Rows<T>\nwhere\n    T: Send,\n{\n    type Stack = u64;\n}"));
    assert!(sound("// struct Stack;"), "a comment defines nothing");
}

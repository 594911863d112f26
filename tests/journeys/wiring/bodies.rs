//! The fields that the functions read out of request bodies, against the fields that `infra/openapi.yaml` describes. A
//! field that only one side knows is a silent omission: no call that leaves it out shows it.

use std::collections::{BTreeMap, BTreeSet};

use sam_template::yaml;
use serde_json::Value;

use super::{Complaints, HOUSE, House, assert_blamed, assert_sound, complaints};

const OPENAPI: &str = "infra/openapi.yaml";

/// The methods of `domain::Body` that take a field out, each with the parenthesis before the field's name.
const READERS: [&str; 7] = [
    ".required(\"",
    ".text(\"",
    ".optional_text(\"",
    ".integer(\"",
    ".optional_integer(\"",
    ".unit_price(\"",
    ".optional_total(\"",
];

/// The fields that each source reads, by name. A reader may say the type that it makes: `.text::<Name>("name")`.
fn fields_read(house: &House) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    let folders = house.functions().into_iter().chain(["domain"]).map(|name| format!("crates/{name}/src/"));
    let folders: Vec<String> = folders.collect();
    for (path, text) in folders.iter().flat_map(|folder| house.sources(folder)) {
        let shipped = text.split("#[cfg(test)]").next().unwrap_or_default();
        let plain: String = shipped.split("::<").enumerate().map(|(at, part)| untyped(at, part)).collect();
        for reader in READERS {
            for rest in plain.split(reader).skip(1) {
                let name = rest.split('"').next().unwrap_or_default();
                fields.insert(name.to_owned(), path.to_owned());
            }
        }
    }
    fields
}

/// A piece of source after `::<`, without the type and its closing bracket; the first piece as it is.
fn untyped(at: usize, part: &str) -> &str {
    if at == 0 {
        part
    } else {
        part.split_once(">(").map_or(part, |(_, rest)| &part[part.len() - rest.len() - 1..])
    }
}

/// The names of all properties below the schemas of request bodies.
fn fields_described(house: &House) -> Result<BTreeSet<String>, String> {
    let document = yaml::read(house.text(OPENAPI)).map_err(|fault| format!("{OPENAPI}: {fault}"))?;
    let mut names = BTreeSet::new();
    let operations =
        document["paths"].as_object().into_iter().flatten().filter_map(|(_, path)| path.as_object());
    for operation in operations.flat_map(|operations| operations.values()) {
        for content in operation["requestBody"]["content"].as_object().into_iter().flatten() {
            properties(&document, &content.1["schema"], &mut names);
        }
    }
    Ok(names)
}

/// Adds the property names of a schema, of the schemas that it refers to, and of its items.
fn properties(document: &Value, schema: &Value, names: &mut BTreeSet<String>) {
    if let Some(target) = schema["$ref"].as_str().and_then(|to| document.pointer(to.trim_start_matches('#')))
    {
        properties(document, target, names);
    }
    if schema["items"].is_object() {
        properties(document, &schema["items"], names);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        names.insert(name.clone());
        properties(document, property, names);
    }
}

fn bodies(house: &House) -> Result<Complaints, String> {
    let (read, described) = (fields_read(house), fields_described(house)?);
    let missing = read.iter().filter(|(name, _)| !described.contains(*name));
    let missing = missing.map(|(name, path)| {
        format!("{path} reads the field `{name}` of a request body: describe it in {OPENAPI}")
    });
    let unread = described.iter().filter(|name| !read.contains_key(*name));
    let unread = unread.map(|name| {
        format!("{OPENAPI} describes the field `{name}` of a request body, and no function reads it")
    });
    Ok(missing.chain(unread).collect())
}

#[test]
fn every_field_of_a_request_body_is_read_and_described() {
    assert_sound(&complaints(bodies(&HOUSE)));
}

#[test]
fn a_field_that_is_only_read_or_only_described_is_named() {
    for (path, from, to, culprits) in [
        (
            "crates/place_order/src/request.rs",
            "body.optional_text(\"reference\")",
            "body.optional_text(\"no_such_field\")",
            ["crates/place_order/src/request.rs", "`no_such_field`"],
        ),
        (
            "crates/adjust_inventory/src/lib.rs",
            "body.text::<Reason>(\"reason\")",
            "body.text::<Reason>(\"why\")",
            ["crates/adjust_inventory/src/lib.rs", "`why`"],
        ),
        (
            OPENAPI,
            "        max_per_order: { $ref: \"#/components/schemas/MaxPerOrder\" }\n      additionalProperties: false\n    NewAdjustment:",
            "        most_per_order: { $ref: \"#/components/schemas/MaxPerOrder\" }\n      additionalProperties: false\n    NewAdjustment:",
            [OPENAPI, "`most_per_order`"],
        ),
    ] {
        assert_blamed(&complaints(bodies(&HOUSE.broken(path, from, to))), &culprits);
    }
}

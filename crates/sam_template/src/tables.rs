//! `AWS::DynamoDB::Table`: the `CreateTable` request that creates it. Nothing here sends the request.

use serde_json::{Value, json};

use super::{names::Identity, node::Node};

/// A `DynamoDB` table.
#[derive(Clone, Debug, PartialEq)]
pub struct TableResource {
    /// Its key under `Resources`.
    pub logical_id: String,
    /// Its physical name, which ends its ARN.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// The `CreateTable` request, in `DynamoDB`'s JSON protocol.
    pub create_table: Value,
}

/// Properties without an effect that a program can observe.
const AWS_ONLY: &[&str] = &[
    "TableName",
    "PointInTimeRecoverySpecification",
    "SSESpecification",
    "DeletionProtectionEnabled",
    "ContributorInsightsSpecification",
    "TableClass",
    "Tags",
];

pub(super) fn read(logical_id: &str, identity: &Identity, properties: &Node<'_>) -> TableResource {
    properties.expect_keys(
        &["BillingMode", "AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes"],
        AWS_ONLY,
    );
    // Provisioned capacity throttles calls. The local engine does not.
    if let Some(mode) = properties.required("BillingMode") {
        mode.expect_one_of(&["PAY_PER_REQUEST"]);
    }
    let definitions = properties.required("AttributeDefinitions").map(|node| node.list()).unwrap_or_default();
    let mut attributes = Vec::new();
    for definition in &definitions {
        definition.expect_keys(&["AttributeName", "AttributeType"], &[]);
        if let Some(attribute_type) = definition.required("AttributeType") {
            attribute_type.expect_one_of(&["S", "N", "B"]);
        }
        attributes.extend(definition.required_text("AttributeName"));
    }
    let mut used = Vec::new();
    let mut request = json!({
        "TableName": identity.name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": definitions.iter().map(|node| node.value).collect::<Vec<_>>(),
        "KeySchema": key_schema(properties, &attributes, &mut used),
    });
    if let Some(indexes) = properties.get("GlobalSecondaryIndexes") {
        let indexes: Vec<_> =
            indexes.list().iter().map(|index| index_of(index, &attributes, &mut used)).collect();
        request["GlobalSecondaryIndexes"] = Value::Array(indexes);
    }
    for attribute in attributes.iter().filter(|attribute| !used.contains(attribute)) {
        properties.report(format!(
            "AttributeDefinitions has `{attribute}`, which no key uses: DynamoDB refuses that"
        ));
    }
    TableResource {
        logical_id: logical_id.to_owned(),
        name: identity.name.clone(),
        arn: identity.arn(),
        create_table: request,
    }
}

fn index_of(index: &Node<'_>, attributes: &[String], used: &mut Vec<String>) -> Value {
    index.expect_keys(&["IndexName", "KeySchema", "Projection"], &["ContributorInsightsSpecification"]);
    let projection = index.required("Projection");
    if let Some(projection) = &projection {
        projection.expect_keys(&["ProjectionType", "NonKeyAttributes"], &[]);
        if let Some(projection_type) = projection.required("ProjectionType") {
            projection_type.expect_one_of(&["KEYS_ONLY", "INCLUDE", "ALL"]);
        }
    }
    json!({
        "IndexName": index.required_text("IndexName"),
        "KeySchema": key_schema(index, attributes, used),
        "Projection": projection.map(|node| node.value),
    })
}

fn key_schema(parent: &Node<'_>, attributes: &[String], used: &mut Vec<String>) -> Value {
    let Some(schema) = parent.required("KeySchema") else { return Value::Null };
    let keys = schema.list();
    for (index, key) in keys.iter().enumerate() {
        key.expect_keys(&["AttributeName", "KeyType"], &[]);
        if let Some(key_type) = key.required("KeyType") {
            key_type.expect_one_of(&[if index == 0 { "HASH" } else { "RANGE" }]);
        }
        if let Some(name) = key.required_text("AttributeName") {
            if !attributes.contains(&name) {
                key.report(format!("`{name}` is not in AttributeDefinitions"));
            }
            used.push(name);
        }
    }
    if !(1..=2).contains(&keys.len()) {
        schema.report("expected a HASH key and at most one RANGE key");
    }
    schema.value.clone()
}

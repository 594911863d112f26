//! `AWS::Serverless::StateMachine`: its definition's text and the substitutions in it.
//!
//! Nothing here parses a definition.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{
    names::Identity,
    node::Node,
    roles::{self, Role, Statement},
};

/// A Step Functions state machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateMachineResource {
    /// Its key under `Resources`.
    pub logical_id: String,
    /// Its physical name, which ends its ARN.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// The `Type`; only `EXPRESS` is supported.
    pub kind: String,
    /// The file of its definition, for messages.
    pub definition_path: PathBuf,
    /// The definition as in its file, with its `${Name}` placeholders.
    pub definition: String,
    /// The value of each placeholder. The definition uses these names and no others.
    pub substitutions: BTreeMap<String, String>,
    /// The logical id of the role that it runs as.
    pub role_logical_id: String,
    /// The statements of that role's policies.
    pub statements: Vec<Statement>,
    /// Whether X-Ray traces its executions.
    pub traced: bool,
}

/// Properties without an effect that a program can observe.
const AWS_ONLY: &[&str] = &["Name", "Logging", "Tags"];

pub(super) fn read(
    logical_id: &str,
    identity: &Identity,
    properties: &Node<'_>,
    dir: &Path,
    roles: &[Role],
) -> Option<StateMachineResource> {
    properties
        .expect_keys(&["Type", "DefinitionUri", "DefinitionSubstitutions", "Role", "Tracing"], AWS_ONLY);
    let tracing = properties.get("Tracing");
    if let Some(tracing) = &tracing {
        tracing.expect_keys(&["Enabled"], &[]);
    }
    let kind = properties.required("Type");
    if let Some(kind) = &kind {
        kind.expect_one_of(&["EXPRESS"]);
    }
    let role = roles::find(roles, properties, "Role", "states.amazonaws.com");
    let mut substitutions = BTreeMap::new();
    for (name, node) in properties.get("DefinitionSubstitutions").iter().flat_map(Node::entries) {
        substitutions.extend(node.text().map(|text| (name.to_owned(), text)));
    }
    let uri = properties.required("DefinitionUri")?;
    let definition_path = dir.join(uri.text()?);
    let definition = fs::read_to_string(&definition_path)
        .map_err(|error| uri.report(format!("{} cannot be read: {error}", definition_path.display())))
        .ok()?;
    check_placeholders(properties, &definition);
    let role = role?;
    Some(StateMachineResource {
        logical_id: logical_id.to_owned(),
        name: identity.name.clone(),
        arn: identity.arn(),
        kind: kind?.text()?,
        definition_path,
        definition,
        substitutions,
        role_logical_id: role.logical_id.clone(),
        statements: role.statements.clone(),
        traced: tracing.and_then(|tracing| tracing.get("Enabled")?.text()).is_some_and(|text| text == "true"),
    })
}

/// Reports placeholders without a substitution, which AWS would leave in the text, and substitutions without a
/// placeholder.
fn check_placeholders(properties: &Node<'_>, definition: &str) {
    let given = properties.value.get("DefinitionSubstitutions");
    let mut used = Vec::new();
    let mut rest = definition;
    while let Some((name, after)) = next_placeholder(rest) {
        if given.is_none_or(|given| given.get(name).is_none()) {
            properties
                .report(format!("the definition uses ${{{name}}}, which DefinitionSubstitutions lacks"));
        }
        used.push(name);
        rest = after;
    }
    for (name, node) in properties.get("DefinitionSubstitutions").iter().flat_map(Node::entries) {
        if !used.contains(&name) {
            node.report(format!("is not used: the definition has no ${{{name}}}"));
        }
    }
}

/// The name in the first `${Name}`, and the text after it. As on AWS, a name has letters, digits and underscores; other
/// text in braces belongs to the definition.
fn next_placeholder(text: &str) -> Option<(&str, &str)> {
    text.match_indices("${").find_map(|(start, opening)| {
        let (name, after) = text[start + opening.len()..].split_once('}')?;
        let is_name =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        is_name.then_some((name, after))
    })
}

//! The permissions that a call needs, and the check that its caller's role grants them. Nothing here parses a policy.
//!
//! The calls of a function or a state machine are checked against the role that the template gives it. So a missing
//! permission fails a test, before it fails in production. A caller that is not in the template is an operator, and may
//! do everything.
//!
//! AWS's Service Authorization Reference says which permissions a call needs. A transaction needs the actions of its
//! parts, and none of its own. A query of an index needs the index's ARN.

use std::collections::HashMap;

use sam_template::{Statement, Template, permits};
use serde_json::Value;

use super::wire::Operation;
use crate::ground::{ACCOUNT, AwsError};

/// The statements of each function's and state machine's role, by logical id.
#[derive(Debug, Default)]
pub(crate) struct Roles(HashMap<String, Vec<Statement>>);

impl Roles {
    pub(crate) fn of(template: &Template) -> Self {
        let functions = template.functions.iter().map(|f| (f.logical_id.clone(), f.statements.clone()));
        let machines = template.state_machines.iter().map(|m| (m.logical_id.clone(), m.statements.clone()));
        Self(functions.chain(machines).collect())
    }

    /// The error for a call that its caller's role does not permit; `None` if it may go on.
    pub(super) fn denial(&self, caller: &str, operation: &Operation) -> Option<AwsError> {
        let statements = self.0.get(caller)?;
        let permitted =
            |permission: &RequiredPermission| permits(statements, &permission.action, &permission.resource);
        let permission =
            operation.required_permissions().into_iter().find(|permission| !permitted(permission))?;
        let message = format!(
            "{caller} is not authorized to perform: {} on resource: {}",
            permission.action, permission.resource
        );
        tracing::error!(caller, action = permission.action, resource = permission.resource, "access denied");
        Some(match operation {
            Operation::Sns { .. } => AwsError::new(403, "AuthorizationError", message),
            Operation::Invoke { .. } => AwsError::new(403, "AccessDeniedException", message),
            Operation::DynamoDb { .. } | Operation::Cognito { .. } | Operation::StartSyncExecution { .. } => {
                AwsError::new(400, "AccessDeniedException", message)
            }
        })
    }
}

/// A permission that a caller's role must grant for a call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequiredPermission {
    /// The action, such as `dynamodb:GetItem`.
    pub action: String,
    /// The ARN of the resource; `*` if IAM has none for this action.
    pub resource: String,
}

impl RequiredPermission {
    fn new(action: impl Into<String>, resource: impl Into<String>) -> Self {
        Self { action: action.into(), resource: resource.into() }
    }
}

impl Operation {
    /// Every permission that the call needs.
    pub(super) fn required_permissions(&self) -> Vec<RequiredPermission> {
        match self {
            Self::DynamoDb { operation, body } => {
                table_permissions(operation, &serde_json::from_str(body).unwrap_or_default())
            }
            // Signing in needs no permission.
            Self::Cognito { .. } => Vec::new(),
            Self::Sns { action, parameters } => {
                let need = |action: &str| RequiredPermission::new(format!("sns:{action}"), topic(parameters));
                let tags = parameters["Tags"].as_array().is_some_and(|tags| !tags.is_empty());
                std::iter::once(need(action)).chain(tags.then(|| need("TagResource"))).collect()
            }
            Self::StartSyncExecution { body } => {
                vec![RequiredPermission::new("states:StartSyncExecution", text(body, "stateMachineArn"))]
            }
            Self::Invoke { function, .. } => {
                vec![RequiredPermission::new(
                    "lambda:InvokeFunction",
                    arn_of("lambda", "function:", function),
                )]
            }
        }
    }
}

fn table_permissions(operation: &str, request: &Value) -> Vec<RequiredPermission> {
    if let Some(actions) = request["TransactItems"].as_array() {
        let part = |action: &Value| {
            let (kind, part) = action.as_object()?.iter().next()?;
            let action = if kind == "ConditionCheck" { "ConditionCheckItem" } else { &format!("{kind}Item") };
            Some(table_permission(action, text(part, "TableName"), None))
        };
        return actions.iter().filter_map(part).collect();
    }
    if let Some(tables) = request["RequestItems"].as_object() {
        return tables.keys().map(|table| table_permission(operation, table, None)).collect();
    }
    vec![table_permission(operation, text(request, "TableName"), request["IndexName"].as_str())]
}

fn table_permission(action: &str, table: &str, index: Option<&str>) -> RequiredPermission {
    let mut resource = arn_of("dynamodb", "table/", table);
    if let Some(index) = index {
        resource = format!("{resource}/index/{index}");
    }
    RequiredPermission::new(format!("dynamodb:{action}"), resource)
}

fn topic(parameters: &Value) -> String {
    // In IAM a subscription is not a resource
    // (<https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html>).
    if parameters.get("SubscriptionArn").is_some() {
        return "*".to_owned();
    }
    match parameters["Name"].as_str() {
        Some(name) => ACCOUNT.arn("sns", name),
        None => text(parameters, "TopicArn").to_owned(),
    }
}

/// The ARN of a resource that a request names by its ARN or by its name.
fn arn_of(service: &str, kind: &str, name: &str) -> String {
    if name.starts_with("arn:") { name.to_owned() } else { ACCOUNT.arn(service, &format!("{kind}{name}")) }
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn on_database(operation: &str, body: &Value) -> Vec<String> {
        let operation = Operation::DynamoDb { operation: operation.to_owned(), body: body.to_string() };
        operation
            .required_permissions()
            .into_iter()
            .map(|permission| format!("{} {}", permission.action, permission.resource))
            .collect()
    }

    #[test]
    fn a_call_needs_its_action_on_the_tables_and_indexes_that_it_names() {
        let table = ACCOUNT.arn("dynamodb", "table/Orders");
        for (operation, body, expected) in [
            ("GetItem", json!({ "TableName": "Orders" }), vec![format!("dynamodb:GetItem {table}")]),
            (
                "Query",
                json!({ "TableName": "Orders", "IndexName": "by_user" }),
                vec![format!("dynamodb:Query {table}/index/by_user")],
            ),
            (
                "BatchGetItem",
                json!({ "RequestItems": { "Orders": {}, "Users": {} } }),
                vec![
                    format!("dynamodb:BatchGetItem {table}"),
                    format!("dynamodb:BatchGetItem {}", ACCOUNT.arn("dynamodb", "table/Users")),
                ],
            ),
            (
                "TransactWriteItems",
                json!({ "TransactItems": [
                    { "Put": { "TableName": "Orders" } }, { "ConditionCheck": { "TableName": "Orders" } }
                ] }),
                vec![format!("dynamodb:PutItem {table}"), format!("dynamodb:ConditionCheckItem {table}")],
            ),
        ] {
            assert_eq!(on_database(operation, &body), expected);
        }
    }

    #[test]
    fn an_action_on_a_subscription_has_no_resource_of_its_own() {
        let topic = ACCOUNT.arn("sns", "orders");
        for (parameters, resource) in [
            (json!({ "TopicArn": topic }), topic.as_str()),
            (json!({ "Name": "orders" }), &topic),
            (json!({ "SubscriptionArn": format!("{topic}:1-2-3") }), "*"),
        ] {
            let operation = Operation::Sns { action: "Any".to_owned(), parameters };
            assert_eq!(operation.required_permissions(), [RequiredPermission::new("sns:Any", resource)]);
        }
    }

    #[test]
    fn a_topic_that_is_made_with_tags_needs_the_permission_to_tag() {
        let topic = ACCOUNT.arn("sns", "orders");
        let needs = |tags: Value| {
            let parameters = json!({"Name": "orders", "Tags": tags});
            Operation::Sns { action: "CreateTopic".to_owned(), parameters }.required_permissions()
        };
        let create = RequiredPermission::new("sns:CreateTopic", &topic);
        assert_eq!(needs(json!([])), [create]);
        let create = RequiredPermission::new("sns:CreateTopic", &topic);
        assert_eq!(
            needs(json!([{"Key": "k", "Value": "v"}])),
            [create, RequiredPermission::new("sns:TagResource", &topic)]
        );
    }
}

//! What a call has to be permitted, in IAM's words: an action and the ARN that it is done to.
//!
//! Every call of a function or of the state machine is held against the role that the template gives it, so that a
//! missing permission fails a test here and not in production. Who is not of the template is an operator, and may do
//! everything. From AWS's Service Authorization Reference: a transaction needs the actions of its parts and none of its own, a query of an
//! index needs the index's ARN, and SNS judges what is done to a subscription by its topic.

use std::collections::HashMap;

use sam_template::{Statement, Template, permits};
use serde_json::Value;

use super::wire::Operation;
use crate::ground::{ACCOUNT, AwsError};

/// What each caller of the template may do, by logical id.
#[derive(Debug, Default)]
pub(crate) struct Roles(HashMap<String, Vec<Statement>>);

impl Roles {
    pub(crate) fn of(template: &Template) -> Self {
        let functions = template.functions.iter().map(|f| (f.logical_id.clone(), f.statements.clone()));
        let machines = template.state_machines.iter().map(|m| (m.logical_id.clone(), m.statements.clone()));
        Self(functions.chain(machines).collect())
    }

    /// The refusal of a call that its caller's role does not permit.
    pub(super) fn refuse(&self, caller: &str, operation: &Operation) -> Option<AwsError> {
        let statements = self.0.get(caller)?;
        let permitted = |need: &Need| permits(statements, &need.action, &need.resource);
        let need = operation.needs().into_iter().find(|need| !permitted(need))?;
        let message =
            format!("{caller} is not authorized to perform: {} on resource: {}", need.action, need.resource);
        tracing::error!(caller, action = need.action, resource = need.resource, "access denied");
        Some(match operation {
            Operation::Sns { .. } => AwsError::new(403, "AuthorizationError", message),
            Operation::Invoke { .. } => AwsError::new(403, "AccessDeniedException", message),
            Operation::DynamoDb { .. } | Operation::Cognito { .. } | Operation::StartSyncExecution { .. } => {
                AwsError::new(400, "AccessDeniedException", message)
            }
        })
    }
}

/// One thing that a caller's role must permit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Need {
    /// The action, such as `dynamodb:GetItem`.
    pub action: String,
    /// The ARN that it is done to; `*` where IAM knows none.
    pub resource: String,
}

impl Need {
    fn new(action: impl Into<String>, resource: impl Into<String>) -> Self {
        Self { action: action.into(), resource: resource.into() }
    }
}

impl Operation {
    /// Everything that whoever makes this call must be permitted.
    pub(super) fn needs(&self) -> Vec<Need> {
        match self {
            Self::DynamoDb { operation, body } => {
                of_tables(operation, &serde_json::from_str(body).unwrap_or_default())
            }
            // Anybody may sign in.
            Self::Cognito { .. } => Vec::new(),
            Self::Sns { action, parameters } => {
                let need = |action: &str| Need::new(format!("sns:{action}"), topic(parameters));
                let tags = parameters["Tags"].as_array().is_some_and(|tags| !tags.is_empty());
                std::iter::once(need(action)).chain(tags.then(|| need("TagResource"))).collect()
            }
            Self::StartSyncExecution { body } => {
                vec![Need::new("states:StartSyncExecution", text(body, "stateMachineArn"))]
            }
            Self::Invoke { function, .. } => {
                vec![Need::new("lambda:InvokeFunction", arn_of("lambda", "function:", function))]
            }
        }
    }
}

fn of_tables(operation: &str, request: &Value) -> Vec<Need> {
    if let Some(actions) = request["TransactItems"].as_array() {
        let part = |action: &Value| {
            let (kind, part) = action.as_object()?.iter().next()?;
            let action = if kind == "ConditionCheck" { "ConditionCheckItem" } else { &format!("{kind}Item") };
            Some(on_table(action, text(part, "TableName"), None))
        };
        return actions.iter().filter_map(part).collect();
    }
    if let Some(tables) = request["RequestItems"].as_object() {
        return tables.keys().map(|table| on_table(operation, table, None)).collect();
    }
    vec![on_table(operation, text(request, "TableName"), request["IndexName"].as_str())]
}

fn on_table(action: &str, table: &str, index: Option<&str>) -> Need {
    let mut resource = arn_of("dynamodb", "table/", table);
    if let Some(index) = index {
        resource = format!("{resource}/index/{index}");
    }
    Need::new(format!("dynamodb:{action}"), resource)
}

fn topic(parameters: &Value) -> String {
    // To IAM a subscription is no resource
    // (<https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsns.html>).
    if parameters.get("SubscriptionArn").is_some() {
        return "*".to_owned();
    }
    match parameters["Name"].as_str() {
        Some(name) => ACCOUNT.arn("sns", name),
        None => text(parameters, "TopicArn").to_owned(),
    }
}

/// The ARN of what a request may name by its ARN or by its name alone.
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
        operation.needs().into_iter().map(|need| format!("{} {}", need.action, need.resource)).collect()
    }

    #[test]
    fn a_call_needs_its_action_on_what_it_names() {
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
    fn what_is_done_to_a_subscription_is_done_to_no_resource() {
        let topic = ACCOUNT.arn("sns", "orders");
        for (parameters, resource) in [
            (json!({ "TopicArn": topic }), topic.as_str()),
            (json!({ "Name": "orders" }), &topic),
            (json!({ "SubscriptionArn": format!("{topic}:1-2-3") }), "*"),
        ] {
            let operation = Operation::Sns { action: "Any".to_owned(), parameters };
            assert_eq!(operation.needs(), [Need::new("sns:Any", resource)]);
        }
    }

    #[test]
    fn a_topic_that_is_made_with_tags_needs_the_permission_to_tag() {
        let topic = ACCOUNT.arn("sns", "orders");
        let needs = |tags: Value| {
            let parameters = json!({"Name": "orders", "Tags": tags});
            Operation::Sns { action: "CreateTopic".to_owned(), parameters }.needs()
        };
        let create = Need::new("sns:CreateTopic", &topic);
        assert_eq!(needs(json!([])), [create]);
        let create = Need::new("sns:CreateTopic", &topic);
        assert_eq!(
            needs(json!([{"Key": "k", "Value": "v"}])),
            [create, Need::new("sns:TagResource", &topic)]
        );
    }
}

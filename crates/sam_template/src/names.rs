//! Each resource's local names: its physical name, and the values of `Ref` and `Fn::GetAtt`. Local ARNs have the form of
//! real ones, so that policies and clients that parse them behave as on AWS.
//!
//! Nothing here looks at a property other than the name.

/// The account, the region and the stack that a template is read for. Names and ARNs contain them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// The account's id, twelve digits.
    pub id: &'static str,
    /// The region's code, such as `us-east-1`.
    pub region: &'static str,
    /// The stack's name. It is the prefix of every physical name that the template does not set.
    pub stack_name: &'static str,
}

impl Account {
    /// The ARN of a resource in this account and region: `arn:aws:<service>:<region>:<id>:<rest>`.
    pub fn arn(&self, service: &str, rest: &str) -> String {
        format!("arn:aws:{service}:{}:{}:{rest}", self.region, self.id)
    }

    /// The value of a pseudo parameter. `AWS::NoValue` is not one here, because it has no value.
    pub(super) fn pseudo_parameter(&self, name: &str) -> Option<String> {
        Some(match name {
            "AWS::Region" => self.region.to_owned(),
            "AWS::AccountId" => self.id.to_owned(),
            "AWS::Partition" => "aws".to_owned(),
            "AWS::StackName" => self.stack_name.to_owned(),
            "AWS::StackId" => self.arn("cloudformation", &format!("stack/{}/local", self.stack_name)),
            "AWS::URLSuffix" => "amazonaws.com".to_owned(),
            _ => return None,
        })
    }

    /// The physical name of a resource when the template does not set one.
    pub(super) fn default_name(&self, logical_id: &str) -> String {
        format!("{}-{logical_id}", self.stack_name)
    }
}

/// The supported resource types, each with the property that sets the physical name. The types from the log group on,
/// except the queue, are not read any further: they have an effect on AWS only.
const TYPES: &[(&str, Option<&str>)] = &[
    (TABLE, Some("TableName")),
    (TOPIC, Some("TopicName")),
    (FUNCTION, Some("FunctionName")),
    (STATE_MACHINE, Some("Name")),
    (HTTP_API, None),
    (USER_POOL, Some("UserPoolName")),
    (USER_POOL_CLIENT, Some("ClientName")),
    (USER_POOL_GROUP, Some("GroupName")),
    (SUBSCRIPTION, None),
    (ROLE, Some("RoleName")),
    (LOG_GROUP, Some("LogGroupName")),
    (METRIC_FILTER, Some("FilterName")),
    (ALARM, Some("AlarmName")),
    (COMPOSITE_ALARM, Some("AlarmName")),
    (DASHBOARD, Some("DashboardName")),
    (TOPIC_POLICY, None),
    (QUEUE, Some("QueueName")),
    (QUEUE_POLICY, None),
    (KEY, None),
];

pub(super) const TABLE: &str = "AWS::DynamoDB::Table";
pub(super) const TOPIC: &str = "AWS::SNS::Topic";
pub(super) const FUNCTION: &str = "AWS::Serverless::Function";
pub(super) const STATE_MACHINE: &str = "AWS::Serverless::StateMachine";
pub(super) const HTTP_API: &str = "AWS::Serverless::HttpApi";
pub(super) const USER_POOL: &str = "AWS::Cognito::UserPool";
pub(super) const USER_POOL_CLIENT: &str = "AWS::Cognito::UserPoolClient";
pub(super) const USER_POOL_GROUP: &str = "AWS::Cognito::UserPoolGroup";
pub(super) const SUBSCRIPTION: &str = "AWS::SNS::Subscription";
pub(super) const ROLE: &str = "AWS::IAM::Role";
const LOG_GROUP: &str = "AWS::Logs::LogGroup";
const METRIC_FILTER: &str = "AWS::Logs::MetricFilter";
pub(super) const ALARM: &str = "AWS::CloudWatch::Alarm";
const COMPOSITE_ALARM: &str = "AWS::CloudWatch::CompositeAlarm";
pub(super) const DASHBOARD: &str = "AWS::CloudWatch::Dashboard";
const TOPIC_POLICY: &str = "AWS::SNS::TopicPolicy";
pub(super) const QUEUE: &str = "AWS::SQS::Queue";
const QUEUE_POLICY: &str = "AWS::SQS::QueuePolicy";
pub(super) const KEY: &str = "AWS::KMS::Key";

/// A resource's names.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) name: String,
    /// The value of `Ref`.
    pub(super) reference: String,
    /// The values of `Fn::GetAtt`, by attribute.
    pub(super) attributes: Vec<(&'static str, String)>,
}

impl Identity {
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(attribute, _)| *attribute == name).map(|(_, value)| value.as_str())
    }

    /// The ARN; empty for the types that have none.
    pub(super) fn arn(&self) -> String {
        self.attribute("Arn").unwrap_or_default().to_owned()
    }
}

/// The supported types, for messages.
pub(super) fn known_types() -> String {
    TYPES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// The property that sets the physical name; `None` for an unknown type.
#[allow(clippy::option_option, reason = "outside: is the type known; inside: has it such a property")]
pub(super) fn name_property(resource_type: &str) -> Option<Option<&'static str>> {
    TYPES.iter().find(|(name, _)| *name == resource_type).map(|(_, property)| *property)
}

/// The names of a resource of a known type, from its physical name.
pub(super) fn identity(account: Account, resource_type: &str, name: String) -> Identity {
    let Account { id: account_id, region, .. } = account;
    let arn = |service: &str, rest: &str| account.arn(service, rest);
    let named = |arn: String| (name.clone(), vec![("Arn", arn)]);
    let (reference, attributes) = match resource_type {
        TABLE => named(arn("dynamodb", &format!("table/{name}"))),
        FUNCTION => named(arn("lambda", &format!("function:{name}"))),
        // Roles are global: their ARNs have no region.
        ROLE => named(format!("arn:aws:iam::{account_id}:role/{name}")),
        // The attribute ends in `:*`, as on AWS: it covers the group's streams.
        LOG_GROUP => named(arn("logs", &format!("log-group:{name}:*"))),
        ALARM | COMPOSITE_ALARM => named(arn("cloudwatch", &format!("alarm:{name}"))),
        TOPIC => {
            let arn = arn("sns", &name);
            (arn.clone(), vec![("Arn", arn.clone()), ("TopicArn", arn), ("TopicName", name.clone())])
        }
        QUEUE => {
            let url = format!("https://sqs.{region}.amazonaws.com/{account_id}/{name}");
            let arn = arn("sqs", &name);
            (url.clone(), vec![("Arn", arn), ("QueueName", name.clone()), ("QueueUrl", url)])
        }
        KEY => {
            let key_arn = arn("kms", &format!("key/{name}"));
            (name.clone(), vec![("Arn", key_arn), ("KeyId", name.clone())])
        }
        STATE_MACHINE => {
            let arn = arn("states", &format!("stateMachine:{name}"));
            (arn.clone(), vec![("Arn", arn), ("Name", name.clone())])
        }
        HTTP_API => {
            // The id is part of a host name. On AWS it has lower case letters and digits only.
            let id = letters_and_digits(&name).to_ascii_lowercase();
            let endpoint = format!("https://{id}.execute-api.{region}.amazonaws.com");
            (id.clone(), vec![("ApiId", id), ("ApiEndpoint", endpoint)])
        }
        USER_POOL => {
            let id = format!("{region}_{}", letters_and_digits(&name));
            let provider = format!("cognito-idp.{region}.amazonaws.com/{id}");
            let arn = arn("cognito-idp", &format!("userpool/{id}"));
            let url = format!("https://{provider}");
            let attributes = vec![
                ("Arn", arn),
                ("ProviderName", provider),
                ("ProviderURL", url),
                ("UserPoolId", id.clone()),
            ];
            (id, attributes)
        }
        USER_POOL_CLIENT => {
            let id = letters_and_digits(&name).to_ascii_lowercase();
            (id.clone(), vec![("ClientId", id)])
        }
        _ => (name.clone(), Vec::new()),
    };
    Identity { name, reference, attributes }
}

fn letters_and_digits(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).collect()
}

//! `AWS::SNS::Subscription`: who is mailed what is published to a topic of the template.

use super::{
    node::Node,
    queues::{self, Queue},
    topics::TopicResource,
};

/// A subscription to an SNS topic, by e-mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionResource {
    /// Its key under `Resources`.
    pub logical_id: String,
    /// The topic's ARN.
    pub topic_arn: String,
    /// The address.
    pub endpoint: String,
    /// `FilterPolicy` as JSON: which messages are delivered, by their attributes.
    pub filter_policy: Option<String>,
    /// The ARN of the queue of what cannot be delivered.
    pub dead_letters: Option<String>,
}

pub(super) fn read(
    logical_id: &str,
    properties: &Node<'_>,
    topics: &[TopicResource],
    queues: &[Queue],
) -> Option<SubscriptionResource> {
    properties.expect_keys(
        &["TopicArn", "Protocol", "Endpoint", "FilterPolicy", "FilterPolicyScope", "RedrivePolicy"],
        &[],
    );
    if let Some(protocol) = properties.required("Protocol") {
        protocol.expect_one_of(&["email"]);
    }
    if let Some(scope) = properties.get("FilterPolicyScope") {
        scope.expect_one_of(&["MessageAttributes"]);
    }
    let filter_policy = properties.get("FilterPolicy").map(|policy| {
        // Reports a value that is no map. SNS judges what the policy means.
        policy.entries();
        policy.value.to_string()
    });
    let dead_letters = properties.get("RedrivePolicy").and_then(|policy| {
        policy.expect_keys(&["deadLetterTargetArn"], &[]);
        queues::find_arn(queues, &policy.required("deadLetterTargetArn")?)
    });
    let endpoint = properties.required_text("Endpoint");
    let topic = properties.required("TopicArn")?;
    let topic_arn = topic.text()?;
    if !topics.iter().any(|topic| topic.arn == topic_arn) {
        topic.report(format!("`{topic_arn}` is not the ARN of a topic of this template, as in !Ref Topic"));
    }
    let logical_id = logical_id.to_owned();
    Some(SubscriptionResource { logical_id, topic_arn, endpoint: endpoint?, filter_policy, dead_letters })
}

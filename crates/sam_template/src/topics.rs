//! `AWS::SNS::Topic`: its name and its key. Nothing here creates a topic.

use super::{names::Identity, node::Node};

/// An SNS topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicResource {
    /// Its key under `Resources`.
    pub logical_id: String,
    /// Its physical name, which ends its ARN.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// The id or ARN of the KMS key that encrypts it.
    pub key_id: Option<String>,
}

pub(super) fn read(logical_id: &str, identity: &Identity, properties: &Node<'_>) -> TopicResource {
    properties.expect_keys(&["TopicName", "KmsMasterKeyId"], &["DisplayName", "Tags"]);
    TopicResource {
        logical_id: logical_id.to_owned(),
        name: identity.name.clone(),
        arn: identity.arn(),
        key_id: properties.get("KmsMasterKeyId").and_then(|key| key.text()),
    }
}

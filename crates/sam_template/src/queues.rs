//! `AWS::SQS::Queue`: where AWS puts what it could not deliver. The local stack has no queues; what would go into one
//! is logged.

use super::{names::Identity, node::Node};

/// A queue as those find it who send to it.
#[derive(Debug)]
pub(super) struct Queue {
    arn: String,
}

/// All of it changes nothing that the program can see.
const AWS_ONLY: &[&str] =
    &["QueueName", "MessageRetentionPeriod", "SqsManagedSseEnabled", "VisibilityTimeout", "Tags"];

pub(super) fn read(identity: &Identity, properties: &Node<'_>) -> Queue {
    properties.expect_keys(&[], AWS_ONLY);
    Queue { arn: identity.arn() }
}

/// The ARN that `node` has; that it is not a queue's is a fault.
pub(super) fn find_arn(queues: &[Queue], node: &Node<'_>) -> Option<String> {
    let arn = node.text()?;
    if !queues.iter().any(|queue| queue.arn == arn) {
        node.report(format!(
            "`{arn}` is not the ARN of a queue of this template, as in !GetAtt DeadLetters.Arn"
        ));
    }
    Some(arn)
}

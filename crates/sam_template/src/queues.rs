//! `AWS::SQS::Queue`: the dead-letter queue for events that AWS could not deliver. The local stack has no queues, and
//! logs such an event instead.

use super::{names::Identity, node::Node};

/// A queue, for the functions and schedules that send to it.
#[derive(Debug)]
pub(super) struct Queue {
    arn: String,
}

/// Properties without an effect that a program can observe: all of them.
const AWS_ONLY: &[&str] =
    &["QueueName", "MessageRetentionPeriod", "SqsManagedSseEnabled", "VisibilityTimeout", "Tags"];

pub(super) fn read(identity: &Identity, properties: &Node<'_>) -> Queue {
    properties.expect_keys(&[], AWS_ONLY);
    Queue { arn: identity.arn() }
}

/// The ARN in `node`. Reports a fault when it is not the ARN of a queue.
pub(super) fn find_arn(queues: &[Queue], node: &Node<'_>) -> Option<String> {
    let arn = node.text()?;
    if !queues.iter().any(|queue| queue.arn == arn) {
        node.report(format!(
            "`{arn}` is not the ARN of a queue of this template, as in !GetAtt DeadLetters.Arn"
        ));
    }
    Some(arn)
}

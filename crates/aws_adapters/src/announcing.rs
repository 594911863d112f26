//! Counts what an execution could not announce, by the reason. The execution itself does not fail, and the sweeper repeats
//! the announcement. But a missing permission does not mend itself, so an alarm watches these metrics, and its section in
//! `docs/runbook.md` says what each of them means.
//!
//! Nothing here repeats an announcement, and nothing here can fail an order.

use std::collections::BTreeMap;

use domain::OrderId;
use serde::Deserialize;

/// The states that publish. Every other state that can fail marks the order's row.
const MAILS: &str = "MailCustomer";
const TELLS: &str = "TellShop";

/// The part of an execution's output that tells of failures.
#[derive(Deserialize)]
struct Told {
    /// The name of the error by the name of the state.
    failures: BTreeMap<String, String>,
}

/// Why a state failed, as far as an operator does something else about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// The workflow's role lacks a permission, or a policy denies it.
    Denied,
    /// The KMS key of the topic is missing, switched off, or not for the workflow's role.
    NoKey,
    /// The topic does not exist.
    NoTopic,
    /// The service has too many requests.
    Throttled,
    /// The service did not answer, or failed by itself.
    Passing,
    /// Any other refusal. It does not pass by itself.
    Refused,
}

/// Counts the failures of which the output of an execution tells. Logs each with its state and the error's name.
pub(crate) fn count_failures(order_id: OrderId, output: &str) {
    let Ok(failures) = failures(output) else {
        // The output holds the customer's order, so the line does not repeat it.
        tracing::error!(metric = "PublishesRefused", value = 1_u64, %order_id, "{UNREADABLE}");
        return;
    };
    for (state, error) in failures {
        count(order_id, &state, &error);
    }
}

/// The failures, by the state's name.
fn failures(output: &str) -> Result<BTreeMap<String, String>, serde_json::Error> {
    // Few outputs tell of any, so few are read a second time.
    if !output.contains("\"failures\":") {
        return Ok(BTreeMap::new());
    }
    serde_json::from_str(output).map(|Told { failures }| failures)
}

fn count(order_id: OrderId, state: &str, error: &str) {
    match (state, reason(error)) {
        (MAILS | TELLS, Reason::Denied) => {
            tracing::error!(metric = "PublishesDenied", value = 1_u64, %order_id, state, error, "{REFUSED}");
        }
        (MAILS | TELLS, Reason::NoKey) => {
            tracing::error!(metric = "PublishesWithoutKey", value = 1_u64, %order_id, state, error, "{REFUSED}");
        }
        // The customer has left or has changed their address meanwhile. Many at once are another matter.
        (MAILS, Reason::NoTopic) => {
            tracing::warn!(metric = "CustomerTopicsGone", value = 1_u64, %order_id, state, error, "{REFUSED}");
        }
        (TELLS, Reason::NoTopic) => {
            tracing::error!(metric = "PublishesWithoutTopic", value = 1_u64, %order_id, state, error, "{REFUSED}");
        }
        (MAILS | TELLS, Reason::Throttled) => {
            tracing::warn!(metric = "PublishesThrottled", value = 1_u64, %order_id, state, error, "{FAILED}");
        }
        (MAILS | TELLS, Reason::Passing) => {
            tracing::warn!(metric = "PublishesFailed", value = 1_u64, %order_id, state, error, "{FAILED}");
        }
        (MAILS | TELLS, Reason::Refused) => {
            tracing::error!(metric = "PublishesRefused", value = 1_u64, %order_id, state, error, "{REFUSED}");
        }
        (_, Reason::Throttled | Reason::Passing) => tracing::warn!(%order_id, state, error, "{FAILED}"),
        // What cannot be marked as announced is announced again, with each attempt of the sweeper.
        (_, Reason::Denied | Reason::NoKey | Reason::NoTopic | Reason::Refused) => {
            tracing::error!(metric = "MarksRefused", value = 1_u64, %order_id, state, error, "{REFUSED}");
        }
    }
}

/// The messages of the log lines. The runbook looks for the first.
const REFUSED: &str = "a part of an announcement was refused";
const UNREADABLE: &str = "what an execution could not announce cannot be read";
const FAILED: &str = "a part of an announcement failed";

/// The reason behind an error's name. Step Functions makes the name of the service and of the exception in AWS's SDK for
/// Java, whose two versions spell some of them differently: `SNS.KMSDisabledException` and `SNS.KmsDisabledException`.
/// <https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html>
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html#API_Publish_Errors>
fn reason(error: &str) -> Reason {
    let name = error.rsplit('.').next().unwrap_or(error).to_ascii_lowercase();
    let is = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    if is(&["throttl", "throughputexceeded", "limitexceeded", "toomanyrequests"]) {
        Reason::Throttled
    } else if name.starts_with("kms") {
        Reason::NoKey
    } else if is(&["authorizationerror", "accessdenied", "invalidsecurity", "permissions"]) {
        Reason::Denied
    } else if name == "notfoundexception" {
        Reason::NoTopic
    } else if is(&["internal", "timeout", "unavailable", "sdkclient", "conflict"]) {
        Reason::Passing
    } else {
        Reason::Refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_that_cannot_be_read_are_not_taken_for_none() {
        assert!(failures(r#"{"outcome":"placed"}"#).expect("no failures").is_empty());
        assert_eq!(failures(r#"{"failures":{"TellShop":"SNS.SnsException"}}"#).expect("failures").len(), 1);
        assert!(failures(r#"{"failures":["TellShop"]}"#).is_err());
    }

    #[test]
    fn each_error_of_the_two_services_has_the_reason_for_which_an_operator_looks() {
        for (reason_is, names) in [
            (
                Reason::Denied,
                &["SNS.AuthorizationErrorException", "SNS.InvalidSecurityException", "States.Permissions"][..],
            ),
            (
                Reason::NoKey,
                &[
                    "SNS.KMSAccessDeniedException",
                    "SNS.KmsAccessDeniedException",
                    "SNS.KmsDisabledException",
                    "SNS.KmsInvalidStateException",
                    "SNS.KmsNotFoundException",
                    "SNS.KMSOptInRequired",
                ],
            ),
            (Reason::NoTopic, &["SNS.NotFoundException"]),
            (
                Reason::Throttled,
                &[
                    "SNS.ThrottledException",
                    "SNS.KmsThrottlingException",
                    "DynamoDB.ProvisionedThroughputExceededException",
                    "DynamoDB.RequestLimitExceededException",
                    "DynamoDB.ThrottlingException",
                ],
            ),
            (
                Reason::Passing,
                &[
                    "SNS.InternalErrorException",
                    "SNS.SdkClientException",
                    "States.Timeout",
                    "DynamoDB.InternalServerErrorException",
                    "DynamoDB.TransactionConflictException",
                ],
            ),
            (
                Reason::Refused,
                &[
                    "SNS.InvalidParameterException",
                    "SNS.EndpointDisabledException",
                    "SNS.SnsException",
                    "DynamoDB.DynamoDbException",
                    "DynamoDB.ResourceNotFoundException",
                    "States.QueryEvaluationError",
                    "",
                ],
            ),
        ] {
            for name in names {
                assert_eq!(reason(name), reason_is, "{name}");
            }
        }
    }
}

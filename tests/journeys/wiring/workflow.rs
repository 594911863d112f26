//! The state machine: every task has a timeout, retries what may pass and catches the rest; every error name exists; every
//! ARN comes from the template.

use std::collections::BTreeSet;

use asl::{Jitter, State, StateType};
use domain::Error;
use serde_json::Value;

use super::{
    Complaints, DEFINITION, HOUSE, House, TEMPLATE, assert_blamed, assert_sound, complaints, is_test,
    without_tests,
};

/// The errors that a Lambda task must retry: each may pass by itself.
/// <https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-lambda-serviceexception>
const OF_LAMBDA: [&str; 8] = [
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "Sandbox.Timedout",
    "Runtime.ExitError",
    "States.Timeout",
];

/// The errors that a task of an optimised integration must retry.
const OF_INTEGRATIONS: [&str; 2] = ["States.TaskFailed", "States.Timeout"];

/// A failed condition is an answer: a retry would get the same.
const CONDITION_FAILED: &str = "DynamoDB.ConditionalCheckFailedException";

/// A customer's topic that is gone stays gone: the address has changed, or its customer has left.
const TOPIC_GONE: &str = "SNS.NotFoundException";

/// Step Functions' own error names, from "Handling errors in Step Functions workflows".
const OF_STATES: [&str; 17] = [
    "States.ALL",
    "States.BranchFailed",
    "States.DataLimitExceeded",
    "States.ExceedToleratedFailureThreshold",
    "States.HeartbeatTimeout",
    "States.Http.Socket",
    "States.IntrinsicFailure",
    "States.ItemReaderFailed",
    "States.NoChoiceMatched",
    "States.ParameterPathFailure",
    "States.Permissions",
    "States.QueryEvaluationError",
    "States.ResultPathMatchFailure",
    "States.ResultWriterFailed",
    "States.Runtime",
    "States.TaskFailed",
    "States.Timeout",
];

/// The exceptions of the two operations that the workflow calls itself, `UpdateItem` and `Publish`, as the SDK has them,
/// with the prefixes that Step Functions gives them.
const OF_SERVICES: [&str; 21] = [
    "DynamoDB.ConditionalCheckFailedException",
    "DynamoDB.InvalidEndpointException",
    "DynamoDB.ItemCollectionSizeLimitExceededException",
    "DynamoDB.ProvisionedThroughputExceededException",
    "DynamoDB.ReplicatedWriteConflictException",
    "DynamoDB.ResourceNotFoundException",
    "DynamoDB.ThrottlingException",
    "DynamoDB.TransactionConflictException",
    "SNS.AuthorizationErrorException",
    "SNS.EndpointDisabledException",
    "SNS.InternalErrorException",
    "SNS.InvalidParameterException",
    "SNS.InvalidParameterValueException",
    "SNS.InvalidSecurityException",
    "SNS.KmsAccessDeniedException",
    "SNS.KmsDisabledException",
    "SNS.KmsInvalidStateException",
    "SNS.KmsNotFoundException",
    "SNS.KmsThrottlingException",
    "SNS.NotFoundException",
    "SNS.ValidationException",
];

/// Whether an error of that name exists.
fn exists(name: &str) -> bool {
    OF_LAMBDA.contains(&name)
        || OF_STATES.contains(&name)
        || OF_SERVICES.contains(&name)
        || Error::CODES.contains(&name)
}

/// Every state of the definition's text, by name, those of branches too.
fn states(house: &House) -> Result<serde_json::Map<String, Value>, String> {
    let definition: Value =
        serde_json::from_str(house.text(DEFINITION)).map_err(|error| format!("{DEFINITION}: {error}"))?;
    let outer = definition["States"].as_object().ok_or_else(|| format!("{DEFINITION} has no States"))?;
    let branches = outer.values().filter_map(|state| state["Branches"].as_array()).flatten();
    let nested = branches.filter_map(|branch| branch["States"].as_object()).flatten();
    Ok(outer.iter().chain(nested).map(|(name, state)| (name.clone(), state.clone())).collect())
}

/// Every error that is retried, caught or raised has a name that exists.
fn error_names(house: &House) -> Result<Complaints, String> {
    let mut found = Vec::new();
    for (name, state) in states(house)? {
        let handlers = ["Retry", "Catch"].into_iter().filter_map(|field| state[field].as_array()).flatten();
        let handled = handlers.filter_map(|handler| handler["ErrorEquals"].as_array()).flatten();
        let errors = handled.chain(state.get("Error")).map(|error| error.as_str().unwrap_or("no text"));
        found.extend(
            errors
                .filter(|error| !exists(error))
                .map(|error| format!("state {name}: no error is called {error}")),
        );
    }
    Ok(found)
}

/// Every task has a timeout, retries the errors that may pass, and catches the rest.
fn tasks(house: &House) -> Result<Complaints, String> {
    let (_, definition) = house.workflow()?;
    let mut found = Vec::new();
    let tasks = definition.states().iter().filter(|state| state.state_type() == StateType::Task);
    for task in tasks {
        let name = task.name();
        let mut complain = |what: String| found.push(format!("state {name}: {what}"));
        if task.timeout().is_none() {
            complain("has no TimeoutSeconds".to_owned());
        }
        if task.catchers().last().is_none_or(|catcher| catcher.errors != ["States.ALL"]) {
            complain("its last Catch is not on States.ALL".to_owned());
        }
        let resource = task.resource().unwrap_or_default();
        let wanted: &[&str] = if resource.ends_with("lambda:invoke") { &OF_LAMBDA } else { &OF_INTEGRATIONS };
        let retried = retried(task);
        for error in wanted.iter().filter(|error| !retried.contains(**error)) {
            complain(format!("does not Retry {error}"));
        }
        // These would retry errors that no retry can mend, such as our own `internal`.
        for error in ["States.ALL", "States.TaskFailed"] {
            if retried.contains(error) && !wanted.contains(&error) {
                complain(format!("must not Retry {error}"));
            }
        }
        for (service, error) in [(":dynamodb:", CONDITION_FAILED), (":sns:", TOPIC_GONE)] {
            if resource.contains(service) && tries_after(task, error) > 0 {
                complain(format!("must not Retry {error}"));
            }
        }
        for retrier in task.retriers().iter().filter(|retrier| retrier.max_attempts > 0) {
            let at = retrier.errors.join(", ");
            if retrier.backoff_rate.total_cmp(&2.0).is_ne() {
                complain(format!("the Retry of {at} has a BackoffRate of {}, not 2", retrier.backoff_rate));
            }
            if retrier.jitter != Jitter::Full {
                complain(format!("the Retry of {at} has no FULL jitter"));
            }
            if retrier.max_delay.is_none() {
                complain(format!("the Retry of {at} has no MaxDelaySeconds"));
            }
        }
    }
    Ok(found)
}

/// The names of the errors that a task retries.
fn retried(task: &State) -> BTreeSet<&str> {
    let retriers = task.retriers().iter().filter(|retrier| retrier.max_attempts > 0);
    retriers.flat_map(|retrier| &retrier.errors).map(String::as_str).collect()
}

/// How many times a task retries after `error`: the first retrier that matches decides.
fn tries_after(task: &State, error: &str) -> u32 {
    let matches = |name: &String| [error, "States.TaskFailed", "States.ALL"].contains(&name.as_str());
    let first = task.retriers().iter().find(|retrier| retrier.errors.iter().any(matches));
    first.map_or(0, |retrier| retrier.max_attempts)
}

/// No ARN and no account is written down, and no host outside AWS's common partition would have another name. The template
/// refers to resources, so that it can run in any partition. The local stack stands for an account of the common one.
fn no_literal_arns(house: &House) -> Complaints {
    let mut found = Vec::new();
    for (path, allowed) in [(DEFINITION, "arn:${Partition}:states:::"), (TEMPLATE, "arn:${AWS::Partition}:")]
    {
        for (at, line) in house.text(path).lines().enumerate() {
            let literal = line.match_indices("arn:").any(|(start, _)| !line[start..].starts_with(allowed));
            let digits = line.split(|c: char| !c.is_ascii_digit()).any(|run| run.len() == 12);
            if literal || digits {
                found.push(format!(
                    "{path}, line {}: a literal ARN or account, refer to the resource instead: {}",
                    at + 1,
                    line.trim()
                ));
            }
            // A service's name as a principal is the same in every partition.
            // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
            if line.contains(".amazonaws.com")
                && !line.contains("Service: ")
                && !line.contains("https://docs.")
            {
                found.push(format!("{path}, line {}: a host of one partition, use AWS::URLSuffix", at + 1));
            }
        }
    }
    for name in house.functions().into_iter().chain(["aws_adapters", "lambda_shell", "domain"]) {
        for (path, text) in house.sources(&format!("crates/{name}/src/")).filter(|(path, _)| !is_test(path)) {
            for literal in ["arn:aws", "amazonaws.com"] {
                let mut code =
                    without_tests(text).lines().map(|line| line.split("//").next().unwrap_or_default());
                if code.any(|line| line.contains(literal)) {
                    found.push(format!("{path} names {literal}, which other partitions of AWS do not have"));
                }
            }
        }
    }
    found
}

/// The definition can be run with the template's substitutions, and uses each of them.
fn substitutions(house: &House) -> Complaints {
    house.workflow().err().into_iter().collect()
}

#[test]
fn every_error_that_the_workflow_names_exists() {
    assert_sound(&complaints(error_names(&HOUSE)));
}

#[test]
fn an_error_that_does_not_exist_is_named_with_its_state() {
    for (state, from, to) in [
        ("CheckInventory", "Lambda.SdkClientException", "Lambda.SDKClientException"),
        ("CheckInventory", "try_again", "TryAgain"),
        ("CreateOrder", "StockContention", "domain::Error"),
        ("MailCustomer", "States.TaskFailed", "SNS.TooManyMails"),
        ("TellShop", "SNS.NotFoundException", "SNS.TopicGoneException"),
        ("MarkNotified", CONDITION_FAILED, "Dynamodb.ConditionalCheckFailedException"),
        ("OutcomeUnknown", "try_again", "OutcomeUnknown"),
        ("UnknownCommand", "validation_failed", "unknown_command"),
    ] {
        let house = HOUSE.broken_after(DEFINITION, &format!("\"{state}\": {{"), from, to);
        assert_blamed(&complaints(error_names(&house)), &[state, to]);
    }
}

#[test]
fn every_task_has_a_timeout_retries_and_a_catch() {
    assert_sound(&complaints(tasks(&HOUSE)));
}

#[test]
fn a_task_without_a_timeout_a_retry_or_a_catch_is_named() {
    let no_end = ("\"TimeoutSeconds\": 5,", "");
    let no_catch = ("\"ErrorEquals\": [\"States.ALL\"]", "\"ErrorEquals\": [\"States.Timeout\"]");
    for (state, (from, to), culprit) in [
        ("CheckInventory", no_end, "no TimeoutSeconds"),
        ("MailCustomer", ("\"TimeoutSeconds\": 3,", ""), "no TimeoutSeconds"),
        ("TellShop", no_catch, "not on States.ALL"),
        ("MailCustomer", ("\"MaxAttempts\": 0", "\"MaxAttempts\": 1"), TOPIC_GONE),
        ("UpdateStatus", no_catch, "not on States.ALL"),
        ("MarkPart", no_catch, "not on States.ALL"),
        ("ParkMail", no_end, "no TimeoutSeconds"),
        ("CreateOrder", ("\"Lambda.Unknown\",", ""), "does not Retry Lambda.Unknown"),
        ("UpdateStatus", ("\"Sandbox.Timedout\",", ""), "does not Retry Sandbox.Timedout"),
        ("TellShop", ("\"States.TaskFailed\",", ""), "does not Retry States.TaskFailed"),
        ("CheckInventory", ("\"try_again\"", "\"States.TaskFailed\""), "must not Retry States.TaskFailed"),
        ("CheckInventory", ("\"MaxAttempts\": 2", "\"MaxAttempts\": 0"), "does not Retry Runtime.ExitError"),
        ("MarkNotified", ("\"MaxAttempts\": 0", "\"MaxAttempts\": 1"), CONDITION_FAILED),
        ("MarkPart", (CONDITION_FAILED, "DynamoDB.ResourceNotFoundException"), CONDITION_FAILED),
        ("CreateOrder", ("\"BackoffRate\": 2", "\"BackoffRate\": 3"), "BackoffRate of 3"),
        ("CreateOrder", ("\"FULL\"", "\"NONE\""), "no FULL jitter"),
        ("CreateOrder", ("\"MaxDelaySeconds\": 2,", ""), "no MaxDelaySeconds"),
    ] {
        let house = HOUSE.broken_after(DEFINITION, &format!("\"{state}\": {{"), from, to);
        assert_blamed(&complaints(tasks(&house)), &[state, culprit]);
    }
}

#[test]
fn every_arn_comes_from_the_template() {
    assert_sound(&no_literal_arns(&HOUSE));
    assert_sound(&substitutions(&HOUSE));
}

#[test]
fn a_literal_arn_and_a_substitution_that_does_not_fit_are_named() {
    let function = "arn:aws:lambda:us-east-1:123456789012:function:check";
    let in_definition = HOUSE.broken(DEFINITION, "${CheckInventoryFunctionArn}", function);
    assert_blamed(&no_literal_arns(&in_definition), &[DEFINITION, function]);
    assert_blamed(&substitutions(&in_definition), &["CheckInventoryFunctionArn", "never used"]);
    let in_template = HOUSE.broken(TEMPLATE, "- !Ref OrderTopic", "- arn:aws:sns:us-east-1:1:orders");
    assert_blamed(&no_literal_arns(&in_template), &[TEMPLATE, "arn:aws:sns"]);
    let one_partition = HOUSE.broken(DEFINITION, "arn:${Partition}:states", "arn:aws:states");
    assert_blamed(&no_literal_arns(&one_partition), &[DEFINITION, "arn:aws:states"]);
    let host = HOUSE.broken(TEMPLATE, "${AWS::Region}.${AWS::URLSuffix}", "${AWS::Region}.amazonaws.com");
    assert_blamed(&no_literal_arns(&host), &[TEMPLATE, "a host of one partition"]);
    let source = "crates/aws_adapters/src/topics.rs";
    let in_code = HOUSE.broken(source, "\nuse ", "\nconst A: &str = \"arn:aws:sns:\";\nuse ");
    assert_blamed(&no_literal_arns(&in_code), &[source, "arn:aws"]);
    let no_value = HOUSE.broken(TEMPLATE, "        OrdersTableName: !Ref OrdersTable\n", "");
    assert_blamed(&substitutions(&no_value), &["OrdersTableName"]);
}

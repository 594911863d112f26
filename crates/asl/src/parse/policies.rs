//! Parses `Retry` and `Catch`. Nothing here retries or catches: `run` does.

use std::time::Duration;

use serde_json::Value;

use super::{Object, Reader};
use crate::{
    definition::{Catcher, Jitter, Retrier},
    expression::StatesFields,
};

/// The errors that Step Functions raises itself
/// (<https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html>). The prefix `States.` is
/// reserved for them.
const STATES_ERRORS: [&str; 17] = [
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

const DEFAULT_INTERVAL: Duration = Duration::from_secs(1);
const DEFAULT_MAX_ATTEMPTS: u32 = 3;
const DEFAULT_BACKOFF_RATE: f64 = 2.0;

/// The largest `MaxAttempts` on AWS.
const MAX_ATTEMPTS: u64 = 99_999_999;
/// The largest `MaxDelaySeconds` on AWS: 366 days.
const MAX_DELAY_SECONDS: u64 = 31_622_400;

impl Reader<'_> {
    pub(super) fn retriers(&mut self, fields: &Object) -> Vec<Retrier> {
        self.each(fields, "Retry", Self::retrier)
    }

    pub(super) fn catchers(&mut self, fields: &Object) -> Vec<Catcher> {
        self.each(fields, "Catch", Self::catcher)
    }

    /// Parses each object in a list of retriers or catchers.
    fn each<T>(
        &mut self,
        fields: &Object,
        list: &str,
        read: fn(&mut Self, &Object, &str, Vec<String>) -> Option<T>,
    ) -> Vec<T> {
        let items = match fields.get(list) {
            None => return Vec::new(),
            Some(Value::Array(items)) => items,
            Some(_) => {
                self.fault(format!("{list} must be an array"));
                return Vec::new();
            }
        };
        let mut found = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let at = format!("{list}[{index}]/");
            let Value::Object(fields) = item else {
                self.fault(format!("{list}[{index}] must be an object"));
                continue;
            };
            let errors = self.errors(fields, &at, index + 1 == items.len());
            found.extend(read(self, fields, &at, errors));
        }
        found
    }

    fn errors(&mut self, fields: &Object, at: &str, last: bool) -> Vec<String> {
        let strings = fields.get("ErrorEquals").and_then(Value::as_array).and_then(|errors| {
            let strings: Option<Vec<String>> = errors.iter().map(|e| e.as_str().map(str::to_owned)).collect();
            strings.filter(|strings| !strings.is_empty() && strings.iter().all(|error| !error.is_empty()))
        });
        let Some(errors) = strings else {
            self.fault(format!("{at}ErrorEquals must be an array of at least one error name"));
            return Vec::new();
        };
        for error in errors.iter().filter(|error| error.starts_with("States.")) {
            if !STATES_ERRORS.contains(&error.as_str()) {
                self.fault(format!(
                    "{at}ErrorEquals names {error:?}, which is not an error of Step Functions"
                ));
            }
        }
        if errors.iter().any(|error| error == "States.ALL") && (errors.len() > 1 || !last) {
            self.fault(format!("{at}ErrorEquals: States.ALL must stand alone, and in the last of the list"));
        }
        errors
    }

    fn retrier(&mut self, fields: &Object, at: &str, errors: Vec<String>) -> Option<Retrier> {
        self.reject_unknown_fields(
            fields,
            at,
            &[
                "Comment",
                "ErrorEquals",
                "IntervalSeconds",
                "MaxAttempts",
                "BackoffRate",
                "MaxDelaySeconds",
                "JitterStrategy",
            ],
        );
        let interval = self.seconds(fields, at, "IntervalSeconds", 1).unwrap_or(DEFAULT_INTERVAL);
        let max_delay = self.seconds(fields, at, "MaxDelaySeconds", 1);
        if max_delay.is_some_and(|delay| delay.as_secs() > MAX_DELAY_SECONDS) {
            self.fault(format!("{at}MaxDelaySeconds must be at most {MAX_DELAY_SECONDS}"));
        }
        let max_attempts = match fields.get("MaxAttempts") {
            None => Some(DEFAULT_MAX_ATTEMPTS),
            Some(attempts) => attempts
                .as_u64()
                .filter(|attempts| *attempts <= MAX_ATTEMPTS)
                .and_then(|attempts| u32::try_from(attempts).ok()),
        };
        if max_attempts.is_none() {
            self.fault(format!("{at}MaxAttempts must be a whole number of 0 to {MAX_ATTEMPTS}"));
        }
        let backoff_rate = match fields.get("BackoffRate") {
            None => Some(DEFAULT_BACKOFF_RATE),
            Some(rate) => rate.as_f64().filter(|rate| *rate >= 1.0),
        };
        if backoff_rate.is_none() {
            self.fault(format!("{at}BackoffRate must be a number of at least 1.0"));
        }
        let jitter = match fields.get("JitterStrategy").map(Value::as_str) {
            None | Some(Some("NONE")) => Some(Jitter::None),
            Some(Some("FULL")) => Some(Jitter::Full),
            Some(_) => {
                self.fault(format!("{at}JitterStrategy must be \"FULL\" or \"NONE\""));
                None
            }
        };
        Some(Retrier {
            errors,
            interval,
            max_attempts: max_attempts?,
            backoff_rate: backoff_rate?,
            max_delay,
            jitter: jitter?,
        })
    }

    fn catcher(&mut self, fields: &Object, at: &str, errors: Vec<String>) -> Option<Catcher> {
        self.reject_unknown_fields(fields, at, &["Comment", "ErrorEquals", "Next", "Assign", "Output"]);
        let next = self.target(fields, at, "Next");
        let effect = self.effect(fields, at, StatesFields::ErrorOutput);
        Some(Catcher { errors, next: next?, effect })
    }
}

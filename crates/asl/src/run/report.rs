//! The record of a finished execution, and its JSON form in `GET /local/executions`. Nothing here runs a state.

use serde::{Serialize, Serializer};
use serde_json::{
    Value,
    value::{RawValue, to_raw_value},
};
use time::OffsetDateTime;
use uuid::Uuid;

use super::TaskFailure;
use crate::{
    definition::{State, StateType},
    timestamp::rfc3339,
};

pub(super) const TIMEOUT: &str = "States.Timeout";

/// A finished execution.
#[derive(Clone, Debug)]
pub struct Execution {
    /// Its ARN. It is derived from the machine's ARN, the name and the start, so that a replay has the same ARN.
    pub arn: String,
    /// The name that the caller gave. It helps to trace an execution, and need not be unique.
    pub name: String,
    /// How it ended, with the output or the error.
    pub status: ExecutionStatus,
    /// When it started.
    pub started: OffsetDateTime,
    /// When it ended.
    pub stopped: OffsetDateTime,
    /// The first state's input.
    pub input: Value,
    /// Each state that it entered, in the order of entry, over all branches.
    pub states: Vec<StateRun>,
}

/// How an execution ended.
#[derive(Clone, Debug, PartialEq)]
pub enum ExecutionStatus {
    /// `SUCCEEDED`.
    Succeeded {
        /// The last state's output.
        output: Value,
    },
    /// `FAILED`.
    Failed {
        /// The error's name; empty when a `Fail` state gives none.
        error: String,
        /// The explanation; empty when a `Fail` state gives none.
        cause: String,
    },
    /// `TIMED_OUT`: the execution exceeded its time limit. The error is `States.Timeout`.
    TimedOut,
}

impl ExecutionStatus {
    /// The status as AWS spells it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Succeeded { .. } => "SUCCEEDED",
            Self::Failed { .. } => "FAILED",
            Self::TimedOut => "TIMED_OUT",
        }
    }

    /// The last state's output, if the execution succeeded.
    pub fn output(&self) -> Option<&Value> {
        match self {
            Self::Succeeded { output } => Some(output),
            Self::Failed { .. } | Self::TimedOut => None,
        }
    }

    /// The error's name, if there is one.
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Succeeded { .. } => None,
            Self::Failed { error, .. } => Some(error.as_str()).filter(|error| !error.is_empty()),
            Self::TimedOut => Some(TIMEOUT),
        }
    }

    /// The error's explanation, if there is one.
    pub fn cause(&self) -> Option<&str> {
        match self {
            Self::Failed { cause, .. } => Some(cause.as_str()).filter(|cause| !cause.is_empty()),
            Self::Succeeded { .. } | Self::TimedOut => None,
        }
    }
}

/// One state that an execution entered.
#[derive(Clone, Debug, Serialize)]
pub struct StateRun {
    /// The state's key in the definition.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub state_type: StateType,
    /// When it was entered.
    #[serde(serialize_with = "timestamp")]
    pub entered: OffsetDateTime,
    /// When it was left; absent for the state in which an execution timed out.
    #[serde(serialize_with = "optional_timestamp", skip_serializing_if = "Option::is_none")]
    pub left: Option<OffsetDateTime>,
    /// The data that it received. It is kept as text, which takes a tenth of the memory of a [`Value`].
    pub input: Box<RawValue>,
    /// The data that it passed on; absent if it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Box<RawValue>>,
    /// The number of attempts of a Task or a Parallel; 0 for the other types.
    pub attempts: u32,
    /// The name of the error that failed the state or that a catcher handled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// That error's explanation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

impl StateRun {
    pub(super) fn entered(state: &State, input: &Value, now: OffsetDateTime) -> Self {
        Self {
            name: state.name().to_owned(),
            state_type: state.state_type(),
            entered: now,
            left: None,
            input: text(input),
            output: None,
            attempts: 0,
            error: None,
            cause: None,
        }
    }

    pub(super) fn left(&mut self, output: &Value, now: OffsetDateTime) {
        self.output = Some(text(output));
        self.left = Some(now);
    }

    pub(super) fn caught(&mut self, failure: &TaskFailure) {
        self.error = Some(failure.error.clone());
        self.cause = Some(failure.cause.clone());
    }

    /// Notes that the branch was stopped, by the failure of another branch or by the execution's timeout.
    pub(super) fn stopped(&mut self, now: OffsetDateTime) {
        self.cause = Some("its Parallel state was stopped".to_owned());
        self.left = Some(now);
    }

    pub(super) fn failed(&mut self, failure: &TaskFailure, now: OffsetDateTime) {
        self.caught(failure);
        self.left = Some(now);
    }
}

/// A value's text. Every [`Value`] has one.
fn text(value: &Value) -> Box<RawValue> {
    to_raw_value(value).unwrap_or_else(|_impossible| RawValue::NULL.to_owned())
}

impl Serialize for Execution {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Report<'a> {
            arn: &'a str,
            name: &'a str,
            status: &'static str,
            started: String,
            stopped: String,
            input: &'a Value,
            #[serde(skip_serializing_if = "Option::is_none")]
            output: Option<&'a Value>,
            #[serde(skip_serializing_if = "Option::is_none")]
            error: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            cause: Option<&'a str>,
            states: &'a [StateRun],
        }
        let report = Report {
            arn: &self.arn,
            name: &self.name,
            status: self.status.name(),
            started: rfc3339(self.started),
            stopped: rfc3339(self.stopped),
            input: &self.input,
            output: self.status.output(),
            error: self.status.error(),
            cause: self.status.cause(),
            states: &self.states,
        };
        report.serialize(serializer)
    }
}

/// An Express execution's ARN: the machine's ARN with `express` in it, the execution's name, and an id.
pub(super) fn execution_arn(machine: &str, name: &str, started: OffsetDateTime) -> String {
    let id =
        Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("{machine}\0{name}\0{}", rfc3339(started)).as_bytes());
    format!("{}:{name}:{id}", machine.replacen(":stateMachine:", ":express:", 1))
}

fn timestamp<S: Serializer>(at: &OffsetDateTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&rfc3339(*at))
}

#[allow(clippy::ref_option, reason = "serde hands the field over as it is")]
fn optional_timestamp<S: Serializer>(at: &Option<OffsetDateTime>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(rfc3339).serialize(serializer)
}

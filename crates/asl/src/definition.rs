//! A definition as the interpreter and the wiring tests see it. Reading and checking the text is `parse`'s.

use std::{fmt, time::Duration};

use serde::Serialize;
use serde_json::Value;

use super::expression::{Expression, JsonTemplate};

/// A parsed, checked definition: every target exists, every expression parses, every field is supported.
#[derive(Debug)]
pub struct Definition {
    pub(super) start_at: usize,
    pub(super) states: Vec<State>,
    pub(super) timeout: Option<Duration>,
    pub(super) arn: String,
}

impl Definition {
    /// The same definition as the state machine with this ARN
    /// (`arn:aws:states:<region>:<account>:stateMachine:<name>`), which executions see in `$states.context`.
    #[must_use]
    pub fn with_arn(mut self, arn: &str) -> Self {
        arn.clone_into(&mut self.arn);
        self
    }

    /// The state machine's ARN.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// How long an execution may take: the machine's own `TimeoutSeconds`.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// The name of the state that an execution begins with.
    pub fn start_at(&self) -> &str {
        self.states.get(self.start_at).map_or("", State::name)
    }

    /// Every state, in the order of the text. Those inside the branches of a Parallel follow it.
    pub fn states(&self) -> &[State] {
        &self.states
    }

    /// The state of that name.
    pub fn state(&self, name: &str) -> Option<&State> {
        self.states.iter().find(|state| state.name == name)
    }
}

/// What is wrong with a definition, all of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct DefinitionError(pub(super) Vec<String>);

impl DefinitionError {
    /// The faults, one sentence each.
    pub fn faults(&self) -> &[String] {
        &self.0
    }
}

/// One state.
#[derive(Debug)]
pub struct State {
    pub(super) name: String,
    pub(super) kind: StateKind,
    /// Every state that may follow this one, with the field that says so.
    pub(super) targets: Vec<(String, String)>,
}

impl State {
    /// Its name in `States`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its `Type`.
    pub fn state_type(&self) -> StateType {
        match self.kind {
            StateKind::Task(_) => StateType::Task,
            StateKind::Choice(_) => StateType::Choice,
            StateKind::Pass(_) => StateType::Pass,
            StateKind::Succeed(_) => StateType::Succeed,
            StateKind::Fail(_) => StateType::Fail,
            StateKind::Wait(_) => StateType::Wait,
            StateKind::Parallel(_) => StateType::Parallel,
        }
    }

    /// The names of the states that may follow: `Next`, `Default`, and those of choices and catchers.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        self.targets.iter().map(|(_, target)| target.as_str())
    }

    /// What a Task calls: its `Resource`.
    pub fn resource(&self) -> Option<&str> {
        self.task().map(|task| task.resource.as_str())
    }

    /// The names of the states that a Parallel's branches begin with, in the order of `Branches`.
    pub fn branches(&self) -> impl Iterator<Item = &str> {
        let branches = if let StateKind::Parallel(parallel) = &self.kind { &*parallel.branches } else { &[] };
        branches.iter().map(String::as_str)
    }

    /// The `Arguments` of a Task or a Parallel as they stand in the definition, expressions and all.
    pub fn arguments(&self) -> Option<&Value> {
        self.retryable().and_then(|state| state.raw_arguments.as_ref())
    }

    /// How long one attempt of a Task may take.
    pub fn timeout(&self) -> Option<Duration> {
        self.task().and_then(|task| task.timeout)
    }

    /// The retriers of a Task or a Parallel, in order.
    pub fn retriers(&self) -> &[Retrier] {
        self.retryable().map_or(&[], |state| &state.retry)
    }

    /// The catchers of a Task or a Parallel, in order.
    pub fn catchers(&self) -> &[Catcher] {
        self.retryable().map_or(&[], |state| &state.catch)
    }

    fn task(&self) -> Option<&Task> {
        if let StateKind::Task(task) = &self.kind { Some(task) } else { None }
    }

    pub(super) fn retryable(&self) -> Option<&Retryable> {
        match &self.kind {
            StateKind::Task(task) => Some(&task.retryable),
            StateKind::Parallel(parallel) => Some(&parallel.retryable),
            StateKind::Choice(_)
            | StateKind::Pass(_)
            | StateKind::Succeed(_)
            | StateKind::Fail(_)
            | StateKind::Wait(_) => None,
        }
    }
}

/// The kinds of state that the interpreter runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum StateType {
    /// Calls a service.
    Task,
    /// Chooses the next state.
    Choice,
    /// Shapes data.
    Pass,
    /// Ends the execution well.
    Succeed,
    /// Ends the execution with an error.
    Fail,
    /// Waits a number of seconds.
    Wait,
    /// Runs branches of states at the same time.
    Parallel,
}

impl StateType {
    pub(super) const ALL: [Self; 7] =
        [Self::Task, Self::Choice, Self::Pass, Self::Succeed, Self::Fail, Self::Wait, Self::Parallel];

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.to_string() == name)
    }
}

impl fmt::Display for StateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Task => "Task",
            Self::Choice => "Choice",
            Self::Pass => "Pass",
            Self::Succeed => "Succeed",
            Self::Fail => "Fail",
            Self::Wait => "Wait",
            Self::Parallel => "Parallel",
        })
    }
}

/// Which errors a state tries again after, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Retrier {
    /// `ErrorEquals`.
    pub errors: Vec<String>,
    /// `IntervalSeconds`: the wait before the first retry.
    pub interval: Duration,
    /// `MaxAttempts`: how many retries, not counting the first attempt; 0 is never.
    pub max_attempts: u32,
    /// `BackoffRate`: what the wait is multiplied by from one retry to the next.
    pub backoff_rate: f64,
    /// `MaxDelaySeconds`: the longest wait.
    pub max_delay: Option<Duration>,
    /// `JitterStrategy`.
    pub jitter: Jitter,
}

impl Retrier {
    /// The wait before retry `retry` (0 is the first), before jitter.
    pub fn delay(&self, retry: u32) -> Duration {
        /// More than any wait that matters, so that the product below stays in range.
        const MOST: f64 = 1e9;
        let factor = self.backoff_rate.powi(i32::try_from(retry).unwrap_or(i32::MAX)).min(MOST);
        let delay = self.interval.mul_f64(factor);
        self.max_delay.map_or(delay, |most| delay.min(most))
    }
}

/// How the wait before a retry is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jitter {
    /// `NONE`: the delay itself.
    None,
    /// `FULL`: anything from nothing to the delay.
    Full,
}

/// Where a state goes on after an error.
#[derive(Debug)]
pub struct Catcher {
    /// `ErrorEquals`.
    pub errors: Vec<String>,
    /// `Next`.
    pub next: String,
    pub(super) effect: DataEffect,
}

#[derive(Debug)]
pub(super) enum StateKind {
    Task(Task),
    Choice(Choice),
    Pass(Onward),
    Succeed(DataEffect),
    Fail(Fail),
    Wait(Wait),
    Parallel(Parallel),
}

/// What leaving a state does to the data: `Assign` and `Output`, both over the values from before.
#[derive(Debug, Default)]
pub(super) struct DataEffect {
    pub(super) assign: Vec<(String, JsonTemplate)>,
    pub(super) output: Option<JsonTemplate>,
}

/// An effect, and the next state; none ends the execution.
#[derive(Debug)]
pub(super) struct Onward {
    pub(super) effect: DataEffect,
    pub(super) next: Option<String>,
}

#[derive(Debug)]
pub(super) struct Task {
    pub(super) resource: String,
    pub(super) timeout: Option<Duration>,
    pub(super) retryable: Retryable,
}

#[derive(Debug)]
pub(super) struct Parallel {
    /// The name of each branch's first state.
    pub(super) branches: Vec<String>,
    pub(super) retryable: Retryable,
}

/// The fields of a state that may fail, be tried again and be caught: a Task or a Parallel.
#[derive(Debug)]
pub(super) struct Retryable {
    pub(super) raw_arguments: Option<Value>,
    pub(super) arguments: Option<JsonTemplate>,
    pub(super) retry: Vec<Retrier>,
    pub(super) catch: Vec<Catcher>,
    pub(super) onward: Onward,
}

#[derive(Debug)]
pub(super) struct Choice {
    pub(super) rules: Vec<Rule>,
    /// `Default`, and the effect of the state's own `Assign` and `Output`, which count when no rule matches.
    pub(super) default: Option<String>,
    pub(super) effect: DataEffect,
}

#[derive(Debug)]
pub(super) struct Rule {
    pub(super) condition: Expression,
    pub(super) next: String,
    pub(super) effect: DataEffect,
}

#[derive(Debug)]
pub(super) struct Fail {
    pub(super) error: Option<JsonTemplate>,
    pub(super) cause: Option<JsonTemplate>,
}

#[derive(Debug)]
pub(super) struct Wait {
    pub(super) seconds: JsonTemplate,
    pub(super) onward: Onward,
}

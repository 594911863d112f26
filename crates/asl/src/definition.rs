//! A parsed definition, for the interpreter and the wiring tests. Nothing here parses or checks its text: `parse` does.

use std::{fmt, time::Duration};

use serde::Serialize;
use serde_json::Value;

use super::expression::{Expression, JsonTemplate};

/// A valid definition: every target exists, every expression parses, and every field is supported.
#[derive(Debug)]
pub struct Definition {
    pub(super) start_at: usize,
    pub(super) states: Vec<State>,
    pub(super) timeout: Option<Duration>,
    pub(super) arn: String,
}

impl Definition {
    /// Gives the state machine its ARN (`arn:aws:states:<region>:<account>:stateMachine:<name>`). Expressions read it
    /// in `$states.context`.
    #[must_use]
    pub fn with_arn(mut self, arn: &str) -> Self {
        arn.clone_into(&mut self.arn);
        self
    }

    /// The state machine's ARN; a placeholder until [`with_arn`](Self::with_arn) sets it.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// The longest that an execution may take: the machine's `TimeoutSeconds`.
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// The name of an execution's first state.
    pub fn start_at(&self) -> &str {
        self.states.get(self.start_at).map_or("", State::name)
    }

    /// Every state, in the definition's order. A Parallel is followed by the states of its branches.
    pub fn states(&self) -> &[State] {
        &self.states
    }

    /// The state with this name.
    pub fn state(&self, name: &str) -> Option<&State> {
        self.states.iter().find(|state| state.name == name)
    }
}

/// Every fault of a definition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct DefinitionError(pub(super) Vec<String>);

impl DefinitionError {}

/// One state.
#[derive(Debug)]
pub struct State {
    pub(super) name: String,
    pub(super) kind: StateKind,
}

impl State {
    /// Its key in `States`.
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

    /// A Task's `Resource`: the call that it makes.
    pub fn resource(&self) -> Option<&str> {
        self.task().map(|task| task.resource.as_str())
    }

    /// The name of the first state of each of a Parallel's branches.
    pub fn branches(&self) -> impl Iterator<Item = &str> {
        let branches = if let StateKind::Parallel(parallel) = &self.kind { &*parallel.branches } else { &[] };
        branches.iter().map(String::as_str)
    }

    /// The `Arguments` of a Task or a Parallel as written in the definition, with the expressions unevaluated.
    pub fn arguments(&self) -> Option<&Value> {
        self.retryable().and_then(|state| state.raw_arguments.as_ref())
    }

    /// The longest that one attempt of a Task may take.
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

    fn retryable(&self) -> Option<&Retryable> {
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
    /// Picks the next state by conditions.
    Choice,
    /// Sets variables and output, and calls nothing.
    Pass,
    /// Ends the execution with status `SUCCEEDED`.
    Succeed,
    /// Ends the execution with status `FAILED`.
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

/// One entry of `Retry`: the errors after which a state is tried again, and the waits between the attempts.
#[derive(Clone, Debug, PartialEq)]
pub struct Retrier {
    /// `ErrorEquals`: the names of the errors that this entry retries.
    pub errors: Vec<String>,
    /// `IntervalSeconds`: the wait before the first retry.
    pub interval: Duration,
    /// `MaxAttempts`: the number of retries. The first attempt does not count; 0 means no retry.
    pub max_attempts: u32,
    /// `BackoffRate`: each wait is the one before multiplied by this.
    pub backoff_rate: f64,
    /// `MaxDelaySeconds`: the longest wait.
    pub max_delay: Option<Duration>,
    /// `JitterStrategy`: whether the wait is randomised.
    pub jitter: Jitter,
}

impl Retrier {
    /// The wait before retry number `retry`, counted from 0, without jitter.
    pub fn delay(&self, retry: u32) -> Duration {
        /// Keeps the product below in the range of a `Duration`. It exceeds every `MaxDelaySeconds`.
        const MAX_FACTOR: f64 = 1e9;
        let factor = self.backoff_rate.powi(i32::try_from(retry).unwrap_or(i32::MAX)).min(MAX_FACTOR);
        let delay = self.interval.mul_f64(factor);
        self.max_delay.map_or(delay, |most| delay.min(most))
    }
}

/// How the wait before a retry is randomised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jitter {
    /// `NONE`: the wait is the delay.
    None,
    /// `FULL`: the wait is random, from zero to the delay.
    Full,
}

/// One entry of `Catch`: the state that follows when another fails with one of these errors.
#[derive(Debug)]
pub struct Catcher {
    /// `ErrorEquals`: the names of the errors that this entry catches.
    pub errors: Vec<String>,
    /// `Next`: the state that handles the error.
    pub next: String,
    pub(super) effect: DataEffect,
}

#[derive(Debug)]
pub(super) enum StateKind {
    Task(Task),
    Choice(Choice),
    Pass(Transition),
    Succeed(DataEffect),
    Fail(Fail),
    Wait(Wait),
    Parallel(Parallel),
}

/// `Assign` and `Output`. Both are evaluated before either takes effect.
#[derive(Debug, Default)]
pub(super) struct DataEffect {
    pub(super) assign: Vec<(String, JsonTemplate)>,
    pub(super) output: Option<JsonTemplate>,
}

/// How a state is left: its data effect and the next state. Without a next state the execution ends.
#[derive(Debug)]
pub(super) struct Transition {
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

/// The fields of a state that can be tried again and caught: a Task or a Parallel.
#[derive(Debug)]
pub(super) struct Retryable {
    pub(super) raw_arguments: Option<Value>,
    pub(super) arguments: Option<JsonTemplate>,
    pub(super) retry: Vec<Retrier>,
    pub(super) catch: Vec<Catcher>,
    pub(super) transition: Transition,
}

#[derive(Debug)]
pub(super) struct Choice {
    pub(super) rules: Vec<Rule>,
    /// `Default`, the next state when no rule matches.
    pub(super) default: Option<String>,
    /// The state's own `Assign` and `Output`, which take effect together with `default`.
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
    pub(super) transition: Transition,
}

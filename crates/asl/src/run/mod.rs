//! Runs an execution from state to state, with the retries, catches, timeouts and data limit of an Express workflow.
//! Nothing here calls a service except through [`Services`], and nothing here reads a clock except its caller's.

mod parallel;
mod report;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    io,
    pin::Pin,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use time::OffsetDateTime;

pub use self::report::{Execution, ExecutionStatus, StateRun};
use super::{
    definition::{
        Catcher, Choice, DataEffect, Definition, Fail, Jitter, Retrier, Retryable, Rule, State, StateKind,
        Task, Transition, Wait,
    },
    expression::JsonTemplate,
    jsonata::{Scope, StatesData},
    parse::MAX_SECONDS,
    timestamp::rfc3339,
};

/// The largest input, result or output of a state, in bytes of UTF-8: 256 KiB
/// (<https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html>).
const DATA_LIMIT_BYTES: usize = 262_144;

/// An Express execution ends after five minutes, also when the definition allows more (same source).
const EXPRESS_LIMIT: Duration = Duration::from_mins(5);

/// The most states that an execution may enter. It ends a loop without a wait, in which no timeout could fire.
const MAX_STATES: usize = 1_000;

/// The failure of a call or of a state. `Retry` and `Catch` match the error's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskFailure {
    /// The name, such as `States.Timeout` or `DynamoDB.ConditionalCheckFailedException`.
    pub error: String,
    /// The explanation, for a person.
    pub cause: String,
}

impl TaskFailure {
    /// A failure with this name and cause.
    pub fn new(error: impl Into<String>, cause: impl Into<String>) -> Self {
        Self { error: error.into(), cause: cause.into() }
    }
}

/// A future of the result of a Task's call.
pub type TaskResult<'a> = Pin<Box<dyn Future<Output = Result<Value, TaskFailure>> + Send + 'a>>;

/// The services that Task states call.
pub trait Services: Send + Sync {
    /// Calls `resource` with the evaluated `Arguments`. `resource` is one of those that [`Definition::parse`] was
    /// given. The future is dropped when the task or the execution times out.
    fn call<'a>(&'a self, resource: &'a str, arguments: Value) -> TaskResult<'a>;
}

/// The clock, for the execution's timestamps and for `$now()`.
pub type Now<'a> = dyn Fn() -> OffsetDateTime + Send + Sync + 'a;

/// Runs one execution to its end. A failure becomes the execution's status.
pub async fn run(
    definition: &Definition,
    services: &dyn Services,
    now: &Now<'_>,
    name: &str,
    input: Value,
) -> Execution {
    let started = now();
    let arn = report::execution_arn(definition.arn(), name, started);
    let execution = json!({"Id": arn, "Name": name, "Input": input, "StartTime": rfc3339(started)});
    let shared = Shared { definition, services, now, execution, entered: Mutex::default() };
    let mut runner = Runner::new(&shared, BTreeMap::new());
    let limit = definition.timeout().map_or(EXPRESS_LIMIT, |timeout| timeout.min(EXPRESS_LIMIT));
    let whole_run = async {
        within_limit(&input, "the execution's input")?;
        runner.run_states(definition.start_at(), input.clone()).await
    };
    let status = match tokio::time::timeout(limit, whole_run).await {
        Ok(Ok(output)) => ExecutionStatus::Succeeded { output },
        Ok(Err(TaskFailure { error, cause })) => ExecutionStatus::Failed { error, cause },
        Err(_elapsed) => ExecutionStatus::TimedOut,
    };
    if status == ExecutionStatus::TimedOut {
        runner.entry(|last| {
            last.error = Some(report::TIMEOUT.to_owned());
            last.cause = Some(format!("the execution did not end within its {} s", limit.as_secs()));
        });
    }
    let entered = shared.entered.into_inner().unwrap_or_else(PoisonError::into_inner);
    Execution { arn, name: name.to_owned(), status, started, stopped: now(), input, states: entered }
}

/// A state's output, and the next state unless the execution ends.
type NextState<'a> = (Value, Option<&'a str>);

/// The part of an execution that all its branches share.
struct Shared<'a> {
    definition: &'a Definition,
    services: &'a dyn Services,
    now: &'a Now<'a>,
    /// `$states.context.Execution`.
    execution: Value,
    /// Every state that any branch entered. It is never locked across an await.
    entered: Mutex<Vec<StateRun>>,
}

/// Runs the states of the machine, or those of one branch.
struct Runner<'a> {
    shared: &'a Shared<'a>,
    variables: BTreeMap<String, Value>,
    /// The index in `entered` of the current state; `None` before the first.
    current: Option<usize>,
}

impl<'a> Runner<'a> {
    fn new(shared: &'a Shared<'a>, variables: BTreeMap<String, Value>) -> Self {
        Self { shared, variables, current: None }
    }

    fn now(&self) -> OffsetDateTime {
        (self.shared.now)()
    }

    /// Reads or changes the report of the current state.
    fn entry<T>(&self, look: impl FnOnce(&mut StateRun) -> T) -> Option<T> {
        let mut entered = self.shared.entered.lock().unwrap_or_else(PoisonError::into_inner);
        entered.get_mut(self.current?).map(look)
    }

    /// Adds the report of a state. Returns false when the execution has entered too many.
    fn enter(&mut self, state: &State, input: &Value) -> bool {
        let report = StateRun::entered(state, input, self.now());
        let mut entered = self.shared.entered.lock().unwrap_or_else(PoisonError::into_inner);
        if entered.len() >= MAX_STATES {
            return false;
        }
        self.current = Some(entered.len());
        entered.push(report);
        true
    }

    async fn run_states(&mut self, start_at: &'a str, mut input: Value) -> Result<Value, TaskFailure> {
        let mut next = Some(start_at);
        while let Some(name) = next {
            let Some(state) = self.shared.definition.state(name) else {
                return Err(runtime_failure(format!("there is no state {name:?}")));
            };
            if !self.enter(state, &input) {
                return Err(runtime_failure(format!(
                    "the execution entered {MAX_STATES} states, the most that this interpreter allows"
                )));
            }
            let step = match self.run_state(state, &input).await {
                Ok(step) => within_limit(&step.0, &format!("the output of state {name:?}")).map(|()| step),
                Err(failure) => Err(failure),
            };
            let now = self.now();
            match step {
                Ok((output, following)) => {
                    self.entry(|entry| entry.left(&output, now));
                    (input, next) = (output, following);
                }
                Err(failure) => {
                    self.entry(|entry| entry.failed(&failure, now));
                    return Err(failure);
                }
            }
        }
        Ok(input)
    }

    async fn run_state(&mut self, state: &'a State, input: &Value) -> Result<NextState<'a>, TaskFailure> {
        match &state.kind {
            StateKind::Task(task) => self.run_retryable(state, &task.retryable, input).await,
            StateKind::Parallel(parallel) => self.run_retryable(state, &parallel.retryable, input).await,
            StateKind::Choice(choice) => self.run_choice(state, choice, input),
            StateKind::Pass(transition) => self.follow(state, transition, input),
            StateKind::Succeed(effect) => {
                let (output, _) = self
                    .within(state, input, None, |scope| evaluate_effect(scope, state, effect, "", input))?;
                Ok((output, None))
            }
            StateKind::Fail(fail) => Err(self.evaluate_fail(state, fail, input)),
            StateKind::Wait(wait) => {
                let seconds = self.wait_seconds(state, wait, input)?;
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                self.follow(state, &wait.transition, input)
            }
        }
    }

    // Task and Parallel

    async fn run_retryable(
        &mut self,
        state: &'a State,
        retryable: &'a Retryable,
        input: &Value,
    ) -> Result<NextState<'a>, TaskFailure> {
        let mut retries_used = vec![0; retryable.retry.len()];
        loop {
            let failure = match self.attempt(state, retryable, input).await {
                Ok(step) => return Ok(step),
                Err(failure) => failure,
            };
            // Only the first retrier that matches counts, even when it has no retries left.
            let retrier = retryable
                .retry
                .iter()
                .zip(&mut retries_used)
                .find(|(retrier, _)| handles(&retrier.errors, &failure));
            match retrier {
                Some((retrier, retries_used)) if *retries_used < retrier.max_attempts => {
                    let delay = retry_delay(retrier, *retries_used);
                    *retries_used += 1;
                    tokio::time::sleep(delay).await;
                }
                _ => return self.catch_failure(state, &retryable.catch, input, failure),
            }
        }
    }

    async fn attempt(
        &mut self,
        state: &'a State,
        retryable: &'a Retryable,
        input: &Value,
    ) -> Result<NextState<'a>, TaskFailure> {
        self.entry(|entry| entry.attempts += 1);
        let arguments = self.arguments(state, retryable, input)?;
        within_limit(&arguments, &format!("the Arguments of state {:?}", state.name))?;
        let result = match &state.kind {
            StateKind::Task(task) => self.call(state, task, arguments).await,
            StateKind::Parallel(parallel) => self.run_branches(&parallel.branches, &arguments).await,
            StateKind::Choice(_)
            | StateKind::Pass(_)
            | StateKind::Succeed(_)
            | StateKind::Fail(_)
            | StateKind::Wait(_) => Err(runtime_failure(format!("state {:?} has no attempts", state.name))),
        }?;
        within_limit(&result, &format!("the result of state {:?}", state.name))?;
        let Transition { effect, next } = &retryable.transition;
        let outcome = Some(("result", &result));
        self.leave_state(Leaving { state, effect, at: "" }, input, outcome, next.as_deref())
    }

    async fn call(&self, state: &State, task: &'a Task, arguments: Value) -> Result<Value, TaskFailure> {
        let call = self.shared.services.call(&task.resource, arguments);
        match task.timeout {
            None => call.await,
            Some(timeout) => tokio::time::timeout(timeout, call).await.unwrap_or_else(|_elapsed| {
                let cause = format!("state {:?} did not end within its {} s", state.name, timeout.as_secs());
                Err(TaskFailure::new(report::TIMEOUT, cause))
            }),
        }
    }

    fn arguments(&self, state: &State, retryable: &Retryable, input: &Value) -> Result<Value, TaskFailure> {
        match &retryable.arguments {
            None => Ok(input.clone()),
            Some(template) => {
                let filled = self.within(state, input, None, |scope| scope.fill(template, "Arguments"));
                filled.map_err(|problem| query_failure(state, &problem))
            }
        }
    }

    fn catch_failure(
        &mut self,
        state: &'a State,
        catchers: &'a [Catcher],
        input: &Value,
        failure: TaskFailure,
    ) -> Result<NextState<'a>, TaskFailure> {
        let catcher = catchers.iter().enumerate().find(|(_, catcher)| handles(&catcher.errors, &failure));
        let Some((index, catcher)) = catcher else {
            return Err(failure);
        };
        self.entry(|entry| entry.caught(&failure));
        let caught = json!({"Error": failure.error, "Cause": failure.cause});
        let leaving = Leaving { state, effect: &catcher.effect, at: &format!("Catch[{index}]/") };
        self.leave_state(leaving, input, Some(("errorOutput", &caught)), Some(&catcher.next))
    }

    // The other states

    fn run_choice(
        &mut self,
        state: &'a State,
        choice: &'a Choice,
        input: &Value,
    ) -> Result<NextState<'a>, TaskFailure> {
        let matched = self.within(state, input, None, |scope| first_match(scope, state, choice))?;
        if let Some((index, rule)) = matched {
            let leaving = Leaving { state, effect: &rule.effect, at: &format!("Choices[{index}]/") };
            return self.leave_state(leaving, input, None, Some(&rule.next));
        }
        let Some(default) = &choice.default else {
            let cause = format!("no rule of state {:?} matched, and it has no Default", state.name);
            return Err(TaskFailure::new("States.NoChoiceMatched", cause));
        };
        self.leave_state(Leaving { state, effect: &choice.effect, at: "" }, input, None, Some(default))
    }

    fn follow(
        &mut self,
        state: &State,
        transition: &'a Transition,
        input: &Value,
    ) -> Result<NextState<'a>, TaskFailure> {
        let leaving = Leaving { state, effect: &transition.effect, at: "" };
        self.leave_state(leaving, input, None, transition.next.as_deref())
    }

    fn evaluate_fail(&self, state: &State, fail: &Fail, input: &Value) -> TaskFailure {
        let fill = |template: &JsonTemplate, field: &str| {
            self.within(state, input, None, |scope| scope.fill(template, field))
        };
        let text = |template: &Option<_>, field: &str| match template.as_ref().map(|t| fill(t, field)) {
            None => Ok(String::new()),
            Some(Ok(Value::String(text))) => Ok(text),
            Some(Ok(other)) => {
                Err(query_failure(state, &format!("{field} evaluated to {other}, which is not a string.")))
            }
            Some(Err(problem)) => Err(query_failure(state, &problem)),
        };
        match text(&fail.error, "Error").and_then(|error| Ok((error, text(&fail.cause, "Cause")?))) {
            Ok((error, cause)) => TaskFailure { error, cause },
            Err(failure) => failure,
        }
    }

    fn wait_seconds(&self, state: &State, wait: &Wait, input: &Value) -> Result<u64, TaskFailure> {
        let seconds = self.within(state, input, None, |scope| scope.fill(&wait.seconds, "Seconds"));
        let seconds = seconds.map_err(|problem| query_failure(state, &problem))?;
        seconds.as_u64().filter(|seconds| *seconds <= MAX_SECONDS).ok_or_else(|| {
            let allowed = format!("a whole number of 0 to {MAX_SECONDS}");
            query_failure(state, &format!("Seconds evaluated to {seconds}, which is not {allowed}."))
        })
    }

    // Data

    /// Evaluates the output and the variables, and then assigns the variables. A state without `Output` passes on its
    /// outcome, or its input if it has none.
    fn leave_state(
        &mut self,
        leaving: Leaving<'_>,
        input: &Value,
        outcome: Option<(&'static str, &Value)>,
        next: Option<&'a str>,
    ) -> Result<NextState<'a>, TaskFailure> {
        let Leaving { state, effect, at } = leaving;
        let default = outcome.map_or(input, |(_, value)| value);
        let (output, assigned) =
            self.within(state, input, outcome, |scope| evaluate_effect(scope, state, effect, at, default))?;
        // This comes before the assignment, because a failed state assigns nothing.
        within_limit(&output, &format!("the output of state {:?}", state.name))?;
        for (name, value) in &assigned {
            within_limit(value, &format!("the variable ${name} of state {:?}", state.name))?;
        }
        self.variables.extend(assigned);
        Ok((output, next))
    }

    /// Evaluates expressions of a state.
    fn within<T>(
        &self,
        state: &State,
        input: &Value,
        outcome: Option<(&'static str, &Value)>,
        evaluate: impl FnOnce(&Scope<'_>) -> T,
    ) -> T {
        let context = || self.context(state);
        let states = StatesData { input, outcome, context: &context };
        evaluate(&Scope::new(states, &self.variables, self.now()))
    }

    /// `$states.context`.
    fn context(&self, state: &State) -> Value {
        let arn = self.shared.definition.arn();
        json!({
            "Execution": self.shared.execution,
            "State": {
                "Name": state.name,
                "EnteredTime": self.entry(|entry| rfc3339(entry.entered)),
                "RetryCount": self.entry(|entry| entry.attempts.saturating_sub(1)).unwrap_or_default(),
            },
            "StateMachine": {"Id": arn, "Name": arn.rsplit(':').next().unwrap_or(arn)},
        })
    }
}

/// An effect that is evaluated when a state is left.
#[derive(Clone, Copy)]
struct Leaving<'a> {
    state: &'a State,
    effect: &'a DataEffect,
    /// The part of the definition that holds the effect, to name the place of an error.
    at: &'a str,
}

/// The first rule whose condition is true, and its index.
fn first_match<'c>(
    scope: &Scope<'_>,
    state: &State,
    choice: &'c Choice,
) -> Result<Option<(usize, &'c Rule)>, TaskFailure> {
    for (index, rule) in choice.rules.iter().enumerate() {
        let field = format!("Choices[{index}]/Condition");
        let verdict = scope.evaluate(&rule.condition, &field);
        let verdict = verdict.map_err(|problem| query_failure(state, &problem))?;
        match verdict.as_bool() {
            Some(true) => return Ok(Some((index, rule))),
            Some(false) => {}
            None => {
                let source = rule.condition.source();
                let problem = format!(
                    "The JSONata expression '{source}' specified for the field '{field}' returned {verdict}, \
                     which is not a boolean."
                );
                return Err(query_failure(state, &problem));
            }
        }
    }
    Ok(None)
}

/// The output and the new variables of an effect.
fn evaluate_effect(
    scope: &Scope<'_>,
    state: &State,
    effect: &DataEffect,
    at: &str,
    default: &Value,
) -> Result<(Value, Vec<(String, Value)>), TaskFailure> {
    let fill =
        |template, field: &str| scope.fill(template, field).map_err(|problem| query_failure(state, &problem));
    let assigned = effect
        .assign
        .iter()
        .map(|(name, template)| Ok((name.clone(), fill(template, &format!("{at}Assign/{name}"))?)))
        .collect::<Result<_, _>>()?;
    let output = match &effect.output {
        None => default.clone(),
        Some(template) => fill(template, &format!("{at}Output"))?,
    };
    Ok((output, assigned))
}

/// Whether a retrier or catcher for `errors` handles this failure. No entry handles `States.Runtime`, and no wildcard
/// handles `States.DataLimitExceeded`
/// (<https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html>).
fn handles(errors: &[String], failure: &TaskFailure) -> bool {
    let error = failure.error.as_str();
    let terminal = error == "States.DataLimitExceeded";
    error != "States.Runtime"
        && errors.iter().any(|named| match named.as_str() {
            "States.ALL" => !terminal,
            "States.TaskFailed" => named == error || (!terminal && error != report::TIMEOUT),
            named => named == error,
        })
}

/// The wait before a retry, with jitter. Its random numbers come from the thread's generator, so that a seed replays
/// them.
fn retry_delay(retrier: &Retrier, retry: u32) -> Duration {
    let delay = retrier.delay(retry);
    match retrier.jitter {
        Jitter::None => delay,
        Jitter::Full => {
            let most = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            Duration::from_millis(fastrand::u64(0..=most))
        }
    }
}

/// Counts the bytes that are written to it.
struct ByteCounter(usize);

impl io::Write for ByteCounter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn within_limit(value: &Value, what: &str) -> Result<(), TaskFailure> {
    let mut counter = ByteCounter(0);
    // Neither the value nor the counter can fail.
    let bytes = serde_json::to_writer(&mut counter, value).map_or(usize::MAX, |()| counter.0);
    if bytes <= DATA_LIMIT_BYTES {
        return Ok(());
    }
    let cause = format!("{what} has {bytes} bytes; the limit is {DATA_LIMIT_BYTES}");
    Err(TaskFailure::new("States.DataLimitExceeded", cause))
}

fn query_failure(state: &State, problem: &str) -> TaskFailure {
    let cause = format!("An error occurred while executing the state '{}'. {problem}", state.name);
    TaskFailure::new("States.QueryEvaluationError", cause)
}

fn runtime_failure(cause: String) -> TaskFailure {
    TaskFailure::new("States.Runtime", cause)
}

//! Runs an execution: from state to state, with retries, catches, timeouts and the data limit of an Express
//! workflow. It calls services only through [`Services`], and asks only its caller's clock for the time.

mod parallel;
mod report;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Map, Value, json};
use time::OffsetDateTime;

pub use self::report::{Execution, ExecutionStatus, StateRun};
use super::{
    definition::{
        Catcher, Choice, DataEffect, Definition, Fail, Jitter, Onward, Retrier, Retryable, State, StateKind,
        Task, Wait,
    },
    jsonata::Scope,
    parse::MOST_SECONDS,
    timestamp::rfc3339,
};

/// The most that a state may take or give, in bytes of UTF-8: 256 KiB
/// (<https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html>).
const DATA_LIMIT_BYTES: usize = 262_144;

/// An Express execution ends after five minutes, whatever the definition allows (same source).
const EXPRESS_LIMIT: Duration = Duration::from_mins(5);

/// The most states that an execution enters. A loop without a wait would never let the timeout fire.
const MOST_STATES: usize = 1_000;

/// A failed call, or a failed state: the error's name, which `Retry` and `Catch` match, and what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskFailure {
    /// The name, such as `States.Timeout` or `DynamoDB.ConditionalCheckFailedException`.
    pub error: String,
    /// The explanation, for people.
    pub cause: String,
}

impl TaskFailure {
    /// A failure of that name and cause.
    pub fn new(error: impl Into<String>, cause: impl Into<String>) -> Self {
        Self { error: error.into(), cause: cause.into() }
    }
}

/// The result of a Task's call, later.
pub type TaskResult<'a> = Pin<Box<dyn Future<Output = Result<Value, TaskFailure>> + Send + 'a>>;

/// What Task states call.
pub trait Services: Send + Sync {
    /// Calls `resource`, one of those that [`Definition::parse`] was given, with the evaluated `Arguments`. The
    /// future is dropped when the task or the execution times out.
    fn call<'a>(&'a self, resource: &'a str, arguments: Value) -> TaskResult<'a>;
}

/// Tells the time, for the execution's timestamps and for `$now()`.
pub type Now<'a> = dyn Fn() -> OffsetDateTime + Send + Sync + 'a;

/// Runs one execution to its end. It never fails itself: what goes wrong is the execution's status.
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
    let run = Run { definition, services, now, execution, entered: Mutex::default() };
    let mut walk = Walk::new(&run, BTreeMap::new());
    let limit = definition.timeout().map_or(EXPRESS_LIMIT, |timeout| timeout.min(EXPRESS_LIMIT));
    let driven = async {
        within_limit(&input, "the execution's input")?;
        walk.drive(definition.start_at(), input.clone()).await
    };
    let status = match tokio::time::timeout(limit, driven).await {
        Ok(Ok(output)) => ExecutionStatus::Succeeded { output },
        Ok(Err(TaskFailure { error, cause })) => ExecutionStatus::Failed { error, cause },
        Err(_elapsed) => ExecutionStatus::TimedOut,
    };
    if status == ExecutionStatus::TimedOut {
        walk.entry(|last| {
            last.error = Some(report::TIMEOUT.to_owned());
            last.cause = Some(format!("the execution did not end within its {} s", limit.as_secs()));
        });
    }
    let entered = run.entered.into_inner().unwrap_or_else(PoisonError::into_inner);
    Execution { arn, name: name.to_owned(), status, started, stopped: now(), input, states: entered }
}

/// Where a state leads: its output, and the next state if there is one.
type NextState<'a> = (Value, Option<&'a str>);

/// One execution, as all its branches see it.
struct Run<'a> {
    definition: &'a Definition,
    services: &'a dyn Services,
    now: &'a Now<'a>,
    /// `$states.context.Execution`.
    execution: Value,
    /// Every state that was entered, in any branch. Never locked across an await.
    entered: Mutex<Vec<StateRun>>,
}

/// One way through the states: the machine's own, or that of a branch.
struct Walk<'a> {
    run: &'a Run<'a>,
    variables: BTreeMap<String, Value>,
    /// The place in `entered` of the state that this walk is in, once it is in one.
    place: Option<usize>,
}

impl<'a> Walk<'a> {
    fn new(run: &'a Run<'a>, variables: BTreeMap<String, Value>) -> Self {
        Self { run, variables, place: None }
    }

    fn now(&self) -> OffsetDateTime {
        (self.run.now)()
    }

    /// Changes or reads the report of the state that this walk is in.
    fn entry<T>(&self, look: impl FnOnce(&mut StateRun) -> T) -> Option<T> {
        let mut entered = self.run.entered.lock().unwrap_or_else(PoisonError::into_inner);
        entered.get_mut(self.place?).map(look)
    }

    /// Enters a state. Answers false after too many.
    fn arrive(&mut self, state: &State, input: &Value) -> bool {
        let report = StateRun::entered(state, input.clone(), self.now());
        let mut entered = self.run.entered.lock().unwrap_or_else(PoisonError::into_inner);
        if entered.len() >= MOST_STATES {
            return false;
        }
        self.place = Some(entered.len());
        entered.push(report);
        true
    }

    async fn drive(&mut self, start_at: &'a str, mut input: Value) -> Result<Value, TaskFailure> {
        let mut next = Some(start_at);
        while let Some(name) = next {
            let Some(state) = self.run.definition.state(name) else {
                return Err(runtime(format!("there is no state {name:?}")));
            };
            if !self.arrive(state, &input) {
                return Err(runtime(format!("an execution ends here after {MOST_STATES} states")));
            }
            let step = match self.enter(state, &input).await {
                Ok(step) => within_limit(&step.0, &format!("the output of state {name:?}")).map(|()| step),
                Err(failure) => Err(failure),
            };
            let now = self.now();
            match step {
                Ok((output, onward)) => {
                    self.entry(|entry| entry.left(output.clone(), now));
                    (input, next) = (output, onward);
                }
                Err(failure) => {
                    self.entry(|entry| entry.failed(&failure, now));
                    return Err(failure);
                }
            }
        }
        Ok(input)
    }

    async fn enter(&mut self, state: &'a State, input: &Value) -> Result<NextState<'a>, TaskFailure> {
        match &state.kind {
            StateKind::Task(task) => self.tried(state, &task.retryable, input).await,
            StateKind::Parallel(parallel) => self.tried(state, &parallel.retryable, input).await,
            StateKind::Choice(choice) => self.choose(state, choice, input),
            StateKind::Pass(onward) => self.onward(state, onward, input),
            StateKind::Succeed(effect) => {
                let scope = self.scope(&self.view(state, input));
                let (output, _) = settle(&scope, state, effect, "", input)?;
                Ok((output, None))
            }
            StateKind::Fail(fail) => Err(self.fail(state, fail, input)),
            StateKind::Wait(wait) => {
                let seconds = self.wait_seconds(state, wait, input)?;
                tokio::time::sleep(Duration::from_secs(seconds)).await;
                self.onward(state, &wait.onward, input)
            }
        }
    }

    // Task and Parallel

    async fn tried(
        &mut self,
        state: &'a State,
        fields: &'a Retryable,
        input: &Value,
    ) -> Result<NextState<'a>, TaskFailure> {
        let mut spent = vec![0; fields.retry.len()];
        loop {
            let failure = match self.attempt(state, fields, input).await {
                Ok(step) => return Ok(step),
                Err(failure) => failure,
            };
            // The first retrier that matches decides, also when it has no retries left.
            let retrier =
                fields.retry.iter().zip(&mut spent).find(|(retrier, _)| matches(&retrier.errors, &failure));
            match retrier {
                Some((retrier, spent)) if *spent < retrier.max_attempts => {
                    let delay = drawn(retrier, *spent);
                    *spent += 1;
                    tokio::time::sleep(delay).await;
                }
                _ => return self.catch(state, &fields.catch, input, failure),
            }
        }
    }

    async fn attempt(
        &mut self,
        state: &'a State,
        fields: &'a Retryable,
        input: &Value,
    ) -> Result<NextState<'a>, TaskFailure> {
        self.entry(|entry| entry.attempts += 1);
        let arguments = self.arguments(state, fields, input)?;
        within_limit(&arguments, &format!("the Arguments of state {:?}", state.name))?;
        let result = match &state.kind {
            StateKind::Task(task) => self.call(state, task, arguments).await,
            StateKind::Parallel(parallel) => self.branches(&parallel.branches, &arguments).await,
            StateKind::Choice(_)
            | StateKind::Pass(_)
            | StateKind::Succeed(_)
            | StateKind::Fail(_)
            | StateKind::Wait(_) => Err(runtime(format!("state {:?} cannot be tried", state.name))),
        }?;
        within_limit(&result, &format!("the result of state {:?}", state.name))?;
        let mut view = self.view(state, input);
        view.insert("result".to_owned(), result.clone());
        self.leave(state, &fields.onward.effect, "", &view, &result, fields.onward.next.as_deref())
    }

    async fn call(&self, state: &State, task: &'a Task, arguments: Value) -> Result<Value, TaskFailure> {
        let call = self.run.services.call(&task.resource, arguments);
        match task.timeout {
            None => call.await,
            Some(timeout) => tokio::time::timeout(timeout, call).await.unwrap_or_else(|_elapsed| {
                let cause = format!("state {:?} did not end within its {} s", state.name, timeout.as_secs());
                Err(TaskFailure::new(report::TIMEOUT, cause))
            }),
        }
    }

    fn arguments(&self, state: &State, fields: &Retryable, input: &Value) -> Result<Value, TaskFailure> {
        match &fields.arguments {
            None => Ok(input.clone()),
            Some(template) => {
                let scope = self.scope(&self.view(state, input));
                scope.fill(template, "Arguments").map_err(|problem| query_failure(state, &problem))
            }
        }
    }

    fn catch(
        &mut self,
        state: &'a State,
        catchers: &'a [Catcher],
        input: &Value,
        failure: TaskFailure,
    ) -> Result<NextState<'a>, TaskFailure> {
        let catcher = catchers.iter().enumerate().find(|(_, catcher)| matches(&catcher.errors, &failure));
        let Some((index, catcher)) = catcher else {
            return Err(failure);
        };
        self.entry(|entry| entry.caught(&failure));
        let caught = json!({"Error": failure.error, "Cause": failure.cause});
        let mut view = self.view(state, input);
        view.insert("errorOutput".to_owned(), caught.clone());
        self.leave(state, &catcher.effect, &format!("Catch[{index}]/"), &view, &caught, Some(&catcher.next))
    }

    // The other states

    fn choose(
        &mut self,
        state: &'a State,
        choice: &'a Choice,
        input: &Value,
    ) -> Result<NextState<'a>, TaskFailure> {
        let view = self.view(state, input);
        for (index, rule) in choice.rules.iter().enumerate() {
            let field = format!("Choices[{index}]/Condition");
            let verdict = self.scope(&view).evaluate(&rule.condition, &field);
            let verdict = verdict.map_err(|problem| query_failure(state, &problem))?;
            match verdict.as_bool() {
                Some(true) => {
                    let at = format!("Choices[{index}]/");
                    return self.leave(state, &rule.effect, &at, &view, input, Some(&rule.next));
                }
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
        let Some(default) = &choice.default else {
            let cause = format!("no rule of state {:?} matched, and it has no Default", state.name);
            return Err(TaskFailure::new("States.NoChoiceMatched", cause));
        };
        self.leave(state, &choice.effect, "", &view, input, Some(default))
    }

    fn onward(
        &mut self,
        state: &State,
        onward: &'a Onward,
        input: &Value,
    ) -> Result<NextState<'a>, TaskFailure> {
        let view = self.view(state, input);
        self.leave(state, &onward.effect, "", &view, input, onward.next.as_deref())
    }

    fn fail(&self, state: &State, fail: &Fail, input: &Value) -> TaskFailure {
        let scope = self.scope(&self.view(state, input));
        let text = |template: &Option<_>, field: &str| match template.as_ref().map(|t| scope.fill(t, field)) {
            None => Ok(String::new()),
            Some(Ok(Value::String(text))) => Ok(text),
            Some(Ok(other)) => {
                Err(query_failure(state, &format!("{field} came to {other}, which is not a string.")))
            }
            Some(Err(problem)) => Err(query_failure(state, &problem)),
        };
        match text(&fail.error, "Error").and_then(|error| Ok((error, text(&fail.cause, "Cause")?))) {
            Ok((error, cause)) => TaskFailure { error, cause },
            Err(failure) => failure,
        }
    }

    fn wait_seconds(&self, state: &State, wait: &Wait, input: &Value) -> Result<u64, TaskFailure> {
        let scope = self.scope(&self.view(state, input));
        let seconds =
            scope.fill(&wait.seconds, "Seconds").map_err(|problem| query_failure(state, &problem))?;
        seconds.as_u64().filter(|seconds| *seconds <= MOST_SECONDS).ok_or_else(|| {
            let allowed = format!("a whole number of 0 to {MOST_SECONDS}");
            query_failure(state, &format!("Seconds came to {seconds}, which is not {allowed}."))
        })
    }

    // Data

    /// Assigns the variables and answers the output, both from the values before. `default` is the output of
    /// a state that names none.
    fn leave(
        &mut self,
        state: &State,
        effect: &DataEffect,
        at: &str,
        view: &Map<String, Value>,
        default: &Value,
        next: Option<&'a str>,
    ) -> Result<NextState<'a>, TaskFailure> {
        let (output, assigned) = settle(&self.scope(view), state, effect, at, default)?;
        // Data beyond the limit fails the state, and a failed state assigns nothing.
        within_limit(&output, &format!("the output of state {:?}", state.name))?;
        for (name, value) in &assigned {
            within_limit(value, &format!("the variable ${name} of state {:?}", state.name))?;
        }
        self.variables.extend(assigned);
        Ok((output, next))
    }

    fn scope(&self, view: &Map<String, Value>) -> Scope {
        Scope::new(Value::Object(view.clone()), &self.variables, self.now())
    }

    /// `$states` with what every state sees.
    fn view(&self, state: &State, input: &Value) -> Map<String, Value> {
        let arn = self.run.definition.arn();
        let context = json!({
            "Execution": self.run.execution,
            "State": {
                "Name": state.name,
                "EnteredTime": self.entry(|entry| rfc3339(entry.entered)),
                "RetryCount": self.entry(|entry| entry.attempts.saturating_sub(1)).unwrap_or_default(),
            },
            "StateMachine": {"Id": arn, "Name": arn.rsplit(':').next().unwrap_or(arn)},
        });
        Map::from_iter([("input".to_owned(), input.clone()), ("context".to_owned(), context)])
    }
}

/// The output and the new variables of an effect.
fn settle(
    scope: &Scope,
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

/// Whether a retrier or catcher for `errors` takes this failure. `States.Runtime` always ends the execution,
/// and the wildcards leave `States.DataLimitExceeded` out
/// (<https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html>).
fn matches(errors: &[String], failure: &TaskFailure) -> bool {
    let error = failure.error.as_str();
    let terminal = error == "States.DataLimitExceeded";
    error != "States.Runtime"
        && errors.iter().any(|named| match named.as_str() {
            "States.ALL" => !terminal,
            "States.TaskFailed" => named == error || (!terminal && error != report::TIMEOUT),
            named => named == error,
        })
}

/// The wait before a retry. Chance comes from the thread's generator, so that a seed replays it.
fn drawn(retrier: &Retrier, retry: u32) -> Duration {
    let delay = retrier.delay(retry);
    match retrier.jitter {
        Jitter::None => delay,
        Jitter::Full => {
            let most = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            Duration::from_millis(fastrand::u64(0..=most))
        }
    }
}

fn within_limit(value: &Value, what: &str) -> Result<(), TaskFailure> {
    let bytes = value.to_string().len();
    if bytes <= DATA_LIMIT_BYTES {
        return Ok(());
    }
    let cause = format!("{what} has {bytes} bytes, more than the {DATA_LIMIT_BYTES} that a state may hold");
    Err(TaskFailure::new("States.DataLimitExceeded", cause))
}

fn query_failure(state: &State, problem: &str) -> TaskFailure {
    let cause = format!("An error occurred while executing the state '{}'. {problem}", state.name);
    TaskFailure::new("States.QueryEvaluationError", cause)
}

fn runtime(cause: String) -> TaskFailure {
    TaskFailure::new("States.Runtime", cause)
}

//! Step Functions: state machines, their synchronous executions, and the optimised integrations that a Task may use.
//!
//! The crate `asl` interprets the definitions. Here each Task becomes one AWS call, which `TaskCalls` makes. Nothing
//! here knows which service answers it.

use std::{
    collections::{HashMap, VecDeque},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use asl::{Definition, Execution, Services, TaskFailure, TaskResult};
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::ground::{AwsError, StackClock};

/// The optimised integrations: the `Resource`s that a Task may have.
pub const RESOURCES: [&str; 3] = [INVOKE, PUBLISH, UPDATE_ITEM];

const INVOKE: &str = "arn:aws:states:::lambda:invoke";
const PUBLISH: &str = "arn:aws:states:::sns:publish";
const UPDATE_ITEM: &str = "arn:aws:states:::dynamodb:updateItem";

/// The number of executions that `GET /local/executions` can show.
const MAX_EXECUTIONS: usize = 1_000;

/// One call of a Task.
#[derive(Debug)]
pub(crate) enum TaskCall {
    /// Lambda's `Invoke`. Its answer is `{"payload": <text>, "failed": <bool>}`.
    Invoke { function: String, payload: String },
    /// SNS's `Publish` and its parameters.
    Publish(Value),
    /// DynamoDB's `UpdateItem` and its request.
    UpdateItem(Value),
}

/// Makes the calls of Tasks.
pub(crate) trait TaskCalls: Send + Sync {
    /// Makes one call for `caller`, the state machine's logical id.
    fn call<'a>(
        &'a self,
        caller: &'a str,
        call: TaskCall,
    ) -> Pin<Box<dyn Future<Output = Result<Value, AwsError>> + Send + 'a>>;
}

/// A state machine. Its logical id is the caller of its Tasks' calls.
#[derive(Debug)]
pub(crate) struct Machine {
    pub(crate) logical_id: String,
    pub(crate) definition: Definition,
}

/// The local Step Functions.
pub(crate) struct States {
    /// The state machines by ARN.
    machines: HashMap<String, Machine>,
    clock: StackClock,
    executions: Mutex<VecDeque<Arc<Execution>>>,
}

impl States {
    pub(crate) fn new(machines: HashMap<String, Machine>, clock: StackClock) -> Self {
        Self { machines, clock, executions: Mutex::default() }
    }

    /// The remembered executions, newest first.
    pub(crate) fn executions(&self) -> Vec<Arc<Execution>> {
        self.executions.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
    }

    /// Runs an execution, and waits for its end.
    pub(crate) async fn start_sync_execution(
        self: &Arc<Self>,
        body: &Value,
        calls: Arc<dyn TaskCalls>,
    ) -> Result<Value, AwsError> {
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let arn = text("stateMachineArn").unwrap_or_default().to_owned();
        if !self.machines.contains_key(&arn) {
            let message = format!("State Machine Does Not Exist: '{arn}'");
            return Err(AwsError::new(400, "StateMachineDoesNotExist", message));
        }
        let input = serde_json::from_str(text("input").unwrap_or("{}")).map_err(|error| {
            let message = format!("Invalid State Machine Execution Input: '{error}'");
            AwsError::new(400, "InvalidExecutionInput", message)
        })?;
        let name = text("name").unwrap_or("unnamed").to_owned();
        // A task of its own, so that the execution runs to its end even when the caller stops waiting.
        let states = Arc::clone(self);
        let run = tokio::spawn(async move {
            let machine = states.machines.get(&arn)?;
            let integrations = Integrations { calls, caller: &machine.logical_id };
            let now = || states.clock.now();
            let execution = Arc::new(asl::run(&machine.definition, &integrations, &now, &name, input).await);
            states.remember(Arc::clone(&execution));
            Some(execution)
        });
        let Ok(Some(execution)) = run.await else {
            return Err(AwsError::new(500, "InternalServerError", "the execution panicked or was aborted"));
        };
        Ok(answer(&execution))
    }

    fn remember(&self, execution: Arc<Execution>) {
        let mut executions = self.executions.lock().unwrap_or_else(PoisonError::into_inner);
        if executions.len() == MAX_EXECUTIONS {
            executions.pop_front();
        }
        executions.push_back(execution);
    }
}

/// The answer to `StartSyncExecution`.
fn answer(execution: &Execution) -> Value {
    let json = |value: &Value| Value::String(value.to_string());
    let mut answer = json!({
        "executionArn": execution.arn,
        "name": execution.name,
        "startDate": seconds(execution.started),
        "stopDate": seconds(execution.stopped),
        "status": execution.status.name(),
        "input": json(&execution.input),
    });
    for (name, value) in [
        ("output", execution.status.output().map(json)),
        ("error", execution.status.error().map(Value::from)),
        ("cause", execution.status.cause().map(Value::from)),
    ] {
        if let Some(value) = value {
            answer[name] = value;
        }
    }
    answer
}

/// A timestamp of the protocol: whole seconds since the Unix epoch.
fn seconds(at: OffsetDateTime) -> Value {
    Value::from(at.unix_timestamp())
}

/// The optimised integrations, for the executions of one state machine.
struct Integrations<'a> {
    calls: Arc<dyn TaskCalls>,
    /// The state machine's logical id.
    caller: &'a str,
}

impl Integrations<'_> {
    async fn invoke(&self, arguments: &Value) -> Result<Value, TaskFailure> {
        let function = arguments["FunctionName"].as_str().unwrap_or_default().to_owned();
        let payload = arguments.get("Payload").cloned().unwrap_or(Value::Null).to_string();
        let invoked = self
            .calls
            .call(self.caller, TaskCall::Invoke { function, payload })
            .await
            .map_err(|error| failure("Lambda", &error))?;
        let payload: Value = serde_json::from_str(invoked["payload"].as_str().unwrap_or_default())
            .map_err(|_unreadable| TaskFailure::new("Lambda.Unknown", "the function's answer is not JSON"))?;
        if invoked["failed"] == true {
            let name = payload["errorType"].as_str().unwrap_or("Lambda.Unknown");
            return Err(TaskFailure::new(name, payload.to_string()));
        }
        Ok(json!({ "ExecutedVersion": "$LATEST", "StatusCode": 200, "Payload": payload }))
    }
}

impl Services for Integrations<'_> {
    fn call<'a>(&'a self, resource: &'a str, arguments: Value) -> TaskResult<'a> {
        Box::pin(async move {
            let (prefix, call) = match resource {
                INVOKE => return self.invoke(&arguments).await,
                PUBLISH => ("SNS", TaskCall::Publish(arguments)),
                UPDATE_ITEM => ("DynamoDB", TaskCall::UpdateItem(arguments)),
                other => {
                    return Err(TaskFailure::new(
                        "States.Runtime",
                        format!("the resource {other} is not supported"),
                    ));
                }
            };
            self.calls.call(self.caller, call).await.map_err(|error| failure(prefix, &error))
        })
    }
}

/// An error under Step Functions' name for it: the service, a dot, and the exception.
fn failure(prefix: &str, error: &AwsError) -> TaskFailure {
    let suffix = if error.code.ends_with("Exception") { "" } else { "Exception" };
    TaskFailure::new(format!("{prefix}.{}{suffix}", error.code), error.message.clone())
}

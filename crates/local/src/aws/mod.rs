//! AWS, as far as Orderflow calls it: one handler for every call, whoever makes it. The functions' SDK clients reach
//! it in process, command-line tools over HTTP, and the state machine's tasks directly.
//!
//! Every call passes through `Aws::execute`: there it is recorded, there faults are planted, there it is
//! interleaved with others. Nothing here decides what a service does: DynamoDB is `dynoxide`, the rest has files of
//! its own.

mod client;
mod dynamodb;
mod faults;
mod integrations;
mod permissions;
mod wire;

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use bytes::Bytes;
use dynoxide::Database;
use serde_json::{Value, json};

pub(crate) use self::permissions::Roles;
pub use self::{
    client::sdk_config,
    faults::{Call, Fault, Faults, Recorded},
    permissions::Need,
};
use self::{integrations::Integrations, wire::Operation};
use crate::{
    asl::{self, Definition, Execution},
    clock::Clock,
    cognito::Cognito,
    functions::{Functions, Invocation},
    sns::{AwsError, Sns},
};

/// The most executions that are kept for `GET /local/executions`.
const MAX_EXECUTIONS: usize = 1_000;

const NO_POOL: &str = "There is no user pool: the template's parameters name another issuer of tokens";

/// The handler of AWS calls.
pub struct Aws {
    database: Database,
    sns: Arc<Sns>,
    /// `None` where the template makes no user pool.
    cognito: Option<Arc<Cognito>>,
    clock: Clock,
    machines: HashMap<String, Machine>,
    roles: Roles,
    functions: OnceLock<Functions>,
    executions: Mutex<VecDeque<Arc<Execution>>>,
    faults: Faults,
    interleaving: Option<Mutex<fastrand::Rng>>,
}

impl std::fmt::Debug for Aws {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Aws")
    }
}

/// A state machine, and who it is to the services that it calls.
pub(crate) struct Machine {
    pub(crate) logical_id: String,
    pub(crate) definition: Definition,
}

/// Why a service refused a call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    /// The whole body, where it holds more than code and message.
    pub(crate) body: Option<Box<Value>>,
}

impl Refusal {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), body: None }
    }
}

impl From<AwsError> for Refusal {
    fn from(error: AwsError) -> Self {
        Self { status: error.status, code: error.code, message: error.message, body: None }
    }
}

pub(crate) type Answer<'a> = Pin<Box<dyn Future<Output = Result<Value, Refusal>> + Send + 'a>>;

impl Aws {
    /// Makes the handler. With a `seed`, calls yield a random number of times around their effect, so that
    /// concurrent requests interleave, the same way each time.
    pub(crate) fn new(
        database: Database,
        sns: Arc<Sns>,
        cognito: Option<Arc<Cognito>>,
        clock: Clock,
        machines: HashMap<String, Machine>,
        roles: Roles,
        seed: Option<u64>,
    ) -> Self {
        Self {
            database,
            sns,
            cognito,
            clock,
            machines,
            roles,
            functions: OnceLock::new(),
            executions: Mutex::default(),
            faults: Faults::default(),
            interleaving: seed.map(|seed| Mutex::new(fastrand::Rng::with_seed(seed))),
        }
    }

    /// Hands over the functions, whose clients had to be made from this handler first.
    pub(crate) fn deploy(&self, functions: Functions) {
        // Only the stack's start calls this, once.
        let _deployed_before = self.functions.set(functions);
    }

    /// The functions, once they are deployed.
    pub fn functions(&self) -> Option<&Functions> {
        self.functions.get()
    }

    /// Where faults are planted and calls recorded.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The last executions, newest first.
    pub fn executions(&self) -> Vec<Arc<Execution>> {
        self.executions.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
    }

    /// Answers one call over HTTP, in whatever protocol its service speaks.
    pub async fn handle(self: &Arc<Self>, request: http::Request<Bytes>) -> http::Response<Bytes> {
        let (caller, protocol, operation) = match wire::read(&request) {
            Ok(read) => read,
            Err((protocol, refusal)) => return wire::write(protocol, "", &Err(refusal)),
        };
        let name = operation.name().to_owned();
        let answer = self.execute(&caller, operation).await;
        wire::write(protocol, &name, &answer)
    }

    /// Makes one call on behalf of `caller`, a logical id of the template (or whatever access key id a tool used).
    fn execute<'a>(self: &'a Arc<Self>, caller: &'a str, operation: Operation) -> Answer<'a> {
        Box::pin(async move {
            self.interleave().await;
            let call = Call {
                caller: caller.to_owned(),
                service: operation.service(),
                operation: operation.name().to_owned(),
                target: operation.target(),
            };
            let (fault, operation, place) = self.faults.next(&call, operation);
            if let Some(denied) = self.roles.refuse(caller, &operation) {
                return Err(denied);
            }
            if let Some(refusal) = fault.as_ref().and_then(|fault| faults::instead(fault, &operation)) {
                return Err(refusal);
            }
            let answer = self.perform(operation).await;
            self.faults.note(place, &answer);
            self.interleave().await;
            match fault {
                Some(Fault::After) => Err(faults::lost(call.service)),
                Some(Fault::Delay(time)) => {
                    tokio::time::sleep(time).await;
                    answer
                }
                Some(
                    Fault::Before | Fault::Throttle | Fault::Conflict | Fault::Cancel(_) | Fault::Refuse(_),
                )
                | None => answer,
            }
        })
    }

    async fn perform(self: &Arc<Self>, operation: Operation) -> Result<Value, Refusal> {
        match operation {
            Operation::DynamoDb { operation, body } => dynamodb::call(&self.database, &operation, &body),
            Operation::Sns { action, parameters } => Ok(self.sns.call(&action, &parameters)?),
            Operation::Cognito { operation, request } => match &self.cognito {
                Some(cognito) => Ok(cognito.call(&operation, &request.0)?),
                None => Err(Refusal::new(400, "ResourceNotFoundException", NO_POOL)),
            },
            Operation::StartSyncExecution { body } => self.start_sync_execution(&body).await,
            Operation::Invoke { function, payload } => self.invoke(&function, payload).await,
        }
    }

    /// Invokes a function and waits. `{"payload": <text>, "failed": <bool>}`.
    async fn invoke(&self, function: &str, payload: String) -> Result<Value, Refusal> {
        let unknown =
            || Refusal::new(404, "ResourceNotFoundException", format!("Function not found: {function}"));
        let functions = self.functions.get().ok_or_else(unknown)?;
        Ok(match functions.invoke(function, payload).await.ok_or_else(unknown)? {
            Invocation::Answered(payload) => json!({ "payload": payload, "failed": false }),
            Invocation::Failed { error_type, message } => {
                let payload = json!({ "errorType": error_type, "errorMessage": message }).to_string();
                json!({ "payload": payload, "failed": true })
            }
        })
    }

    async fn start_sync_execution(self: &Arc<Self>, body: &Value) -> Result<Value, Refusal> {
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let arn = text("stateMachineArn").unwrap_or_default().to_owned();
        if !self.machines.contains_key(&arn) {
            let message = format!("State Machine Does Not Exist: '{arn}'");
            return Err(Refusal::new(400, "StateMachineDoesNotExist", message));
        }
        let input = serde_json::from_str(text("input").unwrap_or("{}")).map_err(|error| {
            Refusal::new(
                400,
                "InvalidExecutionInput",
                format!("Invalid State Machine Execution Input: '{error}'"),
            )
        })?;
        let name = text("name").unwrap_or("unnamed").to_owned();
        // An execution runs to its end, also when its caller stops waiting.
        let aws = Arc::clone(self);
        let run = tokio::spawn(async move {
            let machine = aws.machines.get(&arn)?;
            let services = Integrations::new(Arc::clone(&aws), machine.logical_id.clone());
            let execution =
                Arc::new(asl::run(&machine.definition, &services, &aws.clock, &name, input).await);
            aws.keep(Arc::clone(&execution));
            Some(execution)
        });
        let Ok(Some(execution)) = run.await else {
            return Err(Refusal::new(500, "InternalServerError", "the execution was cut off"));
        };
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
        Ok(answer)
    }

    fn keep(&self, execution: Arc<Execution>) {
        let mut executions = self.executions.lock().unwrap_or_else(PoisonError::into_inner);
        if executions.len() == MAX_EXECUTIONS {
            executions.pop_front();
        }
        executions.push_back(execution);
    }

    async fn interleave(&self) {
        let Some(random) = &self.interleaving else { return };
        let times = random.lock().unwrap_or_else(PoisonError::into_inner).usize(0..4);
        for _ in 0..times {
            tokio::task::yield_now().await;
        }
    }
}

/// Whole seconds since the epoch, as the protocol's timestamps may be.
fn seconds(at: time::OffsetDateTime) -> Value {
    Value::from(at.unix_timestamp())
}

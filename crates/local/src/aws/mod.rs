//! The one entry for every AWS call. The functions' SDK clients call it in process, command-line tools over HTTP, and the
//! state machine's Tasks directly.
//!
//! `Aws::execute` records every call, checks its caller's role, plants faults, and interleaves concurrent calls. No call
//! reaches a service by another way. Nothing here decides how a service behaves: `services` does.

mod client;
mod faults;
mod permissions;
mod query;
#[cfg(test)]
mod sdk_tests;
mod wire;

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use asl::Execution;
use bytes::Bytes;
use dynoxide::Database;
use serde_json::{Value, json};

pub(crate) use self::permissions::Roles;
use self::wire::Operation;
pub use self::{
    client::sdk_config,
    faults::{Call, Fault, Faults, Recorded},
    permissions::RequiredPermission,
};
use crate::{
    ground::AwsError,
    services::{
        cognito::Cognito,
        dynamodb,
        lambda::{Functions, Invocation},
        sns::Sns,
        states::{States, TaskCall, TaskCalls},
    },
};

const NO_POOL: &str =
    "There is no user pool, because the template's parameters name another issuer: sign in there";

/// The handler of AWS calls.
pub struct Aws {
    database: Database,
    sns: Arc<Sns>,
    /// `None` if the template has no user pool.
    cognito: Option<Arc<Cognito>>,
    states: Arc<States>,
    roles: Roles,
    functions: OnceLock<Functions>,
    faults: Faults,
    interleaving: Option<Mutex<fastrand::Rng>>,
}

impl std::fmt::Debug for Aws {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Aws")
    }
}

/// A future of the answer to one call.
pub(crate) type CallResult<'a> = Pin<Box<dyn Future<Output = Result<Value, AwsError>> + Send + 'a>>;

impl Aws {
    /// Makes the handler. With a `seed`, each call yields a random number of times before and after its effect, so that
    /// concurrent calls interleave. The same seed gives the same order.
    pub(crate) fn new(
        database: Database,
        sns: Arc<Sns>,
        cognito: Option<Arc<Cognito>>,
        states: Arc<States>,
        roles: Roles,
        seed: Option<u64>,
    ) -> Self {
        Self {
            database,
            sns,
            cognito,
            states,
            roles,
            functions: OnceLock::new(),
            faults: Faults::default(),
            interleaving: seed.map(|seed| Mutex::new(fastrand::Rng::with_seed(seed))),
        }
    }

    /// Adds the functions. They come later than `new`, because their clients are made from this handler.
    pub(crate) fn deploy(&self, functions: Functions) {
        // The stack calls this once, when it starts.
        let _deployed_before = self.functions.set(functions);
    }

    /// The functions; `None` until they are deployed.
    pub fn functions(&self) -> Option<&Functions> {
        self.functions.get()
    }

    /// Plants faults on calls, and records calls.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// The last executions of all state machines, newest first.
    pub fn executions(&self) -> Vec<Arc<Execution>> {
        self.states.executions()
    }

    /// Answers one call over HTTP, in its service's protocol.
    pub async fn handle(self: &Arc<Self>, request: http::Request<Bytes>) -> http::Response<Bytes> {
        let (caller, protocol, operation) = match wire::read(&request) {
            Ok(read) => read,
            Err((protocol, refusal)) => return wire::write(protocol, "", &Err(refusal)),
        };
        let name = operation.name().to_owned();
        let answer = self.execute(&caller, operation).await;
        wire::write(protocol, &name, &answer)
    }

    /// Makes one call for `caller`: a logical id of the template, or the access key id that a tool uses.
    fn execute<'a>(self: &'a Arc<Self>, caller: &'a str, operation: Operation) -> CallResult<'a> {
        Box::pin(async move {
            self.interleave().await;
            let call = Call {
                caller: caller.to_owned(),
                service: operation.service(),
                operation: operation.name().to_owned(),
                target: operation.target(),
            };
            let (fault, operation, place) = self.faults.start_call(&call, operation);
            if let Some(denied) = self.roles.denial(caller, &operation) {
                return Err(denied);
            }
            if let Some(refusal) = fault.as_ref().and_then(|fault| faults::planted_error(fault, &operation)) {
                return Err(refusal);
            }
            let started = tokio::time::Instant::now();
            let answer = self.perform(operation).await;
            self.faults.record_answer(place, &answer, started.elapsed());
            self.interleave().await;
            match fault {
                Some(Fault::After) => Err(faults::server_error(call.service)),
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

    async fn perform(self: &Arc<Self>, operation: Operation) -> Result<Value, AwsError> {
        match operation {
            Operation::DynamoDb { operation, body } => dynamodb::call(&self.database, &operation, &body),
            Operation::Sns { action, parameters } => self.sns.call(&action, &parameters),
            Operation::Cognito { operation, request } => match &self.cognito {
                Some(cognito) => cognito.call(&operation, &request.0),
                None => Err(AwsError::new(400, "ResourceNotFoundException", NO_POOL)),
            },
            Operation::StartSyncExecution { body } => {
                let calls = Arc::new(StatesTaskCalls(Arc::clone(self)));
                self.states.start_sync_execution(&body, calls).await
            }
            Operation::Invoke { function, payload } => self.invoke(&function, payload).await,
        }
    }

    /// Invokes a function, and waits. Returns `{"payload": <text>, "failed": <bool>}`.
    async fn invoke(&self, function: &str, payload: String) -> Result<Value, AwsError> {
        let unknown =
            || AwsError::new(404, "ResourceNotFoundException", format!("Function not found: {function}"));
        let functions = self.functions.get().ok_or_else(unknown)?;
        Ok(match functions.invoke(function, payload).await.ok_or_else(unknown)? {
            Invocation::Answered(payload) => json!({ "payload": payload, "failed": false }),
            Invocation::Failed { error_type, message } => {
                let payload = json!({ "errorType": error_type, "errorMessage": message }).to_string();
                json!({ "payload": payload, "failed": true })
            }
        })
    }

    async fn interleave(&self) {
        let Some(random) = &self.interleaving else { return };
        let times = random.lock().unwrap_or_else(PoisonError::into_inner).usize(0..4);
        for _ in 0..times {
            tokio::task::yield_now().await;
        }
    }
}

/// Makes the calls of the state machines' Tasks.
struct StatesTaskCalls(Arc<Aws>);

impl TaskCalls for StatesTaskCalls {
    fn call<'a>(&'a self, caller: &'a str, call: TaskCall) -> CallResult<'a> {
        let operation = match call {
            TaskCall::Invoke { function, payload } => Operation::Invoke { function, payload },
            TaskCall::Publish(parameters) => Operation::Sns { action: "Publish".to_owned(), parameters },
            TaskCall::UpdateItem(request) => {
                Operation::DynamoDb { operation: "UpdateItem".to_owned(), body: request.to_string() }
            }
        };
        self.0.execute(caller, operation)
    }
}

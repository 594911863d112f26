//! A function, as Lambda's runtime and the local stack both run it. Events and answers are texts, so that both parse
//! and serialise in the same way.

use std::{future::Future, panic::AssertUnwindSafe, pin::Pin};

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use domain::Error;
use futures_util::FutureExt as _;
use serde::{Serialize, de::DeserializeOwned};
use tracing::Instrument as _;

use crate::{Request, Response, logs, problem::problem, trace};

/// A function that the HTTP API calls.
pub trait Door: Send + Sync + 'static {
    /// Answers one request. An error becomes a problem document.
    fn handle(&self, request: Request) -> impl Future<Output = Result<Response, Error>> + Send;
}

/// A function that the state machine or a schedule calls.
pub trait Step: Send + Sync + 'static {
    /// The event, as the caller sends it.
    type Input: DeserializeOwned + Send;
    /// The answer, as the caller reads it.
    type Output: Serialize;

    /// Answers one event. An error becomes a task error.
    fn handle(&self, input: Self::Input) -> impl Future<Output = Result<Self::Output, Error>> + Send;
}

/// The report of a failed invocation. Lambda passes it on to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskError {
    /// The error's [`domain::Error::code`]. The state machine's `ErrorEquals` matches it.
    pub name: &'static str,
    /// The error's `Display` text, without its causes.
    pub message: String,
}

type InvocationResult<'a> = Pin<Box<dyn Future<Output = Result<String, TaskError>> + Send + 'a>>;

trait Handler: Send + Sync {
    fn invoke<'a>(&'a self, event: &'a str, request_id: &'a str) -> InvocationResult<'a>;
}

/// A function of either kind, ready to be invoked.
pub struct Function(Box<dyn Handler>);

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Function")
    }
}

impl Function {
    /// Makes a function that the HTTP API calls.
    pub fn door(door: impl Door) -> Self {
        Self(Box::new(DoorHandler(door)))
    }

    /// Makes a function that the state machine or a schedule calls.
    pub fn step(step: impl Step) -> Self {
        Self(Box::new(StepHandler(step)))
    }

    /// Runs the function on one event. `request_id` is the invocation's id, `trace` its X-Ray header.
    pub async fn invoke(
        &self,
        event: &str,
        request_id: &str,
        trace: Option<&str>,
    ) -> Result<String, TaskError> {
        let span = logs::invocation(request_id);
        trace::within(trace, self.0.invoke(event, request_id)).instrument(span).await
    }
}

struct DoorHandler<D>(D);

impl<D: Door> Handler for DoorHandler<D> {
    fn invoke<'a>(&'a self, event: &'a str, invocation_id: &'a str) -> InvocationResult<'a> {
        Box::pin(async move {
            let (request_id, answer) = match read::<ApiGatewayV2httpRequest>(event) {
                Ok(event) => {
                    // A problem carries the gateway's id, because clients see that one in a header.
                    let request_id = event.request_context.request_id.clone();
                    let request = Request::from_event(event, invocation_id);
                    (request_id, unpanicked(self.0.handle(request)).await)
                }
                Err(error) => (None, Err(error)),
            };
            let response = match answer {
                Ok(response) => {
                    tracing::info!(status = response.status(), "answered");
                    Ok(response)
                }
                Err(error) => {
                    let request_id = request_id.as_deref().unwrap_or(invocation_id);
                    let response = problem(&error, request_id);
                    logs::failure(&error, response.as_ref().ok().map(Response::status));
                    response
                }
            };
            write(&response.map_err(|error| task_error(&error))?)
        })
    }
}

struct StepHandler<S>(S);

impl<S: Step> Handler for StepHandler<S> {
    fn invoke<'a>(&'a self, event: &'a str, _invocation_id: &'a str) -> InvocationResult<'a> {
        Box::pin(async move {
            let answer = match read(event) {
                Ok(input) => unpanicked(self.0.handle(input)).await,
                Err(error) => Err(error),
            };
            match answer {
                Ok(output) => {
                    tracing::info!("answered");
                    write(&output)
                }
                Err(error) => {
                    logs::failure(&error, None);
                    Err(task_error(&error))
                }
            }
        })
    }
}

/// Reads an event. Only the place of a fault is kept, because the parser's message could repeat the event's content.
fn read<T: DeserializeOwned>(event: &str) -> Result<T, Error> {
    serde_json::from_str(event).map_err(|source| Error::Internal {
        doing: "reading the event",
        source: format!("not of the expected form at line {} column {}", source.line(), source.column())
            .into(),
    })
}

fn write(output: &impl Serialize) -> Result<String, TaskError> {
    serde_json::to_string(output)
        .map_err(|source| task_error(&Error::Internal { doing: "writing the answer", source: source.into() }))
}

fn task_error(error: &Error) -> TaskError {
    TaskError { name: error.code(), message: error.to_string() }
}

/// Turns a panic into an error without its message. The message may hold anything, and the runtime would report it.
async fn unpanicked<T>(handling: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let caught = AssertUnwindSafe(handling).catch_unwind().await;
    caught.unwrap_or_else(|_payload| {
        Err(Error::Internal { doing: "handling the event", source: "the handler panicked".into() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Panics;

    impl Step for Panics {
        type Input = serde_json::Value;
        type Output = ();

        #[allow(clippy::panic, reason = "this step exists to panic")]
        async fn handle(&self, input: Self::Input) -> Result<(), Error> {
            panic!("{input}")
        }
    }

    struct Contended;

    impl Step for Contended {
        type Input = serde_json::Value;
        type Output = ();

        async fn handle(&self, _input: Self::Input) -> Result<(), Error> {
            Err(Error::StockContention)
        }
    }

    #[tokio::test]
    async fn a_panics_message_is_not_reported() {
        let error = Function::step(Panics).invoke("\"ada@example.com\"", "1", None).await.unwrap_err();
        assert_eq!(
            error,
            TaskError { name: "internal", message: "handling the event failed for good".into() }
        );
    }

    #[tokio::test]
    async fn a_task_error_is_named_by_its_code() {
        let error = Function::step(Contended).invoke("{}", "1", None).await.unwrap_err();
        assert_eq!(error.name, "StockContention");
    }

    #[tokio::test]
    async fn the_error_for_an_unreadable_event_does_not_repeat_it() {
        struct Typed;
        impl Step for Typed {
            type Input = bool;
            type Output = ();
            async fn handle(&self, _input: bool) -> Result<(), Error> {
                Ok(())
            }
        }
        let error = Function::step(Typed).invoke("\"ada@example.com\"", "1", None).await.unwrap_err();
        assert!(!format!("{error:?}").contains("ada"), "{error:?}");
    }
}

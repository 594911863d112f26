//! A function, whoever runs it: Lambda's runtime, or the local stack. Events go in as text and come out as text, so
//! that both serialise and parse the same.

use std::{future::Future, panic::AssertUnwindSafe, pin::Pin};

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use domain::Error;
use futures_util::FutureExt as _;
use serde::{Serialize, de::DeserializeOwned};
use tracing::Instrument as _;

use crate::{Request, Response, logs, problem::problem, trace};

/// A function behind the HTTP API.
pub trait Door: Send + Sync + 'static {
    /// Answers one request.
    fn handle(&self, request: Request) -> impl Future<Output = Result<Response, Error>> + Send;
}

/// A function that the state machine calls.
pub trait Step: Send + Sync + 'static {
    /// What it is asked.
    type Input: DeserializeOwned + Send;
    /// What it answers.
    type Output: Serialize;

    /// Answers one task.
    fn handle(&self, input: Self::Input) -> impl Future<Output = Result<Self::Output, Error>> + Send;
}

/// What Lambda reports of a failed invocation; the state machine matches `name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskError {
    /// The error's name: [`domain::Error::code`].
    pub name: &'static str,
    /// A sentence for people.
    pub message: String,
}

type InvocationResult<'a> = Pin<Box<dyn Future<Output = Result<String, TaskError>> + Send + 'a>>;

trait Handler: Send + Sync {
    fn invoke<'a>(&'a self, event: &'a str, request_id: &'a str) -> InvocationResult<'a>;
}

/// A function, ready to be invoked.
pub struct Function(Box<dyn Handler>);

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Function")
    }
}

impl Function {
    /// A function behind the HTTP API.
    pub fn door(door: impl Door) -> Self {
        Self(Box::new(DoorHandler(door)))
    }

    /// A function that the state machine calls.
    pub fn step(step: impl Step) -> Self {
        Self(Box::new(StepHandler(step)))
    }

    /// Runs it on one event. `request_id` is the invocation's, `trace` its X-Ray header.
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
                    // The client can name the gateway's id, so that is the one that a problem carries.
                    let request_id = event.request_context.request_id.clone();
                    let request = Request::from_event(event);
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

/// Reads an event. The parser's message could repeat what is in it, so only its place is kept.
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

/// A panic's message may hold anything, and the runtime would report it: nothing of it is kept.
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

        #[allow(clippy::panic, reason = "that is what this one is for")]
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
    async fn a_panics_message_goes_nowhere() {
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
    async fn an_event_that_cannot_be_read_is_not_repeated() {
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

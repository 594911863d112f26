//! The part of the Lambda Runtime API that a function's program uses, and a program that runs behind it.
//!
//! Source: Lambda developer guide, "Using the Lambda runtime API for custom runtimes".

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    process::{ExitStatus, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use sam_template::FunctionResource;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    net::TcpListener,
    process::{Child, Command},
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::programs::program;

/// Far longer than any answer takes. Without a limit a program that never answers would hang the test.
const PATIENCE: Duration = Duration::from_mins(1);

/// The X-Ray header of every invocation.
pub(crate) const TRACE: &str = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1";

/// A function's answer to an event, or its error report.
pub(crate) type FunctionAnswer = Result<Value, Value>;

/// A function's program, waiting for events.
pub(crate) struct Running {
    lambda: Arc<Lambda>,
    events: mpsc::Sender<(String, String)>,
    count: AtomicUsize,
    child: Child,
    out: JoinHandle<String>,
    err: JoinHandle<String>,
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) out: String,
    pub(crate) err: String,
    /// Its report to `/runtime/init/error`, if it made one.
    pub(crate) init_error: Option<Value>,
}

struct Lambda {
    events: tokio::sync::Mutex<mpsc::Receiver<(String, String)>>,
    waiting: Mutex<HashMap<String, oneshot::Sender<FunctionAnswer>>>,
    init_error: Mutex<Option<Value>>,
}

impl Running {
    /// Starts the program of a function, with the environment that the template gives it and `changed` (`None`
    /// removes a variable). Its AWS calls go to `aws`.
    pub(crate) async fn start(
        function: &FunctionResource,
        aws: SocketAddr,
        changed: &BTreeMap<String, Option<String>>,
    ) -> Self {
        let (events, receiver) = mpsc::channel(1);
        let lambda = Arc::new(Lambda {
            events: tokio::sync::Mutex::new(receiver),
            waiting: Mutex::default(),
            init_error: Mutex::default(),
        });
        let api = serve(Arc::clone(&lambda)).await;
        let mut command = Command::new(program(&function.binary));
        command
            .env_clear()
            .envs(&function.environment)
            .env("AWS_LAMBDA_RUNTIME_API", api.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", &function.name)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "group")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "stream")
            .env("AWS_REGION", local::ground::ACCOUNT.region)
            .env("AWS_ACCESS_KEY_ID", &function.logical_id)
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .env("AWS_ENDPOINT_URL", format!("http://{aws}"));
        for (name, value) in changed {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the function starts");
        let out = gather(child.stdout.take().expect("its output"));
        let err = gather(child.stderr.take().expect("its errors"));
        Self { lambda, events, count: AtomicUsize::new(0), child, out, err }
    }

    /// Invokes it with one event. The invocation's id is `invocation-<n>`, counted from 1.
    pub(crate) async fn invoke(&self, event: &str) -> FunctionAnswer {
        let id = format!("invocation-{}", self.count.fetch_add(1, Ordering::Relaxed) + 1);
        let (answer, answered) = oneshot::channel();
        self.lambda.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), answer);
        self.events.send((id, event.to_owned())).await.expect("Lambda is there");
        let answered = tokio::time::timeout(PATIENCE, answered).await;
        answered.expect("the function answers").expect("Lambda is there")
    }

    /// Kills it, as Lambda does with a sandbox.
    pub(crate) async fn stop(mut self) -> Ended {
        self.child.start_kill().expect("it can be killed");
        self.end().await
    }

    /// Waits until it ends.
    pub(crate) async fn end(mut self) -> Ended {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let status = status.expect("the function ends").expect("it can be waited for");
        let (out, err) = (self.out.await.expect("its output"), self.err.await.expect("its errors"));
        let init_error = self.lambda.init_error.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ended { status, out, err, init_error }
    }
}

fn gather(mut pipe: impl AsyncRead + Unpin + Send + 'static) -> JoinHandle<String> {
    tokio::spawn(async move {
        let mut text = String::new();
        pipe.read_to_string(&mut text).await.expect("text");
        text
    })
}

async fn serve(lambda: Arc<Lambda>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let router = Router::new()
        .route("/2018-06-01/runtime/invocation/next", get(next))
        .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
        .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
        .route("/2018-06-01/runtime/init/error", post(init_error))
        .with_state(lambda);
    tokio::spawn(axum::serve(listener, router).into_future());
    address
}

async fn next(State(lambda): State<Arc<Lambda>>) -> Response {
    let Some((id, event)) = lambda.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let headers = [
        ("content-type", "application/json"),
        ("lambda-runtime-aws-request-id", &id),
        // In the year 2100, so that no test runs out of time here.
        ("lambda-runtime-deadline-ms", "4102444800000"),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:f"),
        ("lambda-runtime-trace-id", TRACE),
    ];
    (headers, event).into_response()
}

async fn response(State(lambda): State<Arc<Lambda>>, Path(id): Path<String>, body: String) -> Response {
    answered(&lambda, &id, Ok(serde_json::from_str(&body).expect("an answer")))
}

async fn error(State(lambda): State<Arc<Lambda>>, Path(id): Path<String>, body: String) -> Response {
    answered(&lambda, &id, Err(serde_json::from_str(&body).expect("an error report")))
}

async fn init_error(State(lambda): State<Arc<Lambda>>, body: String) -> Response {
    let report = serde_json::from_str(&body).unwrap_or(json!(body));
    *lambda.init_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
    accepted()
}

fn answered(lambda: &Lambda, id: &str, answer: FunctionAnswer) -> Response {
    let waiting = lambda.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    // Lambda refuses an answer to an invocation that it did not make, or twice.
    let Some(waiting) = waiting else { return StatusCode::BAD_REQUEST.into_response() };
    match waiting.send(answer) {
        Ok(()) => accepted(),
        Err(_gave_up) => StatusCode::GONE.into_response(),
    }
}

fn accepted() -> Response {
    (StatusCode::ACCEPTED, Json(json!({ "status": "OK" }))).into_response()
}

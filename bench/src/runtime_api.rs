//! The part of the Lambda Runtime API that a function's program uses.
//!
//! Source: Lambda developer guide, "Using the Lambda runtime API for custom runtimes".

use std::{
    collections::{BTreeMap, HashMap},
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
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
    net::TcpListener,
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
};

/// The X-Ray header of every invocation.
pub const TRACE: &str = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1";

/// The variables that a function's program finds on Lambda, those of the template included. Its credentials are missing.
pub fn environment(function: &FunctionResource, region: &str) -> BTreeMap<String, String> {
    let memory = function.memory_mb.to_string();
    let own = [
        ("AWS_LAMBDA_FUNCTION_NAME", function.name.as_str()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "group"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "stream"),
        ("AWS_REGION", region),
    ];
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    function.environment.clone().into_iter().chain(own).collect()
}

/// A function's answer to an event, or its error report.
pub type FunctionAnswer = Result<Value, Value>;

/// A Runtime API for one program.
#[derive(Debug)]
pub struct RuntimeApi {
    /// Where it listens: the value of `AWS_LAMBDA_RUNTIME_API`.
    pub address: SocketAddr,
    lambda: Arc<Lambda>,
    events: mpsc::Sender<(String, String)>,
    count: AtomicUsize,
    /// Ends with the API.
    _serving: JoinSet<std::io::Result<()>>,
}

#[derive(Debug)]
struct Lambda {
    events: tokio::sync::Mutex<mpsc::Receiver<(String, String)>>,
    waiting: Mutex<HashMap<String, oneshot::Sender<FunctionAnswer>>>,
    ready: watch::Sender<bool>,
    init_error: Mutex<Option<Value>>,
}

/// The program ended, or Lambda refused its answer.
#[derive(Debug, thiserror::Error)]
#[error("the program did not answer")]
pub struct NoAnswer;

impl RuntimeApi {
    /// Listens on a free port.
    pub async fn start() -> std::io::Result<Self> {
        let (events, receiver) = mpsc::channel(1);
        let lambda = Arc::new(Lambda {
            events: tokio::sync::Mutex::new(receiver),
            waiting: Mutex::default(),
            ready: watch::Sender::new(false),
            init_error: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route("/2018-06-01/runtime/invocation/{id}/response", post(response))
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .with_state(Arc::clone(&lambda));
        let mut serving = JoinSet::new();
        serving.spawn(axum::serve(listener, router).into_future());
        Ok(Self { address, lambda, events, count: AtomicUsize::new(0), _serving: serving })
    }

    /// Waits until the program asks for its first event, which ends its init.
    pub async fn ready(&self) {
        // The sender is there as long as this is.
        let mut became_ready = self.lambda.ready.subscribe();
        let _always = became_ready.wait_for(|ready| *ready).await;
    }

    /// Invokes the program with one event. The invocation's id is `invocation-<n>`, counted from 1.
    pub async fn invoke(&self, event: &str) -> Result<FunctionAnswer, NoAnswer> {
        let id = format!("invocation-{}", self.count.fetch_add(1, Ordering::Relaxed) + 1);
        let (answer, answered) = oneshot::channel();
        self.lambda.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), answer);
        self.events.send((id, event.to_owned())).await.map_err(|_gone| NoAnswer)?;
        answered.await.map_err(|_gone| NoAnswer)
    }

    /// The program's report to `/runtime/init/error`, if it made one.
    pub fn take_init_error(&self) -> Option<Value> {
        self.lambda.init_error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

async fn next(State(lambda): State<Arc<Lambda>>) -> Response {
    lambda.ready.send_replace(true);
    let Some((id, event)) = lambda.events.lock().await.recv().await else {
        return StatusCode::GONE.into_response();
    };
    let headers = [
        ("content-type", "application/json"),
        ("lambda-runtime-aws-request-id", &id),
        // In the year 2100, so that no invocation runs out of time here.
        ("lambda-runtime-deadline-ms", "4102444800000"),
        ("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:f"),
        ("lambda-runtime-trace-id", TRACE),
    ];
    (headers, event).into_response()
}

async fn response(State(lambda): State<Arc<Lambda>>, Path(id): Path<String>, body: String) -> Response {
    match serde_json::from_str(&body) {
        Ok(answer) => answered(&lambda, &id, Ok(answer)),
        Err(_no_json) => StatusCode::BAD_REQUEST.into_response(),
    }
}

async fn error(State(lambda): State<Arc<Lambda>>, Path(id): Path<String>, body: String) -> Response {
    match serde_json::from_str(&body) {
        Ok(report) => answered(&lambda, &id, Err(report)),
        Err(_no_json) => StatusCode::BAD_REQUEST.into_response(),
    }
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

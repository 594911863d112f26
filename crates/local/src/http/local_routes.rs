//! The routes under `/local`: tokens without a password, the mailbox, and the state machine's executions. Nothing here
//! exists on AWS, and nothing here is part of the shop.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    ground::{
        MailKind, Mailbox,
        tokens::{FieldFault, TokenError, TokenRequest, Tokens},
    },
    services::sns::Sns,
};

/// The largest accepted body, in bytes.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Returns the executions of the state machine as a JSON array, newest first.
pub type Executions = Arc<dyn Fn() -> Value + Send + Sync>;

struct LocalApi {
    tokens: Arc<Tokens>,
    mailbox: Arc<Mailbox>,
    sns: Arc<Sns>,
    executions: Executions,
}

/// The routes under `/local/`. This router has no fallback, so that it can be merged with the gateway's.
pub fn router(tokens: Arc<Tokens>, mailbox: Arc<Mailbox>, sns: Arc<Sns>, executions: Executions) -> Router {
    Router::new()
        .route("/local/token", post(token).fallback(wrong_method))
        .route("/local/mailbox", get(list_mails).fallback(wrong_method))
        .route("/local/mailbox/confirm-all", post(confirm_all).fallback(wrong_method))
        .route("/local/executions", get(executions_of).fallback(wrong_method))
        .route("/local/feed", get(feed).fallback(wrong_method))
        .with_state(Arc::new(LocalApi { tokens, mailbox, sns, executions }))
}

/// Why a request is refused.
enum LocalRouteError {
    Malformed(String),
    TooLarge,
    WrongMethod,
    Invalid(Vec<FieldFault>),
    Failed(String),
}

async fn token(
    State(api): State<Arc<LocalApi>>,
    RawQuery(query): RawQuery,
    body: Body,
) -> Result<Response, LocalRouteError> {
    parameters(query.as_deref(), &[])?;
    let body = to_bytes(body, MAX_BODY_BYTES).await.map_err(|_any| LocalRouteError::TooLarge)?;
    let body: Value =
        serde_json::from_slice(&body).map_err(|fault| LocalRouteError::Malformed(fault.to_string()))?;
    let request = TokenRequest::from_json(&body).map_err(LocalRouteError::Invalid)?;
    match api.tokens.issue(&request) {
        Ok(issued) => Ok(json_response(StatusCode::OK, &issued)),
        Err(TokenError::Invalid(faults)) => Err(LocalRouteError::Invalid(faults)),
        Err(fault @ (TokenError::Store(_) | TokenError::Key(_))) => Err(failed(&fault)),
    }
}

async fn list_mails(
    State(api): State<Arc<LocalApi>>,
    RawQuery(query): RawQuery,
) -> Result<Response, LocalRouteError> {
    let asked = parameters(query.as_deref(), &["kind", "to"])?;
    let kind = match asked.get("kind") {
        None => None,
        Some(name) => {
            let known = MailKind::ALL.into_iter().find(|kind| kind.as_str() == name);
            Some(known.ok_or_else(|| {
                let names = MailKind::ALL.map(MailKind::as_str).join(" or ");
                LocalRouteError::Invalid(vec![FieldFault::new("kind", &format!("must be {names}"))])
            })?)
        }
    };
    let items = api.mailbox.mails(kind, asked.get("to").map(String::as_str));
    Ok(json_response(StatusCode::OK, &json!({ "items": items })))
}

async fn confirm_all(
    State(api): State<Arc<LocalApi>>,
    RawQuery(query): RawQuery,
) -> Result<Response, LocalRouteError> {
    parameters(query.as_deref(), &[])?;
    let confirmed = api.sns.confirm_all().map_err(|fault| failed(&fault))?;
    Ok(json_response(StatusCode::OK, &json!({ "confirmed": confirmed })))
}

async fn executions_of(
    State(api): State<Arc<LocalApi>>,
    RawQuery(query): RawQuery,
) -> Result<Response, LocalRouteError> {
    parameters(query.as_deref(), &[])?;
    Ok(json_response(StatusCode::OK, &json!({ "items": (api.executions)() })))
}

async fn feed(
    State(api): State<Arc<LocalApi>>,
    RawQuery(query): RawQuery,
) -> Result<Response, LocalRouteError> {
    parameters(query.as_deref(), &[])?;
    Ok(json_response(StatusCode::OK, &json!({ "items": api.sns.feed() })))
}

async fn wrong_method() -> LocalRouteError {
    LocalRouteError::WrongMethod
}

/// Parses a query, and collects every parameter that is unknown, empty or repeated. An empty one is a fault, because a
/// script whose variable is unset would otherwise list everything.
fn parameters(query: Option<&str>, known: &[&str]) -> Result<BTreeMap<String, String>, LocalRouteError> {
    let mut found = BTreeMap::new();
    let mut faults = Vec::new();
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        if !known.contains(&name.as_ref()) {
            let reason = if known.is_empty() {
                "is not a parameter of this route, which takes none".to_owned()
            } else {
                format!("is not a parameter of this route, which takes {}", known.join(" and "))
            };
            faults.push(FieldFault::new(&name, &reason));
        } else if value.is_empty() {
            faults.push(FieldFault::new(&name, "must not be empty"));
        } else if found.insert(name.clone().into_owned(), value.into_owned()).is_some() {
            faults.push(FieldFault::new(&name, "must not be repeated"));
        }
    }
    if faults.is_empty() { Ok(found) } else { Err(LocalRouteError::Invalid(faults)) }
}

fn failed(fault: &(dyn std::error::Error + 'static)) -> LocalRouteError {
    tracing::error!(fault, "the local stack's own rows cannot be used");
    LocalRouteError::Failed(fault.to_string())
}

impl IntoResponse for LocalRouteError {
    fn into_response(self) -> Response {
        let (status, message, errors) = match self {
            Self::Malformed(why) => (StatusCode::BAD_REQUEST, format!("the body is not JSON: {why}"), vec![]),
            Self::TooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body must have at most {MAX_BODY_BYTES} bytes"),
                vec![],
            ),
            Self::WrongMethod => {
                (StatusCode::METHOD_NOT_ALLOWED, "this route does not take this method".to_owned(), vec![])
            }
            Self::Invalid(faults) => {
                (StatusCode::UNPROCESSABLE_ENTITY, "the request is not valid".to_owned(), faults)
            }
            Self::Failed(why) => (StatusCode::INTERNAL_SERVER_ERROR, why, vec![]),
        };
        json_response(status, &json!({ "message": message, "errors": errors }))
    }
}

fn json_response(status: StatusCode, body: &impl Serialize) -> Response {
    // These values hold texts, numbers and lists only, so serialising cannot fail. An empty body would be noticed at once.
    let body = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use dynoxide::Database;
    use http::Request;
    use time::macros::datetime;
    use tower::ServiceExt as _;

    use super::*;
    use crate::ground::{StackClock, Store};

    const TOPIC: &str = "arn:aws:sns:us-east-1:000000000000:orders";

    struct LocalWorld {
        api: Router,
        tokens: Arc<Tokens>,
        sns: Arc<Sns>,
    }

    fn world() -> LocalWorld {
        let clock = StackClock::held(datetime!(2026-03-01 12:00 UTC));
        let store = Store::open(Database::memory().unwrap()).unwrap();
        let tokens = Tokens::open(&store, clock.clone(), "iss".to_owned(), "aud".to_owned()).unwrap();
        let mailbox = Arc::new(Mailbox::open(store.clone()).unwrap());
        let sns = Sns::open(store, clock, Arc::clone(&mailbox)).unwrap();
        sns.ensure_topic(TOPIC, None).unwrap();
        let (tokens, sns) = (Arc::new(tokens), Arc::new(sns));
        let executions: Executions = Arc::new(|| json!([{"name": "o-1"}]));
        LocalWorld { api: router(Arc::clone(&tokens), mailbox, Arc::clone(&sns), executions), tokens, sns }
    }

    impl LocalWorld {
        async fn call(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
            let request =
                Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap();
            let response = self.api.clone().oneshot(request).await.unwrap();
            assert_eq!(response.headers()["content-type"], "application/json");
            let status = response.status().as_u16();
            let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
            (status, serde_json::from_slice(&body).unwrap())
        }

        fn subscribe(&self, to: &str) {
            let wish = json!({"TopicArn": TOPIC, "Protocol": "email", "Endpoint": to});
            self.sns.call("Subscribe", &wish).unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_issued_without_a_password() {
        let world = world();
        let (status, issued) =
            world.call("POST", "/local/token", r#"{"email": "ana@example.com", "groups": ["admin"]}"#).await;
        assert_eq!(status, 200);
        let claims = world.tokens.verify(issued["id_token"].as_str(), "iss", &["aud".to_owned()]).unwrap();
        assert_eq!((&claims["sub"], &claims["cognito:groups"]), (&issued["user_id"], &json!(["admin"])));
    }

    #[tokio::test(start_paused = true)]
    async fn every_fault_of_a_request_is_named_at_once() {
        let world = world();
        let fields = |body: &Value| -> Vec<String> {
            let errors = body["errors"].as_array().unwrap();
            errors.iter().map(|error| error["field"].as_str().unwrap().to_owned()).collect()
        };
        for (call, body, status, wrong) in [
            ("POST /local/token", "{", 400, &[][..]),
            ("POST /local/token", "", 400, &[]),
            ("POST /local/token", r#"{"role": 1, "name": 2}"#, 422, &["email", "name", "role"]),
            ("POST /local/token?x=1", r#"{"email": "ana@example.com"}"#, 422, &["x"]),
            ("GET /local/token", "", 405, &[]),
            ("GET /local/mailbox?kind=spam", "", 422, &["kind"]),
            ("GET /local/mailbox?knd=order_status&to=&to=a", "", 422, &["knd", "to"]),
            ("GET /local/mailbox?to=a&to=b", "", 422, &["to"]),
            ("POST /local/mailbox/confirm-all?to=a", "", 422, &["to"]),
            ("GET /local/executions?limit=1", "", 422, &["limit"]),
            ("GET /local/feed?limit=1", "", 422, &["limit"]),
            ("POST /local/feed", "", 405, &[]),
        ] {
            let (method, path) = call.split_once(' ').unwrap();
            let (answered, problem) = world.call(method, path, body).await;
            assert_eq!(
                (answered, fields(&problem)),
                (status, wrong.iter().map(|w| (*w).to_owned()).collect()),
                "{call}"
            );
            assert!(problem["message"].is_string());
        }
        let large = format!(r#"{{"email": "{}"}}"#, "a".repeat(MAX_BODY_BYTES));
        assert_eq!(world.call("POST", "/local/token", &large).await.0, 413);
    }

    #[tokio::test(start_paused = true)]
    async fn the_mailbox_is_filtered_by_kind_and_address() {
        let world = world();
        world.subscribe("ana@example.com");
        world.subscribe("bob@example.com");
        assert_eq!(
            world.call("POST", "/local/mailbox/confirm-all", "").await,
            (200, json!({"confirmed": 2}))
        );
        assert_eq!(
            world.call("POST", "/local/mailbox/confirm-all", "").await,
            (200, json!({"confirmed": 0}))
        );
        world.sns.call("Publish", &json!({"TopicArn": TOPIC, "Message": "hi"})).unwrap();
        for (query, count) in [
            ("", 4),
            ("?kind=order_status", 2),
            ("?kind=subscription_confirmation&to=bob%40example.com", 1),
            ("?to=eve@example.com", 0),
        ] {
            let (status, mails) = world.call("GET", &format!("/local/mailbox{query}"), "").await;
            assert_eq!((status, mails["items"].as_array().unwrap().len()), (200, count), "{query}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_feed_shows_what_was_published() {
        let world = world();
        assert_eq!(world.call("GET", "/local/feed", "").await, (200, json!({"items": []})));
        let message = json!({"TopicArn": TOPIC, "Message": "{\"version\": 1}"});
        world.sns.call("Publish", &message).unwrap();
        let item = json!({"topic": TOPIC, "message": {"version": 1}, "attributes": {},
                          "at": "2026-03-01T12:00:00.000Z"});
        assert_eq!(world.call("GET", "/local/feed", "").await, (200, json!({"items": [item]})));
    }

    #[tokio::test(start_paused = true)]
    async fn executions_are_listed() {
        let answer = world().call("GET", "/local/executions", "").await;
        assert_eq!(answer, (200, json!({"items": [{"name": "o-1"}]})));
    }
}

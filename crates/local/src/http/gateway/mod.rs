//! The HTTP API in front of the functions, like API Gateway on AWS. It finds the route, checks the caller's token, turns
//! the request into a payload 2.0 event, and turns the function's reply into a response. Its own answers have AWS's
//! messages.
//!
//! Nothing here knows a function or a rule of the shop. Nothing here logs a body, a header or a token.
//!
//! | file | owns |
//! |---|---|
//! | `routes` | which route a request takes |
//! | `cors` | preflights and CORS headers |
//! | `event` | the event that a function receives |
//! | `reply` | the response from a function's reply |

mod cors;
mod event;
mod reply;
mod routes;
#[cfg(test)]
mod tests;

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header, request::Parts};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use sam_template::{Authorizer, Cors, Route};
use serde_json::{Map, Value, json};
use tracing::Instrument as _;

use self::{event::RoutedCall, routes::Routes};
use crate::ground::{
    StackClock,
    tokens::{Tokens, Unauthorized},
};

/// The largest request body in bytes, from "Quotas for HTTP APIs": 10 MB.
pub const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;
/// The largest size of request line and header values together, in bytes, from "Quotas for HTTP APIs".
pub const MAX_HEADER_BYTES: usize = 10_240;

/// Invokes functions.
pub trait Invoker: Send + Sync {
    /// Invokes the function that the route names, and returns its reply.
    ///
    /// As on Lambda, the gateway lets the future run to its end, even when it stops waiting or the client disconnects.
    fn invoke<'a>(
        &'a self,
        function: &'a str,
        event: Bytes,
    ) -> Pin<Box<dyn Future<Output = Result<Bytes, InvokeFailure>> + Send + 'a>>;
}

/// Why a function gave no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvokeFailure {
    /// It returned an error, panicked or timed out: 500.
    #[error("the function failed")]
    FunctionError,
    /// The function does not exist, or the gateway has no permission: 500.
    #[error("the function cannot be invoked")]
    NotInvocable,
}

struct Gateway {
    routes: Routes,
    cors: Option<Cors>,
    tokens: Arc<Tokens>,
    invoker: Arc<dyn Invoker>,
    clock: StackClock,
    /// The next request id. It starts at a random number, so that ids from two runs differ in a log.
    requests: AtomicU64,
}

/// The API as a service. It answers 404 to a request that matches no route. So it can be merged with routers that have
/// no fallback.
pub fn router(
    routes: Vec<Route>,
    cors: Option<Cors>,
    tokens: Arc<Tokens>,
    invoker: Arc<dyn Invoker>,
    clock: StackClock,
) -> Router {
    let routes = Routes::new(routes);
    let requests = AtomicU64::new(fastrand::u64(..));
    let gateway = Gateway { routes, cors, tokens, invoker, clock, requests };
    Router::new().fallback(handle).with_state(Arc::new(gateway))
}

async fn handle(State(gateway): State<Arc<Gateway>>, request: Request) -> Response {
    let request_id = gateway.next_id();
    let started = gateway.clock.now();
    let span = tracing::info_span!("api", request_id);
    let mut response = gateway.answer(request, &request_id).instrument(span).await;
    if let Ok(request_id) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert("apigw-requestid", request_id);
    }
    let took_ms = (gateway.clock.now() - started).whole_milliseconds();
    tracing::debug!(request_id, status = response.status().as_u16(), took_ms, "answered");
    response
}

impl Gateway {
    async fn answer(&self, request: Request, request_id: &str) -> Response {
        let (parts, body) = request.into_parts();
        if header_bytes(&parts) > MAX_HEADER_BYTES {
            return own_response(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        }
        // The body is read before any refusal. An earlier answer would close the connection of a client that is still
        // sending, and the client would report a broken connection instead of the answer.
        let body = match Limited::new(body, MAX_BODY_BYTES).collect().await {
            Ok(body) => body.to_bytes(),
            Err(fault) if fault.is::<LengthLimitError>() => {
                return own_response(StatusCode::PAYLOAD_TOO_LARGE);
            }
            Err(_broken) => return own_response(StatusCode::BAD_REQUEST),
        };
        let found = self.routes.find(&parts.method, parts.uri.path());
        if let (None, Some(cors), &Method::OPTIONS) = (&found, &self.cors, &parts.method) {
            return cors::preflight(cors, &parts.headers);
        }
        let Some(found) = found else { return own_response(StatusCode::NOT_FOUND) };
        let claims = match &found.route.authorizer {
            None => None,
            Some(authorizer) => match self.authorize(&parts.headers, authorizer) {
                Ok(claims) => Some(claims),
                Err(refused) => return unauthorized(refused),
            },
        };
        let call = RoutedCall {
            request_id,
            route_key: found.key,
            parameters: found.parameters,
            claims,
            now: self.clock.now(),
        };
        let event = Bytes::from(event::build(&parts, &body, call).to_string());
        self.invoke(found.route, &parts.headers, event).await
    }

    fn authorize(
        &self,
        headers: &HeaderMap,
        authorizer: &Authorizer,
    ) -> Result<Map<String, Value>, Unauthorized> {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let value = match (values.next(), values.next()) {
            (None, _) => None,
            (Some(one), None) => {
                Some(one.to_str().map_err(|_not_ascii| Unauthorized::Invalid("the token cannot be read"))?)
            }
            (Some(_), Some(_)) => return Err(Unauthorized::Invalid("there is more than one token")),
        };
        self.tokens.verify(value, &authorizer.issuer, &authorizer.audience)
    }

    async fn invoke(&self, route: &Route, headers: &HeaderMap, event: Bytes) -> Response {
        let (invoker, function) = (Arc::clone(&self.invoker), route.function.clone());
        // A task of its own, because on Lambda a function goes on when its caller stops waiting.
        let running = tokio::spawn(async move { invoker.invoke(&function, event).await }.in_current_span());
        let (status, reason) = match tokio::time::timeout(route.timeout, running).await {
            Ok(Ok(Ok(reply))) => match reply::read(&reply) {
                Ok(response) => {
                    let mut response = response.map(Body::from);
                    if let Some(cors) = &self.cors {
                        cors::add_headers(cors, headers, &mut response);
                    }
                    return response;
                }
                Err(reason) => (StatusCode::INTERNAL_SERVER_ERROR, reason.to_owned()),
            },
            Ok(Ok(Err(failure))) => (StatusCode::INTERNAL_SERVER_ERROR, failure.to_string()),
            Ok(Err(_panicked)) => (StatusCode::INTERNAL_SERVER_ERROR, "the function panicked".to_owned()),
            Err(_elapsed) => {
                (StatusCode::SERVICE_UNAVAILABLE, format!("no reply within {:?}", route.timeout))
            }
        };
        tracing::warn!(
            function = route.function,
            status = status.as_u16(),
            reason,
            "the function gave no response"
        );
        own_response(status)
    }

    /// A new request id, of sixteen characters as on AWS.
    fn next_id(&self) -> String {
        let n = self.requests.fetch_add(1, Ordering::Relaxed);
        let mut bytes = [0_u8; 11];
        bytes[..8].copy_from_slice(&n.to_be_bytes());
        URL_SAFE.encode(bytes)
    }
}

fn header_bytes(parts: &Parts) -> usize {
    let line = parts.method.as_str().len() + parts.uri.to_string().len() + "  HTTP/1.1".len();
    line + parts.headers.values().map(HeaderValue::len).sum::<usize>()
}

/// An answer of the gateway itself, not of a function.
fn own_response(status: StatusCode) -> Response {
    // For 413 the `http` crate has "Payload Too Large", and AWS has this older name.
    let message = match status {
        StatusCode::PAYLOAD_TOO_LARGE => "Request Entity Too Large",
        status => status.canonical_reason().unwrap_or_default(),
    };
    let mut response = Response::new(Body::from(json!({ "message": message }).to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn unauthorized(refused: Unauthorized) -> Response {
    let challenge = match refused {
        Unauthorized::Missing => "Bearer".to_owned(),
        Unauthorized::Invalid(reason) => {
            format!("Bearer scope=\"\" error=\"invalid_token\" error_description=\"{reason}\"")
        }
    };
    let mut response = own_response(StatusCode::UNAUTHORIZED);
    if let Ok(challenge) = HeaderValue::from_str(&challenge) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

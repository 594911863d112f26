//! Requests and answers. Every answer of the API is held against the description of the API.

use axum::{Router, body::Body};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header, request::Builder, response::Parts};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use super::{
    openapi::{OPENAPI, Sent},
    people::Customer,
    shop::Shop,
};

/// An answer of the API.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Reply {
    /// A header's text; empty when it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Status and problem code. The code of a success is empty.
    pub(crate) fn problem(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }

    /// Every field that a problem names.
    pub(crate) fn fields(&self) -> Vec<&str> {
        self.body["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|fault| fault["field"].as_str())
            .collect()
    }

    /// The order's id; empty when the answer is about no order.
    pub(crate) fn order_id(&self) -> &str {
        self.body["order_id"].as_str().unwrap_or_default()
    }

    /// The order in the body, without the times at which its mails were handed to SNS. These are noted after the answer.
    pub(crate) fn order(&self) -> Value {
        without_mailed_at(&self.body)
    }

    /// The rows of a list's page.
    pub(crate) fn items(&self) -> &[Value] {
        self.body["items"].as_array().expect("items")
    }

    /// Where a list's next page begins; `None` on its last page.
    pub(crate) fn next_cursor(&self) -> Option<&str> {
        self.body["next_cursor"].as_str()
    }
}

/// An order without the times at which its mails were handed to SNS. If it is a row, without the ids of the requests in
/// its history too, which no answer shows.
pub(crate) fn without_mailed_at(order: &Value) -> Value {
    let mut order = order.clone();
    for entry in order["history"].as_array_mut().into_iter().flatten() {
        let entry = entry.as_object_mut().expect("an entry");
        entry.remove("mailed_at");
        entry.remove("request");
    }
    order
}

/// A request of the API, with this bearer token, to be completed by headers and a body.
pub(crate) fn asked(method: Method, path: &str, token: Option<&str>) -> Builder {
    let request = Request::builder().method(method).uri(path);
    match token {
        Some(token) => request.header(header::AUTHORIZATION, format!("Bearer {token}")),
        None => request,
    }
}

/// The request with a JSON body, or without a body.
pub(crate) fn with_json(request: Builder, body: Option<&Value>) -> Request<Body> {
    match body {
        Some(body) => with_text(request, body.to_string()),
        None => request.body(Body::empty()).expect("a request"),
    }
}

/// The request with a body that says it is JSON.
pub(crate) fn with_text(request: Builder, body: impl Into<Body>) -> Request<Body> {
    request.header(header::CONTENT_TYPE, "application/json").body(body.into()).expect("a request")
}

/// The `Authorization` of an AWS call by this caller. The local stack reads the caller and the service out of it.
pub(crate) fn signature(caller: &str, service: &str) -> String {
    format!("AWS4-HMAC-SHA256 Credential={caller}/20260301/us-east-1/{service}/aws4_request")
}

/// The answer of a router, with the whole body.
pub(crate) async fn answered(router: Router, request: Request<Body>) -> (Parts, Bytes) {
    let Ok(response) = router.oneshot(request).await;
    let (parts, body) = response.into_parts();
    (parts, body.collect().await.expect("a body").to_bytes())
}

impl Shop {
    pub(crate) async fn get(&self, path: &str, caller: &Customer) -> Reply {
        self.call(Method::GET, path, caller, None, &[]).await
    }

    /// A call with a JSON body.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        caller: &Customer,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Reply {
        let mut request = asked(method, path, Some(&caller.token));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(with_json(request, body.as_ref())).await
    }

    /// Any call at all, held against the description of the API together with its answer.
    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        let sent = Sent::new(&parts, body.clone());
        let (parts, bytes) =
            answered(self.router.clone(), Request::from_parts(parts, Body::from(body))).await;
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).expect("JSON") };
        // No request may cause an internal error.
        assert_ne!(parts.status, StatusCode::INTERNAL_SERVER_ERROR, "{body}");
        let reply = Reply { status: parts.status.as_u16(), headers: parts.headers, body };
        assert_eq!(OPENAPI.check(&sent, &reply), Ok(()));
        reply
    }
}

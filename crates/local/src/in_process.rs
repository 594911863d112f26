//! One request to the API of a stack in this process, without a socket. Nothing here knows a route.

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use crate::BoxError;

/// A request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    /// The caller's token.
    pub(crate) token: Option<&'a str>,
    /// Headers beside the token and the content type.
    pub(crate) headers: &'a [(&'a str, &'a str)],
    /// The JSON to send.
    pub(crate) body: Option<&'a str>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    /// The bytes of its headers and its body.
    pub(crate) bytes: usize,
    pub(crate) body: String,
}

/// Sends a request, and waits for the whole answer.
pub(crate) async fn send(api: &Router, asked: Asked<'_>) -> Result<Answered, BoxError> {
    let mut request = Request::builder()
        .method(asked.method)
        .uri(asked.path)
        .header(header::CONTENT_TYPE, "application/json");
    if let Some(token) = asked.token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    for (name, value) in asked.headers {
        request = request.header(*name, *value);
    }
    let body = asked.body.map_or_else(Body::empty, |body| Body::from(body.to_owned()));
    let (parts, body) = api.clone().oneshot(request.body(body)?).await?.into_parts();
    let body = String::from_utf8(body.collect().await?.to_bytes().to_vec())?;
    let headers: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    Ok(Answered { status: parts.status, bytes: headers + body.len(), body })
}

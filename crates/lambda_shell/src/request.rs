//! An HTTP request, decoded from API Gateway's payload format 2.0.

use std::collections::HashMap;

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{Body, Error, IdempotencyKey, parse_object};
use http::HeaderMap;

use crate::Caller;

/// The largest body that is read, in bytes after base64 is decoded.
const MAX_BODY: usize = 64 * 1024;

/// An HTTP request. Its parts are checked when they are read.
#[derive(Debug)]
pub struct Request {
    /// The route's key in the template, such as `GET /orders/{order_id}`.
    pub route: String,
    /// The gateway's id of the request, or that of the invocation if the gateway gave none. No other request has it.
    pub id: String,
    headers: HeaderMap,
    path: HashMap<String, String>,
    query: HashMap<String, String>,
    body: Option<String>,
    body_is_base64: bool,
    claims: Option<HashMap<String, String>>,
}

impl Request {
    pub(crate) fn from_event(event: ApiGatewayV2httpRequest, invocation_id: &str) -> Self {
        let context = event.request_context;
        // The gateway joins the values of a repeated parameter with commas, and the event's type splits them again.
        // They are joined again here, because choosing one value would hide the others.
        let mut query: HashMap<String, String> = HashMap::new();
        for (name, value) in event.query_string_parameters.iter() {
            query
                .entry(name.to_owned())
                .and_modify(|values| {
                    values.push(',');
                    values.push_str(value);
                })
                .or_insert_with(|| value.to_owned());
        }
        Self {
            route: event.route_key.or(context.route_key).unwrap_or_default(),
            id: context.request_id.unwrap_or_else(|| invocation_id.to_owned()),
            headers: event.headers,
            path: event.path_parameters,
            query,
            body: event.body,
            body_is_base64: event.is_base64_encoded,
            claims: context.authorizer.and_then(|authorizer| authorizer.jwt).map(|jwt| jwt.claims),
        }
    }

    /// The caller, from the token's claims.
    ///
    /// # Errors
    /// [`Error::IdTokenRequired`] when the request has no usable ID token.
    pub fn caller(&self) -> Result<Caller, Error> {
        Caller::from_claims(self.claims.clone())
    }

    /// A parameter of the path. Empty when the route has no such parameter.
    pub fn path(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// The parameters of the query. The values of a repeated one are joined with commas.
    pub fn query(&self) -> &HashMap<String, String> {
        &self.query
    }

    /// A header's text, by its name in lower case. `None` when it is missing or not visible ASCII.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether the body is missing or empty.
    pub fn has_no_body(&self) -> bool {
        self.body.as_deref().is_none_or(str::is_empty)
    }

    /// The body, ready to be read field by field.
    ///
    /// # Errors
    /// [`Error::BodyTooLarge`] above 64 KiB, and [`Error::MalformedJson`] when it is not a JSON object.
    pub fn body(&self) -> Result<Body, Error> {
        let text = self.body.as_deref().unwrap_or_default();
        let decoded;
        let bytes = if self.body_is_base64 {
            decoded = STANDARD
                .decode(text)
                .map_err(|_undecodable| Error::MalformedJson("it is not base64".to_owned()))?;
            &decoded[..]
        } else {
            text.as_bytes()
        };
        if bytes.len() > MAX_BODY {
            return Err(Error::BodyTooLarge { limit: MAX_BODY });
        }
        parse_object(bytes).map(Body::new)
    }

    /// The Idempotency-Key header.
    ///
    /// # Errors
    /// [`Error::IdempotencyKeyMissing`] without the header, and [`Error::Invalid`] when it is not a key.
    pub fn idempotency_key(&self) -> Result<IdempotencyKey, Error> {
        let value = self.headers.get("idempotency-key").ok_or(Error::IdempotencyKeyMissing)?;
        IdempotencyKey::try_from(String::from_utf8_lossy(value.as_bytes()).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_values_of_a_repeated_parameter_are_joined_with_a_comma() {
        let event = r#"{"queryStringParameters": {"limit": "1,2", "cursor": "x"}, "requestContext": {"http": {"method": "GET"}}}"#;
        let request = Request::from_event(serde_json::from_str(event).unwrap(), "invocation-1");
        let value = |name: &str| request.query().get(name).map(String::as_str);
        assert_eq!((value("limit"), value("cursor"), value("offset")), (Some("1,2"), Some("x"), None));
    }
}

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

    /// A header's text, by its name in lower case. `None` when it is missing. Bytes that are not UTF-8 become U+FFFD. The
    /// values of a repeated header are joined with commas, as the gateway joins them.
    pub fn header(&self, name: &str) -> Option<String> {
        let mut values =
            self.headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
        let first = values.next()?.into_owned();
        Some(values.fold(first, |joined, value| joined + "," + &value))
    }

    /// Whether the body is missing or empty.
    pub fn has_no_body(&self) -> bool {
        self.body.as_deref().is_none_or(str::is_empty)
    }

    /// The body, ready to be read field by field.
    ///
    /// # Errors
    /// [`Error::BodyTooLarge`] above 64 KiB, and [`Error::MalformedJson`] when it is not a JSON object or has a name twice.
    pub fn body(&self) -> Result<Body, Error> {
        let text = self.body.as_deref().unwrap_or_default();
        let decoded;
        let bytes = if self.body_is_base64 {
            decoded =
                STANDARD.decode(text).map_err(|_undecodable| Error::malformed_json("it is not base64"))?;
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
    /// [`Error::IdempotencyKeyMissing`] without the header, [`Error::IdempotencyKeyRepeated`] with two or with a comma in
    /// it, and [`Error::Invalid`] when it is not a key.
    pub fn idempotency_key(&self) -> Result<IdempotencyKey, Error> {
        let key = self.header("idempotency-key").ok_or(Error::IdempotencyKeyMissing)?;
        // "Duplicate headers are combined with commas" (source: API Gateway developer guide, "Create AWS Lambda proxy
        // integrations for HTTP APIs", payload format 2.0). So a key with a comma may be two keys, of which one would
        // have to be guessed.
        if key.contains(',') { Err(Error::IdempotencyKeyRepeated) } else { IdempotencyKey::try_from(key) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request whose event has these headers.
    fn with_headers(headers: &serde_json::Value) -> Request {
        let event =
            serde_json::json!({ "headers": headers, "requestContext": { "http": { "method": "POST" } } });
        Request::from_event(serde_json::from_value(event).unwrap(), "invocation-1")
    }

    #[test]
    fn two_keys_are_no_key_however_the_event_holds_them() {
        let key = |value: serde_json::Value| {
            let read = with_headers(&serde_json::json!({ "idempotency-key": value })).idempotency_key();
            read.map(|key| key.as_str().to_owned()).map_err(|error| error.code())
        };
        for (value, read) in [
            (serde_json::json!("key-1"), Ok("key-1".to_owned())),
            (serde_json::json!(["key-1"]), Ok("key-1".to_owned())),
            (serde_json::json!("key-1,key-2"), Err("idempotency_key_repeated")),
            (serde_json::json!("key-1, key-2"), Err("idempotency_key_repeated")),
            (serde_json::json!("key-1,key-1"), Err("idempotency_key_repeated")),
            (serde_json::json!(["key-1", "key-2"]), Err("idempotency_key_repeated")),
            (serde_json::json!(["key-1", "key-1"]), Err("idempotency_key_repeated")),
            (serde_json::json!(["", ""]), Err("idempotency_key_repeated")),
            (serde_json::json!(","), Err("idempotency_key_repeated")),
            (serde_json::json!(""), Err("validation_failed")),
            (serde_json::json!("schlüssel"), Err("validation_failed")),
        ] {
            assert_eq!(key(value.clone()), read, "{value}");
        }
        let missing = with_headers(&serde_json::json!({ "x-idempotency-key": "key-1" })).idempotency_key();
        assert_eq!(missing.unwrap_err().code(), "idempotency_key_missing");
    }

    #[test]
    fn a_header_that_is_not_ascii_is_there_all_the_same() {
        let request = with_headers(&serde_json::json!({ "if-match": "\"2\u{e9}\"", "accept": ["a", "b"] }));
        assert_eq!(request.header("if-match").as_deref(), Some("\"2\u{e9}\""));
        assert_eq!(request.header("accept").as_deref(), Some("a,b"));
        assert_eq!(request.header("if-none-match"), None);
    }

    #[test]
    fn the_values_of_a_repeated_parameter_are_joined_with_a_comma() {
        let event = r#"{"queryStringParameters": {"limit": "1,2", "cursor": "x"}, "requestContext": {"http": {"method": "GET"}}}"#;
        let request = Request::from_event(serde_json::from_str(event).unwrap(), "invocation-1");
        let value = |name: &str| request.query().get(name).map(String::as_str);
        assert_eq!((value("limit"), value("cursor"), value("offset")), (Some("1,2"), Some("x"), None));
    }
}

//! An HTTP request as a door sees it: API Gateway's payload format 2.0, decoded.

use std::collections::HashMap;

use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use domain::{Body, Error, IdempotencyKey, parse_object};
use http::HeaderMap;

use crate::Caller;

/// The largest body, in bytes.
const MAX_BODY: usize = 64 * 1024;

/// A request. Its parts are read by the door that it is for.
#[derive(Debug)]
pub struct Request {
    /// The route's key in the template, such as `GET /orders/{order_id}`.
    pub route: String,
    headers: HeaderMap,
    path: HashMap<String, String>,
    query: HashMap<String, String>,
    body: Option<String>,
    body_is_base64: bool,
    claims: Option<HashMap<String, String>>,
}

impl Request {
    pub(crate) fn from_event(event: ApiGatewayV2httpRequest) -> Self {
        let context = event.request_context;
        // A parameter that is given twice arrives as one text with a comma, and is judged as that. The event's type
        // takes such a text apart again, where picking one of the two would hide the other.
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
            headers: event.headers,
            path: event.path_parameters,
            query,
            body: event.body,
            body_is_base64: event.is_base64_encoded,
            claims: context.authorizer.and_then(|authorizer| authorizer.jwt).map(|jwt| jwt.claims),
        }
    }

    /// Who calls.
    pub fn caller(&self) -> Result<Caller, Error> {
        Caller::from_claims(self.claims.clone())
    }

    /// A parameter out of the path. Empty when the route has none of that name.
    pub fn path(&self, name: &str) -> &str {
        self.path.get(name).map_or("", String::as_str)
    }

    /// The query's parameters.
    pub fn query(&self) -> &HashMap<String, String> {
        &self.query
    }

    /// A header's text, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Whether there is no body at all.
    pub fn has_no_body(&self) -> bool {
        self.body.as_deref().is_none_or(str::is_empty)
    }

    /// The body, ready to be read field by field.
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

    /// The Idempotency-Key header, which must be there.
    pub fn idempotency_key(&self) -> Result<IdempotencyKey, Error> {
        let value = self.headers.get("idempotency-key").ok_or(Error::IdempotencyKeyMissing)?;
        IdempotencyKey::try_from(String::from_utf8_lossy(value.as_bytes()).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_is_given_twice_is_neither_of_the_two() {
        let event = r#"{"queryStringParameters": {"limit": "1,2", "cursor": "x"}, "requestContext": {"http": {"method": "GET"}}}"#;
        let request = Request::from_event(serde_json::from_str(event).unwrap());
        let value = |name: &str| request.query().get(name).map(String::as_str);
        assert_eq!((value("limit"), value("cursor"), value("offset")), (Some("1,2"), Some("x"), None));
    }
}

//! Turns a function's reply into a response, by the rules of payload format 2.0. An object with a `statusCode` gives
//! status, headers and body. Any other reply becomes the body of a 200. Nothing here adds a header of CORS.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Deserialize;
use serde_json::Value;

/// Headers of the connection, which a function cannot set.
const CONNECTION: [HeaderName; 5] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
];

/// A reply with a `statusCode`. As on AWS, `multiValueHeaders` of payload format 1.0 is ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FunctionReply {
    status_code: u16,
    headers: Option<serde_json::Map<String, Value>>,
    cookies: Option<Vec<String>>,
    body: Option<String>,
    is_base64_encoded: Option<bool>,
}

/// Parses a reply. The error is a sentence for the log.
pub(super) fn read(reply: &[u8]) -> Result<Response<Bytes>, &'static str> {
    let reply: Value = serde_json::from_slice(reply).map_err(|_any| "the reply is not JSON")?;
    if reply.get("statusCode").is_none() {
        let body = reply.as_str().map_or_else(|| reply.to_string(), str::to_owned);
        let mut response = Response::new(Bytes::from(body));
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        return Ok(response);
    }
    let reply: FunctionReply =
        serde_json::from_value(reply).map_err(|_any| "the reply has a field of a wrong type")?;

    let body = reply.body.unwrap_or_default();
    let body = if reply.is_base64_encoded == Some(true) {
        Bytes::from(STANDARD.decode(body).map_err(|_any| "the reply's body is not base64")?)
    } else {
        Bytes::from(body)
    };
    let mut headers = HeaderMap::new();
    for (name, value) in reply.headers.unwrap_or_default() {
        let value = value.as_str().ok_or("the reply has a header that is not text")?;
        let name: HeaderName = name.parse().map_err(|_any| "the reply has an impossible header name")?;
        if !CONNECTION.contains(&name) {
            headers.insert(name, header_value(value)?);
        }
    }
    for cookie in reply.cookies.unwrap_or_default() {
        headers.append(header::SET_COOKIE, header_value(&cookie)?);
    }
    if !body.is_empty() && !headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    }
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status_code)
        .ok()
        .filter(|status| (200..600).contains(&status.as_u16()))
        .ok_or("the reply's statusCode is not 200 to 599")?;
    *response.headers_mut() = headers;
    Ok(response)
}

fn header_value(value: &str) -> Result<HeaderValue, &'static str> {
    HeaderValue::from_str(value).map_err(|_any| "the reply has an impossible header value")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(reply: &Value) -> Result<Response<Bytes>, &'static str> {
        super::read(reply.to_string().as_bytes())
    }

    #[test]
    fn a_reply_without_a_status_is_the_body_of_a_200() {
        for (reply, body) in [
            (json!({"items": []}), r#"{"items":[]}"#),
            (json!([1]), "[1]"),
            (json!("hello"), "hello"),
            (json!(null), "null"),
        ] {
            let response = read(&reply).unwrap();
            assert_eq!((response.status(), &response.body()[..]), (StatusCode::OK, body.as_bytes()));
            assert_eq!(response.headers()["content-type"], "application/json");
        }
    }

    #[test]
    fn a_reply_with_a_status_is_taken_apart() {
        let response = read(&json!({
            "statusCode": 201,
            "headers": {"Location": "/orders/1", "content-type": "application/json", "Content-Length": "999"},
            "multiValueHeaders": {"x-old": ["1"]},
            "cookies": ["a=1; Secure", "b=2"],
            "body": "eyJhIjoxfQ==",
            "isBase64Encoded": true,
        }))
        .unwrap();
        assert_eq!((response.status().as_u16(), &response.body()[..]), (201, &b"{\"a\":1}"[..]));
        assert_eq!(response.headers()["location"], "/orders/1");
        assert_eq!(response.headers()["content-type"], "application/json");
        let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["a=1; Secure", "b=2"]);
        assert!(
            !response.headers().contains_key("x-old") && !response.headers().contains_key("content-length")
        );

        let bare = read(&json!({"statusCode": 204, "headers": null, "body": null})).unwrap();
        assert_eq!((bare.status().as_u16(), bare.body().len(), bare.headers().len()), (204, 0, 0));
        let plain = read(&json!({"statusCode": 200, "body": "hi"})).unwrap();
        assert_eq!(plain.headers()["content-type"], "text/plain; charset=utf-8");
    }

    #[test]
    fn a_reply_that_cannot_become_a_response_is_refused() {
        assert!(super::read(b"{").is_err());
        for reply in [
            json!({"statusCode": 99}),
            json!({"statusCode": 600}),
            json!({"statusCode": "OK"}),
            json!({"statusCode": 200, "body": {"a": 1}}),
            json!({"statusCode": 200, "headers": {"a": 1}}),
            json!({"statusCode": 200, "headers": {"a b": "1"}}),
            json!({"statusCode": 200, "headers": {"a": "1\n2"}}),
            json!({"statusCode": 200, "body": "?", "isBase64Encoded": true}),
        ] {
            assert!(read(&reply).is_err(), "{reply}");
        }
    }
}

//! The event that a function receives, in payload format 2.0 ("Create AWS Lambda proxy integrations for HTTP APIs"). As
//! on AWS, a part that a request lacks is absent from the event, not null. Nothing here refuses a request.

use std::{collections::BTreeMap, net::SocketAddr};

use axum::extract::ConnectInfo;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, header, request::Parts};
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, UtcOffset, macros::format_description};

use super::routes::decode;
use crate::ground::ACCOUNT;

/// A request's id, route, path parameters and claims.
pub(super) struct RoutedCall<'a> {
    pub(super) request_id: &'a str,
    pub(super) route_key: &'a str,
    pub(super) parameters: Vec<(&'a str, String)>,
    pub(super) claims: Option<Map<String, Value>>,
    pub(super) now: OffsetDateTime,
}

pub(super) fn build(parts: &Parts, body: &[u8], call: RoutedCall<'_>) -> Value {
    // An HTTP API passes the path on decoded, unlike a REST API.
    let path = decode(parts.uri.path());
    let query = parts.uri.query().unwrap_or_default();
    let host = text(&parts.headers, header::HOST).unwrap_or_else(|| "localhost".to_owned());
    let domain = host.rsplit_once(':').map_or(host.as_str(), |(name, _port)| name);
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let source_ip = peer.map_or_else(|| "127.0.0.1".to_owned(), |peer| peer.0.ip().to_string());

    let mut context = json!({
        "accountId": ACCOUNT.id,
        "apiId": "local",
        "domainName": domain,
        "domainPrefix": domain.split('.').next().unwrap_or_default(),
        "http": {
            "method": parts.method.as_str(),
            "path": path,
            "protocol": format!("{:?}", parts.version),
            "sourceIp": source_ip,
            "userAgent": text(&parts.headers, header::USER_AGENT).unwrap_or_default(),
        },
        "requestId": call.request_id,
        "routeKey": call.route_key,
        "stage": "$default",
        "time": common_log_time(call.now),
        "timeEpoch": call.now.unix_timestamp() * 1_000 + i64::from(call.now.millisecond()),
    });
    if let Some(claims) = &call.claims {
        let claims: Map<String, Value> =
            claims.iter().map(|(name, claim)| (name.clone(), json!(flattened(claim)))).collect();
        context["authorizer"] = json!({ "jwt": { "claims": claims, "scopes": null } });
    }

    let mut event = json!({
        "version": "2.0",
        "routeKey": call.route_key,
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers(&parts.headers, &source_ip),
        "requestContext": context,
        "isBase64Encoded": false,
    });
    let cookies = cookies(&parts.headers);
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    if !query.is_empty() {
        event["queryStringParameters"] = json!(parameters(query));
    }
    if !call.parameters.is_empty() {
        let named: BTreeMap<&str, String> = call.parameters.into_iter().collect();
        event["pathParameters"] = json!(named);
    }
    if !body.is_empty() {
        let readable = if is_text(&parts.headers) { std::str::from_utf8(body).ok() } else { None };
        event["isBase64Encoded"] = json!(readable.is_none());
        event["body"] = readable.map_or_else(|| json!(STANDARD.encode(body)), |text| json!(text));
    }
    event
}

/// A claim as the authorizer passes it on: one text, in the format in which Go prints values.
fn flattened(claim: &Value) -> String {
    match claim {
        Value::String(text) => text.clone(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Null => "<nil>".to_owned(),
        Value::Array(list) => {
            format!("[{}]", list.iter().map(flattened).collect::<Vec<_>>().join(" "))
        }
        Value::Object(map) => {
            let mut entries: Vec<String> =
                map.iter().map(|(name, claim)| format!("{name}:{}", flattened(claim))).collect();
            entries.sort();
            format!("map[{}]", entries.join(" "))
        }
    }
}

/// The headers, without cookies. Names are in lower case, and repeated values are joined. Like API Gateway, this adds the
/// caller's address and protocol.
fn headers(headers: &HeaderMap, source_ip: &str) -> BTreeMap<String, String> {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| **name != header::COOKIE) {
        append(&mut joined, name.as_str(), &String::from_utf8_lossy(value.as_bytes()));
    }
    append(&mut joined, "x-forwarded-for", source_ip);
    joined.insert("x-forwarded-proto".to_owned(), "http".to_owned());
    joined
}

fn parameters(query: &str) -> BTreeMap<String, String> {
    let mut joined = BTreeMap::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        append(&mut joined, &name, &value);
    }
    joined
}

fn append(joined: &mut BTreeMap<String, String>, name: &str, value: &str) {
    match joined.get_mut(name) {
        Some(values) => {
            values.push(',');
            values.push_str(value);
        }
        None => {
            joined.insert(name.to_owned(), value.to_owned());
        }
    }
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let all = headers.get_all(header::COOKIE).iter();
    all.flat_map(|value| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        value.split(';').map(|cookie| cookie.trim().to_owned()).collect::<Vec<_>>()
    })
    .filter(|cookie| !cookie.is_empty())
    .collect()
}

fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// Whether the body is passed on as text, by its content type. Other bodies are passed on as base64.
fn is_text(headers: &HeaderMap) -> bool {
    let content_type = text(headers, header::CONTENT_TYPE).unwrap_or_default().to_ascii_lowercase();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    matches!(
        essence,
        "application/json"
            | "application/xml"
            | "application/javascript"
            | "application/x-www-form-urlencoded"
    ) || essence.starts_with("text/")
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// The time in the form `12/Mar/2020:19:03:58 +0000`.
fn common_log_time(now: OffsetDateTime) -> String {
    let format = format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");
    // This format cannot fail for a date. An empty text would be noticed at once.
    now.to_offset(UtcOffset::UTC).format(format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_flattened_as_go_prints_them() {
        for (claim, text) in [
            (json!("ana"), "ana"),
            (json!(true), "true"),
            (json!(1_772_366_400), "1772366400"),
            (json!(["admin", "staff"]), "[admin staff]"),
            (json!([]), "[]"),
            (json!([1, ["a"], true]), "[1 [a] true]"),
            (json!({"b": 1, "a": "x"}), "map[a:x b:1]"),
            (json!(null), "<nil>"),
        ] {
            assert_eq!(flattened(&claim), text);
        }
    }

    #[test]
    fn only_bodies_of_text_types_are_passed_on_as_text() {
        let is_text = |content_type: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
            is_text(&headers)
        };
        for content_type in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "text/plain",
            "application/problem+json",
            "application/xml",
            "application/javascript",
            "application/x-www-form-urlencoded",
        ] {
            assert!(is_text(content_type), "{content_type}");
        }
        for content_type in ["application/octet-stream", "image/svg+json", "application/jsonx", ""] {
            assert!(!is_text(content_type), "{content_type}");
        }
        assert!(!super::is_text(&HeaderMap::new()));
    }
}

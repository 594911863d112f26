//! CORS: lets pages of other origins call the API, by the rules of "Configure CORS for HTTP APIs". The gateway answers
//! every preflight itself, and adds headers to a function's response. Nothing here changes the gateway's own answers, such
//! as 401 and 404, for which AWS documents no headers.

use axum::{body::Body, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use sam_template::Cors;

/// The answer to a preflight. It has no CORS headers unless the request names an allowed origin and a method.
pub(super) fn preflight(cors: &Cors, request: &HeaderMap) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if request.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        && let Some(origin) = allowed_origin(cors, request)
    {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        insert(headers, header::ACCESS_CONTROL_ALLOW_METHODS, &cors.allow_methods.join(","));
        insert(headers, header::ACCESS_CONTROL_ALLOW_HEADERS, &cors.allow_headers.join(","));
        let age = cors.max_age_s.map(|age| age.to_string()).unwrap_or_default();
        insert(headers, header::ACCESS_CONTROL_MAX_AGE, &age);
    }
    response
}

/// Adds the CORS headers to a function's response. The function's own CORS headers are dropped.
pub(super) fn add_headers(cors: &Cors, request: &HeaderMap, response: &mut Response) {
    let headers = response.headers_mut();
    let told: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().starts_with("access-control-")).cloned().collect();
    for name in told {
        headers.remove(name);
    }
    if let Some(origin) = allowed_origin(cors, request) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        insert(headers, header::ACCESS_CONTROL_EXPOSE_HEADERS, &cors.expose_headers.join(","));
    }
}

/// The value of `Access-Control-Allow-Origin`: the request's origin if it is allowed, or `*` if every origin is.
fn allowed_origin(cors: &Cors, request: &HeaderMap) -> Option<HeaderValue> {
    let origin = request.get(header::ORIGIN)?;
    let named = origin.to_str().ok()?;
    if cors.allow_origins.iter().any(|one| one == "*") {
        return Some(HeaderValue::from_static("*"));
    }
    let admits = |one: &String| match one.strip_suffix('*') {
        Some(scheme) => named.starts_with(scheme),
        None => named == one,
    };
    cors.allow_origins.iter().any(admits).then(|| origin.clone())
}

fn insert(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text)
        && !text.is_empty()
    {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cors(origins: &[&str]) -> Cors {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Cors {
            allow_origins: texts(origins),
            allow_methods: texts(&["GET", "POST"]),
            allow_headers: texts(&["if-match"]),
            expose_headers: texts(&["etag"]),
            max_age_s: Some(600),
        }
    }

    fn told(response: &Response) -> Vec<String> {
        let of_cors =
            response.headers().iter().filter(|(name, _)| name.as_str().starts_with("access-control-"));
        of_cors.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    }

    fn headers(of: &[(&'static str, &'static str)]) -> HeaderMap {
        of.iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn an_origin_is_allowed_by_its_name_or_by_a_wildcard() {
        for (origins, origin, expected) in [
            (&["https://a.example", "https://b.example"][..], "https://b.example", Some("https://b.example")),
            (&["https://a.example"], "https://a.example.evil", None),
            (&["https://a.example"], "http://a.example", None),
            (&["https://a.example"], "null", None),
            (&["https://*"], "https://any.example", Some("https://any.example")),
            (&["https://*"], "http://any.example", None),
            (&["*"], "http://any.example", Some("*")),
        ] {
            let request = HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static(origin))]);
            let found = allowed_origin(&cors(origins), &request);
            assert_eq!(found.as_ref().map(|value| value.to_str().unwrap()), expected, "{origins:?} {origin}");
        }
        assert_eq!(allowed_origin(&cors(&["*"]), &HeaderMap::new()), None);
    }

    #[test]
    fn a_preflight_must_name_an_origin_and_a_method() {
        let cors = cors(&["https://a.example"]);
        let asked = preflight(
            &cors,
            &headers(&[("origin", "https://a.example"), ("access-control-request-method", "POST")]),
        );
        assert_eq!(asked.status(), StatusCode::NO_CONTENT);
        assert_eq!(
            told(&asked),
            [
                "access-control-allow-origin: https://a.example",
                "access-control-allow-methods: GET,POST",
                "access-control-allow-headers: if-match",
                "access-control-max-age: 600",
            ]
        );
        for less in
            [&[("origin", "https://a.example")][..], &[("access-control-request-method", "POST")], &[]]
        {
            let answer = preflight(&cors, &headers(less));
            assert_eq!((answer.status(), told(&answer)), (StatusCode::NO_CONTENT, Vec::new()), "{less:?}");
        }
    }

    #[test]
    fn a_functions_own_cors_headers_are_dropped() {
        let answer = || {
            let mut response = Response::new(Body::empty());
            let said = [
                ("access-control-allow-origin", "*"),
                ("access-control-allow-credentials", "true"),
                ("etag", "1"),
            ];
            response.headers_mut().extend(headers(&said));
            response
        };
        let mut ours = answer();
        add_headers(&cors(&["https://a.example"]), &headers(&[("origin", "https://a.example")]), &mut ours);
        assert_eq!(
            told(&ours),
            ["access-control-allow-origin: https://a.example", "access-control-expose-headers: etag"]
        );
        assert_eq!(ours.headers()["etag"], "1");
        let mut theirs = answer();
        add_headers(&cors(&["https://a.example"]), &headers(&[("origin", "https://b.example")]), &mut theirs);
        assert_eq!(told(&theirs), Vec::<String>::new());
    }
}

//! The guard of the local routes and of the AWS port. Neither asks for a secret, so any web page in a browser on this
//! machine could call them. The guard answers 403 to such a request and does not read its body:
//!
//! - The `Host` must be a name of this machine, or a name that the user allowed. After a rebinding of DNS, a page's
//!   requests reach this machine, but they still carry the page's own name.
//! - The `Origin`, if there is one, must be one of the stack's two ports under the name in `Host`. A browser sends an
//!   `Origin` with every request of another origin's page, except a GET that the page cannot read. No GET changes
//!   anything here.
//!
//! The API's own routes are not guarded: they need a token, and CORS decides which pages may read their answers.

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
    sync::Arc,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::Response,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};

/// The AWS SDKs put this before the endpoint's host for `StartSyncExecution`.
const SYNC: &str = "sync-";

/// The host's name inside a Docker container.
const DOCKER_HOST: &str = "host.docker.internal";

/// The most bytes of a header's value that a refusal repeats.
const MAX_REPEATED_BYTES: usize = 100;

/// The request headers that a page may send to the AWS port: those of the AWS SDK for JavaScript.
const ALLOWED_HEADERS: &str = "authorization,content-type,x-amz-content-sha256,x-amz-date,x-amz-security-token,\
                               x-amz-target,x-amz-user-agent,amz-sdk-invocation-id,amz-sdk-request";

/// The response header that a page may read beside the simple ones. The SDK finds the error's name in it.
const EXPOSED_HEADERS: &str = "x-amzn-errortype";

/// The lifetime of a preflight's answer in the browser's cache, in seconds.
const MAX_AGE_S: &str = "600";

/// A host's name or address, without a port. A name is in lower case, an IPv6 address in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostName(String);

/// The text is not a [`HostName`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be a host's name or address, without a scheme or a port")]
pub struct HostNameError;

impl FromStr for HostName {
    type Err = HostNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse::<Ipv6Addr>() {
            return Ok(Self(format!("[{address}]")));
        }
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        // DNS has no longer names.
        if (1..=253).contains(&text.len()) && text.bytes().all(legal) {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(HostNameError)
        }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl HostName {
    /// Whether the name leads to this machine whatever DNS says, or from a container to the machine that runs it.
    fn is_local(&self) -> bool {
        let name = self.plain();
        name == "localhost"
            || name == "[::1]"
            || name == DOCKER_HOST
            || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
    }

    fn plain(&self) -> &str {
        self.0.strip_prefix(SYNC).unwrap_or(&self.0)
    }
}

/// Reads `name`, `name:port` or `[address]:port`.
fn authority(text: &str) -> Option<(HostName, Option<u16>)> {
    let (name, port) = match text.rsplit_once(':') {
        // A colon inside brackets belongs to the address.
        Some((name, port)) if !port.ends_with(']') => (name, Some(port)),
        Some(_) | None => (text, None),
    };
    // Without brackets, the last group of an IPv6 address would be read as a port.
    if name.contains(':') && !name.starts_with('[') {
        return None;
    }
    let port = match port {
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
        Some(_) => return None,
        None => None,
    };
    Some((name.parse().ok()?, port))
}

/// Reads an origin of the scheme `http`. The stack has no TLS, so no other origin is its own.
fn http_origin(text: &str) -> Option<(HostName, u16)> {
    let (name, port) = authority(text.strip_prefix("http://")?)?;
    Some((name, port.unwrap_or(80)))
}

/// Refuses requests of foreign pages and requests for foreign hosts.
#[derive(Clone, Debug)]
pub struct PortGuard {
    allowed: Arc<[HostName]>,
    ports: Arc<[u16]>,
}

/// The reason for a 403. A text is the header's value, as [`repeated`] writes it.
#[derive(Debug, PartialEq, Eq)]
enum GuardRefusal {
    NoHost,
    SeveralHosts,
    UnreadableHost(String),
    ForeignHost(String),
    ForeignOrigin(String),
}

impl fmt::Display for GuardRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHost => f.write_str("The request has no Host header"),
            Self::SeveralHosts => f.write_str("The request names more than one host"),
            Self::UnreadableHost(sent) => write!(f, "The Host header \"{sent}\" is not a name or an address"),
            Self::ForeignHost(sent) => write!(
                f,
                "The host \"{sent}\" is not a name of this machine: start orderflow with --allow-host NAME to allow it"
            ),
            Self::ForeignOrigin(sent) => {
                write!(f, "Pages of the origin \"{sent}\" may not call this: only the stack's own pages may")
            }
        }
    }
}

impl PortGuard {
    /// Makes a guard that admits requests for the names of this machine and for `allowed`. The stack listens on
    /// `ports`: a page from one of them is the stack's own.
    pub fn new(allowed: impl IntoIterator<Item = HostName>, ports: impl IntoIterator<Item = u16>) -> Self {
        Self { allowed: allowed.into_iter().collect(), ports: ports.into_iter().collect() }
    }

    /// Whether requests for this name are admitted.
    pub fn allows(&self, name: &HostName) -> bool {
        name.is_local() || self.allowed.iter().any(|allowed| allowed == name || allowed.0 == name.plain())
    }

    /// Puts the guard before the local routes.
    pub(crate) fn local_routes(&self, routes: Router) -> Router {
        routes.layer(from_fn_with_state(self.clone(), guard_local_route))
    }

    /// Puts the guard before the AWS port, and answers the preflights of the stack's own pages.
    pub(crate) fn aws_port(&self, port: Router) -> Router {
        port.layer(from_fn_with_state(self.clone(), guard_aws_call))
    }

    /// Admits or refuses a request. An admitted request of a page has that page's origin.
    fn admit<'r>(&self, request: &'r Request) -> Result<Option<&'r HeaderValue>, GuardRefusal> {
        let host = match one(request.headers(), &header::HOST) {
            Ok(Some(host)) => host,
            Ok(None) => return Err(GuardRefusal::NoHost),
            Err(Several) => return Err(GuardRefusal::SeveralHosts),
        };
        let name = read(host, authority).map(|(name, _)| name);
        let name = name.ok_or_else(|| GuardRefusal::UnreadableHost(repeated(host)))?;
        // A client that takes this port for a proxy sends the host in the target, too.
        if let Some(target) = request.uri().authority()
            && authority(target.as_str()).is_none_or(|(target, _)| target != name)
        {
            return Err(GuardRefusal::SeveralHosts);
        }
        if !self.allows(&name) {
            return Err(GuardRefusal::ForeignHost(repeated(host)));
        }
        let origin = match one(request.headers(), &header::ORIGIN) {
            Ok(None) => return Ok(None),
            Ok(Some(origin)) => origin,
            Err(Several) => return Err(GuardRefusal::ForeignOrigin("more than one".to_owned())),
        };
        match read(origin, http_origin) {
            Some((page, port)) if page == name && self.ports.contains(&port) => Ok(Some(origin)),
            Some(_) | None => Err(GuardRefusal::ForeignOrigin(repeated(origin))),
        }
    }
}

/// The header occurs more than once.
struct Several;

fn one<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h HeaderValue>, Several> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(Several),
    }
}

fn read<T>(value: &HeaderValue, reader: impl FnOnce(&str) -> Option<T>) -> Option<T> {
    value.to_str().ok().and_then(reader)
}

/// The beginning of a header's value, in printable ASCII.
fn repeated(value: &HeaderValue) -> String {
    let bytes = value.as_bytes();
    let shown = bytes.get(..MAX_REPEATED_BYTES).unwrap_or(bytes);
    format!("{}{}", shown.escape_ascii(), if shown.len() < bytes.len() { "..." } else { "" })
}

async fn guard_local_route(State(guard): State<PortGuard>, request: Request, next: Next) -> Response {
    match guard.admit(&request) {
        Ok(_origin) => next.run(request).await,
        Err(refusal) => forbidden("application/json", &json!({ "message": refusal.to_string() })),
    }
}

async fn guard_aws_call(State(guard): State<PortGuard>, request: Request, next: Next) -> Response {
    let origin = match guard.admit(&request) {
        Ok(origin) => origin.cloned(),
        Err(refusal) => return aws_forbidden(&refusal),
    };
    let asks = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if asks && origin.is_some() { preflight_answer() } else { next.run(request).await };
    if let Some(origin) = origin {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED_HEADERS));
        headers.append(header::VARY, HeaderValue::from_static("origin"));
    }
    response
}

/// The answer to a preflight of the stack's own page. Every AWS call that the port answers is a POST.
fn preflight_answer() -> Response {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(ALLOWED_HEADERS));
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE_S));
    response
}

/// The refusal as an error of AWS's JSON protocols. SNS has XML, but its clients show a body that they cannot parse.
fn aws_forbidden(refusal: &GuardRefusal) -> Response {
    const CODE: &str = "AccessDeniedException";
    let body = json!({ "__type": CODE, "message": refusal.to_string() });
    let mut response = forbidden("application/x-amz-json-1.1", &body);
    response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(CODE));
    response
}

fn forbidden(content_type: &'static str, body: &Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = StatusCode::FORBIDDEN;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard() -> PortGuard {
        PortGuard::new(["Laptop.lan".parse().unwrap(), "fe80::1".parse().unwrap()], [3000, 4566])
    }

    fn judged(headers: &[(&'static str, &[u8])]) -> Result<Option<String>, GuardRefusal> {
        let mut request = Request::new(Body::empty());
        for (name, value) in headers {
            request.headers_mut().append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        guard().admit(&request).map(|origin| origin.map(|value| value.to_str().unwrap().to_owned()))
    }

    #[test]
    fn a_host_is_a_name_of_this_machine_or_an_allowed_one_whatever_its_port() {
        for host in [
            "localhost",
            "LocalHost:3000",
            "localhost:1",
            "127.0.0.1:4566",
            "127.255.0.9",
            "[::1]",
            "[::1]:4566",
            "[0:0:0:0:0:0:0:1]:4566",
            "host.docker.internal:4566",
            "sync-localhost:4566",
            "sync-127.0.0.1",
            "sync-host.docker.internal",
            "laptop.lan",
            "LAPTOP.LAN:80",
            "sync-laptop.lan",
            "[fe80::1]:3000",
        ] {
            assert_eq!(judged(&[("host", host.as_bytes())]), Ok(None), "{host}");
        }
    }

    #[test]
    fn every_other_host_is_foreign_or_cannot_be_read() {
        for host in [
            "evil.example",
            "evil.example:3000",
            "localhost.evil.example",
            "evil-localhost",
            "sync-evil.example",
            "sync-sync-localhost",
            "sync-",
            "localhost.",
            "a.localhost",
            "127.0.0.1.nip.io",
            "127.0.0.01",
            "2130706433",
            "0.0.0.0",
            "128.0.0.1",
            "192.168.1.7:3000",
            "[::]",
            "[::2]",
            "[::ffff:127.0.0.1]",
            "sub.laptop.lan",
        ] {
            assert_eq!(
                judged(&[("host", host.as_bytes())]),
                Err(GuardRefusal::ForeignHost(host.to_owned())),
                "{host}"
            );
        }
        for host in [
            "",
            ":3000",
            "localhost:",
            "localhost:x",
            "localhost:+80",
            "localhost:65536",
            "localhost:80:80",
            "::1",
            "::1:3000",
            "[::1",
            "[::1]x",
            "[localhost]",
            "sync-[::1]",
            "a@localhost",
            "localhost/",
            "localhost, localhost",
            "local host",
            "http://localhost",
        ] {
            assert_eq!(
                judged(&[("host", host.as_bytes())]),
                Err(GuardRefusal::UnreadableHost(host.to_owned())),
                "{host}"
            );
        }
        assert_eq!(judged(&[]), Err(GuardRefusal::NoHost));
        let twice: [(_, &[u8]); 2] = [("host", b"localhost"), ("host", b"localhost")];
        assert_eq!(judged(&twice), Err(GuardRefusal::SeveralHosts));
    }

    #[test]
    fn a_target_that_names_a_host_must_name_the_same() {
        for (target, admitted) in [
            ("http://localhost:3000/local/token", true),
            ("http://evil.example/local/token", false),
            ("http://127.0.0.1/local/token", false),
        ] {
            let request = Request::builder().uri(target).header("host", "localhost").body(Body::empty());
            assert_eq!(guard().admit(&request.unwrap()).is_ok(), admitted, "{target}");
        }
    }

    #[test]
    fn an_origin_is_one_of_the_two_ports_under_the_same_name() {
        for (host, origin) in [
            ("localhost:4566", "http://localhost:3000"),
            ("localhost:3000", "http://localhost:3000"),
            ("LOCALHOST", "http://localhost:4566"),
            ("127.0.0.1:4566", "http://127.0.0.1:3000"),
            ("[::1]:4566", "http://[::1]:3000"),
            ("laptop.lan:4566", "http://laptop.lan:3000"),
        ] {
            let headers = [("host", host.as_bytes()), ("origin", origin.as_bytes())];
            assert_eq!(judged(&headers), Ok(Some(origin.to_owned())), "{origin} to {host}");
        }
        for (host, origin) in [
            ("localhost:4566", "null"),
            ("localhost:4566", ""),
            ("localhost:4566", "https://evil.example"),
            ("localhost:4566", "https://localhost:3000"),
            ("localhost:4566", "http://localhost"),
            ("localhost:4566", "http://localhost:5173"),
            ("localhost:4566", "http://localhost:3000/"),
            ("localhost:4566", "http://localhost:3000 http://localhost:3000"),
            ("localhost:4566", "http://127.0.0.1:3000"),
            ("127.0.0.1:4566", "http://localhost:3000"),
            ("localhost:4566", "http://laptop.lan:3000"),
            ("localhost:4566", "HTTP://localhost:3000"),
            ("localhost:4566", "localhost:3000"),
        ] {
            let headers = [("host", host.as_bytes()), ("origin", origin.as_bytes())];
            let foreign = Err(GuardRefusal::ForeignOrigin(origin.to_owned()));
            assert_eq!(judged(&headers), foreign, "{origin} to {host}");
        }
        let own: (_, &[u8]) = ("origin", b"http://localhost:3000");
        assert!(judged(&[("host", b"localhost"), own, own]).is_err());
    }

    #[test]
    fn an_origin_without_a_port_has_port_80() {
        let guard = PortGuard::new([], [80, 4566]);
        let request = Request::builder().header("host", "localhost").header("origin", "http://localhost");
        assert!(guard.admit(&request.body(Body::empty()).unwrap()).is_ok());
    }

    #[test]
    fn a_refusal_names_the_flag_and_repeats_the_host_escaped_and_cut() {
        let said = |host: &[u8]| judged(&[("host", host)]).unwrap_err().to_string();
        let message = said(b"evil.example:3000");
        assert!(
            message.contains("\"evil.example:3000\"") && message.contains("--allow-host NAME"),
            "{message}"
        );
        assert!(said(b"<\"\xff\t'>").contains(r#""<\"\xff\t\'>""#), "{}", said(b"<\"\xff\t'>"));
        let long = said(&[b'a'; 250]);
        assert!(long.contains(&format!("\"{}...\"", "a".repeat(100))), "{long}");
        assert!(said(&[0xff; 5_000]).len() < 600);
    }

    #[test]
    fn an_allowed_name_has_no_scheme_port_or_path() {
        for bad in ["", "http://laptop.lan", "laptop.lan:3000", "laptop.lan/", "a b", "*", "[::1", "é.lan"] {
            assert_eq!(bad.parse::<HostName>(), Err(HostNameError), "{bad}");
        }
        assert_eq!("FE80::1".parse::<HostName>().unwrap().to_string(), "[fe80::1]");
    }
}

//! The local routes and the AWS port refuse web pages of other origins, and requests for other hosts. Most tests use
//! real sockets: only there can a request lack its `Host`, or have two.

use std::{collections::BTreeSet, fs, net::SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use local::http::port_guard::PortGuard;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::world::{
    Shop, TEMPLATE,
    orderflow::{Orderflow, command, free_port},
    programs::root,
    requests::{answered, signature, with_json},
    shop::{held_clock, start, template_with},
    tables::name,
};

/// A page that may call the API, and only the API.
const ALLOWED_PAGE: &str = "http://localhost:5173";

const PASSWORD: &str = "Tea-for-2-please";

/// The content types that a page sends: JSON by `fetch`, a form, plain text. A browser sends a preflight before the
/// first one only; the ports must not depend on it.
const CONTENT_TYPES: [&str; 3] =
    ["application/json", "application/x-www-form-urlencoded", "text/plain;charset=UTF-8"];

/// Every local route, with a body that it takes.
const LOCAL_ROUTES: [(&str, &str); 5] = [
    ("POST /local/token", r#"{"email": "eve@example.com", "groups": ["admin"]}"#),
    ("GET /local/mailbox", ""),
    ("POST /local/mailbox/confirm-all", ""),
    ("GET /local/executions", ""),
    ("GET /local/feed", ""),
];

/// A stack on two real ports, as the program serves it.
struct GuardedPorts {
    shop: Shop,
    api: SocketAddr,
    aws: SocketAddr,
}

/// A request without the headers of its [`Sender`].
#[derive(Clone, Debug)]
struct RawCall {
    to: SocketAddr,
    /// The method and the target.
    line: String,
    headers: String,
    body: String,
}

/// The part of a request that tells its sender: the version and the headers `Host` and `Origin`.
#[derive(Clone, Debug)]
struct Sender {
    version: &'static str,
    headers: String,
}

#[derive(Debug)]
struct RawAnswer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl RawAnswer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// The names of CORS's headers.
    fn cors(&self) -> Vec<&str> {
        let names = self.headers.keys().map(HeaderName::as_str);
        names.filter(|name| name.starts_with("access-control-")).collect()
    }
}

impl GuardedPorts {
    /// Bob is registered and has not confirmed his address; Grace has an account.
    async fn open() -> Self {
        let template = template_with(&[("AllowedOrigins", ALLOWED_PAGE)]).expect("the template can be read");
        let shop = Shop::on(start(&template, None, held_clock()).await).stocked("TEA-1", 50).await;
        shop.registered("Bob").await;
        let cognito = shop.stack.cognito().expect("a pool");
        assert!(cognito.ensure_user("grace@example.com", PASSWORD, &[]).expect("an account"));
        let [api, aws] = [free_socket().await, free_socket().await];
        let addresses = [&api, &aws].map(|listener| listener.local_addr().expect("its address"));
        let guard = PortGuard::new(["laptop.lan".parse().expect("a name")], addresses.map(|one| one.port()));
        tokio::spawn(axum::serve(api, shop.stack.api_port(&guard)).into_future());
        tokio::spawn(axum::serve(aws, shop.stack.aws_port(&guard)).into_future());
        let [api, aws] = addresses;
        Self { shop, api, aws }
    }

    /// Calls of every local route.
    fn local_calls(&self) -> Vec<RawCall> {
        let call = |(line, body): (&str, &str)| RawCall {
            to: self.api,
            line: line.to_owned(),
            headers: String::new(),
            body: body.to_owned(),
        };
        LOCAL_ROUTES.into_iter().map(call).collect()
    }

    /// One call of each service of the AWS port. Each would change something, or give a token.
    fn aws_calls(&self) -> Vec<RawCall> {
        let call = |target: &str, service: &str, body: Value| RawCall {
            to: self.aws,
            line: "POST /".to_owned(),
            headers: format!(
                "x-amz-target: {target}\r\nauthorization: {}\r\n",
                signature("console", service)
            ),
            body: body.to_string(),
        };
        let cognito = |operation: &str, body: Value| RawCall {
            headers: format!("x-amz-target: AWSCognitoIdentityProviderService.{operation}\r\n"),
            ..call("", "", body)
        };
        let client = &TEMPLATE.user_pool.as_ref().expect("a pool").clients[0].id;
        let order = json!({
            "command": "place", "order_id": "6f1c3b1e-5d0a-5c0e-9a83-2f5b7e41d0c6",
            "user_id": self.shop.signed_in("Bob").user_id, "fingerprint": "0".repeat(64),
            "lines": [{ "sku": "TEA-1", "quantity": 1 }],
        });
        let row = json!({ "user_id": { "S": "eve" }, "name": { "S": "Eve" } });
        let create_user = TEMPLATE.functions.iter().find(|function| function.binary == "create_user");
        let create_user = &create_user.expect("the function").logical_id;
        let event = fs::read_to_string(root().join("infra/events/create_user.json")).expect("the event");
        vec![
            call(
                "DynamoDB_20120810.PutItem",
                "dynamodb",
                json!({ "TableName": name("UsersTable"), "Item": row }),
            ),
            call(
                "AWSStepFunctions.StartSyncExecution",
                "states",
                json!({ "stateMachineArn": TEMPLATE.state_machines[0].arn, "input": order.to_string() }),
            ),
            cognito(
                "SignUp",
                json!({ "ClientId": client, "Username": "eve@example.com", "Password": PASSWORD }),
            ),
            cognito(
                "InitiateAuth",
                json!({
                    "ClientId": client, "AuthFlow": "USER_PASSWORD_AUTH",
                    "AuthParameters": { "USERNAME": "grace@example.com", "PASSWORD": PASSWORD },
                }),
            ),
            RawCall {
                body: "Action=CreateTopic&Version=2010-03-31&Name=evil".to_owned(),
                ..call("", "sns", Value::Null)
            },
            // A page can send this one without a preflight.
            RawCall {
                line: format!("POST /2015-03-31/functions/{create_user}/invocations"),
                headers: String::new(),
                body: event,
                ..call("", "", Value::Null)
            },
        ]
    }

    /// Everything that a refused request must leave as it is: rows, and the rest as text.
    async fn state(&self) -> (Vec<Value>, String) {
        let stack = &self.shop.stack;
        let rest = (
            stack.mailbox().mails(None, None),
            stack.sns().topics(),
            stack.sns().subscriptions(),
            stack.aws().executions().len(),
        );
        (self.shop.everything().await, format!("{rest:?}"))
    }

    /// The senders that must be refused: foreign pages, foreign hosts, and hosts that cannot be read. They call `port`.
    fn foreigners(&self, port: u16) -> Vec<Sender> {
        let own = format!("host: localhost:{port}\r\n");
        let (api, aws) = (self.api.port(), self.aws.port());
        let of_page = |origin: &str| format!("{own}origin: {origin}\r\n");
        let heads = vec![
            of_page("https://evil.example"),
            of_page("null"),
            of_page(ALLOWED_PAGE),
            of_page(""),
            of_page(&format!("https://localhost:{api}")),
            of_page(&format!("http://127.0.0.1:{api}")),
            of_page(&format!("http://localhost.evil.example:{api}")),
            of_page("http://localhost"),
            format!("{}origin: https://evil.example\r\n", of_page(&format!("http://localhost:{api}"))),
            // After a rebinding of DNS the page's own name leads here.
            format!("host: evil.example:{port}\r\norigin: http://evil.example:{api}\r\n"),
            format!("host: evil.example:{port}\r\norigin: http://evil.example:{aws}\r\n"),
            // A browser sends no Origin with a GET to the page's own host.
            format!("host: evil.example:{port}\r\n"),
            format!("host: sync-evil.example:{port}\r\n"),
            format!("host: localhost.evil.example:{port}\r\n"),
            format!("host: 127.0.0.1.evil.example:{port}\r\n"),
            format!("host: host.docker.internal.evil.example:{port}\r\n"),
            format!("host: 0.0.0.0:{port}\r\n"),
            format!("host: 192.168.1.7:{port}\r\n"),
            format!("host: evil@localhost:{port}\r\n"),
            format!("host: localhost:{port}, evil.example\r\n"),
            "host: localhost:99999\r\n".to_owned(),
            "host: [::1\r\n".to_owned(),
            "host: \r\n".to_owned(),
            format!("{own}host: evil.example\r\n"),
            format!("{own}{own}"),
            String::new(),
        ];
        let senders: Vec<Sender> =
            heads.into_iter().map(|headers| Sender { version: "HTTP/1.1", headers }).collect();
        let old = Sender { version: "HTTP/1.0", headers: String::new() };
        senders.into_iter().chain([old]).collect()
    }
}

async fn free_socket() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.expect("a port")
}

impl Sender {
    fn named(host: &str) -> Self {
        Self { version: "HTTP/1.1", headers: format!("host: {host}\r\n") }
    }

    fn page(host: &str, origin: &str) -> Self {
        Self { version: "HTTP/1.1", headers: format!("host: {host}\r\norigin: {origin}\r\n") }
    }
}

/// Sends the text of one request and reads the text of its answer.
async fn exchange(call: &RawCall, sender: &Sender, content_type: &str) -> RawAnswer {
    let RawCall { to, line, headers, body } = call;
    let Sender { version, headers: own } = sender;
    let content = if body.is_empty() { String::new() } else { format!("content-type: {content_type}\r\n") };
    let length = body.len();
    let request = format!(
        "{line} {version}\r\n{own}{headers}{content}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    let mut connection = TcpStream::connect(to).await.expect("a connection");
    connection.write_all(request.as_bytes()).await.expect("the request is sent");
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| {
        (name.parse::<HeaderName>().expect("a name"), HeaderValue::from_str(value).expect("a value"))
    });
    RawAnswer { status, headers: headers.collect(), body: body.to_owned() }
}

#[test]
fn the_local_routes_of_these_tests_are_all_there_are() {
    let source = include_str!("../../../crates/local/src/http/local_routes.rs");
    let built: BTreeSet<&str> =
        source.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    let called = LOCAL_ROUTES.iter().filter_map(|(line, _)| line.split(' ').nth(1));
    assert_eq!(called.collect::<BTreeSet<_>>(), built);
}

#[tokio::test]
async fn a_foreign_page_or_name_is_refused_everywhere_and_changes_nothing() {
    let ports = GuardedPorts::open().await;
    let before = ports.state().await;
    ports.shop.stack.faults().record();
    for call in ports.local_calls().iter().chain(&ports.aws_calls()) {
        for sender in ports.foreigners(call.to.port()) {
            for content_type in CONTENT_TYPES {
                let answer = exchange(call, &sender, content_type).await;
                let what = format!("{} {} of {sender:?} as {content_type}", call.line, call.headers);
                assert_eq!(answer.status, 403, "{what}: {answer:?}");
                assert_eq!(answer.cors(), Vec::<&str>::new(), "{what}");
                let body = answer.json();
                let of_aws = call.to == ports.aws;
                let (code, members) =
                    if of_aws { (json!("AccessDeniedException"), 2) } else { (Value::Null, 1) };
                assert_eq!(
                    (&body["__type"], body.as_object().map(serde_json::Map::len)),
                    (&code, Some(members)),
                    "{what}"
                );
                assert_eq!(answer.header("x-amzn-errortype"), code.as_str().unwrap_or_default(), "{what}");
                assert!(body["message"].is_string(), "{what}");
            }
        }
    }
    let recorded = ports.shop.stack.faults().recorded();
    assert!(recorded.is_empty(), "{recorded:?}");
    assert_eq!(ports.state().await, before);
}

/// The control of the test above: without the foreign headers, the same requests have their effect.
#[tokio::test]
async fn every_one_of_these_requests_works_for_a_tool_on_this_machine() {
    let ports = GuardedPorts::open().await;
    let mut calls = ports.local_calls();
    calls.extend(ports.aws_calls());
    for call in &calls {
        let before = ports.state().await;
        let sender = Sender::named(&format!("127.0.0.1:{}", call.to.port()));
        let answer = exchange(call, &sender, CONTENT_TYPES[0]).await;
        assert_eq!(answer.status, 200, "{call:?}: {answer:?}");
        let gives = ["id_token", "IdToken"].iter().any(|token| answer.body.contains(token));
        let reads = call.line.starts_with("GET ");
        assert!(gives || reads || ports.state().await != before, "{call:?} changes nothing: {answer:?}");
    }
}

#[tokio::test]
async fn the_documented_ways_lead_in() {
    let ports = GuardedPorts::open().await;
    let (api, aws) = (ports.api.port(), ports.aws.port());
    let token = &ports.local_calls()[0];
    let [put, .., invoke] = &ports.aws_calls()[..] else { panic!("calls") };
    for (way, sender) in [
        ("curl, Postman, cargo lambda", Sender::named(&format!("127.0.0.1:{aws}"))),
        ("curl by name", Sender::named(&format!("localhost:{aws}"))),
        ("curl by another case", Sender::named("LocalHost")),
        ("curl by the other loopback", Sender::named(&format!("[::1]:{aws}"))),
        ("any loopback address", Sender::named(&format!("127.8.9.10:{aws}"))),
        ("SAM's container", Sender::named("host.docker.internal:4566")),
        ("an SDK's StartSyncExecution", Sender::named(&format!("sync-localhost:{aws}"))),
        ("the same in SAM's container", Sender::named("sync-host.docker.internal:4566")),
        ("a name that is allowed", Sender::named("Laptop.lan:8080")),
        ("the same with the SDK's prefix", Sender::named("sync-laptop.lan")),
        ("a page of the API's port", Sender::page("localhost:9", &format!("http://localhost:{api}"))),
        ("a page of the AWS port", Sender::page("127.0.0.1", &format!("http://127.0.0.1:{aws}"))),
        ("a page under ::1", Sender::page("[::1]", &format!("http://[::1]:{api}"))),
        ("a page under an allowed name", Sender::page("laptop.lan", &format!("http://laptop.lan:{api}"))),
    ] {
        for call in [token, put, invoke] {
            let answer = exchange(call, &sender, CONTENT_TYPES[0]).await;
            assert_eq!(answer.status, 200, "{way}: {} {answer:?}", call.line);
        }
    }
}

/// An image's address or a link makes a browser send a GET without an Origin.
#[tokio::test]
async fn an_image_of_a_foreign_page_invokes_no_function() {
    let ports = GuardedPorts::open().await;
    let Some(invoke) = ports.aws_calls().pop() else { panic!("a call") };
    ports.shop.stack.faults().record();
    for method in ["GET", "HEAD", "PUT"] {
        let line = invoke.line.replace("POST", method);
        let call = RawCall { line, body: String::new(), ..invoke.clone() };
        let answer = exchange(&call, &Sender::named(&format!("localhost:{}", ports.aws.port())), "").await;
        assert_eq!(answer.status, 400, "{method}: {answer:?}");
    }
    assert!(ports.shop.stack.faults().recorded().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_page_of_the_stack_signs_in_as_at_cognito() {
    let shop = Shop::open().await;
    let cognito = shop.stack.cognito().expect("a pool");
    assert!(cognito.ensure_user("grace@example.com", PASSWORD, &[]).expect("an account"));
    let port = shop.stack.aws_port(&PortGuard::new([], [3000, 4566]));
    let from = |method: Method, origin: &str| {
        Request::builder()
            .method(method)
            .uri("/")
            .header("host", "localhost:4566")
            .header("origin", origin)
            .header("content-type", "application/x-amz-json-1.1")
    };
    let preflight = |origin: &str| {
        let asked = from(Method::OPTIONS, origin).header("access-control-request-method", "POST");
        with_json(asked.header("access-control-request-headers", "content-type,x-amz-target"), None)
    };
    let page = "http://localhost:3000";

    let (told, body) = answered(port.clone(), preflight(page)).await;
    assert_eq!((told.status.as_u16(), body.len()), (200, 0));
    let header =
        |name: &str| told.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert_eq!(header("access-control-allow-origin"), page);
    assert_eq!(header("access-control-allow-methods"), "POST");
    assert_eq!(header("vary"), "origin");
    let allowed: Vec<&str> = header("access-control-allow-headers").split(',').collect();
    for name in ["authorization", "content-type", "x-amz-target", "x-amz-user-agent"] {
        assert!(allowed.contains(&name), "{name} is not in {allowed:?}");
    }

    let sign_in = |password: &str| {
        let client = &TEMPLATE.user_pool.as_ref().expect("a pool").clients[0].id;
        let body = json!({
            "ClientId": client, "AuthFlow": "USER_PASSWORD_AUTH",
            "AuthParameters": { "USERNAME": "grace@example.com", "PASSWORD": password },
        });
        let asked = from(Method::POST, page);
        let asked = asked.header("x-amz-target", "AWSCognitoIdentityProviderService.InitiateAuth");
        with_json(asked, Some(&body))
    };
    // The page must be able to read a refusal, too.
    for (password, status) in [(PASSWORD, 200), ("wrong", 400)] {
        let (parts, _) = answered(port.clone(), sign_in(password)).await;
        assert_eq!(parts.status, status, "{password}");
        assert_eq!(parts.headers["access-control-allow-origin"], page, "{password}");
        assert_eq!(parts.headers["access-control-expose-headers"], "x-amzn-errortype", "{password}");
    }

    for origin in ["https://evil.example", "null", ALLOWED_PAGE, "http://127.0.0.1:3000"] {
        let (parts, _) = answered(port.clone(), preflight(origin)).await;
        assert_eq!(parts.status, 403, "{origin}");
        assert!(!parts.headers.keys().any(|name| name.as_str().starts_with("access-control-")), "{origin}");
    }
    // A tool sends no origin and gets no header of CORS.
    let tool = Request::options("/").header("host", "localhost:4566");
    let (parts, _) = answered(port, with_json(tool, None)).await;
    assert!(!parts.headers.contains_key("access-control-allow-origin"), "{parts:?}");
}

/// The program knows its ports only after binding them.
#[tokio::test]
async fn the_program_guards_both_ports_and_leaves_the_api_to_cors() {
    let free = free_port();
    let aws_port = free.to_string();
    let allowed = format!("AllowedOrigins={ALLOWED_PAGE}");
    let stack = Orderflow::start([
        "--ephemeral",
        "--no-demo",
        "--aws-port",
        &aws_port,
        "--allow-host",
        "laptop.lan",
        "--allow-host",
        "192.168.1.7",
        "--parameter",
        &allowed,
    ]);
    let to = |to: SocketAddr, line: &str| RawCall {
        to,
        line: line.to_owned(),
        headers: String::new(),
        body: "{}".to_owned(),
    };
    let mailbox = RawCall { body: String::new(), ..to(stack.api, "GET /local/mailbox") };
    let aws = SocketAddr::new(stack.api.ip(), free);
    let invoke = to(aws, "POST /2015-03-31/functions/SweepOrdersFunction/invocations");
    let page = format!("http://localhost:{}", stack.api.port());
    for (sender, status) in [
        (Sender::named("localhost"), 200),
        (Sender::named("laptop.lan:8080"), 200),
        (Sender::named("192.168.1.7"), 200),
        (Sender::named("evil.example"), 403),
        (Sender::page("localhost", &page), 200),
        (Sender::page("localhost", &format!("http://localhost:{free}")), 200),
        (Sender::page("localhost", "http://localhost:3000"), 403),
        (Sender::page("localhost", ALLOWED_PAGE), 403),
        (Sender::page("localhost", "null"), 403),
    ] {
        for call in [&mailbox, &invoke] {
            let answer = exchange(call, &sender, CONTENT_TYPES[0]).await;
            assert_eq!(answer.status, status, "{} of {sender:?}: {answer:?}", call.line);
        }
    }
    let refused = exchange(&mailbox, &Sender::named("shop.lan:3000"), "").await.json();
    let message = refused["message"].as_str().expect("a message");
    assert!(message.contains("\"shop.lan:3000\"") && message.contains("--allow-host"), "{message}");

    // A token, and not a name, opens the API's own routes.
    let api = |line: &str| RawCall { body: String::new(), ..to(stack.api, line) };
    let health = exchange(&api("GET /health"), &Sender::page("evil.example", "null"), "").await;
    assert_eq!((health.status, health.cors()), (200, Vec::new()));
    let told = exchange(&api("GET /health"), &Sender::page("localhost", ALLOWED_PAGE), "").await;
    assert_eq!((told.status, told.header("access-control-allow-origin")), (200, ALLOWED_PAGE));
    assert_eq!(exchange(&api("GET /orders"), &Sender::named("evil.example"), "").await.status, 401);
}

#[test]
fn an_allowed_name_with_a_port_stops_the_start() {
    let said = command().args(["--allow-host", "laptop.lan:3000"]).output();
    let said = said.expect("orderflow runs");
    assert!(!said.status.success());
    let said = String::from_utf8(said.stderr).expect("text");
    assert!(said.contains("without a scheme or a port"), "{said}");
}

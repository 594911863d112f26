//! The gateway as a service, in front of scripted functions.

use std::{sync::Mutex, time::Duration};

use axum::body::to_bytes;
use dynoxide::Database;
use serde_json::json;
use time::macros::datetime;
use tower::ServiceExt as _;

use sam_template::RoutePath;

use super::*;
use crate::ground::{
    Store,
    tokens::{Signing, TokenRequest},
};

const ISSUER: &str = "https://issuer.example.com/pool";

/// Functions whose names say how they reply. Records every event.
#[derive(Default)]
struct ScriptedFunctions {
    events: Mutex<Vec<Value>>,
    finished: AtomicU64,
}

impl Invoker for ScriptedFunctions {
    fn invoke<'a>(
        &'a self,
        function: &'a str,
        event: Bytes,
    ) -> Pin<Box<dyn Future<Output = Result<Bytes, InvokeFailure>> + Send + 'a>> {
        Box::pin(async move {
            self.events.lock().unwrap().push(serde_json::from_slice(&event).unwrap());
            match function {
                "echo" => {
                    Ok(Bytes::from_static(br#"{"statusCode":201,"headers":{"etag":"1"},"body":"made"}"#))
                }
                "fails" => Err(InvokeFailure::FunctionError),
                "refused" => Err(InvokeFailure::NotInvocable),
                "babbles" => Ok(Bytes::from_static(b"not JSON")),
                "panics" => panic!("as told"),
                "slow" => {
                    tokio::time::sleep(Duration::from_mins(1)).await;
                    self.finished.fetch_add(1, Ordering::Relaxed);
                    Ok(Bytes::from_static(b"{}"))
                }
                other => panic!("no function {other}"),
            }
        })
    }
}

struct GatewayWorld {
    api: Router,
    tokens: Arc<Tokens>,
    functions: Arc<ScriptedFunctions>,
}

impl GatewayWorld {
    fn open() -> Self {
        let clock = StackClock::held(datetime!(2026-03-01 12:00:00.25 UTC));
        let store = Store::open(Database::memory().unwrap()).unwrap();
        let tokens = Tokens::open(&store, clock.clone(), ISSUER.to_owned(), "client-1".to_owned()).unwrap();
        let (tokens, functions) = (Arc::new(tokens), Arc::new(ScriptedFunctions::default()));
        let route = |method: &str, path: &str, function: &str, guarded: bool| Route {
            method: method.to_owned(),
            path: RoutePath::parse(path).unwrap(),
            function: function.to_owned(),
            authorizer: guarded.then(|| Authorizer {
                name: "Jwt".to_owned(),
                issuer: ISSUER.to_owned(),
                audience: vec!["client-1".to_owned()],
            }),
            timeout: Duration::from_secs(30),
        };
        let mut routes = vec![
            route("GET", "/health", "echo", false),
            route("POST", "/open/{name}", "echo", false),
            route("PATCH", "/orders/{order_id}", "echo", true),
        ];
        for function in ["fails", "refused", "babbles", "panics", "slow"] {
            routes.push(route("GET", &format!("/{function}"), function, false));
        }
        let invoker: Arc<dyn Invoker> = functions.clone();
        let api = router(routes, None, Arc::clone(&tokens), invoker, clock);
        Self { api, tokens, functions }
    }

    fn token(&self) -> String {
        let request = TokenRequest {
            groups: vec!["admin".to_owned(), "staff".to_owned()],
            user_id: Some("u-1".to_owned()),
            ..TokenRequest::new("ana@example.com")
        };
        self.tokens.issue(&request).unwrap().id_token
    }

    async fn send(&self, request: http::request::Builder, body: impl Into<Body>) -> GatewayAnswer {
        let response = self.api.clone().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap();
        assert_eq!(parts.headers["apigw-requestid"].len(), 16);
        GatewayAnswer { status: parts.status.as_u16(), headers: parts.headers, body }
    }

    async fn get(&self, path: &str) -> GatewayAnswer {
        self.send(http::Request::get(path), "").await
    }

    fn events(&self) -> Vec<Value> {
        self.functions.events.lock().unwrap().clone()
    }
}

struct GatewayAnswer {
    status: u16,
    headers: HeaderMap,
    body: String,
}

impl GatewayAnswer {
    #[track_caller]
    fn is_the_gateways(&self, status: u16, message: &str) {
        assert_eq!(
            (self.status, self.body.as_str()),
            (status, json!({ "message": message }).to_string().as_str())
        );
        assert_eq!(self.headers["content-type"], "application/json");
    }
}

#[tokio::test(start_paused = true)]
async fn a_function_gets_the_event_of_payload_format_two() {
    let world = GatewayWorld::open();
    let token = world.token();
    let request = http::Request::patch("/orders/a%20b?limit=1&tag=x&tag=y%2Cz&empty")
        .header("Host", "api.example.com:3000")
        .header("Content-Type", "application/json")
        .header("Authorization", format!("Bearer {token}"))
        .header("User-Agent", "test/1")
        .header("If-Match", "\"1\"")
        .header("X-Many", "one")
        .header("X-Many", "two")
        .header("Cookie", "a=1; b=2");
    let answer = world.send(request, r#"{"status":"SHIPPED"}"#).await;
    assert_eq!((answer.status, answer.body.as_str()), (201, "made"));
    assert_eq!(answer.headers["etag"], "1");

    let event = &world.events()[0];
    assert_eq!(
        event,
        &json!({
            "version": "2.0",
            "routeKey": "PATCH /orders/{order_id}",
            "rawPath": "/orders/a b",
            "rawQueryString": "limit=1&tag=x&tag=y%2Cz&empty",
            "cookies": ["a=1", "b=2"],
            "headers": {
                "authorization": format!("Bearer {token}"),
                "content-type": "application/json",
                "host": "api.example.com:3000",
                "if-match": "\"1\"",
                "user-agent": "test/1",
                "x-forwarded-for": "127.0.0.1",
                "x-forwarded-proto": "http",
                "x-many": "one,two",
            },
            "queryStringParameters": {"empty": "", "limit": "1", "tag": "x,y,z"},
            "pathParameters": {"order_id": "a b"},
            "requestContext": {
                "accountId": "000000000000",
                "apiId": "local",
                "authorizer": {"jwt": {
                    "claims": {
                        "sub": "u-1", "iss": ISSUER, "aud": "client-1", "token_use": "id",
                        "iat": "1772366400", "auth_time": "1772366400", "exp": "1772370000",
                        "email": "ana@example.com", "email_verified": "true", "cognito:username": "u-1",
                        "cognito:groups": "[admin staff]",
                    },
                    "scopes": null,
                }},
                "domainName": "api.example.com",
                "domainPrefix": "api",
                "http": {
                    "method": "PATCH", "path": "/orders/a b", "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1", "userAgent": "test/1",
                },
                "requestId": answer.headers["apigw-requestid"].to_str().unwrap(),
                "routeKey": "PATCH /orders/{order_id}",
                "stage": "$default",
                "time": "01/Mar/2026:12:00:00 +0000",
                "timeEpoch": 1_772_366_400_250_i64,
            },
            "body": r#"{"status":"SHIPPED"}"#,
            "isBase64Encoded": false,
        })
    );
    let parsed: aws_lambda_events::apigw::ApiGatewayV2httpRequest =
        serde_json::from_value(event.clone()).unwrap();
    assert_eq!(parsed.path_parameters["order_id"], "a b");
}

#[tokio::test(start_paused = true)]
async fn a_missing_part_of_a_request_is_absent_from_its_event() {
    let world = GatewayWorld::open();
    world.get("/health").await;
    let event = &world.events()[0];
    for absent in ["cookies", "queryStringParameters", "pathParameters", "body"] {
        assert!(event.get(absent).is_none(), "{absent}");
    }
    assert!(event["requestContext"].get("authorizer").is_none());
    assert_eq!((&event["rawQueryString"], &event["isBase64Encoded"]), (&json!(""), &json!(false)));
    serde_json::from_value::<aws_lambda_events::apigw::ApiGatewayV2httpRequest>(event.clone()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_text_is_base64() {
    let world = GatewayWorld::open();
    for (content_type, body, expected, base64) in [
        ("application/json", &b"{\"a\":1}"[..], "{\"a\":1}", false),
        ("application/json", b"\xff", "/w==", true),
        ("application/octet-stream", b"abc", "YWJj", true),
    ] {
        let request = http::Request::post("/open/x").header("content-type", content_type);
        world.send(request, body).await;
        let event = world.events().pop().unwrap();
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!(expected), &json!(base64)));
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_good_token_reaches_a_guarded_function() {
    let world = GatewayWorld::open();
    let request = TokenRequest::new("ana@example.com");
    let forged = |overrides: Value, signing| {
        world.tokens.issue_with(&request, overrides.as_object().unwrap(), signing).unwrap()
    };
    let refused = |headers: Vec<String>| {
        let mut request = http::Request::patch("/orders/1");
        for header in headers {
            request = request.header("authorization", header);
        }
        world.send(request, "{}")
    };
    let nobody = refused(vec![]).await;
    nobody.is_the_gateways(401, "Unauthorized");
    assert_eq!(nobody.headers["www-authenticate"], "Bearer");
    for headers in [
        vec!["Bearer nonsense".to_owned()],
        vec![forged(json!({}), Signing::AnotherKey)],
        vec![forged(json!({}), Signing::None)],
        vec![forged(json!({"aud": "client-2"}), Signing::Genuine)],
        vec![forged(json!({"iss": "https://other.example.com"}), Signing::Genuine)],
        vec![forged(json!({"exp": 1}), Signing::Genuine)],
        vec![world.token(), world.token()],
    ] {
        let answer = refused(headers).await;
        answer.is_the_gateways(401, "Unauthorized");
        assert!(answer.headers["www-authenticate"].to_str().unwrap().starts_with("Bearer "));
    }
    assert!(world.events().is_empty(), "a function ran for a caller without a good token");
    assert_eq!(refused(vec![world.token()]).await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn the_gateways_own_answers_have_awss_statuses_and_messages() {
    let world = GatewayWorld::open();
    world.get("/nowhere").await.is_the_gateways(404, "Not Found");
    world.send(http::Request::delete("/health"), "").await.is_the_gateways(404, "Not Found");
    world.get("/fails").await.is_the_gateways(500, "Internal Server Error");
    world.get("/panics").await.is_the_gateways(500, "Internal Server Error");
    world.get("/refused").await.is_the_gateways(500, "Internal Server Error");
    world.get("/babbles").await.is_the_gateways(500, "Internal Server Error");

    let header = |size: usize| http::Request::get("/health").header("x-large", "x".repeat(size));
    let line = "GET /health HTTP/1.1".len();
    assert_eq!(world.send(header(MAX_HEADER_BYTES - line), "").await.status, 201);
    world
        .send(header(MAX_HEADER_BYTES - line + 1), "")
        .await
        .is_the_gateways(431, "Request Header Fields Too Large");

    let post = |size: usize| world.send(http::Request::post("/open/x"), vec![b'x'; size]);
    assert_eq!(post(MAX_BODY_BYTES).await.status, 201);
    post(MAX_BODY_BYTES + 1).await.is_the_gateways(413, "Request Entity Too Large");
}

#[tokio::test(start_paused = true)]
async fn a_function_outlives_the_gateways_timeout() {
    let world = GatewayWorld::open();
    let started = tokio::time::Instant::now();
    world.get("/slow").await.is_the_gateways(503, "Service Unavailable");
    assert_eq!(started.elapsed(), Duration::from_secs(30));
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(world.functions.finished.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn every_answer_has_an_id_of_its_own() {
    let world = GatewayWorld::open();
    let mut ids = std::collections::BTreeSet::new();
    for path in ["/health", "/health", "/nowhere", "/fails"] {
        ids.insert(world.get(path).await.headers["apigw-requestid"].to_str().unwrap().to_owned());
    }
    assert_eq!(ids.len(), 4);
}

#[tokio::test]
async fn it_serves_a_socket_and_passes_on_the_callers_address() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let world = GatewayWorld::open();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = world.api.clone().into_make_service_with_connect_info::<std::net::SocketAddr>();
    let server = tokio::spawn(async move { axum::serve(listener, service).await });
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    socket.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n") && answer.ends_with("made"), "{answer}");
    assert_eq!(world.events()[0]["requestContext"]["http"]["sourceIp"], "127.0.0.1");
    server.abort();
}

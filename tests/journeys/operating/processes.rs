//! The functions' programs run as Lambda runs them. The template gives their environment, a Lambda Runtime API their
//! events, and their AWS calls go to the stack over HTTP.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
};

use axum::body::Body;
use http::Request;
use local::{
    aws::{Call, Fault},
    ground::StackClock,
    http::port_guard::PortGuard,
};
use sam_template::FunctionResource;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::world::{
    Shop, TEMPLATE,
    gestures::{lines, product},
    lambda_runtime_api::{Ended, FunctionAnswer, Running, TRACE},
    programs::root,
    requests::{answered as answered_by, without_mailed_at},
    shop::{held_clock, start},
};

/// Words in events that no log line may hold.
const PRIVATE: [&str; 6] =
    ["grace@example.com", "Grace", "secret-token", "PO-77", "first delivery", "Sencha"];

/// A stack whose AWS port is served over HTTP.
pub(super) struct Cloud {
    pub(super) shop: Shop,
    pub(super) aws: SocketAddr,
}

impl Cloud {
    pub(super) async fn open() -> Self {
        Self::open_at(StackClock::system()).await
    }

    async fn open_at(clock: StackClock) -> Self {
        let stack = start(&TEMPLATE, None, clock).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let aws = listener.local_addr().expect("its address");
        let guard = PortGuard::new([], [aws.port()]);
        tokio::spawn(axum::serve(listener, stack.aws_port(&guard)).into_future());
        Self { shop: Shop::on(stack), aws }
    }

    async fn start(&self, binary: &str) -> Running {
        Running::start(function(binary), self.aws, &BTreeMap::new()).await
    }
}

pub(super) fn function(binary: &str) -> &'static FunctionResource {
    let function = TEMPLATE.functions.iter().find(|function| function.binary == binary);
    function.unwrap_or_else(|| panic!("the template has no function of {binary}"))
}

/// The requests so far. A gateway gives each an id of its own.
static REQUESTS: AtomicUsize = AtomicUsize::new(0);

/// An event of an HTTP API, payload format 2.0, as AWS documents it.
fn request(route: &str, path: &[(&str, &str)], admin: bool, body: Option<&Value>) -> String {
    let (method, template) = route.split_once(' ').expect("a method and a path");
    let raw = path
        .iter()
        .fold(template.to_owned(), |raw, (name, value)| raw.replace(&format!("{{{name}}}"), value));
    let parameters: BTreeMap<&str, &str> = path.iter().copied().collect();
    let claims = json!({
        "sub": if admin { "boss" } else { "grace" },
        "email": "grace@example.com",
        "email_verified": "true",
        "name": "Grace",
        "token_use": "id",
        "cognito:groups": if admin { "[staff admin]" } else { "[staff]" },
    });
    let mut event = json!({
        "version": "2.0",
        "routeKey": route,
        "rawPath": raw,
        "rawQueryString": "",
        "headers": {
            "authorization": "Bearer secret-token",
            "content-type": "application/json",
            "idempotency-key": "key-1",
            "host": "api.example.com",
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "api-id",
            "authorizer": { "jwt": { "claims": claims, "scopes": null } },
            "domainName": "api.example.com",
            "domainPrefix": "api",
            "http": {
                "method": method, "path": raw, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "agent",
            },
            "requestId": format!("gateway-{}", REQUESTS.fetch_add(1, Ordering::Relaxed)),
            "routeKey": route,
            "stage": "$default",
            "time": "12/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1_583_348_638_390_u64,
        },
        "isBase64Encoded": false,
    });
    if !path.is_empty() {
        event["pathParameters"] = json!(parameters);
    }
    if let Some(body) = body {
        event["body"] = json!(body.to_string());
    }
    event.to_string()
}

/// The status and the body of an HTTP answer.
#[track_caller]
fn answered(answer: &FunctionAnswer) -> (u64, Value) {
    let answer = answer.as_ref().expect("an answer");
    let body = answer["body"].as_str().map_or(Value::Null, |body| serde_json::from_str(body).expect("JSON"));
    (answer["statusCode"].as_u64().expect("a status"), body)
}

/// Checks that a program wrote JSON lines, at least one for each of `ids`, and nothing private.
#[track_caller]
fn logged(binary: &str, ended: &Ended, ids: &[&str]) {
    let lines: Vec<Value> = ended
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{binary} wrote {line}")))
        .collect();
    for id in ids {
        let of_it = lines.iter().find(|line| line["span"]["request_id"] == *id);
        assert!(of_it.is_some(), "{binary} logged nothing of {id}: {}", ended.out);
    }
    for private in PRIVATE {
        assert!(
            !ended.out.contains(private) && !ended.err.contains(private),
            "{private}: {binary} {ended:?}"
        );
    }
    assert_eq!(ended.err, "", "{binary}");
}

#[tokio::test]
async fn the_program_of_every_function_does_its_part_of_an_order_over_http() {
    let cloud = Cloud::open().await;
    cloud.shop.stack.faults().record();
    let mut served = BTreeSet::new();

    let program = cloud.start("adjust_inventory").await;
    let sku = [("sku", "TEA-1")];
    let product = product("Sencha", 450, "EUR");
    let listed = program.invoke(&request("PUT /inventory/{sku}", &sku, true, Some(&product))).await;
    assert_eq!(answered(&listed).0, 201, "{listed:?}");
    let adjustment = json!({ "delta": 5, "reason": "first delivery" });
    let route = "POST /inventory/{sku}/adjustments";
    let adjusted = program.invoke(&request(route, &sku, true, Some(&adjustment))).await;
    assert_eq!(
        (answered(&adjusted).0, &answered(&adjusted).1["available"]),
        (201, &json!(5)),
        "{adjusted:?}"
    );
    let refused = program.invoke(&request(route, &sku, false, Some(&adjustment))).await;
    assert_eq!(
        (answered(&refused).0, &answered(&refused).1["code"]),
        (403, &json!("forbidden")),
        "{refused:?}"
    );
    logged("adjust_inventory", &program.stop().await, &["invocation-1", "invocation-2", "invocation-3"]);
    served.insert("adjust_inventory");

    let program = cloud.start("create_user").await;
    let registered =
        program.invoke(&request("POST /users", &[], false, Some(&json!({ "name": "Grace" })))).await;
    assert_eq!(answered(&registered).0, 201, "{registered:?}");
    cloud.shop.confirm_mails();
    let confirmed =
        program.invoke(&request("POST /users", &[], false, Some(&json!({ "name": "Grace" })))).await;
    assert_eq!(answered(&confirmed).1["notifications"], "confirmed", "{confirmed:?}");
    logged("create_user", &program.stop().await, &["invocation-1", "invocation-2"]);
    served.insert("create_user");

    let program = cloud.start("place_order").await;
    let order = json!({ "lines": [{ "sku": "TEA-1", "quantity": 2 }], "reference": "PO-77" });
    let placed = program.invoke(&request("POST /orders", &[], false, Some(&order))).await;
    let (status, body) = answered(&placed);
    assert_eq!((status, &body["status"]), (201, &json!("CONFIRMED")), "{placed:?}");
    let again = program.invoke(&request("POST /orders", &[], false, Some(&order))).await;
    assert_eq!(
        (answered(&again).0, without_mailed_at(&answered(&again).1)),
        (200, without_mailed_at(&body)),
        "{again:?}"
    );
    let ended = program.stop().await;
    logged("place_order", &ended, &["invocation-1", "invocation-2"]);
    let order_id = body["order_id"].as_str().expect("an id");
    assert!(ended.out.contains(order_id), "the order's id is not in {}", ended.out);
    served.insert("place_order");

    let program = cloud.start("change_order").await;
    let path = [("order_id", order_id)];
    let cancelled = program.invoke(&request("POST /orders/{order_id}/cancel", &path, false, None)).await;
    let (status, body) = answered(&cancelled);
    assert_eq!((status, &body["status"]), (200, &json!("CANCELLED")), "{cancelled:?}");
    logged("change_order", &program.stop().await, &["invocation-1"]);
    served.insert("change_order");

    let program = cloud.start("sweep_orders").await;
    let swept = program.invoke("{}").await.expect("a summary");
    let members = swept.as_object().expect("a summary");
    assert!(members.len() >= 5 && members.values().all(|count| count == 0), "{swept}");
    logged("sweep_orders", &program.stop().await, &["invocation-1"]);
    served.insert("sweep_orders");

    let program = cloud.start("query").await;
    let read = program.invoke(&request("GET /orders/{order_id}", &path, false, None)).await;
    assert_eq!(
        (answered(&read).0, without_mailed_at(&answered(&read).1)),
        (200, without_mailed_at(&body)),
        "{read:?}"
    );
    let me = program.invoke(&request("GET /users/me", &[], false, None)).await;
    assert_eq!((answered(&me).0, &answered(&me).1["notifications"]), (200, &json!("confirmed")), "{me:?}");
    let stock = program.invoke(&request("GET /inventory", &[], true, None)).await;
    assert_eq!(answered(&stock).1["items"][0]["reserved"], 0, "{stock:?}");
    logged("query", &program.stop().await, &["invocation-1", "invocation-2", "invocation-3"]);
    served.insert("query");

    served.extend(steps(&cloud).await);
    let shipped: BTreeSet<&str> =
        TEMPLATE.functions.iter().map(|function| function.binary.as_str()).collect();
    assert_eq!(served, shipped, "every function of the template needs its part in this test");

    // Each called AWS under its own name, and `place_order` ran the workflow over HTTP.
    let recorded = cloud.shop.stack.faults().recorded();
    let calls = |caller: &str, operation: &str| {
        recorded.iter().filter(|made| made.call.caller == caller && made.call.operation == operation).count()
    };
    for function in &TEMPLATE.functions {
        assert!(
            recorded.iter().any(|made| made.call.caller == function.logical_id),
            "{}",
            function.logical_id
        );
    }
    assert_eq!(calls(&function("place_order").logical_id, "StartSyncExecution"), 2);
}

/// Runs the three steps of another order as the state machine would.
async fn steps(cloud: &Cloud) -> [&'static str; 3] {
    let order_id = "6f1c3b1e-5d0a-5c0e-9a83-2f5b7e41d0c6";
    let command = json!({
        "command": "place",
        "order_id": order_id,
        "user_id": "grace",
        "lines": [{ "sku": "TEA-1", "quantity": 1 }],
        "fingerprint": "0".repeat(64),
        "reference": "PO-77",
    });
    let program = cloud.start("check_inventory").await;
    let quote = program.invoke(&command.to_string()).await.expect("a quote");
    assert_eq!((&quote["outcome"], &quote["total"]["amount"]), (&json!("quoted"), &json!(450)), "{quote}");
    logged("check_inventory", &program.stop().await, &["invocation-1"]);

    let program = cloud.start("create_order").await;
    let asked = json!({ "request": command, "quote": quote }).to_string();
    let created = program.invoke(&asked).await.expect("an order");
    assert_eq!(
        (&created["outcome"], &created["order"]["status"]),
        (&json!("placed"), &json!("PENDING")),
        "{created}"
    );
    let repeated = program.invoke(&asked).await.expect("an order");
    assert_eq!(repeated["outcome"], "replayed", "{repeated}");
    logged("create_order", &program.stop().await, &["invocation-1", "invocation-2"]);

    let program = cloud.start("update_order_status").await;
    let asked = json!({ "command": "place", "order_id": order_id, "topic_arn": quote["topic_arn"] });
    let updated = program.invoke(&asked.to_string()).await.expect("an order");
    assert_eq!(updated["order"]["status"], "CONFIRMED", "{updated}");
    assert!(updated["announce"]["subject"].is_string(), "{updated}");
    logged("update_order_status", &program.stop().await, &["invocation-1"]);
    ["check_inventory", "create_order", "update_order_status"]
}

/// The sample events in the order in which they must run, each with a field of its answer and that field's value.
pub(super) const SAMPLES: [(&str, &str, &str); 9] = [
    ("adjust_inventory", "statusCode", "201"),
    ("create_user", "statusCode", "201"),
    ("place_order", "statusCode", "201"),
    ("query", "statusCode", "200"),
    ("check_inventory", "outcome", "\"quoted\""),
    ("create_order", "outcome", "\"placed\""),
    ("update_order_status", "outcome", "\"changed\""),
    ("change_order", "statusCode", "200"),
    ("sweep_orders", "due", "0"),
];

pub(super) fn sample(binary: &str) -> String {
    let path = root().join(format!("infra/events/{binary}.json"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Stocks the product of the sample events, as the demo catalog does.
pub(super) async fn stock_sencha(shop: &Shop) {
    let listed = shop.describe(&shop.admin, "TEA-SENCHA", &product("Sencha, 100 g", 850, "EUR")).await;
    assert_eq!(listed.status, 201, "{listed:?}");
    assert_eq!(shop.adjust("TEA-SENCHA", "opening", 40).await.status, 201);
}

#[tokio::test]
async fn every_sample_event_succeeds_on_the_program_of_its_function() {
    let cloud = Cloud::open().await;
    stock_sencha(&cloud.shop).await;
    let sampled: BTreeSet<&str> = SAMPLES.iter().map(|(binary, ..)| *binary).collect();
    let shipped: BTreeSet<&str> =
        TEMPLATE.functions.iter().map(|function| function.binary.as_str()).collect();
    assert_eq!(sampled, shipped);
    for (binary, field, expected) in SAMPLES {
        let program = cloud.start(binary).await;
        let answer = program.invoke(&sample(binary)).await;
        let answer = answer.unwrap_or_else(|error| panic!("{binary}: {error}"));
        assert_eq!(answer[field].to_string(), expected, "{binary}: {answer}");
        program.stop().await;
    }
    // The samples have the id that the local stack gives Ada, so her token finds the orders.
    let ada = cloud.shop.signed_in("Ada");
    let orders = cloud.shop.get("/orders", &ada).await;
    let statuses: Vec<&Value> =
        orders.body["items"].as_array().into_iter().flatten().map(|order| &order["status"]).collect();
    assert_eq!(statuses, ["CONFIRMED", "CANCELLED"], "{orders:?}");
}

/// `cargo lambda invoke` and `aws lambda invoke` send such a call, with the function's name in the template.
#[tokio::test(start_paused = true)]
async fn every_sample_event_can_be_sent_to_the_local_stack_without_a_signature() {
    let shop = Shop::open().await;
    stock_sencha(&shop).await;
    for (binary, field, expected) in SAMPLES {
        let path = format!("/2015-03-31/functions/{}/invocations", function(binary).logical_id);
        let request = Request::post(path).body(Body::from(sample(binary))).expect("a request");
        let (parts, answer) = answered_by(shop.stack.aws_router(), request).await;
        assert_eq!(parts.status, 200, "{binary}");
        let answer: Value = serde_json::from_slice(&answer).expect("JSON");
        assert_eq!(answer[field].to_string(), expected, "{binary}: {answer}");
    }
    // Every other call must name its caller.
    let request = Request::post("/").header("x-amz-target", "DynamoDB_20120810.ListTables");
    let request = request.body(Body::from("{}")).expect("a request");
    assert_eq!(answered_by(shop.stack.aws_router(), request).await.0.status, 403);
}

/// A program that runs the workflow hands on the trace of its own invocation.
#[tokio::test]
async fn every_program_that_runs_the_workflow_hands_its_trace_on() {
    // A clock in the past, so that an order left there is due for the sweeper, whose clock is the system's.
    let cloud = Cloud::open_at(held_clock()).await;
    let shop = cloud.shop.clone().stocked("TEA-1", 5).await;
    let ada = shop.customer("Ada").await;
    shop.place_unsent(&ada, "left", &[("TEA-1", 1)]).await;
    let order = lines(&[("TEA-1", 1)]);
    let path = [("order_id", shop.place(&ada, "sold", &[("TEA-1", 1)]).await.order_id().to_owned())];
    let path = path.each_ref().map(|(name, id)| (*name, id.as_str()));
    for (binary, event) in [
        ("place_order", request("POST /orders", &[], false, Some(&order))),
        ("change_order", request("POST /orders/{order_id}/cancel", &path, true, None)),
        ("sweep_orders", "{}".to_owned()),
    ] {
        let program = cloud.start(binary).await;
        let (answer, recorded) = shop.recording(program.invoke(&event)).await;
        answer.expect("an answer");
        let runs: Vec<&str> = recorded
            .iter()
            .filter(|made| made.call.operation == "StartSyncExecution")
            .map(|made| made.text.as_str())
            .collect();
        assert_eq!(runs.len(), 1, "{binary}: {recorded:#?}");
        assert!(runs[0].contains(&format!("\"traceHeader\": String(\"{TRACE}\")")), "{binary}: {runs:?}");
        program.stop().await;
    }
}

#[tokio::test]
async fn a_failure_is_reported_under_a_name_of_ours_and_repeats_nothing_of_the_event() {
    let cloud = Cloud::open().await;
    cloud.shop.plant(|call: &Call| match call.operation.as_str() {
        "TransactWriteItems" => Some(Fault::Conflict),
        "BatchGetItem" => Some(Fault::Before),
        _ => None,
    });
    let place = json!({
        "command": "place",
        "order_id": "6f1c3b1e-5d0a-5c0e-9a83-2f5b7e41d0c6",
        "user_id": "grace",
        "lines": [{ "sku": "TEA-1", "quantity": 1 }],
        "fingerprint": "0".repeat(64),
    });
    let euros = |amount: u64| json!({ "amount": amount, "currency": "EUR" });
    let line = json!({
        "sku": "TEA-1", "name": "Sencha", "quantity": 1, "unit_price": euros(450), "line_total": euros(450),
    });
    let quote = json!({ "outcome": "quoted", "lines": [line], "total": euros(450), "topic_arn": null });
    let create = json!({ "request": place, "quote": quote });
    let lost =
        json!({ "command": "resume", "order_id": "6f1c3b1e-5d0a-5c0e-9a83-2f5b7e41d0c6", "reason": "Grace" });
    for (binary, event, error) in [
        ("check_inventory", place, "try_again"),
        ("create_order", create, "StockContention"),
        ("update_order_status", lost, "not_found"),
    ] {
        let program = cloud.start(binary).await;
        let report = program.invoke(&event.to_string()).await.expect_err("a failure");
        assert_eq!(report["errorType"], error, "{binary}: {report}");
        for bad in [
            r#""Grace""#,
            "{}",
            r#"{"order_id": "Grace", "request": "Grace", "name": "Sencha"}"#,
            "[]",
            "null",
        ] {
            let report = program.invoke(bad).await.expect_err("a failure");
            assert_eq!(report["errorType"], "internal", "{binary} of {bad}: {report}");
            assert!(
                !PRIVATE.iter().any(|private| report.to_string().contains(private)),
                "{binary}: {report}"
            );
        }
        // The program still answers the next event.
        assert_eq!(
            program.invoke(&event.to_string()).await.expect_err("a failure")["errorType"],
            error,
            "{binary}"
        );
        logged(binary, &program.stop().await, &["invocation-1", "invocation-6", "invocation-7"]);
    }
    for function in TEMPLATE.functions.iter().filter(|function| is_door(function)) {
        let program = Running::start(function, cloud.aws, &BTreeMap::new()).await;
        for bad in [r#""Grace""#, "{}", r#"{"version": "1.0", "body": "Grace"}"#] {
            let (status, body) = answered(&program.invoke(bad).await);
            assert_eq!(
                (status, &body["code"]),
                (500, &json!("internal")),
                "{} of {bad}: {body}",
                function.binary
            );
        }
        logged(&function.binary, &program.stop().await, &["invocation-1", "invocation-2", "invocation-3"]);
    }
}

fn is_door(function: &FunctionResource) -> bool {
    let mut routes = TEMPLATE.apis.iter().flat_map(|api| &api.routes);
    routes.any(|route| [&function.logical_id, &function.name, &function.arn].contains(&&route.function))
}

#[tokio::test]
async fn a_program_without_a_variable_ends_and_names_every_missing_one() {
    let cloud = Cloud::open().await;
    for function in &TEMPLATE.functions {
        let names: Vec<&String> = function.environment.keys().collect();
        assert!(names.len() >= 3, "{}: {names:?}", function.binary);
        // Without all of them, and without each of them.
        let mut cases = vec![names.clone()];
        cases.extend(names.iter().map(|name| vec![*name]));
        for missing in cases {
            let changed = missing.iter().map(|name| ((*name).clone(), None)).collect();
            let ended = Running::start(function, cloud.aws, &changed).await.end().await;
            assert!(!ended.status.success(), "{}: {ended:?}", function.binary);
            let said = format!("{}{:?}", ended.err, ended.init_error);
            for name in &names {
                assert_eq!(
                    said.contains(name.as_str()),
                    missing.contains(name),
                    "{} {name}: {said}",
                    function.binary
                );
            }
            assert!(said.contains("infra/template.yaml") && !said.contains("panicked"), "{said}");
        }
        for (name, value) in [("LOG_LEVEL", "loud"), ("TLS_ROOTS", "oak")] {
            let changed = BTreeMap::from([(name.to_owned(), Some(value.to_owned()))]);
            let ended = Running::start(function, cloud.aws, &changed).await.end().await;
            assert!(!ended.status.success() && ended.err.contains(name), "{}: {ended:?}", function.binary);
        }
    }
}

//! `bench/answers` holds what the stack answers to the calls that each program makes for its sample event. The bench
//! answers with it, so that what it measures is what the programs do.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Response, header},
    middleware::{Next, from_fn_with_state},
};
use bench::{
    answers::{Recorded, file, operation},
    workflow,
};
use local::{ground::StackClock, http::port_guard::PortGuard};
use regex_lite::Regex;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::processes::{SAMPLES, function, sample, stock_sencha};
use crate::world::{Shop, TEMPLATE, lambda_runtime_api::Running, programs::root, shop::start};

type Record = Arc<Mutex<Vec<Recorded>>>;

async fn record(State(record): State<Record>, request: Request, next: Next) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("a body");
    let target = parts.headers.get("x-amz-target").map(|target| target.to_str().expect("text").to_owned());
    let operation = operation(target.as_deref(), &String::from_utf8_lossy(&body));
    let (parts, answer) = next.run(Request::from_parts(parts, body.into())).await.into_parts();
    let answer = to_bytes(answer, usize::MAX).await.expect("an answer");
    if let Some(operation) = operation {
        let content_type = parts.headers[header::CONTENT_TYPE].to_str().expect("text").to_owned();
        let recorded = Recorded { operation, content_type, body: timeless(&ordered(&answer)) };
        record.lock().unwrap_or_else(PoisonError::into_inner).push(recorded);
    }
    Response::from_parts(parts, answer.into())
}

/// The text of an answer, with the members of each JSON object in order: those of a row come in any order.
fn ordered(answer: &[u8]) -> String {
    match serde_json::from_slice::<Value>(answer) {
        Ok(mut value) => {
            value.sort_all_objects();
            value.to_string()
        }
        Err(_xml) => String::from_utf8(answer.to_vec()).expect("text"),
    }
}

/// The same text at another time: every time of day, every Unix time, and every id that is made of a time, those of
/// executions and topics, is replaced by one that does not change.
fn timeless(text: &str) -> String {
    let time = Regex::new(r"20\d\d-\d\d-\d\dT[0-9:.]+Z").expect("a pattern");
    let unix = Regex::new(r"\b1[6-9]\d{8}(\.\d+)?\b").expect("a pattern");
    let made_of_time = Regex::new("(:express:[^\"]*:|-customer-)[0-9a-f-]{36}").expect("a pattern");
    let text = time.replace_all(text, "2026-03-01T12:00:00.000Z");
    let text = made_of_time.replace_all(&text, "${1}00000000-0000-4000-8000-000000000000");
    unix.replace_all(&text, "1772366400").into_owned()
}

/// Serves the stack's AWS port, and records what goes through it.
async fn recording(shop: &Shop) -> (SocketAddr, Record) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("its address");
    let (guard, kept) = (PortGuard::new([], [address.port()]), Record::default());
    let router: Router = shop.stack.aws_port(&guard);
    let router = router.layer(from_fn_with_state(Arc::clone(&kept), record));
    tokio::spawn(axum::serve(listener, router).into_future());
    (address, kept)
}

/// Compares a committed file with what was recorded now. If they differ, writes the latter beside and says where.
fn differs(file: impl Fn(&Path) -> PathBuf, recorded: &str) -> Option<String> {
    let (committed, found) = (file(&root()), file(Path::new(env!("CARGO_TARGET_TMPDIR"))));
    if fs::read_to_string(&committed).unwrap_or_default() == recorded {
        return None;
    }
    fs::create_dir_all(found.parent().expect("a folder")).expect("a folder");
    fs::write(&found, recorded).expect("written");
    Some(format!("{} is not as in {}", committed.display(), found.display()))
}

#[tokio::test]
async fn the_recorded_answers_are_what_the_stack_answers() {
    let shop = Shop::on(start(&TEMPLATE, None, StackClock::system()).await);
    let (aws, kept) = recording(&shop).await;
    stock_sencha(&shop).await;
    let mut changed = Vec::new();
    for (binary, ..) in SAMPLES {
        let program = Running::start(function(binary), aws, &BTreeMap::new()).await;
        program.invoke(&sample(binary)).await.expect("an answer");
        program.stop().await;
        let mut recorded = std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner));
        // A program may make calls at the same time, so their order means nothing. The sort is stable.
        recorded.sort_by(|one, other| one.operation.cmp(&other.operation));
        let recorded = serde_json::to_string_pretty(&recorded).expect("JSON") + "\n";
        changed.extend(differs(|folder| file(folder, binary), &recorded));
    }
    assert!(changed.is_empty(), "{changed:#?}\nIf this is meant, copy the files.");
}

/// An order of many lines, so that a copy of it costs something that can be seen.
#[tokio::test(start_paused = true)]
async fn the_recorded_execution_is_what_the_workflow_does() {
    let skus: Vec<String> = (10..60).map(|number| format!("TEA-{number}")).collect();
    let mut shop = Shop::open_with(1).await;
    for sku in &skus {
        shop = shop.stocked(sku, 5).await;
    }
    let ada = shop.customer("Ada").await;
    let wanted: Vec<(&str, i64)> = skus.iter().map(|sku| (sku.as_str(), 1)).collect();
    let placed = shop.place(&ada, "many", &wanted).await;
    assert_eq!((placed.status, &placed.body["status"]), (201, &json!("CONFIRMED")), "{placed:?}");

    let execution = shop.stack.aws().executions().remove(0);
    let entered: Vec<&str> = execution.states.iter().map(|run| run.name.as_str()).collect();
    assert!(entered.contains(&"MailCustomer") && entered.contains(&"TellShop"), "{entered:?}");
    let request_id = Regex::new("(\"request_id\":\")[^\"]*").expect("a pattern");
    let payload = |name: &str| {
        let run = execution.states.iter().find(|run| run.name == name).expect("a state that was entered");
        let output = run.output.as_ref().expect("an output").get();
        let output = timeless(&ordered(output.as_bytes()));
        serde_json::from_str(&request_id.replace_all(&output, "${1}request")).expect("JSON")
    };
    let recorded = workflow::Recorded {
        input: execution.input.clone(),
        payloads: ["CheckInventory", "CreateOrder", "UpdateStatus"].map(payload).into(),
    };
    let recorded = serde_json::to_string_pretty(&recorded).expect("JSON") + "\n";
    let changed = differs(workflow::file, &recorded);
    assert!(changed.is_none(), "{changed:?}\nIf this is meant, copy the file.");
}

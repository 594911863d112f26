//! `infra/openapi.yaml` describes the API. Its routes are the template's, its codes the domain's, and its limits the
//! code's; its examples are valid; and it notices a changed answer. `Shop::send` checks every call of a journey against
//! it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use domain::{
    Currency, Error, IdempotencyKey, MAX_AVAILABLE, MAX_DELTA, MAX_LINES, MAX_QUANTITY, MAX_UNIT_PRICE, Name,
    Reason, Reference, Sku, Status, UserId,
};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};

use crate::world::{
    Customer, Reply, Shop, TEMPLATE,
    gestures::{lines, product},
    openapi::{DOCUMENT, OPENAPI, Sent, at, follow, judge, validator},
    waiting::DUE,
};

/// Whether the code accepts a text.
type Taken = fn(String) -> bool;
/// A change to an answer.
type ReplyEdit = fn(&mut Reply);

#[test]
fn every_route_of_the_template_is_described_and_every_description_is_wired() {
    let [api] = &TEMPLATE.apis[..] else { panic!("one API") };
    let wired: BTreeMap<(&str, &str), bool> = api
        .routes
        .iter()
        .map(|route| ((route.method.as_str(), route.path.as_str()), route.authorizer.is_none()))
        .collect();
    let described: BTreeMap<(&str, &str), bool> = OPENAPI
        .operations
        .iter()
        .map(|operation| ((operation.method.as_str(), operation.path.as_str()), operation.open))
        .collect();
    assert_eq!(described, wired);
}

#[test]
fn every_problem_code_is_described_on_some_route_and_no_other_code_is() {
    // `Error::code` matches without `_`, so its source names every code there is.
    let source = include_str!("../../../crates/domain/src/error.rs");
    let start = source.find("pub fn code(&self)").expect("Error::code");
    let end = source[start..].find("\n    }\n").expect("its end");
    let known: BTreeSet<&str> = source[start..start + end]
        .lines()
        .filter_map(|line| line.split_once("=> \"")?.1.split_once('"'))
        .map(|(code, _)| code)
        // The state machine's words, which clients see as `try_again`.
        .filter(|code| ![Error::StockContention.code(), Error::StatusContention.code()].contains(code))
        .collect();
    assert!(known.len() > 15 && known.contains(Error::BadCursor.code()), "{known:?}");

    let answered: BTreeSet<String> = OPENAPI
        .operations
        .iter()
        .flat_map(|operation| operation.answers.values())
        .flat_map(|answer| answer.content.values())
        .flat_map(|schema| codes(schema))
        .collect();
    assert_eq!(answered.iter().map(String::as_str).collect::<BTreeSet<_>>(), known);
    // Every described problem is answered by some route.
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().expect("schemas") {
        let code = &schema["properties"]["code"]["const"];
        let pointer = format!("/components/schemas/{name}");
        let mut used = OPENAPI.operations.iter().flat_map(|operation| operation.answers.values());
        assert!(
            code.is_null()
                || used.any(|answer| answer.content.values().any(|at| branches(at).contains(&pointer))),
            "{name} is answered nowhere"
        );
    }
}

#[test]
fn a_problem_is_described_under_its_own_status_and_in_its_discriminator() {
    for operation in &OPENAPI.operations {
        for (status, answer) in &operation.answers {
            for (content_type, pointer) in &answer.content {
                let place = format!("{} {status} {content_type}", operation.pointer);
                if content_type != "application/problem+json" {
                    assert_eq!(content_type, "application/json", "{place}");
                    continue;
                }
                let branches = branches(pointer);
                for branch in &branches {
                    let properties = &at(branch)["properties"];
                    assert_eq!(properties["status"]["const"], *status, "{place}: {branch}");
                    let code = properties["code"]["const"].as_str().expect("a code");
                    assert_eq!(
                        properties["type"]["const"],
                        format!("urn:orderflow:problem:{code}"),
                        "{place}"
                    );
                    if branches.len() > 1 {
                        let mapped = &at(pointer)["discriminator"]["mapping"][code];
                        assert_eq!(*mapped, format!("#{branch}"), "{place}");
                    }
                }
            }
        }
    }
}

#[test]
fn every_body_parameter_and_schema_has_an_example_and_every_example_is_valid() {
    let mut checked = 0;
    let mut hold = |schema: &str, example: &Value| {
        checked += 1;
        assert_eq!(judge(&validator(schema), example), Ok(()), "the example of {schema}");
    };
    let schemas = DOCUMENT["components"]["schemas"].as_object().expect("schemas");
    // Requests have their examples beside the request, and the others are parts of answers.
    let without = [
        "Problem",
        "Faults",
        "NewUser",
        "NewOrder",
        "Cancellation",
        "OrderChange",
        "ProductDescription",
        "NewAdjustment",
    ];
    for (name, schema) in schemas {
        let examples = schema["examples"].as_array().map_or(&[][..], Vec::as_slice);
        assert_eq!(examples.is_empty(), without.contains(&name.as_str()), "examples of {name}");
        for example in examples {
            hold(&format!("/components/schemas/{name}"), example);
        }
    }
    for operation in &OPENAPI.operations {
        let body = format!("{}/requestBody/content/application~1json", operation.pointer);
        if let Some(content) = DOCUMENT.pointer(&body) {
            hold(&format!("{body}/schema"), &content["example"]);
        }
    }
    for (name, parameter) in DOCUMENT["components"]["parameters"].as_object().expect("parameters") {
        // A cursor comes from an answer, so it has no example.
        if name != "Cursor" {
            hold(&format!("/components/parameters/{name}/schema"), &parameter["example"]);
        }
    }
    assert!(checked > 60, "{checked} examples");
}

#[test]
fn no_object_allows_a_member_that_is_not_described() {
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().expect("schemas") {
        if schema["properties"].is_object() && name != "Problem" {
            let closed = schema["additionalProperties"] == false || schema["unevaluatedProperties"] == false;
            assert!(closed, "{name} is open");
        }
    }
}

#[test]
fn the_limits_are_those_of_the_code() {
    let schema = |name: &str| at(&format!("/components/schemas/{name}"));
    assert_eq!(schema("NewOrder")["properties"]["lines"]["maxItems"], MAX_LINES);
    assert_eq!(schema("Quantity")["maximum"], MAX_QUANTITY);
    assert_eq!(schema("Available")["maximum"], MAX_AVAILABLE);
    assert_eq!(schema("Delta")["maximum"], MAX_DELTA);
    assert_eq!(schema("Delta")["minimum"], -MAX_DELTA);
    assert_eq!(schema("UnitPrice")["properties"]["amount"]["maximum"], MAX_UNIT_PRICE);
    let most = u64::try_from(MAX_LINES).expect("small") * u64::from(MAX_QUANTITY) * MAX_UNIT_PRICE;
    assert_eq!(schema("Money")["properties"]["amount"]["maximum"], most);
    assert_eq!(schema("Status")["enum"], json!(Status::ALL.map(Status::as_str)));
    let letters = || 'A'..='Z';
    let codes =
        letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| format!("{a}{b}{c}"))));
    let known: Vec<String> = codes.filter(|code| Currency::try_from(code.clone()).is_ok()).collect();
    assert_eq!(schema("Currency")["enum"], json!(known));
}

#[test]
fn the_patterns_accept_the_same_texts_as_the_code() {
    let texts: Vec<String> = [
        "",
        " ",
        "  ",
        "a",
        "A",
        "0",
        "-",
        ".",
        "TEA-1",
        "tea-1",
        "TEA 1",
        "TEA/1",
        "TEA-1\n",
        "\nTEA-1",
        "Ä",
        "a b",
        "a\tb",
        " a",
        "a ",
        "a\nb",
        "a\rb",
        "a\u{0}b",
        "a\u{1f}b",
        "a\u{7f}b",
        "a\u{85}b",
        "a\u{9f}b",
        "a\u{a0}b",
        "\u{a0}",
        "a\u{2027}b",
        "a\u{2028}b",
        "a\u{2029}b",
        "a\u{202a}b",
        "a\u{202e}b",
        "a\u{202f}b",
        "a\u{2065}b",
        "a\u{2066}b",
        "a\u{2069}b",
        "a\u{206a}b",
        "\u{3000}",
        "a\u{feff}b",
        "原",
        "🫖",
        "PO#77/b",
        "~!",
        "ad a",
        "a@b",
        "a,b",
        ",",
        "\u{200b}",
        "a\u{200b}",
        "\u{200d}\u{feff} ",
        "\u{2800}",
        "\u{3164}原",
    ]
    .into_iter()
    .map(str::to_owned)
    .chain(
        [63, 64, 65, 99, 100, 101, 127, 128, 129, 199, 200, 201, 255, 256]
            .into_iter()
            .flat_map(|length| ["A", "é", "🫖", "~"].map(|text| text.repeat(length))),
    )
    .collect();
    let table: [(&str, Taken); 6] = [
        ("/components/schemas/Sku", |text| Sku::try_from(text).is_ok()),
        ("/components/schemas/Name", |text| Name::try_from(text).is_ok()),
        ("/components/schemas/Reason", |text| Reason::try_from(text).is_ok()),
        ("/components/schemas/Reference", |text| Reference::try_from(text).is_ok()),
        ("/components/schemas/UserId", |text| UserId::try_from(text).is_ok()),
        ("/components/parameters/IdempotencyKey/schema", |text| IdempotencyKey::try_from(text).is_ok()),
    ];
    // A text with a rule is in the table, unless the code makes it and accepts no other: an id, a time, a cursor.
    let made = ["OrderId", "Timestamp", "NextCursor"];
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().expect("schemas") {
        let ruled = schema["pattern"].is_string() || schema["maxLength"].is_number();
        let listed = table.iter().any(|(pointer, _)| *pointer == format!("/components/schemas/{name}"));
        assert!(
            !ruled || listed || made.contains(&name.as_str()),
            "compare {name} with the code, in this table"
        );
    }
    for (pointer, taken) in table {
        let validator = validator(pointer);
        let (mut yes, mut no) = (0, 0);
        for text in &texts {
            let by_code = taken(text.clone());
            assert_eq!(validator.is_valid(&json!(text)), by_code, "{pointer}: {text:?}");
            *(if by_code { &mut yes } else { &mut no }) += 1;
        }
        assert!(yes > 3 && no > 3, "{pointer}: {yes} taken, {no} refused");
    }
}

#[test]
fn the_pattern_of_a_name_knows_the_same_characters_that_show_nothing_as_the_code() {
    // The planes with letters and signs, and the tags. No other plane has a character with a rule of its own.
    let characters = ('\0'..='\u{1ffff}').chain('\u{e0000}'..='\u{e10ff}');
    let validator = validator("/components/schemas/Name");
    let mut hidden = 0;
    for character in characters {
        let text = character.to_string();
        let by_code = Name::try_from(text.clone()).is_ok();
        assert_eq!(validator.is_valid(&json!(text)), by_code, "{character:?}");
        hidden += usize::from(!by_code);
    }
    assert!(hidden > 4_000, "{hidden} characters show nothing");
}

/// Together these calls get every described success. `Shop::send` checks each answer.
#[tokio::test(start_paused = true)]
async fn every_success_that_is_described_is_answered_as_described() {
    let shop = Shop::open().await;
    let ada = shop.signed_in("Ada");
    let admin = Arc::clone(&shop.admin);
    let mut answered: BTreeSet<(String, String, u16)> = BTreeSet::new();
    let (mut members_sent, mut members_answered) = (Members::new(), Members::new());
    let mut call = async |caller: &Customer, request: &str, key: &str, body: Value| {
        let (method, path) = request.split_once(' ').expect("a method and a path");
        let headers = [if method == "PATCH" { ("if-match", key) } else { ("idempotency-key", key) }];
        let method: Method = method.parse().expect("a method");
        let sent = (!body.is_null()).then(|| body.clone());
        let reply =
            shop.call(method.clone(), path, caller, sent, if key.is_empty() { &[] } else { &headers }).await;
        let path = path.split('?').next().unwrap_or_default();
        let operation = OPENAPI.find(method.as_str(), path).expect("a route");
        add_members(&format!("{}{REQUEST}", operation.pointer), &body, &mut members_sent);
        let success = operation.answers.get(&reply.status).filter(|_| reply.status < 300);
        for schema in success.into_iter().flat_map(|answer| answer.content.values()) {
            add_members(schema, &reply.body, &mut members_answered);
        }
        answered.insert((operation.method.clone(), operation.path.clone(), reply.status));
        reply
    };
    let total = json!({ "amount": 450, "currency": "EUR" });
    let order = || {
        let lines = json!([{ "sku": "TEA-1", "quantity": 1 }]);
        json!({ "lines": lines, "reference": "PO-1", "expected_total": total })
    };
    let mut tea = product("Tea", 450, "EUR");
    tea["max_per_order"] = json!(99);

    for _twice in 0..2 {
        call(&ada, "POST /users", "", json!({ "name": "Ada", "notifications": "on" })).await;
        call(&admin, "PUT /inventory/TEA-1", "", tea.clone()).await;
        call(&admin, "POST /inventory/TEA-1/adjustments", "k", json!({ "delta": 9, "reason": "new" })).await;
        call(&ada, "POST /orders", "shipped", order()).await;
    }
    let shipped = call(&ada, "POST /orders", "shipped", order()).await;
    call(&admin, &format!("PATCH /orders/{}", shipped.order_id()), "\"2\"", json!({ "status": "SHIPPED" }))
        .await;
    // Repeat each order in its last status.
    call(&ada, "POST /orders", "shipped", order()).await;
    for body in [json!({ "reason": "twice" }), Value::Null] {
        let cancelled =
            call(&ada, "POST /orders", &format!("cancelled-{body}").replace(' ', ""), order()).await;
        call(&ada, &format!("POST /orders/{}/cancel", cancelled.order_id()), "", body).await;
    }
    let short = json!({ "lines": [{ "sku": "TEA-1", "quantity": 99 }] });
    let short = call(&ada, "POST /orders", "short", short).await;
    call(&ada, &format!("GET /orders/{}", short.order_id()), "", Value::Null).await;
    shop.fail_confirmations();
    let pending = call(&ada, "POST /orders", "pending", order()).await;
    assert_eq!((pending.status, pending.header("idempotent-replayed")), (202, ""));
    let pending = call(&ada, "POST /orders", "pending", order()).await;
    assert_eq!((pending.status, pending.header("idempotent-replayed")), (202, "true"));
    shop.heal();
    // The interrupted execution might still work on it until then.
    shop.wait(DUE);
    call(&admin, &format!("POST /orders/{}/resume", pending.order_id()), "", Value::Null).await;
    call(&admin, "POST /orders/resume", "", json!({ "attention": true })).await;
    for request in [
        "GET /health",
        "GET /users/me",
        "GET /orders?limit=2",
        "GET /inventory?limit=1",
        "GET /inventory/TEA-1",
        &format!("GET /orders/{}", pending.order_id()),
        "DELETE /users/me",
    ] {
        call(&ada, request, "", Value::Null).await;
    }
    for request in [
        "GET /inventory/TEA-1",
        "GET /inventory/TEA-1/movements?limit=1",
        &format!("GET /orders?user_id={}&limit=100", ada.user_id),
        "GET /orders?status=CONFIRMED",
        "GET /orders?attention=true",
    ] {
        call(&admin, request, "", Value::Null).await;
    }

    answered.retain(|(_, _, status)| *status < 300);
    let described: BTreeSet<(String, String, u16)> = OPENAPI
        .operations
        .iter()
        .flat_map(|operation| operation.answers.keys().map(move |status| (operation, *status)))
        .filter(|(_, status)| *status < 300)
        .map(|(operation, status)| (operation.method.clone(), operation.path.clone(), status))
        .collect();
    assert_eq!(answered, described);

    assert_every_member_occurred(&members_sent, &members_answered);
}

/// A member that no call sends and no answer has could be described in any way.
fn assert_every_member_occurred(sent: &Members, answered: &Members) {
    let (mut may_send, mut may_answer) = (Members::new(), Members::new());
    for operation in &OPENAPI.operations {
        let request = format!("{}{REQUEST}", operation.pointer);
        if DOCUMENT.pointer(&request).is_some() {
            may_send.extend(described_members(&request));
        }
        let successes = operation.answers.iter().filter(|(status, _)| **status < 300);
        let schemas = successes.flat_map(|(_, answer)| answer.content.values());
        may_answer.extend(schemas.flat_map(|schema| described_members(schema)));
    }
    let unsent: Vec<_> = may_send.difference(sent).collect();
    assert!(unsent.is_empty(), "described, and sent by no call: {unsent:?}");
    let unanswered: Vec<_> = may_answer.difference(answered).collect();
    assert!(unanswered.is_empty(), "described, and in no answer: {unanswered:?}");
}

/// Where the schema of an operation's body is.
const REQUEST: &str = "/requestBody/content/application~1json/schema";

/// Members of JSON objects, each with the schema that describes its object.
type Members = BTreeSet<(String, String)>;

/// The members that an object's schema describes. A list's are those of its items.
fn described_members(pointer: &str) -> Members {
    let pointer = object_at(pointer);
    let members = at(&pointer)["properties"].as_object().into_iter().flatten();
    members.map(|(name, _)| (pointer.clone(), name.clone())).collect()
}

/// Adds the members that an object has. A list's are those of its items.
fn add_members(pointer: &str, value: &Value, members: &mut Members) {
    let pointer = object_at(pointer);
    let listed = value["items"].as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    let objects = listed.iter().filter_map(Value::as_object);
    members.extend(objects.flat_map(|object| object.keys()).map(|name| (pointer.clone(), name.clone())));
}

/// The schema that describes the object at a pointer: the first of those that it combines, or its items'.
fn object_at(pointer: &str) -> String {
    let pointer = follow(pointer);
    let inner = [format!("{pointer}/allOf/0"), format!("{pointer}/properties/items/items")];
    let inner = inner.iter().find(|inner| DOCUMENT.pointer(inner).is_some());
    inner.map_or(pointer, |inner| object_at(inner))
}

#[tokio::test(start_paused = true)]
async fn a_changed_answer_is_noticed() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.customer("Ada").await;
    let placed = shop.place(&ada, "key-1", &[("TEA-1", 2)]).await;
    let refused = shop.place(&ada, "key-2", &[("TEA-1", 9)]).await;
    let body = lines(&[("TEA-1", 2)]);
    let sent = |body: &Value| Sent {
        method: "POST".to_owned(),
        path: "/orders".to_owned(),
        query: String::new(),
        headers: [(
            http::header::HeaderName::from_static("idempotency-key"),
            HeaderValue::from_static("key-1"),
        )]
        .into_iter()
        .collect(),
        body: body.to_string().into(),
    };
    assert_eq!(OPENAPI.check(&sent(&body), &placed), Ok(()));
    assert_eq!(OPENAPI.check(&sent(&body), &refused), Ok(()));

    // An answer, a word that the complaint must hold, and the change.
    let changes: [(&Reply, &str, ReplyEdit); 14] = [
        (&placed, "due_at", |reply| reply.body["due_at"] = json!("2026-03-01T12:00:00.000Z")),
        (&placed, "fingerprint", |reply| reply.body["lines"][0]["fingerprint"] = json!("0")),
        (&placed, "total", |reply| drop(reply.body.as_object_mut().expect("an order").remove("total"))),
        (&placed, "actor", |reply| {
            drop(reply.body["history"][1].as_object_mut().expect("entry").remove("actor"));
        }),
        (&placed, "PAID", |reply| reply.body["status"] = json!("PAID")),
        (&placed, "shortages", |reply| {
            reply.body["shortages"] = json!([{ "sku": "A", "requested": 1, "available": 0 }]);
        }),
        (&placed, "location", |reply| drop(reply.headers.remove("location"))),
        (&placed, "x-internal", |reply| {
            drop(reply.headers.insert("x-internal", HeaderValue::from_static("1")));
        }),
        (&placed, "text/plain", |reply| {
            reply.headers.insert("content-type", HeaderValue::from_static("text/plain"));
        }),
        (&placed, "not described", |reply| reply.status = 418),
        (&placed, "header idempotent-replayed is missing", |reply| reply.status = 200),
        (&refused, "shortages", |reply| {
            drop(reply.body.as_object_mut().expect("a problem").remove("shortages"));
        }),
        (&refused, "user_id", |reply| reply.body["user_id"] = json!("ada")),
        (&refused, "out_of_luck", |reply| reply.body["code"] = json!("out_of_luck")),
    ];
    for (reply, named, change) in changes {
        let mut reply = reply.clone();
        change(&mut reply);
        let complaint = OPENAPI.check(&sent(&body), &reply).expect_err(named);
        assert!(complaint.contains(named), "{named}: {complaint}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_accepted_against_its_description_is_noticed() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.customer("Ada").await;
    let placed = shop.place(&ada, "key-1", &[("TEA-1", 2)]).await;
    let check = |query: &str, key: Option<&'static str>, body: Value| {
        let key = key.map(|key| {
            (http::header::HeaderName::from_static("idempotency-key"), HeaderValue::from_static(key))
        });
        let sent = Sent {
            method: "POST".to_owned(),
            path: "/orders".to_owned(),
            query: query.to_owned(),
            headers: key.into_iter().collect(),
            body: body.to_string().into(),
        };
        OPENAPI.check(&sent, &placed).expect_err("a breach")
    };
    let good = || lines(&[("TEA-1", 2)]);
    assert!(check("", None, good()).contains("accepted without Idempotency-Key"));
    assert!(check("", Some("a b"), good()).contains("accepted with Idempotency-Key"));
    assert!(check("dry_run=1", Some("key-1"), good()).contains("dry_run"));
    assert!(check("", Some("key-1"), json!({ "lines": [], "note": "x" })).contains("note"));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_route_that_is_answered_is_noticed() {
    let shop = Shop::open().await;
    let nothing = shop.get("/nothing", &shop.admin).await;
    let sent = Sent {
        method: "GET".to_owned(),
        path: "/nothing".to_owned(),
        query: String::new(),
        headers: HeaderMap::new(),
        body: Bytes::new(),
    };
    assert_eq!((nothing.status, OPENAPI.check(&sent, &nothing)), (404, Ok(())));
    let answered = Reply { status: 200, ..nothing.clone() };
    assert!(OPENAPI.check(&sent, &answered).is_err());
    let in_other_words = Reply { body: json!({ "error": "Not Found" }), ..nothing };
    assert!(OPENAPI.check(&sent, &in_other_words).is_err());
}

/// The schemas of a choice; otherwise the schema itself.
fn branches(pointer: &str) -> Vec<String> {
    let schema = DOCUMENT.pointer(pointer).expect("a schema");
    let reference =
        |schema: &Value| schema["$ref"].as_str().and_then(|to| to.strip_prefix('#')).map(str::to_owned);
    match schema["oneOf"].as_array() {
        Some(choices) => choices.iter().filter_map(reference).collect(),
        None => vec![reference(schema).unwrap_or_else(|| pointer.to_owned())],
    }
}

/// The problem codes of a schema.
fn codes(pointer: &str) -> Vec<String> {
    let code = |pointer: &String| at(pointer)["properties"]["code"]["const"].as_str().map(str::to_owned);
    branches(pointer).iter().filter_map(code).collect()
}

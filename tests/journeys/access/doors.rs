//! Every route answers every kind of caller as `doors.txt` says, one line for each route. A request that is refused
//! changes nothing. Each cell has a shop of its own.

use std::{collections::BTreeSet, fmt::Write as _, fs};

use http::Method;
use local::{
    ground::{ACCOUNT, tokens::Signing},
    stack::parameters,
};
use sam_template::{Template, yaml};
use serde_json::{Value, json};

use crate::world::{
    Customer, Reply, Shop, TEMPLATE,
    gestures::{lines, product},
    programs::root,
    requests::{asked, with_json},
    seeds::thorough,
};

/// The expected answers.
const EXPECTED: &str = include_str!("doors.txt");

const CALLERS: [&str; 11] = [
    "no token",
    "expired",
    "wrong audience",
    "other issuer",
    "alg: none",
    "access token",
    "newcomer",
    "customer",
    "owner",
    "other customer",
    "admin",
];

/// A request that succeeds for a caller who may make it.
struct Knock {
    method: Method,
    path: String,
    body: Option<Value>,
    headers: Vec<(&'static str, String)>,
}

/// The request for a line of the table, which starts with a route and perhaps a query.
fn knock(line: &str, owner: &Customer, order_id: &str) -> Knock {
    let (method, path) = line.split_once(' ').expect("a method and a path");
    let body = match line {
        "POST /users" => Some(json!({ "name": "Somebody" })),
        "POST /orders" => Some(lines(&[("TEA-1", 1)])),
        "PATCH /orders/{order_id}" => Some(json!({ "status": "SHIPPED" })),
        "POST /orders/resume" => Some(json!({ "attention": true })),
        "PUT /inventory/{sku}" => Some(product("Chai", 450, "EUR")),
        "POST /inventory/{sku}/adjustments" => Some(json!({ "delta": 1, "reason": "count" })),
        _ => None,
    };
    let headers = match line {
        "POST /orders" | "POST /inventory/{sku}/adjustments" => vec![("idempotency-key", "key-9".to_owned())],
        "PATCH /orders/{order_id}" => vec![("if-match", "\"2\"".to_owned())],
        _ => Vec::new(),
    };
    let path =
        path.replace("{order_id}", order_id).replace("{sku}", "TEA-1").replace("{owner}", &owner.user_id);
    Knock { method: method.parse().expect("a method"), path, body, headers }
}

/// The bearer token of a kind of caller; `None` for a caller without one. Every bad token claims the group of admins.
fn token(shop: &Shop, caller: &str, owner: &Customer) -> Option<String> {
    let now = shop.stack.clock().unix_seconds();
    let issue = |claims: &Value, signing| shop.eves_admin_token(claims, signing);
    Some(match caller {
        "no token" => return None,
        "expired" => issue(&json!({ "exp": now - 1 }), Signing::Genuine),
        "wrong audience" => issue(&json!({ "aud": "another-shop" }), Signing::Genuine),
        "other issuer" => issue(&json!({ "iss": "https://issuer.example.com" }), Signing::Genuine),
        "alg: none" => issue(&json!({}), Signing::None),
        "access token" => issue(&json!({ "token_use": "access" }), Signing::Genuine),
        "newcomer" => shop.signed_in("Newcomer").token,
        "customer" => shop.signed_in("Customer").token,
        "owner" => owner.token.clone(),
        "other customer" => shop.signed_in("Other").token,
        "admin" => shop.admin.token.clone(),
        _ => panic!("there is no caller {caller:?}"),
    })
}

/// A shop in which the owner and another customer have an order each, and a third customer has none.
async fn opened() -> (Shop, Customer, String) {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    for name in ["Customer", "Other", "Owner"] {
        shop.customer(name).await;
    }
    assert_eq!(shop.place(&shop.signed_in("Other"), "key-1", &[("TEA-1", 1)]).await.status, 201);
    let owner = shop.signed_in("Owner");
    let placed = shop.place(&owner, "key-1", &[("TEA-1", 1)]).await;
    (shop, owner, placed.order_id().to_owned())
}

/// The answer of a route to a kind of caller: the status, the problem's code, the number of items, whether the owner's
/// order is among them, and whether the answer shows reserved units, which only admins may see.
async fn cell(line: &str, caller: &str) -> String {
    let (shop, owner, order_id) = opened().await;
    let knock = knock(line, &owner, &order_id);
    let before = shop.everything().await;
    let mut request = asked(knock.method, &knock.path, token(&shop, caller, &owner).as_deref());
    for (name, value) in knock.headers {
        request = request.header(name, value);
    }
    let reply = shop.send(with_json(request, knock.body.as_ref())).await;
    if reply.status >= 400 {
        assert_eq!(shop.everything().await, before, "{line}, {caller}: refused, and a row changed");
        assert_eq!(shop.order_mail().len(), 2, "{line}, {caller}: refused, and an e-mail was sent");
    }
    said(&reply, &order_id)
}

fn said(reply: &Reply, order_id: &str) -> String {
    let mut cell = reply.status.to_string();
    if let Some(code) = reply.body["code"].as_str() {
        write!(cell, " {code}").expect("a cell");
    }
    if let Some(items) = reply.body["items"].as_array() {
        write!(cell, " {} items", items.len()).expect("a cell");
        if items.iter().any(|item| item["order_id"] == order_id) {
            cell.push_str(", owner's");
        }
    }
    if reply.body.to_string().contains("\"reserved\"") {
        cell.push_str(", reserved");
    }
    cell
}

#[tokio::test(start_paused = true)]
async fn every_route_answers_every_kind_of_caller_as_the_table_says() {
    let lines: Vec<Vec<&str>> = EXPECTED
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    let routes: BTreeSet<String> = TEMPLATE
        .apis
        .iter()
        .flat_map(|api| &api.routes)
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    let named = lines.iter().map(|line| line[0].split('?').next().unwrap_or_default().to_owned());
    assert_eq!(named.collect::<BTreeSet<_>>(), routes, "the routes in doors.txt, and the template's");

    let (mut expected, mut found) = (String::new(), String::new());
    for line in lines {
        writeln!(expected, "{}", line.join(" | ")).expect("a line");
        write!(found, "{}", line[0]).expect("a line");
        // Every bad token gets the same answer, so they share a column.
        let (bad, good) = CALLERS.split_at(5);
        let mut answers = BTreeSet::new();
        for caller in bad {
            answers.insert(cell(line[0], caller).await);
        }
        write!(found, " | {}", answers.into_iter().collect::<Vec<_>>().join(" or ")).expect("a line");
        for caller in good {
            write!(found, " | {}", cell(line[0], caller).await).expect("a line");
        }
        found.push('\n');
    }
    assert!(found == expected, "expected:\n{expected}\nfound:\n{found}");
}

/// The template's text.
fn written() -> String {
    fs::read_to_string(root().join("infra/template.yaml")).expect("the template")
}

/// The routes of a template's text that have no `Auth`.
fn without_auth(text: &str) -> BTreeSet<String> {
    let template = yaml::read(text).expect("a template");
    let functions = template["Resources"].as_object().expect("resources").values();
    let events = functions.filter_map(|function| function["Properties"]["Events"].as_object());
    let routes = events.flat_map(|events| events.values()).filter(|event| event["Type"] == "HttpApi");
    let open = routes.map(|event| &event["Properties"]).filter(|route| route.get("Auth").is_none());
    let key = |route: &Value| {
        format!(
            "{} {}",
            route["Method"].as_str().unwrap_or_default(),
            route["Path"].as_str().unwrap_or_default()
        )
    };
    open.map(key).collect()
}

/// The routes of a template's text that the gateway lets a caller without a token through to.
async fn let_in(text: &str) -> BTreeSet<String> {
    let template = Template::parse(text, &root().join("infra"), ACCOUNT, &parameters()).expect("a template");
    let shop = Shop::of(&template, 1).await;
    let nobody = shop.signed_in("Nobody");
    let mut open = BTreeSet::new();
    for route in template.apis.iter().flat_map(|api| &api.routes) {
        let key = format!("{} {}", route.method, route.path);
        let knock = knock(&key, &nobody, "6f1c3b1e-5d0a-5c0e-9a83-2f5b7e41d0c6");
        let mut request = asked(knock.method, &knock.path, None);
        for (name, value) in knock.headers {
            request = request.header(name, value);
        }
        let reply = shop.send(with_json(request, knock.body.as_ref())).await;
        // This is the gateway's own 401. A function's is a problem document.
        if (reply.status, &reply.body) != (401, &json!({ "message": "Unauthorized" })) {
            open.insert(key);
        }
    }
    open
}

#[tokio::test(start_paused = true)]
async fn a_route_without_auth_is_public_and_all_others_answer_401() {
    let text = written();
    let health = BTreeSet::from(["GET /health".to_owned()]);
    assert_eq!((without_auth(&text), let_in(&text).await), (health.clone(), health.clone()));
    // Each closed route opens when its own `Auth` goes, and no other opens with it.
    let auth = "            Auth: { Authorizer: Jwt }\n";
    for (at, _) in text.match_indices(auth) {
        let opened = format!("{}{}", &text[..at], &text[at + auth.len()..]);
        let public = without_auth(&opened);
        assert_eq!(public.difference(&health).count(), 1, "{public:?}");
        assert_eq!(let_in(&opened).await, public);
    }
}

/// Everything that a client sees of an answer, except the ids that differ in every answer.
fn seen(reply: &Reply) -> (u16, Vec<String>, Value) {
    let mut body = reply.body.clone();
    if let Some(members) = body.as_object_mut() {
        members.remove("request_id");
    }
    let headers = reply.headers.iter().filter(|(name, _)| *name != "apigw-requestid");
    (reply.status, headers.map(|(name, value)| format!("{name}: {value:?}")).collect(), body)
}

#[tokio::test(start_paused = true)]
async fn another_customers_order_looks_the_same_as_one_that_does_not_exist() {
    let (shop, owner, order_id) = opened().await;
    let mallory = shop.signed_in("Customer");
    // A copy of a row is read as an order is, and is faster to make.
    let mut row = shop.row(&order_id).await;
    let count = if thorough() { 10_000 } else { 500 };
    let mut answers = BTreeSet::new();
    for n in 0..count {
        let foreign = format!("{:08x}-0000-5000-8000-{n:012x}", n * 7_919);
        let unknown = format!("{:08x}-0000-5000-8000-{:012x}", n * 7_919, n + count);
        row["order_id"] = json!(foreign);
        shop.put_order(&row).await;
        let mut calls = Vec::new();
        let mut replies = Vec::new();
        for id in [&foreign, &unknown] {
            let both = async {
                let read = shop.get(&format!("/orders/{id}"), &mallory).await;
                (read, shop.cancel(&mallory, id).await)
            };
            let ((read, cancelled), recorded) = shop.recording(both).await;
            assert_eq!(
                (read.problem(), cancelled.problem()),
                ((404, "not_found"), (404, "not_found")),
                "{id}"
            );
            calls.push(Shop::counted(&recorded));
            replies.push((seen(&read), seen(&cancelled)));
        }
        // The same calls are made for both, so the time that they take does not differ either.
        assert_eq!(calls[0], calls[1], "{foreign}");
        assert_eq!(replies[0], replies[1], "{foreign}");
        answers.insert(format!("{:?}", replies[0]));
    }
    assert_eq!(answers.len(), 1, "two orders of others got different answers: {answers:?}");
    // The copies do exist.
    let last = row["order_id"].as_str().expect("an id");
    assert_eq!(shop.get(&format!("/orders/{last}"), &owner).await.status, 200);
}

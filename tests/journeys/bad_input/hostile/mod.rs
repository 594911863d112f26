//! Hundreds of hostile requests, made from a table: kinds of faults, and the places that each kind is put into. Each is
//! answered at once with the status and the code that the API names for it. None makes a 5xx, none hangs, none changes
//! anything; and afterwards every door takes a sound request.
//!
//! | file | kinds |
//! |---|---|
//! | `paths` | methods, paths, order ids |
//! | `bodies` | bytes, names that are there twice, types, limits |
//! | `headers` | `If-Match`, `Idempotency-Key`, large headers, queries |
//! | `tokens` | forged tokens, claims, groups, e-mail addresses |

mod bodies;
mod headers;
mod paths;
mod tokens;

use std::{collections::BTreeMap, time::Duration};

use axum::body::Body;
use http::{Method, Request};
use serde_json::{Value, json};

use crate::world::{
    Customer, Mailed, Shop,
    requests::{asked, with_text},
};

/// The fewest requests that the table must make.
const LEAST: usize = 500;

/// The longest that an answer may take, in the shop's time. A call of AWS that hangs takes three seconds.
const AT_MOST: Duration = Duration::from_secs(5);

/// The answer that a request must get.
#[derive(Clone, Debug)]
enum Expected {
    /// A problem document of a function, which names these fields in any order.
    Problem(u16, &'static str, Vec<String>),
    /// An answer of the gateway itself.
    Gateway(u16),
}

/// The problem of a request whose body, header or query breaks rules of these fields.
fn invalid(fields: &[&str]) -> Expected {
    problem(422, "validation_failed", fields)
}

fn problem(status: u16, code: &'static str, fields: &[&str]) -> Expected {
    Expected::Problem(status, code, fields.iter().map(|field| (*field).to_owned()).collect())
}

fn malformed() -> Expected {
    problem(400, "malformed_json", &[])
}

/// One hostile request.
struct Attack {
    kind: &'static str,
    what: String,
    request: Request<Body>,
    expected: Expected,
}

impl Attack {
    fn new(kind: &'static str, what: impl Into<String>, request: Request<Body>, expected: Expected) -> Self {
        Self { kind, what: what.into(), request, expected }
    }
}

/// The words of a list that is written as one text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split_ascii_whitespace()
}

/// A door that reads a body, and a request that it accepts.
#[derive(Clone)]
struct KnownDoor {
    name: &'static str,
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Value,
    token: String,
}

impl KnownDoor {
    fn request(&self, body: impl Into<Body>) -> Request<Body> {
        with_text(self.head(&self.path), body)
    }

    /// The request at this path with all headers, without a body.
    fn head(&self, path: &str) -> http::request::Builder {
        let head = asked(self.method.clone(), path, Some(&self.token));
        self.headers.iter().fold(head, |head, (name, value)| head.header(*name, value))
    }

    /// The door without one of its headers.
    fn without(&self, name: &str) -> Self {
        let mut door = self.clone();
        door.headers.retain(|(header, _)| *header != name);
        door
    }

    /// The body with another value at a pointer.
    fn with(&self, pointer: &str, value: Value) -> String {
        let mut body = self.body.clone();
        let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
        let parent = body.pointer_mut(parent).expect("its parent");
        parent[name] = value;
        body.to_string()
    }
}

/// A shop under attack.
struct Besieged {
    shop: Shop,
    ada: Customer,
    /// Ada's orders to ship and to cancel, and Bob's.
    to_ship: String,
    to_cancel: String,
    of_bob: String,
    doors: Vec<KnownDoor>,
}

impl Besieged {
    async fn open() -> Self {
        let shop = Shop::open().await.stocked("TEA-1", 50).await.stocked("TEA-2", 5).await;
        let (ada, bob) = (shop.customer("Ada").await, shop.customer("Bob").await);
        let mut ids = Vec::new();
        for (customer, key) in [(&ada, "to-ship"), (&ada, "to-cancel"), (&bob, "bobs")] {
            let placed = shop.place(customer, key, &[("TEA-1", 1)]).await;
            assert_eq!(placed.status, 201, "{placed:?}");
            ids.push(placed.order_id().to_owned());
        }
        let [to_ship, to_cancel, of_bob] = ids.try_into().expect("three orders");
        let euros = |amount: u64| json!({ "amount": amount, "currency": "EUR" });
        let key = || vec![("idempotency-key", "hostile".to_owned())];
        let as_admin = &shop.admin.token;
        let order = json!({
            "lines": [{ "sku": "TEA-1", "quantity": 2 }], "reference": "PO-77", "expected_total": euros(900),
        });
        let door = |name, method, path: &str, headers, body, token: &String| KnownDoor {
            name,
            method,
            path: path.to_owned(),
            headers,
            body,
            token: token.clone(),
        };
        let doors = vec![
            door(
                "register",
                Method::POST,
                "/users",
                vec![],
                json!({ "name": "Ada", "notifications": "on" }),
                &ada.token,
            ),
            door("order", Method::POST, "/orders", key(), order, &ada.token),
            door(
                "product",
                Method::PUT,
                "/inventory/TEA-1",
                vec![],
                json!({ "name": "The TEA-1", "unit_price": euros(450), "max_per_order": 7 }),
                as_admin,
            ),
            door(
                "adjust",
                Method::POST,
                "/inventory/TEA-1/adjustments",
                key(),
                json!({ "delta": 5, "reason": "count" }),
                as_admin,
            ),
            door(
                "change",
                Method::PATCH,
                &format!("/orders/{to_ship}"),
                vec![("if-match", "\"2\"".to_owned())],
                json!({ "status": "SHIPPED" }),
                as_admin,
            ),
            door(
                "cancel",
                Method::POST,
                &format!("/orders/{to_cancel}/cancel"),
                vec![],
                json!({ "reason": "changed my mind" }),
                &ada.token,
            ),
            door(
                "resume all",
                Method::POST,
                "/orders/resume",
                vec![],
                json!({ "attention": true }),
                as_admin,
            ),
        ];
        Self { shop, ada, to_ship, to_cancel, of_bob, doors }
    }

    fn door(&self, name: &str) -> &KnownDoor {
        self.doors.iter().find(|door| door.name == name).expect("a door")
    }
}

/// A GET of a path.
fn get(path: &str, customer: &Customer) -> Request<Body> {
    asked(Method::GET, path, Some(&customer.token)).body(Body::empty()).expect("a request")
}

/// What was wrong with the answer to an attack. `None` when it was as expected.
async fn held(shop: &Shop, attack: Attack) -> Option<String> {
    let Attack { kind, what, request, expected } = attack;
    let is_head = request.method() == Method::HEAD;
    let Ok(reply) = tokio::time::timeout(AT_MOST, shop.send(request)).await else {
        return Some(format!("{kind}: {what}: no answer within {AT_MOST:?}"));
    };
    let sound = match &expected {
        Expected::Gateway(status) => {
            let own = reply.body.as_object().is_some_and(|body| body.keys().eq(["message"]));
            reply.status == *status && (own || (is_head && reply.body.is_null()))
        }
        Expected::Problem(status, code, fields) => {
            let (mut found, mut fields) =
                (reply.fields(), fields.iter().map(String::as_str).collect::<Vec<_>>());
            found.sort_unstable();
            fields.sort_unstable();
            (reply.problem(), found) == ((*status, *code), fields)
                && reply.header("content-type") == "application/problem+json"
        }
    };
    let answer = format!("{} {:.300}", reply.status, reply.body.to_string());
    (!sound).then(|| format!("{kind}: {what}: expected {expected:?}, and it answered {answer}"))
}

#[tokio::test(start_paused = true)]
async fn no_hostile_request_is_accepted_or_hangs_or_makes_a_server_error() {
    let besieged = Besieged::open().await;
    let shop = &besieged.shop;
    let mut attacks = Vec::new();
    for of_kind in [
        paths::methods(&besieged),
        paths::paths(&besieged),
        paths::ids(&besieged),
        bodies::malformed_ones(&besieged),
        bodies::names_twice(&besieged),
        bodies::types(&besieged),
        bodies::limits(&besieged),
        headers::headers(&besieged),
        headers::queries(&besieged).await,
        tokens::forged(&besieged),
        tokens::claims(&besieged),
        tokens::groups(&besieged),
        tokens::addresses(&besieged),
    ] {
        attacks.extend(of_kind);
    }
    let mut distinct: BTreeMap<String, &'static str> = BTreeMap::new();
    for attack in &attacks {
        let before = distinct.insert(format!("{} {}", attack.kind, attack.what), attack.kind);
        assert_eq!(before, None, "{} is there twice", attack.what);
    }
    assert!(distinct.len() >= LEAST, "only {} hostile requests", distinct.len());

    let (before, mails) = (shop.everything().await, shop.order_mail().len());
    let mut wrong = Vec::new();
    for attack in attacks {
        wrong.extend(held(shop, attack).await);
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), distinct.len(), wrong.join("\n"));

    assert_eq!(shop.everything().await, before, "a row has changed");
    assert_eq!(shop.order_mail().len(), mails, "a mail was sent");
    let books = shop.books().await;
    books.balance();
    books.are_settled(Mailed::Once);

    // The requests that the attacks were made of are sound, so each attack was refused for its own fault.
    for door in &besieged.doors {
        let reply = shop.send(door.request(door.body.to_string())).await;
        assert!((200..300).contains(&reply.status), "{}: {reply:?}", door.name);
    }
    for (order, status) in [(&besieged.to_ship, "SHIPPED"), (&besieged.to_cancel, "CANCELLED")] {
        assert_eq!(shop.row(order).await["status"], status);
    }
    shop.books().await.balance();
}

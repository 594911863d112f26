//! Bodies: bytes that are no JSON object, names that are there twice, values of a wrong type, and values beyond limits.

use axum::body::Body;
use http::header;
use serde_json::{Value, json};

use super::{Attack, Besieged, Expected, invalid, malformed, problem, words};

/// Texts that are no JSON object, each by a name.
const TEXTS: [(&str, &str); 25] = [
    ("blanks", " \r\n\t "),
    ("half an object", r#"{"name": "Ada""#),
    ("half a text", r#"{"name": "Ad"#),
    ("half an escape", r#"{"name": "\u00"}"#),
    ("a lone surrogate", r#"{"name": "\ud83c"}"#),
    ("surrogates the wrong way round", r#"{"name": "\udf75\ud83c"}"#),
    ("a byte order mark", "\u{feff}{}"),
    ("a NUL", "{}\0"),
    ("a control character", "{\"name\": \"a\u{1}b\"}"),
    ("NaN", r#"{"delta": NaN}"#),
    ("infinity", r#"{"delta": -Infinity}"#),
    ("a number beyond all numbers", r#"{"delta": 1e999}"#),
    ("a hexadecimal number", r#"{"delta": 0x10}"#),
    ("a leading zero", r#"{"delta": 01}"#),
    ("a plus", r#"{"delta": +1}"#),
    ("a trailing comma", r#"{"name": "Ada",}"#),
    ("a comment", r#"{"name": "Ada" /* me */}"#),
    ("single quotes", "{'name': 'Ada'}"),
    ("names without quotes", r#"{name: "Ada"}"#),
    ("an object and more", "{} {}"),
    ("null", "null"),
    ("an array", "[{}]"),
    ("a text", r#""{}""#),
    ("a form", "name=Ada&notifications=on"),
    ("XML", "<name>Ada</name>"),
];

/// The same of bytes that are no text.
const BYTES: [(&str, &[u8]); 4] = [
    ("a surrogate as bytes", b"{\"name\": \"\xed\xa0\xbc\"}"),
    ("bytes that are no text", b"{\"name\": \"\xff\xfe\"}"),
    ("an overlong slash", b"{\"name\": \"\xc0\xaf\"}"),
    ("UTF-16", b"{\0}\0"),
];

/// A field's type, which says which values are wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    Money,
    List,
    True,
}

/// Every field of every body: the door, where it is in the body, and its type.
const FIELDS: [(&str, &str, Kind); 19] = [
    ("register", "/name", Kind::Text),
    ("register", "/notifications", Kind::Text),
    ("order", "/lines", Kind::List),
    ("order", "/lines/0/sku", Kind::Text),
    ("order", "/lines/0/quantity", Kind::Integer),
    ("order", "/reference", Kind::Text),
    ("order", "/expected_total", Kind::Money),
    ("order", "/expected_total/amount", Kind::Integer),
    ("order", "/expected_total/currency", Kind::Text),
    ("product", "/name", Kind::Text),
    ("product", "/unit_price", Kind::Money),
    ("product", "/unit_price/amount", Kind::Integer),
    ("product", "/unit_price/currency", Kind::Text),
    ("product", "/max_per_order", Kind::Integer),
    ("adjust", "/delta", Kind::Integer),
    ("adjust", "/reason", Kind::Text),
    ("change", "/status", Kind::Text),
    ("cancel", "/reason", Kind::Text),
    ("resume all", "/attention", Kind::True),
];

/// SKUs that are none.
const NO_SKUS: [&str; 12] = [
    "tea-1",
    "TEA 1",
    "TEA-1\n",
    "-TEA",
    ".TEA",
    "TÉA",
    "TEA/1",
    "ＴＥＡ",
    "TEA-1\u{200b}",
    "A'--",
    "${x}",
    "\u{0}",
];

/// Currencies that are none, or that nobody pays in.
const NO_CURRENCIES: &str = "XXX XTS XAU XAG XPT XPD XBA XBB XBC XBD XDR XSU XUA XAD eur EURO EU € 978 QQQ ＥＵＲ ??? \
                             XX BTC EUR\u{200b}";

/// Names and reasons that show nothing, or that break a line.
const NO_NAMES: [&str; 15] = [
    "\u{200b}",
    "\u{200d}\u{feff}",
    " \u{2060} ",
    "\u{ad}",
    "\u{3164}",
    "\u{2800}",
    "\u{e0041}",
    "\u{fe0f}",
    "\u{180e}",
    "\u{202e}Ada",
    "Ada\u{2028}",
    "Ada\r\nBcc: all@example.com",
    "\u{1b}[2J",
    "\u{7f}",
    "\u{85}",
];

pub(super) fn malformed_ones(shop: &Besieged) -> Vec<Attack> {
    let large = [
        ("thirty thousand numbers", format!("[{}1]", "1,".repeat(30_000))),
        ("thirty thousand brackets", "[".repeat(30_000)),
        ("ten thousand objects", r#"{"a":"#.repeat(10_000)),
    ];
    let too_large = || problem(413, "body_too_large", &[]);
    let mut attacks = Vec::new();
    for door in &shop.doors {
        let texts = TEXTS.map(|(what, text)| (what, text.as_bytes().to_vec()));
        let bytes = BYTES.map(|(what, bytes)| (what, bytes.to_vec()));
        let large = large.clone().map(|(what, text)| (what, text.into_bytes()));
        for (what, body) in texts.into_iter().chain(bytes).chain(large) {
            let what = format!("{what} to {}", door.name);
            attacks.push(Attack::new("body", what, door.request(body), malformed()));
        }
        for (what, content_type, bytes, expected) in [
            ("base64", "application/octet-stream", b"e30=".to_vec(), malformed()),
            ("base64 of half an object", "image/png", b"{".to_vec(), malformed()),
            ("an image", "image/png", vec![0x89, b'P', b'N', b'G', 0, 255], malformed()),
            (
                "a part of a form",
                "multipart/form-data; boundary=x",
                b"--x\r\n\r\n{}\r\n--x--".to_vec(),
                malformed(),
            ),
            ("a byte too many", "application/json", vec![b' '; 64 * 1024 + 1], too_large()),
            ("a megabyte", "application/octet-stream", vec![b'['; 1 << 20], too_large()),
        ] {
            let request = door.head(&door.path).header(header::CONTENT_TYPE, content_type);
            let request = request.body(Body::from(bytes)).expect("a request");
            attacks.push(Attack::new("body", format!("{what} to {}", door.name), request, expected));
        }
    }
    attacks
}

/// A name that an object has twice: the first of the body, spelled plainly and with an escape, and one further inside.
pub(super) fn names_twice(shop: &Besieged) -> Vec<Attack> {
    let twice = |field: &str| problem(400, "malformed_json", &[field]);
    let mut attacks = Vec::new();
    for door in &shop.doors {
        let text = door.body.to_string();
        let name = door.body.as_object().and_then(|body| body.keys().next()).expect("a field");
        let value = &door.body[name];
        let escaped = format!("\\u{:04x}{}", name.chars().next().map_or(0, u32::from), &name[1..]);
        let again = |spelled: &str, value: &Value| format!("{{\"{spelled}\":{value},{}", &text[1..]);
        for (what, body, field) in [
            ("the same twice", again(name, value), name.as_str()),
            ("another value first", again(name, &json!("?")), name),
            ("spelled with an escape", again(&escaped, value), name),
            ("inside an unknown field", format!("{{\"x\":[{{\"a\":1,\"a\":1}}],{}", &text[1..]), "x[0].a"),
        ] {
            let what = format!("{what} to {}", door.name);
            attacks.push(Attack::new("name twice", what, door.request(body), twice(field)));
        }
    }
    for (door, body, field) in [
        (
            "order",
            r#"{"lines":[{"sku":"TEA-1","quantity":1},{"sku":"TEA-2","quantity":1,"quantity":5}]}"#,
            "lines[1].quantity",
        ),
        (
            "order",
            r#"{"lines":[],"expected_total":{"amount":1,"currency":"EUR","amount":450}}"#,
            "expected_total.amount",
        ),
        (
            "product",
            r#"{"unit_price":{"amount":1,"currency":"EUR","currency":"USD"}}"#,
            "unit_price.currency",
        ),
    ] {
        let request = shop.door(door).request(body);
        attacks.push(Attack::new("name twice", format!("{field} to {door}"), request, twice(field)));
    }
    attacks
}

/// The path by which a problem names a field.
fn named(pointer: &str) -> String {
    pointer[1..].replace("/0/", "[0].").replace('/', ".")
}

/// The fields that a problem names when this value is in a field.
fn faulty(pointer: &str, kind: Kind, value: &Value) -> Vec<String> {
    let field = named(pointer);
    match (kind, value) {
        (Kind::Money, _) => {
            let whole = if value.is_object() { format!("{field}.a") } else { field.clone() };
            vec![format!("{field}.amount"), format!("{field}.currency"), whole]
        }
        (Kind::List, Value::Array(list)) if !list.is_empty() => {
            ["", ".sku", ".quantity"].map(|end| format!("lines[0]{end}")).to_vec()
        }
        _ => vec![field],
    }
}

/// Values of a wrong type or size in every field of every body, and fields that no body has.
pub(super) fn types(shop: &Besieged) -> Vec<Attack> {
    let of_all =
        [json!(null), json!(7.5), json!([]), json!({ "a": 1 }), json!(-1), json!("\u{0}"), json!([[[]]])];
    let unknown = [
        ("__proto__", json!({ "admin": true })),
        ("$serde_json::private::RawValue", json!("{}")),
        ("$serde_json::private::Number", json!("1")),
        ("", json!(1)),
        ("\u{0}", json!(1)),
        ("user_id", json!("bob")),
    ];
    let mut attacks = Vec::new();
    for (door, pointer, kind) in FIELDS {
        let door = shop.door(door);
        let more = match kind {
            Kind::Text => {
                vec![json!(""), json!("   "), json!("\u{200b}"), json!("x".repeat(5_000)), json!(false)]
            }
            Kind::Integer => {
                vec![json!(1e30), json!(1e1), json!(u64::MAX), json!("1"), json!(true), json!(i64::MIN)]
            }
            Kind::Money => vec![json!("4.50 EUR"), json!(450)],
            Kind::List => vec![json!("TEA-1"), json!({ "0": { "sku": "TEA-1", "quantity": 1 } })],
            Kind::True => vec![json!(false), json!("true"), json!(1)],
        };
        for value in of_all.iter().cloned().chain(more) {
            if (pointer, &value) == ("/delta", &json!(-1)) {
                continue; // That is sound.
            }
            let what = format!("{pointer} of {} is {:.60}", door.name, value.to_string());
            let expected = Expected::Problem(422, "validation_failed", faulty(pointer, kind, &value));
            let request = door.request(door.with(pointer, value));
            attacks.push(Attack::new("type", what, request, expected));
        }
    }
    for door in &shop.doors {
        for (name, value) in &unknown {
            let request = door.request(door.with(&format!("/{name}"), value.clone()));
            let what = format!("{name:?} in {}", door.name);
            attacks.push(Attack::new("type", what, request, invalid(&[name])));
        }
    }
    attacks
}

/// Values of the right type beyond the limits.
pub(super) fn limits(shop: &Besieged) -> Vec<Attack> {
    let mut attacks = Vec::new();
    let mut push = |door: &str, pointer: &str, value: Value, expected: Expected| {
        let door = shop.door(door);
        let what = format!("{pointer} of {} is {:.90}", door.name, value.to_string());
        attacks.push(Attack::new("limit", what, door.request(door.with(pointer, value)), expected));
    };
    for (door, pointer, values) in [
        (
            "order",
            "/lines/0/quantity",
            vec![json!(0), json!(1_001), json!(4_294_967_297_u64), json!(i64::MAX)],
        ),
        ("order", "/expected_total/amount", vec![json!(50_000_000_000_001_u64)]),
        ("order", "/reference", vec![json!("PO 77"), json!("PO\u{200b}"), json!("é"), json!("r".repeat(65))]),
        ("product", "/unit_price/amount", vec![json!(1_000_000_001), json!("450"), json!(4.5)]),
        ("product", "/max_per_order", vec![json!(0), json!(1_001)]),
        ("adjust", "/delta", vec![json!(0), json!(1_000_001), json!(-1_000_001)]),
    ] {
        for value in values {
            push(door, pointer, value, invalid(&[&named(pointer)]));
        }
    }
    for sku in NO_SKUS.into_iter().map(str::to_owned).chain(["A".repeat(65)]) {
        push("order", "/lines/0/sku", json!(sku), invalid(&["lines[0].sku"]));
    }
    for sku in words("NO-SUCH STOCK MOVE 0") {
        push("order", "/lines/0/sku", json!(sku), problem(422, "unknown_sku", &["lines"]));
    }
    let lines =
        |lines: usize, quantity: u64| json!(vec![json!({ "sku": "TEA-1", "quantity": quantity }); lines]);
    for lines in [lines(51, 1), lines(2, 1_000), lines(50, 1_000)] {
        push("order", "/lines", lines, invalid(&["lines"]));
    }
    for amount in [0, 899, 901] {
        push("order", "/expected_total/amount", json!(amount), problem(409, "price_changed", &[]));
    }
    for currency in words(NO_CURRENCIES) {
        push("product", "/unit_price/currency", json!(currency), invalid(&["unit_price.currency"]));
        push("order", "/expected_total/currency", json!(currency), invalid(&["expected_total.currency"]));
    }
    push("adjust", "/delta", json!(-1_000), problem(409, "below_zero", &[]));
    for (door, pointer) in
        [("register", "/name"), ("product", "/name"), ("adjust", "/reason"), ("cancel", "/reason")]
    {
        for blank in NO_NAMES {
            push(door, pointer, json!(blank), invalid(&[&named(pointer)]));
        }
    }
    for status in ["PENDING", "CONFIRMED", "REJECTED", "shipped", "SHIPPED ", "LOST"] {
        push("change", "/status", json!(status), invalid(&["status"]));
    }
    push("change", "/status", json!("DELIVERED"), problem(409, "illegal_transition", &[]));
    attacks
}

//! Bad input to `POST /orders` is refused. No stock moves, no order is stored, and no log line repeats the input.

use axum::body::Body;
use http::{HeaderValue, Method, header};
use serde_json::{Value, json};

use crate::world::{
    Customer, Reply, Shop, Watched,
    gestures::product,
    refusals::{Refused, check, invalid},
    requests::asked,
};

/// A word in all bad input, which no log line may hold.
const MARK: &str = "Zanzibar";

/// A `POST /orders` as it is sent.
struct SentOrder<'a> {
    key: Option<&'a [u8]>,
    content_type: Option<&'a str>,
    body: Vec<u8>,
}

/// The request with a valid key and this body as JSON.
fn sent(body: impl Into<Vec<u8>>) -> SentOrder<'static> {
    SentOrder { key: Some(b"key-Zanzibar"), content_type: Some("application/json"), body: body.into() }
}

async fn post(shop: &Shop, customer: &Customer, sent: SentOrder<'_>) -> Reply {
    let mut request = asked(Method::POST, "/orders", Some(&customer.token));
    if let Some(key) = sent.key {
        request = request.header("idempotency-key", HeaderValue::from_bytes(key).expect("a header value"));
    }
    if let Some(content_type) = sent.content_type {
        request = request.header(header::CONTENT_TYPE, content_type);
    }
    shop.send(request.body(Body::from(sent.body)).expect("a request")).await
}

const MALFORMED: Refused<'_> = (400, "malformed_json", &[]);

#[tokio::test(start_paused = true)]
async fn a_body_that_is_not_a_json_object_is_refused() {
    let watched = Watched::open().await;
    for (what, body) in [
        ("nothing", Vec::new()),
        ("blanks", b" \n".to_vec()),
        ("half an object", format!(r#"{{"reference": "{MARK}", "#).into_bytes()),
        ("an array", format!(r#"["{MARK}"]"#).into_bytes()),
        ("a string", format!(r#""{MARK}""#).into_bytes()),
        ("null", b"null".to_vec()),
        ("an object and more", format!(r#"{{"lines": []}} {MARK}"#).into_bytes()),
        ("a byte order mark", b"\xef\xbb\xbf{}".to_vec()),
        ("half a character", format!(r#"{{"reference": "{MARK}\ud800"}}"#).into_bytes()),
        ("a number beyond all numbers", br#"{"lines": [{"sku": "TEA-1", "quantity": 1e400}]}"#.to_vec()),
        ("bytes that are no text", [br#"{"reference": "Zanzibar"#.as_slice(), b"\xff\xfe\"}"].concat()),
        ("brackets without end", "[".repeat(60_000).into_bytes()),
        ("objects without end", r#"{"a":"#.repeat(12_000).into_bytes()),
    ] {
        check(what, &post(&watched.shop, &watched.ada, sent(body.clone())).await, MALFORMED);
        // The gateway passes a body that is not text as base64.
        let as_bytes = SentOrder { content_type: Some("application/octet-stream"), ..sent(body) };
        check(what, &post(&watched.shop, &watched.ada, as_bytes).await, MALFORMED);
    }
    watched.is_untouched().await;
    watched.logged(&["malformed_json"], &[MARK, &watched.ada.email, &watched.ada.token]);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_large_is_refused_by_the_function_or_by_the_gateway() {
    let watched = Watched::open().await;
    let order = r#"{"lines": [{"sku": "TEA-1", "quantity": 1}]}"#;
    let padded = |bytes: usize| format!("{order}{}", " ".repeat(bytes - order.len()));
    let limit = 64 * 1024;
    for (what, body) in [
        ("a byte too many", padded(limit + 1)),
        ("65 KiB", padded(65 * 1024)),
        ("a hundred thousand brackets", "[".repeat(100_000)),
    ] {
        for content_type in ["application/json", "application/octet-stream"] {
            let sent = SentOrder { content_type: Some(content_type), ..sent(body.clone()) };
            check(what, &post(&watched.shop, &watched.ada, sent).await, (413, "body_too_large", &[]));
        }
    }
    let refused = post(&watched.shop, &watched.ada, sent(padded(11 * 1024 * 1024))).await;
    assert_eq!((refused.status, &refused.body), (413, &json!({ "message": "Request Entity Too Large" })));
    watched.is_untouched().await;
    watched.logged(&["body_too_large"], &[]);

    let placed = post(&watched.shop, &watched.ada, sent(padded(limit))).await;
    assert_eq!(placed.status, 201, "a body of exactly the limit: {placed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_missing_or_unusable_is_refused() {
    let watched = Watched::open().await;
    let long = |length: usize| [b"Zanzibar".as_slice(), &vec![b'k'; length - 8]].concat();
    let order = r#"{"lines": [{"sku": "TEA-1", "quantity": 1}]}"#;
    let of_key: &[&str] = &["Idempotency-Key"];
    for (what, key, expected) in [
        ("missing", None, (400, "idempotency_key_missing", of_key)),
        ("empty", Some(Vec::new()), invalid(of_key)),
        ("of 256 characters", Some(long(256)), invalid(of_key)),
        ("of 300 characters", Some(long(300)), invalid(of_key)),
        ("with a blank", Some(b"Zanzibar key".to_vec()), invalid(of_key)),
        ("with a tab", Some(b"Zanzibar\tkey".to_vec()), invalid(of_key)),
        ("not ASCII", Some("Zanzibar-schlüssel".as_bytes().to_vec()), invalid(of_key)),
        ("no text at all", Some(b"Zanzibar\xff".to_vec()), invalid(of_key)),
    ] {
        let sent = SentOrder { key: key.as_deref(), ..sent(order) };
        check(what, &post(&watched.shop, &watched.ada, sent).await, expected);
    }
    // The gateway refuses more than 10,240 bytes of headers.
    let refused =
        post(&watched.shop, &watched.ada, SentOrder { key: Some(&long(11_000)), ..sent(order) }).await;
    let message = json!({ "message": "Request Header Fields Too Large" });
    assert_eq!((refused.status, &refused.body), (431, &message));
    watched.is_untouched().await;
    watched.logged(&["idempotency_key_missing"], &[MARK]);

    let placed = post(&watched.shop, &watched.ada, SentOrder { key: Some(&long(255)), ..sent(order) }).await;
    assert_eq!(placed.status, 201, "a key of exactly the limit: {placed:?}");
}

/// An order whose first line has this quantity.
fn of(quantity: &str) -> String {
    format!(r#"{{"lines": [{{"sku": "TEA-1", "quantity": {quantity}}}]}}"#)
}

/// A valid order with one more field.
fn with(field: &str, value: &Value) -> String {
    json!({ "lines": [{ "sku": "TEA-1", "quantity": 1 }], field: value }).to_string()
}

fn lines(lines: &Value) -> String {
    json!({ "lines": lines }).to_string()
}

fn total(total: &Value) -> String {
    with("expected_total", total)
}

#[tokio::test(start_paused = true)]
async fn every_fault_in_the_lines_is_named_with_its_place() {
    let watched = Watched::open().await;
    let line = |sku: &str, quantity: i64| json!({ "sku": sku, "quantity": quantity });
    let of_quantity: &[&str] = &["lines[0].quantity"];
    let of_sku: &[&str] = &["lines[0].sku"];
    let mut cases: Vec<(String, Refused<'_>)> = vec![
        ("{}".to_owned(), invalid(&["lines"])),
        (lines(&json!([])), invalid(&["lines"])),
        (lines(&json!(null)), invalid(&["lines"])),
        (lines(&json!("TEA-1")), invalid(&["lines"])),
        (lines(&json!({ "sku": "TEA-1" })), invalid(&["lines"])),
        (lines(&json!(vec![line("TEA-1", 1); 51])), invalid(&["lines"])),
        (lines(&json!([[]])), invalid(&["lines[0]", "lines[0].sku", "lines[0].quantity"])),
        (lines(&json!([null])), invalid(&["lines[0]", "lines[0].sku", "lines[0].quantity"])),
        (lines(&json!([{}])), invalid(&["lines[0].sku", "lines[0].quantity"])),
        (lines(&json!([line("TEA-1", 1), { "sku": "TEA-1" }])), invalid(&["lines[1].quantity"])),
        (
            lines(&json!([{ "sku": "TEA-1", "quantity": 1, MARK: 1, "price": 0 }])),
            invalid(&["lines[0].Zanzibar", "lines[0].price"]),
        ),
        // Each quantity is valid, and their sum is too large.
        (lines(&json!([line("TEA-1", 600), line("TEA-2", 1), line("TEA-1", 401)])), invalid(&["lines"])),
        (lines(&json!([line("ZANZIBAR-1", 1)])), (422, "unknown_sku", &["lines"])),
        (
            lines(&json!([line("ZANZIBAR-1", 1), line("TEA-1", 1), line("ZANZIBAR-2", 1)])),
            (422, "unknown_sku", &["lines", "lines"]),
        ),
    ];
    for quantity in [
        "0",
        "-1",
        "1.5",
        "2.0",
        "1e0",
        "1e30",
        "1001",
        "99999999999999999999",
        "-99999999999999999999",
        "18446744073709551616",
        "9223372036854775807",
        r#""2""#,
        "true",
        "null",
        "[1]",
        "{}",
    ] {
        cases.push((of(quantity), invalid(of_quantity)));
    }
    let long = "A".repeat(65);
    for sku in ["tea-1", "", " TEA-1", "TEA 1", "TEA-1\n", "TÉA-1", "-TEA", "TEA/1", &long] {
        cases.push((lines(&json!([line(sku, 1)])), invalid(of_sku)));
    }
    for sku in [json!(1), json!(null), json!(["TEA-1"])] {
        cases.push((lines(&json!([{ "sku": sku, "quantity": 1 }])), invalid(of_sku)));
    }
    for (body, expected) in cases {
        check(&body, &post(&watched.shop, &watched.ada, sent(body.clone())).await, expected);
    }
    watched.is_untouched().await;
    watched.logged(&["validation_failed", "unknown_sku"], &[MARK]);
}

#[tokio::test(start_paused = true)]
async fn every_fault_of_reference_and_expected_total_is_named() {
    let watched = Watched::open().await;
    let of_reference: &[&str] = &["reference"];
    let of_amount: &[&str] = &["expected_total.amount"];
    let of_currency: &[&str] = &["expected_total.currency"];
    let of_all: &[&str] = &["expected_total", "expected_total.amount", "expected_total.currency"];
    let mut cases: Vec<(String, Refused<'_>)> = vec![
        (with(MARK, &json!(1)), invalid(&[MARK])),
        (with("user_id", &json!("somebody-else")), invalid(&["user_id"])),
        (total(&json!({})), invalid(&["expected_total.amount", "expected_total.currency"])),
        (total(&json!({ "amount": 450, "currency": "EUR", "tip": 1 })), invalid(&["expected_total.tip"])),
        (total(&json!({ "amount": 450 })), invalid(of_currency)),
        (total(&json!({ "currency": "EUR" })), invalid(of_amount)),
    ];
    let long = MARK.repeat(9);
    for reference in ["", " ", "a b", "PO\n77", "Zanzibar é", &long] {
        cases.push((with("reference", &json!(reference)), invalid(of_reference)));
    }
    for reference in [json!(77), json!(null), json!([MARK]), json!({ "a": MARK })] {
        cases.push((with("reference", &reference), invalid(of_reference)));
    }
    for amount in
        [json!(-1), json!(4.5), json!("450"), json!(null), json!(50_000_000_000_001_u64), json!(1e30)]
    {
        cases.push((total(&json!({ "amount": amount, "currency": "EUR" })), invalid(of_amount)));
    }
    for currency in [json!("eur"), json!("EURO"), json!(""), json!("QQQ"), json!(978), json!(null)] {
        cases.push((total(&json!({ "amount": 450, "currency": currency })), invalid(of_currency)));
    }
    for nothing in [json!(null), json!(450), json!("4.50 EUR"), json!([])] {
        cases.push((total(&nothing), invalid(of_all)));
    }
    for (body, expected) in cases {
        check(&body, &post(&watched.shop, &watched.ada, sent(body.clone())).await, expected);
    }
    watched.is_untouched().await;
    watched.logged(&["validation_failed"], &[MARK]);
}

#[tokio::test(start_paused = true)]
async fn all_faults_of_header_and_body_are_named_at_once() {
    let watched = Watched::open().await;
    let body = json!({
        "lines": [{ "sku": "tea-1", "quantity": 0 }, 7, { "sku": "TEA-1", "quantity": 1, "gift": true }],
        "reference": "a b",
        "expected_total": { "amount": -1, "currency": "?" },
        "coupon": MARK,
        "no_such_field": MARK,
    });
    let refused =
        post(&watched.shop, &watched.ada, SentOrder { key: Some(b"a b"), ..sent(body.to_string()) }).await;
    let expected = [
        "Idempotency-Key",
        "lines[0].sku",
        "lines[0].quantity",
        "lines[1]",
        "lines[1].sku",
        "lines[1].quantity",
        "lines[2].gift",
        "reference",
        "expected_total.amount",
        "expected_total.currency",
        "coupon",
        "no_such_field",
    ];
    check("everything wrong", &refused, invalid(&expected));
    watched.is_untouched().await;
    watched.logged(&["validation_failed"], &[MARK]);
}

#[tokio::test(start_paused = true)]
async fn an_order_with_two_currencies_another_total_or_an_unknown_customer_stores_nothing() {
    let watched = Watched::open().await;
    let dollars = product("Root beer", 450, "USD");
    let listed = watched.shop.describe(&watched.shop.admin, "BEER", &dollars).await;
    assert_eq!(listed.status, 201, "{listed:?}");
    let post = |body: String| post(&watched.shop, &watched.ada, sent(body));

    let mixed = lines(&json!([{ "sku": "TEA-1", "quantity": 1 }, { "sku": "BEER", "quantity": 1 }]));
    check("two currencies", &post(mixed).await, invalid(&["lines"]));

    for (amount, currency) in
        [(449, "EUR"), (451, "EUR"), (0, "EUR"), (450, "USD"), (50_000_000_000_000_u64, "EUR")]
    {
        let expected = json!({ "amount": amount, "currency": currency });
        let changed = post(total(&expected)).await;
        check("another total", &changed, (409, "price_changed", &[]));
        assert_eq!(changed.body["expected_total"], expected);
        assert_eq!(changed.body["quoted_total"], json!({ "amount": 450, "currency": "EUR" }));
    }

    let stranger = watched.shop.signed_in("Stranger");
    let refused = watched.shop.place(&stranger, "key-1", &[("TEA-1", 1)]).await;
    check("a stranger's", &refused, (409, "user_not_registered", &[]));
    watched.is_untouched().await;
    watched.logged(&["price_changed", "user_not_registered"], &[MARK, &stranger.email, &stranger.token]);

    // The refusals did not use the key up.
    let placed = post(total(&json!({ "amount": 450, "currency": "EUR" }))).await;
    assert_eq!(placed.status, 201, "{placed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_valid_order_is_accepted_with_any_content_type() {
    let watched = Watched::open().await;
    let types = [Some("application/octet-stream"), Some("image/png"), Some("text/plain"), Some("?"), None];
    for (n, content_type) in types.into_iter().enumerate() {
        let key = format!("key-{n}");
        let sent = SentOrder { key: Some(key.as_bytes()), content_type, ..sent(of("1")) };
        let placed = post(&watched.shop, &watched.ada, sent).await;
        assert_eq!(placed.status, 201, "{content_type:?}: {placed:?}");
    }
    assert_eq!(watched.shop.stock("TEA-1").await, (0, 5));
    watched.logged(&["\"status\":201"], &[&watched.ada.email, &watched.ada.token, "\"ada\""]);
}

#[tokio::test(start_paused = true)]
async fn the_subject_of_an_e_mail_is_one_short_ascii_line_for_any_product_name() {
    let shop = Shop::open().await;
    let ada = shop.customer("Ada").await;
    let emoji = "🫖".repeat(100);
    let names = [
        "Gustaf's Knäckebröd",
        "煎茶 一保堂",
        "שוקולד",
        &emoji,
        "\u{200b}\u{301}\u{feff}",
        "a\u{301}\u{301}\u{301}",
        "\u{fdfa}\u{fdfa}\u{fdfa}\u{fdfa}\u{fdfa}\u{fdfa}",
        "Subject: hello",
        "=?utf-8?B?SGk=?=",
        "\u{a0}\u{3000}x",
        "\u{10ffff}\u{e000}",
        "ﷺ﷽",
        "\"<script>\" & 'co'",
    ];
    for (n, name) in names.iter().enumerate() {
        let sku = format!("ODD-{n}");
        let listed = shop.describe(&shop.admin, &sku, &product(name, 1, "EUR")).await;
        assert_eq!((listed.status, &listed.body["name"]), (201, &json!(name)), "{name:?}");
        shop.adjust(&sku, "opening", 1).await;
        // The second order is rejected, and a rejection has another subject.
        for (key, status) in [("first", 201), ("second", 409)] {
            let placed = shop.place(&ada, &format!("{key}-{n}"), &[(&sku, 1)]).await;
            assert_eq!(placed.status, status, "{name:?}: {placed:?}");
        }
    }
    let mail = shop.order_mail();
    assert_eq!(mail.len(), 2 * names.len());
    assert_eq!(mail[0].subject, "Order confirmed: Gustaf's Knackebrod");
    for mail in mail {
        let subject = &mail.subject;
        assert!((1..=99).contains(&subject.len()), "{} bytes: {subject:?}", subject.len());
        assert!(subject.bytes().all(|b| b == b' ' || b.is_ascii_graphic()), "{subject:?}");
    }
}

//! Bad input to every door but `POST /orders` is refused: names, prices, adjustments, pages, ids and unknown routes.

use http::Method;
use serde_json::{Value, json};

use crate::world::{
    Customer, Reply, Shop, Watched,
    refusals::{Refused, check, invalid, refused},
};

/// A word in all bad input, which no log line may hold.
const MARK: &str = "Zanzibar";

/// Names that are invalid for a user and for a product.
fn bad_names() -> Vec<Value> {
    let mut names: Vec<Value> = [
        "",
        " ",
        "\u{a0}\u{3000}",
        "Zanzibar\n",
        "Zanzibar\r\nBcc: all@example.com",
        "Zan\tzibar",
        "Zan\0zibar",
        "Zan\u{1b}[2Jzibar",
        "Zan\u{7f}zibar",
        "Zan\u{85}zibar",
        "Zan\u{2028}zibar",
        "Zan\u{2029}zibar",
        "Zan\u{202e}zibar",
        "Zan\u{202a}zibar",
        "Zan\u{2066}zibar",
        "Zan\u{2069}zibar",
    ]
    .map(Value::from)
    .to_vec();
    names.push(json!(format!("{MARK}{}", "x".repeat(93))));
    names.push(json!("🫖".repeat(101)));
    names.extend([json!(null), json!(1), json!([MARK]), json!({ "first": MARK })]);
    names
}

/// Posts an adjustment, as the admin.
async fn adjust(shop: &Shop, sku: &str, key: Option<&str>, body: &Value) -> Reply {
    shop.adjust_with(&shop.admin, sku, key, body).await
}

#[tokio::test(start_paused = true)]
async fn a_name_with_a_control_character_or_too_many_characters_cannot_be_registered() {
    let watched = Watched::open().await;
    let eve = watched.shop.signed_in("Eve");
    let of_name: &[&str] = &["name"];
    let mut cases: Vec<(Value, Refused<'_>)> =
        bad_names().into_iter().map(|name| (json!({ "name": name }), invalid(of_name))).collect();
    cases.extend([
        (json!({}), invalid(of_name)),
        (json!([MARK]), refused(400, "malformed_json")),
        (json!({ "name": "Eve", "email": "ada@example.com" }), invalid(&["email"])),
        (json!({ "name": "Eve", "user_id": watched.ada.user_id }), invalid(&["user_id"])),
        (json!({ "nmae": MARK, "role": "admin" }), invalid(&["name", "nmae", "role"])),
    ]);
    for (body, expected) in cases {
        let reply = watched.shop.register_with(&eve, body.clone()).await;
        check(&body.to_string(), &reply, expected);
    }
    let unregistered = watched.shop.get("/users/me", &eve).await;
    check("never registered", &unregistered, refused(404, "not_found"));
    watched.is_untouched().await;
    watched.logged(&["validation_failed"], &[MARK, &eve.email, &eve.token]);

    let longest = "ö".repeat(100);
    let reply = watched.shop.register(&eve, &longest).await;
    assert_eq!((reply.status, &reply.body["name"]), (201, &json!(longest)), "{reply:?}");
    watched.logged(&["\"status\":201"], &["öö", &eve.email, &eve.token]);
}

#[tokio::test(start_paused = true)]
async fn a_product_that_breaks_a_rule_is_not_listed() {
    let watched = Watched::open().await;
    let of_amount: &[&str] = &["unit_price.amount"];
    let of_currency: &[&str] = &["unit_price.currency"];
    let of_price: &[&str] = &["unit_price", "unit_price.amount", "unit_price.currency"];
    let describe =
        async |sku: &str, product: &Value| watched.shop.describe(&watched.shop.admin, sku, product).await;
    let product = |amount: Value, currency: Value| json!({ "name": "Chai", "unit_price": { "amount": amount, "currency": currency } });
    let mut cases: Vec<(Value, Refused<'_>)> = bad_names()
        .into_iter()
        .map(|name| {
            (json!({ "name": name, "unit_price": { "amount": 1, "currency": "EUR" } }), invalid(&["name"]))
        })
        .collect();
    for amount in
        [json!(1_000_000_001), json!(-1), json!(0.5), json!(1e9), json!("450"), json!(null), json!(u64::MAX)]
    {
        cases.push((product(amount, json!("EUR")), invalid(of_amount)));
    }
    for currency in [json!("eur"), json!("EURO"), json!("€"), json!(""), json!(978), json!(null)] {
        cases.push((product(json!(450), currency), invalid(of_currency)));
    }
    for price in [json!(null), json!(450), json!("4.50 EUR"), json!([450, "EUR"])] {
        cases.push((json!({ "name": "Chai", "unit_price": price }), invalid(of_price)));
    }
    for most in [json!(0), json!(1_001), json!(-1), json!(1.5), json!("5"), json!(null)] {
        let mut limited = product(json!(450), json!("EUR"));
        limited["max_per_order"] = most;
        cases.push((limited, invalid(&["max_per_order"])));
    }
    cases.extend([
        (json!({}), invalid(&["name", "unit_price"])),
        (
            json!({ "name": "Chai", "unit_price": { "amount": 1, "currency": "EUR" }, "available": 7, "sku": "X" }),
            invalid(&["available", "sku"]),
        ),
        (
            json!({ "name": "", "unit_price": { "currency": "?", "vat": 19 }, MARK: 1 }),
            invalid(&["name", "unit_price.amount", "unit_price.currency", "unit_price.vat", MARK]),
        ),
    ]);
    for (body, expected) in cases {
        check(&body.to_string(), &describe("CHAI", &body).await, expected);
    }
    let good = product(json!(450), json!("EUR"));
    for sku in
        ["chai", "-CHAI", "CHAI%201", "CH%C3%84I", "CHAI%0A", "CHAI%2F1", "%F0%9F%AB%96", &"C".repeat(65)]
    {
        check(sku, &describe(sku, &good).await, invalid(&["sku"]));
    }
    check(
        "the product is not listed",
        &watched.shop.get("/inventory/CHAI", &watched.ada).await,
        refused(404, "not_found"),
    );
    watched.is_untouched().await;
    watched.logged(&["validation_failed"], &[MARK]);

    for (amount, status) in [(1_000_000_000, 201), (0, 200)] {
        let listed = describe("CHAI", &product(json!(amount), json!("EUR"))).await;
        assert_eq!((listed.status, &listed.body["unit_price"]["amount"]), (status, &json!(amount)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_adjustment_that_breaks_a_rule_moves_no_stock() {
    let watched = Watched::open().await;
    let of_delta: &[&str] = &["delta"];
    let of_reason: &[&str] = &["reason"];
    let mut cases: Vec<(Value, Refused<'_>)> = Vec::new();
    for delta in [
        json!(0),
        json!(1_000_001),
        json!(-1_000_001),
        json!(0.5),
        json!(1.0),
        json!(1e3),
        json!("5"),
        json!(null),
        json!(true),
        json!(u64::MAX),
        json!(i64::MIN),
        json!([1]),
    ] {
        cases.push((json!({ "delta": delta, "reason": MARK }), invalid(of_delta)));
    }
    for reason in [json!(""), json!(" "), json!("Zanzi\nbar"), json!("Z".repeat(201)), json!(null), json!(7)]
    {
        cases.push((json!({ "delta": 1, "reason": reason }), invalid(of_reason)));
    }
    cases.extend([
        (json!({ "delta": 1 }), invalid(of_reason)),
        (json!({ "reason": MARK }), invalid(of_delta)),
        (json!([]), refused(400, "malformed_json")),
        (json!({ "delta": 0, "reason": "", "actor": MARK }), invalid(&["delta", "reason", "actor"])),
    ]);
    for (body, expected) in cases {
        check(&body.to_string(), &adjust(&watched.shop, "TEA-1", Some("key-1"), &body).await, expected);
    }
    let good = json!({ "delta": 1, "reason": MARK });
    for (sku, key, expected) in [
        ("TEA-1", None, (400, "idempotency_key_missing", &["Idempotency-Key"][..])),
        ("TEA-1", Some(""), invalid(&["Idempotency-Key"])),
        ("TEA-1", Some("a b"), invalid(&["Idempotency-Key"])),
        ("tea-1", Some("a b"), invalid(&["sku", "Idempotency-Key"])),
        ("tea-1", Some("key-1"), invalid(&["sku"])),
        ("NO-SUCH", Some("key-1"), refused(404, "not_found")),
    ] {
        check(&format!("{sku} {key:?}"), &adjust(&watched.shop, sku, key, &good).await, expected);
    }
    let all = json!({ "delta": -6, "reason": MARK });
    check(
        "remove six of five",
        &adjust(&watched.shop, "TEA-1", Some("key-1"), &all).await,
        refused(409, "below_zero"),
    );
    watched.is_untouched().await;
    watched.logged(&["below_zero", "validation_failed"], &[MARK]);

    // The refusals did not use the key up. A repeat is answered as a repeat, even though the stock has changed.
    let longest = json!({ "delta": -5, "reason": "Z".repeat(200) });
    let adjusted = adjust(&watched.shop, "TEA-1", Some("key-1"), &longest).await;
    assert_eq!((adjusted.status, &adjusted.body["available"]), (201, &json!(0)), "{adjusted:?}");
    let repeated = adjust(&watched.shop, "TEA-1", Some("key-1"), &longest).await;
    assert_eq!((repeated.status, repeated.header("idempotent-replayed")), (200, "true"), "{repeated:?}");
    assert_eq!(repeated.body, adjusted.body);
    for other in [json!({ "delta": -4, "reason": "Z".repeat(200) }), json!({ "delta": -5, "reason": "Z" })] {
        let reused = adjust(&watched.shop, "TEA-1", Some("key-1"), &other).await;
        check("the key of another", &reused, refused(422, "idempotency_key_reused"));
    }
    // The same key may be used for another SKU.
    assert_eq!(adjust(&watched.shop, "TEA-2", Some("key-1"), &good).await.status, 201);
    assert_eq!((watched.shop.stock("TEA-1").await, watched.shop.stock("TEA-2").await), ((0, 0), (6, 0)));
}

#[tokio::test(start_paused = true)]
async fn no_more_than_a_thousand_million_can_be_available() {
    let watched = Watched::open().await;
    watched.shop.set_stock("TEA-1", "available", 999_000_000).await;
    let by = |delta: i64| json!({ "delta": delta, "reason": "count" });
    let filled = adjust(&watched.shop, "TEA-1", Some("fill"), &by(1_000_000)).await;
    assert_eq!((filled.status, &filled.body["available"]), (201, &json!(1_000_000_000)), "{filled:?}");
    let refusal = adjust(&watched.shop, "TEA-1", Some("more"), &by(1)).await;
    check("one more", &refusal, refused(409, "above_limit"));
    assert_eq!(watched.shop.stock("TEA-1").await, (1_000_000_000, 0));
    watched.logged(&["above_limit"], &[]);
}

#[tokio::test(start_paused = true)]
async fn an_invalid_limit_or_parameter_or_cursor_of_a_page_is_refused() {
    let watched = Watched::open().await;
    let get = |query: &str| {
        let path = format!("/inventory?{query}");
        let (shop, ada) = (watched.shop.clone(), watched.ada.clone());
        async move { shop.get(&path, &ada).await }
    };
    let first = get("limit=1").await;
    let cursor = first.next_cursor().expect("a second page").to_owned();
    assert_eq!(get(&format!("limit=1&cursor={cursor}")).await.status, 200);
    for limit in ["0", "101", "-1", "x", "", "1.5", "+1x", "99999999999", "1&limit=2", "%31%20"] {
        check(limit, &get(&format!("limit={limit}")).await, invalid(&["limit"]));
    }
    check("unknown", &get("Zanzibar=1&limit=1").await, invalid(&[MARK]));
    check("unknown and bad", &get("offset=1&limit=0&LIMIT=5").await, invalid(&["limit", "offset", "LIMIT"]));
    let flipped = cursor.chars().rev().collect::<String>();
    let others = watched.shop.get("/inventory?limit=1", &watched.shop.admin).await;
    let others = others.next_cursor().expect("the admin's").to_owned();
    for forged in [
        "",
        "x",
        "Zanzibar",
        "%00",
        "AAAA",
        "VEVBLTE",
        &cursor[1..],
        &cursor[..cursor.len() - 1],
        &flipped,
        &others,
        &format!("{cursor}{cursor}"),
        &format!("{cursor}&cursor={cursor}"),
        &"A".repeat(4_000),
    ] {
        check(forged, &get(&format!("cursor={forged}")).await, refused(400, "bad_cursor"));
    }
    watched.is_untouched().await;
    watched.logged(&["bad_cursor"], &[MARK, &cursor]);
}

#[tokio::test(start_paused = true)]
async fn an_order_is_found_under_no_other_spelling_of_its_id() {
    let watched = Watched::open().await;
    let placed = watched.shop.place(&watched.ada, "key-1", &[("TEA-1", 1)]).await;
    let id = placed.order_id();
    assert_eq!(watched.shop.get(&format!("/orders/{id}"), &watched.ada).await.status, 200);
    for other in [
        id.to_uppercase(),
        id.replace('-', ""),
        format!("%7B{id}%7D"),
        format!("urn:uuid:{id}"),
        format!("{id}%20"),
        format!("{id}%00"),
        "00000000-0000-0000-0000-000000000000".to_owned(),
        "6f1c3b1e-5d0a-5c0e-9a83-2f5b7e41d0c6".to_owned(),
        "zanzibar".to_owned(),
        "%2e%2e".to_owned(),
        "x".repeat(5_000),
    ] {
        for caller in [&watched.ada, &*watched.shop.admin] {
            let reply = watched.shop.get(&format!("/orders/{other}"), caller).await;
            check(&other, &reply, refused(404, "not_found"));
        }
    }
    watched.logged(&["not_found"], &[MARK]);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_route_or_method_is_the_gateways_404() {
    let watched = Watched::open().await;
    let stranger = Customer { token: "x".to_owned(), ..watched.ada.clone() };
    for (method, path) in [
        (Method::PUT, "/orders"),
        (Method::DELETE, "/orders"),
        (Method::PUT, "/users"),
        (Method::PATCH, "/users/me"),
        (Method::DELETE, "/inventory/TEA-1"),
        (Method::POST, "/inventory/TEA-1"),
        (Method::PUT, "/inventory/TEA-1/adjustments"),
        (Method::POST, "/health"),
        (Method::HEAD, "/health"),
        (Method::OPTIONS, "/orders"),
        (Method::GET, "/"),
        (Method::GET, "/zanzibar"),
        (Method::GET, "/inventory/"),
        (Method::GET, "//inventory"),
        (Method::GET, "/inventory/TEA-1/"),
        (Method::GET, "/Inventory"),
        (Method::GET, "/orders/a/b/c"),
        (Method::POST, "/orders/"),
    ] {
        for caller in [&watched.ada, &stranger] {
            let reply = watched.shop.call(method.clone(), path, caller, Some(json!({})), &[]).await;
            let message =
                if method == Method::HEAD { Value::Null } else { json!({ "message": "Not Found" }) };
            assert_eq!((reply.status, &reply.body), (404, &message), "{method} {path}");
        }
    }
    watched.is_untouched().await;
}

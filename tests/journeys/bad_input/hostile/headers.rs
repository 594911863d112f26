//! `If-Match` and `Idempotency-Key` in every form but the right one, headers that are too large, and queries of lists.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};

use super::{Attack, Besieged, Expected, KnownDoor, get, invalid, problem, words};
use crate::world::Customer;

/// Texts of `If-Match` that are not the `ETag` of an order in version 2.
const NO_ETAGS: [&[u8]; 30] = [
    b"\"+2\"",
    b"\"02\"",
    b"\"-2\"",
    b"\"0\"",
    b"\"1\"",
    b"\"3\"",
    b"\"2.0\"",
    b"\"2e0\"",
    b"\"0x2\"",
    b"\" 2\"",
    b"\"2 \"",
    b"\"\"",
    b"\"",
    b"",
    b"2",
    b"'2'",
    b"\"2",
    b"2\"",
    b"W/\"2\"",
    b"w/\"2\"",
    b"\"2\", \"3\"",
    b"\"2\",\"2\"",
    b"*, \"2\"",
    b"**",
    b"\"*\"",
    b"\"4294967298\"",
    b"\"18446744073709551618\"",
    b"\"\xd9\xa2\"",
    b"\"2\xff\"",
    b"\"2\"\xc2\xa0",
];

/// Keys that are none.
const NO_KEYS: [&[u8]; 7] =
    [b"", b"a b", b"a\tb", b"\xe9", b"\xff\xfe", b"schl\xc3\xbcssel", b"\xe2\x80\x8b"];

/// Keys, or a key, that API Gateway makes one text of.
const TWO_KEYS: [&[&[u8]]; 7] =
    [&[b"a", b"b"], &[b"a", b"a"], &[b"", b"a"], &[b"a", b"", b"b"], &[b"a,b"], &[b"a, b"], &[b","]];

/// Limits of a page that are none.
const NO_LIMITS: &str =
    "0 101 -1 +5 05x 1.0 1e1 x NaN 65537 99999999999999999999 5&limit=5 5%00 %EF%BC%95 %205 5,6";

/// Parameters that no list has, with the names that a problem gives them.
const NO_PARAMETERS: [(&str, &str); 7] = [
    ("offset=1", "offset"),
    ("LIMIT=1", "LIMIT"),
    ("limit%5B%5D=1", "limit[]"),
    ("=1", ""),
    ("next_cursor=x", "next_cursor"),
    ("%00=1", "\u{0}"),
    ("page=1&page=2", "page"),
];

/// Filters of the orders that an admin may not use together, or with these values.
const NO_FILTERS: [(&str, &str); 14] = [
    ("status=", "status"),
    ("status=PENDING", "status"),
    ("status=confirmed", "status"),
    ("status=CONFIRMED&status=SHIPPED", "status"),
    ("attention=", "attention"),
    ("attention=false", "attention"),
    ("attention=1", "attention"),
    ("attention=true&attention=true", "attention"),
    ("user_id=", "user_id"),
    ("user_id=a%20b", "user_id"),
    ("user_id=%C3%A9", "user_id"),
    ("status=SHIPPED&attention=true", "status attention"),
    ("user_id=a&status=SHIPPED&attention=true", "user_id status attention"),
    ("status=x&limit=0&y=1", "status limit y"),
];

pub(super) fn headers(shop: &Besieged) -> Vec<Attack> {
    let mut attacks = Vec::new();
    let mut push = |door: &KnownDoor, name: &str, values: &[&[u8]], expected: Expected| {
        let mut request = door.without(name).request(door.body.to_string());
        let header: HeaderName = name.parse().expect("a name");
        for value in values {
            request.headers_mut().append(&header, HeaderValue::from_bytes(value).expect("a value"));
        }
        let shown =
            values.iter().take(3).map(|value| value[..value.len().min(40)].escape_ascii().to_string());
        let what = format!("{name} {:?} to {}", shown.collect::<Vec<_>>(), door.name);
        attacks.push(Attack::new("header", what, request, expected));
    };
    let stale = || problem(412, "stale_version", &[]);
    let change = shop.door("change");
    for etag in NO_ETAGS {
        push(change, "if-match", &[etag], stale());
    }
    push(change, "if-match", &[b"\"2\"", b"\"2\""], stale());
    push(change, "if-match", &[b"\"2\"", b"\"9\""], stale());
    push(change, "if-match", &[b"*", b"*"], stale());
    push(change, "if-match", &[], problem(428, "if_match_missing", &["If-Match"]));
    for door in [shop.door("order"), shop.door("adjust")] {
        let of_key = &["Idempotency-Key"];
        push(door, "idempotency-key", &[], problem(400, "idempotency_key_missing", of_key));
        for keys in TWO_KEYS {
            push(door, "idempotency-key", keys, problem(400, "idempotency_key_repeated", of_key));
        }
        for key in NO_KEYS.into_iter().chain([&[b'k'; 256][..]]) {
            push(door, "idempotency-key", &[key], invalid(of_key));
        }
    }
    for door in &shop.doors {
        push(door, "x-large", &[&[b'x'; 11_000]], Expected::Gateway(431));
        push(door, "cookie", &[&[b'x'; 50][..]; 210], Expected::Gateway(431));
        push(door, "authorization", &[b"Bearer x"], Expected::Gateway(401));
    }
    attacks
}

pub(super) async fn queries(shop: &Besieged) -> Vec<Attack> {
    let admin = &*shop.shop.admin;
    let mut cursors = BTreeMap::new();
    for (list, caller) in [("/inventory", admin), ("/orders?status=CONFIRMED", admin), ("/orders", &shop.ada)]
    {
        let page = shop.shop.page(list, caller, 1, None).await;
        cursors.insert(list, page.next_cursor().expect("a second page").to_owned());
    }
    let mut attacks = Vec::new();
    let mut push = |list: &str, query: &str, caller: &Customer, expected: Expected| {
        let path = format!("{list}?{query}");
        let what = format!("{path:.300} as {}", caller.email);
        attacks.push(Attack::new("query", what, get(&path, caller), expected));
    };
    let good = &cursors["/orders"];
    let mut bad: Vec<String> =
        words("x null %00 AAAA A%3D%3D ..%2F..%2F %F0%9F%8D%B5").map(str::to_owned).collect();
    bad.extend([String::new(), "A".repeat(4_000), good[1..].to_owned(), format!("{good}A")]);
    bad.extend([format!("{good}&cursor={good}"), cursors["/orders?status=CONFIRMED"].clone()]);
    // It was given to an admin.
    bad.push(cursors["/inventory"].clone());
    for (list, caller) in
        [("/inventory", &shop.ada), ("/orders", &shop.ada), ("/inventory/TEA-1/movements", admin)]
    {
        for limit in words(NO_LIMITS).chain([""]) {
            push(list, &format!("limit={limit}"), caller, invalid(&["limit"]));
        }
        for (query, name) in NO_PARAMETERS {
            push(list, query, caller, invalid(&[name]));
        }
        for cursor in &bad {
            push(list, &format!("cursor={cursor}"), caller, problem(400, "bad_cursor", &[]));
        }
    }
    for query in words(
        "status=CONFIRMED status= status=nonsense user_id=x attention=true attention=no status=a&user_id=b",
    ) {
        push("/orders", query, &shop.ada, problem(403, "forbidden", &[]));
    }
    for (query, fields) in NO_FILTERS {
        push("/orders", query, admin, invalid(&words(fields).collect::<Vec<_>>()));
    }
    attacks
}

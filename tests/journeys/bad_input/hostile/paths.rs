//! Methods that a path does not have, paths that are none, and order ids that are not the caller's.

use axum::body::Body;
use http::{Method, Request};

use super::{Attack, Besieged, Expected, get, invalid, problem, words};
use crate::world::requests::{asked, with_text};

/// Paths, each with the methods that it has.
const METHODS: [(&str, &str); 12] = [
    ("/users", "POST"),
    ("/users/me", "GET DELETE"),
    ("/orders", "GET POST"),
    ("/orders/@", "GET PATCH"),
    ("/orders/@/cancel", "POST"),
    ("/orders/@/resume", "POST"),
    ("/orders/resume", "POST GET PATCH"),
    ("/inventory", "GET"),
    ("/inventory/TEA-1", "GET PUT"),
    ("/inventory/TEA-1/adjustments", "POST"),
    ("/inventory/TEA-1/movements", "GET"),
    ("/health", "GET"),
];

/// Pieces of paths that are no SKU and no order id, put where one belongs.
const SEGMENTS: &str = "%2F TEA-1%2FTEA-2 %2e%2e .. . ... %00 TEA-1%00 %0d%0aTEA-1 TEA-1%20 %20TEA-1 %FF%FE %C0%AF \
                        %E2%80%8B TEA-1;v=1 * $ tea-1 %7B%7D -";

/// Paths that no route has.
const NO_ROUTES: &str = "/ // //orders /orders/ /orders// /orders//cancel /inventory//movements /users/me/ /Orders \
                         /ORDERS /%2Forders /orders%2F /orders%00 /orders%20 /orders;a=b /users%2Fme /users/you \
                         /../orders /orders/../orders /.%2e/orders /orders/a/b/c /inventory/TEA-1/adjustments/x \
                         /%F0%9F%8D%B5 /% /%zz /local /console%00 /.env /2015-03-31/functions /* /{proxy+}";

pub(super) fn methods(shop: &Besieged) -> Vec<Attack> {
    let mut attacks = Vec::new();
    for (path, taken) in METHODS {
        for method in words("GET HEAD POST PUT PATCH DELETE OPTIONS TRACE BREW get PROPFIND") {
            if words(taken).any(|taken| taken == method) {
                continue;
            }
            let method: Method = method.parse().expect("a method");
            let what = format!("{method} {path}");
            let request = asked(method, &path.replace('@', &shop.to_ship), Some(&shop.shop.admin.token));
            attacks.push(Attack::new("method", what, with_text(request, "{}"), Expected::Gateway(404)));
        }
    }
    attacks
}

/// The gateway answers, or the door looks for a thing that cannot be.
pub(super) fn paths(shop: &Besieged) -> Vec<Attack> {
    let mut attacks = Vec::new();
    let admin = &shop.shop.admin;
    let not_found = || problem(404, "not_found", &[]);
    for segment in words(SEGMENTS) {
        for path in ["/inventory/@", "/inventory/@/movements", "/orders/@"] {
            let request = get(&path.replace('@', segment), admin);
            attacks.push(Attack::new("path", format!("{path} with {segment}"), request, not_found()));
        }
        for (door, path, expected) in [
            ("product", "/inventory/@", invalid(&["sku"])),
            ("adjust", "/inventory/@/adjustments", invalid(&["sku"])),
            ("change", "/orders/@", not_found()),
            ("cancel", "/orders/@/cancel", not_found()),
        ] {
            let door = shop.door(door);
            let request = with_text(door.head(&path.replace('@', segment)), door.body.to_string());
            let what = format!("{} with {segment}", door.name);
            attacks.push(Attack::new("path", what, request, expected));
        }
    }
    for path in words(NO_ROUTES) {
        attacks.push(Attack::new("path", path, get(path, admin), Expected::Gateway(404)));
    }
    for path in ["/orders/", "/inventory/", "/inventory?cursor=", "/"] {
        let request = get(&format!("{path}{}", "A".repeat(11_000)), admin);
        let what = format!("{path} and eleven thousand letters");
        attacks.push(Attack::new("path", what, request, Expected::Gateway(431)));
    }
    attacks
}

/// Order ids in every spelling but the right one, and the right ones of others.
pub(super) fn ids(shop: &Besieged) -> Vec<Attack> {
    let id = &shop.to_ship;
    let others = [
        id.to_uppercase(),
        id.replace('-', ""),
        format!("%7B{id}%7D"),
        format!("urn:uuid:{id}"),
        format!("{id}%20"),
        format!("{id}%00"),
        format!("{id},{id}"),
        id[..35].to_owned(),
        format!("{id}0"),
        "0".to_owned(),
        "00000000-0000-0000-0000-000000000000".to_owned(),
        "ffffffff-ffff-ffff-ffff-ffffffffffff".to_owned(),
        "3f2c3b1e-5d0a-5c0e-9a83-2f5b7e41d0c6".to_owned(),
        "%EF%BC%90".to_owned(),
        "x".repeat(4_000),
    ];
    let mut attacks = Vec::new();
    let admin = &shop.shop.admin;
    let change = shop.door("change");
    for other in others {
        let post = |verb: &str| asked(Method::POST, &format!("/orders/{other}/{verb}"), Some(&admin.token));
        for (what, request) in [
            ("read", get(&format!("/orders/{other}"), admin)),
            ("change", with_text(change.head(&format!("/orders/{other}")), change.body.to_string())),
            ("cancel", with_text(post("cancel"), "{}")),
            ("resume", with_text(post("resume"), "")),
        ] {
            let what = format!("{what} {}", &other[..other.len().min(60)]);
            attacks.push(Attack::new("id", what, request, problem(404, "not_found", &[])));
        }
    }
    let as_ada = |method, path: &str| asked(method, path, Some(&shop.ada.token)).header("if-match", "*");
    let sent = |method, path: &str| -> Request<Body> { with_text(as_ada(method, path), "{}") };
    let of_bob = format!("/orders/{}", shop.of_bob);
    for (what, request, expected) in [
        ("read another's", sent(Method::GET, &of_bob), problem(404, "not_found", &[])),
        ("cancel another's", sent(Method::POST, &format!("{of_bob}/cancel")), problem(404, "not_found", &[])),
        ("ship another's", sent(Method::PATCH, &of_bob), problem(403, "forbidden", &[])),
        ("resume another's", sent(Method::POST, &format!("{of_bob}/resume")), problem(403, "forbidden", &[])),
        ("ship one's own", sent(Method::PATCH, &format!("/orders/{id}")), problem(403, "forbidden", &[])),
    ] {
        attacks.push(Attack::new("id", what, request, expected));
    }
    attacks
}

//! Tokens that are forged, expired, for others or of another kind, and claims that say odd things of the caller.

use axum::body::Body;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::{Request, header};
use local::ground::tokens::Signing;
use serde_json::{Value, json};

use super::{Attack, Besieged, Expected, KnownDoor, problem};

/// The request of a door with another token.
fn with(door: &KnownDoor, authorization: &str) -> Request<Body> {
    let mut request = door.request(door.body.to_string());
    request.headers_mut().insert(header::AUTHORIZATION, authorization.parse().expect("a value"));
    request
}

/// The gateway refuses these.
pub(super) fn forged(shop: &Besieged) -> Vec<Attack> {
    let now = shop.shop.stack.clock().unix_seconds();
    let good = shop.shop.genuine_admin_token();
    let [head, claims, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("{good}") };
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let none = part(json!({ "alg": "none" }));
    let odd = part(json!({ "alg": "ES256", "jwk": {}, "kid": "../../key" }));
    let eve = part(json!({ "sub": "eve", "cognito:groups": ["admin"] }));
    let mut values = vec![
        ("empty", String::new()),
        ("the scheme alone", "Bearer".to_owned()),
        ("another scheme", format!("Basic {good}")),
        ("a key of AWS", "AWS4-HMAC-SHA256 Credential=X/20260301/us-east-1/dynamodb/aws4_request".to_owned()),
        ("two in one", format!("Bearer {good}, Bearer {good}")),
        ("without a signature", format!("Bearer {head}.{claims}.")),
        ("two parts", format!("Bearer {head}.{claims}")),
        ("four parts", format!("Bearer {good}.{signature}")),
        ("dots", "Bearer ..".to_owned()),
        ("no JSON inside", "Bearer e30.e30.e30".to_owned()),
        ("alg none with the claims", format!("Bearer {none}.{claims}.")),
        ("alg none with the signature", format!("Bearer {none}.{claims}.{signature}")),
        ("a key of its own", format!("Bearer {odd}.{claims}.{signature}")),
        ("other claims", format!("Bearer {head}.{eve}.{signature}")),
        ("nine thousand letters", format!("Bearer {}", "A".repeat(9_000))),
    ];
    for (what, overrides, signing) in [
        ("expired", json!({ "exp": now }), Signing::Genuine),
        ("never expiring", json!({ "exp": null }), Signing::Genuine),
        ("expiring at a text", json!({ "exp": "tomorrow" }), Signing::Genuine),
        ("expiring beyond all times", json!({ "exp": 1e300 }), Signing::Genuine),
        ("not yet valid", json!({ "nbf": now + 60 }), Signing::Genuine),
        ("issued tomorrow", json!({ "iat": now + 86_400 }), Signing::Genuine),
        ("of another issuer", json!({ "iss": "https://issuer.example.com" }), Signing::Genuine),
        ("of two issuers", json!({ "iss": ["a", "b"] }), Signing::Genuine),
        ("for another audience", json!({ "aud": "another-shop" }), Signing::Genuine),
        ("of two users", json!({ "sub": ["a", "b"] }), Signing::Genuine),
        ("for no audience", json!({ "aud": null }), Signing::Genuine),
        ("for an empty list", json!({ "aud": [] }), Signing::Genuine),
        ("of another key", json!({}), Signing::AnotherKey),
        ("of an unknown key", json!({}), Signing::UnknownKeyId),
        ("alg none", json!({}), Signing::None),
        ("signed with the public key", json!({}), Signing::PublicKeyAsSecret),
    ] {
        values.push((what, format!("Bearer {}", shop.shop.eves_admin_token(&overrides, signing))));
    }
    let mut attacks = Vec::new();
    for (what, value) in &values {
        for door in ["order", "product", "change"] {
            let request = with(shop.door(door), value);
            attacks.push(Attack::new("token", format!("{what} to {door}"), request, Expected::Gateway(401)));
        }
    }
    attacks
}

/// The gateway lets these pass, and the door refuses them: they are no ID tokens, or name no user.
pub(super) fn claims(shop: &Besieged) -> Vec<Attack> {
    let mut attacks = Vec::new();
    for claims in [
        json!({ "token_use": "access" }),
        json!({ "token_use": "refresh" }),
        json!({ "token_use": "" }),
        json!({ "token_use": true }),
        json!({ "sub": null }),
        json!({ "sub": "" }),
        json!({ "sub": "a b" }),
        json!({ "sub": "\u{200b}" }),
        json!({ "sub": "x".repeat(129) }),
    ] {
        let token = format!("Bearer {}", shop.shop.eves_admin_token(&claims, Signing::Genuine));
        for door in ["register", "order", "adjust"] {
            let what = format!("{:.60} to {door}", claims.to_string());
            let expected = problem(401, "id_token_required", &[]);
            attacks.push(Attack::new("token", what, with(shop.door(door), &token), expected));
        }
    }
    attacks
}

/// Groups that are not the group of admins, however the gateway writes them.
pub(super) fn groups(shop: &Besieged) -> Vec<Attack> {
    let mut attacks = Vec::new();
    for groups in [
        json!(null),
        json!([]),
        json!(["Admin"]),
        json!(["admins"]),
        json!(["staff,admin"]),
        json!(["admin,staff"]),
        json!(["\"admin\""]),
        json!(["[admin]"]),
        json!(["admin\u{a0}staff"]),
        json!([["admin"]]),
        json!("staff admin"),
        json!("[\"admin\"]"),
        json!("[\"staff\",\"admin\"]"),
        json!("[staff,admin]"),
        json!(" admin"),
        json!("admin\n"),
        json!("admin\u{200b}"),
        json!(""),
        json!(true),
        json!({ "admin": "admin" }),
    ] {
        let eve = shop.shop.eve(&json!({ "cognito:groups": groups }));
        for door in ["product", "adjust", "change", "resume all"] {
            let request = with(shop.door(door), &format!("Bearer {}", eve.token));
            let what = format!("groups {groups} to {door}");
            attacks.push(Attack::new("token", what, request, problem(403, "forbidden", &[])));
        }
    }
    attacks
}

/// Addresses that are none, or that nobody has verified.
pub(super) fn addresses(shop: &Besieged) -> Vec<Attack> {
    let mut attacks = Vec::new();
    for claims in [
        json!({ "email_verified": false }),
        json!({ "email_verified": "TRUE" }),
        json!({ "email_verified": 1 }),
        json!({ "email_verified": null }),
        json!({ "email": null }),
        json!({ "email": "" }),
        json!({ "email": "eve" }),
        json!({ "email": "@example.com" }),
        json!({ "email": "eve@" }),
        json!({ "email": "eve@a@b" }),
        json!({ "email": "eve @example.com" }),
        json!({ "email": "eve@example.com,all@example" }),
        json!({ "email": "eve@example.com\r\nbcc: all@example.com" }),
        json!({ "email": "éve@example.com" }),
        json!({ "email": "eve\u{200b}@example.com" }),
        json!({ "email": format!("{}@example.com", "e".repeat(250)) }),
        json!({ "email": "<eve@example.com>" }),
        json!({ "email": ["eve@example.com"] }),
        json!({ "email": ["eve@example.com", "all@example.com"] }),
        json!({ "email": { "a": "eve@example.com" } }),
    ] {
        let eve = shop.shop.eve(&claims);
        let request = with(shop.door("register"), &format!("Bearer {}", eve.token));
        let what = format!("{:.80}", claims.to_string());
        attacks.push(Attack::new("e-mail", what, request, problem(403, "email_not_verified", &[])));
    }
    attacks
}

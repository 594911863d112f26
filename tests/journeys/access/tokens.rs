//! Tokens: the gateway's authorizer refuses every token that is not genuine, and the functions check the claims of the
//! rest.

use std::time::Duration;

use http::{Method, header};
use local::ground::tokens::Signing;
use sam_template::Route;
use serde_json::json;

use crate::world::{
    Customer, Reply, Shop, TEMPLATE, Watched,
    gestures::product,
    refusals::{check, refused},
    requests::{asked, with_text},
};

fn routes() -> impl Iterator<Item = &'static Route> {
    TEMPLATE.apis.iter().flat_map(|api| &api.routes)
}

/// Calls a route of the template with this `Authorization` and an empty object.
async fn knock(shop: &Shop, route: &Route, authorization: Option<&str>) -> Reply {
    let path = route.path.as_str().replace("{sku}", "TEA-1").replace("{order_id}", "x");
    assert!(!path.contains('{'), "{path} has a parameter that this test does not know");
    let method: Method = route.method.as_str().parse().expect("a method");
    let mut request = asked(method, &path, None);
    if let Some(authorization) = authorization {
        request = request.header(header::AUTHORIZATION, authorization);
    }
    shop.send(with_text(request.header("idempotency-key", "key-1"), "{}")).await
}

#[tokio::test(start_paused = true)]
async fn every_route_but_health_refuses_a_caller_without_a_genuine_token() {
    let watched = Watched::open().await;
    let shop = &watched.shop;
    let now = shop.stack.clock().unix_seconds();
    let good = shop.genuine_admin_token();
    let [head, claims, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("{good}") };
    let (middle, last) = claims.split_at(claims.len() / 2);
    let mut keys = vec![
        ("none", None),
        ("empty", Some(String::new())),
        ("only the scheme", Some("Bearer".to_owned())),
        ("another scheme", Some(format!("Basic {good}"))),
        ("no token", Some("Bearer Zanzibar".to_owned())),
        ("without its signature", Some(format!("Bearer {head}.{claims}."))),
        ("with other claims", Some(format!("Bearer {head}.{middle}A{last}.{signature}"))),
        ("two", Some(format!("Bearer {good}, Bearer {good}"))),
    ];
    for (what, overrides, signing) in [
        ("expired", json!({ "exp": now }), Signing::Genuine),
        ("expired long ago", json!({ "exp": 0, "iat": 0 }), Signing::Genuine),
        ("without an end", json!({ "exp": null }), Signing::Genuine),
        ("not yet valid", json!({ "nbf": now + 60 }), Signing::Genuine),
        ("issued tomorrow", json!({ "iat": now + 86_400 }), Signing::Genuine),
        ("of another issuer", json!({ "iss": "https://issuer.example.com" }), Signing::Genuine),
        ("of no issuer", json!({ "iss": null }), Signing::Genuine),
        ("for another audience", json!({ "aud": "another-shop" }), Signing::Genuine),
        ("for other audiences", json!({ "aud": ["another-shop", "orderflow2"] }), Signing::Genuine),
        ("for no audience", json!({ "aud": null }), Signing::Genuine),
        (
            "an access token of another client",
            json!({ "aud": null, "client_id": "another-shop", "token_use": "access" }),
            Signing::Genuine,
        ),
        ("forged with another key", json!({}), Signing::AnotherKey),
        ("of an unknown key", json!({}), Signing::UnknownKeyId),
        ("not signed", json!({}), Signing::None),
        ("signed with the public key", json!({}), Signing::PublicKeyAsSecret),
    ] {
        keys.push((what, Some(format!("Bearer {}", shop.eves_admin_token(&overrides, signing)))));
    }
    let mut open = Vec::new();
    for route in routes() {
        let name = format!("{} {}", route.method, route.path);
        for (what, key) in &keys {
            let reply = knock(shop, route, key.as_deref()).await;
            if name == "GET /health" {
                assert_eq!((reply.status, &reply.body), (200, &json!({ "status": "ok" })), "{what}");
                continue;
            }
            let message = json!({ "message": "Unauthorized" });
            assert_eq!((reply.status, &reply.body), (401, &message), "{name} with a token: {what}");
            assert!(reply.header("www-authenticate").starts_with("Bearer"), "{name}: {what}");
        }
        let reply = knock(shop, route, Some(&format!("Bearer {good}"))).await;
        assert_ne!(reply.status, 401, "{name} with a good token: {reply:?}");
        open.push(name);
    }
    assert!(open.len() >= 9, "{open:?}");
    watched.is_untouched().await;
    watched.logged(&["answered"], &[&good, signature, "Zanzibar", "eve@example.com"]);
}

#[tokio::test(start_paused = true)]
async fn a_token_expires_after_an_hour() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.customer("Ada").await;
    shop.wait(Duration::from_secs(3_590));
    assert_eq!(shop.place(&ada, "key-1", &[("TEA-1", 1)]).await.status, 201);
    shop.wait(Duration::from_secs(11));
    let late = shop.place(&ada, "key-2", &[("TEA-1", 1)]).await;
    assert_eq!((late.status, &late.body), (401, &json!({ "message": "Unauthorized" })));
}

#[tokio::test(start_paused = true)]
async fn an_access_token_passes_the_gateway_and_is_refused_by_every_function() {
    let watched = Watched::open().await;
    // Cognito's access tokens have no audience. The authorizer takes the client's id instead.
    let client = &TEMPLATE.user_pool.as_ref().expect("a pool").clients[0].id;
    let access = json!({ "token_use": "access", "aud": null, "client_id": client, "email": null });
    for claims in [access, json!({ "token_use": "access" }), json!({ "token_use": "refresh" })] {
        let token = watched.shop.eves_admin_token(&claims, Signing::Genuine);
        for route in routes().filter(|route| route.path.as_str() != "/health") {
            let reply = knock(&watched.shop, route, Some(&format!("Bearer {token}"))).await;
            check(&format!("{} {}", route.method, route.path), &reply, refused(401, "id_token_required"));
        }
    }
    for claims in [
        json!({ "sub": null }),
        json!({ "sub": "" }),
        json!({ "sub": "a b" }),
        json!({ "sub": "x".repeat(129) }),
    ] {
        let unnamed = watched.shop.eve(&claims);
        let reply = watched.shop.place(&unnamed, "key-1", &[("TEA-1", 1)]).await;
        check(&claims.to_string(), &reply, refused(401, "id_token_required"));
    }
    watched.is_untouched().await;
    watched.logged(&["id_token_required"], &["eve@example.com"]);

    // Issuers other than Cognito leave `token_use` out.
    let other = watched.shop.eve(&json!({ "token_use": null }));
    assert_eq!(watched.shop.get("/inventory", &other).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_is_not_verified_cannot_be_registered() {
    let watched = Watched::open().await;
    let shop = &watched.shop;
    for claims in [
        json!({ "email_verified": false }),
        json!({ "email_verified": "false" }),
        json!({ "email_verified": null }),
        json!({ "email_verified": 1 }),
        json!({ "email_verified": "TRUE" }),
        json!({ "email": null }),
        json!({ "email": "nonsense" }),
        json!({ "email": "eve@example.com\r\nbcc: all@example.com" }),
    ] {
        let eve = shop.eve(&claims);
        let reply = shop.register(&eve, "Eve").await;
        check(&claims.to_string(), &reply, refused(403, "email_not_verified"));
        // The person may read all the same.
        assert_eq!(shop.get("/inventory", &eve).await.status, 200, "{claims}");
    }
    assert_eq!(shop.rows("UsersTable").await.len(), 1, "only Ada is registered");
    watched.logged(&["email_not_verified"], &["eve@example.com", "nonsense", "bcc"]);

    // An HTTP API passes the claim as a string.
    let eve = shop.eve(&json!({ "email_verified": "true" }));
    let reply = shop.register(&eve, "Eve").await;
    assert_eq!(reply.status, 201, "{reply:?}");
}

/// Makes every request that only admins may make.
async fn as_admin(shop: &Shop, who: &Customer) -> [Reply; 3] {
    [
        shop.describe(who, "CHAI", &product("Chai", 450, "EUR")).await,
        shop.adjust_with(who, "CHAI", Some("key-1"), &json!({ "delta": 1, "reason": "count" })).await,
        // The caller is checked before the input.
        shop.describe(who, "chai", &json!({ "x": 1 })).await,
    ]
}

#[tokio::test(start_paused = true)]
async fn only_the_exact_admin_group_is_admin() {
    let watched = Watched::open().await;
    let shop = &watched.shop;
    for groups in [
        json!(null),
        json!([]),
        json!(["not-admin"]),
        json!(["admins", "staff", "admin-not", "xadmin"]),
        json!(["ADMIN"]),
        json!("ADMIN"),
        json!("not admin"),
        json!("[\"not admin\"]"),
        json!("[\"admin \"]"),
        // Lists in other formats than the gateway's. docs/sign_in.md has the rule.
        json!("[\"staff\", \"admin\"]"),
        json!("[staff,admin]"),
        json!(["staff,admin"]),
        json!(["\"admin\""]),
        json!(["[admin]"]),
        json!("admin "),
        json!(""),
        json!(true),
        json!({ "admin": true }),
    ] {
        let eve = shop.eve(&json!({ "cognito:groups": groups }));
        for reply in as_admin(shop, &eve).await {
            check(&groups.to_string(), &reply, refused(403, "forbidden"));
        }
        let seen = shop.get("/inventory/TEA-1", &eve).await;
        assert_eq!((seen.status, seen.body.get("reserved")), (200, None), "{groups}");
    }
    // The group in another claim does not count.
    let eve = shop.eve(&json!({ "groups": ["admin"], "custom:role": "admin", "cognito:roles": ["admin"] }));
    for reply in as_admin(shop, &eve).await {
        check("another claim", &reply, refused(403, "forbidden"));
    }
    let placed = shop.place(&watched.ada, "key-1", &[("TEA-1", 1)]).await;
    let others = shop.get(&format!("/orders/{}", placed.order_id()), &eve).await;
    check("another's order", &others, refused(404, "not_found"));
    let listed = shop.get("/inventory?limit=100", &shop.admin).await;
    assert_eq!(listed.body["items"].as_array().map(Vec::len), Some(2), "{listed:?}");

    for groups in
        [json!(["admin"]), json!(["staff", "admin"]), json!("admin"), json!(["[staff", "admin", "]"])]
    {
        let boss =
            shop.eve(&json!({ "cognito:groups": groups, "sub": format!("boss-{groups}").replace(' ', "") }));
        let statuses = as_admin(shop, &boss).await.map(|reply| reply.status);
        assert!(matches!(statuses, [200 | 201, 200 | 201, 422]), "{groups}: {statuses:?}");
    }
}

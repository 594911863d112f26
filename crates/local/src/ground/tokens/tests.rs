//! Tokens: their claims, and which of them the authorizer accepts.

use std::time::Duration;

use dynoxide::Database;
use time::macros::datetime;

use super::*;

const ISSUER: &str = "https://issuer.example.com/pool";

struct TokenWorld {
    tokens: Tokens,
    clock: StackClock,
}

fn open(store: &Store) -> TokenWorld {
    let clock = StackClock::held(datetime!(2026-03-01 12:00 UTC));
    let tokens = Tokens::open(store, clock.clone(), ISSUER.to_owned(), "client-1".to_owned()).unwrap();
    TokenWorld { tokens, clock }
}

fn world() -> TokenWorld {
    open(&Store::open(Database::memory().unwrap()).unwrap())
}

impl TokenWorld {
    fn verify(&self, authorization: &str) -> Result<Map<String, Value>, Unauthorized> {
        let audiences = ["client-0".to_owned(), "client-1".to_owned()];
        self.tokens.verify(Some(authorization), ISSUER, &audiences)
    }

    fn forged(&self, overrides: &Value, signing: Signing) -> Result<Map<String, Value>, Unauthorized> {
        let request = TokenRequest::new("ana@example.com");
        self.verify(&self.tokens.issue_with(&request, overrides.as_object().unwrap(), signing).unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn an_issued_token_carries_the_claims_of_a_cognito_id_token() {
    let world = world();
    let request = TokenRequest {
        name: Some("Ana".to_owned()),
        groups: vec!["admin".to_owned(), "staff".to_owned()],
        user_id: Some("u-1".to_owned()),
        ..TokenRequest::new(" Ana@example.com ")
    };
    let issued = world.tokens.issue(&request).unwrap();
    assert_eq!(issued.user_id, "u-1");
    let claims = world.verify(&format!("Bearer {}", issued.id_token)).unwrap();
    assert_eq!(
        Value::Object(claims),
        json!({
            "sub": "u-1", "iss": ISSUER, "aud": "client-1", "token_use": "id",
            "iat": 1_772_366_400, "auth_time": 1_772_366_400, "exp": 1_772_370_000,
            "email": "Ana@example.com", "email_verified": true, "cognito:username": "u-1", "name": "Ana",
            "cognito:groups": ["admin", "staff"],
        })
    );
}

#[tokio::test(start_paused = true)]
async fn an_address_has_one_user_id_in_any_case_and_in_every_stack() {
    let id = |email: &str| world().tokens.issue(&TokenRequest::new(email)).unwrap().user_id;
    assert_eq!(id("ana@example.com"), id(" ANA@Example.com"));
    assert_ne!(id("ana@example.com"), id("bob@example.com"));
}

#[tokio::test(start_paused = true)]
async fn the_key_survives_reopening_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = || Store::open(Database::new(folder.path().join("d.db").to_str().unwrap()).unwrap()).unwrap();
    let token = open(&store()).tokens.issue(&TokenRequest::new("ana@example.com")).unwrap().id_token;
    open(&store()).verify(&token).unwrap();
    assert!(world().verify(&token).is_err(), "a stack accepted another stack's token");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_valid_for_one_hour_to_the_second() {
    let world = world();
    let token = world.tokens.issue(&TokenRequest::new("ana@example.com")).unwrap().id_token;
    world.clock.advance(Duration::from_secs(3_599));
    world.verify(&token).unwrap();
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.verify(&token), Err(Unauthorized::Invalid("the token has expired")));
}

#[tokio::test(start_paused = true)]
async fn every_forgery_is_refused() {
    let world = world();
    let now = world.clock.unix_seconds();
    world.forged(&json!({}), Signing::Genuine).unwrap();
    for (overrides, signing, reason) in [
        (json!({}), Signing::AnotherKey, "the signature is not the issuer's"),
        (json!({}), Signing::UnknownKeyId, "the key is not the issuer's"),
        (json!({}), Signing::None, "the token cannot be read"),
        (json!({}), Signing::PublicKeyAsSecret, "the algorithm is not the key's"),
        (json!({"iss": format!("{ISSUER}/")}), Signing::Genuine, "the issuer is not the authorizer's"),
        (json!({"iss": null}), Signing::Genuine, "the issuer is not the authorizer's"),
        (json!({"aud": "client-2"}), Signing::Genuine, "the audience is not the authorizer's"),
        (json!({"aud": ["client-2"]}), Signing::Genuine, "the audience is not the authorizer's"),
        (json!({"aud": null}), Signing::Genuine, "the audience is not the authorizer's"),
        // `client_id` counts only in a token without `aud`.
        (
            json!({"aud": "client-2", "client_id": "client-1"}),
            Signing::Genuine,
            "the audience is not the authorizer's",
        ),
        (json!({"exp": now}), Signing::Genuine, "the token has expired"),
        (json!({"exp": null}), Signing::Genuine, "the token has expired"),
        (json!({"exp": "tomorrow"}), Signing::Genuine, "the token has expired"),
        (json!({"nbf": now + 1}), Signing::Genuine, "the token is not valid yet"),
        (json!({"iat": now + 1}), Signing::Genuine, "the token is not valid yet"),
        (json!({"nbf": "now"}), Signing::Genuine, "the token is not valid yet"),
    ] {
        let refused = world.forged(&overrides, signing);
        assert_eq!(refused, Err(Unauthorized::Invalid(reason)), "{overrides} {signing:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_an_authorizer_on_aws_accepts_is_accepted() {
    let world = world();
    let now = world.clock.unix_seconds();
    for overrides in [
        json!({"token_use": "access", "aud": null, "client_id": "client-1"}),
        json!({"aud": ["other", "client-0"]}),
        json!({"nbf": now, "iat": now}),
        json!({"iat": null}),
    ] {
        world.forged(&overrides, Signing::Genuine).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_token_is_refused() {
    let world = world();
    let token = world.tokens.issue(&TokenRequest::new("ana@example.com")).unwrap().id_token;
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!() };
    let mut mine = world.verify(&token).unwrap();
    mine.insert("cognito:groups".to_owned(), json!(["admin"]));
    let mine = URL_SAFE_NO_PAD.encode(Value::Object(mine).to_string());
    for changed in [
        format!("{header}.{mine}.{signature}"),
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        format!("{token}.{signature}"),
        format!("{}.{claims}.{signature}", URL_SAFE_NO_PAD.encode("{\"alg\":\"ES256\"}")),
        format!("Basic {token}"),
        format!("Bearer Bearer {token}"),
        "Bearer".to_owned(),
        "a.b.c".to_owned(),
    ] {
        assert!(matches!(world.verify(&changed), Err(Unauthorized::Invalid(_))), "{changed}");
    }
    world.verify(&token).unwrap();
    for nothing in [None, Some(""), Some("  ")] {
        assert_eq!(world.tokens.verify(nothing, ISSUER, &[]), Err(Unauthorized::Missing));
    }
}

#[test]
fn every_fault_of_a_request_is_named_at_once() {
    let faults = |body: Value| -> Vec<(String, String)> {
        let faults = TokenRequest::from_json(&body).unwrap_err();
        faults.into_iter().map(|fault| (fault.field, fault.reason)).collect()
    };
    let fields = |body: Value| -> Vec<String> { faults(body).into_iter().map(|(field, _)| field).collect() };
    assert_eq!(
        fields(json!({"role": "admin", "user_id": "a b", "email_verified": "yes", "groups": ["a b"],
                      "name": "\n", "email": "ana"})),
        ["email", "name", "groups", "email_verified", "user_id", "role"]
    );
    assert_eq!(faults(json!({"email": 1})), [("email".to_owned(), "must be a string".to_owned())]);
    assert_eq!(fields(json!({})), ["email"]);
    assert_eq!(fields(json!({"email": "ana@example.com", "groups": [1]})), ["groups"]);
    assert_eq!(fields(json!([])), [""]);
    let good = TokenRequest::from_json(&json!({"email": "ana@example.com", "name": null})).unwrap();
    assert!(good.email_verified);
}

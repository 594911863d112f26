//! The errors of malformed and refused requests. Whole sign-ups are tested as journeys, in `tests/`.

use dynoxide::Database;
use sam_template::{PasswordPolicy, UserPoolClient};
use serde_json::{Value, json};
use time::macros::datetime;

use super::*;

const PASSWORD: &str = "Tea-for-2-please";
const HOUR: std::time::Duration = std::time::Duration::from_hours(1);

fn pool() -> UserPool {
    let client = UserPoolClient {
        logical_id: "Web".to_owned(),
        id: "web".to_owned(),
        auth_flows: vec!["ALLOW_USER_PASSWORD_AUTH".to_owned()],
        write_attributes: vec!["email".to_owned(), "name".to_owned()],
        read_attributes: vec!["email".to_owned()],
        id_token: HOUR,
        access_token: 2 * HOUR,
        refresh_token: 3 * HOUR,
    };
    let all =
        PasswordPolicy { minimum_length: 12, lowercase: true, uppercase: true, numbers: true, symbols: true };
    UserPool {
        logical_id: "Pool".to_owned(),
        id: "pool".to_owned(),
        issuer: "https://issuer.example.com/pool".to_owned(),
        password_policy: all,
        mail_subject: "Your code".to_owned(),
        mail_text: "It is {####}.".to_owned(),
        clients: vec![client],
        groups: vec!["admin".to_owned()],
    }
}

fn cognito(pool: UserPool) -> Cognito {
    let store = Store::open(Database::memory().unwrap()).unwrap();
    let clock = StackClock::held(datetime!(2026-03-01 12:00 UTC));
    let tokens = Tokens::open(&store, clock.clone(), pool.issuer.clone(), "web".to_owned()).unwrap();
    let mailbox = Mailbox::open(store.clone()).unwrap();
    Cognito::open(pool, store, clock, Arc::new(tokens), Arc::new(mailbox))
}

#[track_caller]
fn check(cognito: &Cognito, operation: &str, request: &Value, code: &str, message: &str) {
    let error = cognito.call(operation, request).unwrap_err();
    assert_eq!(
        (error.status, error.code.as_str(), error.message.as_str()),
        (400, code, message),
        "{request}"
    );
}

/// The request with a member changed, or removed if `value` is null.
fn with(request: &Value, member: &str, value: Value) -> Value {
    let mut request = request.clone();
    if value.is_null() {
        request.as_object_mut().unwrap().remove(member);
    } else {
        request[member] = value;
    }
    request
}

#[tokio::test(start_paused = true)]
async fn a_missing_or_unknown_member_is_named() {
    let cognito = cognito(pool());
    let sign_up = json!({ "ClientId": "web", "Username": "ada@example.com", "Password": PASSWORD });
    let refused = |member, value, code, message: &str| {
        check(&cognito, "SignUp", &with(&sign_up, member, value), code, message);
    };
    let at = |name: &str, constraint: &str| {
        format!(
            "1 validation error detected: Value at '{name}' failed to satisfy constraint: Member must {constraint}"
        )
    };
    let invalid = "InvalidParameterException";
    refused("ClientId", Value::Null, invalid, &at("clientId", "not be null"));
    refused("Username", Value::Null, invalid, &at("username", "not be null"));
    refused("Password", json!(""), invalid, &at("password", "have length greater than or equal to 1"));
    refused("ClientId", json!("web2"), "ResourceNotFoundException", "User pool client web2 does not exist.");
    let long = format!("{}@example.com", "a".repeat(120));
    for username in ["ada", "@example.com", "ada @example.com", &long] {
        refused("Username", json!(username), invalid, "Username should be an email.");
    }
    let attribute = |name: &str, value: &str| json!([{ "Name": name, "Value": value }]);
    for name in ["email_verified", "sub", "custom:role", "phone_number"] {
        refused(
            "UserAttributes",
            attribute(name, "true"),
            "NotAuthorizedException",
            "A client attempted to write unauthorized attribute",
        );
    }
    let only = "the local stack supports only the attribute email, which must be the user name";
    refused("UserAttributes", attribute("name", "Ada"), invalid, only);
    refused("UserAttributes", attribute("email", "eve@example.com"), invalid, only);
    let unknown = cognito.call("SignUp", &with(&sign_up, "SecretHash", json!("x"))).unwrap_err();
    assert_eq!(unknown.code, "SerializationException");
    assert!(unknown.message.starts_with("unknown field `SecretHash`"), "{unknown}");
    check(
        &cognito,
        "ForgotPassword",
        &json!({}),
        "UnknownOperationException",
        "the local stack does not support Cognito's ForgotPassword; \
         it supports SignUp, ConfirmSignUp, ResendConfirmationCode and InitiateAuth",
    );
    // A member without an effect is accepted. An attribute may repeat the user name, in any case.
    let with_address = with(&sign_up, "UserAttributes", attribute("email", "ADA@example.com"));
    cognito.call("SignUp", &with(&with_address, "ClientMetadata", json!({ "from": "test" }))).unwrap();
}

#[tokio::test(start_paused = true)]
async fn each_rule_that_a_password_breaks_is_named() {
    let cognito = cognito(pool());
    for (password, broken) in [
        ("Tea-for-2-", "Password not long enough"),
        ("tea-for-2-please", "Password must have uppercase characters"),
        ("TEA-FOR-2-PLEASE", "Password must have lowercase characters"),
        ("Tea-for-two-please", "Password must have numeric characters"),
        ("TeaFor2Please", "Password must have symbol characters"),
        ("Tea-for-2-please ", "Password must not have leading or trailing spaces"),
        (&format!("Aa1-{}", "x".repeat(253)), "Password too long"),
    ] {
        let request = json!({ "ClientId": "web", "Username": "ada@example.com", "Password": password });
        let message = format!("Password did not conform with policy: {broken}");
        check(&cognito, "SignUp", &request, "InvalidPasswordException", &message);
    }
}

#[tokio::test(start_paused = true)]
async fn a_flow_that_the_client_does_not_have_is_refused() {
    let cognito = cognito(pool());
    assert_eq!(cognito.ensure_user("ada@example.com", PASSWORD, &[]), Ok(true));
    let auth = json!({
        "ClientId": "web",
        "AuthFlow": "USER_PASSWORD_AUTH",
        "AuthParameters": { "USERNAME": "ada@example.com", "PASSWORD": PASSWORD },
    });
    let answer = cognito.call("InitiateAuth", &auth).unwrap();
    assert_eq!(answer["AuthenticationResult"]["ExpiresIn"], 7_200);
    let invalid = "InvalidParameterException";
    let refused = |member, value, message| {
        check(&cognito, "InitiateAuth", &with(&auth, member, value), invalid, message);
    };
    refused(
        "AuthFlow",
        json!("USER_SRP_AUTH"),
        "the local stack does not support USER_SRP_AUTH; it supports USER_PASSWORD_AUTH and REFRESH_TOKEN_AUTH",
    );
    refused("AuthFlow", json!("REFRESH_TOKEN_AUTH"), "REFRESH_TOKEN_AUTH flow not enabled for this client");
    refused(
        "AuthParameters",
        json!({ "USERNAME": "ada@example.com" }),
        "Missing required parameter PASSWORD",
    );
    refused("AuthParameters", json!({ "PASSWORD": PASSWORD }), "Missing required parameter USERNAME");
}

#[tokio::test(start_paused = true)]
async fn an_id_token_holds_the_attributes_that_the_client_may_read() {
    let cognito = cognito(pool());
    assert_eq!(cognito.ensure_user("ada@example.com", PASSWORD, &["admin"]), Ok(true));
    let auth = json!({
        "ClientId": "web",
        "AuthFlow": "USER_PASSWORD_AUTH",
        "AuthParameters": { "USERNAME": "ada@example.com", "PASSWORD": PASSWORD },
    });
    let answer = cognito.call("InitiateAuth", &auth).unwrap();
    let id = answer["AuthenticationResult"]["IdToken"].as_str().unwrap();
    let claims = cognito.tokens.signed_here(id).unwrap();
    assert_eq!((claims.get("email"), claims.get("email_verified")), (Some(&json!("ada@example.com")), None));
}

#[tokio::test(start_paused = true)]
async fn an_existing_account_is_left_unchanged() {
    let cognito = cognito(pool());
    assert_eq!(cognito.ensure_user("boss@example.com", PASSWORD, &["admin"]), Ok(true));
    assert_eq!(cognito.ensure_user("Boss@example.com", PASSWORD, &["admin"]), Ok(true));
    assert_eq!(cognito.ensure_user("boss@example.com", "Another-pass-1", &["admin"]), Ok(false));
    let code = |outcome: Result<bool, AwsError>| outcome.unwrap_err().code;
    assert_eq!(code(cognito.ensure_user("a@example.com", PASSWORD, &["boss"])), "ResourceNotFoundException");
    assert_eq!(code(cognito.ensure_user("a@example.com", "weak", &["admin"])), "InvalidPasswordException");
    assert_eq!(code(cognito.ensure_user("a", PASSWORD, &["admin"])), "InvalidParameterException");
}

//! Accounts: a customer signs up, confirms the address, signs in and orders, by the same calls as Cognito's on AWS.
//! Every other attempt is refused as Cognito refuses it.

use std::{fs, time::Duration};

use axum::body::Body;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Request;
use local::{ground::MailKind, services::cognito::CODE_SECONDS, stack::Stack};
use sam_template::UserPool;
use serde_json::{Value, json};

use crate::world::{
    Customer, Shop, TEMPLATE, Watched,
    gestures::product,
    requests::answered,
    shop::{held_clock, start, template_with},
};

const PASSWORD: &str = "Tea-for-2-please";

fn pool() -> &'static UserPool {
    TEMPLATE.user_pool.as_ref().expect("the template makes a pool")
}

fn client_id() -> &'static str {
    &pool().clients[0].id
}

/// An answer on the AWS port.
#[derive(Clone, Debug, PartialEq)]
struct CognitoAnswer {
    status: u16,
    body: Value,
    /// Headers and body as sent.
    whole: String,
}

impl CognitoAnswer {
    /// Checks that the answer is this error.
    #[track_caller]
    fn is(&self, code: &str, message: &str) {
        let body = json!({ "__type": code, "message": message });
        assert_eq!((self.status, &self.body), (400, &body));
        assert!(self.whole.contains(&format!("\"x-amzn-errortype\": \"{code}\"")), "{}", self.whole);
    }

    #[track_caller]
    fn tokens(&self) -> &Value {
        assert_eq!(self.status, 200, "{self:?}");
        &self.body["AuthenticationResult"]
    }
}

/// Calls Cognito without a signature, as a browser does.
async fn call(stack: &Stack, operation: &str, request: &Value) -> CognitoAnswer {
    send(stack, operation, request.to_string()).await
}

async fn send(stack: &Stack, operation: &str, body: String) -> CognitoAnswer {
    let request = Request::post("/")
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", format!("AWSCognitoIdentityProviderService.{operation}"))
        .body(Body::from(body))
        .expect("a request");
    let (parts, bytes) = answered(stack.aws_router(), request).await;
    assert_eq!(parts.headers["content-type"], "application/x-amz-json-1.1");
    let body = serde_json::from_slice(&bytes).expect("JSON");
    let whole = format!("{:?} {}", parts.headers, String::from_utf8_lossy(&bytes));
    CognitoAnswer { status: parts.status.as_u16(), body, whole }
}

async fn sign_up(stack: &Stack, email: &str, password: &str) -> CognitoAnswer {
    let request = json!({ "ClientId": client_id(), "Username": email, "Password": password });
    call(stack, "SignUp", &request).await
}

async fn confirm(stack: &Stack, email: &str, code: &str) -> CognitoAnswer {
    let request = json!({ "ClientId": client_id(), "Username": email, "ConfirmationCode": code });
    call(stack, "ConfirmSignUp", &request).await
}

async fn sign_in(stack: &Stack, email: &str, password: &str) -> CognitoAnswer {
    let parameters = json!({ "USERNAME": email, "PASSWORD": password });
    let request = json!({
        "ClientId": client_id(), "AuthFlow": "USER_PASSWORD_AUTH", "AuthParameters": parameters
    });
    call(stack, "InitiateAuth", &request).await
}

async fn refresh(stack: &Stack, token: &str) -> CognitoAnswer {
    let request = json!({
        "ClientId": client_id(),
        "AuthFlow": "REFRESH_TOKEN_AUTH",
        "AuthParameters": { "REFRESH_TOKEN": token },
    });
    call(stack, "InitiateAuth", &request).await
}

/// The last code that was mailed to an address.
fn mailed(stack: &Stack, email: &str) -> String {
    let mails = stack.mailbox().mails(Some(MailKind::VerificationCode), Some(email));
    let mail = mails.last().expect("a mail with a code");
    assert_eq!(mail.subject, "Your code for Orderflow");
    let digits: String = mail.body.chars().skip_while(|c| !c.is_ascii_digit()).take(6).collect();
    assert!(digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_digit()), "{}", mail.body);
    digits
}

/// A code that differs from this one.
fn another(code: &str) -> String {
    let number: u32 = code.parse().expect("six digits");
    format!("{:06}", (number + 1) % 1_000_000)
}

/// Makes a confirmed account.
async fn account(stack: &Stack, email: &str) {
    assert_eq!(sign_up(stack, email, PASSWORD).await.status, 200);
    assert_eq!(confirm(stack, email, &mailed(stack, email)).await.status, 200);
}

fn claims(token: &Value) -> Value {
    let token = token.as_str().expect("a token");
    let claims = token.split('.').nth(1).expect("claims");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).expect("base64")).expect("JSON")
}

fn caller(token: &Value, email: &str) -> Customer {
    let user_id = claims(token)["sub"].as_str().expect("a sub").to_owned();
    Customer { token: token.as_str().expect("a token").to_owned(), user_id, email: email.to_owned() }
}

#[tokio::test(start_paused = true)]
async fn a_customer_signs_up_confirms_the_address_signs_in_and_orders() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let email = "ada@example.com";
    let signed_up = sign_up(&shop.stack, email, PASSWORD).await;
    // The short way, which only the local stack has, gives the same user id.
    let user_id = shop.signed_in("Ada").user_id;
    let delivery = json!({ "Destination": "a***@e***", "DeliveryMedium": "EMAIL", "AttributeName": "email" });
    let expected = json!({ "UserConfirmed": false, "UserSub": user_id, "CodeDeliveryDetails": delivery });
    assert_eq!((signed_up.status, &signed_up.body), (200, &expected));

    let confirmed = confirm(&shop.stack, email, &mailed(&shop.stack, email)).await;
    assert_eq!((confirmed.status, &confirmed.body), (200, &json!({})));
    let answer = sign_in(&shop.stack, email, PASSWORD).await;
    let tokens = answer.tokens();
    assert_eq!((&tokens["TokenType"], &tokens["ExpiresIn"]), (&json!("Bearer"), &json!(3_600)));
    let now = shop.stack.clock().unix_seconds();
    let id = json!({
        "sub": user_id, "iss": pool().issuer, "aud": client_id(), "token_use": "id",
        "auth_time": now, "iat": now, "exp": now + 3_600,
        "email": email, "email_verified": true, "cognito:username": user_id,
    });
    assert_eq!(claims(&tokens["IdToken"]), id);
    let access = json!({
        "sub": user_id, "iss": pool().issuer, "client_id": client_id(), "token_use": "access",
        "auth_time": now, "iat": now, "exp": now + 3_600,
        "username": user_id, "scope": "aws.cognito.signin.user.admin",
    });
    assert_eq!(claims(&tokens["AccessToken"]), access);

    let ada = caller(&tokens["IdToken"], email);
    assert_eq!(shop.register(&ada, "Ada").await.status, 201);
    assert_eq!(shop.place(&ada, "key-1", &[("TEA-1", 1)]).await.status, 201);
    let seen = shop.get("/inventory/TEA-1", &ada).await;
    assert_eq!(seen.body.get("reserved"), None, "a customer does not see reserved units");

    // The other two tokens are for Cognito. A function refuses the access token, and the gateway the refresh token.
    let by_access =
        shop.get("/users/me", &Customer { token: text(&tokens["AccessToken"]), ..ada.clone() }).await;
    assert_eq!(by_access.problem(), (401, "id_token_required"));
    let by_refresh = shop.get("/users/me", &Customer { token: text(&tokens["RefreshToken"]), ..ada }).await;
    assert_eq!((by_refresh.status, &by_refresh.body), (401, &json!({ "message": "Unauthorized" })));
}

fn text(token: &Value) -> String {
    token.as_str().expect("a token").to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_gives_further_tokens_for_thirty_days() {
    let shop = Shop::open().await;
    let (stack, clock) = (&shop.stack, shop.stack.clock());
    account(stack, "ada@example.com").await;
    let first = sign_in(stack, "ada@example.com", PASSWORD).await.tokens().clone();
    let signed_in_at = clock.unix_seconds();
    clock.advance(Duration::from_secs(30 * 24 * 60 * 60 - 1));
    let answer = refresh(stack, &text(&first["RefreshToken"])).await;
    let tokens = answer.tokens();
    assert_eq!(tokens.get("RefreshToken"), None);
    let id = claims(&tokens["IdToken"]);
    assert_eq!(
        (&id["auth_time"], &id["iat"]),
        (&json!(signed_in_at), &json!(clock.unix_seconds())),
        "a refresh is not a new sign-in"
    );
    assert_eq!(shop.get("/inventory", &caller(&tokens["IdToken"], "ada@example.com")).await.status, 200);

    for other in ["", "x.y.z", &text(&tokens["IdToken"]), &text(&tokens["AccessToken"])] {
        let refused = refresh(stack, other).await;
        if other.is_empty() {
            refused.is("InvalidParameterException", "Missing required parameter REFRESH_TOKEN");
        } else {
            refused.is("NotAuthorizedException", "Invalid Refresh Token");
        }
    }
    clock.advance(Duration::from_secs(1));
    let late = refresh(stack, &text(&first["RefreshToken"])).await;
    late.is("NotAuthorizedException", "Refresh Token has expired");
    let another_stack = Shop::open().await;
    let stranger = refresh(&another_stack.stack, &text(&first["RefreshToken"])).await;
    stranger.is("NotAuthorizedException", "Invalid Refresh Token");
}

#[tokio::test(start_paused = true)]
async fn only_the_latest_code_confirms_and_only_once_and_within_a_day() {
    let shop = Shop::open().await;
    let stack = &shop.stack;
    let email = "ada@example.com";
    assert_eq!(sign_up(stack, email, PASSWORD).await.status, 200);
    let first = mailed(stack, email);
    let mismatch = ("CodeMismatchException", "Invalid verification code provided, please try again.");
    let expired = ("ExpiredCodeException", "Invalid code provided, please request a code again.");
    for wrong in [another(&first).as_str(), "12345", "code"] {
        confirm(stack, email, wrong).await.is(mismatch.0, mismatch.1);
    }
    // The answer does not tell that there is no account.
    confirm(stack, "eve@example.com", &first).await.is(expired.0, expired.1);

    stack.clock().advance(Duration::from_secs(CODE_SECONDS.unsigned_abs()));
    confirm(stack, email, &first).await.is(expired.0, expired.1);
    let asked = json!({ "ClientId": client_id(), "Username": email });
    let resent = call(stack, "ResendConfirmationCode", &asked).await;
    assert_eq!(resent.body["CodeDeliveryDetails"]["Destination"], "a***@e***", "{resent:?}");
    let second = mailed(stack, email);
    if first != second {
        confirm(stack, email, &first).await.is(mismatch.0, mismatch.1);
    }
    stack.clock().advance(Duration::from_secs(CODE_SECONDS.unsigned_abs() - 1));
    assert_eq!(confirm(stack, email, &second).await.status, 200);
    confirm(stack, email, &second)
        .await
        .is("NotAuthorizedException", "User cannot be confirmed. Current status is CONFIRMED");
    call(stack, "ResendConfirmationCode", &asked)
        .await
        .is("InvalidParameterException", "User is already confirmed.");

    // An address without an account gets the same answer, and no mail.
    let mails = stack.mailbox().mails(None, None).len();
    let asked = json!({ "ClientId": client_id(), "Username": "eve@example.com" });
    assert_eq!(call(stack, "ResendConfirmationCode", &asked).await.status, 200);
    assert_eq!(stack.mailbox().mails(None, None).len(), mails);
}

#[tokio::test(start_paused = true)]
async fn a_sign_in_needs_a_confirmed_address_and_the_password() {
    let shop = Shop::open().await;
    let stack = &shop.stack;
    assert_eq!(sign_up(stack, "ada@example.com", PASSWORD).await.status, 200);
    sign_in(stack, "ada@example.com", PASSWORD)
        .await
        .is("UserNotConfirmedException", "User is not confirmed.");
    // With a wrong password the answer does not tell that either.
    let wrong = sign_in(stack, "ada@example.com", "Tea-for-3-please").await;
    wrong.is("NotAuthorizedException", "Incorrect username or password.");
    let code = mailed(stack, "ada@example.com");
    assert_eq!(confirm(stack, "ada@example.com", &code).await.status, 200);
    for (email, password) in [
        ("ada@example.com", "tea-for-2-please"),
        ("ada@example.com", "x"),
        ("eve@example.com", PASSWORD),
        ("nobody", PASSWORD),
    ] {
        assert_eq!(sign_in(stack, email, password).await, wrong, "{email}: each byte the same");
    }
    assert_eq!(sign_in(stack, "ada@example.com", PASSWORD).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn an_address_has_one_account_in_upper_and_lower_case() {
    let shop = Shop::open().await;
    let stack = &shop.stack;
    assert_eq!(sign_up(stack, "Ada@Example.com", PASSWORD).await.status, 200);
    for again in ["Ada@Example.com", "ada@example.com", "ADA@EXAMPLE.COM"] {
        sign_up(stack, again, "Another-pass-1")
            .await
            .is("UsernameExistsException", "An account with the given email already exists.");
    }
    assert_eq!(stack.mailbox().mails(Some(MailKind::VerificationCode), None).len(), 1);
    let code = mailed(stack, "ada@example.com");
    assert_eq!(confirm(stack, "aDa@example.com", &code).await.status, 200);
    let answer = sign_in(stack, "ada@EXAMPLE.com", PASSWORD).await;
    let id = claims(&answer.tokens()["IdToken"]);
    let short_way = shop.signed_in("Ada").user_id;
    assert_eq!((&id["email"], &id["sub"]), (&json!("Ada@Example.com"), &json!(short_way)));
}

#[tokio::test(start_paused = true)]
async fn an_admin_of_the_pool_is_admin_of_the_shop() {
    let shop = Shop::open().await;
    assert_eq!(pool().groups, ["admin"]);
    let cognito = shop.stack.cognito().expect("a pool");
    assert_eq!(cognito.ensure_user("boss@example.com", PASSWORD, &["admin"]), Ok(true));
    let answer = sign_in(&shop.stack, "boss@example.com", PASSWORD).await;
    let token = &answer.tokens()["IdToken"];
    assert_eq!(claims(token)["cognito:groups"], json!(["admin"]));
    let boss = caller(token, "boss@example.com");
    let listed = shop.describe(&boss, "CHAI", &product("Chai", 450, "EUR")).await;
    assert_eq!(listed.status, 201, "{listed:?}");
    // A customer who signs up is not an admin.
    account(&shop.stack, "eve@example.com").await;
    let answer = sign_in(&shop.stack, "eve@example.com", PASSWORD).await;
    let eve = caller(&answer.tokens()["IdToken"], "eve@example.com");
    let refused = shop.describe(&eve, "CHAI", &product("Chai", 450, "EUR")).await;
    assert_eq!(refused.problem(), (403, "forbidden"));
}

#[tokio::test(start_paused = true)]
async fn accounts_survive_a_restart_and_passwords_are_not_in_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let start = async || start(&TEMPLATE, Some(folder.path()), held_clock()).await;
    let stack = start().await;
    account(&stack, "ada@example.com").await;
    let refresh_token = text(&sign_in(&stack, "ada@example.com", PASSWORD).await.tokens()["RefreshToken"]);
    assert_eq!(sign_up(&stack, "bob@example.com", PASSWORD).await.status, 200);
    drop(stack);

    let stack = start().await;
    assert_eq!(sign_in(&stack, "ada@example.com", PASSWORD).await.status, 200);
    assert_eq!(refresh(&stack, &refresh_token).await.status, 200);
    assert_eq!(sign_up(&stack, "ada@example.com", PASSWORD).await.status, 400);
    let code = mailed(&stack, "bob@example.com");
    assert_eq!(confirm(&stack, "bob@example.com", &code).await.status, 200);
    assert_eq!(sign_in(&stack, "bob@example.com", PASSWORD).await.status, 200);
    drop(stack);

    let mut kept = Vec::new();
    for entry in fs::read_dir(folder.path()).expect("the folder") {
        kept.extend(fs::read(entry.expect("a file").path()).expect("its bytes"));
    }
    let holds = |text: &str| kept.windows(text.len()).any(|bytes| bytes == text.as_bytes());
    assert!(holds("bob@example.com"), "the accounts are in the file");
    assert!(!holds(PASSWORD), "a password is in the file");
}

#[tokio::test(start_paused = true)]
async fn no_password_code_or_token_is_logged() {
    let watched = Watched::open().await;
    let stack = &watched.shop.stack;
    let typo = "Tea-for-2-pleas";
    let signing_in = async {
        assert_eq!(sign_up(stack, "eve@example.com", "Weak-but-secret").await.status, 400);
        account(stack, "eve@example.com").await;
        let code = mailed(stack, "eve@example.com");
        assert_eq!(sign_in(stack, "eve@example.com", typo).await.status, 400);
        let answer = sign_in(stack, "eve@example.com", PASSWORD).await;
        let eve = caller(&answer.tokens()["IdToken"], "eve@example.com");
        assert_eq!(watched.shop.get("/inventory", &eve).await.status, 200);
        (code, eve.token)
    };
    let ((code, token), calls) = watched.shop.recording(signing_in).await;
    assert!(calls.iter().any(|recorded| recorded.call.operation == "InitiateAuth"));
    for recorded in &calls {
        for secret in [PASSWORD, typo, "Weak-but-secret"] {
            assert!(!recorded.text.contains(secret), "{}", recorded.text);
        }
    }
    let code = format!("\"{code}\"");
    watched.logged(&["answered"], &[PASSWORD, typo, "Weak-but-secret", &code, &token, "eve@example.com"]);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_call_of_cognito_is_refused_by_name() {
    let shop = Shop::open().await;
    let other = call(&shop.stack, "AdminCreateUser", &json!({})).await;
    other.is(
        "UnknownOperationException",
        "the local stack does not support Cognito's AdminCreateUser; \
         it supports SignUp, ConfirmSignUp, ResendConfirmationCode and InitiateAuth",
    );
    let stranger = json!({ "ClientId": "another", "Username": "ada@example.com", "Password": PASSWORD });
    call(&shop.stack, "SignUp", &stranger)
        .await
        .is("ResourceNotFoundException", "User pool client another does not exist.");
    let unfinished = send(&shop.stack, "SignUp", "{\"Password\": \"Tea-for-2-please\"".to_owned()).await;
    unfinished.is("SerializationException", "not JSON at line 1, column 31");
}

const SIGN_IN: &str = include_str!("../../../docs/sign_in.md");

/// The lines of the docs that sign somebody up, as far as a shell would not be needed.
#[tokio::test(start_paused = true)]
async fn the_docs_sign_somebody_up_and_in() {
    let shop = Shop::open().await;
    let (_, section) = SIGN_IN.split_once("\n## A customer\n").expect("a section");
    let (_, lines) = section.split_once("\n```sh\n").expect("lines");
    let lines = lines.split_once("\n```\n").expect("an end").0;
    let mut tokens = Value::Null;
    let mut done = Vec::new();
    for line in lines.lines() {
        let Some(said) = line.strip_prefix("cognito ") else {
            // The lines that define how a call is sent and how the code is read.
            let parts = ["http://127.0.0.1:4566/", "AWSCognitoIdentityProviderService.$1", "-d \"$2\""];
            let sends = parts.iter().all(|part| line.contains(part));
            let mailbox =
                "/local/mailbox?kind=verification_code&to=grace@example.com' | sed 's/.*Your code is ";
            assert!(sends || line.contains(mailbox), "{line}");
            continue;
        };
        let (operation, request) = said.split_once(" '").expect("an operation and a request");
        let request = request.strip_suffix('\'').expect("a quote");
        let request = if request.contains("'$CODE'") {
            request.replace("'$CODE'", &mailed(&shop.stack, "grace@example.com"))
        } else {
            request.to_owned()
        };
        let request = serde_json::from_str(&request).expect("JSON");
        let answer = call(&shop.stack, operation, &request).await;
        assert_eq!(answer.status, 200, "{line}: {answer:?}");
        done.push(operation.to_owned());
        tokens = answer.body["AuthenticationResult"].clone();
    }
    assert_eq!(done, ["SignUp", "ConfirmSignUp", "InitiateAuth"]);
    let grace = caller(&tokens["IdToken"], "grace@example.com");
    assert_eq!(shop.register(&grace, "Grace").await.status, 201);
}

#[tokio::test(start_paused = true)]
async fn a_template_with_another_issuer_makes_no_pool() {
    let issuer = "https://issuer.example.com/shop";
    let template = template_with(&[("JwtIssuer", issuer), ("JwtAudience", "web-shop")]).expect("a template");
    assert_eq!(template.user_pool, None);
    assert!(!template.outputs.contains_key("UserPoolId"), "{:?}", template.outputs);
    let shop = Shop::of(&template, 1).await;
    sign_up(&shop.stack, "ada@example.com", PASSWORD).await.is(
        "ResourceNotFoundException",
        "There is no user pool, because the template's parameters name another issuer: sign in there",
    );
    assert!(shop.stack.cognito().is_none());
    let ada = shop.signed_in("Ada");
    let ours = claims(&json!(ada.token));
    assert_eq!((&ours["iss"], &ours["aud"]), (&json!(issuer), &json!("web-shop")));
    assert_eq!(shop.get("/inventory", &ada).await.status, 200);
    let of_the_pool = Shop::open().await.signed_in("Ada");
    assert_eq!(shop.get("/inventory", &of_the_pool).await.status, 401);
}

#[test]
fn an_issuer_without_an_audience_or_the_reverse_is_refused() {
    for (given, missing) in [
        (("JwtIssuer", "https://issuer.example.com"), "JwtIssuer is given and JwtAudience is not"),
        (("JwtAudience", "web-shop"), "JwtAudience is given and JwtIssuer is not"),
    ] {
        let refused = template_with(&[given]).expect_err("half of an issuer");
        assert!(refused.contains(missing), "{refused}");
    }
    let outputs = template_with(&[]).expect("a template").outputs;
    assert_eq!((&outputs["UserPoolId"], outputs["UserPoolClientId"].as_str()), (&pool().id, client_id()));
    assert_eq!(pool().issuer, format!("https://cognito-idp.us-east-1.amazonaws.com/{}", pool().id));
}

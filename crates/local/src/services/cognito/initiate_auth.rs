//! `InitiateAuth`: issues tokens for a password or a refresh token. Nothing here changes an account.

use std::{collections::BTreeMap, time::Duration};

use sam_template::UserPoolClient;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Cognito, api_error, invalid_parameter, passwords::PasswordHash, required, users::PoolUser};
use crate::ground::AwsError;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct InitiateAuth {
    client_id: Option<String>,
    auth_flow: Option<String>,
    #[serde(default)]
    auth_parameters: BTreeMap<String, String>,
}

pub(super) fn run(cognito: &Cognito, request: InitiateAuth) -> Result<Value, AwsError> {
    let client = cognito.client(request.client_id)?;
    let flow = required(request.auth_flow, "authFlow")?;
    let by_password = match flow.as_str() {
        "USER_PASSWORD_AUTH" => true,
        "REFRESH_TOKEN_AUTH" | "REFRESH_TOKEN" => false,
        other => {
            let supported = "USER_PASSWORD_AUTH and REFRESH_TOKEN_AUTH";
            return Err(invalid_parameter(&format!(
                "the local stack does not support {other}; it supports {supported}"
            )));
        }
    };
    let allowed = if by_password { "ALLOW_USER_PASSWORD_AUTH" } else { "ALLOW_REFRESH_TOKEN_AUTH" };
    if !client.auth_flows.iter().any(|flow| flow == allowed) {
        return Err(invalid_parameter(&format!("{flow} flow not enabled for this client")));
    }
    let sign_in = SignIn { cognito, client };
    if by_password {
        sign_in.by_password(&request.auth_parameters)
    } else {
        sign_in.by_refresh_token(&request.auth_parameters)
    }
}

struct SignIn<'a> {
    cognito: &'a Cognito,
    client: &'a UserPoolClient,
}

impl SignIn<'_> {
    fn by_password(&self, parameters: &BTreeMap<String, String>) -> Result<Value, AwsError> {
        let (username, password) = (parameter(parameters, "USERNAME")?, parameter(parameters, "PASSWORD")?);
        // An unknown address and a wrong password get the same answer in the same time, so that neither reveals who
        // has an account.
        let wrong = || api_error("NotAuthorizedException", "Incorrect username or password.");
        let found = self.cognito.users().get(username)?;
        let Some(user) = found else {
            PasswordHash::hash_and_discard(password);
            return Err(wrong());
        };
        if !user.password.matches(password) {
            return Err(wrong());
        }
        if !user.confirmed {
            return Err(api_error("UserNotConfirmedException", "User is not confirmed."));
        }
        let now = self.cognito.clock.unix_seconds();
        let mut result = self.tokens(&user, now)?;
        result["RefreshToken"] = json!(self.refresh_token(&user, now)?);
        Ok(json!({ "ChallengeParameters": {}, "AuthenticationResult": result }))
    }

    fn by_refresh_token(&self, parameters: &BTreeMap<String, String>) -> Result<Value, AwsError> {
        let invalid = || api_error("NotAuthorizedException", "Invalid Refresh Token");
        let claims = self
            .cognito
            .tokens
            .signed_here(parameter(parameters, "REFRESH_TOKEN")?)
            .map_err(|_any| invalid())?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        let time = |name: &str| claims.get(name).and_then(Value::as_i64).unwrap_or_default();
        let ours = text("token_use") == "refresh"
            && text("iss") == self.cognito.pool.issuer
            && text("for_client") == self.client.id;
        if !ours {
            return Err(invalid());
        }
        if time("exp") <= self.cognito.clock.unix_seconds() {
            return Err(api_error("NotAuthorizedException", "Refresh Token has expired"));
        }
        let found = self.cognito.users().get(text("email"))?;
        let user = found.filter(|user| user.sub == text("sub")).ok_or_else(invalid)?;
        let result = self.tokens(&user, time("auth_time"))?;
        Ok(json!({ "ChallengeParameters": {}, "AuthenticationResult": result }))
    }

    /// An ID token and an access token for a user who signed in at this time.
    fn tokens(&self, user: &PoolUser, signed_in_at: i64) -> Result<Value, AwsError> {
        let now = self.cognito.clock.unix_seconds();
        let client = self.client;
        let claims = |token_use: &str, lifetime: Duration| {
            let mut claims = Map::new();
            for (name, value) in [
                ("sub", json!(user.sub)),
                ("iss", json!(self.cognito.pool.issuer)),
                ("token_use", json!(token_use)),
                ("auth_time", json!(signed_in_at)),
                ("iat", json!(now)),
                ("exp", json!(now + seconds(lifetime))),
            ] {
                claims.insert(name.to_owned(), value);
            }
            if !user.groups.is_empty() {
                claims.insert("cognito:groups".to_owned(), json!(user.groups));
            }
            claims
        };
        let mut id = claims("id", client.id_token);
        id.insert("aud".to_owned(), json!(client.id));
        // A pool with e-mail sign-in sets the user name to the id, and makes the address an alias.
        id.insert("cognito:username".to_owned(), json!(user.sub));
        for (attribute, value) in [("email", json!(user.email)), ("email_verified", json!(user.confirmed))] {
            if client.read_attributes.iter().any(|readable| readable == attribute) {
                id.insert(attribute.to_owned(), value);
            }
        }
        let mut access = claims("access", client.access_token);
        access.insert("client_id".to_owned(), json!(client.id));
        access.insert("username".to_owned(), json!(user.sub));
        access.insert("scope".to_owned(), json!("aws.cognito.signin.user.admin"));
        Ok(json!({
            "IdToken": self.cognito.tokens.sign(&id)?,
            "AccessToken": self.cognito.tokens.sign(&access)?,
            "ExpiresIn": seconds(client.access_token),
            "TokenType": "Bearer",
        }))
    }

    /// A refresh token, opaque to clients as on AWS. An authorizer refuses it as a bearer token, because it has neither
    /// `aud` nor `client_id`.
    fn refresh_token(&self, user: &PoolUser, now: i64) -> Result<String, AwsError> {
        let claims = json!({
            "sub": user.sub,
            "email": user.email,
            "iss": self.cognito.pool.issuer,
            "token_use": "refresh",
            "for_client": self.client.id,
            "auth_time": now,
            "exp": now + seconds(self.client.refresh_token),
        });
        Ok(self.cognito.tokens.sign(claims.as_object().unwrap_or(&Map::new()))?)
    }
}

fn parameter<'p>(parameters: &'p BTreeMap<String, String>, name: &str) -> Result<&'p str, AwsError> {
    let given = parameters.get(name).filter(|value| !value.is_empty());
    given.map(String::as_str).ok_or_else(|| invalid_parameter(&format!("Missing required parameter {name}")))
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

//! Tokens: issues ID tokens like Cognito's, and verifies bearer tokens by the rules of an HTTP API's JWT authorizer.
//! Nothing here asks for a password. Nothing here decides what a caller may do: the functions do.

use std::collections::BTreeSet;

use aws_lc_rs::{
    digest,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{StackClock, Store, StoreError, is_address};

/// How long a token from `/local/token` is valid, in seconds: Cognito's default.
pub const LIFETIME_SECONDS: i64 = 3_600;

const KEY_KIND: &str = "token_key";
const KEY_ID: &str = "es256";
const FIELDS: [&str; 5] = ["email", "name", "groups", "email_verified", "user_id"];

/// The issuer and verifier of the local stack's tokens.
pub struct Tokens {
    clock: StackClock,
    issuer: String,
    audience: String,
    key: Key,
}

/// A signing key for ES256.
///
/// The authorizer of a real HTTP API accepts RSA keys only. An RSA key takes nearly a second to generate, and every test
/// starts a stack of its own. An ES256 key takes under a millisecond. Code outside this file sees no difference.
struct Key {
    id: String,
    signing: EncodingKey,
    verifying: DecodingKey,
}

/// The person whom a token identifies.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// The e-mail address. Blanks around it are removed.
    pub email: String,
    /// The `name` claim; absent from the token if `None`.
    pub name: Option<String>,
    /// The groups. An administrator is in `admin`.
    pub groups: Vec<String>,
    /// The `email_verified` claim; true unless the request says otherwise.
    pub email_verified: bool,
    /// The user's id, if it should not be derived from the address.
    pub user_id: Option<String>,
}

/// An issued token.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct IssuedToken {
    /// The signed token, for the `Authorization` header.
    pub id_token: String,
    /// The token's `sub`.
    pub user_id: String,
}

/// One fault of a request to a `/local` route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldFault {
    /// The body's field or the query's parameter; empty for the whole body.
    pub field: String,
    /// The rule that it breaks, such as `must be a string`.
    pub reason: String,
}

/// Why a token was not issued, or why the key could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The request has these faults.
    #[error("the token request is not valid: {}", list(.0))]
    Invalid(Vec<FieldFault>),
    /// The store cannot read or write the key.
    #[error("the token key cannot be loaded")]
    Store(#[source] StoreError),
    /// The stored text is not a key, or signing failed.
    #[error("the token key cannot be used ({0}): choose another folder with --data-dir")]
    Key(String),
}

/// Why an authorizer refuses a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unauthorized {
    /// The request has no token.
    #[error("no token")]
    Missing,
    /// The token is not valid, for this reason. The reason quotes no part of the token.
    #[error("{0}")]
    Invalid(&'static str),
}

/// How [`Tokens::issue_with`] signs, for tests of the authorizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signing {
    /// With the genuine key, as [`Tokens::issue`] does.
    Genuine,
    /// With another key, under the genuine key's id.
    AnotherKey,
    /// With the genuine key, under an unknown key id.
    UnknownKeyId,
    /// Without a signature: `alg` is `none`.
    None,
    /// With HMAC, and the public key as the secret: the attack known as algorithm confusion.
    PublicKeyAsSecret,
}

impl Tokens {
    /// Loads the key from `store`, or generates and stores one. Issued tokens have this `issuer` and `audience`.
    pub fn open(
        store: &Store,
        clock: StackClock,
        issuer: String,
        audience: String,
    ) -> Result<Self, TokenError> {
        let stored = store.get::<String>(KEY_KIND, KEY_ID).map_err(TokenError::Store)?;
        let pkcs8 = if let Some(text) = stored {
            STANDARD.decode(text).map_err(key_fault)?
        } else {
            let made = generate()?;
            store.put(KEY_KIND, KEY_ID, &STANDARD.encode(&made)).map_err(TokenError::Store)?;
            made
        };
        Ok(Self { clock, issuer, audience, key: Key::from_pkcs8(&pkcs8)? })
    }

    /// Issues an ID token with the claims of a Cognito ID token. It is valid for [`LIFETIME_SECONDS`].
    ///
    /// # Errors
    /// [`TokenError::Invalid`] names every field that is wrong.
    pub fn issue(&self, request: &TokenRequest) -> Result<IssuedToken, TokenError> {
        let claims = self.claims(request)?;
        let id_token = self.sign(&claims)?;
        Ok(IssuedToken { id_token, user_id: request.subject() })
    }

    /// Signs claims without checking them.
    pub(crate) fn sign(&self, claims: &Map<String, Value>) -> Result<String, TokenError> {
        self.key.sign(&Header::new(Algorithm::ES256), claims)
    }

    /// The claims of a token that this key signed. The caller checks the claims.
    pub(crate) fn signed_here(&self, token: &str) -> Result<Map<String, Value>, Unauthorized> {
        self.key.verify(token)
    }

    /// Issues a forged token, for tests of the authorizer. It has the claims of a valid token with `overrides` applied,
    /// where null removes a claim, and is signed as `signing` says.
    pub fn issue_with(
        &self,
        request: &TokenRequest,
        overrides: &Map<String, Value>,
        signing: Signing,
    ) -> Result<String, TokenError> {
        let mut claims = self.claims(request)?;
        for (name, value) in overrides {
            if value.is_null() {
                claims.remove(name);
            } else {
                claims.insert(name.clone(), value.clone());
            }
        }
        let good = Header::new(Algorithm::ES256);
        match signing {
            Signing::Genuine => self.key.sign(&good, &claims),
            Signing::AnotherKey => {
                let other = Key::from_pkcs8(&generate()?)?;
                Key { id: self.key.id.clone(), ..other }.sign(&good, &claims)
            }
            Signing::UnknownKeyId => {
                let header = Header { kid: Some("unknown".to_owned()), ..good };
                encode(&header, &claims, &self.key.signing)
            }
            Signing::None => {
                let header = json!({"alg": "none", "typ": "JWT", "kid": self.key.id});
                let part = |value: String| URL_SAFE_NO_PAD.encode(value);
                Ok(format!("{}.{}.", part(header.to_string()), part(Value::Object(claims).to_string())))
            }
            Signing::PublicKeyAsSecret => {
                let header = Header { kid: Some(self.key.id.clone()), ..Header::new(Algorithm::HS256) };
                let public = self.key.verifying.try_get_as_bytes().map_err(key_fault)?;
                encode(&header, &claims, &EncodingKey::from_secret(public))
            }
        }
    }

    /// Verifies the value of an `Authorization` header for a route with this issuer and these audiences. `Bearer ` before
    /// the token is optional. Returns the token's claims.
    ///
    /// The rules are those of "Control access to HTTP APIs with JWT authorizers". The key id, the signature, `iss` and
    /// `aud` must match; `client_id` counts for a token without `aud`, so that an access token passes. `exp` must be
    /// later than now. `nbf` and `iat`, if present, must not be. There is no leeway.
    pub fn verify(
        &self,
        authorization: Option<&str>,
        issuer: &str,
        audiences: &[String],
    ) -> Result<Map<String, Value>, Unauthorized> {
        let header = authorization.map(str::trim).filter(|value| !value.is_empty());
        let token = header.ok_or(Unauthorized::Missing)?;
        let token = token.strip_prefix("Bearer ").map_or(token, str::trim);
        let claims = self.key.verify(token)?;

        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("iss") != Some(issuer) {
            return Err(Unauthorized::Invalid("the issuer is not the authorizer's"));
        }
        let named = match claims.get("aud") {
            None => text("client_id").into_iter().collect(),
            Some(Value::Array(audiences)) => audiences.iter().filter_map(Value::as_str).collect(),
            Some(one) => one.as_str().into_iter().collect::<Vec<_>>(),
        };
        if !audiences.iter().any(|audience| named.contains(&audience.as_str())) {
            return Err(Unauthorized::Invalid("the audience is not the authorizer's"));
        }
        let now = self.clock.unix_seconds();
        // A time that is not a whole number is wrong. It does not count as absent.
        let time = |name: &str| claims.get(name).map(Value::as_i64);
        if !matches!(time("exp"), Some(Some(expires)) if expires > now) {
            return Err(Unauthorized::Invalid("the token has expired"));
        }
        for name in ["nbf", "iat"] {
            let has_begun = time(name).is_none_or(|at| at.is_some_and(|at| at <= now));
            if !has_begun {
                return Err(Unauthorized::Invalid("the token is not valid yet"));
            }
        }
        Ok(claims)
    }

    fn claims(&self, request: &TokenRequest) -> Result<Map<String, Value>, TokenError> {
        let faults = request.faults();
        if !faults.is_empty() {
            return Err(TokenError::Invalid(faults));
        }
        let now = self.clock.unix_seconds();
        let user_id = request.subject();
        let mut claims = Map::new();
        let mut claim = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        claim("sub", json!(user_id));
        claim("iss", json!(self.issuer));
        claim("aud", json!(self.audience));
        claim("token_use", json!("id"));
        claim("iat", json!(now));
        claim("auth_time", json!(now));
        claim("exp", json!(now + LIFETIME_SECONDS));
        claim("email", json!(request.email.trim()));
        claim("email_verified", json!(request.email_verified));
        claim("cognito:username", json!(user_id));
        if let Some(name) = &request.name {
            claim("name", json!(name));
        }
        if !request.groups.is_empty() {
            claim("cognito:groups", json!(request.groups));
        }
        Ok(claims)
    }
}

impl TokenRequest {
    /// A request for this address, verified, without a name or groups.
    pub fn new(email: impl Into<String>) -> Self {
        Self { email: email.into(), name: None, groups: Vec::new(), email_verified: true, user_id: None }
    }

    /// Parses a request, and collects every fault.
    pub fn from_json(body: &Value) -> Result<Self, Vec<FieldFault>> {
        let Value::Object(fields) = body else {
            return Err(vec![FieldFault::new("", "the body must be a JSON object")]);
        };
        let mut faults = Vec::new();
        let mut request = Self::new("");
        for (name, value) in fields {
            let wrong = match (name.as_str(), value) {
                ("email", Value::String(email)) => {
                    request.email.clone_from(email);
                    continue;
                }
                ("email_verified", Value::Bool(verified)) => {
                    request.email_verified = *verified;
                    continue;
                }
                ("name", Value::String(name)) => {
                    request.name = Some(name.clone());
                    continue;
                }
                ("user_id", Value::String(id)) => {
                    request.user_id = Some(id.clone());
                    continue;
                }
                ("groups", Value::Array(groups)) if groups.iter().all(Value::is_string) => {
                    request.groups = groups.iter().filter_map(Value::as_str).map(str::to_owned).collect();
                    continue;
                }
                ("name" | "user_id" | "groups" | "email_verified", Value::Null) => continue,
                ("email" | "name" | "user_id", _) => "must be a string",
                ("email_verified", _) => "must be true or false",
                ("groups", _) => "must be an array of strings",
                _ => "is not a field of this request",
            };
            faults.push(FieldFault::new(name, wrong));
        }
        let misread: BTreeSet<&str> = faults.iter().map(|fault| fault.field.as_str()).collect();
        let further: Vec<FieldFault> =
            request.faults().into_iter().filter(|fault| !misread.contains(fault.field.as_str())).collect();
        faults.extend(further);
        // In the order of `FIELDS`, with unknown fields last.
        faults.sort_by_key(|fault| {
            FIELDS.iter().position(|field| *field == fault.field).unwrap_or(FIELDS.len())
        });
        if faults.is_empty() { Ok(request) } else { Err(faults) }
    }

    fn faults(&self) -> Vec<FieldFault> {
        let mut faults = Vec::new();
        let mut unless = |good: bool, field: &str, reason: &str| {
            if !good {
                faults.push(FieldFault::new(field, reason));
            }
        };
        unless(is_address(self.email.trim()), "email", "must be an e-mail address");
        let plain = |text: &str| !text.trim().is_empty() && !text.chars().any(char::is_control);
        let name = self.name.as_deref();
        unless(
            name.is_none_or(|name| plain(name) && name.chars().count() <= 2_048),
            "name",
            "must be 1 to 2048 characters, no control characters",
        );
        // An HTTP API passes the groups a and b on as `[a b]`, so a blank in a group would look like two groups.
        let group = |group: &String| plain(group) && group.len() <= 128 && !group.contains([' ', '[', ']']);
        unless(
            self.groups.len() <= 100 && self.groups.iter().all(group),
            "groups",
            "must be at most 100 groups of 1 to 128 bytes, without blanks, brackets and control characters",
        );
        let id = |id: &str| (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic());
        unless(
            self.user_id.as_deref().is_none_or(id),
            "user_id",
            "must be 1 to 128 visible ASCII characters",
        );
        faults
    }

    /// The user's id: the given one, or one derived from the address. So a person has the same id in every stack.
    fn subject(&self) -> String {
        self.user_id.clone().unwrap_or_else(|| user_id_of(&self.email))
    }
}

/// The user's id that is derived from an address, in any case.
pub(crate) fn user_id_of(email: &str) -> String {
    let name = format!("orderflow-local/user/{}", email.trim().to_lowercase());
    Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes()).to_string()
}

impl FieldFault {
    pub(crate) fn new(field: &str, reason: &str) -> Self {
        Self { field: field.to_owned(), reason: reason.to_owned() }
    }
}

impl Key {
    fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, TokenError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).map_err(key_fault)?;
        let public = pair.public_key().as_ref();
        Ok(Self {
            id: URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, public)),
            signing: EncodingKey::from_ec_der(pkcs8),
            verifying: DecodingKey::from_ec_der(public),
        })
    }

    fn sign(&self, header: &Header, claims: &Map<String, Value>) -> Result<String, TokenError> {
        encode(&Header { kid: Some(self.id.clone()), ..header.clone() }, claims, &self.signing)
    }

    /// Checks algorithm, key id and signature. The caller checks the claims.
    fn verify(&self, token: &str) -> Result<Map<String, Value>, Unauthorized> {
        let header = jsonwebtoken::decode_header(token)
            .map_err(|_any| Unauthorized::Invalid("the token cannot be read"))?;
        if header.alg != Algorithm::ES256 {
            return Err(Unauthorized::Invalid("the algorithm is not the key's"));
        }
        if header.kid.as_deref() != Some(self.id.as_str()) {
            return Err(Unauthorized::Invalid("the key is not the issuer's"));
        }
        let mut signature_only = Validation::new(Algorithm::ES256);
        signature_only.required_spec_claims.clear();
        signature_only.validate_exp = false;
        signature_only.validate_aud = false;
        jsonwebtoken::decode(token, &self.verifying, &signature_only)
            .map(|token| token.claims)
            .map_err(|_any| Unauthorized::Invalid("the signature is not the issuer's"))
    }
}

fn generate() -> Result<Vec<u8>, TokenError> {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(key_fault)?;
    Ok(pair.to_pkcs8v1().map_err(key_fault)?.as_ref().to_vec())
}

fn encode(header: &Header, claims: &Map<String, Value>, key: &EncodingKey) -> Result<String, TokenError> {
    jsonwebtoken::encode(header, claims, key).map_err(key_fault)
}

#[allow(clippy::needless_pass_by_value, reason = "it is handed to map_err")]
fn key_fault(fault: impl ToString) -> TokenError {
    TokenError::Key(fault.to_string())
}

fn list(faults: &[FieldFault]) -> String {
    let each = faults.iter().map(|fault| format!("{} {}", fault.field, fault.reason));
    each.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests;

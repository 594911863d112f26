//! `AWS::Cognito::UserPool` with its clients and groups: the pool in which callers have their accounts.
//!
//! One kind of pool is supported: users sign up with an e-mail address and confirm it with a code. Nothing here signs a
//! user in.

use std::time::Duration;

use super::{names::Identity, node::Node};

/// A Cognito user pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPool {
    /// Its key under `Resources`.
    pub logical_id: String,
    /// The value of `Ref`: `<region>_<letters and digits>`.
    pub id: String,
    /// The `iss` of its tokens.
    pub issuer: String,
    /// The rules for new passwords.
    pub password_policy: PasswordPolicy,
    /// The subject of the mail with the code.
    pub mail_subject: String,
    /// The text of that mail, with [`CODE_PLACEHOLDER`] in it.
    pub mail_text: String,
    /// The clients that may request tokens from it.
    pub clients: Vec<UserPoolClient>,
    /// The names of its groups, such as `admin`.
    pub groups: Vec<String>,
}

/// The placeholder for the code in the text of a mail.
pub const CODE_PLACEHOLDER: &str = "{####}";

/// The rules for new passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "the policy's own switches, each for itself")]
pub struct PasswordPolicy {
    /// The fewest characters.
    pub minimum_length: u64,
    /// Whether it needs a lower case letter.
    pub lowercase: bool,
    /// Whether it needs an upper case letter.
    pub uppercase: bool,
    /// Whether it needs a digit.
    pub numbers: bool,
    /// Whether it needs a symbol.
    pub symbols: bool,
}

/// A public client of a user pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserPoolClient {
    /// Its key under `Resources`.
    pub logical_id: String,
    /// The value of `Ref`: the `aud` of ID tokens.
    pub id: String,
    /// The sign-in flows that it may use, such as `ALLOW_USER_PASSWORD_AUTH`.
    pub auth_flows: Vec<String>,
    /// The attributes that it may write.
    pub write_attributes: Vec<String>,
    /// The users' attributes that it may read. Its ID tokens hold no other attribute.
    pub read_attributes: Vec<String>,
    /// How long an ID token is valid.
    pub id_token: Duration,
    /// How long an access token is valid.
    pub access_token: Duration,
    /// How long a refresh token is valid.
    pub refresh_token: Duration,
}

/// Properties without an effect that a caller of the local stack can observe.
const AWS_ONLY: &[&str] = &[
    "AccountRecoverySetting",
    "DeletionProtection",
    "EmailConfiguration",
    "UserAttributeUpdateSettings",
    "UserPoolName",
    "UserPoolTags",
    "UserPoolTier",
];
const FLOWS: [&str; 3] = ["ALLOW_USER_SRP_AUTH", "ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"];

/// Reads a pool without its clients and groups, which [`add_client`] and [`add_group`] add.
pub(super) fn read(logical_id: &str, identity: &Identity, properties: &Node<'_>) -> Option<UserPool> {
    properties.expect_keys(
        &[
            "AutoVerifiedAttributes",
            "Policies",
            "UsernameAttributes",
            "UsernameConfiguration",
            "VerificationMessageTemplate",
        ],
        AWS_ONLY,
    );
    for key in ["UsernameAttributes", "AutoVerifiedAttributes"] {
        for attribute in properties.required(key).iter().flat_map(Node::list) {
            attribute.expect_one_of(&["email"]);
        }
    }
    if let Some(configuration) = properties.required("UsernameConfiguration") {
        configuration.expect_keys(&["CaseSensitive"], &[]);
        if let Some(flag) = configuration.required("CaseSensitive") {
            flag.expect_one_of(&["false"]);
        }
    }
    let policy = properties.required("Policies").and_then(|policies| {
        policies.expect_keys(&["PasswordPolicy"], &[]);
        password_policy(&policies.required("PasswordPolicy")?)
    });
    let mail = properties.required("VerificationMessageTemplate").and_then(|mail| verification_mail(&mail));
    let (mail_subject, mail_text) = mail?;
    Some(UserPool {
        logical_id: logical_id.to_owned(),
        id: identity.reference.clone(),
        issuer: identity.attribute("ProviderURL")?.to_owned(),
        password_policy: policy?,
        mail_subject,
        mail_text,
        clients: Vec::new(),
        groups: Vec::new(),
    })
}

fn password_policy(node: &Node<'_>) -> Option<PasswordPolicy> {
    let rules = ["RequireLowercase", "RequireUppercase", "RequireNumbers", "RequireSymbols"];
    let all = [&["MinimumLength"], &rules[..]].concat();
    node.expect_keys(&all, &["PasswordHistorySize", "TemporaryPasswordValidityDays"]);
    let [lowercase, uppercase, numbers, symbols] =
        rules.map(|rule| node.required(rule).and_then(|n| flag(&n)));
    let minimum_length = node.required("MinimumLength").and_then(|length| length.whole_number());
    Some(PasswordPolicy {
        minimum_length: minimum_length?,
        lowercase: lowercase?,
        uppercase: uppercase?,
        numbers: numbers?,
        symbols: symbols?,
    })
}

fn verification_mail(node: &Node<'_>) -> Option<(String, String)> {
    node.expect_keys(&["DefaultEmailOption", "EmailSubject", "EmailMessage"], &[]);
    if let Some(option) = node.required("DefaultEmailOption") {
        option.expect_one_of(&["CONFIRM_WITH_CODE"]);
    }
    let subject = node.required_text("EmailSubject");
    let message = node.required("EmailMessage")?;
    let text = message.text()?;
    if !text.contains(CODE_PLACEHOLDER) {
        message.report(format!("must contain {CODE_PLACEHOLDER}, which the code replaces"));
    }
    Some((subject?, text))
}

/// Adds a client to the pool that it names.
pub(super) fn add_client(
    logical_id: &str,
    identity: &Identity,
    properties: &Node<'_>,
    pools: &mut [UserPool],
) -> Option<()> {
    properties.expect_keys(
        &[
            "AccessTokenValidity",
            "ExplicitAuthFlows",
            "GenerateSecret",
            "IdTokenValidity",
            "PreventUserExistenceErrors",
            "ReadAttributes",
            "RefreshTokenValidity",
            "TokenValidityUnits",
            "UserPoolId",
            "WriteAttributes",
        ],
        &["ClientName", "EnableTokenRevocation"],
    );
    if let Some(secret) = properties.get("GenerateSecret") {
        secret.expect_one_of(&["false"]);
    }
    if let Some(errors) = properties.required("PreventUserExistenceErrors") {
        errors.expect_one_of(&["ENABLED"]);
    }
    let texts = |key| -> Vec<String> {
        properties.required(key).iter().flat_map(Node::list).filter_map(|node| node.text()).collect()
    };
    for flow in properties.get("ExplicitAuthFlows").iter().flat_map(Node::list) {
        flow.expect_one_of(&FLOWS);
    }
    let [id_token, access_token] =
        ["IdToken", "AccessToken"].map(|token| validity(properties, token, "hours"));
    let refresh_token = validity(properties, "RefreshToken", "days");
    let client = UserPoolClient {
        logical_id: logical_id.to_owned(),
        id: identity.reference.clone(),
        auth_flows: texts("ExplicitAuthFlows"),
        write_attributes: texts("WriteAttributes"),
        read_attributes: texts("ReadAttributes"),
        id_token: id_token?,
        access_token: access_token?,
        refresh_token: refresh_token?,
    };
    pool_of(properties, pools)?.clients.push(client);
    Some(())
}

/// Adds a group to the pool that it names.
pub(super) fn add_group(identity: &Identity, properties: &Node<'_>, pools: &mut [UserPool]) -> Option<()> {
    properties.expect_keys(&["GroupName", "UserPoolId"], &["Description", "Precedence"]);
    pool_of(properties, pools)?.groups.push(identity.reference.clone());
    Some(())
}

fn pool_of<'p>(properties: &Node<'_>, pools: &'p mut [UserPool]) -> Option<&'p mut UserPool> {
    let id = properties.required("UserPoolId")?;
    let pool = pools.iter_mut().find(|pool| id.value == pool.id.as_str());
    if pool.is_none() {
        id.report("is not a user pool of this template, as in !Ref UserPool");
    }
    pool
}

/// How long a kind of token is valid.
fn validity(properties: &Node<'_>, token: &str, default_unit: &str) -> Option<Duration> {
    let units = properties.get("TokenValidityUnits");
    if let Some(units) = &units {
        units.expect_keys(&["IdToken", "AccessToken", "RefreshToken"], &[]);
    }
    let unit = units.and_then(|units| units.get(token));
    if let Some(unit) = &unit {
        unit.expect_one_of(&["seconds", "minutes", "hours", "days"]);
    }
    let unit = unit.and_then(|unit| unit.text());
    let seconds = match unit.as_deref().unwrap_or(default_unit) {
        "seconds" => 1,
        "minutes" => 60,
        "hours" => 60 * 60,
        _ => 24 * 60 * 60,
    };
    let node = properties.required(&format!("{token}Validity"))?;
    let duration = node.whole_number()?.checked_mul(seconds).map(Duration::from_secs);
    // Cognito limits all three kinds to ten years.
    if duration.is_none_or(|duration| duration > Duration::from_hours(10 * 365 * 24)) {
        node.report("must be at most ten years");
    }
    duration
}

fn flag(node: &Node<'_>) -> Option<bool> {
    node.expect_one_of(&["true", "false"]);
    Some(node.text()? == "true")
}

//! The caller of a request, from the claims of a token that the gateway's authorizer has verified.
//!
//! An HTTP API passes every claim on as a string: a boolean as `true`, an array as `[admin staff]` (source: API
//! Gateway developer guide, "Control access to HTTP APIs with JWT authorizers").

use std::collections::HashMap;

use domain::{EmailAddress, Error, Order, UserId};

use crate::{Env, SetupFault, groups::groups};

/// A signed-in caller.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The `sub` of the token.
    pub user_id: UserId,
    claims: HashMap<String, String>,
}

impl Caller {
    /// Makes a caller from the claims. They are `None` when the route has no authorizer.
    ///
    /// # Errors
    /// [`Error::IdTokenRequired`] when there are no claims, when the token is not an ID token, or when its `sub` is
    /// missing or not a user id.
    pub(crate) fn from_claims(claims: Option<HashMap<String, String>>) -> Result<Self, Error> {
        let claims = claims.ok_or(Error::IdTokenRequired)?;
        // An access token is refused, because it holds no claims about the person.
        if claims.get("token_use").is_some_and(|used_as| used_as != "id") {
            return Err(Error::IdTokenRequired);
        }
        let sub = claims.get("sub").cloned().ok_or(Error::IdTokenRequired)?;
        let user_id = UserId::try_from(sub).map_err(|_unusable| Error::IdTokenRequired)?;
        Ok(Self { user_id, claims })
    }

    /// The caller's e-mail address.
    ///
    /// # Errors
    /// [`Error::EmailNotVerified`] when the identity provider has not verified the address, or the token has none.
    pub fn verified_email(&self) -> Result<EmailAddress, Error> {
        if self.claims.get("email_verified").is_none_or(|verified| verified != "true") {
            return Err(Error::EmailNotVerified);
        }
        let email = self.claims.get("email").cloned().ok_or(Error::EmailNotVerified)?;
        EmailAddress::try_from(email).map_err(|_unusable| Error::EmailNotVerified)
    }

    /// The time at which the token was issued, in seconds since 1970. `None` when the token does not say it readably.
    ///
    /// A number may arrive with a fraction or an exponent: `iat` is a `NumericDate`, which need not be an integer (source:
    /// RFC 7519, section 2).
    pub fn token_at(&self) -> Option<i64> {
        let text = self.claims.get("iat")?;
        let seconds: f64 = text.parse().ok()?;
        #[allow(clippy::cast_possible_truncation, reason = "the range is checked first")]
        (0.0..=MAX_ISSUED_AT).contains(&seconds).then(|| seconds.floor() as i64)
    }
}

/// The latest time of issue that is believed: the year 9999. A later one would keep the address from ever changing. A
/// float counts the seconds until then exactly.
const MAX_ISSUED_AT: f64 = 253_402_300_799.0;

/// The rule that makes a caller an admin: the token's `AdminClaim` is or contains `AdminValue`.
#[derive(Clone, Debug)]
pub struct AdminRule {
    claim: String,
    value: String,
}

impl AdminRule {
    /// Reads the rule from `ADMIN_CLAIM` and `ADMIN_VALUE`.
    pub fn from_env(env: &Env) -> Result<Self, SetupFault> {
        let [claim, value] = env.read(["ADMIN_CLAIM", "ADMIN_VALUE"])?;
        Ok(Self { claim, value })
    }

    /// Whether the caller is an admin: whether the claim holds exactly the value, by the rule in `groups`.
    pub fn admits(&self, caller: &Caller) -> bool {
        caller.claims.get(&self.claim).is_some_and(|claim| groups(claim).any(|group| group == self.value))
    }

    /// Permits the customer who placed the order, and an admin.
    ///
    /// # Errors
    /// [`Error::NotFound`] for every other caller, so that the answer does not show whether the order exists.
    pub fn may_see(&self, caller: &Caller, order: &Order) -> Result<(), Error> {
        if order.user_id == caller.user_id || self.admits(caller) {
            Ok(())
        } else {
            Err(Error::NotFound("order"))
        }
    }

    /// Permits an admin.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for every other caller.
    pub fn require(&self, caller: &Caller) -> Result<(), Error> {
        if self.admits(caller) { Ok(()) } else { Err(Error::Forbidden) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(claims: &[(&str, &str)]) -> Result<Caller, Error> {
        let claims = claims.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Caller::from_claims(Some(claims))
    }

    #[test]
    fn only_a_group_that_is_exactly_the_admin_value_makes_an_admin() {
        let rule = AdminRule { claim: "cognito:groups".into(), value: "admin".into() };
        for (groups, admitted) in [
            ("[admin]", true),
            ("[staff admin]", true),
            ("[admin staff]", true),
            ("admin", true),
            ("[not-admin]", false),
            ("[admin-not staff]", false),
            ("[staff]", false),
            ("[]", false),
            ("", false),
            ("not-admin", false),
            ("[ADMIN]", false),
            ("staff admin", false),
        ] {
            let caller = caller(&[("sub", "u"), ("cognito:groups", groups)]).unwrap();
            assert_eq!(rule.admits(&caller), admitted, "{groups}");
        }
        let elsewhere = caller(&[("sub", "u"), ("groups", "[admin]")]).unwrap();
        assert!(!rule.admits(&elsewhere), "the group is in another claim");
    }

    #[test]
    fn an_address_counts_only_when_it_is_verified() {
        let email = |claims: &[(&str, &str)]| caller(claims).unwrap().verified_email();
        assert_eq!(
            email(&[("sub", "u"), ("email", "a@b.c"), ("email_verified", "true")]).unwrap().as_str(),
            "a@b.c"
        );
        for claims in [
            &[("sub", "u"), ("email", "a@b.c"), ("email_verified", "false")][..],
            &[("sub", "u"), ("email", "a@b.c")],
            &[("sub", "u"), ("email_verified", "true")],
            &[("sub", "u"), ("email", "nonsense"), ("email_verified", "true")],
        ] {
            assert_eq!(email(claims).unwrap_err().code(), "email_not_verified", "{claims:?}");
        }
    }

    #[test]
    fn the_time_of_issue_is_read_as_the_gateway_may_write_it_and_never_guessed() {
        for (written, read) in [
            (Some("1772366400"), Some(1_772_366_400)),
            (Some("1.7723664E9"), Some(1_772_366_400)),
            (Some("1772366400.75"), Some(1_772_366_400)),
            (Some("0"), Some(0)),
            (Some("-1"), None),
            (Some("1e300"), None),
            (Some("NaN"), None),
            (Some("inf"), None),
            (Some("9223372036854775807"), None),
            (Some("yesterday"), None),
            (Some(""), None),
            (None, None),
        ] {
            let claims: Vec<(&str, &str)> =
                [Some(("sub", "u")), written.map(|iat| ("iat", iat))].into_iter().flatten().collect();
            assert_eq!(caller(&claims).unwrap().token_at(), read, "{written:?}");
        }
    }

    #[test]
    fn a_caller_is_made_from_an_id_token_only() {
        assert!(caller(&[("sub", "u"), ("token_use", "id")]).is_ok());
        assert!(caller(&[("sub", "u")]).is_ok(), "other issuers have no token_use");
        for claims in [&[("sub", "u"), ("token_use", "access")][..], &[("token_use", "id")], &[("sub", "")]] {
            assert_eq!(caller(claims).unwrap_err().code(), "id_token_required", "{claims:?}");
        }
        assert_eq!(Caller::from_claims(None).unwrap_err().code(), "id_token_required");
    }
}

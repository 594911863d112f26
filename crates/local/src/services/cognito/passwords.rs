//! The password policy, and the salted PBKDF2 hash under which a password is stored. Nothing here stores or logs a
//! password.

use std::num::NonZeroU32;

use aws_lc_rs::{
    pbkdf2::{self, PBKDF2_HMAC_SHA256},
    rand,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sam_template::PasswordPolicy;
use serde::{Deserialize, Serialize};

use super::api_error;
use crate::ground::AwsError;

/// The rounds of PBKDF2. They slow down guesses against a stolen data file, and a sign-in is still fast. Each hash stores
/// its own number, so that this one can be raised.
const ROUNDS: NonZeroU32 = NonZeroU32::new(100_000).unwrap();
/// The length of a SHA-256 hash.
const HASH_BYTES: usize = 32;
const SALT_BYTES: usize = 16;
/// The characters that Cognito counts as symbols, a blank included.
const SYMBOLS: &str = "^$*.[]{}()?-\"!@#%&/\\,><':;|_~`+= ";

/// A password's hash, as stored.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct PasswordHash {
    rounds: NonZeroU32,
    /// In base64, like the hash.
    salt: String,
    hash: String,
}

impl PasswordHash {
    pub(super) fn new(password: &str) -> Result<Self, AwsError> {
        let mut salt = [0; SALT_BYTES];
        fill_with_random_bytes(&mut salt)?;
        let mut hash = [0; HASH_BYTES];
        pbkdf2::derive(PBKDF2_HMAC_SHA256, ROUNDS, &salt, password.as_bytes(), &mut hash);
        Ok(Self { rounds: ROUNDS, salt: STANDARD.encode(salt), hash: STANDARD.encode(hash) })
    }

    /// Whether this is the hash of `password`. The comparison takes constant time.
    pub(super) fn matches(&self, password: &str) -> bool {
        let (Ok(salt), Ok(hash)) = (STANDARD.decode(&self.salt), STANDARD.decode(&self.hash)) else {
            return false;
        };
        pbkdf2::verify(PBKDF2_HMAC_SHA256, self.rounds, &salt, password.as_bytes(), &hash).is_ok()
    }

    /// Takes as long as [`matches`](Self::matches). It runs when there is no account, so that the time does not reveal
    /// who has one.
    pub(super) fn hash_and_discard(password: &str) {
        let mut hash = [0; HASH_BYTES];
        pbkdf2::derive(PBKDF2_HMAC_SHA256, ROUNDS, &[0; SALT_BYTES], password.as_bytes(), &mut hash);
    }
}

/// Fills `bytes` from the system's random numbers.
pub(super) fn fill_with_random_bytes(bytes: &mut [u8]) -> Result<(), AwsError> {
    rand::fill(bytes).map_err(|_unspecified| {
        AwsError::new(500, "InternalErrorException", "the system provides no random numbers")
    })
}

/// Refuses a password that breaks the policy. As on AWS, the error names the first rule that it breaks.
pub(super) fn check(policy: PasswordPolicy, password: &str) -> Result<(), AwsError> {
    let has = |kind: fn(char) -> bool| password.chars().any(kind);
    let symbol = |c| SYMBOLS.contains(c);
    let ends_blank = password.starts_with(' ') || password.ends_with(' ');
    let length = password.chars().count();
    let broken = if length < usize::try_from(policy.minimum_length).unwrap_or(usize::MAX) {
        "Password not long enough"
    } else if length > 256 {
        "Password too long"
    } else if policy.uppercase && !has(|c| c.is_ascii_uppercase()) {
        "Password must have uppercase characters"
    } else if policy.lowercase && !has(|c| c.is_ascii_lowercase()) {
        "Password must have lowercase characters"
    } else if policy.numbers && !has(|c| c.is_ascii_digit()) {
        "Password must have numeric characters"
    } else if policy.symbols && !has(symbol) {
        "Password must have symbol characters"
    } else if ends_blank {
        "Password must not have leading or trailing spaces"
    } else {
        return Ok(());
    };
    Err(api_error("InvalidPasswordException", &format!("Password did not conform with policy: {broken}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_matches_its_own_password_only_and_is_salted() {
        let hashed = PasswordHash::new("Tea-for-2-please").unwrap();
        assert!(hashed.matches("Tea-for-2-please"));
        assert!(!hashed.matches("Tea-for-2-pleasE"));
        assert!(!hashed.matches(""));
        let again = PasswordHash::new("Tea-for-2-please").unwrap();
        assert_ne!((&hashed.salt, &hashed.hash), (&again.salt, &again.hash));
        assert!(!serde_json::to_string(&hashed).unwrap().contains("Tea-for"));
    }

    #[test]
    fn a_rule_that_the_policy_leaves_out_is_not_checked() {
        let lax = PasswordPolicy {
            minimum_length: 6,
            lowercase: false,
            uppercase: false,
            numbers: false,
            symbols: false,
        };
        assert!(check(lax, "aaaaaa").is_ok());
        assert!(check(lax, "aaaaa").is_err());
        assert!(check(PasswordPolicy { numbers: true, ..lax }, "aaaaaa").is_err());
    }
}

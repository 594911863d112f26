//! Texts that come from outside, each a type with its own limits. `TryFrom<String>` is the only way to make one.

use serde::{Deserialize, Serialize};

use crate::{Error, InvalidField};

/// Declares a text type with a private field and a checked `TryFrom<String>`, which serde uses too.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $field:literal, $reason:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The rule for this text, as the reason of a fault.
            pub const EXPECTED: &'static str = $reason;

            /// The text as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self, Error> {
                let valid: fn(&str) -> bool = $valid;
                if valid(&text) {
                    Ok(Self(text))
                } else {
                    Err(Error::Invalid(vec![InvalidField::new($field, Self::EXPECTED)]))
                }
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }
    };
}

text!(
    /// A person's or product's name: 1 to 100 characters, no control characters, not only spaces.
    Name, "name", "must be 1 to 100 characters without control characters",
    |text| printable(text, 100)
);
text!(
    /// The reason for a cancellation or an adjustment: 1 to 200 characters, no control characters, not only spaces.
    Reason, "reason", "must be 1 to 200 characters without control characters",
    |text| printable(text, 200)
);
text!(
    /// The customer's own reference for an order: 1 to 64 visible ASCII characters.
    Reference, "reference", "must be 1 to 64 visible ASCII characters",
    |text| visible_ascii(text, 64)
);
text!(
    /// A client's name for one request and all its repeats: 1 to 255 visible ASCII characters.
    IdempotencyKey, "Idempotency-Key", "must be 1 to 255 visible ASCII characters",
    |text| visible_ascii(text, 255)
);
text!(
    /// An e-mail address: 3 to 254 visible ASCII characters with one `@` inside. The rule cannot tell whether mail
    /// arrives there.
    EmailAddress, "email", "must be an e-mail address of at most 254 visible ASCII characters",
    |text| visible_ascii(text, 254)
        && text.split_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'))
);

fn visible_ascii(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Refuses control characters. It also refuses line separators, paragraph separators and marks that change the
/// direction of text: Unicode does not call them control characters, but they garble a mail in the same way.
fn printable(text: &str, most: usize) -> bool {
    let breaks = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    (1..=most).contains(&text.chars().count()) && !text.chars().any(breaks) && !text.trim().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_holds_any_script_but_no_control_characters_and_no_line_breaks() {
        let name = |text: &str| Name::try_from(text.to_owned());
        for good in ["x", "Gustaf's Knäckebröd", "原", &"é".repeat(100)] {
            assert!(name(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "   ",
            "a\nb",
            "a\rb",
            "a\tb",
            "a\u{0}b",
            "a\u{85}b",
            "a\u{2028}b",
            "a\u{202e}b",
            &"x".repeat(101),
        ] {
            assert!(name(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_key_has_at_most_255_visible_ascii_characters_and_a_reference_64() {
        assert!(IdempotencyKey::try_from("k".repeat(255)).is_ok());
        assert!(IdempotencyKey::try_from("k".repeat(256)).is_err());
        assert!(Reference::try_from("PO#77/b".to_owned()).is_ok());
        for bad in [String::new(), "a b".to_owned(), "ä".to_owned(), "r".repeat(65)] {
            assert!(Reference::try_from(bad).is_err());
        }
    }

    #[test]
    fn an_address_has_one_at_sign_with_text_on_both_sides() {
        let address = |text: &str| EmailAddress::try_from(text.to_owned()).is_ok();
        assert!(address("a@b"));
        assert!(!address("@b") && !address("a@") && !address("a") && !address("a@b@c") && !address("a b@c"));
    }
}

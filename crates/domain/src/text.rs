//! Texts that people write, each with its own limits. Every one has one way in.

use serde::{Deserialize, Serialize};

use crate::{Error, InvalidField};

/// Declares a text with an invariant: a private field and `TryFrom<String>`, which serde uses too.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $field:literal, $reason:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// What is expected, in words.
            pub const EXPECTED: &'static str = $reason;

            /// The text itself.
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
    /// A person's or product's name: 1 to 100 characters, none of them a control character, not only spaces.
    Name, "name", "must be 1 to 100 characters without control characters",
    |text| printable(text, 100)
);
text!(
    /// Why somebody did something: 1 to 200 characters, no control characters.
    Reason, "reason", "must be 1 to 200 characters without control characters",
    |text| printable(text, 200)
);
text!(
    /// The customer's own reference for an order: 1 to 64 visible ASCII characters.
    Reference, "reference", "must be 1 to 64 visible ASCII characters",
    |text| visible_ascii(text, 64)
);
text!(
    /// A client's name for one attempt at one thing: 1 to 255 visible ASCII characters.
    IdempotencyKey, "Idempotency-Key", "must be 1 to 255 visible ASCII characters",
    |text| visible_ascii(text, 255)
);
text!(
    /// An e-mail address, as an identity provider verified it: 3 to 254 visible ASCII characters with one `@`
    /// inside. Whether mail arrives there is only known to whoever sends one.
    EmailAddress, "email", "must be an e-mail address of at most 254 visible ASCII characters",
    |text| visible_ascii(text, 254)
        && text.split_once('@').is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'))
);

fn visible_ascii(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Line and paragraph separators and the marks that turn text around are not control characters to Unicode, but
/// they do to a mail what control characters do.
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
    fn names_hold_any_script_but_no_control_characters_and_no_line_breaks() {
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
    fn keys_and_references_are_visible_ascii_of_their_own_length() {
        assert!(IdempotencyKey::try_from("k".repeat(255)).is_ok());
        assert!(IdempotencyKey::try_from("k".repeat(256)).is_err());
        assert!(Reference::try_from("PO#77/b".to_owned()).is_ok());
        for bad in [String::new(), "a b".to_owned(), "ä".to_owned(), "r".repeat(65)] {
            assert!(Reference::try_from(bad).is_err());
        }
    }

    #[test]
    fn an_address_has_one_at_with_something_on_both_sides() {
        let address = |text: &str| EmailAddress::try_from(text.to_owned()).is_ok();
        assert!(address("a@b"));
        assert!(!address("@b") && !address("a@") && !address("a") && !address("a@b@c") && !address("a b@c"));
    }
}

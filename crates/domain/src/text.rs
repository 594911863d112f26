//! Texts that come from outside, each a type with its own limits. `TryFrom<String>` makes one of a client's text.
//!
//! serde makes one of a row's text. A row was written under the rules of its day, and one row that cannot be read would
//! fail every list that it is in. So a rule that became stricter holds for clients, and rows keep the rule before.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use unicode_general_category::{GeneralCategory, get_general_category};

use crate::{Error, InvalidField};

/// A text as serde reads it: from a row, or from a message of the workflow.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Stored(pub(crate) String);

/// Declares a text type with a private field and a checked `TryFrom<String>`. serde uses the same rule, or the one that
/// is given as `stored`.
macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $field:literal, $reason:literal, $valid:expr) => {
        text!($(#[$doc])* $name, $field, $reason, $valid, stored: $valid);
    };
    ($(#[$doc:meta])* $name:ident, $field:literal, $reason:literal, $valid:expr, stored: $stored:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(try_from = "Stored", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The rule for this text, as the reason of a fault.
            pub const EXPECTED: &'static str = $reason;

            /// The text as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }

            fn checked(text: String, valid: fn(&str) -> bool) -> Result<Self, Error> {
                if valid(&text) {
                    Ok(Self(text))
                } else {
                    Err(Error::Invalid(vec![InvalidField::new($field, Self::EXPECTED)]))
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self, Error> {
                Self::checked(text, $valid)
            }
        }

        impl TryFrom<Stored> for $name {
            type Error = Error;

            fn try_from(Stored(text): Stored) -> Result<Self, Error> {
                Self::checked(text, $stored)
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
    /// A person's or product's name: 1 to 100 characters, no control characters, and something to see.
    Name, "name", "must be 1 to 100 characters, one of them visible, without control characters",
    |text| printable(text, 100) && text.chars().any(is_visible), stored: |text| printable(text, 100)
);
text!(
    /// The reason for a cancellation or an adjustment: 1 to 200 characters, no control characters, and something to see.
    Reason, "reason", "must be 1 to 200 characters, one of them visible, without control characters",
    |text| printable(text, 200) && text.chars().any(is_visible), stored: |text| printable(text, 200)
);
text!(
    /// The customer's own reference for an order: 1 to 64 visible ASCII characters.
    Reference, "reference", "must be 1 to 64 visible ASCII characters",
    |text| visible_ascii(text, 64)
);
text!(
    /// A client's name for one request and all its repeats: 1 to 255 visible ASCII characters without a comma, which joins
    /// two.
    IdempotencyKey, "Idempotency-Key", "must be 1 to 255 visible ASCII characters without a comma",
    |text| visible_ascii(text, 255) && !text.contains(',')
);
text!(
    /// An e-mail address: 3 to 254 visible ASCII characters with one `@` inside. The rule cannot tell whether mail
    /// arrives there.
    EmailAddress, "email", "must be an e-mail address of at most 254 visible ASCII characters",
    |text| address(text) && !text.contains(SPECIALS), stored: address
);

fn visible_ascii(text: &str, most: usize) -> bool {
    (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Characters that an address has only within quotes or around a number, which neither Cognito nor SNS takes (RFC 5322,
/// section 3.2.3). With them, a claim that is a list or an object would pass as an address: `[ada@example.com]`.
const SPECIALS: [char; 10] = ['(', ')', '<', '>', '[', ']', ':', ';', ',', '"'];

fn address(text: &str) -> bool {
    let inside = |(local, host): (&str, &str)| !local.is_empty() && !host.is_empty() && !host.contains('@');
    visible_ascii(text, 254) && text.split_once('@').is_some_and(inside)
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

/// Whether a character shows something by itself. Blanks, control characters and format characters do not, nor do
/// [`HIDDEN`] ones.
fn is_visible(c: char) -> bool {
    !(c.is_whitespace()
        || c.is_control()
        || HIDDEN.iter().any(|hidden| hidden.contains(&c))
        || get_general_category(c) == GeneralCategory::Format)
}

/// The characters that Unicode calls default ignorable without making them format characters: a font without a glyph for
/// one must not show it. They are the fillers of Hangul, the variation selectors and a few more (source: Unicode
/// Character Database, `DerivedCoreProperties.txt`, `Default_Ignorable_Code_Point`; new ones come only from the reserved
/// ranges, which are here). And the blank of Braille, U+2800, which Unicode counts among the symbols.
const HIDDEN: [RangeInclusive<char>; 11] = [
    '\u{34f}'..='\u{34f}',
    '\u{115f}'..='\u{1160}',
    '\u{17b4}'..='\u{17b5}',
    '\u{180b}'..='\u{180f}',
    '\u{2065}'..='\u{2065}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{fe00}'..='\u{fe0f}',
    '\u{ffa0}'..='\u{ffa0}',
    '\u{fff0}'..='\u{fff8}',
    '\u{e0000}'..='\u{e0fff}',
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_or_a_reason_shows_something() {
        let blanks = [
            "\u{200b}",
            "\u{200b}\u{200d}\u{feff}",
            " \u{200b} ",
            "\u{ad}",
            "\u{34f}",
            "\u{61c}",
            "\u{115f}",
            "\u{1160}",
            "\u{17b4}",
            "\u{180e}",
            "\u{2060}\u{2064}",
            "\u{206f}",
            "\u{2800}",
            "\u{3164}",
            "\u{fe0f}",
            "\u{feff}",
            "\u{ffa0}",
            "\u{fff9}",
            "\u{e0001}",
            "\u{e0020}",
            "\u{e0100}",
            "\u{1d173}",
            "\u{3000}",
            "\u{a0}",
            "\u{1680}",
            "\u{2003}",
        ];
        for blank in blanks {
            assert!(Name::try_from(blank.to_owned()).is_err(), "{blank:?}");
            assert!(Reason::try_from(blank.to_owned()).is_err(), "{blank:?}");
            // Beside a letter they are welcome: words of some scripts, and emoji, are joined by them.
            assert!(Name::try_from(format!("{blank}a{blank}")).is_ok(), "{blank:?}");
        }
        for shown in [
            "-",
            "\u{301}",
            "👩\u{200d}🚀",
            "❤\u{fe0f}",
            "می\u{200c}خواهم",
            "\u{e000}",
            "\u{2801}",
            "\u{3164}a",
        ] {
            assert!(Name::try_from(shown.to_owned()).is_ok(), "{shown:?}");
        }
    }

    #[test]
    fn a_row_that_was_written_under_an_earlier_rule_can_still_be_read() {
        let read = |text: &str| serde_json::from_value::<Name>(serde_json::Value::from(text));
        assert_eq!(read("\u{200b}").unwrap().as_str(), "\u{200b}");
        assert!(read("\n").is_err() && read("").is_err());
    }

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
        assert!(IdempotencyKey::try_from("a,b".to_owned()).is_err());
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
        assert!(address("o'brien+tea@x.example") && address("{a}|b~%/=?^_`!#$&*@c"));
        for list in
            ["[a@b.c]", "map[email:a@b.c]", "<a@b.c>", "a,b@c.d", "\"a\"@b.c", "a@[1.2.3.4]", "Ada:a@b.c;"]
        {
            assert!(!address(list), "{list}");
        }
    }
}

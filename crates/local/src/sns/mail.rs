//! What the local mailbox holds, and what an e-mail address is. No mail ever leaves the process.

use serde::{Deserialize, Serialize};

/// Why a mail was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailKind {
    /// A published message, delivered to a confirmed subscription.
    OrderStatus,
    /// The request to confirm a new subscription.
    SubscriptionConfirmation,
    /// The code that confirms a new account: Cognito's, not a topic's.
    VerificationCode,
}

impl MailKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::OrderStatus, Self::SubscriptionConfirmation, Self::VerificationCode];

    /// The kind's name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OrderStatus => "order_status",
            Self::SubscriptionConfirmation => "subscription_confirmation",
            Self::VerificationCode => "verification_code",
        }
    }
}

/// One delivered mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// Why it was sent.
    pub kind: MailKind,
    /// The address.
    pub to: String,
    /// The subject line.
    pub subject: String,
    /// The text.
    pub body: String,
    /// The order it is about: the message attribute of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    /// The status it announces: the message attribute of that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// When it was delivered: RFC 3339, UTC, milliseconds.
    pub at: String,
}

/// Whether `text` looks like an e-mail address: one `@`, something before it, a domain with a dot after it,
/// no blanks or control characters, at most 254 bytes. Looser than RFC 5321 and good enough to catch a name
/// or a telephone number.
pub(crate) fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    text.len() <= 254
        && !local.is_empty()
        && !text.contains(|c: char| c.is_whitespace() || c.is_control() || "<>,;\"()".contains(c))
        && !domain.contains('@')
        && domain.split('.').count() >= 2
        && domain.split('.').all(|label| !label.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_mailbox_and_a_domain() {
        for address in ["ana@example.com", "a.b+c@mail.example.co.uk", "jörg@exämple.de"] {
            assert!(is_address(address), "{address}");
        }
        let long = format!("{}@example.com", "a".repeat(243));
        for other in [
            "",
            "ana",
            "@example.com",
            "ana@",
            "ana@localhost",
            "ana@example.",
            "ana@.com",
            "a@b@c.de",
            "ana maria@example.com",
            "ana@example.com\n",
            "Ana <ana@example.com>",
            "a@x.de,b@x.de",
            &long,
        ] {
            assert!(!is_address(other), "{other:?}");
        }
    }

    #[test]
    fn a_kind_is_written_as_it_is_asked_for() {
        for kind in MailKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}

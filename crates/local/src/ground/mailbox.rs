//! The mailbox: every e-mail that a local service sends, and the syntax of an e-mail address. No mail leaves the process.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Store, StoreError, timestamp};

const KIND: &str = "mail";

/// Why a mail was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailKind {
    /// A message published to a topic, for a confirmed subscription.
    OrderStatus,
    /// The request to confirm a new subscription.
    SubscriptionConfirmation,
    /// The code that confirms a new account. Cognito sends it, not SNS.
    VerificationCode,
}

impl MailKind {
    /// Every kind, for a query's check and its error message.
    pub const ALL: [Self; 3] = [Self::OrderStatus, Self::SubscriptionConfirmation, Self::VerificationCode];

    /// The kind's name in JSON and in a query.
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
pub struct DeliveredMail {
    /// Why it was sent.
    pub kind: MailKind,
    /// The recipient's address, as the service was given it.
    pub to: String,
    /// The subject line.
    pub subject: String,
    /// The plain text; local mails have no HTML.
    pub body: String,
    /// The id of the order that it is about, from the message attribute `order_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<String>,
    /// The status that it announces, from the message attribute `status`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// The time of delivery: RFC 3339, UTC, with milliseconds.
    pub at: String,
}

impl DeliveredMail {
    /// A mail that is about no order.
    pub(crate) fn new(kind: MailKind, to: &str, subject: &str, body: String, at: OffsetDateTime) -> Self {
        let (to, subject) = (to.to_owned(), subject.to_owned());
        Self { kind, to, subject, body, order_id: None, status: None, at: timestamp(at) }
    }
}

/// The mails of all local services, in the order of delivery. Each is written to the store before memory, so that the file
/// holds every mail that a reader has seen, even after a kill.
pub struct Mailbox {
    store: Store,
    mails: Mutex<Vec<DeliveredMail>>,
}

impl std::fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mailbox")
    }
}

impl Mailbox {
    /// Opens the mailbox with the mails that `store` holds.
    pub fn open(store: Store) -> Result<Self, StoreError> {
        let mails = store.all(KIND)?.into_iter().map(|(_, mail)| mail).collect();
        Ok(Self { store, mails: Mutex::new(mails) })
    }

    /// The delivered mails, oldest first. `kind` and `to` each narrow the list; `to` matches in any case.
    pub fn mails(&self, kind: Option<MailKind>, to: Option<&str>) -> Vec<DeliveredMail> {
        let wanted = |mail: &&DeliveredMail| {
            kind.is_none_or(|kind| mail.kind == kind)
                && to.is_none_or(|to| mail.to.to_lowercase() == to.to_lowercase())
        };
        self.lock().iter().filter(wanted).cloned().collect()
    }

    /// Stores a mail, and shows it to readers.
    pub(crate) fn deliver(&self, mail: DeliveredMail) -> Result<(), StoreError> {
        let mut mails = self.lock();
        // Mails are never removed, so their count is the next id. It is padded, because ids sort as text.
        self.store.put(KIND, &format!("{:020}", mails.len()), &mail)?;
        mails.push(mail);
        Ok(())
    }

    /// The mails. A poisoned lock is safe to use: a panic leaves the mails as of the last completed write.
    fn lock(&self) -> MutexGuard<'_, Vec<DeliveredMail>> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `text` looks like an e-mail address: a name, one `@` and a domain with a dot, without blanks and control
/// characters, at most 254 bytes. It is looser than RFC 5321, but it catches a person's name or a telephone number.
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
    fn a_kind_has_one_name_in_queries_and_answers() {
        for kind in MailKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}

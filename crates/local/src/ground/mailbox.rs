//! The mailbox: every e-mail that a local service sends, and what an e-mail address is. No mail leaves the process.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{Store, StoreError, timestamp};

const KIND: &str = "mail";

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
pub struct DeliveredMail {
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

impl DeliveredMail {
    /// A mail that is about no order.
    pub(crate) fn new(kind: MailKind, to: &str, subject: &str, body: String, at: OffsetDateTime) -> Self {
        let (to, subject) = (to.to_owned(), subject.to_owned());
        Self { kind, to, subject, body, order_id: None, status: None, at: timestamp(at) }
    }
}

/// The mails of all local services, in the order of their delivery. Each is written to the store first and only then to
/// memory, so that after a kill the file holds what was answered.
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

    /// Every mail delivered, oldest first, of one kind or to one address (in any case) if asked.
    pub fn mails(&self, kind: Option<MailKind>, to: Option<&str>) -> Vec<DeliveredMail> {
        let wanted = |mail: &&DeliveredMail| {
            kind.is_none_or(|kind| mail.kind == kind)
                && to.is_none_or(|to| mail.to.to_lowercase() == to.to_lowercase())
        };
        self.lock().iter().filter(wanted).cloned().collect()
    }

    /// Delivers a mail.
    pub(crate) fn deliver(&self, mail: DeliveredMail) -> Result<(), StoreError> {
        let mut mails = self.lock();
        // Ids sort as text, and mails are never removed, so the count is the next place.
        self.store.put(KIND, &format!("{:020}", mails.len()), &mail)?;
        mails.push(mail);
        Ok(())
    }

    /// A panic under the lock leaves the mails as of the last completed write, so a poisoned lock is still good.
    fn lock(&self) -> MutexGuard<'_, Vec<DeliveredMail>> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
    fn a_kind_has_one_name_in_queries_and_answers() {
        for kind in MailKind::ALL {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        }
    }
}

//! A customer's account: the rules of registering, of changing the address, of leaving, and of the topic that mails
//! them.
//!
//! Each customer has a topic of their own with one subscription. So no filter can be wrong, late or full, and nobody
//! gets another customer's mail. Everything here is a pure step from one account to the next. `aws_adapters` stores it,
//! each time on the condition that the stored version is the one that was read.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{EmailAddress, Error, InvalidField, Name, Notifications, Timestamp, User, UserId, id::NAMESPACE};

/// The most changes of the address in one UTC day. A return after an erasure counts as one.
pub const MAX_ADDRESS_CHANGES: u32 = 5;

/// The most topics of an account that are being deleted. With the current one, a customer has four topics at most.
pub const MAX_RETIRED: usize = 3;

/// The time after which a retired topic is deleted once more. A late `CreateTopic` could have made it again. It is far
/// longer than any function runs.
pub const RETIREMENT: Duration = Duration::from_mins(15);

/// The shortest time between two mails that ask an address to confirm.
pub const ASK_AGAIN_AFTER: Duration = Duration::from_hours(1);

/// The time for which a confirmation, once noted, is relied on. SNS turns off an address that took more than ten mails
/// in a second, and tells nobody.
pub const NOTE_LASTS: Duration = Duration::from_hours(24);

/// The shortest time between two notes of the same confirmation. It saves writes.
const NOTE_AGAIN_AFTER: Duration = Duration::from_hours(1);

/// The time from a change of an account until the sweeper finishes it. It is longer than the function runs that made the
/// change.
pub const TODO_AFTER: Duration = Duration::from_mins(1);

/// The longest wait between two attempts of the sweeper to finish an account.
const MAX_TODO_WAIT: Duration = Duration::from_hours(1);

/// The text in a customer topic's name between the name of the stack's own topic and the id.
const OF_CUSTOMER: &str = "-customer-";

/// Whether the customer is mailed, as far as the account knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailState {
    /// The address was asked, or is about to be asked, to confirm.
    #[default]
    Pending,
    /// SNS said that the address is confirmed.
    Confirmed,
    /// The customer wants no mail, or has ended it by a mail's link.
    Off,
}

/// The customer's wish in `POST /users`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailWish {
    /// Mail about orders.
    On,
    /// No mail about orders.
    Off,
}

impl TryFrom<String> for MailWish {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        match text.as_str() {
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            _ => Err(Error::Invalid(vec![InvalidField::new("notifications", "must be on or off")])),
        }
    }
}

/// A request to register, or to register again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The name to be called.
    pub name: Name,
    /// The verified address of the token.
    pub email: EmailAddress,
    /// The time at which the token was issued, in seconds since 1970. `None` when the token does not say.
    pub token_at: Option<i64>,
    /// Whether the customer wants mail. `None` leaves that as it is.
    pub wish: Option<MailWish>,
}

/// A customer's row in `UsersTable`. After an erasure it is a tombstone, without `customer`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserAccount {
    /// The `sub` of the customer's tokens.
    pub user_id: UserId,
    /// The number of writes so far. Every write has the condition that this is the version that was read.
    pub version: u32,
    /// The number of addresses so far, an erasure included.
    pub address_version: u32,
    /// The newest `iat` of a token that was used here, or the time of the erasure. Only a newer token changes the address.
    #[serde(default)]
    pub address_token_at: i64,
    /// The changes of the address on the last day that had one.
    #[serde(default)]
    pub address_changes: AddressChanges,
    /// The topics of earlier addresses, until they are deleted for good.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retired: Vec<RetiredTopic>,
    /// What the sweeper has to finish. `None` when nothing is left.
    #[serde(flatten)]
    pub todo: Option<Todo>,
    /// The registered customer. `None` after an erasure.
    #[serde(flatten)]
    pub customer: Option<CustomerData>,
}

/// What an account holds of a customer until they leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerData {
    /// The name to be called.
    pub name: Name,
    /// The address that mail goes to.
    pub email: EmailAddress,
    /// The time of the registration.
    pub created_at: Timestamp,
    /// Whether the customer is mailed.
    pub mail: MailState,
    /// The time at which the address was last asked to confirm. It is stored before the address is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<Timestamp>,
    /// The topic that mails this address. It is stored before the topic is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic_arn: Option<String>,
    /// The address's subscription, once it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription_arn: Option<String>,
    /// The time at which SNS last said that the address is confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_at: Option<Timestamp>,
}

/// The number of changes of the address in one UTC day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressChanges {
    /// The day, such as `2026-03-01`.
    pub day: String,
    /// The changes on that day.
    pub count: u32,
}

/// A topic that no longer belongs to the customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetiredTopic {
    /// The topic to delete.
    pub topic_arn: String,
    /// The time of the change that retired it.
    pub at: Timestamp,
}

/// The sweeper's entry for an account. The index `by_todo` lists it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Todo {
    /// The index's partition. One is enough, since far fewer accounts change than orders.
    #[serde(rename = "todo_shard")]
    pub shard: String,
    /// The time from which the sweeper finishes the account.
    #[serde(rename = "todo_at")]
    pub at: Timestamp,
    /// The attempts so far.
    #[serde(default, rename = "todo_tries")]
    pub tries: u32,
}

/// The partition of the index `by_todo`.
pub const TODO_SHARD: &str = "0";

impl Todo {
    /// The first attempt is due at `at`.
    fn at(at: Timestamp) -> Self {
        Self { shard: TODO_SHARD.to_owned(), at, tries: 0 }
    }
}

/// What SNS says of a subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubscriptionState {
    /// The address has confirmed it.
    Confirmed,
    /// The address has not confirmed it yet, or no longer.
    Pending,
    /// It is not there: it was ended, it has lapsed, or it is too new to be seen.
    Gone,
}

/// The facts of an account that an announcement needs. They hold no name and no address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// The account's version when it was read.
    #[serde(default)]
    pub version: u32,
    /// Whether the customer is mailed.
    #[serde(default)]
    pub mail: MailState,
    /// The topic of their address.
    #[serde(default)]
    pub topic_arn: Option<String>,
    /// The subscription of their address.
    #[serde(default)]
    pub subscription_arn: Option<String>,
    /// The time at which SNS last said that the address is confirmed.
    #[serde(default)]
    pub confirmed_at: Option<Timestamp>,
}

impl Recipient {
    /// The time from the announcement until the sweeper first looks whether the address is confirmed.
    pub const FIRST_LOOK: Duration = Duration::from_mins(1);

    /// The longest time between two looks.
    const LAST_LOOK: Duration = Duration::from_hours(1);

    /// The time for which a mail waits for the confirmation. It is longer than the 48 hours for which SNS keeps a
    /// subscription that is not confirmed (source: Amazon SNS developer guide, "Email notifications").
    const WAITS: Duration = Duration::from_hours(72);

    /// The time of the sweeper's next look at a mail that has waited since `since`: after a quarter of its age. `None`
    /// when it has waited long enough.
    pub fn next_look(since: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let age = now.since(since);
        (age < Self::WAITS).then(|| now.after((age / 4).clamp(Self::FIRST_LOOK, Self::LAST_LOOK)))
    }

    /// The version of the account after a note.
    #[must_use]
    pub fn stored(self) -> Self {
        Self { version: self.version + 1, ..self }
    }

    /// Whether a note of the confirmation is recent enough to rely on.
    pub fn is_known_confirmed(&self, now: Timestamp) -> bool {
        self.mail == MailState::Confirmed
            && self.confirmed_at.is_some_and(|noted| now.since(noted) < NOTE_LASTS)
    }

    /// The recipient after SNS was asked. `None` when nothing is to be noted.
    pub fn noted(&self, state: SubscriptionState, now: Timestamp) -> Option<Self> {
        let (mail, confirmed_at) = noted(self.mail, self.confirmed_at, state, now);
        let changed = mail != self.mail || confirmed_at != self.confirmed_at;
        changed.then(|| Self { mail, confirmed_at, ..self.clone() })
    }
}

/// The state of the mail, and the time of the note, after SNS has answered. A subscription that is gone was ended by
/// its customer if it was confirmed before. Otherwise it lapsed, or is too new to be seen.
fn noted(
    mail: MailState,
    confirmed_at: Option<Timestamp>,
    state: SubscriptionState,
    now: Timestamp,
) -> (MailState, Option<Timestamp>) {
    match (mail, state) {
        (MailState::Off, _) | (MailState::Pending, SubscriptionState::Pending | SubscriptionState::Gone) => {
            (mail, confirmed_at)
        }
        (MailState::Confirmed, SubscriptionState::Confirmed)
            if confirmed_at.is_some_and(|noted| now.since(noted) < NOTE_AGAIN_AFTER) =>
        {
            (mail, confirmed_at)
        }
        (_, SubscriptionState::Confirmed) => (MailState::Confirmed, Some(now)),
        (MailState::Confirmed, SubscriptionState::Pending) => (MailState::Pending, None),
        (MailState::Confirmed, SubscriptionState::Gone) => (MailState::Off, None),
    }
}

/// How a registration changed an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Registering {
    /// Nothing is to be written. Holds the account as it is.
    Same(UserAccount),
    /// The customer is new, or returns after an erasure. Holds the account to store.
    New(UserAccount),
    /// Holds the account to store.
    Changed(UserAccount),
}

impl UserAccount {
    /// The account of a customer who registers for the first time. `order_topic_arn` begins the name of their topic.
    pub fn open(user_id: UserId, asked: Registration, order_topic_arn: &str, now: Timestamp) -> Self {
        let Registration { name, email, token_at, wish } = asked;
        let mut account = Self {
            user_id,
            version: 1,
            address_version: 1,
            address_token_at: token_at.unwrap_or(0),
            address_changes: AddressChanges::default(),
            retired: Vec::new(),
            todo: None,
            customer: None,
        };
        let mail = if wish == Some(MailWish::Off) { MailState::Off } else { MailState::Pending };
        account.customer = Some(CustomerData::new(name, email, mail, now));
        account.give_topic(order_topic_arn, now);
        account
    }

    /// The account after one more registration.
    ///
    /// The address changes only by a token that is newer than every one before. So an old token, which may come from
    /// another device or an attacker, never brings an old address back.
    ///
    /// # Errors
    /// [`Error::AddressChangedTooOften`] after five changes in one day, [`Error::AddressChangePending`] while three older
    /// topics are being deleted, [`Error::TokenBeforeErasure`] for a token from before the erasure.
    pub fn register(
        &self,
        asked: &Registration,
        order_topic_arn: &str,
        now: Timestamp,
    ) -> Result<Registering, Error> {
        let newer = asked.token_at.is_some_and(|at| at > self.address_token_at);
        let mut after = self.clone();
        after.version += 1;
        after.address_token_at = self.address_token_at.max(asked.token_at.unwrap_or(0));
        let Some(customer) = &mut after.customer else {
            if !newer {
                return Err(Error::TokenBeforeErasure);
            }
            after.count_change(now)?;
            let mail = if asked.wish == Some(MailWish::Off) { MailState::Off } else { MailState::Pending };
            after.customer = Some(CustomerData::new(asked.name.clone(), asked.email.clone(), mail, now));
            after.give_topic(order_topic_arn, now);
            return Ok(Registering::New(after));
        };
        customer.name = asked.name.clone();
        match (asked.wish, customer.mail) {
            (Some(MailWish::Off), _) => customer.mail = MailState::Off,
            (Some(MailWish::On), MailState::Off) => {
                customer.mail = MailState::Pending;
                customer.confirmed_at = None;
            }
            (Some(MailWish::On) | None, _) => {}
        }
        if newer && customer.email != asked.email {
            customer.email = asked.email.clone();
            if customer.mail != MailState::Off {
                customer.mail = MailState::Pending;
            }
            (customer.asked_at, customer.subscription_arn, customer.confirmed_at) = (None, None, None);
            let retired = customer.topic_arn.take();
            after.retire(retired, now);
            after.address_version += 1;
            after.count_change(now)?;
        }
        after.give_topic(order_topic_arn, now);
        let same = Self { version: after.version, ..self.clone() } == after;
        Ok(if same { Registering::Same(self.clone()) } else { Registering::Changed(after) })
    }

    /// The account after its customer has left: a tombstone, which keeps no name and no address. It keeps what stops an
    /// old token from bringing an address back. `None` when nobody is registered.
    pub fn erase(&self, now: Timestamp) -> Option<Self> {
        let topic_arn = self.customer.as_ref()?.topic_arn.clone();
        let mut after = Self { customer: None, ..self.clone() };
        after.version += 1;
        after.address_version += 1;
        after.address_token_at = self.address_token_at.max(now.unix_seconds());
        after.retire(topic_arn, now);
        Some(after)
    }

    /// The account that asks its address to confirm once more, on the same topic.
    #[must_use]
    pub fn ask_again(&self, now: Timestamp) -> Self {
        let mut after = self.clone();
        after.version += 1;
        if let Some(customer) = &mut after.customer {
            customer.asked_at = Some(now);
            customer.subscription_arn = None;
            after.todo = Some(Todo::at(now.after(TODO_AFTER)));
        }
        after
    }

    /// The time since the address was last asked to confirm, or was about to be.
    pub fn since_asked(&self, now: Timestamp) -> Duration {
        let asked_at = self.customer.as_ref().and_then(|customer| customer.asked_at);
        asked_at.map_or(Duration::MAX, |asked| now.since(asked))
    }

    /// The subscription whose state matters. `None` when there is none, or no mail is wanted.
    pub fn to_look_at(&self) -> Option<&str> {
        let customer = self.customer.as_ref().filter(|customer| customer.mail != MailState::Off)?;
        customer.subscription_arn.as_deref()
    }

    /// Whether the customer wants no mail, or has ended it.
    pub fn is_off(&self) -> bool {
        self.customer.as_ref().is_some_and(|customer| customer.mail == MailState::Off)
    }

    /// Whether the address is not known to be confirmed.
    pub fn is_pending(&self) -> bool {
        self.customer.as_ref().is_some_and(|customer| customer.mail == MailState::Pending)
    }

    /// Whether the write that replaced `before` left work at SNS: to ask the address, or to delete a topic. The caller who
    /// made that write does the work, and no other caller within a minute.
    pub fn is_to_finish(&self, before: Option<&Self>) -> bool {
        let asked =
            |account: &Self| account.customer.as_ref().map(|one| (one.asked_at, one.topic_arn.clone()));
        let asks = self.to_subscribe().is_some() && before.and_then(asked) != asked(self);
        asks || self.retired.len() > before.map_or(0, |before| before.retired.len())
    }

    /// Whether an earlier attempt to ask the address was interrupted, and a new one is due.
    pub fn may_retry(&self, now: Timestamp) -> bool {
        let waits = self.todo.as_ref().is_some_and(|todo| todo.tries > 0 && todo.at > now);
        self.to_subscribe().is_some() && self.since_asked(now) >= TODO_AFTER && !waits
    }

    /// The topic and the address to subscribe. `None` when there is a subscription, or no mail is wanted.
    pub fn to_subscribe(&self) -> Option<(&str, &EmailAddress)> {
        let customer = self.customer.as_ref()?;
        if customer.mail == MailState::Off || customer.subscription_arn.is_some() {
            return None;
        }
        Some((customer.topic_arn.as_deref()?, &customer.email))
    }

    /// Whether the account's current topic is this one.
    pub fn names(&self, topic_arn: &str) -> bool {
        self.customer.as_ref().is_some_and(|customer| customer.topic_arn.as_deref() == Some(topic_arn))
    }

    /// The account after one attempt to finish it: every retired topic of `deleted` is deleted, and `subscription_arn` is
    /// the address's subscription. `None` when that changes nothing.
    pub fn finished(
        &self,
        deleted: &[RetiredTopic],
        subscription_arn: Option<&str>,
        now: Timestamp,
    ) -> Option<Self> {
        let mut after = self.clone();
        after.version += 1;
        if let (Some(customer), Some(arn)) = (&mut after.customer, subscription_arn) {
            customer.subscription_arn = Some(arn.to_owned());
        }
        after.retired.retain(|topic| !(deleted.contains(topic) && now.since(topic.at) >= RETIREMENT));
        let undeleted = after.retired.iter().any(|topic| !deleted.contains(topic));
        after.todo = if undeleted || after.to_subscribe().is_some() {
            let tries = self.todo.as_ref().map_or(0, |todo| todo.tries);
            Some(Todo { tries: tries + 1, ..Todo::at(now.after(todo_wait(tries))) })
        } else {
            after.retired.iter().map(|topic| topic.at.after(RETIREMENT)).min().map(Todo::at)
        };
        let same = Self { version: after.version, ..self.clone() } == after;
        (!same).then_some(after)
    }

    /// The account that the sweeper is about to finish. Another run leaves it alone for a while. A customer who wants mail
    /// and has no topic gets one here: recovery takes away the topics of another stack (`docs/recovery.md`).
    #[must_use]
    pub fn claimed(&self, order_topic_arn: &str, now: Timestamp) -> Self {
        let tries = self.todo.as_ref().map_or(0, |todo| todo.tries);
        let mut after = Self { version: self.version + 1, ..self.clone() };
        after.give_topic(order_topic_arn, now);
        after.todo = Some(Todo { tries, ..Todo::at(now.after(todo_wait(tries))) });
        if after.to_subscribe().is_some()
            && let Some(customer) = &mut after.customer
        {
            customer.asked_at = Some(now);
        }
        after
    }

    /// The account after SNS was asked about its subscription. `None` when nothing is to be noted.
    pub fn noted(&self, state: SubscriptionState, now: Timestamp) -> Option<Self> {
        let customer = self.customer.as_ref()?;
        let (mail, confirmed_at) = noted(customer.mail, customer.confirmed_at, state, now);
        let mut after = self.clone();
        after.version += 1;
        if let Some(customer) = &mut after.customer {
            if (mail, confirmed_at) == (customer.mail, customer.confirmed_at) {
                return None;
            }
            (customer.mail, customer.confirmed_at) = (mail, confirmed_at);
        }
        Some(after)
    }

    /// The customer as they may see themselves. `state` is what SNS says of their subscription. `None` after an erasure.
    pub fn seen(&self, state: Option<SubscriptionState>) -> Option<User> {
        let customer = self.customer.as_ref()?;
        let mail = match state {
            Some(state) => noted(customer.mail, customer.confirmed_at, state, customer.created_at).0,
            None => customer.mail,
        };
        let notifications = match mail {
            MailState::Off => Notifications::Off,
            MailState::Confirmed => Notifications::Confirmed,
            // An attempt to ask the address has found no room at SNS.
            MailState::Pending
                if self.to_subscribe().is_some() && self.todo.as_ref().is_some_and(|todo| todo.tries > 0) =>
            {
                Notifications::Unavailable
            }
            MailState::Pending => Notifications::Pending,
        };
        Some(User {
            user_id: self.user_id.clone(),
            name: customer.name.clone(),
            email: customer.email.clone(),
            notifications,
            created_at: customer.created_at,
        })
    }

    /// Names the topic of an address that is to be mailed and has none. No name is used twice: within an account the
    /// address's version differs, and after a restore of the table the time does.
    fn give_topic(&mut self, order_topic_arn: &str, now: Timestamp) {
        let name = format!("{}\0{}\0{now}", self.user_id, self.address_version);
        let Some(customer) = &mut self.customer else { return };
        if customer.mail == MailState::Off || customer.subscription_arn.is_some() {
            return;
        }
        if customer.topic_arn.is_none() {
            let id = Uuid::new_v5(&NAMESPACE, name.as_bytes());
            customer.topic_arn = Some(format!("{order_topic_arn}{OF_CUSTOMER}{id}"));
            customer.asked_at = Some(now);
            self.todo = None;
        }
        if self.todo.is_none() {
            self.todo = Some(Todo::at(now.after(TODO_AFTER)));
        }
    }

    fn retire(&mut self, topic_arn: Option<String>, now: Timestamp) {
        if let Some(topic_arn) = topic_arn {
            self.retired.push(RetiredTopic { topic_arn, at: now });
            self.todo = Some(Todo::at(now.after(TODO_AFTER)));
        }
    }

    /// Counts one change of the address, unless it is one too many.
    fn count_change(&mut self, now: Timestamp) -> Result<(), Error> {
        let day = now.day();
        let before = if self.address_changes.day == day { self.address_changes.count } else { 0 };
        if before >= MAX_ADDRESS_CHANGES {
            return Err(Error::AddressChangedTooOften { retry_after: now.until_next_day() });
        }
        if self.retired.len() > MAX_RETIRED {
            let oldest = self.retired.iter().map(|topic| topic.at.after(RETIREMENT)).min().unwrap_or(now);
            return Err(Error::AddressChangePending { retry_after: oldest.since(now) });
        }
        self.address_changes = AddressChanges { day, count: before + 1 };
        Ok(())
    }
}

impl CustomerData {
    fn new(name: Name, email: EmailAddress, mail: MailState, now: Timestamp) -> Self {
        Self {
            name,
            email,
            created_at: now,
            mail,
            asked_at: None,
            topic_arn: None,
            subscription_arn: None,
            confirmed_at: None,
        }
    }
}

/// The wait until an account is finished again, after `tries` attempts.
fn todo_wait(tries: u32) -> Duration {
    TODO_AFTER.saturating_mul(2_u32.saturating_pow(tries)).min(MAX_TODO_WAIT)
}

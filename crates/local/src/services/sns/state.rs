//! What the local SNS remembers. Every change is written to the store first and only then to memory, one
//! row each, so that after a kill the file holds what was answered. Nothing here checks a parameter.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{FilterPolicy, Limits};
use crate::ground::{DeliveredMail, Mailbox, Store, StoreError};

/// How long an unconfirmed subscription lives: 48 hours, as on AWS ("Amazon SNS supports automatic deletion
/// of unconfirmed subscriptions", 2023).
pub(super) const PENDING_SECONDS: i64 = 48 * 60 * 60;

const TOPIC: &str = "sns_topic";
const SUBSCRIPTION: &str = "sns_subscription";
const STARTS: &str = "sns_starts";

/// One subscription of an address to a topic.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TopicSubscription {
    /// Its ARN.
    pub arn: String,
    /// The topic's ARN.
    pub topic_arn: String,
    /// The address.
    pub endpoint: String,
    /// Which messages reach it; all of them without one.
    pub filter_policy: Option<FilterPolicy>,
    /// The queue of what SNS gives up to deliver. Nothing is ever given up here.
    #[serde(default)]
    pub dead_letters: Option<String>,
    /// Whether the address has confirmed it.
    pub confirmed: bool,
    /// What the confirmation mail carries.
    pub(super) token: String,
    /// When it was made or last asked to confirm, in seconds since the epoch.
    pub(super) asked_at: i64,
    /// Its place in the order of subscribing.
    number: u64,
}

impl TopicSubscription {
    /// Whether SNS would have deleted it by now.
    fn has_lapsed(&self, now: i64) -> bool {
        !self.confirmed && now - self.asked_at >= PENDING_SECONDS
    }
}

pub(super) struct SnsState {
    store: Store,
    /// Subscriptions by topic, in the order they were made, the lapsed ones among them.
    topics: BTreeMap<String, Vec<TopicSubscription>>,
    /// The keys of the topics that are encrypted.
    keys: BTreeMap<String, String>,
    mailbox: Arc<Mailbox>,
    limits: Limits,
    /// How often this state has been opened: makes ids differ from those of an earlier start.
    starts: u64,
    ids: u64,
    subscribed: u64,
}

impl SnsState {
    pub(super) fn load(store: Store, mailbox: Arc<Mailbox>) -> Result<Self, StoreError> {
        let mut topics: BTreeMap<String, Vec<TopicSubscription>> = BTreeMap::new();
        let mut keys = BTreeMap::new();
        for (arn, key) in store.all::<Option<String>>(TOPIC)? {
            keys.extend(key.map(|key| (arn.clone(), key)));
            topics.insert(arn, Vec::new());
        }
        let mut subscriptions: Vec<TopicSubscription> =
            store.all(SUBSCRIPTION)?.into_iter().map(|(_, subscription)| subscription).collect();
        subscriptions.sort_by_key(|subscription| subscription.number);
        let subscribed = subscriptions.last().map_or(0, |last| last.number + 1);
        for subscription in subscriptions {
            topics.entry(subscription.topic_arn.clone()).or_default().push(subscription);
        }
        let starts = store.get::<u64>(STARTS, "sns")?.unwrap_or(0) + 1;
        store.put(STARTS, "sns", &starts)?;
        Ok(Self { store, topics, keys, mailbox, limits: Limits::default(), starts, ids: 0, subscribed })
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    pub(super) fn topics(&self) -> impl Iterator<Item = &str> {
        self.topics.keys().map(String::as_str)
    }

    /// An id that no other call ever gets: derived from a counter, so that a test's run repeats.
    pub(super) fn next_id(&mut self) -> Uuid {
        self.ids += 1;
        let name = format!("orderflow-local/sns/{}/{}", self.starts, self.ids);
        Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes())
    }

    pub(super) fn has_topic(&self, arn: &str) -> bool {
        self.topics.contains_key(arn)
    }

    /// The key that a topic is encrypted with.
    pub(super) fn key_of(&self, arn: &str) -> Option<&str> {
        self.keys.get(arn).map(String::as_str)
    }

    /// Adds a topic, or gives the one that is there another key.
    pub(super) fn add_topic(&mut self, arn: &str, key: Option<&str>) -> Result<(), StoreError> {
        if !self.has_topic(arn) || self.key_of(arn) != key {
            self.store.put(TOPIC, arn, &key)?;
            self.topics.entry(arn.to_owned()).or_default();
            match key {
                Some(key) => self.keys.insert(arn.to_owned(), key.to_owned()),
                None => self.keys.remove(arn),
            };
        }
        Ok(())
    }

    /// Every subscription that SNS has not deleted by now.
    pub(super) fn live(&self, now: i64) -> impl Iterator<Item = &TopicSubscription> {
        self.topics.values().flatten().filter(move |subscription| !subscription.has_lapsed(now))
    }

    /// The live subscriptions of one topic.
    pub(super) fn of_topic(&self, arn: &str, now: i64) -> impl Iterator<Item = &TopicSubscription> {
        self.topics.get(arn).into_iter().flatten().filter(move |subscription| !subscription.has_lapsed(now))
    }

    /// A subscription by its ARN, which starts with its topic's.
    pub(super) fn find(&self, arn: &str, now: i64) -> Option<&TopicSubscription> {
        let (topic_arn, _) = arn.rsplit_once(':')?;
        self.of_topic(topic_arn, now).find(|subscription| subscription.arn == arn)
    }

    /// Adds a pending subscription.
    pub(super) fn subscribe(
        &mut self,
        topic_arn: &str,
        endpoint: &str,
        filter_policy: Option<FilterPolicy>,
        dead_letters: Option<String>,
        now: i64,
    ) -> Result<TopicSubscription, StoreError> {
        self.forget_lapsed(topic_arn, now)?;
        let subscription = TopicSubscription {
            arn: format!("{topic_arn}:{}", self.next_id()),
            topic_arn: topic_arn.to_owned(),
            endpoint: endpoint.to_owned(),
            filter_policy,
            dead_letters,
            confirmed: false,
            token: format!("{}{}", self.next_id().simple(), self.next_id().simple()),
            asked_at: now,
            number: self.subscribed,
        };
        self.store.put(SUBSCRIPTION, &subscription.arn, &subscription)?;
        self.subscribed += 1;
        self.topics.entry(topic_arn.to_owned()).or_default().push(subscription.clone());
        Ok(subscription)
    }

    /// Changes one subscription; one that is not there stays away.
    pub(super) fn change(
        &mut self,
        arn: &str,
        change: impl FnOnce(&mut TopicSubscription),
    ) -> Result<(), StoreError> {
        let found = self.topics.values_mut().flatten().find(|subscription| subscription.arn == arn);
        if let Some(subscription) = found {
            let mut changed = subscription.clone();
            change(&mut changed);
            self.store.put(SUBSCRIPTION, arn, &changed)?;
            *subscription = changed;
        }
        Ok(())
    }

    pub(super) fn unsubscribe(&mut self, arn: &str) -> Result<(), StoreError> {
        self.store.delete(SUBSCRIPTION, arn)?;
        for subscriptions in self.topics.values_mut() {
            subscriptions.retain(|subscription| subscription.arn != arn);
        }
        Ok(())
    }

    pub(super) fn confirm_all(&mut self, now: i64) -> Result<usize, StoreError> {
        let pending: Vec<String> =
            self.live(now).filter(|one| !one.confirmed).map(|one| one.arn.clone()).collect();
        for arn in &pending {
            self.change(arn, |subscription| subscription.confirmed = true)?;
        }
        Ok(pending.len())
    }

    pub(super) fn deliver(&self, mail: DeliveredMail) -> Result<(), StoreError> {
        self.mailbox.deliver(mail)
    }

    fn forget_lapsed(&mut self, topic_arn: &str, now: i64) -> Result<(), StoreError> {
        let Some(subscriptions) = self.topics.get_mut(topic_arn) else { return Ok(()) };
        for lapsed in subscriptions.iter().filter(|subscription| subscription.has_lapsed(now)) {
            self.store.delete(SUBSCRIPTION, &lapsed.arn)?;
        }
        subscriptions.retain(|subscription| !subscription.has_lapsed(now));
        Ok(())
    }
}

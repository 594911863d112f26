//! What the local SNS remembers. Every change is written to the store first and only then to memory, one
//! row each, so that after a kill the file holds what was answered. Nothing here checks a parameter.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    FilterPolicy, Limits,
    feed::Feed,
    quotas::{Hidden, MailRate, NewTopicDelay, Quotas},
};
use crate::ground::{DeliveredMail, Mailbox, Store, StoreError};

/// How long an unconfirmed subscription lives: 48 hours, as on AWS ("Amazon SNS supports automatic deletion
/// of unconfirmed subscriptions", 2023).
pub(super) const PENDING_SECONDS: i64 = 48 * 60 * 60;

const TOPIC: &str = "sns_topic";
const SUBSCRIPTION: &str = "sns_subscription";
const STARTS: &str = "sns_starts";

/// The attributes and tags in the call that makes a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TopicSettings {
    pub(super) display_name: Option<String>,
    /// The key that it is encrypted with.
    pub(super) key: Option<String>,
    pub(super) tags: BTreeMap<String, String>,
}

struct StoredTopic {
    settings: TopicSettings,
    /// Until when other calls do not find it.
    hidden: Option<Hidden>,
}

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
    /// When it became pending or its confirmation was last mailed, in seconds since the epoch.
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
    topics: BTreeMap<String, StoredTopic>,
    /// The topics that the template makes.
    own: BTreeSet<String>,
    /// Subscriptions by topic, in the order they were made, the lapsed ones among them. A pending one outlives its
    /// topic: see [`delete_topic`](Self::delete_topic).
    subscriptions: BTreeMap<String, Vec<TopicSubscription>>,
    mailbox: Arc<Mailbox>,
    feed: Feed,
    limits: Limits,
    quotas: Quotas,
    rate: MailRate,
    new_topics: Option<NewTopicDelay>,
    /// How often this state has been opened: makes ids differ from those of an earlier start.
    starts: u64,
    ids: u64,
    subscribed: u64,
}

impl SnsState {
    pub(super) fn load(store: Store, mailbox: Arc<Mailbox>) -> Result<Self, StoreError> {
        let topics = store.all(TOPIC)?.into_iter();
        let topics = topics.map(|(arn, settings)| (arn, StoredTopic { settings, hidden: None })).collect();
        let mut subscriptions: Vec<TopicSubscription> =
            store.all(SUBSCRIPTION)?.into_iter().map(|(_, subscription)| subscription).collect();
        subscriptions.sort_by_key(|subscription| subscription.number);
        let subscribed = subscriptions.last().map_or(0, |last| last.number + 1);
        let mut by_topic: BTreeMap<String, Vec<TopicSubscription>> = BTreeMap::new();
        for subscription in subscriptions {
            by_topic.entry(subscription.topic_arn.clone()).or_default().push(subscription);
        }
        let starts = store.get::<u64>(STARTS, "sns")?.unwrap_or(0) + 1;
        store.put(STARTS, "sns", &starts)?;
        Ok(Self {
            feed: Feed::load(store.clone())?,
            store,
            topics,
            own: BTreeSet::new(),
            subscriptions: by_topic,
            mailbox,
            limits: Limits::default(),
            quotas: Quotas::default(),
            rate: MailRate::default(),
            new_topics: None,
            starts,
            ids: 0,
            subscribed,
        })
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    pub(super) fn quotas(&self) -> Quotas {
        self.quotas
    }

    pub(super) fn set_quotas(&mut self, quotas: Quotas) {
        self.quotas = quotas;
    }

    pub(super) fn delay_new_topics(&mut self, delay: Option<NewTopicDelay>) {
        self.new_topics = delay;
    }

    pub(super) fn mailbox(&self) -> &Arc<Mailbox> {
        &self.mailbox
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    pub(super) fn feed(&self) -> &Feed {
        &self.feed
    }

    pub(super) fn feed_mut(&mut self) -> &mut Feed {
        &mut self.feed
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

    pub(super) fn topic_count(&self) -> usize {
        self.topics.len()
    }

    /// The attributes and tags that a topic was made with.
    pub(super) fn settings_of(&self, arn: &str) -> Option<&TopicSettings> {
        self.topics.get(arn).map(|topic| &topic.settings)
    }

    /// Whether a call finds this topic: it is there, and a planted delay has passed. A call that does not find it
    /// counts as one of those that [`NewTopicDelay::Calls`] names.
    pub(super) fn finds_topic(&mut self, arn: &str, now: OffsetDateTime) -> bool {
        let Some(topic) = self.topics.get_mut(arn) else { return false };
        topic.hidden = topic.hidden.take().and_then(|hidden| hidden.after_a_call(now));
        topic.hidden.is_none()
    }

    /// Adds a topic, hidden for now if that was planted.
    pub(super) fn add_topic(
        &mut self,
        arn: &str,
        settings: TopicSettings,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        self.store.put(TOPIC, arn, &settings)?;
        let hidden = self.new_topics.map(|delay| delay.from(now));
        self.topics.insert(arn.to_owned(), StoredTopic { settings, hidden });
        Ok(())
    }

    /// Adds a topic of the template, or gives the one that is there this key.
    pub(super) fn ensure_own_topic(&mut self, arn: &str, key: Option<&str>) -> Result<(), StoreError> {
        self.own.insert(arn.to_owned());
        let there = self.settings_of(arn);
        let settings = TopicSettings { key: key.map(str::to_owned), ..there.cloned().unwrap_or_default() };
        if there != Some(&settings) {
            self.store.put(TOPIC, arn, &settings)?;
            self.topics.insert(arn.to_owned(), StoredTopic { settings, hidden: None });
        }
        Ok(())
    }

    /// Whether the template makes this topic.
    pub(super) fn is_own(&self, arn: &str) -> bool {
        self.own.contains(arn)
    }

    /// Removes a topic and its confirmed subscriptions.
    ///
    /// The API reference says that all subscriptions go, and nothing about what becomes of a pending one's link when a
    /// topic of the same name is made again. Here the pending ones stay until they lapse, and such a link confirms:
    /// a caller for whom that is harmless is safe either way.
    pub(super) fn delete_topic(&mut self, arn: &str) -> Result<(), StoreError> {
        for confirmed in self.subscriptions.get(arn).into_iter().flatten().filter(|one| one.confirmed) {
            self.store.delete(SUBSCRIPTION, &confirmed.arn)?;
        }
        self.store.delete(TOPIC, arn)?;
        self.topics.remove(arn);
        if let Some(subscriptions) = self.subscriptions.get_mut(arn) {
            subscriptions.retain(|one| !one.confirmed);
        }
        Ok(())
    }

    /// Every subscription that SNS has not deleted by now.
    pub(super) fn live(&self, now: i64) -> impl Iterator<Item = &TopicSubscription> {
        self.subscriptions.values().flatten().filter(move |subscription| !subscription.has_lapsed(now))
    }

    /// The live subscriptions of one topic.
    pub(super) fn of_topic(&self, arn: &str, now: i64) -> impl Iterator<Item = &TopicSubscription> {
        let of_topic = self.subscriptions.get(arn).into_iter().flatten();
        of_topic.filter(move |subscription| !subscription.has_lapsed(now))
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
        self.subscriptions.entry(topic_arn.to_owned()).or_default().push(subscription.clone());
        Ok(subscription)
    }

    /// Changes one subscription; one that is not there stays away.
    pub(super) fn change(
        &mut self,
        arn: &str,
        change: impl FnOnce(&mut TopicSubscription),
    ) -> Result<(), StoreError> {
        let Some((topic_arn, _)) = arn.rsplit_once(':') else { return Ok(()) };
        let of_topic = self.subscriptions.get_mut(topic_arn).into_iter().flatten();
        let found = of_topic.into_iter().find(|subscription| subscription.arn == arn);
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
        for subscriptions in self.subscriptions.values_mut() {
            subscriptions.retain(|subscription| subscription.arn != arn);
        }
        Ok(())
    }

    pub(super) fn confirm_all(&mut self, now: i64) -> Result<usize, StoreError> {
        let pending = |one: &&TopicSubscription| !one.confirmed && self.topics.contains_key(&one.topic_arn);
        let pending: Vec<String> = self.live(now).filter(pending).map(|one| one.arn.clone()).collect();
        for arn in &pending {
            self.change(arn, |subscription| subscription.confirmed = true)?;
        }
        Ok(pending.len())
    }

    pub(super) fn deliver(&self, mail: DeliveredMail) -> Result<(), StoreError> {
        self.mailbox.deliver(mail)
    }

    /// Mails a message to a subscription, unless that is one too many in this second: then the subscription is pending
    /// again, and nothing says so.
    pub(super) fn deliver_to(
        &mut self,
        subscription_arn: &str,
        mail: DeliveredMail,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        if self.rate.admits(subscription_arn, self.quotas.mails_per_second, now) {
            return self.deliver(mail);
        }
        self.change(subscription_arn, |one| {
            one.confirmed = false;
            one.asked_at = now.unix_timestamp();
        })
    }

    fn forget_lapsed(&mut self, topic_arn: &str, now: i64) -> Result<(), StoreError> {
        let Some(subscriptions) = self.subscriptions.get_mut(topic_arn) else { return Ok(()) };
        for lapsed in subscriptions.iter().filter(|subscription| subscription.has_lapsed(now)) {
            self.store.delete(SUBSCRIPTION, &lapsed.arn)?;
        }
        subscriptions.retain(|subscription| !subscription.has_lapsed(now));
        Ok(())
    }
}

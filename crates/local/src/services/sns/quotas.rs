//! The quotas of an account, and what a test can plant: other quotas, and topics that are visible late. Nothing here
//! outlives the stack.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use time::OffsetDateTime;

/// How much one account may have, and how fast one subscription may be mailed.
///
/// "Amazon SNS endpoints and quotas" (<https://docs.aws.amazon.com/general/latest/gr/sns.html>) names the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quotas {
    /// Standard topics in the account.
    pub topics: usize,
    /// Subscriptions in the account that wait for their confirmation.
    pub pending_subscriptions: usize,
    /// Mails to one subscription in a second; `None` for any number. One more makes the subscription pending again, and
    /// SNS deletes it 48 hours later unless it is confirmed
    /// (<https://docs.aws.amazon.com/sns/latest/dg/sns-email-notifications.html>). Neither the publisher nor the address
    /// is told by the API, and filtered messages do not count
    /// (<https://repost.aws/knowledge-center/sns-email-subscription-disabled>).
    pub mails_per_second: Option<usize>,
}

impl Quotas {
    /// The quotas of a real account.
    pub const OF_AWS: Self =
        Self { topics: 100_000, pending_subscriptions: 5_000, mails_per_second: Some(10) };
}

/// Those of a real account, but for the rate of mails. The workflow does not notice that SNS turned a subscription back to
/// pending, and a script on a laptop orders faster than a customer: its mails would be lost without a word.
impl Default for Quotas {
    fn default() -> Self {
        Self { mails_per_second: None, ..Self::OF_AWS }
    }
}

/// How long calls do not find a topic that was just made. `CreateTopic` and `DeleteTopic` always find it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewTopicDelay {
    /// For so many calls.
    Calls(u32),
    /// For so long on the stack's clock.
    Time(Duration),
}

impl NewTopicDelay {
    pub(super) fn from(self, now: OffsetDateTime) -> Hidden {
        match self {
            Self::Calls(calls) => Hidden::Calls(calls),
            Self::Time(time) => Hidden::Until(now + time),
        }
    }
}

/// Why a topic is not found yet.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hidden {
    Calls(u32),
    Until(OffsetDateTime),
}

impl Hidden {
    /// The delay that remains after one more call. `None` if that call finds the topic.
    pub(super) fn after_a_call(self, now: OffsetDateTime) -> Option<Self> {
        match self {
            Self::Calls(calls) => calls.checked_sub(1).map(Self::Calls),
            Self::Until(time) => (now < time).then_some(self),
        }
    }
}

/// When each subscription was mailed, in the last second.
#[derive(Default)]
pub(super) struct MailRate {
    mailed: HashMap<String, VecDeque<OffsetDateTime>>,
}

impl MailRate {
    /// Whether one more mail fits; it counts if it does.
    pub(super) fn admits(
        &mut self,
        subscription_arn: &str,
        most: Option<usize>,
        now: OffsetDateTime,
    ) -> bool {
        let Some(most) = most else { return true };
        let mailed = self.mailed.entry(subscription_arn.to_owned()).or_default();
        while mailed.front().is_some_and(|at| now - *at >= Duration::from_secs(1)) {
            mailed.pop_front();
        }
        let fits = mailed.len() < most;
        if fits {
            mailed.push_back(now);
        }
        fits
    }
}

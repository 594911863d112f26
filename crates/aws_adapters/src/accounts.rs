//! Finishes what a change of an account left to do at SNS: deletes retired topics, and subscribes the address.
//!
//! `create_user` finishes the change that it has stored, and the sweeper what was left. Both may do so at once.

use domain::{Error, RetiredTopic, Timestamp, UserAccount};

use crate::{StoreOutcome, Subscribed, Topics, Users};

/// The most tries to store a subscription, while others write the account.
const MAX_TRIES: usize = 3;

/// How an attempt to finish an account ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finished {
    /// Nothing is left to do now. Holds the account as it is stored.
    Done(UserAccount),
    /// SNS has no room for a subscription, or a topic could not be deleted. The sweeper tries again. Holds the account as
    /// it is stored.
    Later(UserAccount),
    /// Another caller has changed the address meanwhile. What was made for the old one is deleted.
    Lost,
}

/// Does what an account's `todo` says, and stores the account. Safe to repeat and to run twice at once.
///
/// # Errors
/// That of the first call of SNS that failed, unless it deletes a topic. The account keeps its `todo`.
pub async fn finish(
    users: &Users,
    topics: &Topics,
    account: UserAccount,
    now: Timestamp,
) -> Result<Finished, Error> {
    let mut deleted: Vec<RetiredTopic> = Vec::new();
    for topic in &account.retired {
        match topics.delete(&topic.topic_arn).await {
            Ok(()) => deleted.push(topic.clone()),
            // Nothing is published to it any more, so the new address need not wait.
            Err(error) => tracing::warn!(error = error.chain(), "a retired topic is not deleted yet"),
        }
    }
    let mut made: Option<(String, String)> = None;
    let mut room = true;
    if let Some((topic_arn, email)) = account.to_subscribe() {
        match topics.subscribe(topic_arn, email).await? {
            Subscribed::Made(subscription_arn) => made = Some((topic_arn.to_owned(), subscription_arn)),
            Subscribed::NoRoom => room = false,
        }
    }
    let later = !room || deleted.len() < account.retired.len();
    let mut stored = account;
    for _ in 0..MAX_TRIES {
        let subscription_arn = made.as_ref().map(|(_, arn)| arn.as_str());
        let Some(after) = stored.finished(&deleted, subscription_arn, now) else {
            return Ok(if later { Finished::Later(stored) } else { Finished::Done(stored) });
        };
        if users.store(&after).await? == StoreOutcome::Stored {
            return Ok(if later { Finished::Later(after) } else { Finished::Done(after) });
        }
        let newer = users.get(&stored.user_id).await?;
        match (newer, &made) {
            (Some(newer), None) => stored = newer,
            (Some(newer), Some((topic_arn, _))) if newer.names(topic_arn) => stored = newer,
            (_, Some((topic_arn, _))) => {
                topics.delete(topic_arn).await?;
                return Ok(Finished::Lost);
            }
            (None, None) => return Ok(Finished::Lost),
        }
    }
    // The account's `todo` stays, so the sweeper stores it.
    Ok(Finished::Later(stored))
}

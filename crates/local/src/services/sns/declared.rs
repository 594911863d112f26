//! The subscriptions that the template declares. As in a deployed stack, each is made once: a restart neither mails its
//! confirmation again nor brings back one that its address has ended.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{FilterPolicy, actions, state::SnsState};
use crate::ground::AwsError;

const KIND: &str = "sns_declared";

/// One subscription of the template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredSubscription {
    /// The topic's ARN.
    pub topic_arn: String,
    /// The address.
    pub endpoint: String,
    /// The filter policy, as JSON.
    pub filter_policy: Option<String>,
    /// The ARN of the queue of what cannot be delivered.
    pub dead_letters: Option<String>,
}

/// Makes, changes and ends subscriptions until they are those that are `declared`, by logical id.
pub(super) fn declare(
    state: &mut SnsState,
    declared: &BTreeMap<String, DeclaredSubscription>,
    now: OffsetDateTime,
) -> Result<(), AwsError> {
    let known: BTreeMap<String, DeclaredSubscription> = state.store().all(KIND)?.into_iter().collect();
    for (logical_id, old) in &known {
        let still =
            declared.values().any(|new| (&new.topic_arn, &new.endpoint) == (&old.topic_arn, &old.endpoint));
        if !still {
            end(state, old, now)?;
        }
        if !declared.contains_key(logical_id) {
            state.store().delete(KIND, logical_id)?;
        }
    }
    for (logical_id, new) in declared.iter().filter(|(logical_id, new)| known.get(*logical_id) != Some(*new))
    {
        make(state, new, now)?;
        state.store().put(KIND, logical_id, new)?;
    }
    Ok(())
}

/// A pending subscription cannot be deleted: it lapses.
fn end(state: &mut SnsState, old: &DeclaredSubscription, now: OffsetDateTime) -> Result<(), AwsError> {
    let confirmed = state
        .of_topic(&old.topic_arn, now.unix_timestamp())
        .find(|one| one.endpoint == old.endpoint && one.confirmed)
        .map(|one| one.arn.clone());
    Ok(confirmed.map_or(Ok(()), |arn| state.unsubscribe(&arn))?)
}

/// Changes the address's subscription to the topic where there is one.
fn make(state: &mut SnsState, new: &DeclaredSubscription, now: OffsetDateTime) -> Result<(), AwsError> {
    let filter = new.filter_policy.clone().map(FilterPolicy::try_from).transpose();
    let filter = filter.map_err(|reason| actions::bad_filter(&reason))?;
    let there = state
        .of_topic(&new.topic_arn, now.unix_timestamp())
        .find(|one| one.endpoint == new.endpoint)
        .map(|one| one.arn.clone());
    match there {
        Some(arn) => state.change(&arn, |one| {
            one.filter_policy = filter;
            one.dead_letters.clone_from(&new.dead_letters);
        })?,
        None => {
            actions::make_subscription(
                state,
                &new.topic_arn,
                &new.endpoint,
                filter,
                new.dead_letters.clone(),
                now,
            )?;
        }
    }
    Ok(())
}

//! The SNS API: the parameters of each action, what is wrong with them, and what the action does. Messages
//! follow those of AWS where those are known, and name what is supported where AWS supports more.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{
    FilterPolicy, Limits, TopicSubscription,
    feed::FeedItem,
    invalid_parameter, not_found,
    state::{SnsState, TopicSettings},
};
use crate::ground::{ACCOUNT, AwsError, DeliveredMail, MailKind, is_address, timestamp};

const SUPPORTED: &str = "CreateTopic, DeleteTopic, Subscribe, Unsubscribe, GetSubscriptionAttributes, ConfirmSubscription, Publish";
/// The largest message with its attributes, in bytes, as on AWS.
const MAX_MESSAGE_BYTES: usize = 262_144;
/// Subjects are shorter than this, as on AWS.
const SUBJECT_LIMIT: usize = 100;
const PENDING: &str = "pending confirmation";
/// The attribute that names a topic's key.
const KEY: &str = "KmsMasterKeyId";
/// The attribute that names a topic to those whom it mails.
const DISPLAY_NAME: &str = "DisplayName";
/// The longest display name, in characters.
const MOST_DISPLAY_NAME_CHARS: usize = 100;

/// Runs one action.
pub(super) fn call(
    state: &mut SnsState,
    action: &str,
    parameters: &Value,
    now: OffsetDateTime,
) -> Result<Value, AwsError> {
    match action {
        "CreateTopic" => create_topic(state, parse(action, parameters)?, now),
        "DeleteTopic" => delete_topic(state, &parse(action, parameters)?),
        "Subscribe" => subscribe(state, parse(action, parameters)?, now),
        "Unsubscribe" => unsubscribe(state, &parse(action, parameters)?, now),
        "GetSubscriptionAttributes" => attributes_of(state, &parse(action, parameters)?, now),
        "ConfirmSubscription" => confirm(state, &parse(action, parameters)?, now),
        "Publish" => publish(state, &parse(action, parameters)?, now),
        other => {
            let message = format!("The action {other} is not valid here: the local SNS supports {SUPPORTED}");
            Err(AwsError::new(400, "InvalidAction", message))
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct CreateTopic {
    name: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default)]
    tags: Vec<TopicTag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct TopicTag {
    key: String,
    value: String,
}

fn create_topic(state: &mut SnsState, wish: CreateTopic, now: OffsetDateTime) -> Result<Value, AwsError> {
    let arn = topic_arn(&wish.name)?;
    let wanted = topic_settings(wish)?;
    let invalid = |reason: &str| Err(invalid_parameter(reason));
    // An attribute that the caller leaves out is not compared.
    if let Some(there) = state.settings_of(&arn) {
        let differs = |wanted: &Option<String>, there: &Option<String>| wanted.is_some() && wanted != there;
        if differs(&wanted.key, &there.key) || differs(&wanted.display_name, &there.display_name) {
            return invalid("Attributes Reason: Topic already exists with different attributes");
        }
        if !wanted.tags.is_empty() && wanted.tags != there.tags {
            return invalid("Tags Reason: Topic already exists with different tags");
        }
        return Ok(json!({ "TopicArn": arn }));
    }
    let most = state.quotas().topics;
    if state.topic_count() >= most {
        return Err(AwsError::new(
            403,
            "TopicLimitExceeded",
            format!("The account has {most} topics already"),
        ));
    }
    state.add_topic(&arn, wanted, now)?;
    Ok(json!({ "TopicArn": arn }))
}

fn topic_settings(wish: CreateTopic) -> Result<TopicSettings, AwsError> {
    let mut settings = TopicSettings::default();
    for (name, value) in wish.attributes {
        match name.as_str() {
            KEY if value.is_empty() => {
                return Err(invalid_parameter(&format!("Attributes Reason: {KEY} names no key")));
            }
            KEY => settings.key = Some(value),
            DISPLAY_NAME if value.chars().count() > MOST_DISPLAY_NAME_CHARS => {
                return Err(invalid_parameter(&format!(
                    "Attributes Reason: {DISPLAY_NAME} has more than {MOST_DISPLAY_NAME_CHARS} characters"
                )));
            }
            DISPLAY_NAME => settings.display_name = Some(value),
            _ => {
                return Err(invalid_parameter(&format!(
                    "Attributes Reason: {name} is not supported, the local SNS supports {KEY} and {DISPLAY_NAME}"
                )));
            }
        }
    }
    settings.tags = wish.tags.into_iter().map(|tag| (tag.key, tag.value)).collect();
    Ok(settings)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct DeleteTopic {
    topic_arn: String,
}

/// "This action is idempotent, so deleting a topic that does not exist does not result in an error" (SNS API
/// reference, `DeleteTopic`).
fn delete_topic(state: &mut SnsState, topic: &DeleteTopic) -> Result<Value, AwsError> {
    state.delete_topic(&topic.topic_arn)?;
    Ok(json!({}))
}

/// Creates the topic unless it exists, and gives it this key.
pub(super) fn ensure_topic(state: &mut SnsState, arn: &str, key: Option<&str>) -> Result<(), AwsError> {
    let prefix = ACCOUNT.arn("sns", "");
    let name = arn
        .strip_prefix(&prefix)
        .ok_or_else(|| invalid_parameter(&format!("TopicArn Reason: {arn} does not start with {prefix}")))?;
    topic_arn(name)?;
    Ok(state.ensure_own_topic(arn, key)?)
}

fn topic_arn(name: &str) -> Result<String, AwsError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 256 || !name.chars().all(allowed) {
        return Err(invalid_parameter(&format!(
            "Topic Name Reason: {name:?} is not 1 to 256 letters, digits, hyphens and underscores \
             (the local SNS has no FIFO topics)"
        )));
    }
    Ok(ACCOUNT.arn("sns", name))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Subscribe {
    topic_arn: String,
    protocol: String,
    endpoint: String,
    #[serde(default)]
    attributes: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "flag")]
    return_subscription_arn: bool,
}

fn subscribe(state: &mut SnsState, wish: Subscribe, now: OffsetDateTime) -> Result<Value, AwsError> {
    let seconds = now.unix_timestamp();
    if wish.protocol != "email" {
        return Err(invalid_parameter(&format!(
            "Protocol Reason: {} is not supported, the local SNS supports email",
            wish.protocol
        )));
    }
    if !is_address(&wish.endpoint) {
        return Err(invalid_parameter("Email address"));
    }
    let Policies { filter: policy, redrive } = policies(wish.attributes)?;
    topic_exists(state, &wish.topic_arn, now)?;

    let existing =
        state.of_topic(&wish.topic_arn, seconds).find(|one| one.endpoint == wish.endpoint).cloned();
    let subscription = match existing {
        // An attribute that the caller leaves out is not compared, as on AWS.
        Some(existing)
            if (policy.is_some() && policy != existing.filter_policy)
                || (redrive.is_some() && redrive != existing.dead_letters) =>
        {
            return Err(invalid_parameter(
                "Attributes Reason: Subscription already exists with different attributes",
            ));
        }
        Some(existing) => {
            if !existing.confirmed {
                state.change(&existing.arn, |one| one.asked_at = seconds)?;
                state.deliver(confirmation_mail(&existing, now))?;
            }
            existing
        }
        None => {
            if policy.is_some() {
                let filtered = |one: &&TopicSubscription| one.filter_policy.is_some();
                let on_topic = state.of_topic(&wish.topic_arn, seconds).filter(filtered).count();
                within_limits(state.limits(), on_topic, state.live(seconds).filter(filtered).count())?;
            }
            make_subscription(state, &wish.topic_arn, &wish.endpoint, policy, redrive, now)?
        }
    };
    let arn =
        if subscription.confirmed || wish.return_subscription_arn { &subscription.arn } else { PENDING };
    Ok(json!({ "SubscriptionArn": arn }))
}

/// Adds a pending subscription and mails its confirmation.
pub(super) fn make_subscription(
    state: &mut SnsState,
    topic_arn: &str,
    endpoint: &str,
    policy: Option<FilterPolicy>,
    redrive: Option<String>,
    now: OffsetDateTime,
) -> Result<TopicSubscription, AwsError> {
    let seconds = now.unix_timestamp();
    let most = state.quotas().pending_subscriptions;
    if state.live(seconds).filter(|one| !one.confirmed).count() >= most {
        let message = format!("The account has {most} pending subscriptions already");
        return Err(AwsError::new(403, "SubscriptionLimitExceeded", message));
    }
    let made = state.subscribe(topic_arn, endpoint, policy, redrive, seconds)?;
    state.deliver(confirmation_mail(&made, now))?;
    Ok(made)
}

/// What the attributes of a subscription say.
#[derive(Default)]
struct Policies {
    filter: Option<FilterPolicy>,
    /// The queue of what cannot be delivered.
    redrive: Option<String>,
}

fn policies(attributes: BTreeMap<String, String>) -> Result<Policies, AwsError> {
    let mut policies = Policies::default();
    for (name, value) in attributes {
        match (name.as_str(), value.as_str()) {
            ("FilterPolicy", _) => {
                policies.filter = Some(FilterPolicy::try_from(value).map_err(|reason| bad_filter(&reason))?);
            }
            ("RedrivePolicy", policy) => policies.redrive = Some(dead_letters(policy)?),
            ("FilterPolicyScope", "MessageAttributes") => {}
            (name, value) => {
                return Err(invalid_parameter(&format!(
                    "Attributes Reason: {name} = {value} is not supported, the local SNS supports FilterPolicy, \
                     RedrivePolicy and FilterPolicyScope = MessageAttributes"
                )));
            }
        }
    }
    Ok(policies)
}

pub(super) fn bad_filter(reason: &str) -> AwsError {
    invalid_parameter(&format!("Attributes Reason: FilterPolicy: {reason}"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RedrivePolicy {
    dead_letter_target_arn: String,
}

/// The queue that a redrive policy names: in the same account and region, and no FIFO queue, since the topics are none.
fn dead_letters(policy: &str) -> Result<String, AwsError> {
    let invalid = |reason: &str| invalid_parameter(&format!("RedrivePolicy: {reason}"));
    let policy: RedrivePolicy = serde_json::from_str(policy)
        .map_err(|_unreadable| invalid("is not a JSON object with deadLetterTargetArn and nothing else"))?;
    let arn = policy.dead_letter_target_arn;
    let prefix = ACCOUNT.arn("sqs", "");
    match arn.strip_prefix(&prefix) {
        // Only a FIFO queue's name has a dot in it.
        Some(name) if !name.is_empty() && !name.contains([':', '.']) => Ok(arn),
        _ => Err(invalid(&format!(
            "deadLetterTargetArn {arn} is not that of a standard queue, {prefix}<name>"
        ))),
    }
}

/// Whether one more filter policy fits, beside those that there are.
fn within_limits(limits: Limits, on_topic: usize, in_account: usize) -> Result<(), AwsError> {
    for (there, limit, of) in
        [(on_topic, limits.per_topic, "a topic"), (in_account, limits.per_account, "an account")]
    {
        if there >= limit {
            let message = format!("Filter policy limit exceeded: {limit} for {of}");
            return Err(AwsError::new(403, "FilterPolicyLimitExceeded", message));
        }
    }
    Ok(())
}

/// The text before the topic, and the text before the token, in a confirmation mail.
const CONFIRM: &str = "aws sns confirm-subscription --topic-arn ";
const TOKEN: &str = " --token ";

/// The content of a confirmation mail, in place of the link in a real one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailedConfirmation {
    /// The address that was asked.
    pub to: String,
    /// The ARN of the topic that it was asked to confirm.
    pub topic_arn: String,
    /// The token that confirms the subscription.
    pub token: String,
}

impl MailedConfirmation {
    pub(super) fn of(mail: &DeliveredMail) -> Option<Self> {
        let (_, command) = mail.body.split_once(CONFIRM)?;
        let (topic_arn, token) = command.trim_end().split_once(TOKEN)?;
        Some(Self { to: mail.to.clone(), topic_arn: topic_arn.to_owned(), token: token.to_owned() })
    }
}

fn confirmation_mail(subscription: &TopicSubscription, now: OffsetDateTime) -> DeliveredMail {
    let TopicSubscription { topic_arn, token, .. } = subscription;
    DeliveredMail {
        kind: MailKind::SubscriptionConfirmation,
        to: subscription.endpoint.clone(),
        subject: "AWS Notification - Subscription Confirmation".to_owned(),
        body: format!(
            "You have chosen to subscribe to the topic:\n{topic_arn}\n\n\
             To confirm this subscription: POST /local/mailbox/confirm-all, which confirms every pending one, or\n\
             {CONFIRM}{topic_arn}{TOKEN}{token}\n"
        ),
        order_id: None,
        status: None,
        at: timestamp(now),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct OneSubscription {
    subscription_arn: String,
}

/// Deletes a confirmed subscription; one that is gone already is no error. A pending one cannot be deleted,
/// as on AWS: it lapses by itself after 48 hours.
fn unsubscribe(state: &mut SnsState, one: &OneSubscription, now: OffsetDateTime) -> Result<Value, AwsError> {
    well_formed(&one.subscription_arn)?;
    match state.find(&one.subscription_arn, now.unix_timestamp()) {
        Some(subscription) if !subscription.confirmed => Err(invalid_parameter(
            "SubscriptionArn Reason: Cannot unsubscribe a subscription that is pending confirmation",
        )),
        Some(_) => {
            state.unsubscribe(&one.subscription_arn)?;
            Ok(json!({}))
        }
        None => Ok(json!({})),
    }
}

fn attributes_of(state: &SnsState, one: &OneSubscription, now: OffsetDateTime) -> Result<Value, AwsError> {
    well_formed(&one.subscription_arn)?;
    let subscription =
        state.find(&one.subscription_arn, now.unix_timestamp()).ok_or_else(|| not_found("Subscription"))?;
    let mut attributes = json!({
        "SubscriptionArn": subscription.arn,
        "TopicArn": subscription.topic_arn,
        "Owner": ACCOUNT.id,
        "Protocol": "email",
        "Endpoint": subscription.endpoint,
        "PendingConfirmation": (!subscription.confirmed).to_string(),
        "ConfirmationWasAuthenticated": "false",
        "RawMessageDelivery": "false",
    });
    if let Some(queue) = &subscription.dead_letters {
        attributes["RedrivePolicy"] = json!(json!({ "deadLetterTargetArn": queue }).to_string());
    }
    if let Some(policy) = &subscription.filter_policy {
        attributes["FilterPolicy"] = json!(policy.as_str());
        attributes["FilterPolicyScope"] = json!("MessageAttributes");
    }
    Ok(json!({ "Attributes": attributes }))
}

/// Clients do send the words `pending confirmation` here.
fn well_formed(subscription_arn: &str) -> Result<(), AwsError> {
    let elements = subscription_arn.split(':').count();
    if elements < 6 {
        return Err(invalid_parameter(&format!(
            "SubscriptionArn Reason: An ARN must have at least 6 elements, not {elements}"
        )));
    }
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Confirm {
    topic_arn: String,
    token: String,
    /// Who may unsubscribe has no meaning without signatures.
    #[serde(default, rename = "AuthenticateOnUnsubscribe")]
    _authenticate_on_unsubscribe: Value,
}

fn confirm(state: &mut SnsState, wish: &Confirm, now: OffsetDateTime) -> Result<Value, AwsError> {
    topic_exists(state, &wish.topic_arn, now)?;
    let mut of_topic = state.of_topic(&wish.topic_arn, now.unix_timestamp());
    let Some(subscription) = of_topic.find(|one| one.token == wish.token) else {
        return Err(invalid_parameter("Token"));
    };
    let arn = subscription.arn.clone();
    drop(of_topic);
    state.change(&arn, |one| one.confirmed = true)?;
    Ok(json!({ "SubscriptionArn": arn }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Publish {
    topic_arn: String,
    message: String,
    subject: Option<String>,
    #[serde(default)]
    message_attributes: BTreeMap<String, MessageAttribute>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct MessageAttribute {
    data_type: String,
    string_value: Option<String>,
}

fn publish(state: &mut SnsState, message: &Publish, now: OffsetDateTime) -> Result<Value, AwsError> {
    if message.message.is_empty() {
        return Err(invalid_parameter("Empty message"));
    }
    if let Some(subject) = &message.subject {
        good_subject(subject)?;
    }
    let attributes = message_attributes(message)?;
    let size = message.message.len()
        + attributes.iter().map(|(name, value)| name.len() + value.len() + "String".len()).sum::<usize>();
    if size > MAX_MESSAGE_BYTES {
        return Err(invalid_parameter(&format!(
            "Message too long: {size} bytes, at most {MAX_MESSAGE_BYTES}"
        )));
    }
    topic_exists(state, &message.topic_arn, now)?;

    let reaches = |one: &&TopicSubscription| {
        one.confirmed && one.filter_policy.as_ref().is_none_or(|policy| policy.matches(&attributes))
    };
    let to: Vec<(String, String)> = state
        .of_topic(&message.topic_arn, now.unix_timestamp())
        .filter(reaches)
        .map(|one| (one.arn.clone(), one.endpoint.clone()))
        .collect();
    for (subscription_arn, to) in to {
        let mail = DeliveredMail {
            kind: MailKind::OrderStatus,
            to,
            subject: message.subject.clone().unwrap_or_else(|| "AWS Notification Message".to_owned()),
            body: message.message.clone(),
            order_id: attributes.get("order_id").cloned(),
            status: attributes.get("status").cloned(),
            at: timestamp(now),
        };
        state.deliver_to(&subscription_arn, mail, now)?;
    }
    if state.is_own(&message.topic_arn) {
        let text = &message.message;
        state.feed_mut().push(FeedItem {
            topic: message.topic_arn.clone(),
            message: serde_json::from_str(text).unwrap_or_else(|_text| Value::from(text.as_str())),
            attributes,
            at: timestamp(now),
        })?;
    }
    Ok(json!({ "MessageId": state.next_id().to_string() }))
}

/// "Subjects must be ASCII text that begins with a letter, number, or punctuation mark; must not include line
/// breaks or control characters; and must be less than 100 characters long" (SNS API reference, Publish).
fn good_subject(subject: &str) -> Result<(), AwsError> {
    let printable = subject.chars().all(|c| c.is_ascii_graphic() || c == ' ');
    if !printable || subject.starts_with(' ') || subject.is_empty() || subject.len() >= SUBJECT_LIMIT {
        return Err(invalid_parameter(
            "Subject Reason: it is not 1 to 99 printable ASCII characters that begin with a letter, number or \
             punctuation mark",
        ));
    }
    Ok(())
}

fn message_attributes(message: &Publish) -> Result<BTreeMap<String, String>, AwsError> {
    let mut attributes = BTreeMap::new();
    for (name, attribute) in &message.message_attributes {
        let invalid = |reason: &str| {
            Err(invalid_parameter(&format!("MessageAttributes Reason: the attribute {name} {reason}")))
        };
        if attribute.data_type != "String" {
            return invalid(&format!("has type {}, the local SNS supports String", attribute.data_type));
        }
        match &attribute.string_value {
            Some(value) if !value.is_empty() => attributes.insert(name.clone(), value.clone()),
            _ => return invalid("must contain a non-empty value"),
        };
    }
    Ok(attributes)
}

fn topic_exists(state: &mut SnsState, arn: &str, now: OffsetDateTime) -> Result<(), AwsError> {
    if state.finds_topic(arn, now) { Ok(()) } else { Err(not_found("Topic")) }
}

/// Parameters that an action does not have are refused with those it has.
fn parse<T: DeserializeOwned>(action: &str, parameters: &Value) -> Result<T, AwsError> {
    T::deserialize(parameters)
        .map_err(|fault| invalid_parameter(&format!("the local SNS, {action}: {fault}")))
}

/// A boolean, as JSON has it or as the Query protocol spells it.
fn flag<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    let value = Value::deserialize(value)?;
    let spelled = value.as_str().and_then(|text| text.parse().ok());
    value
        .as_bool()
        .or(spelled)
        .ok_or_else(|| serde::de::Error::custom(format!("{value} is neither true nor false")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_filter_policy_more_than_the_limit_is_refused() {
        let limits = Limits::default();
        assert_eq!(within_limits(limits, 199, 9_999), Ok(()));
        for (on_topic, in_account, of) in [(200, 200, "200 for a topic"), (0, 10_000, "10000 for an account")]
        {
            let refused = within_limits(limits, on_topic, in_account).unwrap_err();
            assert_eq!((refused.status, refused.code.as_str()), (403, "FilterPolicyLimitExceeded"));
            assert!(refused.message.contains(of), "{}", refused.message);
        }
    }
}

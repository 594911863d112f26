//! Users in `UsersTable`. The only rows that hold a person's name and address.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    operation::{delete_item::DeleteItemError, put_item::PutItemError, update_item::UpdateItemError},
    types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use domain::{EmailAddress, Error, Name, Notifications, Timestamp, User, UserId};
use serde::{Deserialize, Serialize};

use crate::{
    batch::Wanted,
    failure::{failed, incomplete, unreadable},
};

type Item = HashMap<String, AttributeValue>;

/// The attributes that are read for a [`Recipient`]. Name and address are not among them.
const OF_RECIPIENT: &str = "user_id, topic_arn";

/// The key of the row that remembers the newest overflow topic. No user id holds a space.
const OVERFLOW: &str = "overflow topics";

/// The users of one table.
#[derive(Clone, Debug)]
pub struct Users {
    client: Client,
    table: String,
}

/// A user's row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserRow {
    /// Who.
    pub user_id: UserId,
    /// What they are called.
    pub name: Name,
    /// Where mail goes.
    pub email: EmailAddress,
    /// When they registered.
    pub created_at: Timestamp,
    /// Their subscription, once it is made.
    #[serde(flatten)]
    pub subscription: Option<Subscription>,
}

impl UserRow {
    /// The user as they may see themselves.
    pub fn seen(self, notifications: Notifications) -> User {
        let Self { user_id, name, email, created_at, subscription: _ } = self;
        User { user_id, name, email, notifications, created_at }
    }
}

/// A subscription to a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscription {
    /// The topic.
    pub topic_arn: String,
    /// The subscription. An emulator may say `pending confirmation` here.
    pub subscription_arn: String,
}

/// What the workflow may know of a user: no name, no address.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Recipient {
    /// The topic that reaches them, if one does.
    #[serde(default)]
    pub topic_arn: Option<String>,
}

/// How registering ended.
#[derive(Clone, Debug)]
pub enum Registered {
    /// The user is new.
    New,
    /// The user was there.
    Exists(UserRow),
}

impl Users {
    /// The users in `table`.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Opens the connection with one read of a row that is not there, in init, where it costs no request its time.
    /// Whether it can be opened is the first request's business.
    pub async fn connect(&self) {
        let nobody = AttributeValue::S("-".to_owned());
        let _unreachable = self.client.get_item().table_name(&self.table).key("user_id", nobody).send().await;
    }

    /// Stores a user who is not there yet.
    pub async fn register(&self, user: &UserRow) -> Result<Registered, Error> {
        const DOING: &str = "registering a user";
        let item: Item = serde_dynamo::to_item(user).map_err(unreadable(DOING))?;
        let answer = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(user_id)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match answer {
            Ok(_stored) => Ok(Registered::New),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(existing)) => Ok(Registered::Exists(
                    user_row(existing.item().cloned().ok_or_else(|| incomplete(DOING))?)?,
                )),
                _ => Err(failed(DOING)(error)),
            },
        }
    }

    /// One user, read consistently.
    pub async fn get(&self, user_id: &UserId) -> Result<Option<UserRow>, Error> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("user_id", AttributeValue::S(user_id.to_string()))
            .consistent_read(true)
            .send()
            .await
            .map_err(failed("reading a user"))?;
        answer.item.map(user_row).transpose()
    }

    /// Notes a registered user's name, address and subscription, of which the last two belong together.
    pub async fn note(&self, user: &UserRow) -> Result<UserRow, Error> {
        const DOING: &str = "noting a user's subscription";
        let text = |value: &str| AttributeValue::S(value.to_owned());
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("user_id", text(user.user_id.as_str()))
            .condition_expression("attribute_exists(user_id)")
            .expression_attribute_names("#name", "name")
            .expression_attribute_values(":name", text(user.name.as_str()))
            .expression_attribute_values(":email", text(user.email.as_str()))
            .return_values(ReturnValue::AllNew);
        let update = match &user.subscription {
            Some(Subscription { topic_arn, subscription_arn }) => update
                .update_expression(
                    "SET #name = :name, email = :email, topic_arn = :topic, subscription_arn = :subscription",
                )
                .expression_attribute_values(":topic", text(topic_arn))
                .expression_attribute_values(":subscription", text(subscription_arn)),
            None => update
                .update_expression("SET #name = :name, email = :email REMOVE topic_arn, subscription_arn"),
        };
        let answer = update.send().await.map_err(failed(DOING))?;
        user_row(answer.attributes.ok_or_else(|| incomplete(DOING))?)
    }

    /// What the workflow may know of one user, read consistently.
    pub async fn recipient(&self, user_id: &UserId) -> Result<Option<Recipient>, Error> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("user_id", AttributeValue::S(user_id.to_string()))
            .projection_expression(OF_RECIPIENT)
            .consistent_read(true)
            .send()
            .await
            .map_err(failed("reading a customer"))?;
        answer.item.map(Recipient::read).transpose()
    }

    /// Erases a user. One who is gone, be it by this very call when its acknowledgement was lost, counts as erased.
    pub async fn erase(&self, user_id: &UserId) -> Result<(), Error> {
        let answer = self
            .client
            .delete_item()
            .table_name(&self.table)
            .key("user_id", AttributeValue::S(user_id.to_string()))
            .condition_expression("attribute_exists(user_id)")
            .send()
            .await;
        match answer {
            Ok(_erased) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(failed("erasing a user")(error)),
            },
        }
    }

    /// The table and the key under which a batch finds a [`Recipient`].
    pub(crate) fn recipient_key(&self, user_id: &UserId) -> (String, Wanted) {
        let key = HashMap::from([("user_id".to_owned(), AttributeValue::S(user_id.to_string()))]);
        (self.table.clone(), Wanted { keys: vec![key], projection: Some(OF_RECIPIENT) })
    }
}

/// An overflow topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Overflow {
    /// 2 for the first one.
    #[serde(rename = "newest")]
    pub(crate) number: u32,
    /// Its ARN.
    pub(crate) topic_arn: String,
}

impl Users {
    /// The newest overflow topic that anybody has made.
    pub(crate) async fn newest_overflow(&self) -> Result<Option<Overflow>, Error> {
        const DOING: &str = "reading the newest overflow topic";
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("user_id", AttributeValue::S(OVERFLOW.to_owned()))
            .consistent_read(true)
            .send()
            .await
            .map_err(failed(DOING))?;
        answer.item.map(|row| serde_dynamo::from_item(row).map_err(unreadable(DOING))).transpose()
    }

    /// Notes an overflow topic, unless a newer one is noted already.
    pub(crate) async fn note_overflow(&self, topic: &Overflow) -> Result<(), Error> {
        const DOING: &str = "noting an overflow topic";
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("user_id", AttributeValue::S(OVERFLOW.to_owned()))
            .update_expression("SET newest = :number, topic_arn = :topic")
            .condition_expression("attribute_not_exists(newest) OR newest < :number")
            .expression_attribute_values(":number", AttributeValue::N(topic.number.to_string()))
            .expression_attribute_values(":topic", AttributeValue::S(topic.topic_arn.clone()))
            .send()
            .await;
        match answer {
            Ok(_noted) => Ok(()),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(()),
                _ => Err(failed(DOING)(error)),
            },
        }
    }
}

impl Recipient {
    pub(crate) fn read(item: Item) -> Result<Self, Error> {
        serde_dynamo::from_item(item).map_err(unreadable("reading a customer"))
    }
}

fn user_row(item: Item) -> Result<UserRow, Error> {
    serde_dynamo::from_item(item).map_err(unreadable("reading a user's row"))
}

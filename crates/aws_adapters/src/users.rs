//! Accounts in `UsersTable`. The only rows that hold a person's name and address.
//!
//! Every write replaces a version that was read. Whoever loses reads again: no write is lost or made twice.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    operation::{put_item::PutItemError, update_item::UpdateItemError},
    types::{AttributeValue, ReturnValuesOnConditionCheckFailure},
};
use domain::{Error, Recipient, TODO_SHARD, Timestamp, UserAccount, UserId};

use crate::{
    batch::{Wanted, read_batch},
    failure::{failed, incomplete, unreadable},
    transaction::write,
};

type Item = HashMap<String, AttributeValue>;

/// The attributes that are read for a [`Recipient`]. Name and address are not among them.
const OF_RECIPIENT: &str = "user_id, version, mail, topic_arn, subscription_arn, confirmed_at";

/// The attribute that tells one write from another.
const MARK: &str = "write_mark";

/// The accounts of one table.
#[derive(Clone, Debug)]
pub struct Users {
    client: Client,
    table: String,
}

/// Whether a write replaced the version that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreOutcome {
    /// The account is stored.
    Stored,
    /// Another caller has written the account since it was read. Nothing was written.
    Lost,
}

impl Users {
    /// The accounts in `table`.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// One account, read consistently. It may be the tombstone of an erased customer.
    pub async fn get(&self, user_id: &UserId) -> Result<Option<UserAccount>, Error> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("user_id", AttributeValue::S(user_id.to_string()))
            .consistent_read(true)
            .send()
            .await
            .map_err(failed("reading a user"))?;
        answer.item.map(account).transpose()
    }

    /// Stores an account on the condition that the version before it is the stored one, or that none is stored when this
    /// is the first.
    ///
    /// A repeat by the SDK, after a lost acknowledgement, finds its own version stored. A random mark tells it from
    /// another caller's.
    pub async fn store(&self, account: &UserAccount) -> Result<StoreOutcome, Error> {
        const DOING: &str = "storing a user";
        let mut item: Item = serde_dynamo::to_item(account).map_err(unreadable(DOING))?;
        let mark = AttributeValue::S(format!("{:032x}", fastrand::u128(..)));
        item.insert(MARK.to_owned(), mark.clone());
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let put = if account.version == 1 {
            put.condition_expression("attribute_not_exists(user_id)")
        } else {
            put.condition_expression("version = :before")
                .expression_attribute_values(":before", AttributeValue::N((account.version - 1).to_string()))
        };
        match write(DOING, || put.clone().send()).await? {
            Ok(_stored) => Ok(StoreOutcome::Stored),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(stored)) => {
                    let ours = stored.item().and_then(|item| item.get(MARK)) == Some(&mark);
                    Ok(if ours { StoreOutcome::Stored } else { StoreOutcome::Lost })
                }
                _ => Err(failed(DOING)(error)),
            },
        }
    }

    /// Notes what SNS said of a recipient's subscription, unless the account has changed since it was read.
    pub async fn note(&self, user_id: &UserId, noted: &Recipient) -> Result<StoreOutcome, Error> {
        const DOING: &str = "noting the state of a subscription";
        let state = serde_dynamo::to_attribute_value(noted.mail).map_err(unreadable(DOING))?;
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("user_id", AttributeValue::S(user_id.to_string()))
            .condition_expression("version = :read")
            .expression_attribute_values(":read", AttributeValue::N(noted.version.to_string()))
            .expression_attribute_values(":next", AttributeValue::N((noted.version + 1).to_string()))
            .expression_attribute_values(":state", state);
        let update = match noted.confirmed_at {
            Some(at) => update
                .update_expression("SET mail = :state, version = :next, confirmed_at = :at")
                .expression_attribute_values(":at", AttributeValue::S(at.to_string())),
            None => update.update_expression("SET mail = :state, version = :next REMOVE confirmed_at"),
        };
        match write(DOING, || update.clone().send()).await? {
            Ok(_noted) => Ok(StoreOutcome::Stored),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(StoreOutcome::Lost),
                _ => Err(failed(DOING)(error)),
            },
        }
    }

    /// One recipient, read consistently. `None` when nobody is registered.
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
        Ok(answer.item.map(recipient).transpose()?.flatten())
    }

    /// Recipients by user id, 100 users at most, read consistently. Users who are not registered are left out.
    pub async fn recipients(&self, user_ids: &[UserId]) -> Result<HashMap<UserId, Recipient>, Error> {
        const DOING: &str = "reading customers";
        let mut recipients = HashMap::new();
        if user_ids.is_empty() {
            return Ok(recipients);
        }
        let keys = user_ids
            .iter()
            .map(|id| HashMap::from([("user_id".to_owned(), AttributeValue::S(id.to_string()))]))
            .collect();
        let wanted = Wanted { keys, projection: Some(OF_RECIPIENT) };
        let found = read_batch(&self.client, [(self.table.clone(), wanted)]).await?;
        for row in found.into_values().flatten() {
            let id = row.get("user_id").and_then(|id| id.as_s().ok()).cloned();
            let user_id = UserId::try_from(id.ok_or_else(|| incomplete(DOING))?)?;
            if let Some(recipient) = recipient(row)? {
                recipients.insert(user_id, recipient);
            }
        }
        Ok(recipients)
    }

    /// Lists the accounts that are due to be finished at `now`, `limit` at most, the longest due first. The index may lag
    /// behind the table.
    pub async fn todo(&self, now: Timestamp, limit: u16) -> Result<Vec<UserId>, Error> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("by_todo")
            .key_condition_expression("todo_shard = :shard AND todo_at <= :now")
            .expression_attribute_values(":shard", AttributeValue::S(TODO_SHARD.to_owned()))
            .expression_attribute_values(":now", AttributeValue::S(now.to_string()))
            .limit(i32::from(limit))
            .send()
            .await
            .map_err(failed("looking for users to finish"))?;
        let ids = answer.items().iter().filter_map(|row| row.get("user_id")?.as_s().ok().cloned());
        ids.map(UserId::try_from).collect()
    }

    /// The table and the key under which a batch finds a [`Recipient`].
    pub(crate) fn recipient_key(&self, user_id: &UserId) -> (String, Wanted) {
        let key = HashMap::from([("user_id".to_owned(), AttributeValue::S(user_id.to_string()))]);
        (self.table.clone(), Wanted { keys: vec![key], projection: Some(OF_RECIPIENT) })
    }
}

/// The recipient in a row. `None` for a tombstone, which has no state of mail.
pub(crate) fn recipient(item: Item) -> Result<Option<Recipient>, Error> {
    if !item.contains_key("mail") {
        return Ok(None);
    }
    serde_dynamo::from_item(item).map(Some).map_err(unreadable("reading a customer"))
}

fn account(item: Item) -> Result<UserAccount, Error> {
    const DOING: &str = "reading a user's row";
    let registered = item.contains_key("email");
    let account: UserAccount = serde_dynamo::from_item(item).map_err(unreadable(DOING))?;
    // A part of the customer's data that cannot be read must not look like an erasure.
    if registered == account.customer.is_some() { Ok(account) } else { Err(incomplete(DOING)) }
}

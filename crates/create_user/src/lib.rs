//! `POST /users {name}`: registers the caller and subscribes their verified address to the mail about their own
//! orders. Id and address come from the token, never from the body. `DELETE /users/me` undoes both.
//!
//! Safe to repeat at every point: the row comes first, and a user whose subscription is missing, unconfirmed or for
//! an old address is subscribed again.

use aws_adapters::{
    Registered, Subscribed, TopicWiring, Topics, UserRow, Users, Wish, database, notifications,
};
use domain::{Error, Name, Notifications};
use lambda_shell::{Caller, Clock, Count, Door, Env, Request, Response, SdkConfig, SetupFault};

/// The function of `POST /users` and `DELETE /users/me`.
#[derive(Debug)]
pub struct CreateUser {
    users: Users,
    topics: Topics,
    clock: Clock,
}

impl CreateUser {
    /// Makes the function from its environment: `USERS_TABLE`, `ORDER_TOPIC_ARN`, `ORDER_TOPIC_KEY` and
    /// `DEAD_LETTERS_ARN`.
    pub async fn new(env: &Env, config: &SdkConfig) -> Result<Self, SetupFault> {
        let [users_table, first_arn, key_id, dead_letters_arn] =
            env.read(["USERS_TABLE", "ORDER_TOPIC_ARN", "ORDER_TOPIC_KEY", "DEAD_LETTERS_ARN"])?;
        let users = Users::new(database(config), users_table);
        users.connect().await;
        let wiring = TopicWiring { first_arn, key_id, dead_letters_arn };
        Ok(Self { users, topics: Topics::new(notifications(config), wiring), clock: Clock::of(config) })
    }
}

impl Door for CreateUser {
    async fn handle(&self, request: Request) -> Result<Response, Error> {
        let caller = request.caller()?;
        match request.route.as_str() {
            "POST /users" => self.register(&request, caller).await,
            "DELETE /users/me" => self.erase(&caller).await,
            _ => Err(Error::NotFound("route")),
        }
    }
}

impl CreateUser {
    /// Orders are kept, under the id alone.
    async fn erase(&self, caller: &Caller) -> Result<Response, Error> {
        let user = self.users.get(&caller.user_id).await?.ok_or(Error::NotFound("user"))?;
        // Should anything fail after this, the row still says what to end: a repeat does the rest.
        if let Some(subscription) = &user.subscription {
            self.topics.unsubscribe(subscription).await?;
        }
        self.users.erase(&caller.user_id).await?;
        Ok(Response::empty())
    }

    async fn register(&self, request: &Request, caller: Caller) -> Result<Response, Error> {
        let email = caller.verified_email()?;
        let mut body = request.body()?;
        let name = body.text("name");
        let (name,): (Name,) = body.finish((name,))?;

        let created_at = self.clock.now();
        let wanted = UserRow { user_id: caller.user_id, name, email, created_at, subscription: None };
        let (before, new) = match self.users.register(&wanted).await? {
            Registered::New => (wanted.clone(), true),
            Registered::Exists(row) => (row, false),
        };
        let mut row =
            UserRow { created_at: before.created_at, subscription: before.subscription.clone(), ..wanted };
        let notifications = self.subscribe(&mut row, &before, new).await?;
        if row != before {
            row = self.users.note(&row).await?;
        }
        let status = if new { 201 } else { 200 };
        let response = Response::json(status, &row.seen(notifications))?;
        Ok(if new { response.header("location", "/users/me") } else { response })
    }

    /// Gives `row` a subscription for its address, and answers the state of that subscription.
    async fn subscribe(
        &self,
        row: &mut UserRow,
        before: &UserRow,
        new: bool,
    ) -> Result<Notifications, Error> {
        let mut wish = Wish::Any;
        if let Some(subscription) = row.subscription.take() {
            if row.email != before.email {
                // First of all the old address must stop receiving this user's mail, so its subscription is ended. One
                // that is not confirmed yet cannot be ended: the link in its mail could still confirm it. So the user
                // gets another topic, and nothing of theirs is published to the old one any more.
                if !self.topics.unsubscribe(&subscription).await? {
                    wish = Wish::Avoid(subscription.topic_arn);
                }
            } else if self.topics.state_of(&subscription).await? == Notifications::Confirmed {
                row.subscription = Some(subscription);
                return Ok(Notifications::Confirmed);
            } else {
                wish = Wish::Again(subscription.topic_arn);
            }
        }
        match self.topics.subscribe(&self.users, &row.user_id, &row.email, &wish).await? {
            Subscribed::Full => {
                lambda_shell::count(Count::EmailsUnavailable, 1);
                Ok(Notifications::Unavailable)
            }
            Subscribed::Made(subscription) => {
                // A repeat may have found a subscription that was confirmed long ago.
                let state =
                    if new { Notifications::Pending } else { self.topics.state_of(&subscription).await? };
                row.subscription = Some(subscription);
                Ok(state)
            }
        }
    }
}

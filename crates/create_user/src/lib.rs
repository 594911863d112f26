//! `POST /users {name, notifications?}`: registers the caller, and subscribes their verified address to a topic of their
//! own. Id and address come from the token, never from the body. `DELETE /users/me` undoes both.
//!
//! The rules are in `domain::account`. Here each step is stored before SNS is called, on the condition that nobody has
//! changed the account since it was read. The sweeper finishes a registration that was interrupted.

use aws_adapters::{
    Finished, Orders, StoreOutcome, TopicWiring, Topics, Users, connect_database, connect_notifications,
    database, finish, notifications,
};
use domain::{
    ASK_AGAIN_AFTER, Error, MailWish, Name, Notifications, Registering, Registration, SubscriptionState,
    Timestamp, UserAccount,
};
use lambda_shell::{Caller, Clock, Count, Door, Env, Request, Response, SdkConfig, SetupFault};

/// The most tries of a request while others write the same account.
const MAX_TRIES: usize = 5;

/// The function of `POST /users` and `DELETE /users/me`.
#[derive(Debug)]
pub struct CreateUser {
    users: Users,
    orders: Orders,
    topics: Topics,
    order_topic_arn: String,
    clock: Clock,
}

impl CreateUser {
    /// Makes the function from its environment: `USERS_TABLE`, `ORDERS_TABLE`, `ORDER_TOPIC_ARN`, `STACK_NAME`,
    /// `DEAD_LETTERS_ARN` and `CUSTOMER_TOPIC_KEY`, which is empty when the topics have no key.
    pub async fn new(env: &Env, config: &SdkConfig) -> Result<Self, SetupFault> {
        // Read first and checked last, so that the fault names every missing variable.
        let key_id = env.read_or_empty("CUSTOMER_TOPIC_KEY");
        let [users_table, orders_table, order_topic_arn, stack, dead_letters_arn] =
            env.read(["USERS_TABLE", "ORDERS_TABLE", "ORDER_TOPIC_ARN", "STACK_NAME", "DEAD_LETTERS_ARN"])?;
        let (client, topics) = (database(config), notifications(config));
        // A first registration makes a topic. Every call reads the account.
        tokio::join!(connect_database(&client), connect_notifications(&topics));
        let wiring = TopicWiring { stack, key_id: key_id?, dead_letters_arn };
        Ok(Self {
            users: Users::new(client.clone(), users_table),
            orders: Orders::new(client, orders_table),
            topics: Topics::new(topics, wiring),
            order_topic_arn,
            clock: Clock::of(config),
        })
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
        for _ in 0..MAX_TRIES {
            let now = self.clock.now();
            let account = self.users.get(&caller.user_id).await?;
            let erased = account.and_then(|account| account.erase(now)).ok_or(Error::NotFound("user"))?;
            if self.users.store(&erased).await? == StoreOutcome::Stored {
                // The customer is erased, whatever comes now. The sweeper deletes a topic that stays.
                if let Err(error) = finish(&self.users, &self.topics, erased, now).await {
                    tracing::warn!(
                        error = error.chain(),
                        "the topic of a customer who left is not deleted yet"
                    );
                }
                return Ok(Response::empty());
            }
        }
        Err(contended())
    }

    async fn register(&self, request: &Request, caller: Caller) -> Result<Response, Error> {
        let email = caller.verified_email()?;
        let mut body = request.body()?;
        let (name, wish) = (body.text("name"), body.optional_text("notifications"));
        let (name, wish): (Name, Option<MailWish>) = body.finish((name, wish))?;
        let asked = Registration { name, email, token_at: caller.token_at(), wish };

        let mut new = false;
        for _ in 0..MAX_TRIES {
            let now = self.clock.now();
            let before = self.users.get(&caller.user_id).await?;
            let registering = match &before {
                None => Registering::New(UserAccount::open(
                    caller.user_id.clone(),
                    asked.clone(),
                    &self.order_topic_arn,
                    now,
                )),
                Some(account) => account.register(&asked, &self.order_topic_arn, now)?,
            };
            let created = matches!(registering, Registering::New(_));
            let (account, changed) = match registering {
                Registering::Same(account) => (account, false),
                Registering::New(account) | Registering::Changed(account) => (account, true),
            };
            if changed && self.users.store(&account).await? == StoreOutcome::Lost {
                continue;
            }
            new |= created;
            // A later round reads the account as another caller has left it.
            let finishes = account.is_to_finish(before.as_ref());
            let Some((account, state)) = self.subscribe(account, wish, finishes, now).await? else {
                continue;
            };
            let Some(user) = account.seen(state) else { continue };
            if user.notifications == Notifications::Unavailable {
                lambda_shell::count(Count::EmailsUnavailable, 1);
            }
            let response = Response::json(if new { 201 } else { 200 }, &user)?;
            return Ok(if new { response.header("location", "/users/me") } else { response });
        }
        Err(contended())
    }

    /// Sees to the subscription of an account that is stored. With `finishes` this request has left work at SNS, which it
    /// does now. Answers the account, and what SNS says of its subscription. `None` when another caller has changed the
    /// account meanwhile.
    async fn subscribe(
        &self,
        account: UserAccount,
        wish: Option<MailWish>,
        finishes: bool,
        now: Timestamp,
    ) -> Result<Option<(UserAccount, Option<SubscriptionState>)>, Error> {
        let subscription = account.to_look_at().map(str::to_owned);
        let (mut account, state) = match subscription {
            None => (account, None),
            Some(subscription_arn) => {
                let state = self.topics.state_of(&subscription_arn).await?;
                let Some(account) = self.note(account, state, now).await? else { return Ok(None) };
                if wish == Some(MailWish::On) && account.is_off() {
                    // The customer had ended it by a mail's link. The next round turns it on again.
                    return Ok(None);
                }
                (account, Some(state))
            }
        };
        let again = match state {
            Some(SubscriptionState::Confirmed) => {
                // What waited for the confirmation need not wait for the sweeper's next look.
                if let Err(error) = self.orders.release_waiting(&account.user_id, now).await {
                    tracing::warn!(
                        error = error.chain(),
                        "orders wait for the sweeper to see the confirmation"
                    );
                }
                false
            }
            Some(SubscriptionState::Pending) => account.since_asked(now) >= ASK_AGAIN_AFTER,
            // The customer has ended it, and wants it back. Or it lapsed, or is too new to be seen.
            Some(SubscriptionState::Gone) => {
                account.is_pending()
                    && (wish == Some(MailWish::On) || account.since_asked(now) >= ASK_AGAIN_AFTER)
            }
            None => !finishes && account.may_retry(now),
        };
        if again {
            account = account.ask_again(now);
            if self.users.store(&account).await? == StoreOutcome::Lost {
                return Ok(None);
            }
        }
        if !again && !finishes {
            return Ok(Some((account, state)));
        }
        Ok(match finish(&self.users, &self.topics, account, now).await? {
            Finished::Done(account) | Finished::Later(account) => {
                let state = state.filter(|_| !again);
                Some((account, state))
            }
            Finished::Lost => None,
        })
    }

    /// Notes what SNS said. `None` when another caller has changed the account meanwhile.
    async fn note(
        &self,
        account: UserAccount,
        state: SubscriptionState,
        now: Timestamp,
    ) -> Result<Option<UserAccount>, Error> {
        let Some(noted) = account.noted(state, now) else { return Ok(Some(account)) };
        match self.users.store(&noted).await? {
            StoreOutcome::Stored => Ok(Some(noted)),
            StoreOutcome::Lost => Ok(None),
        }
    }
}

fn contended() -> Error {
    Error::Unavailable {
        doing: "writing a user",
        source: "others wrote the same user for as long as this was tried".into(),
    }
}

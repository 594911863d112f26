//! Looks at the orders whose mail waits until their customer confirms the address.
//!
//! Waiting is no fault: it uses no attempt and raises no alarm. SNS is asked once for each customer, however many of
//! their orders wait.

use std::collections::{BTreeMap, HashMap};

use aws_adapters::{StoreOutcome, WaitingOrder, subscription_state};
use domain::{Error, MailState, Recipient, UserId};
use futures_util::{StreamExt as _, stream};
use lambda_shell::Count;
use tokio::time::Instant;

use crate::{End, SweepOrders, Swept};

/// The most waiting orders that one run looks at.
const PER_RUN: u16 = 500;

/// The customers that are read in one batch.
const BATCH: usize = 100;

/// The number of customers whose orders are looked at at the same time.
const AT_ONCE: usize = 8;

/// What a look has found out about a customer.
enum Look {
    /// The address is confirmed, and that is noted.
    Confirmed,
    /// The address is not confirmed yet.
    Pending,
    /// The customer wants no mail, or has left.
    Off,
    /// SNS or the table did not answer.
    Failed,
}

impl SweepOrders {
    /// Looks at the waiting orders whose time has come.
    pub(crate) async fn look_at_waiting(&self, last_claim: Instant, swept: &mut Swept) -> Result<(), Error> {
        if Instant::now() >= last_claim {
            return Ok(());
        }
        let now = self.clock.now();
        let mut by_customer: BTreeMap<UserId, Vec<WaitingOrder>> = BTreeMap::new();
        for order in self.orders.waiting(now, PER_RUN).await? {
            by_customer.entry(order.user_id.clone()).or_default().push(order);
        }
        let customers: Vec<UserId> = by_customer.keys().cloned().collect();
        let mut recipients: HashMap<UserId, Recipient> = HashMap::new();
        for some in customers.chunks(BATCH) {
            recipients.extend(self.users.recipients(some).await?);
        }
        let looks = by_customer.into_iter().map(|(user_id, orders)| {
            let recipient = recipients.remove(&user_id);
            self.look(user_id, recipient, orders, last_claim)
        });
        let mut ended = stream::iter(looks).buffer_unordered(AT_ONCE);
        while let Some(looked) = ended.next().await {
            swept.looked_at += looked.at;
            swept.unmailed += looked.unmailed;
            looked.resumed.into_iter().for_each(|end| swept.add(end));
        }
        Ok(())
    }

    /// Looks at all orders of one customer.
    async fn look(
        &self,
        user_id: UserId,
        recipient: Option<Recipient>,
        orders: Vec<WaitingOrder>,
        last_claim: Instant,
    ) -> Looked {
        let mut looked = Looked::default();
        if Instant::now() >= last_claim {
            return looked;
        }
        let look = self.ask(&user_id, recipient).await;
        for order in orders {
            if Instant::now() >= last_claim {
                break;
            }
            looked.at += 1;
            let now = self.clock.now();
            let written = match look {
                Look::Confirmed => {
                    let claimed = self.orders.claim_waiting(&order, now).await;
                    looked.resumed.push(self.resume(order.order_id, claimed).await);
                    continue;
                }
                Look::Pending => match Recipient::next_look(order.since, now) {
                    Some(look_at) => self.orders.wait_on(&order, look_at).await,
                    None => self.leave(&order, &mut looked).await,
                },
                Look::Off => self.leave(&order, &mut looked).await,
                // A fault is the order's own again, with its attempts and its alarm.
                Look::Failed => self.orders.end_waiting(&order, now).await,
            };
            if let Err(error) = written {
                tracing::warn!(order_id = %order.order_id, error = error.chain(), "a waiting order stays as it is");
            }
        }
        looked
    }

    /// Gives up the mail about an order.
    async fn leave(&self, order: &WaitingOrder, looked: &mut Looked) -> Result<(), Error> {
        if self.orders.leave_unmailed(order).await? {
            lambda_shell::count(Count::EmailsUndelivered, 1);
            tracing::info!(order_id = %order.order_id, "the mail about this order is given up: nobody confirmed");
            looked.unmailed += 1;
        }
        Ok(())
    }

    /// Finds out whether a customer is mailed now, and notes it.
    async fn ask(&self, user_id: &UserId, recipient: Option<Recipient>) -> Look {
        let now = self.clock.now();
        let Some(recipient) = recipient else { return Look::Off };
        if recipient.is_known_confirmed(now) {
            return Look::Confirmed;
        }
        if recipient.mail == MailState::Off {
            return Look::Off;
        }
        let Some(subscription_arn) = &recipient.subscription_arn else { return Look::Pending };
        let noted = match subscription_state(&self.notifications, subscription_arn).await {
            Ok(state) => recipient.noted(state, now),
            Err(error) => return failed(&error),
        };
        let Some(noted) = noted else { return Look::Pending };
        match self.users.note(user_id, &noted).await {
            Ok(StoreOutcome::Stored) => match noted.mail {
                MailState::Confirmed => Look::Confirmed,
                MailState::Pending => Look::Pending,
                MailState::Off => Look::Off,
            },
            // Another caller has changed the account. The next look reads it anew.
            Ok(StoreOutcome::Lost) => Look::Pending,
            Err(error) => failed(&error),
        }
    }
}

fn failed(error: &Error) -> Look {
    tracing::warn!(error = error.chain(), "a waiting customer's address could not be looked at");
    Look::Failed
}

/// What a look at one customer's orders did.
#[derive(Default)]
struct Looked {
    at: usize,
    unmailed: usize,
    resumed: Vec<End>,
}

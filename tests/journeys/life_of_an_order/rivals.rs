//! Two callers command the same order at once. Exactly one wins, and over many seeds each side wins at times. The loser
//! is told why, and the books are right.
//!
//! Every status is mailed once here, since only these two work on the order.

use std::{sync::Arc, time::Duration};

use asl::Execution;
use domain::OrderId;
use futures_util::future::join;
use local::{aws::Fault, services::lambda::Invocation};
use serde_json::Value;
use tokio::sync::Notify;

use crate::world::{
    Customer, Mailed, Reply, Shop, each_of, faults::sends_mail, requests::without_mailed_at, seeds,
    waiting::DUE,
};

const SKU: &str = "TEA-1";

/// Among so many seeds both outcomes must occur.
const MANY: usize = 20;

/// Checks that each side won at times, which shows that the calls did interleave.
fn both_won(winners: &[&str]) {
    let mut names = winners.to_vec();
    names.sort_unstable();
    names.dedup();
    assert!(names.len() > 1 || winners.len() < MANY, "of {} races, {names:?} won all", winners.len());
}

/// A shop with ten units, a customer, and an order of two.
async fn order(seed: u64) -> (Shop, Customer, String) {
    let shop = Shop::open_with(seed).await.stocked(SKU, 10).await;
    let ada = shop.customer("Ada").await;
    let placed = shop.place(&ada, "key-1", &[(SKU, 2)]).await;
    assert_eq!((placed.status, placed.body["status"].as_str()), (201, Some("CONFIRMED")), "{placed:?}");
    let id = placed.order_id().to_owned();
    (shop, ada, id)
}

/// Checks that the order has this history, that the books balance, and that every status was mailed once.
async fn ended(shop: &Shop, order_id: &str, history: &[&str]) {
    assert_eq!(shop.audit_settled(Mailed::Once).await.statuses(order_id), history);
}

/// The winner of two. The winner was answered 200, and the loser one of `lost`.
fn winner<'a>(
    (one, first): (&'a str, &Reply),
    (other, second): (&'a str, &Reply),
    lost: &[(u16, &str)],
) -> &'a str {
    let (won, loser) = match (first.status, second.status) {
        (200, status) if status != 200 => (one, second),
        (status, 200) if status != 200 => (other, first),
        _ => panic!("one must win: {first:?} {second:?}"),
    };
    assert!(lost.contains(&loser.problem()), "{loser:?}");
    won
}

#[test]
fn of_a_cancellation_and_a_shipment_one_wins() {
    let winners = each_of(seeds(), async |seed| {
        let (shop, ada, id) = order(seed).await;

        let (cancelled, shipped) =
            join(shop.cancel(&ada, &id), shop.patch(&shop.admin, &id, "SHIPPED", 2)).await;

        let lost = [(409, "illegal_transition"), (412, "stale_version")];
        let winner = winner(("CANCELLED", &cancelled), ("SHIPPED", &shipped), &lost);
        ended(&shop, &id, &["PENDING", "CONFIRMED", winner]).await;
        assert_eq!(shop.stock(SKU).await, if winner == "SHIPPED" { (8, 0) } else { (10, 0) });
        winner
    });
    both_won(&winners);
}

#[test]
fn of_two_cancellations_by_owner_and_admin_one_wins_and_the_stock_goes_back_once() {
    let winners = each_of(seeds(), async |seed| {
        let (shop, ada, id) = order(seed).await;

        let (owner, admin) = join(shop.cancel(&ada, &id), shop.cancel(&shop.admin, &id)).await;

        let winner = winner(("owner", &owner), ("admin", &admin), &[(409, "illegal_transition")]);
        ended(&shop, &id, &["PENDING", "CONFIRMED", "CANCELLED"]).await;
        assert_eq!(shop.stock(SKU).await, (10, 0));
        winner
    });
    both_won(&winners);
}

#[test]
fn of_two_cancellations_by_the_owner_both_succeed_and_one_is_announced() {
    each_of(seeds(), async |seed| {
        let (shop, ada, id) = order(seed).await;

        let (one, other) = join(shop.cancel(&ada, &id), shop.cancel(&ada, &id)).await;

        assert_eq!((one.status, other.status), (200, 200), "{one:?} {other:?}");
        // The loser may have read the order before the winner's mail was noted.
        assert_eq!(without_mailed_at(&one.body), without_mailed_at(&other.body));
        ended(&shop, &id, &["PENDING", "CONFIRMED", "CANCELLED"]).await;
        assert_eq!(shop.stock(SKU).await, (10, 0));
    });
}

#[test]
fn of_two_admins_who_have_read_the_same_version_one_wins() {
    let winners = each_of(seeds(), async |seed| {
        let (shop, _ada, id) = order(seed).await;
        let (ann, ben) = (shop.another_admin("Ann"), shop.another_admin("Ben"));
        let goals = [("SHIPPED", "SHIPPED"), ("SHIPPED", "CANCELLED")];
        let (of_ann, of_ben) = goals[usize::from(seed % 2 == 0)];

        let (first, second) = join(shop.patch(&ann, &id, of_ann, 2), shop.patch(&ben, &id, of_ben, 2)).await;

        let winner = winner(("Ann", &first), ("Ben", &second), &[(412, "stale_version")]);
        let status = if winner == "Ann" { of_ann } else { of_ben };
        ended(&shop, &id, &["PENDING", "CONFIRMED", status]).await;
        assert_eq!(shop.stock(SKU).await, if status == "SHIPPED" { (8, 0) } else { (10, 0) });
        winner
    });
    both_won(&winners);
}

#[test]
fn a_cancellation_that_meets_the_confirmation_comes_before_it_or_after_it() {
    let histories = each_of(seeds(), async |seed| {
        let shop = Shop::open_with(seed).await.stocked(SKU, 10).await;
        let ada = shop.customer("Ada").await;
        let id = id(&ada, "key-1");
        let cancel = async {
            loop {
                // The answer is 404 until the order is stored.
                let reply = shop.cancel(&ada, &id).await;
                if reply.status != 404 {
                    return reply;
                }
            }
        };

        let (placed, cancelled) = join(shop.place(&ada, "key-1", &[(SKU, 2)]), cancel).await;

        assert_eq!((placed.status, cancelled.status), (201, 200), "{placed:?} {cancelled:?}");
        assert_eq!(placed.order_id(), id);
        // If each e-mail was noted while the other was unsent, the order stays due for a minute without an unsent
        // e-mail.
        shop.sweep_when_due().await;
        let confirmed = shop.books().await.statuses(&id).len() == 3;
        let history: &[&str] =
            if confirmed { &["PENDING", "CONFIRMED", "CANCELLED"] } else { &["PENDING", "CANCELLED"] };
        ended(&shop, &id, history).await;
        assert_eq!(shop.stock(SKU).await, (10, 0));
        if confirmed { "after" } else { "before" }
    });
    both_won(&histories);
}

#[test]
fn of_two_sweepers_one_resumes_an_order() {
    for interrupted in ["UpdateStatus", "MailCustomer"] {
        let seen = each_of(seeds(), async |seed| {
            let (shop, id) = left(seed, interrupted).await;
            shop.wait(DUE);

            let (one, other) = join(shop.sweep(), shop.sweep()).await;

            let (one, other) = (swept(&one), swept(&other));
            assert_eq!(one["resumed"].as_u64().zip(other["resumed"].as_u64()).map(|(a, b)| a + b), Some(1));
            ended(&shop, &id, &["PENDING", "CONFIRMED"]).await;
            if one["due"] == 1 && other["due"] == 1 { "both saw it" } else { "one saw it" }
        });
        assert!(seen.contains(&"both saw it") || seen.len() < MANY, "no two sweepers met");
    }
}

#[test]
fn of_a_sweeper_and_an_admin_one_resumes_an_order() {
    let winners = each_of(seeds(), async |seed| {
        let (shop, id) = left(seed, "MailCustomer").await;
        shop.wait(DUE);

        let admin = async {
            // The sweeper queries four other shards first.
            for _ in 0..seed % 40 {
                tokio::task::yield_now().await;
            }
            shop.resume(&shop.admin, &id).await
        };
        let (sweeper, admin) = join(shop.sweep(), admin).await;

        ended(&shop, &id, &["PENDING", "CONFIRMED"]).await;
        match (swept(&sweeper)["resumed"].as_u64(), admin.problem()) {
            (Some(1), (409, "nothing_due")) => "sweeper",
            (Some(0), (202, "")) => "admin",
            _ => panic!("one must win: {sweeper:?} {admin:?}"),
        }
    });
    both_won(&winners);
}

#[test]
fn of_two_admins_one_resumes_an_order_that_was_given_up() {
    let winners = each_of(seeds(), async |seed| {
        let (shop, id) = left(seed, "MailCustomer").await;
        shop.fail_mails();
        shop.sweep_until_given_up().await;
        shop.heal();
        assert_eq!(shop.books().await.given_up(), [id.as_str()]);
        let (ann, ben) = (shop.another_admin("Ann"), shop.another_admin("Ben"));

        let (first, second) = join(shop.resume(&ann, &id), shop.resume(&ben, &id)).await;

        ended(&shop, &id, &["PENDING", "CONFIRMED"]).await;
        match (first.problem(), second.problem()) {
            ((202, ""), (409, "nothing_due")) => "Ann",
            ((409, "nothing_due"), (202, "")) => "Ben",
            _ => panic!("one must win: {first:?} {second:?}"),
        }
    });
    both_won(&winners);
}

/// An execution ends after 20 s, and its order is due after 60 s. They meet only if a clock jumps. Even then one of
/// them makes each transition. An e-mail that is not noted as sent yet may be sent twice.
#[test]
fn a_sweeper_that_meets_the_live_workflow_takes_nothing_away_from_it() {
    let winners = each_of(seeds(), async |seed| {
        let shop = Shop::open_with(seed).await.stocked(SKU, 10).await;
        let ada = shop.customer("Ada").await;
        let id = id(&ada, "key-1");
        // The sweeper queries four other shards first. The slow call lets it arrive before the confirmation or the
        // note.
        let slow = ["", "TransactWriteItems", "Publish"][usize::try_from(seed % 3).expect("a number")];
        let second = Fault::Delay(Duration::from_secs(1));
        shop.plant(move |call| (call.operation == slow).then(|| second.clone()));
        let sweep = async {
            while shop.get(&format!("/orders/{id}"), &ada).await.status == 404 {}
            shop.sweep_when_due().await;
        };

        let (placed, ()) = join(shop.place(&ada, "key-1", &[(SKU, 2)]), sweep).await;

        assert_eq!(placed.status, 201, "{placed:?}");
        // An order that the sweeper claimed and found finished is noted as finished a minute later.
        shop.sweep_when_due().await;
        let books = shop.books().await;
        books.balance();
        assert_eq!(books.statuses(&id), ["PENDING", "CONFIRMED"]);
        let told: Vec<_> = shop.stack.aws().executions().into_iter().filter(|run| published(run)).collect();
        books.are_settled(Mailed::AtLeastOnce { repeats: told.len() - 1 });
        // The live workflow announces its own transition. The sweeper also announces one that is not noted as mailed.
        let (by_sweeper, live): (Vec<_>, Vec<_>) =
            told.iter().partition(|run| run.input["command"] == "resume");
        assert!(by_sweeper.len() <= 1 && live.len() <= 1, "{told:?}");
        match (by_sweeper.len(), live.len()) {
            (0, 1) => "the live workflow",
            (1, 0) => "the sweeper",
            _ => {
                let found = by_sweeper[0].states.iter().find(|state| state.name == "UpdateStatus");
                let found = found.and_then(|state| state.output.as_ref()).expect("an order");
                let placing =
                    live[0].states.iter().find(|state| state.name == "MailCustomer").expect("a mail");
                let noted = placing.left.expect("it was sent");
                let by = by_sweeper[0].started;
                assert!(by <= noted, "the sweeper began before it was noted: {by} {noted} {found}");
                "both"
            }
        }
    });
    both_won(&winners);
}

/// An order that was left PENDING is due. Its customer repeats the request while the sweeper runs.
#[test]
fn of_a_repeated_request_and_the_sweeper_one_confirms_and_announces_a_pending_order() {
    let winners = each_of(seeds(), async |seed| {
        let (shop, id) = left(seed, "UpdateStatus").await;
        let ada = shop.signed_in("Ada");
        // The e-mail takes a while. Meanwhile the other side sees an order that is announced and not noted as sent.
        let while_ = Fault::Delay(Duration::from_millis(seed % 50));
        shop.plant(move |call| sends_mail(call).then(|| while_.clone()));

        let (again, ()) = join(shop.place(&ada, "key-1", &[(SKU, 2)]), shop.sweep_when_due()).await;

        assert_eq!(again.status, 200, "{again:?}");
        shop.sweep_when_due().await;
        ended(&shop, &id, &["PENDING", "CONFIRMED"]).await;
        let runs = shop.stack.aws().executions();
        let told = runs.iter().find(|run| published(run)).expect("an execution announced it");
        if told.input["command"] == "resume" { "the sweeper" } else { "the repeated request" }
    });
    both_won(&winners);
}

/// An order is due, since its e-mail failed. Its resumption is started twice, as the SDK does when the first start is
/// not acknowledged. Meanwhile the order is shipped.
#[test]
fn a_resumption_that_is_started_twice_does_not_announce_a_change_that_another_made() {
    let outcomes = each_of(seeds(), async |seed| {
        let (shop, id) = left(seed, "MailCustomer").await;
        let (mut lost, mut random) = (false, fastrand::Rng::with_seed(seed));
        shop.plant(move |call| match call.operation.as_str() {
            "StartSyncExecution" if call.caller == "SweepOrdersFunction" && !lost => {
                lost = true;
                Some(Fault::After)
            }
            "Publish" => Some(Fault::Delay(Duration::from_millis(random.u64(..150)))),
            _ => None,
        });

        let (shipped, ()) = join(shop.patch(&shop.admin, &id, "SHIPPED", 2), shop.sweep_when_due()).await;

        assert_eq!(shipped.status, 200, "{shipped:?}");
        for _ in 0..3 {
            shop.sweep_when_due().await;
        }
        ended(&shop, &id, &["PENDING", "CONFIRMED", "SHIPPED"]).await;
        // The order that the second start found.
        let runs = shop.stack.aws().executions();
        let second = runs.iter().rev().filter(|run| run.input["command"] == "resume").nth(1);
        let second = second.expect("it was started twice");
        let found = second.states.iter().find(|state| state.name == "UpdateStatus");
        let found = found.and_then(|state| state.output.as_ref()).expect("an order");
        let found: Value = serde_json::from_str(found.get()).expect("JSON");
        found["order"]["status"] == "SHIPPED"
    });
    assert!(outcomes.contains(&true) || outcomes.len() < MANY, "the order was never shipped meanwhile");
}

/// An order is due, since its e-mail failed. After the sweeper's claim and before the resumption reads it, the order is
/// shipped, and the mail about that takes a while. The resumption leaves that mail to the shipment.
#[tokio::test(start_paused = true)]
async fn a_resumption_does_not_make_a_version_due_that_another_execution_is_announcing() {
    let shop = Shop::open().await.stocked(SKU, 5).await;
    let ada = shop.customer("Ada").await;
    let placed = shop.place_unsent(&ada, "key-1", &[(SKU, 2)]).await;
    shop.wait(DUE);
    let (mut claimed, mut mailed) = (false, false);
    let claim = Arc::new(Notify::new());
    let claiming = Arc::clone(&claim);
    shop.plant(move |call| match call.operation.as_str() {
        "UpdateItem" if call.caller == "SweepOrdersFunction" && !claimed => {
            claimed = true;
            claiming.notify_one();
            Some(Fault::Delay(Duration::from_secs(1)))
        }
        _ if sends_mail(call) && !mailed => {
            mailed = true;
            Some(Fault::Delay(Duration::from_millis(2_900)))
        }
        _ => None,
    });

    let shipping = async {
        claim.notified().await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        shop.patch(&shop.admin, placed.order_id(), "SHIPPED", 2).await
    };
    let (shipped, ()) = join(shipping, async {
        shop.sweep().await;
        shop.sweep().await;
    })
    .await;

    assert_eq!(shipped.status, 200, "{shipped:?}");
    shop.heal();
    for _ in 0..3 {
        shop.sweep_when_due().await;
    }
    shop.audit_settled(Mailed::Once).await;
}

/// Whether an execution published a mail.
fn published(run: &Execution) -> bool {
    run.states.iter().any(|state| state.name == "MailCustomer" && state.error.is_none())
}

/// The id of the order under this key.
fn id(customer: &Customer, key: &str) -> String {
    let user = customer.user_id.clone().try_into().expect("a user id");
    OrderId::derive(&user, &key.to_owned().try_into().expect("a key")).to_string()
}

/// A shop with an order that was left because this state of the workflow failed.
async fn left(seed: u64, state: &'static str) -> (Shop, String) {
    let shop = Shop::open_with(seed).await.stocked(SKU, 10).await;
    let ada = shop.customer("Ada").await;
    let placed = match state {
        "UpdateStatus" => shop.place_unconfirmed(&ada, "key-1", &[(SKU, 2)]).await,
        _ => shop.place_unsent(&ada, "key-1", &[(SKU, 2)]).await,
    };
    let id = placed.order_id().to_owned();
    (shop, id)
}

/// The summary of a run of the sweeper.
fn swept(ended: &[Invocation]) -> Value {
    let [Invocation::Answered(answer)] = ended else { panic!("the sweeper failed: {ended:?}") };
    serde_json::from_str(answer).expect("JSON")
}

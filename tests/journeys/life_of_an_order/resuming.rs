//! Orders that the sweeper cannot finish: it gives them up after ten attempts, and an admin resumes them.

use std::time::Duration;

use domain::Timestamp;
use local::{aws::Fault, services::lambda::Invocation};
use serde_json::Value;
use tracing::Level;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::world::{
    Customer, Lines, Mailed, Shop,
    faults::{confirms, sends_mail},
    listen,
    waiting::{ATTEMPTS, DUE, LONGEST_WAIT},
};

/// A shop whose e-mails fail, a customer, and her order, which is unsent.
async fn untold() -> (Shop, Customer, String) {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.customer("Ada").await;
    shop.fail_mails();
    let placed = shop.place(&ada, "key-1", &[("TEA-1", 2)]).await;
    assert_eq!(placed.status, 201, "{placed:?}");
    let id = placed.order_id().to_owned();
    (shop, ada, id)
}

/// How often the sweeper or an admin resumed an order.
fn attempts(shop: &Shop) -> usize {
    let runs = shop.stack.aws().executions();
    runs.iter().filter(|run| run.input["command"] == "resume").count()
}

#[tokio::test(start_paused = true)]
async fn after_ten_attempts_an_order_waits_for_a_person_for_any_time() {
    let (shop, _ada, id) = untold().await;

    for _ in 0..15 {
        shop.sweep_after(LONGEST_WAIT).await;
    }
    assert_eq!(attempts(&shop), ATTEMPTS);
    assert_eq!(shop.books().await.given_up(), [id.as_str()]);

    // A person resumes it while e-mails still fail. The sweeper tries ten times more.
    let resumed = shop.resume(&shop.admin_again(), &id).await;
    assert_eq!((resumed.status, resumed.body["status"].as_str()), (202, Some("CONFIRMED")), "{resumed:?}");
    assert_eq!(shop.books().await.given_up(), [""; 0]);
    for _ in 0..15 {
        shop.sweep_after(LONGEST_WAIT).await;
    }
    assert_eq!(attempts(&shop), ATTEMPTS + 1 + ATTEMPTS);
    assert_eq!(shop.books().await.given_up(), [id.as_str()]);
    assert_eq!(shop.order_mail().len(), 0);

    shop.heal();
    assert_eq!(shop.resume(&shop.admin_again(), &id).await.status, 202);
    shop.books().await.are_settled(Mailed::Once);
    assert_eq!(shop.resume(&shop.admin_again(), &id).await.problem(), (409, "nothing_due"));
}

/// A run of the sweeper resumes four orders at a time. While the first four are slow the clock goes on. The fifth order
/// must have a whole minute as well, or the next run would resume it while this run still does.
#[tokio::test(start_paused = true)]
async fn a_claim_lasts_a_minute_from_when_it_is_made() {
    let (shop, ada, _id) = untold().await;
    for key in ["key-2", "key-3", "key-4"] {
        assert_eq!(shop.place(&ada, key, &[("TEA-1", 1)]).await.status, 201);
    }
    let bob = shop.customer("Bob").await;
    assert_eq!(shop.place(&bob, "key-1", &[("TEA-1", 9)]).await.problem(), (409, "insufficient_stock"));
    // Every resumption takes four seconds, and its e-mail fails.
    shop.plant(|call| {
        let slow = confirms(call).then_some(Fault::Delay(Duration::from_secs(4)));
        slow.or(sends_mail(call).then_some(Fault::Before))
    });

    shop.sweep_when_due().await;

    let mut due: Vec<String> =
        shop.rows("OrdersTable").await.iter().map(|row| row["due_at"].to_string()).collect();
    due.sort();
    let seconds = |due: &String| Timestamp::parse(due.trim_matches('"')).expect("a time");
    let (first, last) = (seconds(&due[0]), seconds(&due[4]));
    assert!(last.since(first) >= Duration::from_secs(4), "{due:?}");
}

#[tokio::test(start_paused = true)]
async fn a_change_resumes_an_order_that_was_given_up() {
    let (shop, _ada, id) = untold().await;
    shop.sweep_until_given_up().await;
    assert_eq!(shop.books().await.given_up(), [id.as_str()]);
    shop.heal();

    let cancelled = shop.cancel(&shop.signed_in("Ada"), &id).await;

    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    assert_eq!(shop.waiting_for_a_person().await, [""; 0]);
    shop.sweep_after(LONGEST_WAIT).await;
    shop.audit_settled(Mailed::Once).await;
}

#[tokio::test(start_paused = true)]
async fn an_order_that_an_execution_may_still_work_on_is_not_resumed() {
    let (shop, _ada, id) = untold().await;
    assert_eq!(shop.resume(&shop.admin, &id).await.problem(), (409, "nothing_due"));

    shop.heal();
    shop.wait(DUE);

    assert_eq!(shop.resume(&shop.admin, &id).await.status, 202);
    shop.books().await.are_settled(Mailed::Once);
}

#[tokio::test(start_paused = true)]
async fn a_resumption_that_fails_to_start_is_left_to_the_sweeper_and_the_log_says_why() {
    let (shop, _ada, id) = untold().await;
    shop.wait(DUE);
    shop.plant(|call| (call.operation == "StartSyncExecution").then_some(Fault::Before));
    let lines = Lines::default();
    let layer = lambda_shell::log_lines(lines.clone());
    let guard =
        listen(tracing_subscriber::registry().with(layer).with(lambda_shell::log_filter(Level::INFO)));

    assert_eq!(shop.resume(&shop.admin, &id).await.status, 202);

    drop(guard);
    let said = lines.text();
    let why = said.lines().find(|line| line.contains("could not be resumed")).expect("a line");
    assert!(
        why.contains("running the order workflow failed: the service refused") && why.contains(&id),
        "{why}"
    );
    shop.heal();
    shop.sweep_when_due().await;
    shop.books().await.are_settled(Mailed::Once);
}

#[tokio::test(start_paused = true)]
async fn only_an_admin_resumes_an_order_and_only_one_that_exists() {
    let (shop, _ada, id) = untold().await;
    shop.sweep_until_given_up().await;
    shop.heal();
    let ada = shop.signed_in("Ada");

    assert_eq!(shop.resume(&ada, &id).await.problem(), (403, "forbidden"));
    assert_eq!(shop.resume(&shop.signed_in("Bob"), &id).await.problem(), (403, "forbidden"));
    let unknown = "6f1c3b1e-5d0a-5c0e-9a83-2f5b7e41d0c6";
    for missing in [unknown, "no-id", &id.to_uppercase()] {
        let answer = shop.resume(&shop.admin_again(), missing).await;
        assert_eq!(answer.problem(), (404, "not_found"), "{missing}");
        assert_eq!(shop.resume(&ada, missing).await.problem(), (403, "forbidden"), "{missing}");
    }
    let tokenless = Customer { token: String::new(), ..ada };
    assert_eq!(shop.resume(&tokenless, &id).await.status, 401);
    assert_eq!(shop.books().await.given_up(), [id.as_str()]);
}

#[tokio::test(start_paused = true)]
async fn a_sweep_ends_before_its_timeout_although_two_hundred_executions_would_take_twenty_seconds_each() {
    const ORDERS: usize = 200;
    let shop = Shop::open_unbounded().await.stocked("TEA-1", 1_000).await;
    let ada = shop.customer("Ada").await;
    shop.fail_mails();
    for n in 0..ORDERS {
        assert_eq!(shop.place(&ada, &format!("key-{n}"), &[("TEA-1", 1)]).await.status, 201);
    }
    shop.wait(DUE);
    shop.heal();
    let slow = Duration::from_secs(20);
    shop.plant(move |call| (call.operation == "StartSyncExecution").then_some(Fault::Delay(slow)));

    let mut resumed = 0;
    for run in 1..=2 {
        let started = tokio::time::Instant::now();
        let ended = shop.sweep().await;
        let took = started.elapsed();

        let [Invocation::Answered(answer)] = &ended[..] else { panic!("run {run}: {ended:?}") };
        let answer: Value = serde_json::from_str(answer).expect("JSON");
        assert!(took < Duration::from_secs(55), "run {run} took {took:?}: {answer}");
        assert!(answer["left_due"].as_u64() > Some(150), "run {run} left {answer}");
        resumed += answer["resumed"].as_u64().expect("a count");
    }
    assert!(resumed >= 16, "two runs resumed {resumed} orders");
    assert_eq!(shop.order_mail().len(), usize::try_from(resumed).expect("a count"));
}

#[tokio::test(start_paused = true)]
async fn each_order_that_is_given_up_is_counted_at_that_moment() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.customer("Ada").await;
    shop.fail_mails();
    for n in 0..3 {
        shop.place(&ada, &format!("key-{n}"), &[("TEA-1", 1)]).await;
    }
    for _ in 0..ATTEMPTS {
        shop.sweep_after(LONGEST_WAIT).await;
    }
    // The claims fail, since each order was tried often enough. Of the updates that give the orders up, one is acknowledged
    // at once, one after a retry, and the last one never.
    let mut updates = 0;
    shop.plant(move |call| {
        updates += usize::from(call.operation == "UpdateItem");
        match updates {
            ..=4 => None,
            5 => Some(Fault::After),
            _ => Some(Fault::Delay(Duration::from_mins(2))),
        }
    });
    let lines = Lines::default();
    let layer = lambda_shell::log_lines(lines.clone());
    let guard =
        listen(tracing_subscriber::registry().with(layer).with(lambda_shell::log_filter(Level::INFO)));

    shop.wait(LONGEST_WAIT);
    let ended = shop.sweep().await;

    drop(guard);
    let counted = lines.text().matches("\"metric\":\"OrdersGivenUp\"").count();
    assert_eq!(shop.books().await.given_up().len(), 3, "{ended:?}");
    assert_eq!(counted, 3, "{ended:?}: {}", lines.text());
}

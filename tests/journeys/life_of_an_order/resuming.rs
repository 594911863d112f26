//! Orders that the sweeper cannot finish: how often it tries, who takes them up again, and when there is nothing to take
//! up.

use std::time::Duration;

use domain::Timestamp;
use http::Method;
use local::aws::Fault;
use serde_json::json;
use tracing::Level;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::world::{
    log_lines::{Lines, listen},
    reckoning::{Books, Mailed},
    shop::{Customer, Shop},
};

/// Longer than the sweeper ever waits.
const LONG: Duration = Duration::from_secs(3_601);

/// A shop whose mail is out of order, a customer, and her order.
async fn untold() -> (Shop, Customer, String) {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.customer("Ada").await;
    shop.stack.faults().plant(|call| (call.operation == "Publish").then_some(Fault::Before));
    let placed = shop.place(&ada, "key-1", &[("TEA-1", 2)]).await;
    assert_eq!(placed.status, 201, "{placed:?}");
    let id = placed.order_id().to_owned();
    (shop, ada, id)
}

/// How often the sweeper, or a person, had the order resumed.
fn attempts(shop: &Shop) -> usize {
    let runs = shop.stack.aws().executions();
    runs.iter().filter(|run| run.input["command"] == "resume").count()
}

#[tokio::test(start_paused = true)]
async fn after_ten_attempts_an_order_waits_for_a_person_however_long_that_takes() {
    let (shop, _ada, id) = untold().await;

    for _ in 0..15 {
        shop.sweep_after(LONG).await;
    }
    assert_eq!(attempts(&shop), 10);
    assert_eq!(Books::read(&shop).await.given_up(), [id.as_str()]);

    // A person who comes before the mail is back has the sweeper try ten times more.
    let resumed = shop.resume(&shop.admin_again(), &id).await;
    assert_eq!((resumed.status, resumed.body["status"].as_str()), (202, Some("CONFIRMED")), "{resumed:?}");
    assert_eq!(Books::read(&shop).await.given_up(), [""; 0]);
    for _ in 0..15 {
        shop.sweep_after(LONG).await;
    }
    assert_eq!(attempts(&shop), 10 + 1 + 10);
    assert_eq!(Books::read(&shop).await.given_up(), [id.as_str()]);
    assert_eq!(shop.order_mail().len(), 0);

    shop.stack.faults().clear();
    assert_eq!(shop.resume(&shop.admin_again(), &id).await.status, 202);
    Books::read(&shop).await.settled(Mailed::Once);
    assert_eq!(shop.resume(&shop.admin_again(), &id).await.problem(), (409, "nothing_due"));
}

/// A run of the sweeper has four orders resumed at a time. While the first four are slow, the clock goes on, and whoever
/// comes next must have a whole minute as well: else the next run would resume an order that this one is still at.
#[tokio::test(start_paused = true)]
async fn a_claim_lasts_a_minute_from_when_it_is_made() {
    let (shop, ada, _id) = untold().await;
    for key in ["key-2", "key-3", "key-4"] {
        assert_eq!(shop.place(&ada, key, &[("TEA-1", 1)]).await.status, 201);
    }
    let bob = shop.customer("Bob").await;
    assert_eq!(shop.place(&bob, "key-1", &[("TEA-1", 9)]).await.problem(), (409, "insufficient_stock"));
    // Every resumption takes four seconds, and its mail does not leave.
    shop.stack.faults().plant(|call| {
        let slow = call.operation == "Invoke" && call.target.ends_with("UpdateOrderStatusFunction");
        slow.then_some(Fault::Delay(Duration::from_secs(4)))
            .or((call.operation == "Publish").then_some(Fault::Before))
    });

    shop.sweep_after(Duration::from_secs(61)).await;

    let mut due: Vec<String> =
        shop.rows("OrdersTable").await.iter().map(|row| row["due_at"].to_string()).collect();
    due.sort();
    let seconds = |due: &String| Timestamp::parse(due.trim_matches('"')).expect("a time");
    let (first, last) = (seconds(&due[0]), seconds(&due[4]));
    assert!(last.since(first) >= Duration::from_secs(4), "{due:?}");
}

#[tokio::test(start_paused = true)]
async fn a_change_takes_an_order_up_that_was_given_up() {
    let (shop, _ada, id) = untold().await;
    for _ in 0..11 {
        shop.sweep_after(LONG).await;
    }
    assert_eq!(Books::read(&shop).await.given_up(), [id.as_str()]);
    shop.stack.faults().clear();

    let cancelled = shop.cancel(&shop.signed_in("Ada"), &id).await;

    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    let list = shop.get("/orders?attention=true", &shop.admin_again()).await;
    assert_eq!(list.body["items"], json!([]));
    shop.sweep_after(LONG).await;
    let books = Books::read(&shop).await;
    books.balance();
    books.settled(Mailed::Once);
}

#[tokio::test(start_paused = true)]
async fn what_an_execution_is_still_at_nobody_else_takes_up() {
    let (shop, _ada, id) = untold().await;
    assert_eq!(shop.resume(&shop.admin, &id).await.problem(), (409, "nothing_due"));

    shop.stack.faults().clear();
    shop.stack.clock().advance(Duration::from_secs(61));

    assert_eq!(shop.resume(&shop.admin, &id).await.status, 202);
    Books::read(&shop).await.settled(Mailed::Once);
}

#[tokio::test(start_paused = true)]
async fn a_resumption_that_does_not_run_is_the_sweepers_and_the_log_says_why() {
    let (shop, _ada, id) = untold().await;
    shop.stack.clock().advance(Duration::from_secs(61));
    shop.stack.faults().plant(|call| (call.operation == "StartSyncExecution").then_some(Fault::Before));
    let lines = Lines::default();
    let layer = lambda_shell::log_lines(lines.clone());
    let guard =
        listen(tracing_subscriber::registry().with(layer).with(lambda_shell::log_filter(Level::INFO)));

    assert_eq!(shop.resume(&shop.admin, &id).await.status, 202);

    drop(guard);
    let said = lines.text();
    let why = said.lines().find(|line| line.contains("could not be resumed")).expect("a line");
    assert!(why.contains("\"code\":\"try_again\"") && why.contains(&id), "{why}");
    shop.stack.faults().clear();
    shop.sweep_after(Duration::from_secs(61)).await;
    Books::read(&shop).await.settled(Mailed::Once);
}

#[tokio::test(start_paused = true)]
async fn only_an_admin_takes_an_order_up_and_only_one_that_exists() {
    let (shop, _ada, id) = untold().await;
    for _ in 0..11 {
        shop.sweep_after(LONG).await;
    }
    shop.stack.faults().clear();
    let ada = shop.signed_in("Ada");

    assert_eq!(shop.resume(&ada, &id).await.problem(), (403, "forbidden"));
    assert_eq!(shop.resume(&shop.signed_in("Bob"), &id).await.problem(), (403, "forbidden"));
    let unknown = "6f1c3b1e-5d0a-5c0e-9a83-2f5b7e41d0c6";
    for nobodys in [unknown, "no-id", &id.to_uppercase()] {
        let answer = shop.resume(&shop.admin_again(), nobodys).await;
        assert_eq!(answer.problem(), (404, "not_found"), "{nobodys}");
        assert_eq!(shop.resume(&ada, nobodys).await.problem(), (403, "forbidden"), "{nobodys}");
    }
    let path = format!("/orders/{id}/resume");
    let nobody = Customer { token: String::new(), ..ada };
    assert_eq!(shop.call(Method::POST, &path, &nobody, None, &[]).await.status, 401);
    assert_eq!(Books::read(&shop).await.given_up(), [id.as_str()]);
}

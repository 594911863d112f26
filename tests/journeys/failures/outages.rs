//! AWS calls fail before or after their effect, are throttled, conflict, or take too long. No answer is untrue, no unit
//! is lost or sold twice, and the same key later gives a definite answer.

use std::{
    fmt::Write as _,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use local::aws::{Call, Fault};
use serde_json::json;

use crate::world::{
    Customer, Shop,
    faults::{function, operation, sends_mail},
    seeds,
};

/// A shop with one unit of its one product, and a customer.
async fn last_unit() -> (Shop, Customer) {
    let shop = Shop::open().await.stocked("TEA-1", 1).await;
    let ada = shop.customer("Ada").await;
    (shop, ada)
}

/// The number of tries of a state in the last execution.
fn attempts(shop: &Shop, state: &str) -> u32 {
    let executions = shop.stack.aws().executions();
    executions[0].states.iter().find(|run| run.name == state).map_or(0, |run| run.attempts)
}

#[tokio::test(start_paused = true)]
async fn an_order_for_the_last_unit_whose_acknowledgement_is_lost_is_sold_and_not_short() {
    // The SDK tries a call three times. The tries share a request token, so DynamoDB answers each as it answered the
    // first. After that the state machine runs the function again. The function finds the order that it stored, and
    // knows it by the id of the request.
    for (lost, tries_of_the_function) in [(1, 1), (2, 1), (3, 2), (6, 3)] {
        let (shop, ada) = last_unit().await;
        let hits = shop.plant_times(lost, Fault::After, operation("TransactWriteItems"));

        let placed = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;

        assert_eq!(hits.count(), lost);
        assert_eq!(attempts(&shop, "CreateOrder"), tries_of_the_function, "{lost} lost");
        assert_eq!(
            (placed.status, &placed.body["status"], placed.header("idempotent-replayed")),
            (201, &json!("CONFIRMED"), ""),
            "{lost} lost: {placed:?}"
        );
        assert_eq!(shop.stock("TEA-1").await, (0, 1));
        assert_eq!(shop.order_mail().len(), 1);
        shop.audit(&[("TEA-1", 1)], &[&ada]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_rejection_whose_acknowledgement_is_lost_is_the_same_rejection_later() {
    for lost in [1, 3, usize::MAX] {
        let (shop, ada) = last_unit().await;
        shop.plant_times(lost, Fault::After, operation("PutItem"));

        let refused = shop.place(&ada, "key-1", &[("TEA-1", 2)]).await;

        let shortages = json!([{ "sku": "TEA-1", "requested": 2, "available": 1 }]);
        assert_eq!(refused.problem(), (409, "insufficient_stock"), "{lost} lost: {refused:?}");
        assert_eq!(refused.body["shortages"], shortages);
        shop.heal();
        let again = shop.place(&ada, "key-1", &[("TEA-1", 2)]).await;
        assert_eq!((again.problem(), again.order_id()), ((409, "insufficient_stock"), refused.order_id()));
        shop.audit(&[("TEA-1", 1)], &[&ada]).await;
    }
}

/// Every call of a placed order fails with every fault, once or at every try. The snapshot has the first answer, the
/// answer to the same key after the outage, the e-mails by then, and the e-mails after a run of the sweeper.
#[tokio::test(start_paused = true)]
async fn whichever_call_fails_no_stock_is_lost_and_the_same_key_settles_it() {
    let (shop, ada) = last_unit().await;
    let calls = shop.calls_of(shop.place(&ada, "key-1", &[("TEA-1", 1)])).await;
    let mut seen = String::new();
    for (index, call) in calls.iter().enumerate() {
        for (name, fault) in
            [("before", Fault::Before), ("after", Fault::After), ("throttled", Fault::Throttle)]
        {
            for (often, times) in [("once", 1), ("always", usize::MAX)] {
                let of = format!("{index} {} {} {name} {often}", call.caller, call.operation);
                let (first, second, mails, swept) = one_outage(call.clone(), fault.clone(), times, &of).await;
                writeln!(seen, "{of}: {first}, then {second}, mails {mails}, swept {swept}")
                    .expect("a text takes text");
            }
        }
    }
    insta::assert_snapshot!(seen);
}

async fn one_outage(call: Call, fault: Fault, times: usize, of: &str) -> (u16, u16, usize, usize) {
    let (shop, ada) = last_unit().await;
    let published_twice = sends_mail(&call) && fault == Fault::After;
    let unnoted = times > 1 && call.caller == "OrderStateMachine" && call.service != "lambda";
    let hits = shop.plant_times(times, fault, move |made| *made == call);

    let first = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;

    assert!(hits.count() > 0, "{of}: the call was never made");
    assert!([200, 201, 202, 503].contains(&first.status), "{of}: {first:?}");
    if first.status == 503 {
        assert_eq!((first.problem(), first.header("retry-after")), ((503, "try_again"), "1"), "{of}");
    }
    shop.heal();
    shop.settle().await;
    shop.audit(&[("TEA-1", 1)], &[&ada]).await;

    let second = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;

    assert!([200, 201].contains(&second.status), "{of}: {second:?}");
    assert_eq!(second.body["status"], "CONFIRMED", "{of}");
    assert_eq!(shop.rows("OrdersTable").await.len(), 1, "{of}");
    assert_eq!(shop.stock("TEA-1").await, (0, 1), "{of}");
    let mails = shop.order_mail().len();
    assert!(mails <= if published_twice { 2 } else { 1 }, "{of}: {mails} mails");
    shop.audit(&[("TEA-1", 1)], &[&ada]).await;

    shop.sweep_when_due().await;

    // An e-mail is sent again only if its sending was not acknowledged, or not noted.
    let swept = shop.order_mail().len();
    let expected = if unnoted { mails.max(1)..=mails + 1 } else { mails.max(1)..=mails.max(1) };
    assert!(expected.contains(&swept), "{of}: {mails} mails, then {swept}");
    assert_eq!(shop.books().await.unfinished(), [""; 0], "{of}");
    shop.audit(&[("TEA-1", 1)], &[&ada]).await;
    (first.status, second.status, mails, swept)
}

#[tokio::test(start_paused = true)]
async fn a_conflict_that_passes_is_retried_inside_the_function() {
    // Up to four times. The state machine retries the fifth conflict.
    for (conflicts, tries_of_the_function) in [(1, 1), (4, 1), (5, 2)] {
        let (shop, ada) = last_unit().await;
        shop.plant_times(conflicts, Fault::Conflict, operation("TransactWriteItems"));

        let (placed, recorded) = shop.recording(shop.place(&ada, "key-1", &[("TEA-1", 1)])).await;

        let calls = Shop::counted(&recorded);
        assert_eq!(placed.status, 201, "{conflicts} conflicts: {placed:?}");
        assert_eq!(attempts(&shop, "CreateOrder"), tries_of_the_function, "{conflicts} conflicts");
        assert_eq!(calls["dynamodb TransactWriteItems"], conflicts + 1);
        shop.audit(&[("TEA-1", 1)], &[&ada]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_conflict_that_does_not_pass_stores_nothing_and_the_order_may_be_tried_again() {
    let (shop, ada) = last_unit().await;
    let hits = shop.plant_times(usize::MAX, Fault::Conflict, operation("TransactWriteItems"));

    let refused = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;

    assert_eq!(refused.problem(), (503, "try_again"), "{refused:?}");
    assert_eq!(hits.count(), 15, "five tries by each of three invocations");
    settles(&shop, &ada, 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_shortage_that_is_reported_beside_a_conflict_is_not_believed() {
    let reasons = vec!["None", "ConditionalCheckFailed", "TransactionConflict"];
    for (times, expected) in [(1, 201), (usize::MAX, 503)] {
        let shop = Shop::open().await.stocked("TEA-1", 1).await.stocked("TEA-2", 1).await;
        let ada = shop.customer("Ada").await;
        shop.plant_times(times, Fault::Cancel(reasons.clone()), operation("TransactWriteItems"));

        let reply = shop.place(&ada, "key-1", &[("TEA-1", 1), ("TEA-2", 1)]).await;

        assert_eq!(reply.status, expected, "{reply:?}");
        // It counts as a conflict, so the function tries again.
        assert_eq!(attempts(&shop, "CreateOrder"), if times == 1 { 1 } else { 3 });
        shop.heal();
        let again = shop.place(&ada, "key-1", &[("TEA-1", 1), ("TEA-2", 1)]).await;
        assert_eq!(again.body["status"], "CONFIRMED", "{again:?}");
        shop.audit(&[("TEA-1", 1), ("TEA-2", 1)], &[&ada]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_throttled_until_the_machine_gives_up_stores_nothing() {
    for step in ["CheckInventoryFunction", "CreateOrderFunction"] {
        let (shop, ada) = last_unit().await;
        let hits = shop.plant_times(usize::MAX, Fault::Throttle, function(step));

        let refused = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;

        assert_eq!(refused.problem(), (503, "try_again"), "{step}: {refused:?}");
        assert_eq!(hits.count(), 3, "{step}");
        settles(&shop, &ada, 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_order_whose_confirmation_is_throttled_until_the_machine_gives_up_is_pending_and_not_lost() {
    let (shop, ada) = last_unit().await;
    let hits = shop.plant_times(usize::MAX, Fault::Throttle, function("UpdateOrderStatusFunction"));

    let accepted = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;

    assert_eq!((accepted.status, &accepted.body["status"]), (202, &json!("PENDING")), "{accepted:?}");
    assert_eq!(hits.count(), 3);
    settles(&shop, &ada, 1).await;
}

#[tokio::test(start_paused = true)]
async fn a_customer_is_told_to_try_again_while_even_the_table_cannot_be_read() {
    let (shop, ada) = last_unit().await;
    // The order is placed. Neither the workflow's answer nor the order's row reaches the door.
    shop.plant(|call| match (call.caller.as_str(), call.operation.as_str()) {
        ("PlaceOrderFunction", "StartSyncExecution") => Some(Fault::After),
        ("PlaceOrderFunction", "GetItem") => Some(Fault::Before),
        _ => None,
    });

    let unknown = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;

    assert_eq!(unknown.problem(), (503, "try_again"), "{unknown:?}");
    settles(&shop, &ada, 1).await;
}

#[tokio::test(start_paused = true)]
async fn when_the_workflow_answers_too_late_the_order_is_read_from_the_table() {
    // The execution ends in time. Its answer takes longer than the door waits.
    let (shop, ada) = last_unit().await;
    shop.plant_times(usize::MAX, Fault::Delay(Duration::from_secs(25)), operation("StartSyncExecution"));

    let placed = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;

    assert_eq!((placed.status, &placed.body["status"]), (201, &json!("CONFIRMED")), "{placed:?}");
    settles(&shop, &ada, 1).await;
}

#[tokio::test(start_paused = true)]
async fn an_execution_that_times_out_is_judged_by_the_orders_row() {
    // A task times out after 5 s. Two slow checks and one slow step exceed the machine's 20 s.
    for (slow, status, row, in_table) in [
        ("CreateOrderFunction", 202, "PENDING", 1),
        ("UpdateOrderStatusFunction", 201, "CONFIRMED", 1),
        ("CheckInventoryFunction", 503, "", 0),
    ] {
        let (shop, ada) = last_unit().await;
        let mut checks = 0;
        shop.plant(move |call| {
            let check = call.target.ends_with("CheckInventoryFunction");
            checks += usize::from(check);
            let late = call.target.ends_with(slow) || (check && checks <= 2);
            late.then_some(Fault::Delay(Duration::from_secs(6)))
        });

        let reply = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;

        assert_eq!(reply.status, status, "{slow}: {reply:?}");
        assert_eq!(reply.body["status"].as_str().unwrap_or_default(), row, "{slow}");
        let ended = shop.stack.aws().executions()[0].status.name();
        assert_eq!(ended, if slow == "CheckInventoryFunction" { "FAILED" } else { "TIMED_OUT" }, "{slow}");
        shop.heal();
        assert_eq!(shop.rows("OrdersTable").await.len(), in_table, "{slow}");
        shop.settle().await;
        shop.audit(&[("TEA-1", 1)], &[&ada]).await;
        let again = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;
        assert_eq!(again.body["status"], "CONFIRMED", "{slow}: {again:?}");
        shop.audit(&[("TEA-1", 1)], &[&ada]).await;
    }
}

/// The orders of each customer. The first is asked for twice at once.
const WISHES: [(&str, &[(&str, i64)]); 3] = [
    ("key-1", &[("TEA-1", 1), ("TEA-2", 1)]),
    ("key-1", &[("TEA-1", 1), ("TEA-2", 1)]),
    ("key-2", &[("TEA-1", 1)]),
];

#[tokio::test(start_paused = true)]
async fn after_random_faults_in_concurrent_orders_stock_orders_and_mails_agree() {
    for seed in seeds() {
        let shop = Shop::open_with(seed.0).await.stocked("TEA-1", 4).await.stocked("TEA-2", 4).await;
        let mut customers = Vec::new();
        for n in 0..4 {
            customers.push(shop.customer(&format!("Customer{n}")).await);
        }
        let random = Mutex::new(fastrand::Rng::with_seed(seed.0));
        shop.plant(move |call| chance(&random, call));
        let wishes: Vec<_> =
            customers.iter().flat_map(|one| WISHES.map(|(key, lines)| (one, key, lines))).collect();

        let replies =
            join_all(wishes.iter().map(|(customer, key, lines)| shop.place(customer, key, lines))).await;

        for reply in &replies {
            assert!([200, 201, 202, 409, 503].contains(&reply.status), "{reply:?}");
        }
        shop.heal();
        shop.settle().await;
        let all: Vec<&Customer> = customers.iter().collect();
        shop.audit(&[("TEA-1", 4), ("TEA-2", 4)], &all).await;
        for ((customer, key, lines), before) in wishes.iter().zip(&replies) {
            let reply = shop.place(customer, key, lines).await;
            // A definite answer stays the same.
            let expected: &[u16] = match before.status {
                409 => &[409],
                200..=202 => &[200],
                _ => &[200, 201, 409],
            };
            assert!(expected.contains(&reply.status), "{before:?}, then {reply:?}");
            if before.status != 503 {
                assert_eq!(before.order_id(), reply.order_id());
            }
        }
        let orders = shop.rows("OrdersTable").await;
        assert_eq!(orders.len(), 8);
        assert!(orders.iter().all(|order| order["status"] != "PENDING"), "{orders:?}");
        shop.sweep_when_due().await;
        assert_eq!(shop.books().await.unfinished(), [""; 0]);
        shop.audit(&[("TEA-1", 4), ("TEA-2", 4)], &all).await;
    }
}

/// One call in eight fails, in any way that its service knows.
fn chance(random: &Mutex<fastrand::Rng>, call: &Call) -> Option<Fault> {
    let mut random = random.lock().unwrap_or_else(PoisonError::into_inner);
    if random.u8(0..8) > 0 {
        return None;
    }
    Some(match random.u8(0..5) {
        0 => Fault::Before,
        1 => Fault::After,
        2 => Fault::Throttle,
        3 if call.operation == "TransactWriteItems" => Fault::Conflict,
        _ => Fault::Delay(Duration::from_millis(random.u64(0..7_000))),
    })
}

/// Ends the outage, and checks that the same key gives one order, which moved stock once and was mailed once. `before`
/// is the number of orders that must be stored by now.
async fn settles(shop: &Shop, customer: &Customer, before: usize) {
    shop.heal();
    shop.settle().await;
    assert_eq!(shop.rows("OrdersTable").await.len(), before);
    shop.audit(&[("TEA-1", 1)], &[customer]).await;
    let settled = shop.place(customer, "key-1", &[("TEA-1", 1)]).await;
    let expected = if before == 0 { 201 } else { 200 };
    assert_eq!((settled.status, &settled.body["status"]), (expected, &json!("CONFIRMED")), "{settled:?}");
    assert_eq!(shop.stock("TEA-1").await, (0, 1));
    assert_eq!(shop.order_mail().len(), 1);
    shop.audit(&[("TEA-1", 1)], &[customer]).await;
}

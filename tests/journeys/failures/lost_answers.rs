//! Answers that stay true when an acknowledgement is lost: a request knows its own work by its id, however often its steps
//! or its execution were started.

use std::sync::{Arc, Mutex};

use futures_util::future::join;
use http::Method;
use local::aws::{Call, Fault};
use serde_json::{Value, json};

use crate::world::{
    Customer, Mailed, Shop,
    faults::{confirms, function, operation},
    gestures::lines,
    logs,
    requests::{answered, asked, with_json},
    waiting::DUE,
};

async fn opened() -> (Shop, Customer) {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.customer("Ada").await;
    (shop, ada)
}

/// Picks the calls that start an execution.
fn starts(call: &Call) -> bool {
    call.operation == "StartSyncExecution"
}

#[tokio::test(start_paused = true)]
async fn a_first_order_is_201_and_counted_once_however_often_its_steps_were_tried() {
    for (step, fault) in [
        ("CreateOrderFunction", Fault::After),
        ("UpdateOrderStatusFunction", Fault::After),
        ("CheckInventoryFunction", Fault::After),
    ] {
        for lost in 1..=2 {
            let (lines, _guard) = logs::keep();
            let (shop, ada) = opened().await;
            let hits = shop.plant_times(lost, fault.clone(), function(step));

            let placed = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;

            assert_eq!(hits.count(), lost, "{step}");
            let said = (placed.status, placed.header("idempotent-replayed"), &placed.body["status"]);
            assert_eq!(said, (201, "", &json!("CONFIRMED")), "{step}, {lost} lost: {placed:?}");
            shop.heal();
            shop.sweep_when_due().await;
            shop.audit_settled(Mailed::Once).await;
            let lines = lines.text();
            assert_eq!(lines.matches("OrdersPlaced").count(), 1, "{step}, {lost} lost: {lines}");
            assert!(!lines.contains("OrdersReplayed"), "{step}, {lost} lost: {lines}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_execution_whose_end_is_not_heard_is_started_twice_and_the_order_is_201() {
    for lost in [1, 2] {
        let (shop, ada) = opened().await;
        let hits = shop.plant_times(lost, Fault::After, starts);

        let placed = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;

        assert_eq!((hits.count(), shop.stack.aws().executions().len()), (lost, lost + 1));
        assert_eq!((placed.status, placed.header("idempotent-replayed")), (201, ""), "{placed:?}");
        // A repeat is another request, and says so.
        shop.heal();
        let again = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;
        assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"), "{again:?}");
        shop.audit_settled(Mailed::Once).await;
    }
}

#[tokio::test(start_paused = true)]
async fn when_no_execution_is_heard_the_door_knows_its_own_order_from_a_repeat() {
    let (shop, ada) = opened().await;
    shop.plant_times(usize::MAX, Fault::After, starts);
    let placed = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;
    assert_eq!((placed.status, placed.header("idempotent-replayed")), (201, ""), "{placed:?}");
    let again = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (200, "true"), "{again:?}");
}

/// The first execution takes the last unit, and its end is not heard. The second one finds a higher price.
#[tokio::test(start_paused = true)]
async fn a_refusal_by_the_second_execution_does_not_hide_the_order_of_the_first() {
    let (shop, ada) = opened().await;
    let heard = shop.plant_once(Fault::After, starts);
    let dearer = crate::world::gestures::product("The TEA-1", 999, "EUR");
    let body = json!({
        "lines": [{ "sku": "TEA-1", "quantity": 1 }], "expected_total": { "amount": 450, "currency": "EUR" },
    });

    let (placed, described) = join(shop.order(&ada, "key-1", body), async {
        heard.notified().await;
        // Only once the first execution has ended does the second one start.
        while shop.stack.aws().executions().is_empty() {
            tokio::task::yield_now().await;
        }
        shop.describe(&shop.admin, "TEA-1", &dearer).await
    })
    .await;

    assert_eq!(described.status, 200);
    assert_eq!((placed.status, placed.header("idempotent-replayed")), (201, ""), "{placed:?}");
    assert_eq!(placed.body["total"]["amount"], 450);
}

#[tokio::test(start_paused = true)]
async fn a_rejection_whose_step_is_tried_again_is_announced_once() {
    for lost in 1..=3 {
        let (shop, ada) = opened().await;
        shop.plant_times(lost, Fault::After, function("CreateOrderFunction"));
        let rejected = shop.place(&ada, "key-1", &[("TEA-1", 9)]).await;
        assert_eq!(rejected.problem(), (409, "insufficient_stock"), "{lost}: {rejected:?}");
        shop.heal();
        shop.sweep_when_due().await;
        shop.audit_settled(Mailed::Once).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_transition_that_was_made_is_200_although_another_one_followed_it() {
    for step_only in [true, false] {
        let (shop, ada) = opened().await;
        let placed = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;
        let id = placed.order_id().to_owned();
        // The shipment is made, and its answer is lost. Before it is tried again, another admin delivers the order.
        let lost = if step_only {
            shop.plant_once(Fault::After, confirms)
        } else {
            shop.plant_once(Fault::After, starts)
        };
        let ben = shop.another_admin("Ben");

        let (shipped, delivered) = join(shop.patch(&shop.admin, &id, "SHIPPED", 2), async {
            lost.notified().await;
            loop {
                let delivered = shop.patch(&ben, &id, "DELIVERED", 3).await;
                if delivered.status != 412 {
                    return delivered;
                }
            }
        })
        .await;

        assert_eq!(delivered.status, 200, "{delivered:?}");
        assert_eq!(shipped.status, 200, "the shipment was made: {shipped:?}");
        shop.heal();
        shop.sweep_when_due().await;
        shop.sweep_when_due().await;
        shop.audit_settled(Mailed::Once).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_resume_whose_claim_was_not_acknowledged_is_202() {
    for lost in [1, 2] {
        let (shop, ada) = opened().await;
        let placed = shop.place_unsent(&ada, "key-1", &[("TEA-1", 1)]).await;
        shop.wait(DUE);
        let claims = |call: &Call| call.operation == "UpdateItem" && call.caller == "ChangeOrderFunction";
        let hits = shop.plant_times(lost, Fault::After, claims);

        let resumed = shop.resume(&shop.admin, placed.order_id()).await;

        assert_eq!((hits.count(), resumed.status), (lost, 202), "{resumed:?}");
        shop.heal();
        shop.audit_settled(Mailed::Once).await;
        let again = shop.resume(&shop.admin, placed.order_id()).await;
        assert_eq!(again.problem(), (409, "nothing_due"));
    }
}

/// Posts a request that may be answered with an internal error. Answers status and code.
async fn code(shop: &Shop, caller: &Customer, path: &str, body: Option<&Value>) -> (u16, String) {
    let request = asked(Method::POST, path, Some(&caller.token)).header("idempotency-key", "key-1");
    let (parts, text) = answered(shop.stack.router(), with_json(request, body)).await;
    let problem: Value = serde_json::from_slice(&text).expect("a problem");
    (parts.status.as_u16(), problem["code"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_no_repeat_can_mend_is_500_and_not_try_again() {
    let refused = || Fault::Refuse("AccessDeniedException");
    // A placement that stores nothing.
    let (shop, ada) = opened().await;
    shop.plant_times(usize::MAX, refused(), operation("BatchGetItem"));
    let order = Some(lines(&[("TEA-1", 1)]));
    assert_eq!(code(&shop, &ada, "/orders", order.as_ref()).await, (500, "internal".to_owned()));
    shop.plant_times(usize::MAX, refused(), operation("TransactWriteItems"));
    assert_eq!(code(&shop, &ada, "/orders", order.as_ref()).await, (500, "internal".to_owned()));
    // An order that is stored is the sweeper's, and a change is not made.
    let stepped = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&stepped);
    shop.plant(move |call| {
        let step = call.caller == "UpdateOrderStatusFunction" && call.service == "dynamodb";
        *counted.lock().expect("a count") += usize::from(step);
        step.then(refused)
    });
    let pending = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;
    assert_eq!((pending.status, &pending.body["status"]), (202, &json!("PENDING")), "{pending:?}");
    assert_eq!(*stepped.lock().expect("a count"), 1, "it is not tried again");
    let cancel = format!("/orders/{}/cancel", pending.order_id());
    assert_eq!(code(&shop, &ada, &cancel, None).await, (500, "internal".to_owned()));
    shop.heal();
    shop.sweep_when_due().await;
    shop.audit_settled(Mailed::Once).await;
}

#[tokio::test(start_paused = true)]
async fn no_answer_shows_which_request_made_a_transition() {
    let (shop, ada) = opened().await;
    let placed = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;
    let row = shop.row(placed.order_id()).await;
    let request = row["history"][0]["request"].as_str().expect("the row says it");
    assert_eq!(request, placed.header("apigw-requestid"));
    let read = shop.get(&format!("/orders/{}", placed.order_id()), &ada).await;
    assert!(!read.body.to_string().contains(request), "{read:?}");
}

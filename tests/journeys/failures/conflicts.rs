//! A transaction holds the row of a plain write. DynamoDB then refuses the write at once, with
//! `TransactionConflictException`, and the SDK does not try it again. So each plain write of the functions is tried again
//! as transactions are: a change of a price during a rush is made and not answered with 503.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use http::{Method, Request, header};
use local::aws::{Call, Fault};
use serde_json::{Value, json};

use crate::world::{
    Shop,
    gestures::product,
    logs,
    programs::root,
    requests::{answered, signature},
    waiting::{ATTEMPTS, DUE, LONGEST_WAIT},
};

const MINUTE: Duration = Duration::from_mins(1);

/// Whether a function writes one row with this call.
fn is_plain_write(call: &Call) -> bool {
    matches!(call.operation.as_str(), "PutItem" | "UpdateItem") && call.caller.ends_with("Function")
}

#[tokio::test(start_paused = true)]
async fn a_price_changes_while_many_order_the_product() {
    // A change of a known product is a Put, whose condition fails, and an Update. Each meets this many conflicts.
    for conflicts in [0, 1, 4] {
        let shop = Shop::open().await.stocked("TEA-1", 5).await;
        let mut attempts = BTreeMap::new();
        shop.plant(move |call| {
            let attempt: &mut usize = attempts.entry(call.operation.clone()).or_default();
            *attempt += 1;
            (is_plain_write(call) && *attempt <= conflicts).then_some(Fault::Conflict)
        });
        let dearer = product("Tea", 500, "EUR");
        let changing = shop.describe(&shop.admin, "TEA-1", &dearer);
        let (reply, recorded) = shop.recording(changing).await;
        assert_eq!((reply.status, &reply.body["unit_price"]["amount"]), (200, &json!(500)), "{reply:?}");
        let calls = Shop::counted(&recorded);
        let tries = (calls["dynamodb PutItem"], calls["dynamodb UpdateItem"]);
        assert_eq!(tries, (conflicts + 1, conflicts + 1), "{conflicts} conflicts");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_row_stays_held_is_tried_five_times_within_half_a_second_and_changes_nothing() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let before = shop.everything().await;
    for (method, path, body) in [
        (Method::PUT, "/inventory/TEA-1", product("Tea", 500, "EUR")),
        (Method::PUT, "/inventory/TEA-2", product("Tea", 500, "EUR")),
    ] {
        let hits = shop.plant_times(usize::MAX, Fault::Conflict, is_plain_write);
        let began = tokio::time::Instant::now();
        let refused = shop.call(method, path, &shop.admin, Some(body), &[]).await;
        assert_eq!((refused.problem(), refused.header("retry-after")), ((503, "try_again"), "1"));
        assert_eq!(hits.count(), 5, "{path}");
        assert!(began.elapsed() < Duration::from_millis(600), "{path}: {:?}", began.elapsed());
        shop.heal();
    }
    assert_eq!(shop.everything().await, before);
    // The refusal held nothing back.
    let changed = shop.describe(&shop.admin, "TEA-1", &product("Tea", 500, "EUR")).await;
    assert_eq!((changed.status, &changed.body["unit_price"]["amount"]), (200, &json!(500)));
}

#[tokio::test(start_paused = true)]
async fn an_order_that_cannot_be_given_up_for_a_conflict_is_not_reported_as_given_up() {
    let (lines, _guard) = logs::keep();
    let reported = || lines.text().contains("gave the order up");
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.customer("Ada").await;
    shop.fail_mails();
    let placed = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;
    for _ in 0..ATTEMPTS {
        shop.sweep_after(LONGEST_WAIT).await;
    }
    // The next run finds ten attempts with its first write, and would give the order up with the second.
    let mut writes = 0;
    shop.plant(move |call| {
        writes += usize::from(call.operation == "UpdateItem");
        (call.operation == "UpdateItem" && writes > 1).then_some(Fault::Conflict)
    });
    shop.sweep_after(LONGEST_WAIT).await;
    assert_eq!((shop.books().await.given_up(), reported()), (vec![], false));
    shop.fail_mails();
    shop.sweep_after(LONGEST_WAIT).await;
    assert_eq!((shop.books().await.given_up(), reported()), (vec![placed.order_id()], true));
}

/// The texts by which the adapters name their plain writes: the constant before each call of `write`.
fn named_writes() -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for folder in ["crates/aws_adapters/src", "crates/aws_adapters/src/orders"] {
        for entry in std::fs::read_dir(root().join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                assert!(path.ends_with("orders"), "look into {} too", path.display());
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("a source");
            let (mut doing, mut writes) = ("", 0);
            for line in text.lines() {
                if let Some((_, rest)) = line.split_once("const DOING: &str = \"") {
                    doing = rest.split('"').next().unwrap_or_default();
                }
                if line.contains("write(DOING, ") {
                    named.insert(doing.to_owned());
                    writes += 1;
                }
            }
            let built = [".update_item()", ".put_item()"].map(|call| text.matches(call).count());
            // The four updates of waiting orders share a builder.
            let shared = if path.ends_with("waiting.rs") { 3 } else { 0 };
            let built = built[0] + built[1] + shared;
            assert_eq!(writes, built, "{} has a write that is not tried again", path.display());
        }
    }
    named
}

/// Every plain write of every function meets a conflict at its first try, and what the shop does is the same.
#[tokio::test(start_paused = true)]
async fn every_plain_write_of_the_adapters_is_tried_again() {
    let (lines, _guard) = logs::keep();
    let shop = Shop::open().await.stocked("TEA-1", 50).await.stocked("TEA-2", 1).await;
    let conflicts_and = |shop: &Shop, other: fn(&Call) -> bool| {
        // By turns, since another function may write meanwhile.
        let mut turns: BTreeMap<(String, String), bool> = BTreeMap::new();
        shop.plant(move |call| {
            if other(call) {
                return Some(Fault::Before);
            }
            let held = turns.entry((call.caller.clone(), call.target.clone())).or_default();
            *held = !*held && is_plain_write(call);
            held.then_some(Fault::Conflict)
        });
    };
    let nothing_else: fn(&Call) -> bool = |_call| false;
    let no_mail: fn(&Call) -> bool = |call| call.operation == "Publish" && call.target.contains("-customer-");
    conflicts_and(&shop, nothing_else);

    // A product, a customer, an order of each kind.
    assert_eq!(shop.describe(&shop.admin, "TEA-3", &product("Tea", 450, "EUR")).await.status, 201);
    assert_eq!(shop.describe(&shop.admin, "TEA-3", &product("Tea", 500, "EUR")).await.status, 200);
    let ada = shop.customer("Ada").await;
    let placed = shop.place(&ada, "one", &[("TEA-1", 1)]).await;
    assert_eq!((placed.status, &placed.body["status"]), (201, &json!("CONFIRMED")));
    assert_eq!(shop.place(&ada, "short", &[("TEA-2", 9)]).await.problem(), (409, "insufficient_stock"));
    assert_eq!(shop.patch(&shop.admin, placed.order_id(), "SHIPPED", 2).await.status, 200);
    assert_eq!(shop.patch(&shop.admin, placed.order_id(), "DELIVERED", 3).await.status, 200);

    // An order whose mail fails is claimed, given up, and taken up: by itself, and with all others.
    conflicts_and(&shop, no_mail);
    let unsent = shop.place(&ada, "unsent", &[("TEA-1", 1)]).await;
    for _ in 0..=10 {
        shop.sweep_after(LONGEST_WAIT).await;
    }
    assert_eq!(shop.books().await.given_up(), [unsent.order_id()]);
    assert_eq!(shop.resume_all(&shop.admin_again()).await.body, json!({ "taken_up": 1, "more": false }));
    conflicts_and(&shop, nothing_else);
    assert_eq!(shop.resume(&shop.admin_again(), unsent.order_id()).await.status, 202);

    // A run that finds nothing left to do.
    let resume = json!({ "command": "resume", "order_id": unsent.order_id() });
    let request = Request::post("/2015-03-31/functions/UpdateOrderStatusFunction/invocations")
        .header(header::AUTHORIZATION, signature("Conflicts", "lambda"))
        .body(resume.to_string().into())
        .expect("a request");
    let (parts, body) = answered(shop.stack.aws_router(), request).await;
    let settled: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!((parts.status.as_u16(), &settled["outcome"]), (200, &json!("changed")), "{settled}");

    // Orders that wait for their customers: one looks at, one releases, one finds off, one has failed.
    let (cleo, dora) = (shop.registered("Cleo").await, shop.registered("Dora").await);
    for customer in [&cleo, &dora] {
        assert_eq!(shop.place(customer, "one", &[("TEA-1", 1)]).await.status, 201);
    }
    shop.sweep_after(MINUTE * 2).await;
    shop.confirm_mails();
    shop.confirmed(&dora, "Dora").await;
    shop.sweep_after(DUE * 2).await;
    let fay = shop.registered("Fay").await;
    assert_eq!(shop.place(&fay, "one", &[("TEA-1", 1)]).await.status, 201);
    for _ in 0..80 {
        shop.sweep_after(LONGEST_WAIT).await;
    }

    // The day after, SNS is asked again, and the answer is noted.
    shop.wait(Duration::from_hours(25));
    let ada = shop.signed_in_as(&ada.user_id, &ada.email);
    assert_eq!(shop.place(&ada, "late", &[("TEA-1", 1)]).await.status, 201);

    shop.heal();
    shop.books().await.balance();
    assert_eq!(shop.books().await.unfinished(), [""; 0]);
    let log = lines.text();
    let held = log.lines().filter(|line| line.contains("another transaction holds the rows"));
    let held: BTreeSet<String> = held
        .filter_map(|line| {
            let line: Value = serde_json::from_str(line).expect("a log line is JSON");
            line["fields"]["doing"].as_str().map(str::to_owned)
        })
        .collect();
    assert_eq!(held, named_writes(), "the writes that met a conflict, and those in the sources");
}

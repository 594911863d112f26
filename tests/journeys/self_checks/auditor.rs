//! The auditor of the books names every kind of fault that it looks for. Each fault is made by hand in a shop whose
//! books were right before.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use local::aws::Fault;
use serde_json::{Value, json};

use crate::world::{Customer, Mailed, Shop, faults::tells_shop};

/// A shop with five units, a customer, and an order of two that is confirmed and mailed.
async fn opened() -> (Shop, Customer, Value) {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.customer("Ada").await;
    let placed = shop.place(&ada, "key-1", &[("TEA-1", 2)]).await;
    shop.audit(&[("TEA-1", 5)], &[&ada]).await;
    shop.audit_settled(Mailed::Once).await;
    let row = shop.row(placed.order_id()).await;
    (shop, ada, row)
}

/// Checks that an audit fails, and that it says this.
async fn blames(audit: impl Future<Output = ()>, fault: &str) {
    let Err(panic) = AssertUnwindSafe(audit).catch_unwind().await else { panic!("not noticed: {fault}") };
    let said = panic.downcast_ref::<String>().map_or("", String::as_str);
    assert!(said.contains(fault), "{fault} is not in: {said}");
}

/// Checks that the audit of unfinished books blames this.
async fn audit_blames(shop: &Shop, ada: &Customer, fault: &str) {
    blames(shop.audit(&[("TEA-1", 5)], &[ada]), fault).await;
}

/// Checks that the audit of settled books blames this.
async fn settled_audit_blames(shop: &Shop, mailed: Mailed, fault: &str) {
    let audit = async {
        shop.audit_settled(mailed).await;
    };
    blames(audit, fault).await;
}

#[tokio::test(start_paused = true)]
async fn a_stock_row_that_disagrees_with_orders_or_ledger_is_blamed() {
    for (member, count, fault) in [
        ("reserved", 3, "reserved, and held by open orders"),
        ("reserved", 1, "reserved, and held by open orders"),
        ("available", 4, "on hand, and by the ledger"),
        ("available", 2, "on hand, and by the ledger"),
    ] {
        let (shop, ada, _) = opened().await;
        shop.set_stock("TEA-1", member, count).await;
        audit_blames(&shop, &ada, fault).await;
        settled_audit_blames(&shop, Mailed::Once, fault).await;
    }
    let (shop, ada, _) = opened().await;
    shop.delete_stock("TEA-1").await;
    audit_blames(&shop, &ada, "TEA-1 has no stock row").await;
    // Stock and ledger agree with each other, and not with the test.
    let (shop, ada, _) = opened().await;
    shop.adjust("TEA-1", "again", 5).await;
    audit_blames(&shop, &ada, "units at first").await;
}

#[tokio::test(start_paused = true)]
async fn an_order_that_breaks_the_transition_table_is_blamed() {
    let changes = [
        ("/history/0/actor", json!("user:a"), "to PENDING by user:a"),
        ("/history/1/actor", json!("user:a"), "PENDING to CONFIRMED by user:a"),
        ("/history/1/status", json!("DELIVERED"), "PENDING to DELIVERED by"),
        ("/history/1/version", json!(3), "the version of an entry"),
        ("/history/1/at", json!("2026-02-28T12:00:00.000Z"), "time runs backwards"),
        ("/version", json!(3), "the version, and the number of entries"),
    ];
    for (member, value, fault) in changes {
        let (shop, ada, mut row) = opened().await;
        *row.pointer_mut(member).expect("a member of the row") = value;
        shop.put_order(&row).await;
        audit_blames(&shop, &ada, fault).await;
    }
    let (shop, ada, mut row) = opened().await;
    row.as_object_mut().expect("a row").remove("listed_at");
    shop.put_order(&row).await;
    audit_blames(&shop, &ada, "listed_at, and PENDING").await;
}

#[tokio::test(start_paused = true)]
async fn an_order_that_is_left_due_is_blamed() {
    let (shop, ada, mut row) = opened().await;
    row["due_at"] = json!("2026-03-01T12:01:00.000Z");
    shop.put_order(&row).await;
    audit_blames(&shop, &ada, "half due").await;
    row["due_shard"] = json!("1");
    shop.put_order(&row).await;
    audit_blames(&shop, &ada, "due, and unfinished").await;
    settled_audit_blames(&shop, Mailed::Once, "due_at is left over").await;
    assert_eq!(shop.books().await.unfinished(), [row["order_id"].as_str().expect("an id")]);

    // PENDING is unfinished, which is right until all is to be settled.
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.customer("Ada").await;
    shop.place_unconfirmed(&ada, "key-1", &[("TEA-1", 2)]).await;
    shop.audit(&[("TEA-1", 5)], &[&ada]).await;
    settled_audit_blames(&shop, Mailed::Once, "due_at is left over").await;
}

#[tokio::test(start_paused = true)]
async fn an_email_that_is_missing_repeated_or_misdirected_is_blamed() {
    // A row that says it was mailed, in a shop that mailed nothing.
    let (_, _, mut row) = opened().await;
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.customer("Ada").await;
    shop.place_unsent(&ada, "key-1", &[("TEA-1", 2)]).await;
    row["order_id"] = shop.rows("OrdersTable").await[0]["order_id"].clone();
    shop.put_order(&row).await;
    audit_blames(&shop, &ada, "neither mailed nor unsent").await;
    settled_audit_blames(&shop, Mailed::Once, "mails about CONFIRMED").await;
    settled_audit_blames(&shop, Mailed::AtLeastOnce { repeats: 9 }, "no mail about CONFIRMED").await;

    // A second e-mail about a status, and one about a status that the order never had.
    for (status, fault) in [("CONFIRMED", "mails about CONFIRMED"), ("SHIPPED", "not in the history")] {
        let (shop, _, row) = opened().await;
        let text = |value: &Value| json!({ "DataType": "String", "StringValue": value });
        let attributes = json!({
            "order_id": text(&row["order_id"]), "status": text(&json!(status)),
        });
        let message = json!({
            "TopicArn": shop.rows("UsersTable").await[0]["topic_arn"], "Subject": "s", "Message": "m", "MessageAttributes": attributes,
        });
        shop.stack.sns().call("Publish", &message).expect("it is published");
        settled_audit_blames(&shop, Mailed::Once, fault).await;
        if status == "CONFIRMED" {
            settled_audit_blames(&shop, Mailed::AtLeastOnce { repeats: 0 }, "mails are repeats").await;
            shop.audit_settled(Mailed::AtLeastOnce { repeats: 1 }).await;
            assert_eq!(shop.books().await.repeated_mails(), 1);
        }
    }

    // A mail that the history does not know, and a status that the shop was not told of.
    let (shop, _, row) = opened().await;
    let mut unnoted = row.clone();
    unnoted["history"][1].as_object_mut().expect("an entry").remove("mailed_at");
    shop.put_order(&unnoted).await;
    settled_audit_blames(&shop, Mailed::Once, "no mailed_at of CONFIRMED").await;
    let (_, _, row) = opened().await;
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.customer("Ada").await;
    shop.plant(|call| tells_shop(call).then_some(Fault::Before));
    let placed = shop.place(&ada, "key-1", &[("TEA-1", 2)]).await;
    shop.heal();
    let mut untold = row;
    untold["order_id"] = json!(placed.order_id());
    shop.put_order(&untold).await;
    settled_audit_blames(&shop, Mailed::Once, "messages to the shop about CONFIRMED").await;
    settled_audit_blames(&shop, Mailed::AtLeastOnce { repeats: 0 }, "the shop was not told of CONFIRMED")
        .await;

    // The customer's address is another one than the one that was mailed.
    let (shop, ada, _) = opened().await;
    let moved = shop.signed_in_as(&ada.user_id, "ada@elsewhere.example");
    assert_eq!(shop.register(&moved, "Ada").await.status, 200);
    audit_blames(&shop, &moved, "mailed to another address").await;
    settled_audit_blames(&shop, Mailed::Once, "mailed to another address").await;
    // The test says another address than the one that is stored.
    let (shop, ada, _) = opened().await;
    let other = Customer { email: "ada@elsewhere.example".to_owned(), ..ada };
    audit_blames(&shop, &other, "ada@elsewhere.example").await;
}

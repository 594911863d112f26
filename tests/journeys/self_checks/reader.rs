//! The reader of rows reads all of a table, and shows each value as it was written.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::world::Shop;

/// A scan answers with one megabyte at most. A reader that takes the first page for the table would miss rows.
#[tokio::test(start_paused = true)]
async fn rows_beyond_the_first_page_of_a_table_are_read() {
    let shop = Shop::open().await;
    let note = "x".repeat(300_000);
    let written: BTreeSet<String> = (0..8).map(|n| format!("order-{n}")).collect();
    for id in &written {
        shop.put_order(&json!({ "order_id": id, "note": note })).await;
    }

    let rows = shop.rows("OrdersTable").await;

    let read: Vec<&str> = rows.iter().filter_map(|row| row["order_id"].as_str()).collect();
    assert_eq!(read.len(), written.len(), "{read:?}");
    assert_eq!(read.into_iter().map(str::to_owned).collect::<BTreeSet<_>>(), written);
    assert_eq!(shop.everything().await.len(), written.len());
}

#[tokio::test(start_paused = true)]
async fn a_row_is_read_as_it_was_written() {
    let shop = Shop::open().await;
    let row = json!({
        "order_id": "order-1", "count": -3, "most": i64::MAX, "yes": true, "nothing": null, "empty": "",
        "lines": [{ "sku": "TEA-1", "quantity": 2 }, []],
    });
    shop.put_order(&row).await;

    assert_eq!(shop.row("order-1").await, row);
    shop.delete_order("order-1").await;
    assert_eq!(shop.rows("OrdersTable").await, Vec::<Value>::new());
}

/// A set of numbers has no spelling in plain JSON, so only the shop writes one.
#[tokio::test(start_paused = true)]
async fn a_set_is_read_as_a_list() {
    let shop = Shop::open().await.stocked("TEA-1", 1).await;
    let ada = shop.customer("Ada").await;
    let placed = shop.place_unsent(&ada, "key-1", &[("TEA-1", 1)]).await;

    assert_eq!(shop.row(placed.order_id()).await["unsent"], json!([2]));
}

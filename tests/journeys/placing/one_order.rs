//! One order: its answer, the stock that it moves, and the e-mail about it.

use crate::world::Shop;

#[tokio::test(start_paused = true)]
async fn an_order_reserves_its_stock_and_its_customer_is_mailed() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.customer("Ada").await;

    let placed = shop.place(&ada, "key-1", &[("TEA-1", 2)]).await;

    assert_eq!(placed.status, 201, "{placed:?}");
    assert_eq!(placed.body["status"], "CONFIRMED");
    assert_eq!(placed.header("location"), format!("/orders/{}", placed.order_id()));
    assert_eq!(shop.stock("TEA-1").await, (3, 2));
    let mail = shop.order_mail();
    assert_eq!(mail.len(), 1);
    assert_eq!((mail[0].to.as_str(), mail[0].status.as_deref()), ("ada@example.com", Some("CONFIRMED")));
    let read = shop.get(&format!("/orders/{}", placed.order_id()), &ada).await;
    assert_eq!((read.status, read.header("etag")), (200, "\"2\""));
    assert_eq!(read.order(), placed.order());
    assert_eq!(read.body["history"][1]["mailed_at"], placed.body["updated_at"], "{read:?}");
    assert_eq!(read.body["history"][0].get("mailed_at"), None, "PENDING is not mailed");
}

#[tokio::test(start_paused = true)]
async fn an_order_whose_ninth_line_of_ten_is_short_reserves_nothing_and_names_that_line() {
    let mut shop = Shop::open().await;
    for n in 0..10 {
        shop = shop.stocked(&format!("TEA-{n}"), if n == 8 { 1 } else { 5 }).await;
    }
    let ada = shop.customer("Ada").await;
    let skus: Vec<String> = (0..10).map(|n| format!("TEA-{n}")).collect();
    let lines: Vec<(&str, i64)> = skus.iter().map(|sku| (sku.as_str(), 2)).collect();

    let refused = shop.place(&ada, "key-1", &lines).await;

    assert_eq!(refused.problem(), (409, "insufficient_stock"));
    assert_eq!(
        refused.body["shortages"],
        serde_json::json!([{ "sku": "TEA-8", "requested": 2, "available": 1 }])
    );
    for sku in &skus {
        assert_eq!(shop.stock(sku).await.1, 0, "{sku}");
    }
    let order = shop.get(&format!("/orders/{}", refused.order_id()), &ada).await;
    assert_eq!(order.body["status"], "REJECTED");
    let mail = shop.order_mail();
    assert_eq!(mail.len(), 1);
    assert!(mail[0].body.contains("TEA-8: 2 ordered, 1 available"), "{}", mail[0].body);
}

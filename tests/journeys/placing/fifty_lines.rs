//! The largest order takes every transition. Each transition moves the stock of all lines in one transaction.

use local::aws::Recorded;

use crate::world::{Customer, Mailed, Reply, Shop};

/// The most lines that an order may have.
const LINES: usize = 50;

#[tokio::test(start_paused = true)]
async fn an_order_of_fifty_lines_is_placed_and_cancelled() {
    let (shop, ada) = stocked().await;

    let placed = place(&shop, &ada, "key-1").await;
    assert_eq!(placed.status, 201, "{placed:?}");
    assert_stock(&shop, (3, 2)).await;
    let (cancelled, recorded) = shop.recording(shop.cancel(&ada, placed.order_id())).await;

    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    assert_eq!(written_together(&recorded), [LINES + 1]);
    assert_stock(&shop, (5, 0)).await;
    shop.audit_settled(Mailed::Once).await;
}

#[tokio::test(start_paused = true)]
async fn an_order_of_fifty_lines_is_placed_shipped_and_delivered() {
    let (shop, ada) = stocked().await;

    let delivering = async {
        let placed = place(&shop, &ada, "key-1").await;
        assert_eq!(placed.status, 201, "{placed:?}");
        assert_eq!(placed.body["lines"].as_array().map(Vec::len), Some(LINES));
        assert_eq!(placed.body["total"]["amount"], 450 * 2 * LINES);
        let shipped = shop.patch(&shop.admin, placed.order_id(), "SHIPPED", 2).await;
        assert_eq!(shipped.status, 200, "{shipped:?}");
        assert_stock(&shop, (3, 0)).await;
        shop.patch(&shop.admin, placed.order_id(), "DELIVERED", 3).await
    };
    let (delivered, recorded) = shop.recording(delivering).await;

    assert_eq!(delivered.body["status"], "DELIVERED", "{delivered:?}");
    assert_stock(&shop, (3, 0)).await;
    // One to reserve and one to ship. Delivering moves no stock.
    assert_eq!(written_together(&recorded), [LINES + 1, LINES + 1]);
    shop.audit_settled(Mailed::Once).await;
}

#[tokio::test(start_paused = true)]
async fn an_order_of_fifty_lines_is_rejected_and_names_every_line_that_is_short() {
    let (shop, ada) = stocked().await;
    place(&shop, &ada, "key-1").await;
    place(&shop, &ada, "key-2").await;
    assert_stock(&shop, (1, 4)).await;

    let rejected = place(&shop, &ada, "key-3").await;

    assert_eq!(rejected.problem(), (409, "insufficient_stock"));
    assert_eq!(rejected.body["shortages"].as_array().map(Vec::len), Some(LINES));
    assert_stock(&shop, (1, 4)).await;
    shop.audit_settled(Mailed::Once).await;
}

fn skus() -> Vec<String> {
    (0..LINES).map(|n| format!("TEA-{n:02}")).collect()
}

/// A shop with five units each of fifty products, and a customer.
async fn stocked() -> (Shop, Customer) {
    let mut shop = Shop::open().await;
    for sku in skus() {
        shop = shop.stocked(&sku, 5).await;
    }
    let ada = shop.customer("Ada").await;
    (shop, ada)
}

/// Orders two of each product.
async fn place(shop: &Shop, customer: &Customer, key: &str) -> Reply {
    let skus = skus();
    let lines: Vec<_> = skus.iter().map(|sku| (sku.as_str(), 2)).collect();
    shop.place(customer, key, &lines).await
}

async fn assert_stock(shop: &Shop, stock: (u64, u64)) {
    for sku in skus() {
        assert_eq!(shop.stock(&sku).await, stock, "{sku}");
    }
}

/// The number of actions of each recorded transaction. Every action has one condition.
fn written_together(recorded: &[Recorded]) -> Vec<usize> {
    let transactions = recorded.iter().filter(|recorded| recorded.call.operation == "TransactWriteItems");
    transactions.map(|transaction| transaction.text.matches("ConditionExpression").count()).collect()
}

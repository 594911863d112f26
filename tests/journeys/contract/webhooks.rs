//! The shop is told of every announced status, as `webhooks` in the API's description says.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::world::{
    Shop,
    openapi::{at, judge, validator},
    shop::template_with,
};

const EVENT: &str = "/components/schemas/OrderEvent";

/// Orders that take every status.
async fn every_status(shop: &Shop) {
    let ada = shop.customer("Ada").await;
    let delivered = shop.place(&ada, "delivered", &[("TEA-1", 1)]).await;
    assert_eq!(shop.patch(&shop.admin, delivered.order_id(), "SHIPPED", 2).await.status, 200);
    assert_eq!(shop.patch(&shop.admin, delivered.order_id(), "DELIVERED", 3).await.status, 200);
    let cancelled = shop.place(&ada, "cancelled", &[("TEA-1", 1), ("TEA-2", 2)]).await;
    assert_eq!(shop.cancel(&ada, cancelled.order_id()).await.status, 200);
    assert_eq!(shop.place(&ada, "rejected", &[("TEA-1", 99)]).await.status, 409);
}

#[tokio::test(start_paused = true)]
async fn every_announced_status_is_told_once_and_as_described() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await.stocked("TEA-2", 5).await;
    every_status(&shop).await;

    let feed = shop.stack.sns().feed();
    let described = validator(EVENT);
    let mut told = Vec::new();
    for item in &feed {
        judge(&described, &item.message).unwrap_or_else(|fault| panic!("{fault}"));
        let text = |name: &str| item.message[name].as_str().expect("a text").to_owned();
        assert_eq!(item.attributes["event"], text("event"));
        assert_eq!(item.attributes["status"], text("status"));
        assert_eq!(text("event"), format!("order.{}", text("status").to_lowercase()));
        let order = shop.row(&text("order_id")).await;
        let history = order["history"].as_array().expect("a history");
        let entry =
            history.iter().find(|entry| entry["version"] == item.message["version"]).expect("it is there");
        assert_eq!((&entry["status"], &entry["at"]), (&item.message["status"], &item.message["at"]));
        assert_eq!((&order["total"], &order["user_id"]), (&item.message["total"], &item.message["user_id"]));
        told.push(text("event"));
    }
    let described_events = at(EVENT)["properties"]["event"]["enum"].as_array().expect("events");
    let all: BTreeSet<&str> = described_events.iter().filter_map(Value::as_str).collect();
    assert_eq!(told.iter().map(String::as_str).collect::<BTreeSet<_>>(), all);
    assert_eq!(told.len(), 6, "{told:?}");
    assert_eq!(
        at("/webhooks/orderEvent/post/requestBody/content/application~1json/schema/$ref"),
        &json!(format!("#{EVENT}"))
    );
}

#[tokio::test(start_paused = true)]
async fn staff_are_told_of_new_cancelled_and_rejected_orders_at_their_own_address() {
    let template = template_with(&[("StaffEmail", "staff@shop.example")]).expect("a template");
    let shop = Shop::of(&template, 1).await.stocked("TEA-1", 5).await.stocked("TEA-2", 5).await;
    assert_eq!(shop.confirm_mails(), 1, "staff confirm the address");
    every_status(&shop).await;

    let mails = shop.stack.mailbox().mails(None, Some("staff@shop.example"));
    let told: Vec<Value> = mails.iter().filter_map(|mail| serde_json::from_str(&mail.body).ok()).collect();
    let events: Vec<&str> = told.iter().filter_map(|message: &Value| message["event"].as_str()).collect();
    assert_eq!(events, ["order.confirmed", "order.confirmed", "order.cancelled", "order.rejected"]);
    let customers = shop.order_mail().into_iter().filter(|mail| mail.to == "ada@example.com").count();
    assert_eq!(customers, 6, "the customer's mails are no business of the staff's address");
}

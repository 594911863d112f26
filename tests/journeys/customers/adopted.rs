//! Customers whose rows a new stack has adopted. Recovery takes the topics of the removed stack out of their rows, and the
//! sweeper gives them topics of this one. `scripts/lib/recovery.py` writes the rows so.

use std::{collections::BTreeSet, time::Duration};

use serde_json::{Value, json};

use crate::world::{
    Shop,
    tables::{name, put},
    waiting::DUE,
};

/// A customer's row without the topics of the removed stack.
fn let_go(row: &Value, now: &str) -> Value {
    let mut row = row.clone();
    let members = row.as_object_mut().expect("a row");
    for gone in ["topic_arn", "subscription_arn", "asked_at", "confirmed_at", "retired", "todo_tries"] {
        members.remove(gone);
    }
    members.insert("version".to_owned(), json!(members["version"].as_u64().expect("a version") + 1));
    if members.get("mail").is_some_and(|mail| mail != "off") {
        members.insert("mail".to_owned(), json!("pending"));
        members.insert("todo_shard".to_owned(), json!("0"));
        members.insert("todo_at".to_owned(), json!(now));
    } else {
        members.remove("todo_shard");
        members.remove("todo_at");
    }
    row
}

#[tokio::test(start_paused = true)]
async fn an_adopted_customer_is_asked_on_a_new_topic_and_mailed_once_they_confirm() {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.customer("Ada").await;
    let silent = shop.customer("Silent").await;
    let left = shop.customer("Left").await;
    shop.register_with(&silent, json!({ "name": "Silent", "notifications": "off" })).await;
    assert_eq!(shop.leave(&left).await.status, 204);
    let former: BTreeSet<String> = shop.customer_topics();
    for row in shop.rows("UsersTable").await {
        put(&shop.stack, name("UsersTable"), &let_go(&row, "2020-01-01T00:00:00.000Z")).await;
    }

    let placed = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;
    assert_eq!((placed.status, shop.order_mail()), (201, Vec::new()), "nobody is mailed on a former topic");
    shop.sweep_after(DUE).await;
    let made: Vec<String> = shop.customer_topics().difference(&former).cloned().collect();
    let [topic] = &made[..] else { panic!("one customer is asked: {made:?}") };
    let rows = shop.rows("UsersTable").await;
    let topics: Vec<&str> = rows.iter().filter_map(|row| row["topic_arn"].as_str()).collect();
    assert_eq!(topics, [topic], "{rows:#?}");

    shop.confirm_mails();
    shop.sweep_after(Duration::from_mins(2)).await;
    let told: Vec<String> = shop.order_mail().into_iter().map(|mail| mail.to).collect();
    assert_eq!(told, ["ada@example.com"]);
    let on = shop.register_with(&silent, json!({ "name": "Silent", "notifications": "on" })).await;
    assert_eq!(on.body["notifications"], "pending", "{on:?}");
    shop.confirm_mails();
    shop.confirmed(&silent, "Silent").await;
    assert_eq!(shop.told(&silent, "key-2").await, ["silent@example.com"]);
}

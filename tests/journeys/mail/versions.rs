//! During a deployment, one execution may call functions of the next version, or a machine of the next version call
//! functions of the last. No mail is lost either way.
//!
//! `former_machine.json` is the machine of the version before this one. It knows a topic and nothing of waiting or of the
//! shop. How this machine treats what the functions before answer is in `contract/workflow_cases.json`.

use std::{fs, time::Duration};

use local::ground::ACCOUNT;
use sam_template::Template;
use serde_json::json;

use crate::world::{
    Customer, Shop,
    programs::root,
    shop::{TEMPLATE, held_clock, start},
};

/// The shipped template with the machine of the version before.
fn with_the_former_machine(folder: &std::path::Path) -> Template {
    let template = fs::read_to_string(root().join("infra/template.yaml")).expect("the template");
    // The machine before names no topic of the shop, and one partition.
    let template = template
        .replace("        OrderTopicArn: !Ref OrderTopic\n", "")
        .replace("        Partition: !Ref AWS::Partition\n", "");
    for (name, text) in [
        ("infra/template.yaml", template.as_str()),
        ("step_function/order.asl.json", include_str!("former_machine.json")),
    ] {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    let parameters = std::collections::BTreeMap::new();
    Template::read(&folder.join("infra/template.yaml"), ACCOUNT, &parameters)
        .unwrap_or_else(|faults| panic!("{faults}"))
}

/// An order that is placed and shipped, and one that is rejected.
async fn orders(shop: &Shop, customer: &Customer) -> Vec<String> {
    let placed = shop.place(customer, "key-1", &[("TEA-1", 1)]).await;
    assert_eq!(placed.status, 201, "{placed:?}");
    assert_eq!(shop.patch(&shop.admin, placed.order_id(), "SHIPPED", 2).await.status, 200);
    let rejected = shop.place(customer, "key-2", &[("TEA-1", 999)]).await;
    assert_eq!(rejected.problem(), (409, "insufficient_stock"), "{rejected:?}");
    vec![placed.order_id().to_owned(), rejected.order_id().to_owned()]
}

/// Who was mailed of which statuses.
fn mailed(shop: &Shop, customer: &Customer) -> Vec<String> {
    let mails = shop.order_mail().into_iter().filter(|mail| mail.to == customer.email);
    mails.filter_map(|mail| mail.status).collect()
}

#[tokio::test(start_paused = true)]
async fn a_machine_of_the_version_before_loses_no_mail_with_these_functions() {
    let folder = tempfile::tempdir().expect("a folder");
    let former = with_the_former_machine(folder.path());
    let shop = Shop::on(start(&former, Some(folder.path()), held_clock()).await).stocked("TEA-1", 50).await;
    let ada = shop.customer("Ada").await;
    let bob = shop.registered("Bob").await;
    let cleo = shop.signed_in("Cleo");
    let off = shop.register_with(&cleo, json!({ "name": "Cleo", "notifications": "off" })).await;
    assert_eq!(off.status, 201);
    for customer in [&ada, &bob, &cleo] {
        orders(&shop, customer).await;
    }
    assert_eq!(mailed(&shop, &ada), ["CONFIRMED", "SHIPPED", "REJECTED"]);
    assert_eq!(shop.order_mail().len(), 3, "Bob has not confirmed, and Cleo wants no mail");
    for row in shop.rows("OrdersTable").await {
        let waits = row["user_id"] == bob.user_id.as_str();
        assert_eq!(row.get("unsent").is_some(), waits, "{row:#}");
        assert_eq!(row.get("untold"), None, "the machine does not tell the shop: {row:#}");
        assert!(row.get("due_at").is_some() == waits, "{row:#}");
    }
    // Its resumptions find that too.
    shop.sweep_after(Duration::from_mins(2)).await;
    drop(shop);

    // The new machine is deployed, and finishes what is left.
    let shop = Shop::on(start(&TEMPLATE, Some(folder.path()), held_clock()).await);
    shop.wait(Duration::from_mins(10));
    shop.confirm_mails();
    let bob = shop.signed_in_as(&bob.user_id, &bob.email);
    shop.confirmed(&bob, "Bob").await;
    for _ in 0..10 {
        shop.sweep_after(Duration::from_mins(2)).await;
    }
    let mut told = mailed(&shop, &bob);
    told.sort();
    assert_eq!(told, ["CONFIRMED", "REJECTED", "SHIPPED"]);
    assert_eq!(mailed(&shop, &ada).len(), 3, "nobody is mailed again");
    for row in shop.rows("OrdersTable").await {
        for name in ["unsent", "untold", "due_at", "due_shard"] {
            assert_eq!(row.get(name), None, "{row:#}");
        }
    }
}

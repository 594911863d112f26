//! The audit compares the reserved units of every SKU with the units that open orders hold, and changes nothing. It
//! runs as a function, and as `orderflow reconcile` in each of its forms.

use std::{
    process::{Command, Output},
    time::Duration,
};

use aws_adapters::{Difference, Orders, Reconciled, Stocks, database};
use local::{
    aws::{Fault, sdk_config},
    ground::StackClock,
};

use serde_json::json;

use crate::world::{
    Shop, TEMPLATE,
    orderflow::{Orderflow, command, free_port, text},
    shop::start,
    tables,
};

async fn reconcile(shop: &Shop) -> Reconciled {
    let client = database(&sdk_config(shop.stack.aws(), "Reconcile", shop.stack.clock()));
    let orders = Orders::new(client.clone(), tables::name("OrdersTable").to_owned());
    let stocks = Stocks::new(client, tables::name("InventoryTable").to_owned());
    aws_adapters::reconcile(&orders, &stocks).await.expect("it can be found out")
}

/// The differences, each as `SKU reserved/held`.
fn differences(found: &Reconciled) -> Vec<String> {
    let shown = |Difference { sku, reserved, held }: &Difference| format!("{sku} {reserved}/{held}");
    found.differences.iter().map(shown).collect()
}

/// A shop with an order in every status, one left PENDING and one that was given up while PENDING.
async fn lively() -> Shop {
    let shop =
        Shop::open().await.stocked("TEA-1", 50).await.stocked("TEA-2", 50).await.stocked("TEA-3", 5).await;
    let ada = shop.customer("Ada").await;
    let place = async |key: &str, units: i64| {
        let ada = shop.signed_in_as(&ada.user_id, &ada.email);
        let placed = shop.place(&ada, key, &[("TEA-1", units), ("TEA-2", 1)]).await;
        placed.order_id().to_owned()
    };
    shop.fail_confirmations();
    let given_up = place("given-up", 3).await;
    shop.sweep_until_given_up().await;
    assert_eq!(shop.waiting_for_a_person().await, [given_up.as_str()]);
    let pending = place("pending", 4).await;
    shop.heal();
    place("confirmed", 5).await;
    assert_eq!(shop.cancel(&shop.admin_again(), &place("cancelled", 6).await).await.status, 200);
    let shipped = [place("shipped", 7).await, place("delivered", 8).await];
    for id in &shipped {
        assert_eq!(shop.patch(&shop.admin_again(), id, "SHIPPED", 2).await.status, 200);
    }
    assert_eq!(shop.patch(&shop.admin_again(), &shipped[1], "DELIVERED", 3).await.status, 200);
    place("rejected", 1_000).await;
    for id in [&given_up, &pending] {
        let order = shop.get(&format!("/orders/{id}"), &shop.admin_again()).await;
        assert_eq!(order.body["status"], "PENDING");
    }
    shop
}

#[tokio::test(start_paused = true)]
async fn the_audit_finds_no_difference_in_right_books_with_orders_in_every_status() {
    let shop = lively().await;
    let before = shop.everything().await;

    let (found, recorded) = shop.recording(reconcile(&shop)).await;

    let calls = Shop::counted(&recorded);
    assert_eq!(found, Reconciled { skus: 3, open_orders: 3, differences: vec![] });
    assert!(
        calls.keys().eq(["dynamodb BatchGetItem", "dynamodb Query"]),
        "it reads without a scan: {calls:?}"
    );
    assert_eq!(shop.everything().await, before);
}

#[tokio::test(start_paused = true)]
async fn the_audit_names_every_sku_that_differs_and_changes_nothing() {
    let shop = lively().await;
    // Open orders hold 3 + 4 + 5 of TEA-1 and 1 + 1 + 1 of TEA-2.
    for (sku, reserved, expected) in [
        ("TEA-1", 13, &["TEA-1 13/12"][..]),
        ("TEA-2", 0, &["TEA-1 13/12", "TEA-2 0/3"]),
        ("TEA-3", 1, &["TEA-1 13/12", "TEA-2 0/3", "TEA-3 1/0"]),
        ("TEA-1", 12, &["TEA-2 0/3", "TEA-3 1/0"]),
    ] {
        shop.set_stock(sku, "reserved", reserved).await;
        let before = shop.everything().await;
        let found = reconcile(&shop).await;
        assert_eq!(
            (differences(&found), found.skus, found.open_orders),
            (expected.iter().map(|text| (*text).to_owned()).collect(), 3, 3)
        );
        assert_eq!(shop.everything().await, before);
    }
    shop.delete_stock("TEA-1").await;
    let found = reconcile(&shop).await;
    assert_eq!(
        (differences(&found), found.skus),
        (["TEA-1 0/12", "TEA-2 0/3", "TEA-3 1/0"].map(str::to_owned).to_vec(), 2)
    );
}

#[tokio::test(start_paused = true)]
async fn the_audit_counts_more_orders_and_skus_than_a_page_holds() {
    let mut shop = Shop::open_unbounded().await.stocked("A", 1_000).await;
    for n in 0..103 {
        shop = shop.stocked(&format!("SKU-{n}"), 0).await;
    }
    let ada = shop.customer("Ada").await;
    for n in 0..105 {
        assert_eq!(shop.place(&ada, &format!("key-{n}"), &[("A", 2)]).await.status, 201);
    }
    // Twelve PENDING orders, so that most of the sweeper's shards have one.
    shop.fail_confirmations();
    for n in 0..12 {
        let placed = shop.place(&ada, &format!("pending-{n}"), &[("A", 1)]).await;
        assert_eq!((placed.status, &placed.body["status"]), (202, &json!("PENDING")));
    }
    shop.heal();
    let found = reconcile(&shop).await;
    assert_eq!(found, Reconciled { skus: 104, open_orders: 117, differences: vec![] });
    shop.set_stock("SKU-102", "reserved", 1).await;
    assert_eq!(differences(&reconcile(&shop).await), ["SKU-102 1/0"]);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_changes_while_the_audit_reads_is_no_difference() {
    let shop = Shop::open().await.stocked("TEA-1", 50).await.stocked("TEA-2", 50).await;
    let ada = shop.customer("Ada").await;
    let first = shop.place(&ada, "key-1", &[("TEA-1", 2)]).await;
    for tampered in [false, true] {
        if tampered {
            shop.set_stock("TEA-2", "reserved", 9).await;
        }
        let mut queries = 0;
        let reading = shop.plant_once(Fault::Delay(Duration::from_millis(100)), move |call| {
            queries += u32::from(call.caller == "Reconcile" && call.operation == "Query");
            // It queries the five shards of due orders first, then confirmed orders, then the stock.
            queries == 6
        });
        let key = format!("late-{tampered}");
        let (found, ()) = tokio::join!(reconcile(&shop), async {
            reading.notified().await;
            assert_eq!(shop.place(&ada, &key, &[("TEA-1", 3)]).await.status, 201);
        });
        shop.heal();
        let expected = if tampered { vec!["TEA-2 9/0".to_owned()] } else { vec![] };
        assert_eq!(differences(&found), expected, "only a difference that persists is reported");
    }
    assert_eq!(shop.cancel(&ada, first.order_id()).await.status, 200);
}

/// Runs `orderflow reconcile` with these AWS settings only.
fn run(flags: &[&str], settings: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command: Command = command();
    command.arg("reconcile").args(flags);
    for name in
        ["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
    {
        command.env_remove(name);
    }
    command.env("AWS_EC2_METADATA_DISABLED", "true");
    for file in ["AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"] {
        command.env(file, "there-is-none");
    }
    let Output { status, stdout, stderr } =
        command.envs(settings.iter().copied()).output().expect("orderflow runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code(), text(stdout), text(stderr))
}

/// A data folder of a stopped stack with an open order of three units. Its stock row says `reserved`.
async fn folder(reserved: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let shop = Shop::on(start(&TEMPLATE, Some(folder.path()), StackClock::system()).await);
    let shop = shop.stocked("TEA-1", 50).await.stocked("TEA-2", 50).await;
    let ada = shop.customer("Ada").await;
    assert_eq!(shop.place(&ada, "key-1", &[("TEA-1", 3)]).await.status, 201);
    shop.set_stock("TEA-1", "reserved", reserved).await;
    folder
}

#[tokio::test]
async fn the_exit_status_of_the_program_says_whether_the_books_balance() {
    for (reserved, status, said) in [
        (3, 0, "2 SKUs, 1 open order: the books balance\n"),
        (5, 1, "TEA-1: 5 reserved, open orders hold 3\n2 SKUs, 1 open order: 1 SKU differs\n"),
    ] {
        let folder = folder(reserved).await;
        // A second run gives the same result.
        for _ in 0..2 {
            let run = run(&["--data-dir", text(folder.path())], &[]);
            assert_eq!(run, (Some(status), said.to_owned(), String::new()));
        }
    }
}

#[tokio::test]
async fn the_program_reads_a_running_stack_through_its_aws_port() {
    let folder = folder(4).await;
    let dir = text(folder.path());
    let port = free_port().to_string();
    let flags = ["--aws-port", &port, "--data-dir", dir, "--no-demo"];
    let running = Orderflow::start(flags);
    let url = format!("http://127.0.0.1:{port}");
    let differ = (
        Some(1),
        "TEA-1: 4 reserved, open orders hold 3\n2 SKUs, 1 open order: 1 SKU differs\n".to_owned(),
        String::new(),
    );

    assert_eq!(run(&["--endpoint-url", &url], &[]), differ);
    // As on AWS, with tables, region and credentials, and another endpoint.
    let orders = tables::name("OrdersTable");
    let inventory = tables::name("InventoryTable");
    let named = ["--orders-table", orders, "--inventory-table", inventory, "--endpoint-url", &url];
    let credentials = [("AWS_ACCESS_KEY_ID", "operator"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let in_region = [&named[..], &["--region", "us-east-1"]].concat();
    assert_eq!(run(&in_region, &credentials), differ);
    let by_environment = [&credentials[..], &[("AWS_REGION", "us-east-1")]].concat();
    assert_eq!(run(&named, &by_environment), differ);

    // The running stack holds the file.
    let (status, out, fault) = run(&["--data-dir", dir], &[]);
    assert_eq!((status, out.as_str()), (Some(2), ""), "{fault}");
    for part in ["is running on", dir, "--endpoint-url", "--aws-port", "stop it"] {
        assert!(fault.contains(part), "`{part}` is not in: {fault}");
    }
    let wrong_name = [&["--orders-table", "nowhere"], &named[2..], &["--region", "us-east-1"]].concat();
    for (flags, settings, says) in [
        (&named[..], &credentials[..], &["no AWS region", "--region"][..]),
        (&in_region, &[], &["failed"]),
        (&wrong_name, &credentials, &["failed for good", "ResourceNotFoundException"]),
    ] {
        let (status, out, fault) = run(flags, settings);
        assert_eq!((status, out.as_str()), (Some(2), ""), "{fault}");
        for part in says {
            assert!(fault.contains(part), "`{part}` is not in: {fault}");
        }
    }
    running.kill();
    let (status, _, fault) = run(&["--endpoint-url", &url], &[]);
    assert_eq!(status, Some(2), "{fault}");
    // After a kill the file is free again, and gives the same result.
    assert_eq!(run(&["--data-dir", dir], &[]), differ);
}

#[tokio::test]
async fn the_program_names_the_cause_when_it_cannot_read_the_books() {
    let empty = tempfile::tempdir().expect("a folder");
    let dir = text(empty.path());
    let missing = empty.path().join("missing");
    for (flags, says) in [
        (&["--data-dir", dir][..], &["no data file", dir, "--data-dir", "--endpoint-url"][..]),
        (&["--data-dir", text(&missing)], &["no data file", "missing"]),
        (&["--orders-table", "x"], &["--inventory-table"]),
        (&["--region", "eu-central-1"], &["--orders-table"]),
        (&["--data-dir", dir, "--endpoint-url", "http://127.0.0.1:1"], &["--endpoint-url"]),
        (&["--scan"], &["--scan"]),
    ] {
        let (status, out, fault) = run(flags, &[]);
        assert_eq!((status, out.as_str()), (Some(2), ""), "{flags:?}: {fault}");
        for part in says {
            assert!(fault.contains(part), "`{part}` is not in: {fault}");
        }
    }
    assert_eq!(
        std::fs::read_dir(empty.path()).expect("the folder").count(),
        0,
        "the program left a file in the folder"
    );
    std::fs::write(empty.path().join("orderflow.db"), "no database, certainly not one of ours")
        .expect("a file");
    let (status, _, fault) = run(&["--data-dir", dir], &[]);
    assert_eq!(status, Some(2), "{fault}");
    assert!(fault.contains("orderflow.db"), "{fault}");
    let (status, help, _) = run(&["--help"], &[]);
    assert_eq!(status, Some(0));
    for part in ["--orders-table", "--inventory-table", "--endpoint-url", "--data-dir", "Exit status"] {
        assert!(help.contains(part), "`{part}` is not in: {help}");
    }
}

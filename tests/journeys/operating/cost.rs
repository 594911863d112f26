//! The cost of an order: its AWS calls, the capacity units that they consume, and the size of its row. `local::metering`
//! has the rules for units. The dollars on the page of costs are those that `orderflow cost` prints.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path, process::Output, time::Duration};

use domain::Timestamp;
use local::{
    aws::{Fault, Recorded},
    metering::{shown, tenths, units},
    prices,
};
use serde_json::{Value, json};

use crate::world::{
    Customer, Shop,
    faults::counts,
    gestures::product,
    orderflow::{command, text},
    programs::root,
};

/// The longest SKU, a product's name of 40 characters, and the longest reference, in ASCII.
const LONGEST: (usize, usize, usize) = (64, 40, 64);

#[tokio::test(start_paused = true)]
async fn a_placed_order_makes_these_calls_and_no_others() {
    let (shop, ada) = open().await;

    let (placed, recorded) = shop.recording(shop.place(&ada, "key-1", &[("TEA-1", 1)])).await;

    assert_eq!(placed.status, 201, "{placed:?}");
    let expected = [
        ("states StartSyncExecution", 1),
        ("lambda Invoke", 3),
        ("dynamodb BatchGetItem", 1),
        ("dynamodb Query", 1),
        ("dynamodb TransactWriteItems", 1),
        ("dynamodb UpdateItem", 2),
        ("sns Publish", 2),
    ];
    assert_eq!(Shop::counted(&recorded), counts(&expected), "{}", bill(&recorded));
    assert_eq!(units(&recorded).to_string(), "2.5 read units, 10 write units", "{}", bill(&recorded));
}

/// A new index, or another attribute in a key, changes this bill.
#[tokio::test(start_paused = true)]
async fn the_bill_of_a_placed_order_names_each_table_and_index() {
    let (shop, ada) = open().await;

    let (placed, recorded) = shop.recording(shop.place(&ada, "key-1", &[("TEA-1", 1)])).await;

    assert_eq!(placed.status, 201, "{placed:?}");
    insta::assert_snapshot!(bill(&recorded), @"
    BatchGetItem orderflow-InventoryTable: 1
    BatchGetItem orderflow-UsersTable: 1
    Query orderflow-OrdersTable/by_user: 0.5
    TransactWriteItems orderflow-InventoryTable: 2
    TransactWriteItems orderflow-OrdersTable: 2
    TransactWriteItems orderflow-OrdersTable/by_due: 1
    TransactWriteItems orderflow-OrdersTable/by_user: 1
    UpdateItem orderflow-OrdersTable: 1
    UpdateItem orderflow-OrdersTable/by_status: 1
    UpdateItem orderflow-OrdersTable: 1
    UpdateItem orderflow-OrdersTable/by_due: 1
    ");
}

#[tokio::test(start_paused = true)]
async fn a_repeat_a_rejection_and_a_refusal_cost_less() {
    let (shop, ada) = open().await;
    assert_eq!(shop.place(&ada, "key-1", &[("TEA-1", 1)]).await.status, 201);

    // The order's row cancels the transaction of a repeat, so nothing is written, mailed or noted.
    let (repeat, calls) = shop.recording(shop.place(&ada, "key-1", &[("TEA-1", 1)])).await;
    let expected = [
        ("states StartSyncExecution", 1),
        ("lambda Invoke", 2),
        ("dynamodb BatchGetItem", 1),
        ("dynamodb Query", 1),
        ("dynamodb TransactWriteItems", 1),
    ];
    assert_eq!((repeat.status, Shop::counted(&calls)), (200, counts(&expected)), "{}", bill(&calls));

    // A rejection moves no stock, so it needs no transaction and no confirmation.
    let (rejected, calls) = shop.recording(shop.place(&ada, "key-2", &[("TEA-1", 100)])).await;
    let expected = [
        ("states StartSyncExecution", 1),
        ("lambda Invoke", 2),
        ("dynamodb BatchGetItem", 1),
        ("dynamodb Query", 1),
        ("dynamodb PutItem", 1),
        ("sns Publish", 2),
        ("dynamodb UpdateItem", 1),
    ];
    assert_eq!((rejected.status, Shop::counted(&calls)), (409, counts(&expected)), "{}", bill(&calls));
    assert_eq!(units(&calls).to_string(), "2.5 read units, 6 write units", "{}", bill(&calls));

    // The order's row is read first, since a repeat is answered even when its SKU is unknown by now.
    let (refused, calls) = shop.recording(shop.place(&ada, "key-3", &[("TEA-9", 1)])).await;
    let expected = [
        ("states StartSyncExecution", 1),
        ("lambda Invoke", 1),
        ("dynamodb BatchGetItem", 1),
        ("dynamodb Query", 1),
        ("dynamodb GetItem", 1),
    ];
    assert_eq!((refused.status, Shop::counted(&calls)), (422, counts(&expected)), "{}", bill(&calls));
    assert_eq!(units(&calls).write_tenths, 0, "{}", bill(&calls));
}

#[tokio::test(start_paused = true)]
async fn an_order_of_ten_lines_makes_one_read_one_transaction_and_two_publishes() {
    let mut shop = Shop::open().await;
    let skus: Vec<String> = (0..10).map(|n| format!("TEA-{n}")).collect();
    for sku in &skus {
        shop = shop.stocked(sku, 5).await;
    }
    let ada = shop.customer("Ada").await;
    let lines: Vec<(&str, i64)> = skus.iter().map(|sku| (sku.as_str(), 1)).collect();

    let (placed, recorded) = shop.recording(shop.place(&ada, "key-1", &lines)).await;

    assert_eq!(placed.status, 201, "{placed:?}");
    let calls = Shop::counted(&recorded);
    for once in ["dynamodb BatchGetItem", "dynamodb TransactWriteItems"] {
        assert_eq!(calls[once], 1, "{once}\n{}", bill(&recorded));
    }
    assert_eq!((calls["sns Publish"], calls["dynamodb UpdateItem"]), (2, 2), "{}", bill(&recorded));
    assert_eq!(
        units(&recorded).read(),
        "11.5",
        "a read unit for each SKU and one for the customer, and half a one for the count\n{}",
        bill(&recorded)
    );
}

#[tokio::test(start_paused = true)]
async fn the_row_of_a_one_line_order_stays_below_one_kilobyte_with_long_texts() {
    let (sku_length, name_length, reference_length) = LONGEST;
    let sku = "T".repeat(sku_length);
    let shop = Shop::open().await.stocked(&sku, 5).await;
    let dearest = product(&"N".repeat(name_length), 1_000_000_000, "EUR");
    assert_eq!(shop.describe(&shop.admin, &sku, &dearest).await.status, 200);
    let ada = shop.customer("Ada").await;
    // The row is largest while it is unsent and untold. A write is charged by the larger row of before and after.
    shop.plant(|call| (call.operation == "Publish").then_some(Fault::Before));

    let body = json!({ "lines": [{ "sku": sku, "quantity": 5 }], "reference": "R".repeat(reference_length) });
    let (placed, recorded) = shop.recording(shop.order(&ada, "key-1", body)).await;

    assert_eq!(placed.status, 201, "{placed:?}");
    let row = shop.row(placed.order_id()).await;
    assert!(row.get("unsent").is_some(), "{row}");
    let bytes = item_bytes(&row);
    assert!(bytes < 1_024, "{bytes} bytes: {row}");
    // Without `MarkNotified` it is two units less than a placed order.
    assert_eq!(units(&recorded).to_string(), "2.5 read units, 8 write units", "{}", bill(&recorded));
}

async fn open() -> (Shop, Customer) {
    let shop = Shop::open().await.stocked("TEA-1", 5).await;
    let ada = shop.customer("Ada").await;
    // Time passes between calls, as on AWS. Otherwise an index entry by time would not change.
    shop.plant(|_| Some(Fault::Delay(Duration::from_millis(10))));
    (shop, ada)
}

/// The units of each call, by table and index.
fn bill(recorded: &[Recorded]) -> String {
    let mut bill = String::new();
    for one in recorded {
        let mut tables: Vec<&Value> = one.consumed.iter().collect();
        tables.sort_by_key(|table| table["TableName"].to_string());
        for table in tables {
            let name = table["TableName"].as_str().unwrap_or_default();
            let mut line = |of: &str, units: &Value| {
                let units = tenths(units);
                // A query of an index reads nothing of its table.
                if units > 0 {
                    writeln!(bill, "{} {name}{of}: {}", one.call.operation, shown(units))
                        .expect("a text takes text");
                }
            };
            line("", &table["Table"]["CapacityUnits"]);
            let indexes: BTreeMap<&String, &Value> =
                table["GlobalSecondaryIndexes"].as_object().into_iter().flatten().collect();
            for (index, units) in indexes {
                line(&format!("/{index}"), &units["CapacityUnits"]);
            }
        }
    }
    bill
}

/// A row's size by DynamoDB's rules, with the largest size, 21 bytes, for each number
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>).
fn item_bytes(row: &Value) -> usize {
    let members = row.as_object().expect("a row");
    members.iter().map(|(name, value)| name.len() + value_bytes(value)).sum()
}

fn value_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Number(_) => 21,
        Value::Bool(_) | Value::Null => 1,
        // Three bytes for a list or a map, and one for each of its elements.
        Value::Array(elements) => 3 + elements.iter().map(|element| 1 + value_bytes(element)).sum::<usize>(),
        Value::Object(members) => 3 + members.len() + item_bytes(value),
    }
}

/// The calls of SNS, the read units and the write units of what these calls record.
fn row(what: &str, recorded: &[Recorded]) -> String {
    let sns = recorded.iter().filter(|made| made.call.service == "sns").count();
    let units = units(recorded);
    format!("| {what} | {sns} | {} | {} |", units.read(), units.write())
}

/// What registering and waiting cost, beside an order whose mail is sent at once.
#[tokio::test(start_paused = true)]
async fn registering_waiting_and_asking_cost_what_the_docs_say() {
    let shop = Shop::open().await.stocked("TEA-1", 50).await;
    let (ada, minute) = (shop.signed_in("Ada"), Duration::from_mins(1));
    let mut rows = Vec::new();
    let mut note = |what: &str, recorded: &[Recorded]| rows.push(row(what, recorded));
    note("a run of the sweeper with nothing to do", &shop.recording(shop.sweep_after(minute)).await.1);
    note("a registration", &shop.recording(shop.register(&ada, "Ada")).await.1);
    note("an order whose mail waits", &shop.recording(shop.place(&ada, "key-1", &[("TEA-1", 1)])).await.1);
    note("a run that looks at one waiting order", &shop.recording(shop.sweep_after(minute)).await.1);
    shop.confirm_mails();
    note("a run that sends one mail that waited", &shop.recording(shop.sweep_after(minute * 2)).await.1);
    shop.wait(Duration::from_hours(2));
    let ada = shop.signed_in_as(&ada.user_id, &ada.email);
    note(
        "a registration that finds the address confirmed",
        &shop.recording(shop.register(&ada, "Ada")).await.1,
    );
    shop.wait(Duration::from_hours(25));
    let ada = shop.signed_in_as(&ada.user_id, &ada.email);
    let asks = shop.recording(shop.place(&ada, "key-2", &[("TEA-1", 1)])).await;
    assert_eq!(shop.order_mail().len(), 2, "{asks:?}");
    note("an order before which SNS is asked", &asks.1);
    let moved = shop.signed_in_as(&ada.user_id, "ada@new.example");
    note("a change of address", &shop.recording(shop.register(&moved, "Ada")).await.1);
    note(
        "a run that deletes one retired topic for good",
        &shop.recording(shop.sweep_after(minute * 16)).await.1,
    );

    // One who never confirms: all looks in 72 hours.
    let shop = Shop::open().await.stocked("TEA-1", 50).await;
    let bob = shop.registered("Bob").await;
    shop.place(&bob, "key-1", &[("TEA-1", 1)]).await;
    let mut looks = 0;
    // The sweeper runs every minute, and looks when the order's time has come.
    while let Some(due_at) = shop.rows("OrdersTable").await[0]["due_at"].as_str().and_then(Timestamp::parse) {
        let now = Timestamp::from(shop.stack.clock().system_time());
        shop.sweep_after(due_at.since(now).max(Duration::from_secs(1))).await;
        looks += 1;
    }
    rows.push(format!("An order whose customer never confirms is looked at {looks} times"));

    let docs = include_str!("../../../docs/costs.md");
    let missing: Vec<&String> = rows.iter().filter(|row| !docs.contains(row.as_str())).collect();
    assert!(missing.is_empty(), "docs/costs.md lacks:\n{}", rows.join("\n"));
}

/// Runs `orderflow cost` at the repository's root.
fn run(flags: &[&str]) -> Output {
    command().arg("cost").args(flags).output().expect("orderflow runs")
}

/// What `orderflow cost` makes of this text of a page.
fn written(folder: &Path, page: &str) -> String {
    let copy = folder.join("costs.md");
    fs::write(&copy, page).expect("a copy");
    let Output { status, stdout, stderr } = run(&["--write", text(&copy)]);
    assert!(status.success() && stdout.is_empty(), "{}", String::from_utf8_lossy(&stderr));
    fs::read_to_string(&copy).expect("the copy")
}

#[test]
fn the_page_of_costs_has_the_figures_that_the_command_prints() {
    let page = fs::read_to_string(root().join("docs/costs.md")).expect("the page");
    let folder = tempfile::tempdir().expect("a folder");
    let now = written(folder.path(), &page);
    let differences: Vec<(&str, &str)> =
        page.lines().zip(now.lines()).filter(|(old, new)| old != new).collect();
    assert!(now == page, "run `cargo run -- cost --write docs/costs.md`: {differences:#?}");

    // A figure that someone types does not stay.
    let typed = page.replacen("| an order of 1 line | 1", "| an order of 1 line | 2", 1);
    assert_ne!(typed, page);
    assert_eq!(written(folder.path(), &typed), page);
}

/// The dashboard shows an operator what to multiply usage by.
#[test]
fn the_dashboard_has_the_prices_of_the_table() {
    let template = fs::read_to_string(root().join("infra/template.yaml")).expect("the template");
    let million = |price: prices::Price| price.of(1_000_000).shown();
    for shown in [
        format!(
            "| tables | write units, read units | {}, {} |",
            prices::WRITE_UNIT.shown(),
            prices::READ_UNIT.shown()
        ),
        format!(
            "| {}; {} on arm64, {} on x86_64 |",
            million(prices::LAMBDA_REQUEST),
            million(prices::LAMBDA_ARM),
            million(prices::LAMBDA_X86)
        ),
        format!("| {}; {} |", million(prices::EXPRESS_REQUEST), million(prices::EXPRESS_DURATION)),
        format!(
            "| API, mails | requests, delivered mails | {}, {} |",
            million(prices::HTTP_API),
            million(prices::SNS_MAIL)
        ),
    ] {
        assert!(template.contains(&shown), "OrderDashboard does not show {shown:?}");
    }
}

#[test]
fn the_command_prints_the_same_figures_for_a_terminal_and_for_a_page() {
    let print = |flags: &[&str]| {
        let Output { status, stdout, stderr } = run(flags);
        assert!(status.success() && stderr.is_empty(), "{}", String::from_utf8_lossy(&stderr));
        let printed = String::from_utf8(stdout).expect("text");
        printed.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let words =
        |line: &String| line.replace('|', " ").split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let of_an_order =
        |lines: &[String]| lines.iter().find(|line| line.contains("an order of 10 lines")).map(words);
    let (plain, markdown) = (print(&[]), print(&["--markdown"]));
    assert!(of_an_order(&plain).is_some_and(|row| row.len() > 10), "{plain:#?}");
    assert_eq!(of_an_order(&plain), of_an_order(&markdown));
    assert!(markdown.iter().any(|line| line.starts_with("|---|---:|")), "{markdown:#?}");

    // The template's parameters take effect.
    let quieter = print(&["--parameter", "LogLevel=error"]);
    assert_ne!(of_an_order(&quieter), of_an_order(&plain));
}

#[test]
fn a_mistake_is_named_as_when_the_stack_starts() {
    let folder = tempfile::tempdir().expect("a folder");
    let page = folder.path().join("page.md");
    fs::write(&page, "# Costs\n").expect("a page");
    let template = fs::read_to_string(root().join("infra/template.yaml")).expect("the template");
    let broken = folder.path().join("template.yaml");
    fs::write(&broken, template.replacen("AWS::SNS::Topic", "AWS::S3::Bucket", 1)).expect("a template");
    for (flags, code, parts) in [
        (&["--prices", "mine"][..], 2, &["--prices", "--help"][..]),
        (&["--markdown", "--write", "page.md"], 2, &["--markdown", "--write"]),
        (
            &["--template", text(&broken)],
            1,
            &["cannot be run locally", "Resources.OrderTopic", "AWS::S3::Bucket"],
        ),
        (&["--parameter", "ThrottlingRate"], 1, &["--parameter ThrottlingRate", "Name=Value"]),
        (&["--parameter", "Colour=red"], 1, &["Parameters.Colour", "no such parameter"]),
        (&["--write", text(&folder.path().join("none.md"))], 1, &["none.md", "cannot be read"]),
        (&["--write", text(&page)], 1, &["page.md", "has no line <!-- cost: dollars -->"]),
    ] {
        let Output { status, stdout, stderr } = run(flags);
        let said = String::from_utf8(stderr).expect("text");
        assert_eq!((status.code(), stdout.len()), (Some(code), 0), "{flags:?}: {said}");
        for part in parts {
            assert!(said.contains(part), "{flags:?}: `{part}` is not in: {said}");
        }
    }
    assert_eq!(fs::read_to_string(&page).expect("the page"), "# Costs\n");
}

//! Announcements that AWS refuses: the order is placed all the same, and the very first attempt counts the reason.

use std::{collections::BTreeMap, fs, time::Duration};

use local::{
    aws::{Call, Fault},
    ground::ACCOUNT,
    stack::parameters,
};
use sam_template::Template;
use serde_json::Value;

use crate::world::{
    Customer, Shop,
    faults::{operation, sends_mail, tells_shop},
    logs::{self, Lines},
    programs::root,
};

/// Longer than the confirmation of an address is relied on without asking SNS.
const DAY_AND_MORE: Duration = Duration::from_hours(25);

/// The metrics of announcements that failed, and of starts that were refused.
const METRICS: [&str; 10] = [
    "PublishesDenied",
    "PublishesWithoutKey",
    "PublishesWithoutTopic",
    "CustomerTopicsGone",
    "PublishesThrottled",
    "PublishesFailed",
    "PublishesRefused",
    "MarksRefused",
    "AsksRefused",
    "StartsThrottled",
];

/// What was counted of these metrics, by name.
fn counted(log: &Lines) -> BTreeMap<String, u64> {
    let mut counted = BTreeMap::new();
    for line in log.text().lines() {
        let line: Value = serde_json::from_str(line).expect("a log line is JSON");
        let fields = &line["fields"];
        if let (Some(metric), Some(value)) = (fields["metric"].as_str(), fields["value"].as_u64())
            && METRICS.contains(&metric)
        {
            *counted.entry(metric.to_owned()).or_default() += value;
        }
    }
    counted
}

/// Such counts.
fn counts(expected: &[(&str, u64)]) -> BTreeMap<String, u64> {
    expected.iter().map(|(metric, times)| ((*metric).to_owned(), *times)).collect()
}

/// A shop with a customer whose address is confirmed.
async fn opened() -> (Shop, Customer) {
    let shop = Shop::open().await.stocked("TEA-1", 50).await;
    let ada = shop.customer("Ada").await;
    (shop, ada)
}

/// Whether the workflow notes on the order's row what it has announced.
fn marks(call: &Call) -> bool {
    call.caller == "OrderStateMachine" && call.operation == "UpdateItem"
}

type Picks = fn(&Call) -> bool;

#[tokio::test(start_paused = true)]
async fn the_first_attempt_counts_why_an_announcement_was_refused_and_the_order_is_placed() {
    let refuse = Fault::Refuse;
    let cases: [(Picks, Fault, &str); 16] = [
        (sends_mail, refuse("AuthorizationError"), "PublishesDenied"),
        (tells_shop, refuse("AuthorizationError"), "PublishesDenied"),
        (sends_mail, refuse("InvalidSecurity"), "PublishesDenied"),
        (sends_mail, refuse("KMSAccessDenied"), "PublishesWithoutKey"),
        (sends_mail, refuse("KMSDisabled"), "PublishesWithoutKey"),
        (tells_shop, refuse("KMSNotFound"), "PublishesWithoutKey"),
        (tells_shop, refuse("KMSInvalidState"), "PublishesWithoutKey"),
        (sends_mail, refuse("NotFound"), "CustomerTopicsGone"),
        (tells_shop, refuse("NotFound"), "PublishesWithoutTopic"),
        (sends_mail, refuse("InvalidParameter"), "PublishesRefused"),
        (tells_shop, refuse("SomethingNew"), "PublishesRefused"),
        (sends_mail, Fault::Throttle, "PublishesThrottled"),
        (tells_shop, Fault::Before, "PublishesFailed"),
        (marks, refuse("AccessDeniedException"), "MarksRefused"),
        (marks, refuse("ResourceNotFoundException"), "MarksRefused"),
        (marks, refuse("ValidationException"), "MarksRefused"),
    ];
    for (on, fault, metric) in cases {
        let case = format!("{fault:?} counts {metric}");
        let (shop, ada) = opened().await;
        let (log, guard) = logs::keep();
        shop.plant(move |call| on(call).then(|| fault.clone()));
        let placed = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;
        assert_eq!(placed.status, 201, "{case}: {placed:?}");
        assert_eq!(counted(&log), counts(&[(metric, 1)]), "{case}");
        // The line names the order, for whoever looks for an example.
        let line = log.text().lines().find(|line| line.contains(metric)).map(str::to_owned);
        assert!(line.is_some_and(|line| line.contains(placed.order_id())), "{case}");
        drop(guard);
        // Once the cause is mended, the sweeper does the rest, and counts nothing more.
        let (log, _guard) = logs::keep();
        shop.heal();
        shop.sweep_after(Duration::from_secs(61)).await;
        assert_eq!(counted(&log), counts(&[]), "{case}");
        assert!(shop.row(placed.order_id()).await.get("unsent").is_none(), "{case}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_caller_of_the_workflow_counts_and_both_publishes_of_one_run_count() {
    let (shop, ada) = opened().await;
    let placed = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;
    let denied = |call: &Call| (call.operation == "Publish").then_some(Fault::Refuse("AuthorizationError"));
    shop.plant(denied);
    let (log, guard) = logs::keep();
    assert_eq!(shop.cancel(&ada, placed.order_id()).await.status, 200);
    assert_eq!(counted(&log), counts(&[("PublishesDenied", 2)]), "the door");
    drop(guard);
    let (log, _guard) = logs::keep();
    shop.sweep_after(Duration::from_secs(61)).await;
    assert_eq!(counted(&log), counts(&[("PublishesDenied", 2)]), "the sweeper");
}

#[tokio::test(start_paused = true)]
async fn one_permission_that_the_workflows_role_lacks_is_counted_with_the_first_order() {
    let text = fs::read_to_string(root().join("infra/template.yaml")).expect("the template");
    for (from, to, metric, times) in [
        (
            "Action: sns:Publish\n                Resource:\n",
            "Action: sns:Subscribe\n                Resource:\n",
            "PublishesDenied",
            2,
        ),
        (
            "                  - !Sub ${OrderTopic}-customer-*\n              # Whoever",
            "              # Whoever",
            "PublishesDenied",
            1,
        ),
        (
            "Action: dynamodb:UpdateItem\n                Resource: !GetAtt OrdersTable.Arn\n              # Step Functions",
            "Action: dynamodb:GetItem\n                Resource: !GetAtt OrdersTable.Arn\n              # Step Functions",
            "MarksRefused",
            1,
        ),
    ] {
        assert!(text.contains(from), "the template has no {from:?}");
        let broken = text.replacen(from, to, 1);
        let template =
            Template::parse(&broken, &root().join("infra"), ACCOUNT, &parameters()).expect("a template");
        let shop = Shop::of(&template, 1).await.stocked("TEA-1", 5).await;
        let ada = shop.customer("Ada").await;
        let (log, _guard) = logs::keep();
        assert_eq!(shop.place(&ada, "key-1", &[("TEA-1", 1)]).await.status, 201);
        assert_eq!(counted(&log), counts(&[(metric, times)]), "{to}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_to_say_whether_an_address_is_confirmed_is_counted() {
    let (shop, _) = opened().await;
    shop.wait(DAY_AND_MORE);
    // The token has expired.
    let ada = shop.signed_in("Ada");
    let (log, _guard) = logs::keep();
    let mut asks = operation("GetSubscriptionAttributes");
    shop.plant(move |call| asks(call).then_some(Fault::Refuse("AuthorizationError")));
    assert_eq!(shop.place(&ada, "key-1", &[("TEA-1", 1)]).await.status, 201);
    assert_eq!(counted(&log), counts(&[("AsksRefused", 1)]));
}

#[tokio::test(start_paused = true)]
async fn every_start_that_is_throttled_is_counted_also_one_that_is_repeated_with_success() {
    let (shop, ada) = opened().await;
    let (log, guard) = logs::keep();
    shop.plant_times(1, Fault::Throttle, operation("StartSyncExecution"));
    assert_eq!(shop.place(&ada, "key-1", &[("TEA-1", 1)]).await.status, 201);
    assert_eq!(counted(&log), counts(&[("StartsThrottled", 1)]));
    drop(guard);
    let (log, guard) = logs::keep();
    shop.plant(|call| (call.operation == "StartSyncExecution").then_some(Fault::Throttle));
    assert_eq!(shop.place(&ada, "key-2", &[("TEA-1", 1)]).await.status, 503);
    assert_eq!(counted(&log), counts(&[("StartsThrottled", 3)]));
    drop(guard);
    // Another failure of a start is none of these.
    let (log, _guard) = logs::keep();
    shop.plant(|call| (call.operation == "StartSyncExecution").then_some(Fault::Before));
    assert_eq!(shop.place(&ada, "key-3", &[("TEA-1", 1)]).await.status, 503);
    assert_eq!(counted(&log), counts(&[]));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_counted_when_nothing_fails_and_when_another_execution_has_marked_the_order() {
    let (shop, ada) = opened().await;
    let (log, _guard) = logs::keep();
    let placed = shop.place(&ada, "key-1", &[("TEA-1", 1)]).await;
    assert_eq!(shop.cancel(&ada, placed.order_id()).await.status, 200);
    // The first mark and the one of a part.
    shop.plant_times(2, Fault::Refuse("ConditionalCheckFailedException"), marks);
    assert_eq!(shop.place(&ada, "key-2", &[("TEA-1", 1)]).await.status, 201);
    assert_eq!(counted(&log), counts(&[]));
}

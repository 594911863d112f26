//! X-Ray traces: whoever runs the workflow has it continue the trace of its own invocation.

use std::{collections::BTreeSet, time::Duration};

use local::aws::Fault;

use crate::world::shop::Shop;

/// The trace headers of the runs since recording began, with who asked for each.
fn traced_runs(shop: &Shop) -> Vec<(String, String)> {
    let recorded = shop.stack.faults().recorded();
    let runs = recorded.iter().filter(|made| made.call.operation == "StartSyncExecution");
    runs.map(|made| {
        let header = made.text.split_once("\"traceHeader\": String(\"").map(|(_, rest)| rest);
        let header = header.and_then(|rest| rest.split_once('"')).map(|(header, _)| header.to_owned());
        (made.call.caller.clone(), header.unwrap_or_default())
    })
    .collect()
}

#[tokio::test(start_paused = true)]
async fn every_run_of_the_workflow_continues_the_trace_of_whoever_asked_for_it() {
    let shop = Shop::open().await.stocked("TEA-1", 9).await;
    let ada = shop.customer("Ada").await;
    shop.stack.faults().plant(|call| (call.operation == "Publish").then_some(Fault::Before));
    let left: Vec<String> = [
        shop.place(&ada, "one", &[("TEA-1", 1)]).await.order_id().to_owned(),
        shop.place(&ada, "two", &[("TEA-1", 1)]).await.order_id().to_owned(),
    ]
    .into();
    shop.stack.faults().clear();
    shop.stack.faults().record();

    let sold = shop.place(&ada, "three", &[("TEA-1", 1)]).await;
    assert_eq!(shop.cancel(&ada, sold.order_id()).await.status, 200);
    shop.stack.clock().advance(Duration::from_secs(61));
    assert_eq!(shop.resume(&shop.admin_again(), &left[0]).await.status, 202);
    shop.sweep_after(Duration::from_secs(61)).await;

    let runs = traced_runs(&shop);
    let callers: Vec<&str> = runs.iter().map(|(caller, _)| caller.as_str()).collect();
    let expected =
        ["PlaceOrderFunction", "ChangeOrderFunction", "ChangeOrderFunction", "SweepOrdersFunction"];
    assert_eq!(callers, expected);
    let traces: BTreeSet<&str> = runs.iter().map(|(_, trace)| trace.as_str()).collect();
    assert!(traces.iter().all(|trace| trace.starts_with("Root=1-")), "{runs:?}");
    assert_eq!(traces.len(), runs.len(), "each invocation has a trace of its own: {runs:?}");
}

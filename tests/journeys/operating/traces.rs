//! X-Ray traces: a run of the workflow continues the trace of the invocation that asked for it.

use std::collections::BTreeSet;

use local::aws::Recorded;

use crate::world::{Shop, waiting::DUE};

/// The caller and the trace header of each recorded run.
fn traced_runs(recorded: &[Recorded]) -> Vec<(String, String)> {
    let runs = recorded.iter().filter(|made| made.call.operation == "StartSyncExecution");
    runs.map(|made| {
        let header = made.text.split_once("\"traceHeader\": String(\"").map(|(_, rest)| rest);
        let header = header.and_then(|rest| rest.split_once('"')).map(|(header, _)| header.to_owned());
        (made.call.caller.clone(), header.unwrap_or_default())
    })
    .collect()
}

#[tokio::test(start_paused = true)]
async fn every_run_of_the_workflow_continues_the_trace_of_its_caller() {
    let shop = Shop::open().await.stocked("TEA-1", 9).await;
    let ada = shop.customer("Ada").await;
    let left = shop.place_unsent(&ada, "one", &[("TEA-1", 1)]).await;
    shop.place_unsent(&ada, "two", &[("TEA-1", 1)]).await;

    let asking = async {
        let sold = shop.place(&ada, "three", &[("TEA-1", 1)]).await;
        assert_eq!(shop.cancel(&ada, sold.order_id()).await.status, 200);
        shop.wait(DUE);
        assert_eq!(shop.resume(&shop.admin_again(), left.order_id()).await.status, 202);
        shop.sweep_when_due().await;
    };
    let ((), recorded) = shop.recording(asking).await;

    let runs = traced_runs(&recorded);
    let callers: Vec<&str> = runs.iter().map(|(caller, _)| caller.as_str()).collect();
    let expected =
        ["PlaceOrderFunction", "ChangeOrderFunction", "ChangeOrderFunction", "SweepOrdersFunction"];
    assert_eq!(callers, expected);
    let traces: BTreeSet<&str> = runs.iter().map(|(_, trace)| trace.as_str()).collect();
    assert!(traces.iter().all(|trace| trace.starts_with("Root=1-")), "{runs:?}");
    assert_eq!(traces.len(), runs.len(), "two invocations share a trace: {runs:?}");
}

//! AWS calls that fail, and AWS calls that are recorded.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use local::aws::{Call, Fault, Recorded};
use tokio::sync::Notify;

use super::shop::Shop;

/// How many calls a planted fault has hit so far.
#[derive(Clone, Default)]
pub(crate) struct Hits(Arc<AtomicUsize>);

impl Hits {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, hits: usize) {
        self.0.fetch_add(hits, Ordering::Relaxed);
    }
}

impl Shop {
    /// Asks this plan about every call, in place of the plan before, until [`heal`](Self::heal).
    pub(crate) fn plant(&self, plan: impl FnMut(&Call) -> Option<Fault> + Send + 'static) {
        self.stack.faults().plant(plan);
    }

    /// Plants a fault on the first so many calls that `on` picks.
    pub(crate) fn plant_times(
        &self,
        times: usize,
        fault: Fault,
        mut on: impl FnMut(&Call) -> bool + Send + 'static,
    ) -> Hits {
        let hits = Hits::default();
        let counter = hits.clone();
        self.plant(move |call| {
            let hit = counter.count() < times && on(call);
            counter.add(usize::from(hit));
            hit.then(|| fault.clone())
        });
        hits
    }

    /// Plants a fault on the first call that `on` picks, and notifies when it is made.
    pub(crate) fn plant_once(
        &self,
        fault: Fault,
        mut on: impl FnMut(&Call) -> bool + Send + 'static,
    ) -> Arc<Notify> {
        let (made, mut first) = (Arc::new(Notify::new()), true);
        let notify = Arc::clone(&made);
        self.plant(move |call| {
            let hit = first && on(call);
            first &= !hit;
            hit.then(|| {
                notify.notify_one();
                fault.clone()
            })
        });
        made
    }

    /// Lets every confirmation of an order fail, so that an order which is placed stays PENDING.
    pub(crate) fn fail_confirmations(&self) {
        self.plant(|call| confirms(call).then_some(Fault::Before));
    }

    /// Lets every e-mail about an order fail, so that it stays unsent.
    pub(crate) fn fail_mails(&self) {
        self.plant(|call| sends_mail(call).then_some(Fault::Before));
    }

    /// Lets every call succeed again.
    pub(crate) fn heal(&self) {
        self.stack.faults().clear();
    }

    /// The result of a future, and the AWS calls that were recorded while it ran.
    pub(crate) async fn recording<T>(&self, does: impl Future<Output = T>) -> (T, Vec<Recorded>) {
        self.stack.faults().record();
        let came = does.await;
        (came, self.stack.faults().recorded())
    }

    /// The AWS calls that are made while a future runs.
    pub(crate) async fn calls_of<T>(&self, does: impl Future<Output = T>) -> Vec<Call> {
        let (_, recorded) = self.recording(does).await;
        recorded.into_iter().map(|recorded| recorded.call).collect()
    }

    /// The number of recorded calls by service and operation.
    pub(crate) fn counted(recorded: &[Recorded]) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for recorded in recorded {
            *counts.entry(format!("{} {}", recorded.call.service, recorded.call.operation)).or_default() += 1;
        }
        counts
    }
}

/// Numbers of calls as [`Shop::counted`] has them.
pub(crate) fn counts(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected.iter().map(|(call, times)| ((*call).to_owned(), *times)).collect()
}

/// Whether a call is the state machine's, to confirm or otherwise change an order.
pub(crate) fn confirms(call: &Call) -> bool {
    call.target.ends_with("UpdateOrderStatusFunction")
}

/// Whether a call sends a customer an e-mail about an order.
pub(crate) fn sends_mail(call: &Call) -> bool {
    call.operation == "Publish" && call.target.contains("-customer-")
}

/// Whether a call tells the shop of an order.
pub(crate) fn tells_shop(call: &Call) -> bool {
    call.operation == "Publish" && !sends_mail(call)
}

/// Picks the calls of an operation.
pub(crate) fn operation(name: &'static str) -> impl FnMut(&Call) -> bool + Send + 'static {
    move |call| call.operation == name
}

/// Picks the invocations of a function.
pub(crate) fn function(logical_id: &'static str) -> impl FnMut(&Call) -> bool + Send + 'static {
    move |call| call.operation == "Invoke" && call.target.ends_with(logical_id)
}

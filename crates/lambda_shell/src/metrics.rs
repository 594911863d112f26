//! Metrics, as log lines in CloudWatch's embedded metric format (EMF): CloudWatch makes a metric out of each, and no
//! call is made for it. Any log event with the fields `metric` and `value` is one, from whichever crate; see
//! [`count`] and [`time`].
//!
//! Written by us: the format is a line of JSON, and the crates for it bring a global recorder and a background task.

use std::{
    io::Write as _,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

/// What is counted. The dashboards and alarms know them by these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Orders that were stored and took their stock.
    OrdersPlaced,
    /// Orders that were stored as REJECTED.
    OrdersRejected,
    /// Requests that were answered with an order that was there already.
    OrdersReplayed,
    /// Requests that cancelled an order.
    OrdersCancelled,
    /// Users who were registered without room for their subscription.
    EmailsUnavailable,
    /// Orders that the sweeper resumed.
    OrdersSwept,
    /// Orders that wait for a person from now on.
    OrdersGivenUp,
}

/// Counts something, `by` so many.
pub fn count(what: Count, by: usize) {
    tracing::info!(metric = ?what, value = by, "counted");
}

/// Notes how long the workflow took to answer for an order.
pub fn time(took: Duration) {
    let value = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(metric = "OrderLatency", unit = "Milliseconds", value, "timed");
}

/// Writes an EMF line for every event that is a metric.
pub(crate) struct EmbeddedMetrics {
    namespace: String,
}

impl EmbeddedMetrics {
    /// The metrics go to `namespace`.
    pub(crate) fn new(namespace: String) -> Self {
        Self { namespace }
    }
}

impl<S: Subscriber> Layer<S> for EmbeddedMetrics {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut found = Found::default();
        event.record(&mut found);
        #[allow(clippy::disallowed_methods, reason = "a log line's time is the moment it is written")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if let Some(line) = found.line(&self.namespace, now) {
            // A metric that cannot be written is lost, and nothing else is.
            let _lost = writeln!(std::io::stdout(), "{line}");
        }
    }
}

/// The fields of an event that make it a metric.
#[derive(Default)]
struct Found {
    metric: Option<String>,
    unit: Option<String>,
    value: Option<u64>,
}

impl Found {
    /// The metric's line, if the event is one. Source of the format: Amazon CloudWatch user guide, "Specification:
    /// Embedded metric format".
    fn line(&self, namespace: &str, now: Duration) -> Option<Value> {
        let (name, value) = (self.metric.as_deref()?, self.value?);
        let unit = self.unit.as_deref().unwrap_or("Count");
        let directive = json!({
            "Namespace": namespace,
            "Dimensions": [[]],
            "Metrics": [{ "Name": name, "Unit": unit }],
        });
        let timestamp = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        Some(json!({ "_aws": { "Timestamp": timestamp, "CloudWatchMetrics": [directive] }, name: value }))
    }
}

impl Visit for Found {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "value" {
            self.value = Some(value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "metric" => self.metric = Some(value.to_owned()),
            "unit" => self.unit = Some(value.to_owned()),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "metric" {
            self.metric = Some(format!("{value:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    /// Collects lines in place of standard output.
    struct Collect(Arc<Mutex<Vec<Value>>>);

    impl<S: Subscriber> Layer<S> for Collect {
        fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
            let mut found = Found::default();
            event.record(&mut found);
            self.0.lock().unwrap().extend(found.line("shop", Duration::from_secs(1)));
        }
    }

    #[test]
    fn what_is_counted_or_timed_is_a_line_that_cloudwatch_makes_a_metric_of() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let subscriber = tracing_subscriber::registry().with(Collect(Arc::clone(&lines)));
        tracing::subscriber::with_default(subscriber, || {
            count(Count::OrdersPlaced, 1);
            time(Duration::from_millis(42));
            tracing::info!(metric = "ContentionRetries", value = 2_u64);
            tracing::info!(value = 3_u64, "no metric");
        });
        let lines = lines.lock().unwrap();
        let seen: Vec<(&Value, &Value)> = lines
            .iter()
            .map(|line| {
                let metric = &line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0];
                (&metric["Unit"], &line[metric["Name"].as_str().unwrap()])
            })
            .collect();
        assert_eq!(
            seen,
            [
                (&json!("Count"), &json!(1)),
                (&json!("Milliseconds"), &json!(42)),
                (&json!("Count"), &json!(2))
            ]
        );
        assert_eq!(lines[0]["_aws"]["Timestamp"], 1_000);
        assert_eq!(lines[0]["_aws"]["CloudWatchMetrics"][0]["Namespace"], "shop");
    }
}

//! Metrics, as log lines in CloudWatch's embedded metric format (EMF). CloudWatch makes a metric of each line, so no
//! call is needed. Every log event with the fields `metric` and `value` becomes such a line, in any of our crates; see
//! [`count`] and [`time`].
//!
//! This is our own code because the format is a line of JSON, and the crates for it add a global recorder and a
//! background task.

use std::{
    io::Write as _,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, fmt::MakeWriter, layer::Context};

/// The metrics that are counted. The dashboard and the alarms use these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Orders that were stored with their stock reserved.
    OrdersPlaced,
    /// Orders that were stored as REJECTED.
    OrdersRejected,
    /// Requests to place an order that was stored by an earlier request.
    OrdersReplayed,
    /// Requests to cancel an order that were answered with the cancelled order.
    OrdersCancelled,
    /// Attempts to subscribe an address for which SNS had no room.
    EmailsUnavailable,
    /// Orders whose last mails were given up, since their customer did not confirm within 72 hours or wants none.
    EmailsUndelivered,
    /// Orders that the sweeper resumed.
    OrdersSwept,
    /// Orders that the sweeper gave up.
    OrdersGivenUp,
}

/// Adds `by` to a metric.
pub fn count(what: Count, by: usize) {
    tracing::info!(metric = ?what, value = by, "counted");
}

/// Records the time that the workflow took to answer a placement.
pub fn time(took: Duration) {
    let value = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    tracing::info!(metric = "OrderLatency", unit = "Milliseconds", value, "timed");
}

/// Writes an EMF line to `to` for every event that is a metric. Metrics go to the CloudWatch namespace `namespace`.
pub fn metric_lines<S, W>(namespace: String, to: W) -> impl Layer<S>
where
    S: Subscriber,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    EmbeddedMetrics { namespace, to }
}

struct EmbeddedMetrics<W> {
    namespace: String,
    to: W,
}

impl<S, W> Layer<S> for EmbeddedMetrics<W>
where
    S: Subscriber,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut found = Found::default();
        event.record(&mut found);
        #[allow(clippy::disallowed_methods, reason = "a log line's time is the moment it is written")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if let Some(line) = found.line(&self.namespace, now) {
            // If the line cannot be written, only this metric is lost.
            let _lost = writeln!(self.to.make_writer(), "{line}");
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
    /// The metric's line. `None` when the event is not a metric. Source of the format: Amazon CloudWatch user guide,
    /// "Specification: Embedded metric format".
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

    /// Collects metrics' lines instead of writing them to standard output.
    struct Collect(Arc<Mutex<Vec<Value>>>);

    impl<S: Subscriber> Layer<S> for Collect {
        fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
            let mut found = Found::default();
            event.record(&mut found);
            self.0.lock().unwrap().extend(found.line("shop", Duration::from_secs(1)));
        }
    }

    #[test]
    fn every_count_and_every_time_is_one_line_of_the_embedded_metric_format() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let subscriber = tracing_subscriber::registry().with(Collect(Arc::clone(&lines)));
        tracing::subscriber::with_default(subscriber, || {
            count(Count::OrdersPlaced, 1);
            time(Duration::from_millis(42));
            tracing::info!(metric = "ContentionRetries", value = 2_u64);
            tracing::info!(value = 3_u64, "an event without a metric");
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

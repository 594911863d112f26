//! JSON log lines. Each holds its invocation's request id and, once it is known, the order's id. One line of each
//! invocation says how it ended.
//!
//! The SDKs log whole requests at detailed levels. So other crates log warnings and errors only, at every `LOG_LEVEL`.
//! The runtime's own report of a failed handler is off, because the failure is logged here already.

use std::error::Error as _;

use domain::{Error, OrderId};
use tracing::{Level, Span, Subscriber, field::Empty, level_filters::LevelFilter};
use tracing_subscriber::{
    Layer, filter::Targets, fmt::MakeWriter, layer::SubscriberExt as _, registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use crate::metrics::metric_lines;

/// The crates that functions are made of and that log. Their lines are kept at `LOG_LEVEL`. A wiring test compares
/// this list with the manifests that name `tracing`.
const OURS: [&str; 6] =
    ["aws_adapters", "change_order", "create_user", "lambda_shell", "sweep_orders", "update_order_status"];

/// Keeps our own log lines of this level or above, and the warnings and errors of other crates.
pub fn filter(level: Level) -> Targets {
    Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("lambda_runtime", LevelFilter::OFF)
        .with_targets(OURS.map(|name| (name, level)))
}

/// Formats log lines and writes them to `to`. The queries in `docs/runbook.md` name their fields.
pub fn lines<S, W>(to: W) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        // CloudWatch stores the time of each line.
        .without_time()
        .with_writer(to)
}

/// Starts logging to standard output, which Lambda sends to CloudWatch. Metrics go to `namespace`.
pub(crate) fn start(level: Level, namespace: String) {
    // Each layer has its own filter, so that metrics are written at every `LOG_LEVEL`.
    let lines = lines(std::io::stdout).with_filter(filter(level));
    let metrics = metric_lines(namespace, std::io::stdout).with_filter(filter(Level::INFO));
    tracing_subscriber::registry().with(lines).with(metrics).init();
}

/// Makes panics report their place only, because a panic's message may hold anything.
pub fn hush_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked");
    }));
}

/// Adds the order's id to every further log line of the current invocation.
pub fn concerning(order_id: OrderId) {
    Span::current().record("order_id", tracing::field::display(order_id));
}

/// The span of one invocation. Its fields are in each of the invocation's log lines.
pub(crate) fn invocation(request_id: &str) -> Span {
    tracing::info_span!("invocation", request_id, order_id = Empty)
}

/// Logs how an invocation failed. A client's mistake is logged as information, because the shop works as it should.
pub(crate) fn failure(error: &Error, status: Option<u16>) {
    let code = error.code();
    let cause = error.source().map(ToString::to_string);
    match error {
        Error::Unavailable { .. } | Error::Internal { .. } => {
            tracing::error!(code, status, cause, "{error}");
        }
        Error::StockContention | Error::StatusContention => tracing::warn!(code, status, "{error}"),
        Error::MalformedJson { .. }
        | Error::BadCursor
        | Error::BodyTooLarge { .. }
        | Error::Invalid(_)
        | Error::IdempotencyKeyMissing
        | Error::IdempotencyKeyRepeated
        | Error::IdempotencyKeyReused
        | Error::IdTokenRequired
        | Error::EmailNotVerified
        | Error::TokenBeforeErasure
        | Error::AddressChangedTooOften { .. }
        | Error::AddressChangePending { .. }
        | Error::Forbidden
        | Error::NotFound(_)
        | Error::UserNotRegistered
        | Error::TooManyOrders { .. }
        | Error::UnknownSku(_)
        | Error::PriceChanged { .. }
        | Error::InsufficientStock(_)
        | Error::IllegalTransition { .. }
        | Error::NothingDue
        | Error::StaleVersion
        | Error::IfMatchMissing
        | Error::BelowZero
        | Error::AboveLimit { .. } => tracing::info!(code, status, "refused"),
    }
}

//! Log lines that are kept instead of written, on the thread of the test that listens.

use std::{
    io,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use tracing::{
    Dispatch, Subscriber,
    level_filters::LevelFilter,
    subscriber::{DefaultGuard, NoSubscriber},
};
use tracing_subscriber::{filter::Targets, fmt::MakeWriter, layer::SubscriberExt as _};

use super::shop::TEMPLATE;

/// A second subscriber. With only one, tracing asks the thread that first passes a line whether the line is wanted, and
/// remembers the answer for all threads: a test on another thread would silence the line. With two it asks each time.
static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::default()));

/// Gives this subscriber every line that is logged on this thread until the guard is dropped.
pub(crate) fn listen(subscriber: impl Subscriber + Send + Sync + 'static) -> DefaultGuard {
    LazyLock::force(&SECOND);
    tracing::subscriber::set_default(subscriber)
}

/// Keeps every line of ours that is logged on this thread, and the warnings of others, until the guard is dropped. That
/// is more than `LOG_LEVEL=trace` lets through.
pub(crate) fn keep() -> (Lines, DefaultGuard) {
    let lines = Lines::default();
    let layer = tracing_subscriber::fmt::layer().json().with_writer(lines.clone());
    let mut filter = Targets::new().with_default(LevelFilter::WARN);
    for function in &TEMPLATE.functions {
        filter = filter.with_target(function.binary.clone(), LevelFilter::TRACE);
    }
    for ours in ["aws_adapters", "domain", "lambda_shell", "local"] {
        filter = filter.with_target(ours, LevelFilter::TRACE);
    }
    let guard = listen(tracing_subscriber::registry().with(layer).with(filter));
    (lines, guard)
}

/// The lines so far, shared by every writer that `tracing` asks for.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

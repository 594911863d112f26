//! A shop under watch: every log line of ours is kept, so that a test can say what must not be in them, and that
//! nothing went wrong unseen.

use std::{
    io,
    sync::{Arc, LazyLock, Mutex, PoisonError},
};

use tracing::{
    Dispatch,
    level_filters::LevelFilter,
    subscriber::{DefaultGuard, NoSubscriber},
};
use tracing_subscriber::{filter::Targets, fmt::MakeWriter, layer::SubscriberExt as _};

use crate::{
    shop::{Customer, Shop},
    tables,
};

/// While there is but one subscriber, tracing asks only the thread that first passes a line whether it is wanted, and
/// remembers that for all threads: a test beside this one would silence it. Of two it asks both.
static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::default()));

/// Has tracing ask every test's own subscriber about every line. Call it before setting one.
pub(crate) fn ask_every_thread() {
    LazyLock::force(&SECOND);
}

/// A shop with one product of each kind that bad orders need, a customer, and everything that it logs.
pub(crate) struct Watched {
    pub(crate) shop: Shop,
    pub(crate) ada: Customer,
    log: Log,
    _guard: DefaultGuard,
}

impl Watched {
    /// Opens the shop: five of `TEA-1` and `TEA-2` at 4.50 EUR.
    pub(crate) async fn open() -> Self {
        let log = Log::default();
        let lines = tracing_subscriber::fmt::layer().json().with_writer(log.clone());
        // Warnings of others and all of ours, whatever the level: more than `LOG_LEVEL=trace` lets through.
        let mut filter = Targets::new().with_default(LevelFilter::WARN);
        for function in &crate::shop::TEMPLATE.functions {
            filter = filter.with_target(function.binary.clone(), LevelFilter::TRACE);
        }
        for ours in ["aws_adapters", "domain", "lambda_shell", "local"] {
            filter = filter.with_target(ours, LevelFilter::TRACE);
        }
        ask_every_thread();
        let guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(lines).with(filter));
        let shop = Shop::open().await.stocked("TEA-1", 5).await.stocked("TEA-2", 5).await;
        let ada = shop.customer("Ada").await;
        Self { shop, ada, log, _guard: guard }
    }

    /// Whatever was sent: no stock moved, no order is stored, nobody was written to.
    pub(crate) async fn is_untouched(&self) {
        for sku in ["TEA-1", "TEA-2"] {
            assert_eq!(self.shop.stock(sku).await, (5, 0), "{sku}");
        }
        let stored = tables::rows(&self.shop.stack, "OrdersTable").await;
        assert!(stored.is_empty(), "{stored:?}");
        assert!(self.shop.order_mail().is_empty());
    }

    /// Nothing failed unseen, and none of `secrets` is in the logs, in whatever case. `seen` is: the log was kept.
    pub(crate) fn logged(&self, seen: &[&str], secrets: &[&str]) {
        let text = self.log.text();
        for expected in seen {
            assert!(text.contains(expected), "{expected} was never logged:\n{text}");
        }
        let failure = text.lines().find(|line| line.contains("\"level\":\"ERROR\""));
        assert_eq!(failure, None, "a failure was logged");
        let lower = text.to_lowercase();
        for secret in secrets {
            let line = lower.lines().find(|line| line.contains(&secret.to_lowercase()));
            assert_eq!(line, None, "{secret} is in the log");
        }
    }
}

/// Log lines, shared by every writer that `tracing` asks for.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

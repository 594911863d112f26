//! A shop under watch: every log line of ours is kept, so that a test can say what must not be in them, and that
//! nothing went wrong unseen.

use tracing::{level_filters::LevelFilter, subscriber::DefaultGuard};
use tracing_subscriber::{filter::Targets, layer::SubscriberExt as _};

use crate::world::{
    log_lines::{Lines, listen},
    shop::{Customer, Shop},
    tables,
};

/// A shop with one product of each kind that bad orders need, a customer, and everything that it logs.
pub(crate) struct Watched {
    pub(crate) shop: Shop,
    pub(crate) ada: Customer,
    log: Lines,
    _guard: DefaultGuard,
}

impl Watched {
    /// Opens the shop: five of `TEA-1` and `TEA-2` at 4.50 EUR.
    pub(crate) async fn open() -> Self {
        let log = Lines::default();
        let lines = tracing_subscriber::fmt::layer().json().with_writer(log.clone());
        // Warnings of others and all of ours, whatever the level: more than `LOG_LEVEL=trace` lets through.
        let mut filter = Targets::new().with_default(LevelFilter::WARN);
        for function in &crate::world::shop::TEMPLATE.functions {
            filter = filter.with_target(function.binary.clone(), LevelFilter::TRACE);
        }
        for ours in ["aws_adapters", "domain", "lambda_shell", "local"] {
            filter = filter.with_target(ours, LevelFilter::TRACE);
        }
        let guard = listen(tracing_subscriber::registry().with(lines).with(filter));
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

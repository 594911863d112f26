//! A shop whose log lines are kept. A test says which texts no line may hold, and that no failure was logged.

use tracing::subscriber::DefaultGuard;

use super::{
    logs::{self, Lines},
    people::Customer,
    shop::Shop,
};

/// A shop with two products, a customer, and everything that it logs.
pub(crate) struct Watched {
    pub(crate) shop: Shop,
    pub(crate) ada: Customer,
    log: Lines,
    _guard: DefaultGuard,
}

impl Watched {
    /// Opens the shop. It has five each of `TEA-1` and `TEA-2` at 4.50 EUR.
    pub(crate) async fn open() -> Self {
        let (log, guard) = logs::keep();
        let shop = Shop::open().await.stocked("TEA-1", 5).await.stocked("TEA-2", 5).await;
        let ada = shop.customer("Ada").await;
        Self { shop, ada, log, _guard: guard }
    }

    /// Checks that no stock moved, no order is stored and no e-mail was sent.
    pub(crate) async fn is_untouched(&self) {
        for sku in ["TEA-1", "TEA-2"] {
            assert_eq!(self.shop.stock(sku).await, (5, 0), "{sku}");
        }
        let stored = self.shop.rows("OrdersTable").await;
        assert!(stored.is_empty(), "{stored:?}");
        assert!(self.shop.order_mail().is_empty());
    }

    /// Checks that no failure and none of `secrets` was logged, in upper or lower case. Each of `seen` was logged,
    /// which shows that the log was kept.
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

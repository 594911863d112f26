//! A running shop: a stack in memory, without a socket, under a clock and with a seed that the test holds.

use std::{
    path::Path,
    sync::{Arc, LazyLock},
};

use axum::Router;
use local::{
    ground::{ACCOUNT, StackClock},
    stack::{Options, Stack, parameters},
};
use sam_template::Template;
use time::macros::datetime;

use super::{
    gestures::product,
    people::{Customer, sign_in},
    programs::root,
};

/// The shipped template, read once.
pub(crate) static TEMPLATE: LazyLock<Template> =
    LazyLock::new(|| template_with(&[]).expect("the template can be read"));

/// The shipped template with these values for its parameters, or why it cannot be read.
pub(crate) fn template_with(given: &[(&str, &str)]) -> Result<Template, String> {
    let mut parameters = parameters();
    parameters.extend(given.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    Template::read(&root().join("infra/template.yaml"), ACCOUNT, &parameters)
        .map_err(|faults| faults.to_string())
}

/// A clock that stands at noon of 1 March 2026 until a test moves it.
pub(crate) fn held_clock() -> StackClock {
    StackClock::held(datetime!(2026-03-01 12:00 UTC))
}

/// Starts a stack without a seed: in a data folder, or in memory.
pub(crate) async fn start(template: &Template, folder: Option<&Path>, clock: StackClock) -> Stack {
    let file = folder.map(|folder| folder.join("orderflow.db"));
    Stack::start(template, Options { file, clock, seed: None }).await.expect("the stack starts")
}

/// A running shop. Clones share the stack.
#[derive(Clone)]
pub(crate) struct Shop {
    pub(crate) stack: Stack,
    pub(super) router: Router,
    pub(crate) admin: Arc<Customer>,
}

impl Shop {
    /// A shop whose calls interleave by chance, the same way each time.
    pub(crate) async fn open() -> Self {
        Self::open_with(1).await
    }

    /// A shop of this seed.
    pub(crate) async fn open_with(seed: u64) -> Self {
        Self::of(&TEMPLATE, seed).await
    }

    /// A shop that takes any number of orders of a customer.
    pub(crate) async fn open_unbounded() -> Self {
        static UNBOUNDED: LazyLock<Template> =
            LazyLock::new(|| template_with(&[("OrdersPerHour", "0")]).expect("a template"));
        Self::of(&UNBOUNDED, 1).await
    }

    /// A shop of another template than the shipped one.
    pub(crate) async fn of(template: &Template, seed: u64) -> Self {
        // The SDK's and our own jitter come from this thread's generator.
        fastrand::seed(seed);
        let options = Options { file: None, clock: held_clock(), seed: Some(seed) };
        Self::on(Stack::start(template, options).await.expect("the stack starts"))
    }

    /// The shop that this stack runs.
    pub(crate) fn on(stack: Stack) -> Self {
        let router = stack.router();
        let admin = sign_in(&stack, "admin@shop.example", &["admin"]);
        Self { stack, router, admin: Arc::new(admin) }
    }

    /// The same shop with a product at 4.50 EUR, of which this many are available.
    pub(crate) async fn stocked(self, sku: &str, count: i64) -> Self {
        let listed = self.describe(&self.admin, sku, &product(&format!("The {sku}"), 450, "EUR")).await;
        assert_eq!(listed.status, 201, "{listed:?}");
        if count != 0 {
            let adjusted = self.adjust(sku, &format!("opening-{sku}"), count).await;
            assert_eq!(adjusted.status, 201, "{adjusted:?}");
        }
        self
    }
}

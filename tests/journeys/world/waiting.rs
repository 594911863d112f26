//! Time passes, and the sweeper acts.

use std::time::Duration;

use local::services::lambda::Invocation;

use super::shop::Shop;

/// An order that an execution left is due after a minute. By then the execution is over.
pub(crate) const DUE: Duration = Duration::from_secs(61);

/// Longer than the sweeper ever waits between two attempts.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(3_601);

/// How often the sweeper tries to finish an order before it gives the order up.
pub(crate) const ATTEMPTS: usize = 10;

/// The logical id of the sweeper. Other functions with a schedule do not run when it does.
const SWEEPER: &str = "SweepOrdersFunction";

impl Shop {
    /// Moves the shop's clock.
    pub(crate) fn wait(&self, time: Duration) {
        self.stack.clock().advance(time);
    }

    /// Runs the sweeper once, now, and answers how the run ended.
    pub(crate) async fn sweep(&self) -> Vec<Invocation> {
        self.stack.run_schedules_of(SWEEPER).await
    }

    /// Runs the sweeper once, this long from now. The run must succeed.
    pub(crate) async fn sweep_after(&self, wait: Duration) {
        self.wait(wait);
        for ended in self.sweep().await {
            assert!(matches!(ended, Invocation::Answered(_)), "{ended:?}");
        }
    }

    /// Runs the sweeper once, when an order that is left now is due.
    pub(crate) async fn sweep_when_due(&self) {
        self.sweep_after(DUE).await;
    }

    /// Runs the sweeper until it has given up every order that it cannot finish: all attempts, and the run that ends
    /// them.
    pub(crate) async fn sweep_until_given_up(&self) {
        for _ in 0..=ATTEMPTS {
            self.sweep_after(LONGEST_WAIT).await;
        }
    }

    /// Waits until executions and functions that callers no longer wait for have ended. A minute is longer than any of
    /// them may take, and costs nothing under paused time.
    pub(crate) async fn settle(&self) {
        tokio::time::sleep(Duration::from_mins(1)).await;
    }
}

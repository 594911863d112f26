//! Seeds, and scenarios that run once for each of many seeds, on all cores. A seed names itself when its scenario
//! fails. `ORDERFLOW_SEED` runs that seed alone, and the scenario takes the same course again.

use std::{
    num::NonZero,
    panic::{self, AssertUnwindSafe},
    sync::{Mutex, PoisonError},
    thread,
};

/// How many seeds a race is run with, unless `ORDERFLOW_SEEDS` says otherwise.
const SEEDS: u64 = 20;

/// The seeds to run a race with: `ORDERFLOW_SEEDS` of them, or `ORDERFLOW_SEED` alone.
pub(crate) fn seeds() -> impl Iterator<Item = Seed> {
    seeds_of("ORDERFLOW_SEEDS", SEEDS)
}

/// The number of seeds that the variable `name` says, or `default`, or `ORDERFLOW_SEED` alone.
#[allow(clippy::disallowed_methods, reason = "the person who runs the tests says how long to test")]
pub(crate) fn seeds_of(name: &str, default: u64) -> impl Iterator<Item = Seed> + use<> {
    let number = |name| std::env::var(name).ok().map(|text| text.parse().expect("a number of seeds"));
    let seeds = match number("ORDERFLOW_SEED") {
        Some(one) => one..=one,
        None => 1..=number(name).unwrap_or(default),
    };
    seeds.map(Seed)
}

/// Whether tests run at full size: when at least a hundred seeds are asked for.
pub(crate) fn thorough() -> bool {
    seeds().count() >= 100
}

/// A seed that names itself when the test fails while it is held.
pub(crate) struct Seed(pub(crate) u64);

#[allow(clippy::print_stderr, reason = "the test runner shows it with the failure")]
impl Drop for Seed {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("this was seed {0}: ORDERFLOW_SEED={0} runs it again", self.0);
        }
    }
}

/// Runs `scenario` with each of `seeds`, each under a paused clock of its own. Answers their results in the seeds'
/// order.
pub(crate) fn each_of<T: Send>(
    seeds: impl Iterator<Item = Seed> + Send,
    scenario: impl AsyncFn(u64) -> T + Sync,
) -> Vec<T> {
    let (left, done) = (Mutex::new(Some(seeds)), Mutex::new(Vec::new()));
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).as_mut()?.next();
    let work = || {
        while let Some(seed) = next() {
            let number = seed.0;
            // A scenario that fails drops its seed, which then names itself.
            match panic::catch_unwind(AssertUnwindSafe(|| one(seed, &scenario))) {
                Ok(came_to) => {
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((number, came_to));
                }
                Err(cause) => {
                    // One failure is enough.
                    *left.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    panic::resume_unwind(cause);
                }
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(work);
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(seed, _)| *seed);
    done.into_iter().map(|(_, came_to)| came_to).collect()
}

#[allow(clippy::needless_pass_by_value, reason = "a scenario that fails drops it, and it names itself")]
fn one<T>(seed: Seed, scenario: &impl AsyncFn(u64) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(scenario(seed.0))
}

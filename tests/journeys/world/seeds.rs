//! Runs a scenario once for each of many seeds, on all cores. A seed names itself when its scenario fails, and alone it acts
//! the same out again.

use std::{
    num::NonZero,
    panic::{self, AssertUnwindSafe},
    sync::{Mutex, PoisonError},
    thread,
};

use crate::world::shop::Seed;

/// Runs `scenario` with each of `seeds`, each under a paused clock of its own, and answers what each came to, in the
/// seeds' order.
pub(crate) fn each_of<T: Send>(
    seeds: impl Iterator<Item = Seed> + Send,
    scenario: impl AsyncFn(u64) -> T + Sync,
) -> Vec<T> {
    let (left, done) = (Mutex::new(Some(seeds)), Mutex::new(Vec::new()));
    let next = || left.lock().unwrap_or_else(PoisonError::into_inner).as_mut()?.next();
    let work = || {
        while let Some(seed) = next() {
            let number = seed.0;
            // The seed is dropped where the scenario fails, and names itself there.
            match panic::catch_unwind(AssertUnwindSafe(|| one(seed, &scenario))) {
                Ok(came_to) => {
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((number, came_to));
                }
                Err(cause) => {
                    // One that fails is enough.
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

#[allow(clippy::needless_pass_by_value, reason = "where the scenario fails, it is dropped, and names itself")]
fn one<T>(seed: Seed, scenario: &impl AsyncFn(u64) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(scenario(seed.0))
}

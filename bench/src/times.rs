//! Times a program: cold, in its first invocation, and warm. Reads how much memory it held. A time depends on the machine
//! and on what else runs there, so no time is a gate.

use std::time::{Duration, Instant};

use crate::{
    Fault,
    endpoint::{Endpoint, Traffic},
    group::Group,
    measure::{Bench, Subject},
    program::Running,
};

/// Cold starts of a program at one share.
const STARTS: usize = 9;

/// The cold starts after which it is invoked again and again.
const WARM_STARTS: usize = 3;

/// Warm invocations after each of those.
const WARM: usize = 100;

/// What a program took at one share. Each figure is a median.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Times {
    /// From its start until it asks for its first event.
    pub ready: Duration,
    /// From then until its first answer.
    pub first: Duration,
    /// From its start until its first answer. This is not the sum of the two medians.
    pub cold: Duration,
    /// From a further event until its answer.
    pub warm: Duration,
    /// The most memory that it held at once, after its warm invocations.
    pub peak_bytes: u64,
}

impl Bench {
    /// Times a program in a group.
    pub async fn times(&self, subject: &Subject, group: &Group) -> Result<Times, Fault> {
        let (mut ready, mut first, mut cold) = (vec![], vec![], vec![]);
        let (mut warm, mut peaks) = (vec![], vec![]);
        for start in 0..STARTS {
            let endpoint = Endpoint::start(&self.certificates, subject.answers.clone()).await?;
            let mut running = subject.candidate.start_timed(&endpoint, group).await?;
            running.ready().await?;
            ready.push(running.started.elapsed());
            first.push(timed(&running, subject).await?);
            cold.push(running.started.elapsed());
            answered(&endpoint.take())?;
            if start < WARM_STARTS {
                let mut of_this = Vec::with_capacity(WARM);
                for _ in 0..WARM {
                    group.rest().await;
                    of_this.push(timed(&running, subject).await?);
                    answered(&endpoint.take())?;
                }
                warm.push(median(of_this)?);
                peaks.push(running.peak_bytes()?);
            }
            running.kill().await?;
        }
        Ok(Times {
            ready: median(ready)?,
            first: median(first)?,
            cold: median(cold)?,
            warm: median(warm)?,
            peak_bytes: median(peaks)?,
        })
    }
}

/// The time of one invocation.
async fn timed(running: &Running, subject: &Subject) -> Result<Duration, Fault> {
    let asked = Instant::now();
    running.invoke(&subject.event).await?;
    Ok(asked.elapsed())
}

/// An invocation counts only if each of its calls had a recorded answer.
fn answered(traffic: &Traffic) -> Result<(), Fault> {
    match traffic.unknown.first() {
        Some(operation) => Err(Fault::new(format!("no answer to {operation} is recorded"))),
        None => Ok(()),
    }
}

/// The middle one of the values; of an even number, the lower of the two in the middle.
pub fn median<T: Copy + Ord>(mut values: Vec<T>) -> Result<T, Fault> {
    values.sort_unstable();
    let middle = values.len().saturating_sub(1) / 2;
    values.get(middle).copied().ok_or_else(|| Fault::new("nothing was measured, so there is no median"))
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median(vec![9, 1, 5]).expect("a median"), 5);
        assert_eq!(median(vec![9, 1, 5, 7]).expect("a median"), 5);
        assert_eq!(median(vec![3]).expect("a median"), 3);
        assert!(median(Vec::<u64>::new()).is_err());
    }
}

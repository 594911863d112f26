//! Plays one product's orders against DynamoDB's rule for transactions, in virtual time. The [`Sale`] decides a run, by
//! its seed too. Nothing here waits, reads a clock or prints. All times are microseconds.
//!
//! The rule: a transaction holds its rows until it ends. Another transaction that wants a held row is cancelled at once,
//! and DynamoDB does not queue it. <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html>

use std::{cmp::Reverse, collections::BinaryHeap, time::Duration};

use domain::Contention;

use super::sale::{Course, SECOND, Sale, Search};

/// The write units a second that a partition of a table takes.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html>
const PARTITION_UNITS: u64 = 1_000;

/// The partitions that lanes are spread over. A new on-demand table takes 4,000 write units a second, which are four.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/pre-warming-on-demand-capacity-mode.html>
const PARTITIONS: usize = 4;

/// How long it takes to read the counts of all lanes. An assumption.
const READ_TIME: u64 = 5_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Reserve,
    Ship,
    Cancel,
    Adjust,
}

/// One order, change or adjustment.
#[derive(Clone, Debug)]
struct Job {
    purpose: Purpose,
    quantity: u64,
    /// The lanes that it writes to, and the units in each. Empty until a lane is drawn.
    parts: Vec<(usize, u64)>,
    /// Whether `parts` came from a search, and is to be kept for the next try.
    searched: bool,
    arrived: u64,
    /// When the first try of this call of the transaction began.
    started: u64,
    retries: u32,
    step_retries: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A change looks for a confirmed order; anything else tries for the first time.
    Arrive(usize),
    /// A try reaches the rows.
    Try(usize),
    /// A transaction ends and lets its rows go.
    Commit(usize),
    /// An order reads all lanes.
    Look(usize),
}

#[derive(Clone, Debug, Default)]
struct Lane {
    available: u64,
    held: bool,
}

/// The write units that a partition can still take, in millionths.
#[derive(Clone, Debug)]
struct Partition {
    left: i64,
    at: u64,
}

struct World<'s> {
    sale: &'s Sale,
    random: fastrand::Rng,
    lanes: Vec<Lane>,
    partitions: Vec<Partition>,
    jobs: Vec<Job>,
    /// The confirmed orders that are neither shipped nor cancelled: what each holds of which lane.
    confirmed: Vec<Vec<(usize, u64)>>,
    /// The events to come. The number keeps events of the same time in the order in which they were planned.
    events: BinaryHeap<Reverse<(u64, u64, Event)>>,
    planned: u64,
    course: Course,
}

/// Plays a sale to its end.
pub(super) fn play(sale: &Sale) -> Course {
    let mut world = World::new(sale);
    while let Some(Reverse((now, _, event))) = world.events.pop() {
        world.happen(now, event);
    }
    world.close()
}

impl<'s> World<'s> {
    fn new(sale: &'s Sale) -> Self {
        let mut world = Self {
            sale,
            random: fastrand::Rng::with_seed(sale.seed),
            lanes: vec![Lane::default(); sale.lanes],
            partitions: vec![Partition { left: full(), at: 0 }; PARTITIONS],
            jobs: Vec::new(),
            confirmed: Vec::new(),
            events: BinaryHeap::new(),
            planned: 0,
            course: Course { seconds: sale.seconds, ..Course::default() },
        };
        for unit in 0..sale.units {
            let lane = usize::try_from(unit).unwrap_or(0) % sale.lanes;
            world.lanes[lane].available += 1;
        }
        let orders = sale.orders_per_second * sale.seconds;
        world.arrivals(orders, |_| Purpose::Reserve);
        world.arrivals(orders * sale.changes_percent / 100, |nth| match nth % 10 {
            0 => Purpose::Cancel,
            _ => Purpose::Ship,
        });
        world.arrivals(orders * sale.adjustments_percent / 100, |_| Purpose::Adjust);
        world
    }

    /// Plans arrivals at independent random times, which is what a Poisson process with this many arrivals is.
    fn arrivals(&mut self, number: u64, purpose: impl Fn(u64) -> Purpose) {
        for nth in 0..number {
            let arrived = self.random.u64(0..self.sale.seconds * SECOND);
            let job = self.jobs.len();
            self.jobs.push(Job {
                purpose: purpose(nth),
                quantity: self.random.u64(self.sale.quantity.clone()),
                parts: Vec::new(),
                searched: false,
                arrived,
                started: arrived,
                retries: 0,
                step_retries: 0,
            });
            self.plan(arrived, Event::Arrive(job));
        }
    }

    fn plan(&mut self, at: u64, event: Event) {
        self.events.push(Reverse((at, self.planned, event)));
        self.planned += 1;
    }

    fn happen(&mut self, now: u64, event: Event) {
        match event {
            Event::Arrive(job) => self.arrive(now, job),
            Event::Try(job) => self.attempt(now, job),
            Event::Commit(job) => self.commit(now, job),
            Event::Look(job) => self.look(now, job),
        }
    }

    fn arrive(&mut self, now: u64, id: usize) {
        match self.jobs[id].purpose {
            Purpose::Reserve => self.course.orders += 1,
            Purpose::Adjust => {
                self.course.others += 1;
                let lane = self.random.usize(0..self.lanes.len());
                self.jobs[id].parts = vec![(lane, 1)];
            }
            Purpose::Ship | Purpose::Cancel => {
                // Early in the sale there may be no order yet to be changed.
                if self.confirmed.is_empty() {
                    return;
                }
                self.course.others += 1;
                let order = self.random.usize(0..self.confirmed.len());
                self.jobs[id].parts = self.confirmed.swap_remove(order);
            }
        }
        self.attempt(now, id);
    }

    fn attempt(&mut self, now: u64, id: usize) {
        let purpose = self.jobs[id].purpose;
        if purpose == Purpose::Reserve {
            self.course.tries += 1;
            if !self.jobs[id].searched {
                let lane = self.random.usize(0..self.lanes.len());
                self.jobs[id].parts = vec![(lane, self.jobs[id].quantity)];
            }
        }
        let parts = self.jobs[id].parts.clone();
        // To prepare a transaction is one write of each row, and to commit it is another.
        let granted = parts.iter().all(|(lane, _)| self.take(now, *lane));
        if !granted || parts.iter().any(|(lane, _)| self.lanes[*lane].held) {
            let told = self.random.u64(self.sale.told.clone());
            return self.conflict(now + told, id);
        }
        if purpose == Purpose::Reserve
            && parts.iter().any(|(lane, units)| self.lanes[*lane].available < *units)
        {
            let told = self.random.u64(self.sale.told.clone());
            return self.short(now + told, id);
        }
        for (lane, _) in parts {
            self.lanes[lane].held = true;
        }
        let time = self.random.u64(self.sale.hold.clone());
        self.plan(now + time, Event::Commit(id));
    }

    /// Takes a write unit of the lane's partition. False when there is none left.
    fn take(&mut self, now: u64, lane: usize) -> bool {
        let partition = self.refilled(now, lane);
        let granted = partition.left >= million();
        if granted {
            partition.left -= million();
            self.course.row_units += 1;
        }
        granted
    }

    fn refilled(&mut self, now: u64, lane: usize) -> &mut Partition {
        let partition = &mut self.partitions[lane % PARTITIONS];
        let passed = i64::try_from((now - partition.at) * PARTITION_UNITS).unwrap_or(i64::MAX);
        partition.left = partition.left.saturating_add(passed).min(full());
        partition.at = now;
        partition
    }

    fn commit(&mut self, now: u64, id: usize) {
        let job = self.jobs[id].clone();
        for (lane, units) in &job.parts {
            // DynamoDB finishes what it has prepared, so the second write may overdraw.
            self.refilled(now, *lane).left -= million();
            self.course.row_units += 1;
            let lane = &mut self.lanes[*lane];
            lane.held = false;
            match job.purpose {
                Purpose::Reserve => lane.available -= units,
                Purpose::Cancel | Purpose::Adjust => lane.available += units,
                Purpose::Ship => {}
            }
        }
        let units: u64 = job.parts.iter().map(|(_, units)| units).sum();
        let course = &mut self.course;
        match job.purpose {
            Purpose::Reserve => {
                course.confirmed += 1;
                course.confirmed_in_time += u64::from(now <= self.sale.seconds * SECOND);
                course.times.push(now - job.arrived);
                self.confirmed.push(job.parts);
            }
            Purpose::Ship => course.shipped += units,
            Purpose::Adjust => course.added += units,
            Purpose::Cancel => {}
        }
    }

    /// Does what `crates/aws_adapters/src/transaction.rs` and, after it, the state machine do with a conflict.
    fn conflict(&mut self, now: u64, id: usize) {
        let job = &mut self.jobs[id];
        let within = micros(Contention::WITHIN);
        let wait = Contention::longest_wait(job.retries).map(|longest| self.random.u64(0..micros(longest)));
        if let Some(wait) = wait.filter(|wait| now - job.started + wait < within) {
            job.retries += 1;
            return self.plan(now + wait, Event::Try(id));
        }
        let waits = &self.sale.retries.longest_waits;
        // No state machine repeats an adjustment.
        let longest = waits.get(job.step_retries).filter(|_| job.purpose != Purpose::Adjust);
        match longest {
            Some(longest) => {
                job.started = now + self.random.u64(0..=*longest);
                (job.retries, job.searched) = (0, false);
                job.step_retries += 1;
                let again = job.started;
                self.plan(again, Event::Try(id));
            }
            None => self.give_up(id),
        }
    }

    fn give_up(&mut self, id: usize) {
        let job = &mut self.jobs[id];
        match job.purpose {
            Purpose::Reserve => self.course.gave_up += 1,
            Purpose::Adjust => self.course.others_gave_up += 1,
            Purpose::Ship | Purpose::Cancel => {
                self.course.others_gave_up += 1;
                self.confirmed.push(std::mem::take(&mut job.parts));
            }
        }
    }

    fn short(&mut self, now: u64, id: usize) {
        if self.sale.search == Search::Nowhere || self.lanes.len() == 1 {
            self.refuse(id);
        } else {
            self.course.searches += 1;
            self.plan(now + READ_TIME, Event::Look(id));
        }
    }

    fn refuse(&mut self, id: usize) {
        let all: u64 = self.lanes.iter().map(|lane| lane.available).sum();
        self.course.refused += 1;
        self.course.refused_wrongly += u64::from(all >= self.jobs[id].quantity);
    }

    fn look(&mut self, now: u64, id: usize) {
        let quantity = self.jobs[id].quantity;
        let enough = |lane: &usize| self.lanes[*lane].available >= quantity;
        let lanes: Vec<usize> = (0..self.lanes.len()).filter(enough).collect();
        let parts = match self.random.choice(lanes) {
            Some(lane) => vec![(lane, quantity)],
            None if self.sale.search == Search::SeveralLanes => self.gathered(quantity),
            None => Vec::new(),
        };
        if parts.is_empty() {
            return self.refuse(id);
        }
        let job = &mut self.jobs[id];
        (job.parts, job.searched) = (parts, true);
        (job.started, job.retries) = (now, 0);
        self.attempt(now, id);
    }

    /// The units from as few lanes as possible. Empty when there are too few.
    fn gathered(&self, quantity: u64) -> Vec<(usize, u64)> {
        let mut lanes: Vec<usize> = (0..self.lanes.len()).collect();
        lanes.sort_by_key(|lane| Reverse(self.lanes[*lane].available));
        let (mut missing, mut parts) = (quantity, Vec::new());
        for lane in lanes {
            let units = self.lanes[lane].available.min(missing);
            if units > 0 {
                parts.push((lane, units));
                missing -= units;
            }
        }
        if missing == 0 { parts } else { Vec::new() }
    }

    fn close(mut self) -> Course {
        self.course.times.sort_unstable();
        self.course.available = self.lanes.iter().map(|lane| lane.available).sum();
        self.course.reserved = self.confirmed.iter().flatten().map(|(_, units)| units).sum();
        self.course
    }
}

/// A write unit, as partitions count it.
fn million() -> i64 {
    i64::try_from(SECOND).unwrap_or(i64::MAX)
}

/// The most write units that a partition takes at once: those of one second, in millionths.
fn full() -> i64 {
    million() * i64::try_from(PARTITION_UNITS).unwrap_or(i64::MAX)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

//! Chooses the sales to play, and writes the tables of their results. Every figure that the documentation gives for a
//! product in demand is made here.

use std::ops::RangeInclusive;

use super::{
    play::play,
    sale::{Course, Sale, Search, StepRetries},
};

/// The numbers of rows that the stock is split over. One row is what the shop has.
const LANES: [usize; 6] = [1, 2, 4, 8, 16, 32];

/// How long a transaction holds its rows, in microseconds. AWS gives no figure, so these are assumptions.
const QUICK: RangeInclusive<u64> = 5_000..=10_000;
const USUAL: RangeInclusive<u64> = 10_000..=20_000;
const SLOW: RangeInclusive<u64> = 20_000..=40_000;

/// The rates of the first table, in orders a second.
const RATES: [u64; 9] = [5, 10, 20, 30, 40, 50, 60, 80, 100];

/// The rate of a rush, in orders a second: what each route of the API lets in, unless `ThrottlingRate` is changed.
pub(super) const RUSH: u64 = 100;

/// A product keeps up while at most this many of a million orders give up.
const FEW_PER_MILLION: u64 = 1_000;

/// So many orders show whether one in 1,000 gives up.
const ENOUGH_ORDERS: u64 = 20_000;

/// What happens beside the orders.
#[derive(Clone, Copy)]
enum Beside {
    Nothing,
    /// As many orders are shipped or cancelled as come in, and the count is adjusted once for 100 orders.
    Shipments,
}

/// All tables, with the sentences between them.
pub(super) fn all(retries: &StepRetries) -> String {
    let mut text = String::new();
    today(&mut text, retries);
    limits(&mut text, retries);
    rush(&mut text, retries);
    end_of_stock(&mut text, retries);
    in_an_hour(&mut text, retries);
    text
}

/// The orders a second with which a product keeps up, as the documentation says it.
#[cfg(test)]
pub(super) fn limit_of(rows: usize, shipments: bool, retries: &StepRetries) -> u64 {
    let beside = if shipments { Beside::Shipments } else { Beside::Nothing };
    limit(&sale(rows, USUAL, beside, retries))
}

/// Orders for one unit each, and more units than are ever ordered. The rate and the duration are left open.
fn sale(lanes: usize, hold: RangeInclusive<u64>, beside: Beside, retries: &StepRetries) -> Sale {
    let (changes_percent, adjustments_percent) = match beside {
        Beside::Nothing => (0, 0),
        Beside::Shipments => (100, 1),
    };
    Sale {
        orders_per_second: 0,
        seconds: 0,
        lanes,
        search: Search::SeveralLanes,
        told: hold.start() / 2..=hold.end() / 2,
        hold,
        changes_percent,
        adjustments_percent,
        quantity: 1..=1,
        units: 1_000_000,
        retries: retries.clone(),
        seed: 1,
    }
}

/// Plays a sale at this rate for half a minute, or until there were enough orders to count those that give up.
fn at_rate(sale: &Sale, orders_per_second: u64) -> Course {
    let seconds = (ENOUGH_ORDERS / orders_per_second).max(30);
    play(&Sale { orders_per_second, seconds, ..sale.clone() })
}

/// The highest rate with which a sale keeps up, to within a fiftieth.
fn limit(sale: &Sale) -> u64 {
    let keeps_up = |rate| {
        let course = at_rate(sale, rate);
        course.gave_up * 1_000_000 <= course.orders * FEW_PER_MILLION
    };
    let mut under = 1;
    while keeps_up(2 * under) {
        under *= 2;
    }
    let mut over = 2 * under;
    while over - under > (under / 50).max(1) {
        let middle = under.midpoint(over);
        if keeps_up(middle) {
            under = middle;
        } else {
            over = middle;
        }
    }
    under
}

fn today(text: &mut String, retries: &StepRetries) {
    let sale = sale(1, USUAL, Beside::Nothing, retries);
    line(text, "**Today: one row.** A transaction holds it for 10 to 20 ms.");
    line(text, "");
    head(
        text,
        &["orders a second", "confirmed a second", "gave up", "p50 ms", "p99 ms", "tries", "write units"],
    );
    for rate in RATES {
        let course = at_rate(&sale, rate);
        line(text, &format!("| {rate} | {}", outcome(&course)));
    }
    line(text, "");
    let limit = limit(&sale);
    let tried_twice = |rate: &u64| {
        let course = at_rate(&sale, *rate);
        course.tries >= 2 * course.confirmed
    };
    let busy = (1..limit).find(tried_twice).unwrap_or(limit);
    line(
        text,
        &format!("One row keeps up with {limit} orders a second: at most one order in 1,000 gives up."),
    );
    line(text, &format!("From {busy} orders a second on, there are as many retries as orders."));
    line(text, "");
}

fn limits(text: &mut String, retries: &StepRetries) {
    line(
        text,
        "**The most orders a second with which a product keeps up**, by how long a transaction holds a row.",
    );
    line(text, "In the last column as many orders are shipped as come in.");
    line(text, "");
    head(text, &["rows", "5 to 10 ms", "10 to 20 ms", "20 to 40 ms", "10 to 20 ms, with shipments"]);
    for lanes in LANES {
        let cases = [
            (QUICK, Beside::Nothing),
            (USUAL, Beside::Nothing),
            (SLOW, Beside::Nothing),
            (USUAL, Beside::Shipments),
        ];
        let cells: Vec<String> = cases
            .into_iter()
            .map(|(hold, beside)| limit(&sale(lanes, hold, beside, retries)).to_string())
            .collect();
        line(text, &format!("| {lanes} | {} |", cells.join(" | ")));
    }
    line(text, "");
}

fn rush(text: &mut String, retries: &StepRetries) {
    line(text, &format!("**A rush of {RUSH} orders a second for one product**, 10 to 20 ms."));
    line(text, "");
    head(text, &["rows", "confirmed a second", "gave up", "p50 ms", "p99 ms", "tries", "write units"]);
    for lanes in LANES {
        let sale = sale(lanes, USUAL, Beside::Nothing, retries);
        line(text, &format!("| {lanes} | {}", outcome(&at_rate(&sale, RUSH))));
    }
    line(text, "");
}

fn end_of_stock(text: &mut String, retries: &StepRetries) {
    line(
        text,
        "**The end of the stock.** 20 orders a second, of 1 to 5 units each, want more than the 1,000 units.",
    );
    line(text, "An order whose row is short is refused, or searches one row, or searches several.");
    line(text, "");
    head(text, &["rows", "search", "units left over", "refused with enough in all", "searches", "p99 ms"]);
    for lanes in LANES {
        let searches =
            [(Search::Nowhere, "none"), (Search::OneLane, "one row"), (Search::SeveralLanes, "several rows")];
        // With one row there is nowhere to search.
        for (search, name) in searches.into_iter().take(if lanes == 1 { 1 } else { searches.len() }) {
            let base = sale(lanes, USUAL, Beside::Nothing, retries);
            let few = Sale { search, quantity: 1..=5, units: 1_000, ..base };
            let course = play(&Sale { orders_per_second: 20, seconds: 30, ..few });
            let Course { available, refused_wrongly, searches, .. } = course;
            let p99 = ms(course.percentile(99));
            line(
                text,
                &format!("| {lanes} | {name} | {available} | {refused_wrongly} | {searches} | {p99} |"),
            );
        }
    }
}

fn in_an_hour(text: &mut String, retries: &StepRetries) {
    let in_an_hour = |lanes, beside| 3_600 * limit(&sale(lanes, USUAL, beside, retries));
    line(text, "");
    line(text, "**In an hour**, at 10 to 20 ms, without and with shipments at the same pace:");
    line(text, "");
    for (lanes, name) in [(1, "one row"), (4, "four rows")] {
        let [alone, shipped] = [Beside::Nothing, Beside::Shipments].map(|beside| in_an_hour(lanes, beside));
        let (alone, shipped) = (thousands(alone), thousands(shipped));
        line(text, &format!("- {name}: {alone} thousand orders for one product; {shipped} thousand"));
    }
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

fn head(text: &mut String, names: &[&str]) {
    line(text, &format!("| {} |", names.join(" | ")));
    line(text, &format!("|{}", "---|".repeat(names.len())));
}

/// The cells of a course, without the first one of the row.
fn outcome(course: &Course) -> String {
    format!(
        "{} | {} % | {} | {} | {} | {} |",
        (course.confirmed_in_time + course.seconds / 2) / course.seconds,
        hundredths(course.gave_up * 100, course.orders),
        ms(course.percentile(50)),
        ms(course.percentile(99)),
        hundredths(course.tries, course.confirmed),
        hundredths(course.row_units, course.confirmed),
    )
}

fn ms(micros: u64) -> u64 {
    (micros + 500) / 1_000
}

fn thousands(number: u64) -> u64 {
    (number + 500) / 1_000
}

/// A quotient with two decimals, rounded down.
fn hundredths(part: u64, of: u64) -> String {
    let value = part * 100 / of.max(1);
    format!("{}.{:02}", value / 100, value % 100)
}

//! The simulation loses no unit and repeats itself, and the documentation shows its figures.

use std::fs;

use bench::report;
use domain::Contention;

use super::{
    PAGE, PLACE,
    play::play,
    repository,
    sale::{SECOND, Sale, Search},
    step_retries, tables,
};

fn fresh_tables() -> String {
    tables::all(&step_retries().unwrap())
}

/// A sale with all kinds of writers, in which stock runs out.
fn busy(lanes: usize, search: Search, seed: u64) -> Sale {
    Sale {
        orders_per_second: 60,
        seconds: 10,
        lanes,
        search,
        hold: 10_000..=20_000,
        told: 5_000..=10_000,
        changes_percent: 50,
        adjustments_percent: 5,
        quantity: 1..=5,
        units: 700,
        retries: step_retries().unwrap(),
        seed,
    }
}

/// A sale of single units that nothing disturbs and that never ends for lack of stock.
fn plain(orders_per_second: u64) -> Sale {
    let busy = busy(1, Search::Nowhere, 1);
    Sale {
        orders_per_second,
        changes_percent: 0,
        adjustments_percent: 0,
        quantity: 1..=1,
        units: 1_000_000,
        ..busy
    }
}

#[test]
fn two_runs_with_one_seed_agree() {
    for lanes in [1, 4] {
        let sale = busy(lanes, Search::SeveralLanes, 7);
        assert_eq!(play(&sale), play(&sale));
        assert_ne!(play(&sale), play(&Sale { seed: 8, ..sale.clone() }));
    }
}

#[test]
fn no_unit_is_sold_twice_or_lost() {
    for lanes in [1, 2, 8, 32] {
        for search in [Search::Nowhere, Search::OneLane, Search::SeveralLanes] {
            for seed in 0..5 {
                let sale = busy(lanes, search, seed);
                let course = play(&sale);
                let now = course.available + course.reserved + course.shipped;
                assert_eq!(now, sale.units + course.added, "{sale:?}");
                assert_eq!(course.orders, course.confirmed + course.gave_up + course.refused, "{sale:?}");
                assert!(course.refused > 0, "the stock never ran out: {sale:?}");
                assert!(course.others > course.others_gave_up, "nothing was shipped: {sale:?}");
            }
        }
    }
}

#[test]
fn a_search_over_several_rows_refuses_no_order_that_could_be_met() {
    for seed in 0..20 {
        assert_eq!(play(&busy(8, Search::SeveralLanes, seed)).refused_wrongly, 0);
    }
    assert!(play(&busy(8, Search::Nowhere, 0)).refused_wrongly > 0);
}

#[test]
fn one_row_takes_no_more_transactions_than_fit_one_after_another() {
    let sale = Sale { hold: 10_000..=10_000, ..plain(400) };
    let course = play(&sale);
    let fit = sale.seconds * 100;
    assert!((fit * 3 / 4..=fit).contains(&course.confirmed_in_time), "{}", course.confirmed_in_time);
}

#[test]
fn an_order_alone_takes_one_try_and_two_write_units() {
    let sale = Sale { seconds: 1, ..plain(1) };
    let course = play(&sale);
    assert_eq!((course.confirmed, course.tries, course.row_units), (1, 1, 2));
    assert!(sale.hold.contains(&course.percentile(50)));
}

#[test]
fn an_order_gives_up_after_the_retries_of_the_function_and_of_the_state_machine() {
    // The first transaction holds the row for longer than all retries of the second take.
    let sale = Sale { seconds: 1, hold: 60 * SECOND..=60 * SECOND, told: 1_000..=1_000, ..plain(2) };
    let course = play(&sale);
    assert_eq!((course.confirmed, course.gave_up), (1, 1));
    let calls = 1 + u64::try_from(step_retries().unwrap().longest_waits.len()).unwrap();
    assert_eq!(course.tries, 1 + calls * u64::from(1 + Contention::MAX_RETRIES));
}

#[test]
fn the_page_shows_what_the_command_prints() {
    let page = fs::read_to_string(repository().join(PAGE)).unwrap();
    let fresh = report::replaced(&page, PLACE, &fresh_tables()).unwrap();
    assert!(page == fresh, "{PAGE} is out of date: run `cargo run --release -p bench -- hot-sku --write`");
}

#[test]
fn the_pages_name_the_rate_that_one_row_takes() {
    let rate = tables::limit_of(1, false, &step_retries().unwrap());
    for (page, words) in [
        (PAGE, format!("[some {rate}](#one-product-in-demand)")),
        ("docs/choices.md", format!("- A product takes some {rate} orders a second")),
    ] {
        let text = fs::read_to_string(repository().join(page)).unwrap();
        assert!(text.contains(&words), "{page} must say: {words}");
    }
}

#[test]
fn the_decision_still_follows_from_the_figures() {
    let retries = step_retries().unwrap();
    let limit = |rows, shipments| tables::limit_of(rows, shipments, &retries);
    let one_row = limit(1, false);
    assert!(3 * one_row > tables::RUSH, "one row keeps up with more than a third of the default throttle");
    assert!((10_000..100_000).contains(&(3_600 * limit(1, true))), "an hour's orders are ten thousands");
    assert!((one_row * 2 / 5..=one_row * 3 / 5).contains(&limit(1, true)), "half, while as many are shipped");
    assert!(limit(4, false) > tables::RUSH, "four rows keep up with the default throttle");
}

#[test]
fn the_state_machine_retries_a_contended_step_twice() {
    assert_eq!(step_retries().unwrap().longest_waits, [SECOND, 2 * SECOND]);
}

#[test]
fn the_dashboard_has_every_sign_that_the_page_names() {
    let page = fs::read_to_string(repository().join(PAGE)).unwrap().replace("**", "");
    let template = fs::read_to_string(repository().join("infra/template.yaml")).unwrap();
    let signs: Vec<&str> = page.split('*').skip(1).step_by(2).collect();
    for sign in &signs {
        let shown = ["title", "label"].map(|member| format!("\"{member}\": \"{sign}\""));
        assert!(shown.iter().any(|shown| template.contains(shown)), "no widget or curve is called {sign:?}");
    }
    let alarms: Vec<&str> = page.split('`').filter(|name| name.ends_with("Alarm")).collect();
    for alarm in &alarms {
        assert!(template.contains(&format!("  {alarm}:\n")), "no alarm is called {alarm:?}");
    }
    assert!(signs.len() > 10 && alarms.len() > 3, "{signs:?} {alarms:?}");
}

//! The tables of what `times.rs` and `stack.rs` measured.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use crate::{
    group::{SHARES, Share},
    report::millions,
    stack::Stack,
    times::Times,
};

/// The programs that a first order needs, one after another. A test compares them with the workflow.
const FIRST_ORDER: [&str; 4] = ["place_order", "check_inventory", "create_order", "update_order_status"];

/// What was measured of one function.
#[derive(Clone, Debug)]
pub struct Measured {
    /// The size of the zip file with the program.
    pub zipped_bytes: u64,
    /// By share. A share that could not be given is missing.
    pub times: BTreeMap<Share, Times>,
}

/// What was measured of all functions, by function.
pub type All = BTreeMap<String, Measured>;

/// A table for each share, and one of a whole first order. If an earlier commit was measured too, its figures stand beside.
pub fn functions(now: &All, before: Option<&All>) -> String {
    let row = |(name, is)| Row { name, is, was: before.and_then(|before| before.get(name)) };
    let rows: Vec<Row<'_>> = now.iter().map(|(name, is)| row((name.as_str(), is))).collect();
    of_each_share("function", &rows) + &first_order(now, before)
}

/// A table for each share of programs that do the same work, in the given order.
pub fn peers(all: &[(String, Measured)]) -> String {
    let rows: Vec<Row<'_>> = all.iter().map(|(name, is)| Row { name, is, was: None }).collect();
    of_each_share("program", &rows)
}

/// The times of the local stack, and its memory.
pub fn stack(now: &Stack, before: Option<&Stack>) -> String {
    let cell = |of: fn(&Stack) -> String| cell(of(now), before.map(of));
    format!(
        "\n| ms to ready (median) | ms for an order (median) | peak MB before the first order | peak MB after {} orders |\n\
         |---|---|---|---|\n| {} | {} | {} | {} |\n",
        now.orders,
        cell(|stack| milliseconds(stack.ready)),
        cell(|stack| milliseconds(stack.order)),
        cell(|stack| millions(stack.peak_bytes_before)),
        cell(|stack| millions(stack.peak_bytes_after)),
    )
}

/// What was measured of a program, and, if there is an earlier one, of that.
struct Row<'a> {
    name: &'a str,
    is: &'a Measured,
    was: Option<&'a Measured>,
}

fn of_each_share(what: &str, all: &[Row<'_>]) -> String {
    let tables = SHARES.iter().map(|share| of_share(*share, what, all));
    std::iter::once("\nEach time and each peak is a median.\n".to_owned()).chain(tables).collect()
}

fn of_share(share: Share, what: &str, all: &[Row<'_>]) -> String {
    let (more_titles, more_lines) =
        if share == Share::Free { (" peak MB | zipped MB |", "---|---|") } else { ("", "") };
    let mut rows = String::new();
    for Row { name, is, was } in all {
        let Some(times) = is.times.get(&share) else { continue };
        let then = was.and_then(|was| was.times.get(&share));
        let time = |of: fn(&Times) -> Duration| {
            cell(milliseconds(of(times)), then.map(|then| milliseconds(of(then))))
        };
        let _in_memory = write!(
            rows,
            "| {name} | {} | {} | {} |",
            time(|times| times.ready),
            time(|times| times.first),
            time(|times| times.warm)
        );
        if share == Share::Free {
            let peak = cell(millions(times.peak_bytes), then.map(|then| millions(then.peak_bytes)));
            let zipped = cell(millions(is.zipped_bytes), was.map(|was| millions(was.zipped_bytes)));
            let _in_memory = write!(rows, " {peak} | {zipped} |");
        }
        rows.push('\n');
    }
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "\n{}:\n\n| {what} | ms to ready | ms in the first invocation | ms in a warm one |{more_titles}\n\
         |---|---|---|---|{more_lines}\n{rows}",
        title(share)
    )
}

fn first_order(now: &All, before: Option<&All>) -> String {
    let mut rows = String::new();
    for share in SHARES {
        let Some(parts) = cold_parts(now, share) else { continue };
        let then = before.and_then(|before| cold_parts(before, share));
        let _in_memory = write!(rows, "| {} |", title(share));
        for (at, part) in parts.iter().enumerate() {
            let was = then.and_then(|then| then.get(at).copied());
            let _in_memory = write!(rows, " {} |", cell(milliseconds(*part), was.map(milliseconds)));
        }
        let was = then.map(|then| milliseconds(then.iter().sum()));
        let _in_memory = writeln!(rows, " {} |", cell(milliseconds(parts.iter().sum()), was));
    }
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "\nThe first order, in ms:\n\n| | {} | together |\n|---|---|---|---|---|---|\n{rows}",
        FIRST_ORDER.join(" | ")
    )
}

/// What each program of a first order takes from its start to its first answer.
fn cold_parts(all: &All, share: Share) -> Option<[Duration; FIRST_ORDER.len()]> {
    let mut parts = [Duration::ZERO; FIRST_ORDER.len()];
    for (part, function) in parts.iter_mut().zip(FIRST_ORDER) {
        *part = all.get(function)?.times.get(&share)?.cold;
    }
    Some(parts)
}

fn title(share: Share) -> String {
    match (share, share.thousandths()) {
        (Share::OfMemory(mb), Some(share)) => {
            format!("With the share of {mb} MB, {}.{} % of a core", share / 10, share % 10)
        }
        (Share::Free | Share::OfMemory(_), _) => "With the whole machine".to_owned(),
    }
}

fn cell(is: String, was: Option<String>) -> String {
    match was {
        None => is,
        Some(was) => format!("{is} (was {was})"),
    }
}

/// Milliseconds with two decimals below 10, and with one from there.
fn milliseconds(time: Duration) -> String {
    let us = time.as_micros();
    if us < 9_995 {
        let hundredths = (us + 5) / 10;
        format!("{}.{:02}", hundredths / 100, hundredths % 100)
    } else {
        let tenths = (us + 50) / 100;
        format!("{}.{}", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use serde_json::Value;

    use super::{All, FIRST_ORDER, Measured, functions, milliseconds, peers, stack};
    use crate::{group::Share, stack::Stack, times::Times};

    fn all(functions: &[&str], shares: &[Share], ready_ms: u64) -> All {
        let times = Times {
            ready: Duration::from_millis(ready_ms),
            first: Duration::from_micros(1_234),
            cold: Duration::from_millis(ready_ms + 1),
            warm: Duration::from_micros(567),
            peak_bytes: 8_200_000,
        };
        let times: BTreeMap<Share, Times> = shares.iter().map(|share| (*share, times)).collect();
        let measured = Measured { zipped_bytes: 3_050_000, times };
        functions.iter().map(|name| ((*name).to_owned(), measured.clone())).collect()
    }

    #[test]
    fn a_time_has_two_decimals_below_ten_and_one_from_there() {
        assert_eq!(milliseconds(Duration::from_micros(567)), "0.57");
        assert_eq!(milliseconds(Duration::from_micros(9_994)), "9.99");
        assert_eq!(milliseconds(Duration::from_micros(9_995)), "10.0");
        assert_eq!(milliseconds(Duration::from_micros(143_251)), "143.3");
    }

    #[test]
    fn each_share_has_a_table_with_the_figures_of_before_beside_it() {
        let shares = [Share::Free, Share::OfMemory(128)];
        assert_eq!(
            functions(&all(&["query"], &shares, 20), Some(&all(&["query"], &shares, 30))),
            "
Each time and each peak is a median.

With the whole machine:

| function | ms to ready | ms in the first invocation | ms in a warm one | peak MB | zipped MB |
|---|---|---|---|---|---|
| query | 20.0 (was 30.0) | 1.23 (was 1.23) | 0.57 (was 0.57) | 8.20 (was 8.20) | 3.05 (was 3.05) |

With the share of 128 MB, 7.2 % of a core:

| function | ms to ready | ms in the first invocation | ms in a warm one |
|---|---|---|---|
| query | 20.0 (was 30.0) | 1.23 (was 1.23) | 0.57 (was 0.57) |
"
        );
    }

    #[test]
    fn peers_keep_their_order() {
        let measured = all(&["query"], &[Share::Free], 20).remove("query").expect("measured");
        let text = peers(&[("ours".to_owned(), measured.clone()), ("another".to_owned(), measured)]);
        assert_eq!(
            text,
            "
Each time and each peak is a median.

With the whole machine:

| program | ms to ready | ms in the first invocation | ms in a warm one | peak MB | zipped MB |
|---|---|---|---|---|---|
| ours | 20.0 | 1.23 | 0.57 | 8.20 | 3.05 |
| another | 20.0 | 1.23 | 0.57 | 8.20 | 3.05 |
"
        );
    }

    #[test]
    fn the_first_order_is_the_sum_of_its_four_programs() {
        let text = functions(&all(&FIRST_ORDER, &[Share::Free], 20), None);
        let table = text.split_once("The first order, in ms:").expect("the table").1;
        assert_eq!(
            table,
            "

| | place_order | check_inventory | create_order | update_order_status | together |
|---|---|---|---|---|---|
| With the whole machine | 21.0 | 21.0 | 21.0 | 21.0 | 84.0 |
"
        );
    }

    #[test]
    fn the_workflow_of_a_confirmed_order_calls_these_programs_once_each() {
        let read = |text| -> Value { serde_json::from_str(text).expect("JSON") };
        let definition = read(include_str!("../../step_function/order.asl.json"));
        let cases = read(include_str!("../../tests/journeys/contract/workflow_cases.json"));
        let confirmed = |case: &&Value| case["name"] == "a_new_order_is_priced_created_confirmed_and_mailed";
        let case = cases.as_array().expect("cases").iter().find(confirmed).expect("a confirmed order");
        let path = case["path"].as_array().expect("a path").iter().filter_map(Value::as_str);
        let called =
            path.filter_map(|state| definition["States"][state]["Arguments"]["FunctionName"].as_str());
        let named = |function: &str| {
            let words = function.split('_').map(|word| word[..1].to_uppercase() + &word[1..]);
            format!("${{{}FunctionArn}}", words.collect::<String>())
        };
        // place_order starts the workflow.
        assert_eq!(
            called.collect::<Vec<_>>(),
            FIRST_ORDER[1..].iter().map(|name| named(name)).collect::<Vec<_>>()
        );
    }

    #[test]
    fn the_stack_has_one_row() {
        let measured = |order_us| Stack {
            orders: 830,
            ready: Duration::from_millis(120),
            order: Duration::from_micros(order_us),
            peak_bytes_before: 20_000_000,
            peak_bytes_after: 40_000_000,
        };
        let text = stack(&measured(2_500), Some(&measured(3_000)));
        assert_eq!(
            text.lines().last().expect("a row"),
            "| 120.0 (was 120.0) | 2.50 (was 3.00) | 20.00 (was 20.00) | 40.00 (was 40.00) |"
        );
    }
}

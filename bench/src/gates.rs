//! The figures that a change must keep, in `bench/committed.json`.
//!
//! A figure that grew by 2 % is red, and so is one that shrank by 2 % without being committed: otherwise the next change
//! could lose it again unseen. Calls and connections must be exactly as committed.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::Fault;
pub use crate::figures::Committed;

/// How far a figure may move, in thousandths of what is committed.
const MAY_MOVE: u64 = 20;

/// The figures of all programs, by function.
pub type All = BTreeMap<String, Committed>;

/// What is committed.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Gates {
    /// The figures of each function.
    pub functions: All,
    /// The instructions of one execution of the workflow on the local stack.
    pub workflow: u64,
}

fn file(root: &Path) -> PathBuf {
    root.join("bench/committed.json")
}

/// Reads the committed figures.
pub fn read(root: &Path) -> Result<Gates, Fault> {
    let path = file(root);
    let text =
        fs::read_to_string(&path).map_err(|error| Fault::new(format!("{}: {error}", path.display())))?;
    serde_json::from_str(&text).map_err(|error| Fault::new(format!("{}: {error}", path.display())))
}

/// Commits figures: writes the file.
pub fn write(root: &Path, figures: &Gates) -> Result<(), Fault> {
    let path = file(root);
    let text = serde_json::to_string_pretty(figures).map_err(|error| Fault::new(error.to_string()))?;
    fs::write(&path, text + "\n").map_err(|error| Fault::new(format!("{}: {error}", path.display())))
}

/// Compares measured figures with the committed ones, and names each that moved too far.
pub fn compare(committed: &All, measured: &All) -> Vec<String> {
    let mut red = Vec::new();
    for name in committed.keys().filter(|name| !measured.contains_key(*name)) {
        red.push(format!("{name} has committed figures, and no program"));
    }
    for (name, is) in measured {
        let Some(was) = committed.get(name) else {
            red.push(format!("{name} has no committed figures"));
            continue;
        };
        for (what, was, is) in [
            ("instructions to ready", was.ready, is.ready),
            ("instructions to the first answer", was.cold, is.cold),
            ("instructions of a further invocation", was.warm, is.warm),
            ("bytes of the program", was.bytes, is.bytes),
        ] {
            red.extend(moved(name, what, was, is));
        }
        for (what, was, is) in [
            ("connections in init", was.connections_in_init, is.connections_in_init),
            ("connections after init", was.connections_later, is.connections_later),
        ] {
            if was != is {
                red.push(format!("{name}: {is} {what} instead of the committed {was}"));
            }
        }
        if was.calls != is.calls {
            red.push(format!("{name}: calls {:?} instead of the committed {:?}", is.calls, was.calls));
        }
    }
    red
}

/// Compares the instructions of an execution of the workflow.
pub fn compare_workflow(committed: u64, measured: u64) -> Option<String> {
    moved("the workflow", "instructions of an execution", committed, measured)
}

/// Says by how much a figure moved, if it is too much.
fn moved(name: &str, what: &str, was: u64, is: u64) -> Option<String> {
    if was.abs_diff(is) * 1_000 <= was * MAY_MOVE {
        return None;
    }
    let by = was.abs_diff(is) * 1_000 / was.max(1);
    let way = if is > was { "more" } else { "fewer" };
    Some(format!("{name}: {is} {what}, which is {}.{} % {way} than the committed {was}", by / 10, by % 10))
}

#[cfg(test)]
mod tests {
    use super::{All, Committed, compare, compare_workflow};

    fn figures() -> Committed {
        Committed {
            ready: 1_000,
            cold: 1_000,
            warm: 1_000,
            bytes: 1_000,
            connections_in_init: 1,
            connections_later: 0,
            calls: [("GetItem".to_owned(), 1)].into(),
        }
    }

    fn red(change: impl FnOnce(&mut Committed)) -> Vec<String> {
        let mut changed = figures();
        change(&mut changed);
        compare(&all("query", figures()), &all("query", changed))
    }

    fn all(name: &str, figures: Committed) -> All {
        [(name.to_owned(), figures)].into()
    }

    #[test]
    fn two_percent_either_way_is_green_and_more_is_red() {
        for within in [980, 1_000, 1_020] {
            assert!(red(|figures| figures.warm = within).is_empty(), "{within}");
        }
        assert_eq!(
            red(|figures| figures.warm = 1_021),
            ["query: 1021 instructions of a further invocation, which is 2.1 % more than the committed 1000"]
        );
        assert_eq!(
            red(|figures| figures.bytes = 979),
            ["query: 979 bytes of the program, which is 2.1 % fewer than the committed 1000"]
        );
    }

    #[test]
    fn every_figure_is_compared() {
        assert_eq!(red(|figures| figures.ready = 2_000).len(), 1);
        assert_eq!(red(|figures| figures.cold = 2_000).len(), 1);
        assert_eq!(red(|figures| figures.connections_in_init = 2).len(), 1);
        assert_eq!(red(|figures| figures.connections_later = 1).len(), 1);
        assert_eq!(red(|figures| figures.calls = [("GetItem".to_owned(), 2)].into()).len(), 1);
        assert_eq!(compare(&all("query", figures()), &All::new()).len(), 1);
        assert_eq!(compare(&All::new(), &all("query", figures())).len(), 1);
    }

    #[test]
    fn an_execution_of_the_workflow_is_compared_too() {
        assert_eq!(compare_workflow(1_000, 1_020), None);
        assert_eq!(
            compare_workflow(1_000, 1_021).as_deref(),
            Some(
                "the workflow: 1021 instructions of an execution, which is 2.1 % more than the committed 1000"
            )
        );
    }
}

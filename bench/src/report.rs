//! The tables of the documentation that come out of this crate. Nobody types a figure: each table stands between two
//! comments, and is replaced.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::Path};

use crate::{Fault, gates::All};

/// What each function needs, and, if an earlier commit was counted too, what it needed there.
pub fn table(now: &All, before: Option<&All>) -> String {
    let mut text =
        "| function | M to ready | M in the first invocation | M in a warm one | connections in init, later \
                    | calls | MB |\n|---|---|---|---|---|---|---|\n"
            .to_owned();
    for (name, is) in now {
        let was = before.and_then(|before| before.get(name));
        let cell = |of: u64, was: Option<u64>| match was {
            None => millions(of),
            Some(was) => format!("{} (was {})", millions(of), millions(was)),
        };
        let calls: Vec<String> = is.calls.iter().map(|(call, count)| format!("{count} `{call}`")).collect();
        let _in_memory = writeln!(
            text,
            "| {name} | {} | {} | {} | {}, {} | {} | {} |",
            cell(is.ready, was.map(|was| was.ready)),
            cell(is.first(), was.map(crate::figures::Committed::first)),
            cell(is.warm, was.map(|was| was.warm)),
            is.connections_in_init,
            is.connections_later,
            calls.join(", "),
            cell(is.bytes, was.map(|was| was.bytes)),
        );
    }
    text
}

/// What an execution of the workflow needs.
pub fn workflow(instructions: u64) -> String {
    format!("One execution of the workflow on the local stack: {} M instructions.\n", millions(instructions))
}

/// Millions with two decimals.
pub(crate) fn millions(count: u64) -> String {
    let hundredths = (count + 5_000) / 10_000;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// Replaces the tables of a page by name. Each stands between `<!-- name -->` and `<!-- /name -->`.
pub fn write(page: &Path, tables: &BTreeMap<&str, String>) -> Result<(), Fault> {
    let fault = |problem: String| Fault::new(format!("{}: {problem}", page.display()));
    let mut text = fs::read_to_string(page).map_err(|error| fault(error.to_string()))?;
    for (name, table) in tables {
        text = replaced(&text, name, table).ok_or_else(|| fault(format!("no place for the table {name}")))?;
    }
    fs::write(page, text).map_err(|error| fault(error.to_string()))
}

/// A text with another table in the place of that name; `None` if it has no such place.
pub fn replaced(text: &str, name: &str, table: &str) -> Option<String> {
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = text.split_once(&open)?;
    let (_, after) = rest.split_once(&close)?;
    Some(format!("{before}{open}{table}{close}{after}"))
}

#[cfg(test)]
mod tests {
    use super::{millions, replaced};

    #[test]
    fn figures_are_rounded_to_two_decimals() {
        assert_eq!(millions(2_064_999), "2.06");
        assert_eq!(millions(2_065_000), "2.07");
    }

    #[test]
    fn a_table_replaces_what_stands_in_its_place() {
        let text = "before\n<!-- one -->\nold\n<!-- /one -->\nafter\n";
        assert_eq!(
            replaced(text, "one", "new\n").as_deref(),
            Some("before\n<!-- one -->\nnew\n<!-- /one -->\nafter\n")
        );
        assert_eq!(replaced(text, "two", "new\n"), None);
    }
}

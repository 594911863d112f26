//! A table of texts, for a terminal or for a page in Markdown, and the pages that hold such tables between marks. Nothing
//! here knows what is in a table.

/// A table.
#[derive(Debug)]
pub(super) struct Grid {
    /// Its name in a page's marks.
    pub(super) name: &'static str,
    /// A sentence that says what the table shows.
    pub(super) title: String,
    pub(super) head: Vec<&'static str>,
    pub(super) rows: Vec<Vec<String>>,
}

impl Grid {
    /// The table in columns, under its title.
    pub(super) fn plain(&self) -> String {
        let head: Vec<String> = self.head.iter().map(|cell| (*cell).to_owned()).collect();
        let widths: Vec<usize> = (0..head.len())
            .map(|at| self.rows.iter().chain([&head]).map(|row| width(row, at)).max().unwrap_or(0))
            .collect();
        let mut text = format!("{}\n\n", self.title);
        for row in [&head].into_iter().chain(&self.rows) {
            let cells = row.iter().enumerate().map(|(at, cell)| {
                let gap = " ".repeat(widths[at] - cell.chars().count());
                if self.is_number(at) { format!("  {gap}{cell}") } else { format!("  {cell}{gap}") }
            });
            let line: String = cells.collect();
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// The table in Markdown, without its title.
    pub(super) fn markdown(&self) -> String {
        let rules: Vec<&str> =
            (0..self.head.len()).map(|at| if self.is_number(at) { "---:" } else { "---" }).collect();
        let mut text = format!("| {} |\n|{}|\n", self.head.join(" | "), rules.join("|"));
        for row in &self.rows {
            let cells: Vec<String> = row.iter().map(|cell| linked(cell)).collect();
            text.push_str("| ");
            text.push_str(&cells.join(" | "));
            text.push_str(" |\n");
        }
        text
    }

    /// Whether a column holds numbers alone.
    fn is_number(&self, at: usize) -> bool {
        let numeric = |cell: &String| {
            cell.is_empty() || cell.trim_start_matches(['+', '-']).starts_with(|c: char| c.is_ascii_digit())
        };
        at > 0 && self.rows.iter().filter_map(|row| row.get(at)).all(numeric)
    }
}

fn width(row: &[String], at: usize) -> usize {
    row.get(at).map_or(0, |cell| cell.chars().count())
}

/// A cell in Markdown: an address becomes a link under its host's name.
fn linked(cell: &str) -> String {
    match cell.strip_prefix("https://").and_then(|rest| rest.split('/').next()) {
        Some(host) => format!("[{host}]({cell})"),
        None => cell.to_owned(),
    }
}

/// The page with these tables between its marks, in place of what stands there. A page has every table's mark once.
pub(super) fn filled(page: &str, grids: &[Grid]) -> Result<String, String> {
    let mut page = page.to_owned();
    for grid in grids {
        let (begin, end) = (format!("<!-- cost: {} -->\n", grid.name), "<!-- end of cost -->");
        let from =
            page.find(&begin).ok_or_else(|| format!("has no line {}", begin.trim_end()))? + begin.len();
        let to =
            page[from..].find(end).ok_or_else(|| format!("has no line {end} after {}", begin.trim_end()))?;
        page.replace_range(from..from + to, &format!("\n{}\n", grid.markdown()));
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        Grid {
            name: "teas",
            title: "Teas:".to_owned(),
            head: vec!["tea", "dollars", "page"],
            rows: vec![row(["Assam", "6.20", "https://tea.example/assam"]), row(["Sencha", "18.50", "none"])],
        }
    }

    #[test]
    fn numbers_stand_on_the_right_and_pages_become_links() {
        assert_eq!(
            grid().plain(),
            "Teas:\n\n  tea     dollars  page\n  Assam      6.20  https://tea.example/assam\n  Sencha    18.50  none\n"
        );
        assert_eq!(
            grid().markdown(),
            "| tea | dollars | page |\n|---|---:|---|\n| Assam | 6.20 | [tea.example](https://tea.example/assam) |\n| \
             Sencha | 18.50 | none |\n"
        );
    }

    #[test]
    fn a_page_is_filled_between_its_marks_and_nowhere_else() {
        let page = "# Teas\n<!-- cost: teas -->\nold\n<!-- end of cost -->\nThe end.\n";
        let full = filled(page, &[grid()]).unwrap();
        assert!(full.starts_with("# Teas\n<!-- cost: teas -->\n\n| tea |"), "{full}");
        assert!(full.ends_with("none |\n\n<!-- end of cost -->\nThe end.\n"), "{full}");
        assert_eq!(filled(&full, &[grid()]).unwrap(), full);
    }

    #[test]
    fn a_page_without_a_mark_is_refused() {
        for (page, missing) in
            [("# Teas\n", "<!-- cost: teas -->"), ("<!-- cost: teas -->\nold\n", "<!-- end of cost -->")]
        {
            assert!(filled(page, &[grid()]).unwrap_err().contains(missing), "{page}");
        }
    }
}

//! Reads what valgrind's cachegrind counted.

use std::{fs, path::Path, process::Command};

use crate::Fault;

/// The instructions in a file of cachegrind.
pub(crate) fn total(file: &Path) -> Result<u64, Fault> {
    let unreadable = || Fault::new(format!("{} is no file of cachegrind", file.display()));
    let text = fs::read_to_string(file).map_err(|_error| unreadable())?;
    let summary = text.lines().find_map(|line| line.strip_prefix("summary:"));
    summary.and_then(|count| count.trim().parse().ok()).ok_or_else(unreadable)
}

/// Valgrind's version, if it is installed.
pub fn version() -> Option<String> {
    let output = Command::new("valgrind").arg("--version").output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    #[test]
    fn the_total_is_read_and_another_file_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("out");
        fs::write(&file, "version: 1\nevents: Ir\nfn=(1) main\n1 5\nsummary: 1234\n").expect("written");
        assert_eq!(super::total(&file).expect("a total"), 1_234);
        fs::write(&file, "something else").expect("written");
        assert!(super::total(&file).is_err());
    }
}

//! The size of what is uploaded to Lambda: a zip file with the program in it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::Fault;

/// The bytes of a zip file that holds the files and folders of a folder. Python's `zipfile` makes it, which `sam` uses too.
pub fn zipped_bytes(folder: &Path, names: &[&str]) -> Result<u64, Fault> {
    let not_made =
        |why: String| Fault::new(format!("no zip file of {} can be made: {why}", folder.display()));
    // `zipfile` skips what is missing, and says nothing.
    if let Some(missing) = names.iter().find(|name| !folder.join(name).exists()) {
        return Err(not_made(format!("there is no {missing}")));
    }
    let scratch = tempfile::tempdir().map_err(|error| not_made(error.to_string()))?;
    let file: PathBuf = scratch.path().join("zip");
    let output = Command::new("python3")
        .args(["-m", "zipfile", "-c"])
        .arg(&file)
        .args(names)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| not_made(format!("python3 does not start: {error}")))?;
    if !output.status.success() {
        return Err(not_made(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let made = file.metadata().map_err(|error| not_made(error.to_string()))?;
    Ok(made.len())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::zipped_bytes;

    #[test]
    fn a_zip_file_is_smaller_than_what_repeats_itself() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("bootstrap"), "again ".repeat(10_000)).expect("written");
        let bytes = zipped_bytes(folder.path(), &["bootstrap"]).expect("a size");
        assert!((100..1_000).contains(&bytes), "{bytes}");
        assert!(zipped_bytes(folder.path(), &["missing"]).is_err());
    }
}

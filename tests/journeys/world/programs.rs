//! The programs, built once for all tests that start them.
//!
//! Cargo gives a test target no paths of other packages' programs, so this asks Cargo to build them, in the same target
//! folder. It builds them with the `dev` profile even when the tests are built for release: the tests check what the
//! programs do, not how fast. It builds all tests too: then the dependencies have the features that the tests need, and
//! those that are compiled already serve.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use serde_json::Value;

static BUILT: LazyLock<BTreeMap<String, PathBuf>> = LazyLock::new(build);

/// The path of a program. The first call builds all programs.
pub(crate) fn program(name: &str) -> &'static Path {
    BUILT.get(name).unwrap_or_else(|| panic!("there is no program {name}: {BUILT:?}"))
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    root.expect("this package is a folder of the workspace").to_owned()
}

fn build() -> BTreeMap<String, PathBuf> {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("target/tmp has a parent");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--workspace", "--bins", "--tests", "--message-format=json", "--target-dir"])
        .arg(target);
    // Cargo describes this package to its tests. A build script that saw those variables would run again each time.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_"]
            .iter()
            .any(|of| name.starts_with(of))
        {
            cargo.env_remove(name);
        }
    }
    let built = cargo.current_dir(root()).output().expect("cargo runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let messages = String::from_utf8(built.stdout).expect("messages");
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages
        .filter(|message| message["profile"]["test"] == false)
        .filter_map(|message| {
            let program = message["executable"].as_str()?;
            Some((message["target"]["name"].as_str()?.to_owned(), PathBuf::from(program)))
        })
        .collect()
}

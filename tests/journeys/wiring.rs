//! The wiring: template, crates, workflow, roles, environment, time budgets and README must agree with each other.
//!
//! Every check is a function over [`House`], the repository's files as texts. It returns complaints: sentences that name
//! what is wrong and say what to do. Each check has a second test that breaks a file in every way that the check is there
//! for, and expects a complaint that names the culprit.

mod arrows;
mod bodies;
mod budgets;
mod controls;
mod day;
mod delivery;
mod events;
mod functions;
mod logs;
mod names;
mod queries;
mod readme;
mod roles;
mod rooms;
mod routes;
mod statuses;
mod watching;
mod workflow;

use std::{collections::BTreeMap, fs, path::Path, sync::LazyLock};

use asl::Definition;
use local::{ground::ACCOUNT, services::states::RESOURCES, stack::parameters};
use sam_template::{StateMachineResource, Template};

const TEMPLATE: &str = "infra/template.yaml";
const DEFINITION: &str = "step_function/order.asl.json";

/// The repository's files: path from its root, and text.
#[derive(Clone)]
struct House(BTreeMap<String, String>);

static HOUSE: LazyLock<House> = LazyLock::new(|| {
    let mut files = BTreeMap::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), "", &mut files);
    House(files)
});

/// Reads the text files below `folder`. Leaves out what a build makes, and hidden folders except CI's and the pipeline's.
fn read(folder: &Path, prefix: &str, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("the folder can be listed") {
        let entry = entry.expect("the folder can be listed");
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == "target" || (name.starts_with('.') && name != ".ci" && name != ".github") {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            read(&path, &format!("{prefix}{name}/"), files);
        } else if let Ok(text) = fs::read_to_string(&path) {
            files.insert(format!("{prefix}{name}"), text);
        }
    }
}

impl House {
    /// The text of a file; empty when there is none.
    fn text(&self, path: &str) -> &str {
        self.0.get(path).map_or("", String::as_str)
    }

    /// The names of the folders in `crates/`.
    fn crates(&self) -> Vec<&str> {
        self.0
            .keys()
            .filter_map(|path| path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml"))
            .filter(|name| !name.contains('/'))
            .collect()
    }

    /// The crates that are Lambda functions.
    fn functions(&self) -> Vec<&str> {
        let mut crates = self.crates();
        crates.retain(|name| *name != "local" && self.0.contains_key(&format!("crates/{name}/src/main.rs")));
        crates
    }

    /// The Rust sources below `folder`.
    fn sources<'h>(&'h self, folder: &'h str) -> impl Iterator<Item = (&'h str, &'h str)> {
        self.0
            .iter()
            .filter(move |(path, _)| path.starts_with(folder) && is_rust(path))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The template, with the workflow's definition as this house has it.
    fn template(&self) -> Result<Template, String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra");
        let mut template = Template::parse(self.text(TEMPLATE), &folder, ACCOUNT, &parameters())
            .map_err(|faults| faults.to_string())?;
        for machine in &mut template.state_machines {
            self.text(DEFINITION).clone_into(&mut machine.definition);
        }
        Ok(template)
    }

    /// The workflow: its resource in the template, and its definition.
    fn workflow(&self) -> Result<(StateMachineResource, Definition), String> {
        let [machine] = <[StateMachineResource; 1]>::try_from(self.template()?.state_machines)
            .map_err(|machines| format!("{TEMPLATE} has {} state machines, not one", machines.len()))?;
        let definition = Definition::parse(&machine.definition, &machine.substitutions, &RESOURCES)
            .map_err(|faults| format!("{DEFINITION}: {faults}"))?;
        Ok((machine, definition))
    }

    /// The same house with one more file, or with another text in that file.
    fn with(&self, path: &str, text: &str) -> Self {
        let mut house = self.clone();
        house.0.insert(path.to_owned(), text.to_owned());
        house
    }

    /// The same house without a file.
    fn without(&self, path: &str) -> Self {
        let mut house = self.clone();
        assert!(house.0.remove(path).is_some(), "there is no {path} to take away");
        house
    }

    /// The same house with the first `from` of a file replaced.
    fn broken(&self, path: &str, from: &str, to: &str) -> Self {
        let text = self.text(path);
        assert!(text.contains(from), "{path} has no {from:?} to break");
        self.with(path, &text.replacen(from, to, 1))
    }

    /// The same house with the first `from` after `anchor` replaced.
    fn broken_after(&self, path: &str, anchor: &str, from: &str, to: &str) -> Self {
        let text = self.text(path);
        let at = text.find(anchor).unwrap_or_else(|| panic!("{path} has no {anchor:?}"));
        let (before, after) = text.split_at(at);
        assert!(after.contains(from), "{path} has no {from:?} after {anchor:?}");
        self.with(path, &format!("{before}{}", after.replacen(from, to, 1)))
    }
}

fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == "rs")
}

/// Whether a source is nothing but tests.
fn is_test(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("tests.rs")
}

/// A source up to its tests, which stand last in their file.
fn without_tests(source: &str) -> &str {
    source.split_once("#[cfg(test)]\nmod tests {").map_or(source, |(shipped, _)| shipped)
}

/// The faults that a check found, one sentence each.
type Complaints = Vec<String>;

/// The house as it is must be in order.
#[track_caller]
fn assert_sound(complaints: &Complaints) {
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// A broken house must lead to a complaint that has all of `culprits` in it.
#[track_caller]
fn assert_blamed(complaints: &Complaints, culprits: &[&str]) {
    assert!(
        complaints.iter().any(|complaint| culprits.iter().all(|culprit| complaint.contains(culprit))),
        "no complaint names {culprits:?}: {complaints:#?}"
    );
}

/// The complaints of a check. Files that cannot be read are one, too.
fn complaints(found: Result<Complaints, String>) -> Complaints {
    found.unwrap_or_else(|unreadable| vec![unreadable])
}

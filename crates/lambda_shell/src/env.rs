//! The environment of a function. No other code of ours reads an environment variable.
//!
//! An environment remembers the names that were read, so that a test can compare them with the template's. It can also
//! be given as a map, so that nine functions can live in one process.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

/// Environment variables, and the names that were read so far.
#[derive(Debug)]
pub struct Env {
    source: Source,
    /// The names that were read, and whether each may be left empty.
    read: Mutex<BTreeMap<String, MayBeEmpty>>,
}

/// Whether a variable may be set to an empty text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MayBeEmpty {
    Yes,
    No,
}

#[derive(Debug)]
enum Source {
    Process,
    Given(BTreeMap<String, String>),
}

/// The reason why a function cannot start.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SetupFault(String);

impl SetupFault {
    /// A fault. `message` tells the operator what to correct.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl Env {
    /// The process's own environment.
    pub fn process() -> Self {
        Self { source: Source::Process, read: Mutex::default() }
    }

    /// An environment with these variables only.
    pub fn given(variables: BTreeMap<String, String>) -> Self {
        Self { source: Source::Given(variables), read: Mutex::default() }
    }

    /// Reads the values of `names`.
    ///
    /// # Errors
    /// A fault when one of `names` is missing or empty. It lists every name that is missing so far, those of earlier
    /// reads included. So a function reads all its names before it returns the first fault.
    pub fn read<const N: usize>(&self, names: [&str; N]) -> Result<[String; N], SetupFault> {
        let values = names.map(|name| self.get(name, MayBeEmpty::No));
        if values.iter().all(Option::is_some) {
            Ok(values.map(Option::unwrap_or_default))
        } else {
            Err(self.missing())
        }
    }

    /// Reads a value that may be empty, which is answered as `None`.
    ///
    /// # Errors
    /// As [`Env::read`], when the variable is not set.
    pub fn read_or_empty(&self, name: &str) -> Result<Option<String>, SetupFault> {
        let value = self.get(name, MayBeEmpty::Yes).ok_or_else(|| self.missing())?;
        Ok(Some(value).filter(|value| !value.is_empty()))
    }

    /// The fault that names every variable that is missing so far.
    fn missing(&self) -> SetupFault {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let missing: Vec<String> = read
            .into_iter()
            .filter(|(name, may)| self.value(name, *may).is_none())
            .map(|(name, _)| name)
            .collect();
        let names = missing.join(", ");
        SetupFault(format!("missing environment variable(s): {names}; infra/template.yaml sets them"))
    }

    /// Every name that was read, whether it was set or not.
    pub fn names_read(&self) -> BTreeSet<String> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    fn get(&self, name: &str, may_be_empty: MayBeEmpty) -> Option<String> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), may_be_empty);
        self.value(name, may_be_empty)
    }

    fn value(&self, name: &str, may_be_empty: MayBeEmpty) -> Option<String> {
        let value = match &self.source {
            #[allow(clippy::disallowed_methods, reason = "only this place reads the process's variables")]
            Source::Process => std::env::var(name).ok(),
            Source::Given(variables) => variables.get(name).cloned(),
        };
        value.filter(|value| may_be_empty == MayBeEmpty::Yes || !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_names_every_missing_or_empty_variable_and_every_name_that_was_read_is_remembered() {
        let env = Env::given(BTreeMap::from([("A".into(), "1".into()), ("B".into(), String::new())]));
        let fault = env.read(["A", "B", "C"]).unwrap_err().to_string();
        assert!(fault.contains(": B, C;"), "{fault}");
        assert_eq!(env.read(["A"]).unwrap(), ["1"]);
        let later = env.read(["D"]).unwrap_err().to_string();
        assert!(later.contains(": B, C, D;"), "{later}");
        assert_eq!(env.names_read(), BTreeSet::from(["A", "B", "C", "D"].map(str::to_owned)));
    }

    #[test]
    fn a_value_that_may_be_empty_must_be_set_all_the_same() {
        let env = Env::given(BTreeMap::from([("A".into(), "1".into()), ("B".into(), String::new())]));
        assert_eq!(env.read_or_empty("A").unwrap().as_deref(), Some("1"));
        assert_eq!(env.read_or_empty("B").unwrap(), None);
        assert!(env.read_or_empty("C").unwrap_err().to_string().contains(": C;"));
        assert!(env.read(["D"]).unwrap_err().to_string().contains(": C, D;"));
    }
}

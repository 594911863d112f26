//! The faults of a template, each with its place. Nothing here reads a template.

use std::{cell::RefCell, fmt};

/// One fault of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateFault {
    /// The path to the value at fault, such as `Resources.OrdersTable.Properties.KeySchema[0]`.
    pub place: String,
    /// The fault, and the value that was expected instead.
    pub problem: String,
}

impl fmt::Display for TemplateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.problem)
    }
}

/// Every fault of a template that cannot be used.
#[derive(Debug)]
pub struct TemplateError {
    /// The template's path; `template` for a text that was not read from a file.
    pub template: String,
    /// The faults in the order in which they were found; at least one.
    pub faults: Vec<TemplateFault>,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be run locally:", self.template)?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for TemplateError {}

/// Collects faults while a template is read, so that one attempt reports all of them.
#[derive(Debug, Default)]
pub(super) struct FaultList(RefCell<Vec<TemplateFault>>);

impl FaultList {
    /// Adds a fault unless it is there already: some values are read twice.
    pub(super) fn report(&self, place: impl Into<String>, problem: impl Into<String>) {
        let fault = TemplateFault { place: place.into(), problem: problem.into() };
        let mut faults = self.0.borrow_mut();
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    pub(super) fn into_vec(self) -> Vec<TemplateFault> {
        self.0.into_inner()
    }
}

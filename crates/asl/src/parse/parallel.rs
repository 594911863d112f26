//! Parses a Parallel state. A branch is a machine of its own: no state leads into it or out of it.

use serde_json::Value;

use super::{Object, Reader, assigned_variables};
use crate::definition::Parallel;

impl Reader<'_> {
    pub(super) fn parallel(&mut self, fields: &Object) -> Option<Parallel> {
        let branches = self.branches(fields);
        let retryable = self.retryable(fields);
        Some(Parallel { branches: branches?, retryable: retryable? })
    }

    fn branches(&mut self, fields: &Object) -> Option<Vec<String>> {
        let branches = match fields.get("Branches") {
            Some(Value::Array(branches)) if !branches.is_empty() => branches,
            _ => {
                self.fault("Branches must be an array that holds at least one branch");
                return None;
            }
        };
        let subject = self.subject.clone();
        let mut starts = Vec::new();
        for (index, branch) in branches.iter().enumerate() {
            self.subject = format!("{subject}: Branches[{index}]");
            starts.push(self.branch(branch));
        }
        self.subject = subject;
        starts.into_iter().collect()
    }

    /// Returns the name of the branch's first state.
    fn branch(&mut self, branch: &Value) -> Option<String> {
        let Value::Object(fields) = branch else {
            self.fault("must be an object");
            return None;
        };
        self.reject_unknown_fields(fields, "", &["StartAt", "States"]);
        self.report_placeholders(fields, &["States"]);
        // "a variable assigned in an inner scope cannot have the same name as one assigned in an outer scope"
        // (<https://docs.aws.amazon.com/step-functions/latest/dg/workflow-variables.html>).
        let own = fields.get("States").and_then(Value::as_object).map(assigned_variables).unwrap_or_default();
        for name in own.intersection(&self.variables.clone()) {
            self.fault(format!("Assign/{name}: a state outside the branch assigns this variable"));
        }
        self.states(fields)
    }
}

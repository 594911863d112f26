//! The template's `Conditions`, evaluated with the given parameters. A condition may use parameters and other
//! conditions. Nothing here looks at a resource.

use serde_json::{Map, Value};

use super::{
    faults::FaultList,
    intrinsics::{Conditions, Position, Resolver},
    names::Account,
    parameters::Parameters,
};

const FUNCTIONS: &str = "Fn::Equals, Fn::Not, Fn::And, Fn::Or, Condition";

/// Evaluates every condition that the template declares.
pub(super) fn read(
    section: Option<&Value>,
    account: Account,
    parameters: &Parameters,
    faults: &FaultList,
) -> Conditions {
    let nothing = Map::new();
    let section = section.and_then(Value::as_object).unwrap_or(&nothing);
    let mut evaluation = evaluation(section, Resolver::with_parameters(account, parameters, faults));
    for name in evaluation.section.keys() {
        evaluation.evaluate_named(name, &format!("Conditions.{name}"));
    }
    evaluation.evaluated
}

/// Evaluates an expression of a rule. It may name parameters, and no conditions.
pub(super) fn holds(
    expression: &Value,
    place: &str,
    account: Account,
    parameters: &Parameters,
    faults: &FaultList,
) -> Option<bool> {
    evaluation(&Map::new(), Resolver::with_parameters(account, parameters, faults)).holds(expression, place)
}

/// An evaluation that has not begun.
fn evaluation<'a>(section: &'a Map<String, Value>, resolver: Resolver<'a>) -> Evaluation<'a> {
    Evaluation { section, resolver, in_progress: Vec::new(), evaluated: Conditions::new() }
}

struct Evaluation<'a> {
    section: &'a Map<String, Value>,
    resolver: Resolver<'a>,
    /// The conditions that are being evaluated, outermost first. A name that occurs twice depends on itself.
    in_progress: Vec<String>,
    evaluated: Conditions,
}

impl Evaluation<'_> {
    fn evaluate_named(&mut self, name: &str, place: &str) -> Option<bool> {
        if let Some(done) = self.evaluated.get(name) {
            return *done;
        }
        if self.in_progress.iter().any(|open| open == name) {
            self.resolver.faults.report(place, format!("`{name}` depends on itself"));
            return None;
        }
        let Some(expression) = self.section.get(name) else {
            self.resolver.faults.report(place, format!("`{name}` is not a condition of this template"));
            return None;
        };
        self.in_progress.push(name.to_owned());
        let value = self.holds(expression, &format!("Conditions.{name}"));
        self.in_progress.pop();
        self.evaluated.insert(name.to_owned(), value);
        value
    }

    fn holds(&mut self, expression: &Value, place: &str) -> Option<bool> {
        let called = expression.as_object().filter(|map| map.len() == 1).and_then(|map| map.iter().next());
        match called.map(|(function, argument)| (function.as_str(), argument, argument.as_array())) {
            Some(("Condition", Value::String(name), _)) => self.evaluate_named(name, place),
            Some(("Fn::Equals", _, Some(sides))) if sides.len() == 2 => {
                let at = Position { place, used: true };
                let (left, right) = (self.resolver.text(&sides[0], at), self.resolver.text(&sides[1], at));
                Some(left? == right?)
            }
            Some(("Fn::Not", _, Some(parts))) if parts.len() == 1 => Some(!self.holds(&parts[0], place)?),
            // All parts are evaluated, so that the faults of each are reported.
            Some((function @ ("Fn::And" | "Fn::Or"), _, Some(parts))) if (2..=10).contains(&parts.len()) => {
                let parts: Vec<_> = parts.iter().map(|part| self.holds(part, place)).collect();
                let parts: Vec<bool> = parts.into_iter().collect::<Option<_>>()?;
                Some(if function == "Fn::And" {
                    parts.iter().all(|part| *part)
                } else {
                    parts.contains(&true)
                })
            }
            _ => {
                let problem = format!(
                    "is not a condition that is supported here: {FUNCTIONS}, each with its arguments"
                );
                self.resolver.faults.report(place, problem);
                None
            }
        }
    }
}

//! Parses a definition's JSON and collects its faults, such as fields that a state may not have and targets that do not
//! exist. It continues after a fault, so that one attempt reports all of them. Nothing here runs a state.

mod fields;
mod parallel;
mod policies;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{
    definition::{
        Choice, Definition, DefinitionError, Fail, Retryable, Rule, State, StateKind, StateType, Task,
        Transition, Wait,
    },
    expression::{Expression, StatesFields, StringKind},
    substitute::{placeholders, substitute},
};

/// The state machine's ARN until [`Definition::with_arn`] sets the real one.
const DEFAULT_ARN: &str = "arn:aws:states:local:000000000000:stateMachine:local";

/// The largest number of seconds that Step Functions accepts.
pub(super) const MAX_SECONDS: u64 = 99_999_999;

/// The longest name of a state or a variable, in characters, as on AWS.
const MAX_NAME_CHARS: usize = 80;

const EVERY_STATE: [&str; 3] = ["Type", "Comment", "QueryLanguage"];
const MACHINE: [&str; 6] = ["Comment", "QueryLanguage", "StartAt", "States", "TimeoutSeconds", "Version"];

impl Definition {
    /// Parses the JSON `text` of a definition after replacing its `${Name}` placeholders, as `CloudFormation` does
    /// with `DefinitionSubstitutions`. The `Resource` of each Task must be one of `resources`, which the [`Services`]
    /// of its executions answer.
    ///
    /// # Errors
    /// Every fault of the definition at once. Each names the state and the field.
    ///
    /// [`Services`]: crate::Services
    pub fn parse(
        text: &str,
        substitutions: &BTreeMap<String, String>,
        resources: &[&str],
    ) -> Result<Self, DefinitionError> {
        definition(text, substitutions, resources)
    }
}

fn definition(
    text: &str,
    substitutions: &BTreeMap<String, String>,
    resources: &[&str],
) -> Result<Definition, DefinitionError> {
    let substituted = substitute(text, substitutions);
    let mut reader = Reader { resources, ..Reader::default() };
    for name in &substituted.unused {
        reader
            .faults
            .push(format!("the substitution {name} is never used: the definition has no ${{{name}}}"));
    }
    let definition = match serde_json::from_str(&substituted.text) {
        Ok(Value::Object(machine)) => reader.machine(&machine),
        Ok(_) => {
            reader.faults.push("the definition is not a JSON object".to_owned());
            None
        }
        Err(error) => {
            reader.faults.push(format!("the definition is not JSON: {error}"));
            None
        }
    };
    // A placeholder in a field was reported with that field. This reports the rest, as when the text is not JSON.
    for name in &substituted.missing {
        let placeholder = format!("${{{name}}}");
        if !reader.faults.iter().any(|fault| fault.contains(&placeholder)) {
            reader.faults.push(format!(
                "the placeholder {placeholder} has no value: add it to the substitutions or correct its name"
            ));
        }
    }
    match definition {
        Some(definition) if reader.faults.is_empty() => Ok(definition),
        _ => Err(DefinitionError(reader.faults)),
    }
}

/// Collects faults while parsing. A method that finds a fault reports it and may return `None` or a made-up value:
/// a definition with a fault is never returned to the caller.
#[derive(Default)]
pub(super) struct Reader<'a> {
    /// The values that a Task's `Resource` may have.
    resources: &'a [&'a str],
    pub(super) faults: Vec<String>,
    /// The part that is being parsed, which begins each fault: `the definition` or `state "X"`.
    subject: String,
    /// Every name in an `Assign` of the states beside the one that is being parsed, or of those around it.
    pub(super) variables: BTreeSet<String>,
    /// The parsed states.
    states: Vec<State>,
    /// The names of all states, also of those in branches.
    names: BTreeSet<String>,
}

type Object = Map<String, Value>;

impl Reader<'_> {
    /// Reports a fault of the part that is being parsed.
    pub(super) fn fault(&mut self, fault: impl AsRef<str>) {
        self.faults.push(format!("{}: {}", self.subject, fault.as_ref()));
    }

    fn machine(&mut self, machine: &Object) -> Option<Definition> {
        "the definition".clone_into(&mut self.subject);
        self.reject_unknown_fields(machine, "", &MACHINE);
        self.report_placeholders(machine, &["States"]);
        if machine.get("QueryLanguage").and_then(Value::as_str) != Some("JSONata") {
            self.fault("QueryLanguage must be \"JSONata\", the only query language that is supported");
        }
        if machine.get("Version").is_some_and(|version| version != "1.0") {
            self.fault("Version must be \"1.0\"");
        }
        let timeout = self.seconds(machine, "", "TimeoutSeconds", 1);
        let start = self.states(machine)?;
        let states = std::mem::take(&mut self.states);
        let start_at = states.iter().position(|state| state.name == start)?;
        Some(Definition { start_at, states, timeout, arn: DEFAULT_ARN.to_owned() })
    }

    /// Parses `StartAt` and `States`, of the machine or of a branch. Returns the name of the first state.
    fn states(&mut self, fields: &Object) -> Option<String> {
        let Some(Value::Object(states)) =
            fields.get("States").filter(|states| *states != &Value::Object(Map::new()))
        else {
            self.fault("States must be an object that holds at least one state");
            return None;
        };
        let (subject, outer_variables) = (self.subject.clone(), self.variables.clone());
        self.variables.extend(assigned_variables(states));
        for (name, state) in states {
            // Parsing a Parallel adds the states of its branches. They come after it.
            let place = self.states.len();
            if let Some(state) = self.state(name, state) {
                self.states.insert(place, state);
            }
        }
        (self.subject, self.variables) = (subject, outer_variables);
        let start = fields.get("StartAt").and_then(Value::as_str);
        if start.is_none() {
            self.fault("StartAt must name the first state");
        }
        self.check_graph(start, states);
        start.map(str::to_owned)
    }

    /// Checks that every target exists, every state is reachable, and some state ends the execution.
    fn check_graph(&mut self, start: Option<&str>, states: &Object) {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&str> = Vec::new();
        if let Some(start) = start {
            if states.contains_key(start) {
                next.push(start);
            } else {
                self.fault(format!("StartAt names {start:?}, which is not a state in its States"));
            }
        }
        for (name, state) in states {
            for (field, target) in targets(state) {
                if !states.contains_key(target) {
                    self.faults.push(format!(
                        "state {name:?}: {field} names {target:?}, which is not a state in the same States"
                    ));
                }
            }
        }
        while let Some(name) = next.pop() {
            if let Some(state) = states.get(name)
                && reached.insert(name)
            {
                next.extend(targets(state).into_iter().map(|(_, target)| target));
            }
        }
        for name in states.keys().filter(|name| !reached.is_empty() && !reached.contains(name.as_str())) {
            self.faults.push(format!("state {name:?}: is not reachable from StartAt"));
        }
        let ends = |state: &Value| {
            state.get("End") == Some(&Value::Bool(true))
                || matches!(state.get("Type").and_then(Value::as_str), Some("Succeed" | "Fail"))
        };
        if !states.values().any(ends) {
            self.fault("no state is terminal: none has End true, and none is a Succeed or a Fail");
        }
    }

    fn state(&mut self, name: &str, state: &Value) -> Option<State> {
        self.subject = format!("state {name:?}");
        if name.is_empty() || name.chars().count() > MAX_NAME_CHARS {
            self.fault(format!("a state's name has 1 to {MAX_NAME_CHARS} characters"));
        }
        // "State names MUST be unique within the scope of the whole state machine"
        // (<https://states-language.net/spec.html#states-fields>).
        if !self.names.insert(name.to_owned()) {
            self.fault("another branch has a state of this name; names are unique in the whole machine");
        }
        let Value::Object(fields) = state else {
            self.fault("must be an object");
            return None;
        };
        // Each branch reports its own placeholders.
        self.report_placeholders(fields, &["Branches"]);
        if fields.get("QueryLanguage").is_some_and(|language| language != "JSONata") {
            self.fault("QueryLanguage must be \"JSONata\", the only query language that is supported");
        }
        let Some(kind) = self.kind_of(fields) else {
            self.reject_jsonpath_fields(fields, "");
            return None;
        };
        self.reject_unknown_fields(fields, "", &fields_of(kind));
        let kind = match kind {
            StateType::Task => self.task(fields).map(StateKind::Task),
            StateType::Choice => Some(StateKind::Choice(self.choice(fields))),
            StateType::Pass => self.transition(fields, StatesFields::Input).map(StateKind::Pass),
            StateType::Succeed => Some(StateKind::Succeed(self.effect(fields, "", StatesFields::Input))),
            StateType::Fail => {
                let error = self.text_template(fields, "Error");
                let cause = self.text_template(fields, "Cause");
                Some(StateKind::Fail(Fail { error, cause }))
            }
            StateType::Wait => self.wait(fields).map(StateKind::Wait),
            StateType::Parallel => self.parallel(fields).map(StateKind::Parallel),
        }?;
        Some(State { name: name.to_owned(), kind })
    }

    fn kind_of(&mut self, fields: &Object) -> Option<StateType> {
        let named = fields.get("Type").and_then(Value::as_str);
        let kind = named.and_then(StateType::named);
        if kind.is_none() {
            let supported = StateType::ALL.map(|kind| kind.to_string()).join(", ");
            self.fault(match named {
                Some(named) => {
                    format!("Type {named:?} is not supported (supported: {supported})")
                }
                None => format!("Type must be one of {supported}"),
            });
        }
        kind
    }

    fn task(&mut self, fields: &Object) -> Option<Task> {
        let resource = fields.get("Resource").and_then(Value::as_str).unwrap_or_default();
        if !self.resources.contains(&resource) {
            let supported = self.resources.join(", ");
            self.fault(format!("Resource {resource:?} is not supported (supported: {supported})"));
        }
        let timeout = self.seconds(fields, "", "TimeoutSeconds", 1);
        Some(Task { resource: resource.to_owned(), timeout, retryable: self.retryable(fields)? })
    }

    fn retryable(&mut self, fields: &Object) -> Option<Retryable> {
        let arguments = fields.get("Arguments");
        if !arguments.is_none_or(|arguments| arguments.is_object() || is_expression(arguments)) {
            self.fault("Arguments must be an object or a {% %} expression");
        }
        let transition = self.transition(fields, StatesFields::Result);
        let retryable = Retryable {
            raw_arguments: arguments.cloned(),
            arguments: arguments.map(|arguments| self.template(arguments, "Arguments", StatesFields::Input)),
            retry: self.retriers(fields),
            catch: self.catchers(fields),
            transition: transition?,
        };
        Some(retryable)
    }

    fn choice(&mut self, fields: &Object) -> Choice {
        let rules = match fields.get("Choices") {
            Some(Value::Array(rules)) if !rules.is_empty() => {
                rules.iter().enumerate().filter_map(|(index, rule)| self.rule(index, rule)).collect()
            }
            _ => {
                self.fault("Choices must be an array that holds at least one rule");
                Vec::new()
            }
        };
        let default = fields.contains_key("Default").then(|| self.target(fields, "", "Default"));
        if default.is_none() && (fields.contains_key("Assign") || fields.contains_key("Output")) {
            self.fault("Assign and Output of a Choice take effect with Default, but it has no Default");
        }
        let effect = self.effect(fields, "", StatesFields::Input);
        Choice { rules, default: default.flatten(), effect }
    }

    fn rule(&mut self, index: usize, rule: &Value) -> Option<Rule> {
        let at = format!("Choices[{index}]/");
        let Value::Object(fields) = rule else {
            self.fault(format!("Choices[{index}] must be an object"));
            return None;
        };
        self.reject_unknown_fields(fields, &at, &["Comment", "Condition", "Next", "Assign", "Output"]);
        let condition = match fields.get("Condition").and_then(Value::as_str).map(StringKind::of) {
            Some(StringKind::Expression(source)) => {
                self.expression(source, &format!("{at}Condition"), StatesFields::Input)
            }
            Some(StringKind::Literal | StringKind::Malformed) | None => {
                self.fault(format!("{at}Condition must be a {{% %}} expression"));
                None
            }
        };
        let next = self.target(fields, &at, "Next");
        let effect = self.effect(fields, &at, StatesFields::Input);
        Some(Rule { condition: condition?, next: next?, effect })
    }

    fn wait(&mut self, fields: &Object) -> Option<Wait> {
        let seconds = match fields.get("Seconds") {
            Some(seconds) if is_expression(seconds) || is_whole_seconds(seconds, 0) => {
                Some(self.template(seconds, "Seconds", StatesFields::Input))
            }
            _ => {
                self.fault(format!("Seconds must be a whole number of 0 to {MAX_SECONDS} or an expression"));
                None
            }
        };
        let transition = self.transition(fields, StatesFields::Input);
        Some(Wait { seconds: seconds?, transition: transition? })
    }

    fn transition(&mut self, fields: &Object, reads: StatesFields) -> Option<Transition> {
        let effect = self.effect(fields, "", reads);
        let next = match (fields.get("Next"), fields.get("End")) {
            (Some(_), None) => Some(self.target(fields, "", "Next")?),
            (None, Some(Value::Bool(true))) => None,
            _ => {
                self.fault("must have either Next or End true");
                return None;
            }
        };
        Some(Transition { effect, next })
    }

    /// Parses the `Error` or `Cause` of a Fail: a string or an expression.
    fn text_template(&mut self, fields: &Object, field: &str) -> Option<super::expression::JsonTemplate> {
        let value = fields.get(field)?;
        if !value.is_string() {
            self.fault(format!("{field} must be a string"));
        }
        Some(self.template(value, field, StatesFields::Input))
    }

    pub(super) fn expression(
        &mut self,
        source: &str,
        field: &str,
        reads: StatesFields,
    ) -> Option<Expression> {
        match Expression::parse(source, reads, &self.variables) {
            Ok(expression) => Some(expression),
            Err(faults) => {
                for fault in faults {
                    self.fault(format!("{field}: {fault}"));
                }
                None
            }
        }
    }

    /// Reports each placeholder that has no value, with the field that holds it. Skips the fields in `but`.
    fn report_placeholders(&mut self, fields: &Object, but: &[&str]) {
        for (field, value) in fields.iter().filter(|(field, _)| !but.contains(&field.as_str())) {
            for name in placeholders(&value.to_string()) {
                self.fault(format!("{field}: the placeholder ${{{name}}} has no value: add it to the substitutions or correct its name"));
            }
        }
    }
}

fn fields_of(kind: StateType) -> Vec<&'static str> {
    let own: &[&str] = match kind {
        StateType::Task => {
            &["Resource", "Arguments", "TimeoutSeconds", "Retry", "Catch", "Assign", "Output", "Next", "End"]
        }
        StateType::Choice => &["Choices", "Default", "Assign", "Output"],
        StateType::Pass => &["Assign", "Output", "Next", "End"],
        StateType::Succeed => &["Output"],
        StateType::Fail => &["Error", "Cause"],
        StateType::Wait => &["Seconds", "Assign", "Output", "Next", "End"],
        StateType::Parallel => {
            &["Branches", "Arguments", "Retry", "Catch", "Assign", "Output", "Next", "End"]
        }
    };
    EVERY_STATE.iter().chain(own).copied().collect()
}

/// Each field that names a next state, and the state that it names. This reads the JSON, so that a state with faults
/// still makes its targets reachable.
fn targets(state: &Value) -> Vec<(String, &str)> {
    let mut found = Vec::new();
    for field in ["Next", "Default"] {
        if let Some(target) = state.get(field).and_then(Value::as_str) {
            found.push((field.to_owned(), target));
        }
    }
    for list in ["Choices", "Catch"] {
        for (index, item) in state.get(list).and_then(Value::as_array).into_iter().flatten().enumerate() {
            if let Some(target) = item.get("Next").and_then(Value::as_str) {
                found.push((format!("{list}[{index}]/Next"), target));
            }
        }
    }
    found
}

/// Every name in an `Assign`, of a state, a choice rule or a catcher. A branch has variables of its own.
fn assigned_variables(states: &Object) -> BTreeSet<String> {
    let names = |value: &Value| {
        let assign = value.get("Assign").and_then(Value::as_object);
        assign.into_iter().flat_map(Map::keys).cloned().collect::<Vec<_>>()
    };
    let of = |state: &Value| {
        let lists = ["Choices", "Catch"].map(|list| state.get(list).and_then(Value::as_array));
        let nested: Vec<String> = lists.into_iter().flatten().flatten().flat_map(names).collect();
        names(state).into_iter().chain(nested).collect::<Vec<_>>()
    };
    states.values().flat_map(of).collect()
}

fn is_expression(value: &Value) -> bool {
    value.as_str().is_some_and(|text| matches!(StringKind::of(text), StringKind::Expression(_)))
}

fn is_whole_seconds(value: &Value, least: u64) -> bool {
    value.as_u64().is_some_and(|number| (least..=MAX_SECONDS).contains(&number))
}

//! Evaluates expressions over `$states` and the variables. The engine's values exist only here. They are not `Send`, so
//! a [`Scope`] must never live across an `await`.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc};

use jsonata_core::{
    evaluator::{Context, Evaluator, EvaluatorError, EvaluatorOptions},
    value::JValue,
};
use serde_json::{Map, Number, Value};
use time::OffsetDateTime;

use super::{
    expression::{Expression, JsonTemplate, Reads},
    timestamp::rfc3339,
};

/// The longest that one expression may take, in milliseconds of real time. It ends an endless recursion.
const EVALUATION_TIMEOUT_MS: u64 = 5_000;

/// How deep a value may nest. `serde_json` refuses to parse a value much deeper than this.
const MAX_DEPTH: usize = 100;

/// 2^53: a double represents every whole number up to here exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// The fields of `$states`.
pub(super) struct StatesData<'a> {
    /// `input`.
    pub(super) input: &'a Value,
    /// `result` or `errorOutput`, where there is one.
    pub(super) outcome: Option<(&'static str, &'a Value)>,
    /// Makes `context`.
    pub(super) context: &'a dyn Fn() -> Value,
}

/// The values that the expressions of one state can read. A value becomes one of the engine's when an expression first
/// reads it, since most expressions read one field.
pub(super) struct Scope<'a> {
    states: StatesData<'a>,
    variables: &'a BTreeMap<String, Value>,
    now: OffsetDateTime,
    /// The engine's values so far, by `$name` and by `$states.name`.
    converted: RefCell<BTreeMap<String, JValue>>,
}

/// The fields that `$states` can have.
const FIELDS: [&str; 4] = ["input", "context", "result", "errorOutput"];

impl<'a> Scope<'a> {
    /// `$now()` and `$millis()` return `now`.
    pub(super) fn new(
        states: StatesData<'a>,
        variables: &'a BTreeMap<String, Value>,
        now: OffsetDateTime,
    ) -> Self {
        Self { states, variables, now, converted: RefCell::default() }
    }

    /// A variable, if there is one of this name.
    fn variable(&self, name: &str) -> Option<JValue> {
        let value = self.variables.get(name)?;
        Some(self.converted(format!("${name}"), || engine_value(value)))
    }

    /// A field of `$states`, if it has one of this name.
    fn field(&self, name: &str) -> Option<JValue> {
        let place = || format!("$states.{name}");
        match (name, self.states.outcome) {
            ("input", _) => Some(self.converted(place(), || engine_value(self.states.input))),
            ("context", _) => Some(self.converted(place(), || JValue::from((self.states.context)()))),
            (_, Some((outcome, value))) if outcome == name => {
                Some(self.converted(place(), || engine_value(value)))
            }
            _ => None,
        }
    }

    fn converted(&self, place: String, make: impl FnOnce() -> JValue) -> JValue {
        self.converted.borrow_mut().entry(place).or_insert_with(make).clone()
    }

    /// `$states`, with the fields that an expression reads.
    fn states(&self, reads: &Reads) -> JValue {
        let fields = FIELDS.iter().filter(|field| reads.all_fields || reads.fields.contains(**field));
        let fields = fields.filter_map(|field| Some(((*field).to_owned(), self.field(field)?)));
        JValue::object(fields.collect())
    }

    /// The template with its expressions replaced by their values. Errors name the place as `field`.
    pub(super) fn fill(&self, template: &JsonTemplate, field: &str) -> Result<Value, String> {
        match template {
            JsonTemplate::Literal(value) => Ok(value.clone()),
            JsonTemplate::Expression(expression) => self.evaluate(expression, field),
            JsonTemplate::Array(items) => {
                let fill = |(index, item)| self.fill(item, &format!("{field}[{index}]"));
                items.iter().enumerate().map(fill).collect::<Result<_, _>>().map(Value::Array)
            }
            JsonTemplate::Object(entries) => entries
                .iter()
                .map(|(key, value)| Ok((key.clone(), self.fill(value, &format!("{field}/{key}"))?)))
                .collect::<Result<Map<_, _>, _>>()
                .map(Value::Object),
        }
    }

    /// The expression's value. As on AWS, undefined is an error and null is a value.
    pub(super) fn evaluate(&self, expression: &Expression, field: &str) -> Result<Value, String> {
        let named = |problem: &str| {
            format!(
                "The JSONata expression '{}' specified for the field '{field}' {problem}",
                expression.source()
            )
        };
        let value = self.run(expression).map_err(|error| named(&format!("failed: {}", error.message())))?;
        if value.is_undefined() {
            return Err(named("returned nothing (undefined)."));
        }
        to_json(&value, 0).map_err(|problem| named(&format!("returned {problem}")))
    }

    fn run(&self, expression: &Expression) -> Result<JValue, EvaluatorError> {
        let reads = expression.reads();
        let mut context = Context::new();
        context.bind("states".to_owned(), self.states(reads));
        for name in &reads.names {
            if let Some(value) = self.variable(name) {
                context.bind(name.clone(), value);
            }
        }
        let options =
            EvaluatorOptions { timeout_ms: Some(EVALUATION_TIMEOUT_MS), ..EvaluatorOptions::default() };
        let mut evaluator = Evaluator::with_options(context, options);
        // The engine's own functions read the system's clock and random numbers, which a test cannot control.
        for name in &reads.names {
            match name.as_str() {
                "now" => {
                    let text = rfc3339(self.now);
                    evaluator.register_fn_override("now", move |arguments: &[JValue]| {
                        no_arguments("now", arguments, JValue::from(text.as_str()))
                    })?;
                }
                "millis" => {
                    let millis = self.now.unix_timestamp_nanos() / 1_000_000;
                    evaluator.register_fn_override("millis", move |arguments: &[JValue]| {
                        let millis = i64::try_from(millis).unwrap_or(i64::MAX);
                        no_arguments("millis", arguments, JValue::from(millis))
                    })?;
                }
                "random" => evaluator.register_fn_override("random", |arguments: &[JValue]| {
                    no_arguments("random", arguments, JValue::Number(fastrand::f64()))
                })?,
                _ => {}
            }
        }
        evaluator.evaluate(expression.ast(), &JValue::Undefined)
    }
}

/// A JSON value as one of the engine's. It has a conversion from a value that it may take apart, but none from one that
/// stays.
fn engine_value(value: &Value) -> JValue {
    match value {
        Value::Null => JValue::Null,
        Value::Bool(truth) => JValue::Bool(*truth),
        Value::Number(_) => JValue::from(value.clone()),
        Value::String(text) => JValue::from(text.as_str()),
        Value::Array(items) => JValue::from(items.iter().map(engine_value).collect::<Vec<_>>()),
        Value::Object(entries) => {
            JValue::object(entries.iter().map(|(key, value)| (key.clone(), engine_value(value))).collect())
        }
    }
}

fn no_arguments(name: &str, arguments: &[JValue], value: JValue) -> Result<JValue, EvaluatorError> {
    if arguments.is_empty() {
        Ok(value)
    } else {
        Err(EvaluatorError::EvaluationError(format!("${name}() is supported without arguments only")))
    }
}

/// The value as JSON, or a description of the value that JSON cannot hold. Whole numbers become exact integers.
fn to_json(value: &JValue, depth: usize) -> Result<Value, String> {
    if depth > MAX_DEPTH {
        return Err(format!("a value that nests deeper than {MAX_DEPTH} levels"));
    }
    match value {
        JValue::Null => Ok(Value::Null),
        JValue::Bool(truth) => Ok(Value::Bool(*truth)),
        JValue::Number(number) => to_number(*number).map(Value::Number),
        JValue::String(text) => Ok(Value::String(text.to_string())),
        JValue::Array(items) => {
            items.iter().map(|item| to_json(item, depth + 1)).collect::<Result<_, _>>().map(Value::Array)
        }
        JValue::Object(entries) => {
            let entry = |(key, value): (&String, &JValue)| Ok((key.clone(), to_json(value, depth + 1)?));
            Rc::as_ref(entries).iter().map(entry).collect::<Result<_, _>>().map(Value::Object)
        }
        JValue::Undefined => Err("an undefined value inside another".to_owned()),
        JValue::Lambda(_) | JValue::Builtin { .. } => Err("a function, which is not JSON".to_owned()),
        JValue::Regex { .. } => Err("a regular expression, which is not JSON".to_owned()),
    }
}

#[allow(clippy::cast_possible_truncation, reason = "a whole double of at most 2^53 is an i64 exactly")]
fn to_number(number: f64) -> Result<Number, String> {
    if number.fract() == 0.0 && number.abs() <= EXACT {
        return Ok(Number::from(number as i64));
    }
    Number::from_f64(number).ok_or_else(|| format!("{number}, which is not a JSON number"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;
    use time::macros::datetime;

    use super::*;
    use crate::expression::StatesFields;

    fn evaluate(source: &str) -> Result<Value, String> {
        let input = json!({
            "one": {"lines": [{"sku": "TEA-1", "quantity": 2, "price": 1300}]},
            "two": {"lines": [{"sku": "TEA-1", "quantity": 2}, {"sku": "TEA-2", "quantity": 1}]},
            "none": {"lines": []},
            "nothing": null,
            "exact": 9_007_199_254_740_992_u64,
            "minus": -9_007_199_254_740_992_i64,
        });
        let variables = BTreeMap::from([("list".to_owned(), json!(["only"]))]);
        let names: BTreeSet<String> = variables.keys().cloned().collect();
        let expression =
            Expression::parse(source, StatesFields::Input, &names).map_err(|faults| faults.join("\n"))?;
        let now = datetime!(2026-03-01 12:00:00.25 UTC);
        let states = StatesData { input: &input, outcome: None, context: &|| Value::Null };
        Scope::new(states, &variables, now).evaluate(&expression, "Output")
    }

    #[test]
    fn single_values_lists_and_absent_fields_are_as_in_jsonata() {
        for (source, value) in [
            ("$states.input.one.lines.sku", json!("TEA-1")),
            ("$states.input.one.lines.sku[]", json!(["TEA-1"])),
            ("[$states.input.one.lines.sku]", json!(["TEA-1"])),
            ("$states.input.two.lines.sku", json!(["TEA-1", "TEA-2"])),
            ("$states.input.one.lines", json!([{"sku": "TEA-1", "quantity": 2, "price": 1300}])),
            ("$states.input.one.lines.(quantity * price)", json!(2600)),
            ("$states.input.one.lines.{'S': sku}", json!({"S": "TEA-1"})),
            ("[$states.input.none.lines.sku]", json!([])),
            ("$states.input.none.lines", json!([])),
            ("$count($states.input.none.lines)", json!(0)),
            ("$list", json!(["only"])),
            ("$list[0]", json!("only")),
            ("{'there': 1, 'absent': $states.input.absent}", json!({"there": 1})),
            ("$exists($states.input.nothing)", json!(true)),
            ("$exists($states.input.absent)", json!(false)),
        ] {
            assert_eq!(evaluate(source), Ok(value), "{source}");
        }
    }

    #[test]
    fn null_is_a_value_and_undefined_is_an_error() {
        assert_eq!(evaluate("null"), Ok(Value::Null));
        assert_eq!(evaluate("$states.input.nothing"), Ok(Value::Null));
        assert_eq!(evaluate("[null]"), Ok(json!([null])));
        for source in ["$states.input.absent", "$states.input.none.lines.sku", "false ? 1"] {
            let error = evaluate(source).unwrap_err();
            let reason = "specified for the field 'Output' returned nothing (undefined).";
            assert_eq!(error, format!("The JSONata expression '{source}' {reason}"));
        }
    }

    #[test]
    fn whole_numbers_are_integers_to_the_last_digit() {
        for (source, text) in [
            ("1300", "1300"),
            ("$states.input.one.lines.price", "1300"),
            ("$states.input.exact", "9007199254740992"),
            ("$states.input.minus", "-9007199254740992"),
            ("$states.input.exact - 1", "9007199254740991"),
            ("2600 / 2", "1300"),
            ("-0", "0"),
            ("0.1 + 0.2", "0.30000000000000004"),
            ("13.5", "13.5"),
        ] {
            assert_eq!(evaluate(source).unwrap().to_string(), text, "{source}");
        }
    }

    #[test]
    fn a_value_that_is_not_json_is_an_error() {
        for (source, part) in [
            ("1 / 0", "inf, which is not a JSON number"),
            ("$count", "a function, which is not JSON"),
            ("{'f': function($x) { $x }}", "a function, which is not JSON"),
            ("/a/", "a regular expression"),
            ("'a' > 1", "failed: T2009"),
            ("$error('boom')", "failed: D3137: boom"),
            ("$now('[Y]')", "$now() is supported without arguments only"),
            ("($deep := function($n) { $n = 0 ? [] : [[$deep($n - 1)]] }; $deep(150))", "nests deeper"),
        ] {
            let error = evaluate(source).unwrap_err();
            assert!(error.contains(part), "{source}: {error}");
        }
    }

    #[test]
    fn time_comes_from_the_caller_and_chance_from_a_seed() {
        assert_eq!(evaluate("$now()"), Ok(json!("2026-03-01T12:00:00.250Z")));
        assert_eq!(evaluate("$millis()"), Ok(json!(1_772_366_400_250_i64)));
        fastrand::seed(7);
        let first = evaluate("$random()");
        fastrand::seed(7);
        assert_eq!(evaluate("$random()"), first);
    }
}

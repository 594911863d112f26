//! `CloudFormation`'s intrinsic functions, resolved with the parameters, the conditions and the resources' names.
//!
//! Nothing here knows what a property means.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    faults::FaultList,
    names::{Account, Identity},
    node::{describe_value, text_of},
    parameters::Parameters,
};

const FUNCTIONS: &str = "Ref, Fn::GetAtt, Fn::If, Fn::Join, Fn::Select, Fn::Split, Fn::Sub";

/// Each condition's value; `None` for one whose fault was reported.
pub(super) type Conditions = BTreeMap<String, Option<bool>>;

/// The parameters, conditions and resources that a reference can name.
#[derive(Debug)]
pub(super) struct Resolver<'a> {
    pub(super) account: Account,
    pub(super) parameters: &'a Parameters,
    pub(super) conditions: Conditions,
    pub(super) resources: BTreeMap<String, KnownResource>,
    pub(super) faults: &'a FaultList,
}

/// A resource that references can name.
#[derive(Debug)]
pub(super) struct KnownResource {
    /// `None` for an unknown type, which was reported.
    pub(super) identity: Option<Identity>,
    /// Whether its condition is true.
    pub(super) exists: bool,
}

/// The place of a value, and whether the value is used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position<'p> {
    pub(super) place: &'p str,
    /// False inside a part that a condition leaves out. Its references must still name known resources, but those
    /// resources need not exist.
    pub(super) used: bool,
}

impl<'a> Resolver<'a> {
    /// A resolver that knows the parameters, and no condition or resource.
    pub(super) fn with_parameters(
        account: Account,
        parameters: &'a Parameters,
        faults: &'a FaultList,
    ) -> Self {
        Self { account, parameters, conditions: Conditions::new(), resources: BTreeMap::new(), faults }
    }
}

impl Resolver<'_> {
    /// The value with its functions resolved. `None` stands for `AWS::NoValue`, which removes the property. `null`
    /// stands for a value whose fault was reported.
    pub(super) fn resolve(&self, value: &Value, at: Position<'_>) -> Option<Value> {
        match value {
            Value::Null => {
                self.faults.report(
                    at.place,
                    "is empty, which CloudFormation refuses: give it a value or remove the key",
                );
                Some(Value::Null)
            }
            Value::String(text) if text.contains("{{resolve:") => {
                self.fail(at, "dynamic references are not supported by the local stack").or(Some(Value::Null))
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(value.clone()),
            Value::Array(items) => Some(Value::Array(self.items(items, at))),
            Value::Object(map) => match function_call(map) {
                Some((name, argument)) => self.call(name, argument, at),
                None => Some(Value::Object(self.entries(map, at))),
            },
        }
    }

    fn items(&self, items: &[Value], at: Position<'_>) -> Vec<Value> {
        let resolved = items.iter().enumerate().filter_map(|(index, item)| {
            self.resolve(item, Position { place: &format!("{}[{index}]", at.place), ..at })
        });
        resolved.collect()
    }

    fn entries(&self, map: &Map<String, Value>, at: Position<'_>) -> Map<String, Value> {
        let mut resolved = Map::new();
        for (key, value) in map {
            if is_function(key) {
                self.faults.report(at.place, format!("{key} must be the only key of its map"));
                continue;
            }
            if let Some(value) = self.resolve(value, Position { place: &format!("{}.{key}", at.place), ..at })
            {
                resolved.insert(key.clone(), value);
            }
        }
        resolved
    }

    fn call(&self, function: &str, argument: &Value, at: Position<'_>) -> Option<Value> {
        match function {
            "Ref" if argument == "AWS::NoValue" => None,
            "Fn::If" => self.evaluate_if(argument, at),
            "Fn::Select" => Some(self.select(argument, at).unwrap_or_default()),
            "Fn::Split" => Some(self.split(argument, at).map(Value::from).unwrap_or_default()),
            _ => Some(self.call_for_text(function, argument, at).map(Value::from).unwrap_or_default()),
        }
    }

    fn call_for_text(&self, function: &str, argument: &Value, at: Position<'_>) -> Option<String> {
        match function {
            "Ref" => match argument.as_str() {
                Some(name) => self.reference(name, at),
                None => self.fail(at, "Ref takes a name"),
            },
            "Fn::GetAtt" => match argument.as_array().map(Vec::as_slice) {
                Some([Value::String(resource), Value::String(attribute)]) => {
                    self.attribute(resource, attribute, at)
                }
                _ => self.fail(at, "Fn::GetAtt takes a resource and an attribute, as in !GetAtt Table.Arn"),
            },
            "Fn::Sub" => self.substitute(argument, at),
            "Fn::Join" => self.join(argument, at),
            unknown => self
                .fail(at, format!("{unknown} is not supported by the local stack; supported: {FUNCTIONS}")),
        }
    }

    fn reference(&self, name: &str, at: Position<'_>) -> Option<String> {
        if let Some(value) = self.parameters.get(name) {
            return value.clone();
        }
        if let Some(value) = self.account.pseudo_parameter(name) {
            return Some(value);
        }
        Some(self.identity(name, at)?.reference.clone())
    }

    fn attribute(&self, resource: &str, attribute: &str, at: Position<'_>) -> Option<String> {
        let identity = self.identity(resource, at)?;
        let value = identity.attribute(attribute).map(str::to_owned);
        if value.is_none() {
            let known: Vec<_> = identity.attributes.iter().map(|(name, _)| *name).collect();
            self.faults.report(
                at.place,
                format!(
                    "{resource} has no attribute `{attribute}` in the local stack; it has: {}",
                    known.join(", ")
                ),
            );
        }
        value
    }

    fn identity(&self, name: &str, at: Position<'_>) -> Option<&Identity> {
        let Some(resource) = self.resources.get(name) else {
            self.faults
                .report(at.place, format!("`{name}` is neither a parameter nor a resource of this template"));
            return None;
        };
        if at.used && !resource.exists {
            return self.fail(at, format!("`{name}` does not exist: its condition is false"));
        }
        resource.identity.as_ref()
    }

    fn evaluate_if(&self, argument: &Value, at: Position<'_>) -> Option<Value> {
        let Some([Value::String(condition), then, otherwise]) = argument.as_array().map(Vec::as_slice) else {
            return self.fail(at, "Fn::If takes a condition's name and two values").or(Some(Value::Null));
        };
        let Some(&holds) = self.conditions.get(condition) else {
            let problem = format!("`{condition}` is not a condition of this template");
            return self.fail(at, problem).or(Some(Value::Null));
        };
        // Both sides are resolved, so that a broken reference is reported for any parameters.
        let then = self.resolve(then, Position { used: at.used && holds == Some(true), ..at });
        let otherwise = self.resolve(otherwise, Position { used: at.used && holds == Some(false), ..at });
        match holds {
            Some(true) => then,
            Some(false) => otherwise,
            None => Some(Value::Null),
        }
    }

    fn select(&self, argument: &Value, at: Position<'_>) -> Option<Value> {
        let Some([index, list]) = argument.as_array().map(Vec::as_slice) else {
            return self.fail(at, "Fn::Select takes an index and a list");
        };
        let (index, list) = (self.text(index, at), self.list(list, at));
        let (index, list) = (index?, list?);
        match index.parse::<usize>().ok().and_then(|index| list.get(index)) {
            Some(item) => Some(item.clone()),
            None => self.fail(at, format!("there is no item {index} in a list of {}", list.len())),
        }
    }

    fn split(&self, argument: &Value, at: Position<'_>) -> Option<Vec<String>> {
        let Some([Value::String(delimiter), source]) = argument.as_array().map(Vec::as_slice) else {
            return self.fail(at, "Fn::Split takes a delimiter and a text");
        };
        Some(self.text(source, at)?.split(delimiter.as_str()).map(str::to_owned).collect())
    }

    fn join(&self, argument: &Value, at: Position<'_>) -> Option<String> {
        let Some([Value::String(delimiter), list]) = argument.as_array().map(Vec::as_slice) else {
            return self.fail(at, "Fn::Join takes a delimiter and a list");
        };
        let list = self.list(list, at)?;
        let texts: Option<Vec<_>> = list.iter().map(|item| self.as_text(item, at)).collect();
        Some(texts?.join(delimiter))
    }

    fn substitute(&self, argument: &Value, at: Position<'_>) -> Option<String> {
        let nothing = Map::new();
        let (text, own) = match argument {
            Value::String(text) => (text, &nothing),
            Value::Array(parts) => match parts.as_slice() {
                [Value::String(text), Value::Object(own)] => (text, own),
                _ => return self.bad_substitution(at),
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
                return self.bad_substitution(at);
            }
        };
        let mut result = Some(String::with_capacity(text.len() * 2));
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else {
                return self.fail(at, format!("`${{` has no closing `}}` in `{text}`"));
            };
            let value = match name.strip_prefix('!') {
                Some(literal) => Some(format!("${{{literal}}}")),
                None => self.substituted(name, own, at),
            };
            // After a fault the rest is resolved too, so that every unknown name is reported.
            result = result.zip(value).map(|(result, value)| result + before + &value);
            rest = after;
        }
        result.map(|result| result + rest)
    }

    fn substituted(&self, name: &str, own: &Map<String, Value>, at: Position<'_>) -> Option<String> {
        match (own.get(name), name.split_once('.')) {
            (Some(value), _) => self.text(value, at),
            (None, Some((resource, attribute))) => self.attribute(resource, attribute, at),
            (None, None) => self.reference(name, at),
        }
    }

    fn bad_substitution(&self, at: Position<'_>) -> Option<String> {
        self.fail(at, "Fn::Sub takes a text, or a list of a text and a map")
    }

    /// Whether a resource or output with this `Condition` exists. Without a condition it does.
    pub(super) fn exists(&self, condition: Option<&Value>, place: &str) -> bool {
        let Some(condition) = condition else { return true };
        let value = condition.as_str().and_then(|name| self.conditions.get(name));
        if value.is_none() {
            self.faults.report(place, format!("the condition {condition} is not one of this template's"));
        }
        value == Some(&Some(true))
    }

    /// The value resolved to text; `None` after a fault.
    pub(super) fn text(&self, value: &Value, at: Position<'_>) -> Option<String> {
        match self.resolve(value, at) {
            Some(value) => self.as_text(&value, at),
            None => self.fail(at, "expected text, found AWS::NoValue"),
        }
    }

    fn as_text(&self, value: &Value, at: Position<'_>) -> Option<String> {
        let text = text_of(value);
        if text.is_none() && !value.is_null() {
            self.faults.report(at.place, format!("expected text, found {}", describe_value(value)));
        }
        text
    }

    fn list(&self, value: &Value, at: Position<'_>) -> Option<Vec<Value>> {
        match self.resolve(value, at) {
            Some(Value::Array(items)) => Some(items),
            Some(Value::Null) => None,
            Some(other) => self.fail(at, format!("expected a list, found {}", describe_value(&other))),
            None => self.fail(at, "expected a list, found AWS::NoValue"),
        }
    }

    /// Reports a fault. The returned `None` stands for the missing value.
    fn fail<T>(&self, at: Position<'_>, problem: impl Into<String>) -> Option<T> {
        self.faults.report(at.place, problem);
        None
    }
}

/// The function and its argument, if the map is a function call.
pub(super) fn function_call(map: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (key, argument) = map.iter().next().filter(|_| map.len() == 1)?;
    is_function(key).then_some((key, argument))
}

fn is_function(key: &str) -> bool {
    key == "Ref" || key.starts_with("Fn::")
}

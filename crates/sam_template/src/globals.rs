//! SAM's `Globals`: properties that every function, API or state machine has unless it sets its own. Nothing here knows
//! what a property means.

use serde_json::{Map, Value};

use super::{intrinsics::function_call, names};

/// The sections of `Globals`, and the resource type that each applies to.
pub(super) const SECTIONS: [(&str, &str); 3] =
    [("Function", names::FUNCTION), ("HttpApi", names::HTTP_API), ("StateMachine", names::STATE_MACHINE)];

/// The properties of a resource, merged over the globals of its type.
pub(super) fn merged(globals: Option<&Value>, resource_type: &str, properties: Option<&Value>) -> Value {
    let own = properties.cloned().unwrap_or_else(|| Value::Object(Map::new()));
    let section =
        SECTIONS.iter().find(|(_, for_type)| *for_type == resource_type).map(|(section, _)| section);
    match section.and_then(|section| globals?.get(section)) {
        Some(global) => merge(global, own),
        None => own,
    }
}

/// Merges as SAM does: maps key by key, lists by appending to the global list. Any other value replaces the global one.
fn merge(global: &Value, own: Value) -> Value {
    match (global, own) {
        (Value::Object(global), Value::Object(own))
            if function_call(global).is_none() && function_call(&own).is_none() =>
        {
            let mut merged = global.clone();
            for (key, value) in own {
                let value = match global.get(&key) {
                    Some(global) => merge(global, value),
                    None => value,
                };
                merged.insert(key, value);
            }
            Value::Object(merged)
        }
        (Value::Array(global), Value::Array(own)) => {
            Value::Array(global.iter().cloned().chain(own).collect())
        }
        (_, own) => own,
    }
}

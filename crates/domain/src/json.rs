//! Reads a body's bytes as a JSON object. A name that an object has twice is a fault, at any depth, as RFC 7493 (I-JSON)
//! demands: parsers differ in which of the two counts, so a check and a use could see different values.
//!
//! This is our own code because `serde_json` keeps the last of two values with one name, and has no setting for it.

use std::fmt::{self, Write as _};

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::{Error, InvalidField};

/// Reads bytes as a JSON object in which every name is unique within its object. The error names the place of the
/// fault. Its text never repeats the text there; only `repeated` does, which is the path of the name that is there twice.
///
/// # Errors
/// [`Error::MalformedJson`] for all other bytes.
pub fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, Error> {
    let text = std::str::from_utf8(bytes)
        .map_err(|err| Error::malformed_json(format!("not UTF-8 after {} bytes", err.valid_up_to())))?;
    let mut reading = serde_json::Deserializer::from_str(text);
    let mut path = Path::default();
    let read = ValueAt(&mut path).deserialize(&mut reading).and_then(|value| {
        reading.end()?;
        Ok(value)
    });
    match read {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Error::malformed_json("the top level must be an object")),
        Err(_) if text.trim().is_empty() => Err(Error::malformed_json("it is empty")),
        Err(err) => {
            let place = format!("line {} column {}", err.line(), err.column());
            Err(match path.repeated {
                None => Error::malformed_json(place),
                Some(field) => Error::MalformedJson {
                    reason: format!("a name is there twice, the second time at {place}"),
                    repeated: Some(InvalidField::new(field, "is given twice")),
                },
            })
        }
    }
}

/// The path of the value that is being read, such as `lines[2].quantity`.
#[derive(Default)]
struct Path {
    text: String,
    /// The path of the first name that is there twice. The reading ends there.
    repeated: Option<String>,
}

impl Path {
    /// Goes down to a member, and answers the length of the path before.
    fn enter_member(&mut self, name: &str) -> usize {
        let before = self.text.len();
        if before > 0 {
            self.text.push('.');
        }
        self.text.push_str(name);
        before
    }

    /// Goes down to an element, and answers the length of the path before.
    fn enter_element(&mut self, index: usize) -> usize {
        let before = self.text.len();
        // Writing into a text cannot fail.
        let _written = write!(self.text, "[{index}]");
        before
    }

    /// Goes back up.
    fn leave(&mut self, before: usize) {
        self.text.truncate(before);
    }
}

/// Reads the value at a path.
struct ValueAt<'p>(&'p mut Path);

impl<'de> DeserializeSeed<'de> for ValueAt<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueAt<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let Self(path) = self;
        let mut list = Vec::new();
        loop {
            let before = path.enter_element(list.len());
            let element = elements.next_element_seed(ValueAt(path))?;
            path.leave(before);
            match element {
                Some(element) => list.push(element),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let Self(path) = self;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let before = path.enter_member(&name);
            if object.contains_key(&name) {
                path.repeated = Some(path.text.clone());
                return Err(A::Error::custom("a name is there twice"));
            }
            let value = members.next_value_seed(ValueAt(path))?;
            path.leave(before);
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The path of the name that is there twice. Empty when the fault is another one.
    fn repeated(text: &str) -> String {
        match parse_object(text.as_bytes()) {
            Err(Error::MalformedJson { repeated, .. }) => {
                repeated.map(|fault| fault.field).unwrap_or_default()
            }
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn bytes_that_are_not_a_json_object_are_refused_and_the_error_does_not_repeat_them() {
        for bad in [&b""[..], b"  ", b"{", b"[1]", b"\"secret\"", b"{\"secret\": }", b"\xff\xfe{}", b"nul"] {
            let error = parse_object(bad).unwrap_err();
            assert_eq!(error.code(), "malformed_json");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_hundred_thousand_brackets_do_not_overflow_the_stack() {
        for bad in ["[".repeat(100_000), r#"{"a":"#.repeat(100_000), r#"[{"a":"#.repeat(50_000)] {
            assert_eq!(repeated(&bad), "");
        }
    }

    #[test]
    fn a_name_that_is_there_twice_is_named_by_its_path_however_it_is_spelled() {
        for (text, path) in [
            (r#"{"a": 1, "a": 1}"#, "a"),
            (r#"{"a": 1, "b": 2, "a": {}}"#, "a"),
            (r#"{"lines": [{"sku": "T"}, {"sku": "T", "quantity": 1, "sku": "U"}]}"#, "lines[1].sku"),
            (r#"{"a": {"b": {"c": null, "c": null}}}"#, "a.b.c"),
            (r#"{"a": [[{"b": 1, "b": 1}]]}"#, "a[0][0].b"),
            (r#"{"sku": 1, "\u0073ku": 2}"#, "sku"),
            (r#"{"": 1, "": 2}"#, ""),
            // The first one is named, whatever follows.
            (r#"{"a": 1, "a": 2, "b": 1, "b""#, "a"),
        ] {
            assert_eq!(repeated(text), path, "{text}");
        }
        let error = parse_object(br#"{"secret": 1, "secret": 2}"#).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the body is not a JSON object: a name is there twice, the second time at line 1 column 22"
        );
        for fine in [
            r#"{"a": {"a": [{"a": 1}, {"a": 1}]}}"#,
            r#"{"a": 1, "A": 1, "a ": 1, "\u00e9": 1, "e\u0301": 1}"#,
        ] {
            assert!(parse_object(fine.as_bytes()).is_ok(), "{fine}");
        }
    }

    #[test]
    fn a_name_that_means_something_to_the_parser_means_nothing_in_a_body() {
        let text = r#"{"$serde_json::private::RawValue": "{\"name\": \"Eve\"}"}"#;
        let object = parse_object(text.as_bytes()).unwrap();
        assert_eq!(object.keys().collect::<Vec<_>>(), ["$serde_json::private::RawValue"]);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                proptest::collection::hash_map(any::<String>(), inner, 0..8)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn an_object_is_read_as_it_was_written(members in proptest::collection::hash_map(any::<String>(), any_value(), 0..8)) {
            let object: Map<String, Value> = members.into_iter().collect();
            let text = Value::Object(object.clone()).to_string();
            prop_assert_eq!(parse_object(text.as_bytes()).unwrap(), serde_json::from_str::<Map<String, Value>>(&text).unwrap());
        }

        #[test]
        fn any_bytes_are_read_or_refused_as_the_usual_parser_does(text in r#"[\[\]{}":,0-9ae+. \\u-]{0,40}"#) {
            let usual = serde_json::from_str::<Map<String, Value>>(&text);
            match parse_object(text.as_bytes()) {
                Ok(object) => prop_assert_eq!(object, usual.unwrap()),
                Err(Error::MalformedJson { repeated: None, .. }) => prop_assert!(usual.is_err()),
                Err(Error::MalformedJson { repeated: Some(_), .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }
}

//! Converts YAML text to JSON values. `CloudFormation`'s short tags become their long form: `!GetAtt A.Arn` becomes
//! `{"Fn::GetAtt": ["A", "Arn"]}`.
//!
//! Nothing here knows which functions exist: an unknown tag is converted like a known one.

use saphyr::{LoadableYamlNode, Scalar, Yaml};
use serde_json::{Map, Number, Value, json};

/// Reads one YAML document.
///
/// # Errors
/// A sentence that names the fault, and its line if it has one.
pub fn read(text: &str) -> Result<Value, String> {
    let documents = Yaml::load_from_str(text).map_err(|error| {
        let at = error.marker();
        format!("line {}, column {}: {}", at.line(), at.col() + 1, error.info())
    })?;
    match documents.as_slice() {
        [document] => to_json(document),
        documents => Err(format!("{} YAML documents found, one expected", documents.len())),
    }
}

fn to_json(node: &Yaml<'_>) -> Result<Value, String> {
    Ok(match node {
        Yaml::Value(scalar) => scalar_to_json(scalar),
        Yaml::Sequence(items) => Value::Array(items.iter().map(to_json).collect::<Result<_, _>>()?),
        Yaml::Mapping(entries) => {
            let mut map = Map::new();
            for (key, value) in entries {
                map.insert(key_text(key)?, to_json(value)?);
            }
            Value::Object(map)
        }
        Yaml::Tagged(tag, inner) if tag.handle == "!" => long_form(&tag.suffix, to_json(inner)?),
        Yaml::Tagged(tag, _) => return Err(format!("the tag {tag} is not supported")),
        Yaml::Representation(text, ..) => return Err(format!("`{text}` could not be read")),
        Yaml::Alias(_) | Yaml::BadValue => {
            return Err("an empty document, an unknown alias or a value that contradicts its tag".to_owned());
        }
    })
}

fn scalar_to_json(scalar: &Scalar<'_>) -> Value {
    match scalar {
        Scalar::Null => Value::Null,
        Scalar::Boolean(flag) => json!(flag),
        Scalar::Integer(number) => json!(number),
        // JSON cannot hold an infinity. As text it is reported where a number is expected.
        Scalar::FloatingPoint(number) => {
            Number::from_f64(number.into_inner()).map_or_else(|| json!(number.to_string()), Value::Number)
        }
        Scalar::String(text) => json!(text),
    }
}

fn key_text(key: &Yaml<'_>) -> Result<String, String> {
    if let Yaml::Value(scalar) = key {
        match scalar_to_json(scalar) {
            Value::String(text) => return Ok(text),
            value @ (Value::Number(_) | Value::Bool(_)) => return Ok(value.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => {}
        }
    }
    Err(format!("a key must be text, not {key:?}"))
}

fn long_form(short_name: &str, argument: Value) -> Value {
    match (short_name, argument) {
        ("Ref" | "Condition", argument) => json!({ short_name: argument }),
        ("GetAtt", Value::String(path)) => match path.split_once('.') {
            Some((resource, attribute)) => json!({ "Fn::GetAtt": [resource, attribute] }),
            None => json!({ "Fn::GetAtt": [path] }),
        },
        (_, argument) => json!({ format!("Fn::{short_name}"): argument }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_tags_are_written_out_at_any_depth() {
        let yaml =
            "a: !If [c, !GetAtt T.Arn, !Sub '${T.Arn}/index/*']\nb: [!Ref T, !Join ['-', [x, !Ref Y]]]";
        let expected = json!({
            "a": {"Fn::If": ["c", {"Fn::GetAtt": ["T", "Arn"]}, {"Fn::Sub": "${T.Arn}/index/*"}]},
            "b": [{"Ref": "T"}, {"Fn::Join": ["-", ["x", {"Ref": "Y"}]]}],
        });
        assert_eq!(read(yaml), Ok(expected));
    }

    #[test]
    fn scalars_keep_their_kinds_and_dates_stay_text() {
        let yaml = "a: 1\nb: '1'\nc: true\nd: 2012-10-17\ne: 0.5\nf:\n200: x";
        let expected =
            json!({"a": 1, "b": "1", "c": true, "d": "2012-10-17", "e": 0.5, "f": null, "200": "x"});
        assert_eq!(read(yaml), Ok(expected));
    }

    #[test]
    fn a_yaml_error_names_its_line() {
        assert!(read("a: 1\nb: [1, 2\nc: 3").is_err_and(|error| error.starts_with("line 3")));
        assert!(
            read("a: 1\na: 2")
                .is_err_and(|error| error.contains("line 2") && error.contains("duplicated key"))
        );
    }

    #[test]
    fn one_document_is_expected() {
        assert!(read("a: 1\n---\nb: 2").is_err_and(|error| error.starts_with("2 YAML documents")));
        assert!(read("").is_err());
    }
}

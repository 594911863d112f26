//! The filter policy of a subscription: which messages reach it, by their attributes. Only what Orderflow
//! uses: lists of exact strings. Everything else that SNS knows (prefixes, numbers, `exists`, the message
//! body) is refused by name, so that no policy ever means less here than it says.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The most keys that a policy may have, as on AWS.
const MAX_KEYS: usize = 5;
/// The most combinations (the product of the lengths of its lists) of a policy, as on AWS.
const MAX_COMBINATIONS: usize = 150;

const SUPPORTED: &str = "the local SNS supports a JSON object of arrays of exact strings, \
                         like {\"user_id\": [\"1\"]}, on message attributes";

/// A parsed policy, together with the text it came from.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FilterPolicy {
    text: String,
    rules: BTreeMap<String, BTreeSet<String>>,
}

impl FilterPolicy {
    /// The policy as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a message with these attributes passes: every key must be there with a listed value, so a
    /// message without the attribute passes no policy that names it.
    pub fn matches(&self, attributes: &BTreeMap<String, String>) -> bool {
        self.rules.iter().all(|(key, values)| attributes.get(key).is_some_and(|value| values.contains(value)))
    }
}

/// Two policies are equal when they let the same messages through, however they are written.
impl PartialEq for FilterPolicy {
    fn eq(&self, other: &Self) -> bool {
        self.rules == other.rules
    }
}

impl Eq for FilterPolicy {}

impl From<FilterPolicy> for String {
    fn from(policy: FilterPolicy) -> Self {
        policy.text
    }
}

impl TryFrom<String> for FilterPolicy {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let refused = |what: &str| format!("{what}: {SUPPORTED}");
        let parsed: Value =
            serde_json::from_str(&text).map_err(|fault| refused(&format!("it is not JSON ({fault})")))?;
        let Value::Object(object) = parsed else { return Err(refused("it is not an object")) };
        if object.is_empty() || object.len() > MAX_KEYS {
            return Err(refused(&format!("it has {} keys, not 1 to {MAX_KEYS}", object.len())));
        }
        let mut rules = BTreeMap::new();
        let mut combinations: usize = 1;
        for (key, values) in object {
            let Value::Array(values) = values else {
                return Err(refused(&format!("`{key}` is not an array")));
            };
            combinations = combinations.saturating_mul(values.len());
            let mut texts = BTreeSet::new();
            for value in values {
                let Value::String(value) = value else {
                    return Err(refused(&format!("`{key}` holds something else than a string: {value}")));
                };
                texts.insert(value);
            }
            if texts.is_empty() {
                return Err(refused(&format!("`{key}` is empty")));
            }
            rules.insert(key, texts);
        }
        if combinations > MAX_COMBINATIONS {
            return Err(refused(&format!(
                "it has {combinations} combinations, more than {MAX_COMBINATIONS}"
            )));
        }
        Ok(Self { text, rules })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Result<FilterPolicy, String> {
        FilterPolicy::try_from(text.to_owned())
    }

    fn attributes(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn every_key_must_be_there_with_a_listed_value() {
        let policy = policy(r#"{"user_id": ["1", "2"], "status": ["CONFIRMED"]}"#).unwrap();
        for (pairs, passes) in [
            (&[("user_id", "1"), ("status", "CONFIRMED")][..], true),
            (&[("user_id", "2"), ("status", "CONFIRMED"), ("order_id", "9")], true),
            (&[("user_id", "3"), ("status", "CONFIRMED")], false),
            (&[("user_id", "1"), ("status", "confirmed")], false),
            (&[("user_id", "1")], false),
            (&[("user_id", "")], false),
            (&[], false),
        ] {
            assert_eq!(policy.matches(&attributes(pairs)), passes, "{pairs:?}");
        }
    }

    #[test]
    fn what_the_local_sns_does_not_support_is_named() {
        for (text, named) in [
            ("user_id", "not JSON"),
            ("[]", "not an object"),
            ("{}", "0 keys"),
            (r#"{"a":["1"],"b":["1"],"c":["1"],"d":["1"],"e":["1"],"f":["1"]}"#, "6 keys"),
            (r#"{"user_id": "1"}"#, "`user_id` is not an array"),
            (r#"{"user_id": []}"#, "`user_id` is empty"),
            (r#"{"user_id": [{"prefix": "1"}]}"#, "{\"prefix\":\"1\"}"),
            (r#"{"user_id": [1]}"#, "something else than a string: 1"),
            (r#"{"body": {"user_id": ["1"]}}"#, "`body` is not an array"),
        ] {
            let refused = policy(text).unwrap_err();
            assert!(refused.contains(named) && refused.contains("exact strings"), "{text}: {refused}");
        }
        let many: Vec<String> = (0..151).map(|n| n.to_string()).collect();
        let refused = policy(&serde_json::json!({ "user_id": many }).to_string()).unwrap_err();
        assert!(refused.contains("151 combinations"), "{refused}");
    }

    #[test]
    fn two_spellings_of_one_policy_are_equal_and_each_keeps_its_text() {
        let (one, two) = (policy(r#"{"a":["1","2"]}"#).unwrap(), policy(r#"{ "a": ["2", "1"] }"#).unwrap());
        assert_eq!(one, two);
        assert_eq!(two.as_str(), r#"{ "a": ["2", "1"] }"#);
        assert_ne!(one, policy(r#"{"a":["1"]}"#).unwrap());
    }
}

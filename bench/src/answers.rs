//! The recorded answers: what the local stack answered to each call that a function makes for its sample event
//! (`infra/events`). A journey records them, and fails when they are no longer what the stack answers.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::Fault;

/// One call and its answer.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Recorded {
    /// The operation's name, such as `UpdateItem`.
    pub operation: String,
    /// The answer's content type.
    pub content_type: String,
    /// The answer's body.
    pub body: String,
}

/// The file of a function's answers.
pub fn file(root: &Path, binary: &str) -> PathBuf {
    root.join(format!("bench/answers/{binary}.json"))
}

/// The operation that a request to AWS names: in a header, or, for SNS, in the form that is its body. A request without
/// one opens a connection and does nothing else.
pub fn operation(target: Option<&str>, body: &str) -> Option<String> {
    let named = match target {
        Some(target) => target.rsplit('.').next(),
        None => body.split('&').find_map(|field| field.strip_prefix("Action=")),
    };
    named.map(str::to_owned)
}

/// The answers of one function, by operation, in the order in which they were recorded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers(BTreeMap<String, Vec<Recorded>>);

impl Answers {
    pub(crate) fn read(root: &Path, binary: &str) -> Result<Self, Fault> {
        let path = file(root, binary);
        let text = fs::read_to_string(&path)
            .map_err(|error| Fault::new(format!("{} cannot be read: {error}", path.display())))?;
        let recorded: Vec<Recorded> = serde_json::from_str(&text)
            .map_err(|error| Fault::new(format!("{} is not as recorded: {error}", path.display())))?;
        let mut answers: BTreeMap<String, Vec<Recorded>> = BTreeMap::new();
        for one in recorded {
            answers.entry(one.operation.clone()).or_default().push(one);
        }
        Ok(Self(answers))
    }

    /// The answer to the nth call of an operation, counted from 0. Each invocation begins again at the first.
    pub(crate) fn to(&self, operation: &str, nth: usize) -> Option<&Recorded> {
        let all = self.0.get(operation)?;
        all.get(nth % all.len())
    }
}

#[cfg(test)]
mod tests {
    use super::operation;

    #[test]
    fn an_operation_is_named_by_the_header_or_by_the_form() {
        assert_eq!(operation(Some("DynamoDB_20120810.GetItem"), "{}").as_deref(), Some("GetItem"));
        assert_eq!(operation(None, "Action=Publish&Version=2010").as_deref(), Some("Publish"));
        assert_eq!(operation(None, ""), None);
    }
}

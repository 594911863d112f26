//! An HTTP response, in API Gateway's payload format 2.0.

use std::collections::BTreeMap;

use serde::Serialize;

/// An HTTP response. A door that fails returns a [`domain::Error`] instead, and `problem.rs` makes its response.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    status_code: u16,
    headers: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    is_base64_encoded: bool,
}

impl Response {
    /// A response with a JSON body.
    pub fn json(status: u16, body: &impl Serialize) -> Result<Self, domain::Error> {
        Self::of(status, "application/json", body)
    }

    /// A response without a body, with the status 204.
    pub fn empty() -> Self {
        Self { status_code: 204, headers: BTreeMap::new(), body: None, is_base64_encoded: false }
    }

    pub(crate) fn of(
        status: u16,
        content_type: &'static str,
        body: &impl Serialize,
    ) -> Result<Self, domain::Error> {
        let body = serde_json::to_string(body).map_err(|source| domain::Error::Internal {
            doing: "writing the answer",
            source: source.into(),
        })?;
        let headers = BTreeMap::from([("content-type", content_type.to_owned())]);
        Ok(Self { status_code: status, headers, body: Some(body), is_base64_encoded: false })
    }

    /// The same response with one more header, its name in lower case.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.insert(name, value.into());
        self
    }

    /// The HTTP status code.
    pub fn status(&self) -> u16 {
        self.status_code
    }
}

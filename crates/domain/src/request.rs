//! A customer's request for an order: the lines, their own reference, and the total that they expect.

use serde::{Deserialize, Serialize};

use crate::{Error, Fingerprint, InvalidField, MAX_LINES, Money, Reference, RequestedLine, line::merge};

/// A request for an order. Its lines are merged and sorted by SKU, so two requests with the same meaning are equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RequestRecord")]
pub struct OrderRequest {
    lines: Vec<RequestedLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<Reference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected_total: Option<Money>,
}

/// A request as JSON spells it.
#[derive(Deserialize)]
struct RequestRecord {
    lines: Vec<RequestedLine>,
    #[serde(default)]
    reference: Option<Reference>,
    #[serde(default)]
    expected_total: Option<Money>,
}

impl TryFrom<RequestRecord> for OrderRequest {
    type Error = Error;

    fn try_from(record: RequestRecord) -> Result<Self, Error> {
        let RequestRecord { lines, reference, expected_total } = record;
        Ok(Self::new(lines)?.with_reference(reference).with_expected_total(expected_total))
    }
}

impl OrderRequest {
    /// Makes a request for these lines alone. Merges the lines of each SKU and sorts the lines.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there are no lines, more than [`MAX_LINES`], or too many units of one SKU.
    pub fn new(lines: Vec<RequestedLine>) -> Result<Self, Error> {
        if !(1..=MAX_LINES).contains(&lines.len()) {
            return Err(Error::Invalid(vec![InvalidField::new("lines", lines_expected())]));
        }
        Ok(Self { lines: merge(lines)?, reference: None, expected_total: None })
    }

    /// The same request with the customer's reference, or without one.
    #[must_use]
    pub fn with_reference(self, reference: Option<Reference>) -> Self {
        Self { reference, ..self }
    }

    /// The same request with the total that the customer expects to pay, or for any total.
    #[must_use]
    pub fn with_expected_total(self, expected_total: Option<Money>) -> Self {
        Self { expected_total, ..self }
    }

    /// The lines, each SKU once, in SKU order.
    pub fn lines(&self) -> &[RequestedLine] {
        &self.lines
    }

    /// The total that the customer expects to pay. `None` when they accept any total.
    pub fn expected_total(&self) -> Option<Money> {
        self.expected_total
    }

    /// The part of the request that the order keeps as it is. The lines are kept with their prices.
    pub(crate) fn into_reference(self) -> Option<Reference> {
        // Every field is named, so that a new one is kept or left out on purpose.
        let Self { lines: _, reference, expected_total: _ } = self;
        reference
    }

    /// The request's fingerprint. Two requests with the same meaning have the same one.
    pub fn fingerprint(&self) -> Fingerprint {
        // Every field is named, so that a new one cannot be forgotten.
        let Self { lines, reference, expected_total } = self;
        let mut text = String::new();
        for RequestedLine { sku, quantity } in lines {
            text.extend([sku.as_str(), "\0", &quantity.get().to_string(), "\0"]);
        }
        // A second NUL ends the lines, so that a reference cannot look like another line.
        text.push('\0');
        text.push_str(reference.as_ref().map_or("", Reference::as_str));
        text.push('\0');
        text.push_str(&expected_total.map_or_else(String::new, |total| total.to_string()));
        Fingerprint::of_text(&text)
    }
}

/// The rule for the number of lines, as the reason of a fault.
pub fn lines_expected() -> String {
    format!("must be an array of 1 to {MAX_LINES} lines")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Quantity, Sku};

    fn line(sku: &str, quantity: i64) -> RequestedLine {
        RequestedLine {
            sku: Sku::try_from(sku.to_owned()).unwrap(),
            quantity: Quantity::try_from(quantity).unwrap(),
        }
    }

    #[test]
    fn two_requests_with_the_same_meaning_have_the_same_fingerprint() {
        let reference = |text: &str| Some(Reference::try_from(text.to_owned()).unwrap());
        let request =
            |lines, reference| OrderRequest::new(lines).unwrap().with_reference(reference).fingerprint();
        let plain = request(vec![line("A", 1), line("B", 3)], None);
        assert_eq!(plain, request(vec![line("B", 1), line("A", 1), line("B", 2)], None));
        assert_ne!(plain, request(vec![line("A", 1), line("B", 2)], None));
        assert_ne!(plain, request(vec![line("A", 1), line("B", 3)], reference("PO-1")));
    }

    #[test]
    fn a_request_is_checked_when_it_is_read_from_json() {
        let read = |text: &str| serde_json::from_str::<OrderRequest>(text);
        assert!(read(r#"{"lines": [{"sku": "A", "quantity": 1}], "command": "place"}"#).is_ok());
        for bad in [
            r#"{"lines": []}"#,
            r#"{"lines": [{"sku": "a", "quantity": 1}]}"#,
            r#"{"lines": [{"sku": "A", "quantity": 600}, {"sku": "A", "quantity": 600}]}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}

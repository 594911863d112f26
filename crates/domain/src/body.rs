//! Reads a JSON object field by field and gathers every fault, unknown fields included, so that a client mends
//! its request once. Nothing here knows what the fields mean.
//!
//! Written by us: `serde` stops at the first fault, and validation crates see a body only after `serde` took it.

use serde_json::{Map, Value};

use crate::{Error, Fault, MAX_UNIT_PRICE, Money, UnitPrice, money::MAX_AMOUNT};

/// Reads bytes as a JSON object. The error says where it broke off, never what was there.
pub fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, Error> {
    let text = std::str::from_utf8(bytes)
        .map_err(|err| Error::MalformedJson(format!("not UTF-8 after {} bytes", err.valid_up_to())))?;
    match serde_json::from_str(text) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Error::MalformedJson("the top level must be an object".to_owned())),
        Err(err) => {
            let place = format!("line {} column {}", err.line(), err.column());
            Err(Error::MalformedJson(if text.trim().is_empty() { "it is empty".to_owned() } else { place }))
        }
    }
}

/// One JSON object being read. Take the fields out one by one, then [`finish`](Self::finish).
#[derive(Debug)]
pub struct Body {
    prefix: String,
    object: Map<String, Value>,
    faults: Vec<Fault>,
}

impl Body {
    /// Starts reading the top level of a request body.
    pub fn new(object: Map<String, Value>) -> Self {
        Self { prefix: String::new(), object, faults: Vec::new() }
    }

    /// Starts reading a value inside a body, of which `path` is the place. A value that is no object reads as an
    /// empty one, and is a fault.
    pub fn nested(path: &str, value: Value) -> Self {
        let prefix = format!("{path}.");
        if let Value::Object(object) = value {
            Self { prefix, object, faults: Vec::new() }
        } else {
            Self { prefix, object: Map::new(), faults: vec![Fault::new(path, "must be an object")] }
        }
    }

    /// A field that must be there.
    pub fn required(&mut self, field: &str) -> Option<Value> {
        let value = self.object.remove(field);
        if value.is_none() {
            self.fault(field, "is required");
        }
        value
    }

    /// A field that may be left out.
    pub fn optional(&mut self, field: &str) -> Option<Value> {
        self.object.remove(field)
    }

    /// A required string that makes a `T`.
    pub fn text<T: TryFrom<String, Error = Error>>(&mut self, field: &str) -> Option<T> {
        let value = self.required(field)?;
        self.make(field, value)
    }

    /// A string that makes a `T`, and may be left out.
    pub fn optional_text<T: TryFrom<String, Error = Error>>(&mut self, field: &str) -> Option<T> {
        let value = self.optional(field)?;
        self.make(field, value)
    }

    /// A required integer that makes a `T`. A number with a fraction or an exponent is none.
    pub fn integer<T: TryFrom<i64, Error = Error>>(&mut self, field: &str) -> Option<T> {
        let value = self.required(field)?;
        // What is no whole number is as good as beyond every limit there is: the limit's own message serves both.
        self.keep(field, T::try_from(value.as_i64().unwrap_or(i64::MAX)))
    }

    /// A required unit price, `{amount, currency}`.
    pub fn unit_price(&mut self, field: &str) -> Option<UnitPrice> {
        let value = self.required(field)?;
        self.money(field, value, MAX_UNIT_PRICE).and_then(|money| UnitPrice::try_from(money).ok())
    }

    /// A total, `{amount, currency}`, that may be left out.
    pub fn optional_total(&mut self, field: &str) -> Option<Money> {
        let value = self.optional(field)?;
        self.money(field, value, MAX_AMOUNT)
    }

    /// Adds a fault of a field of this object.
    pub fn fault(&mut self, field: &str, reason: impl Into<String>) {
        self.faults.push(Fault::new(format!("{}{field}", self.prefix), reason));
    }

    /// Ends the reading: every fault, those of fields that nobody asked for last.
    pub fn finish(mut self) -> Vec<Fault> {
        let unknown: Vec<String> = self.object.keys().cloned().collect();
        for field in unknown {
            self.fault(&field, "is not a field of this request");
        }
        self.faults
    }

    fn money(&mut self, field: &str, value: Value, most: u64) -> Option<Money> {
        let mut parts = Self::nested(&format!("{}{field}", self.prefix), value);
        let amount = parts.required("amount").and_then(|value| {
            let amount = value.as_u64().filter(|amount| *amount <= most);
            if amount.is_none() {
                parts.fault("amount", format!("must be an integer from 0 to {most}"));
            }
            amount
        });
        let currency = parts.text("currency");
        self.faults.append(&mut parts.finish());
        Money::new(amount?, currency?).ok()
    }

    fn make<T: TryFrom<String, Error = Error>>(&mut self, field: &str, value: Value) -> Option<T> {
        if let Value::String(text) = value {
            self.keep(field, T::try_from(text))
        } else {
            self.fault(field, "must be a string");
            None
        }
    }

    /// Keeps the value, or its fault under this field's name.
    fn keep<T>(&mut self, field: &str, result: Result<T, Error>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(Error::Invalid(faults)) => {
                for fault in faults {
                    self.fault(field, fault.reason);
                }
                None
            }
            Err(other) => {
                self.fault(field, other.to_string());
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Name, Quantity, Reason};

    fn body(text: &str) -> Body {
        Body::new(parse_object(text.as_bytes()).unwrap())
    }

    #[test]
    fn every_fault_is_named_at_once_unknown_fields_included() {
        let mut body = body(
            r#"{"name": "a\nb", "quantity": 1.5, "price": {"amount": -1, "currency": "x", "tip": 1}, "nmae": 1}"#,
        );
        assert!(body.text::<Name>("name").is_none());
        assert!(body.text::<Reason>("reason").is_none());
        assert!(body.integer::<Quantity>("quantity").is_none());
        assert!(body.unit_price("price").is_none());
        let faults: Vec<String> =
            body.finish().iter().map(|f| format!("{}: {}", f.field, f.reason)).collect();
        insta::assert_snapshot!(faults.join("\n"), @r"
        name: must be 1 to 100 characters without control characters
        reason: is required
        quantity: must be an integer from 1 to 1000
        price.amount: must be an integer from 0 to 1000000000
        price.currency: must be an ISO 4217 code such as EUR
        price.tip: is not a field of this request
        nmae: is not a field of this request
        ");
    }

    #[test]
    fn bytes_that_are_no_json_object_are_refused_without_repeating_them() {
        for bad in [&b""[..], b"  ", b"{", b"[1]", b"\"secret\"", b"{\"secret\": }", b"\xff\xfe{}", b"nul"] {
            let error = parse_object(bad).unwrap_err();
            assert_eq!(error.code(), "malformed_json");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_hundred_thousand_brackets_do_not_overflow_the_stack() {
        assert_eq!(parse_object("[".repeat(100_000).as_bytes()).unwrap_err().code(), "malformed_json");
    }
}

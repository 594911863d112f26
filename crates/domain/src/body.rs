//! Reads a JSON object field by field. It reports all faults together, unknown fields included, so that a client can
//! correct its request at once. Nothing here knows what the fields mean.
//!
//! This is our own code because `serde` stops at the first fault, and validation crates run only after `serde` has
//! accepted the body.

use serde_json::{Map, Value};

use crate::{Error, InvalidField, MAX_UNIT_PRICE, Money, UnitPrice, money::MAX_AMOUNT};

/// The result of reading a field: its value, or all its faults.
pub type Field<T> = Result<T, Vec<InvalidField>>;

/// One JSON object being read. Take the fields out one by one, then [`finish`](Self::finish) with all of them.
#[derive(Debug)]
pub struct Body {
    prefix: String,
    object: Map<String, Value>,
    /// The fault of a nested value that is not an object.
    not_an_object: Option<InvalidField>,
}

impl Body {
    /// Starts reading the top level of a request body.
    pub fn new(object: Map<String, Value>) -> Self {
        Self { prefix: String::new(), object, not_an_object: None }
    }

    /// Starts reading the value at `path` inside a body. A value that is not an object reads as an empty object with
    /// a fault.
    pub fn nested(path: &str, value: Value) -> Self {
        let prefix = format!("{path}.");
        if let Value::Object(object) = value {
            Self { prefix, object, not_an_object: None }
        } else {
            Self {
                prefix,
                object: Map::new(),
                not_an_object: Some(InvalidField::new(path, "must be an object")),
            }
        }
    }

    /// Takes out a value of any type. A missing one is a fault.
    pub fn required(&mut self, field: &str) -> Field<Value> {
        self.object.remove(field).ok_or_else(|| self.fault(field, "is required"))
    }

    /// Takes out a string and makes a `T` of it. A missing one is a fault.
    pub fn text<T: TryFrom<String, Error = Error>>(&mut self, field: &str) -> Field<T> {
        let value = self.required(field)?;
        self.make(field, value)
    }

    /// Takes out a string that the client may leave out, and makes a `T` of it.
    pub fn optional_text<T: TryFrom<String, Error = Error>>(&mut self, field: &str) -> Field<Option<T>> {
        self.object.remove(field).map(|value| self.make(field, value)).transpose()
    }

    /// Takes out an integer and makes a `T` of it. A number with a fraction or an exponent is not an integer.
    pub fn integer<T: TryFrom<i64, Error = Error>>(&mut self, field: &str) -> Field<T> {
        let value = self.required(field)?;
        // A value that is not an integer counts as one above every limit, since the limit's message fits both.
        self.named(field, T::try_from(value.as_i64().unwrap_or(i64::MAX)))
    }

    /// Takes out an integer that makes a `T`. The client may leave it out.
    pub fn optional_integer<T: TryFrom<i64, Error = Error>>(&mut self, field: &str) -> Field<Option<T>> {
        if self.object.contains_key(field) { self.integer(field).map(Some) } else { Ok(None) }
    }

    /// Takes out a unit price, `{amount, currency}`. A missing one is a fault.
    pub fn unit_price(&mut self, field: &str) -> Field<UnitPrice> {
        let value = self.required(field)?;
        let money = self.money(field, value, MAX_UNIT_PRICE)?;
        self.named(field, UnitPrice::try_from(money))
    }

    /// Takes out a total, `{amount, currency}`, that the client may leave out.
    pub fn optional_total(&mut self, field: &str) -> Field<Option<Money>> {
        self.object.remove(field).map(|value| self.money(field, value, MAX_AMOUNT)).transpose()
    }

    /// A fault of a field of this object, under the field's full path.
    pub fn fault(&self, field: &str, reason: impl Into<String>) -> Vec<InvalidField> {
        vec![InvalidField::new(format!("{}{field}", self.prefix), reason)]
    }

    /// Ends the reading. Answers the fields' values, or all faults, with those of unknown fields last.
    ///
    /// # Errors
    /// [`Error::Invalid`] with all faults.
    pub fn finish<F: Fields>(self, fields: F) -> Result<F::Values, Error> {
        self.read(fields).map_err(Error::Invalid)
    }

    /// As [`finish`](Self::finish), for an object inside a body.
    ///
    /// # Errors
    /// All faults, so that the body's own `finish` can report them with the others.
    pub fn read<F: Fields>(self, fields: F) -> Field<F::Values> {
        let Self { prefix, object, not_an_object } = self;
        let unknown =
            |field: &String| InvalidField::new(format!("{prefix}{field}"), "is not a field of this request");
        let unknown: Vec<InvalidField> = object.keys().map(unknown).collect();
        let mut faults: Vec<InvalidField> = not_an_object.into_iter().collect();
        match fields.join() {
            Ok(values) if faults.is_empty() && unknown.is_empty() => return Ok(values),
            Ok(_incomplete) => {}
            Err(of_fields) => faults.extend(of_fields),
        }
        faults.extend(unknown);
        Err(faults)
    }

    fn money(&self, field: &str, value: Value, most: u64) -> Field<Money> {
        let mut parts = Self::nested(&format!("{}{field}", self.prefix), value);
        let amount = parts.required("amount").and_then(|value| {
            let amount = value.as_u64().filter(|amount| *amount <= most);
            amount.ok_or_else(|| parts.fault("amount", format!("must be an integer from 0 to {most}")))
        });
        let currency = parts.text("currency");
        let (amount, currency) = parts.read((amount, currency))?;
        self.named(field, Money::new(amount, currency))
    }

    fn make<T: TryFrom<String, Error = Error>>(&self, field: &str, value: Value) -> Field<T> {
        if let Value::String(text) = value {
            self.named(field, T::try_from(text))
        } else {
            Err(self.fault(field, "must be a string"))
        }
    }

    /// Puts the faults of a value under this field's name.
    fn named<T>(&self, field: &str, result: Result<T, Error>) -> Field<T> {
        result.map_err(|error| {
            if let Error::Invalid(faults) = error {
                faults.into_iter().flat_map(|fault| self.fault(field, fault.reason)).collect()
            } else {
                self.fault(field, error.to_string())
            }
        })
    }
}

/// Makes a [`Field`] of a value from outside the body, such as a header, so that its faults are reported with the
/// body's.
///
/// # Errors
/// Every error except [`Error::Invalid`], since it is not a fault of the value.
pub fn field<T>(value: Result<T, Error>) -> Result<Field<T>, Error> {
    match value {
        Ok(value) => Ok(Ok(value)),
        Err(Error::Invalid(faults)) => Ok(Err(faults)),
        Err(other) => Err(other),
    }
}

/// A tuple of [`Field`]s whose faults are reported together.
pub trait Fields {
    /// The tuple of the values, when no field has a fault.
    type Values;

    /// Answers all values, or all faults.
    fn join(self) -> Field<Self::Values>;
}

/// Implements [`Fields`] for a tuple.
macro_rules! fields {
    ($($field:ident: $value:ident),+) => {
        impl<$($value),+> Fields for ($(Field<$value>,)+) {
            type Values = ($($value,)+);

            fn join(self) -> Field<Self::Values> {
                match self {
                    ($(Ok($field),)+) => Ok(($($field,)+)),
                    ($($field,)+) => {
                        let mut faults = Vec::new();
                        $(faults.extend($field.err().into_iter().flatten());)+
                        Err(faults)
                    }
                }
            }
        }
    };
}

fields!(a: A);
fields!(a: A, b: B);
fields!(a: A, b: B, c: C);
fields!(a: A, b: B, c: C, d: D);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Name, Quantity, Reason, parse_object};

    fn body(text: &str) -> Body {
        Body::new(parse_object(text.as_bytes()).unwrap())
    }

    #[test]
    fn all_faults_are_reported_together_unknown_fields_included() {
        let mut body = body(
            r#"{"name": "a\nb", "quantity": 1.5, "price": {"amount": -1, "currency": "x", "tip": 1}, "nmae": 1}"#,
        );
        let name = body.text::<Name>("name");
        let reason = body.text::<Reason>("reason");
        let quantity = body.integer::<Quantity>("quantity");
        let price = body.unit_price("price");
        let Err(Error::Invalid(faults)) = body.finish((name, reason, quantity, price)) else { panic!() };
        let faults: Vec<String> = faults.iter().map(|f| format!("{}: {}", f.field, f.reason)).collect();
        insta::assert_snapshot!(faults.join("\n"), @r"
        name: must be 1 to 100 characters, one of them visible, without control characters
        reason: is required
        quantity: must be an integer from 1 to 1000
        price.amount: must be an integer from 0 to 1000000000
        price.currency: must be the ISO 4217 code of a currency to pay in, such as EUR
        price.tip: is not a field of this request
        nmae: is not a field of this request
        ");
    }

    #[test]
    fn a_valid_body_gives_its_values_and_an_unknown_field_makes_it_invalid() {
        let mut sound = body(r#"{"name": "Tea"}"#);
        let (name, reason) = (sound.text::<Name>("name"), sound.optional_text::<Reason>("reason"));
        let (name, reason) = sound.finish((name, reason)).unwrap();
        assert_eq!((name.as_str(), reason), ("Tea", None));
        let mut more = body(r#"{"name": "Tea", "nmae": "Tea"}"#);
        let name = more.text::<Name>("name");
        assert!(more.finish((name,)).is_err(), "an unknown field is a fault, even beside valid values");
    }
}

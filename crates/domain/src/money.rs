//! Money in whole minor units of an ISO 4217 currency. Nothing here uses floating point.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, InvalidField, text::Stored};

/// The most that one unit may cost, in minor units.
pub const MAX_UNIT_PRICE: u64 = 1_000_000_000;

/// The most that an order may cost, in minor units: 50 lines of 1,000 units at the highest price. The state machine's
/// JSONata counts in doubles, which are exact up to 2^53. This limit is far below.
pub(crate) const MAX_AMOUNT: u64 = 50 * 1_000 * MAX_UNIT_PRICE;

/// An ISO 4217 currency, by its three-letter code.
///
/// `TryFrom<String>` refuses the codes that nobody pays in: metals (XAG, XAU, XPD, XPT), units of account (XAD, XBA to
/// XBD, XDR, XSU, XUA), the code for tests (XTS) and that for no currency (XXX). Most have no minor unit either, in which
/// money is counted here. serde takes them too: a row may have been written before they were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "String")]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// The three-letter code.
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// The number of decimal places of an amount in major units: 2 for EUR, 0 for JPY.
    pub fn minor_digits(self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }
}

impl Currency {
    fn checked(code: &str, valid: fn(iso_currency::Currency) -> bool) -> Result<Self, Error> {
        iso_currency::Currency::from_code(code).filter(|currency| valid(*currency)).map(Self).ok_or_else(
            || {
                let reason = "must be the ISO 4217 code of a currency to pay in, such as EUR";
                Error::Invalid(vec![InvalidField::new("currency", reason)])
            },
        )
    }
}

impl TryFrom<String> for Currency {
    type Error = Error;

    fn try_from(code: String) -> Result<Self, Error> {
        Self::checked(&code, |currency| !currency.is_special())
    }
}

impl TryFrom<Stored> for Currency {
    type Error = Error;

    fn try_from(Stored(code): Stored) -> Result<Self, Error> {
        Self::checked(&code, |_any| true)
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.code().to_owned()
    }
}

#[derive(Serialize, Deserialize)]
struct Parts {
    amount: u64,
    currency: Currency,
}

/// An amount in minor units, 0 to 5 x 10^13, and its currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Money {
    amount: u64,
    currency: Currency,
}

impl Money {
    /// `amount` minor units of `currency`.
    pub fn new(amount: u64, currency: Currency) -> Result<Self, Error> {
        if amount <= MAX_AMOUNT {
            Ok(Self { amount, currency })
        } else {
            Err(Error::Invalid(vec![InvalidField::new(
                "amount",
                format!("must be an integer from 0 to {MAX_AMOUNT}"),
            )]))
        }
    }

    /// The amount in minor units, such as cents.
    pub fn amount(self) -> u64 {
        self.amount
    }

    /// The currency that the amount is in.
    pub fn currency(self) -> Currency {
        self.currency
    }
}

impl TryFrom<Parts> for Money {
    type Error = Error;

    fn try_from(parts: Parts) -> Result<Self, Error> {
        Self::new(parts.amount, parts.currency)
    }
}

impl From<Money> for Parts {
    fn from(money: Money) -> Self {
        Self { amount: money.amount, currency: money.currency }
    }
}

/// Written as `18.00 USD`, with as many decimal places as the currency has.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.currency.minor_digits();
        let unit = 10_u64.pow(digits);
        if digits == 0 {
            write!(f, "{} {}", self.amount, self.currency.code())
        } else {
            let width = digits as usize;
            write!(f, "{}.{:0width$} {}", self.amount / unit, self.amount % unit, self.currency.code())
        }
    }
}

/// The price of one unit: [`Money`] of at most [`MAX_UNIT_PRICE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Money", into = "Money")]
pub struct UnitPrice(Money);

impl UnitPrice {
    /// The price as [`Money`]. Sums need it, because a sum may exceed [`MAX_UNIT_PRICE`].
    pub fn money(self) -> Money {
        self.0
    }
}

impl TryFrom<Money> for UnitPrice {
    type Error = Error;

    fn try_from(money: Money) -> Result<Self, Error> {
        if money.amount <= MAX_UNIT_PRICE {
            Ok(Self(money))
        } else {
            Err(Error::Invalid(vec![InvalidField::new(
                "amount",
                format!("must be an integer from 0 to {MAX_UNIT_PRICE}"),
            )]))
        }
    }
}

impl From<UnitPrice> for Money {
    fn from(price: UnitPrice) -> Self {
        price.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(amount: u64, code: &str) -> Money {
        Money::new(amount, Currency::try_from(code.to_owned()).unwrap()).unwrap()
    }

    #[test]
    fn an_amount_is_written_with_the_decimal_places_of_its_currency() {
        assert_eq!(money(1800, "USD").to_string(), "18.00 USD");
        assert_eq!(money(5, "EUR").to_string(), "0.05 EUR");
        assert_eq!(money(1800, "JPY").to_string(), "1800 JPY");
        assert_eq!(money(1801, "KWD").to_string(), "1.801 KWD");
    }

    #[test]
    fn a_price_is_in_a_currency_to_pay_in_and_a_row_of_before_can_be_read() {
        let refused = |code: &&str| Currency::try_from((*code).to_owned()).is_err();
        let odd = [
            "XAD", "XAG", "XAU", "XBA", "XBB", "XBC", "XBD", "XDR", "XPD", "XPT", "XSU", "XTS", "XUA", "XXX",
        ];
        for code in odd {
            assert!(refused(&code), "{code}");
            let row = format!(r#"{{"amount": 5, "currency": "{code}"}}"#);
            assert_eq!(serde_json::from_str::<Money>(&row).unwrap().currency().code(), code);
        }
        // Of all codes, those are refused. The letters are all that a code can have.
        let letters = || 'A'..='Z';
        let all =
            letters().flat_map(|a| letters().flat_map(move |b| letters().map(move |c| format!("{a}{b}{c}"))));
        let known = all.filter(|code| iso_currency::Currency::from_code(code).is_some());
        let found: Vec<String> = known.filter(|code| refused(&code.as_str())).collect();
        assert_eq!(found, odd);
        assert!(["EUR", "XAF", "XCD", "XCG", "XOF", "XPF", "CLF"].iter().all(|code| !refused(code)));
    }

    #[test]
    fn an_amount_out_of_range_or_in_an_unknown_currency_is_refused() {
        for bad in [
            r#"{"amount": 50000000000001, "currency": "EUR"}"#,
            r#"{"amount": -1, "currency": "EUR"}"#,
            r#"{"amount": 1.5, "currency": "EUR"}"#,
            r#"{"amount": 1, "currency": "EURO"}"#,
            r#"{"amount": 1, "currency": "eur"}"#,
            r#"{"amount": 1, "currency": "QQQ"}"#,
        ] {
            assert!(serde_json::from_str::<Money>(bad).is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<UnitPrice>(r#"{"amount": 1000000000, "currency": "EUR"}"#).is_ok());
        assert!(serde_json::from_str::<UnitPrice>(r#"{"amount": 1000000001, "currency": "EUR"}"#).is_err());
    }
}

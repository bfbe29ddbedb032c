//! Money: exact decimal amounts, and the currencies of ISO 4217.
//!
//! Invariant: an [`Amount`] is from 0 to 999 999 999 999.999 with at most three decimals: fifteen digits, which
//! survive every JSON reader, also one that reads numbers as binary floating point.
//! Not here: adding up amounts of different currencies; nobody may.

use iso_currency::Currency as Iso;
use rust_decimal::Decimal;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use std::fmt;
use std::str::FromStr as _;

/// Decimals an amount keeps; no currency in use has more.
const DECIMALS_MAX: u32 = 3;
/// The largest amount, in thousandths.
const THOUSANDTHS_MAX: i64 = 999_999_999_999_999;

/// A sum of money without its currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Amount(Decimal);

/// Why an amount was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAmount {
    /// Not a number.
    #[error("must be a number")]
    NotANumber,
    /// Below zero.
    #[error("must not be negative")]
    Negative,
    /// Beyond what is kept exactly.
    #[error("must be at most 999999999999.999")]
    Large,
    /// More decimals than money has.
    #[error("must have at most three decimals")]
    Fine,
}

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(Decimal::ZERO);

    /// Reads a decimal number such as `1250.50`.
    pub fn parse(text: &str) -> Result<Self, BadAmount> {
        let number = Decimal::from_str(text).or_else(|_| Decimal::from_scientific(text));
        Self::of(number.map_err(|_| BadAmount::NotANumber)?)
    }

    /// Reads a JSON number, by the digits it is written with.
    pub fn of_json(number: &serde_json::Number) -> Result<Self, BadAmount> {
        Self::parse(&number.to_string()).map_err(|bad| match (bad, number.as_f64()) {
            // A number too long for any decimal is refused for its size, not for its form.
            (BadAmount::NotANumber, Some(number)) if number >= 1.0 => BadAmount::Large,
            (BadAmount::NotANumber, Some(number)) if number < 0.0 => BadAmount::Negative,
            (BadAmount::NotANumber, Some(_)) => BadAmount::Fine,
            (bad, _) => bad,
        })
    }

    /// Takes thousandths as the store gave them.
    pub fn trusted(thousandths: i64) -> Self {
        Self(Decimal::new(thousandths, DECIMALS_MAX).normalize())
    }

    /// The amount in thousandths, for columns that sort and add up.
    pub fn thousandths(self) -> i64 {
        let mut scaled = self.0;
        scaled.rescale(DECIMALS_MAX);
        scaled.mantissa() as i64
    }

    /// The decimal number.
    pub fn decimal(self) -> Decimal {
        self.0
    }

    fn of(number: Decimal) -> Result<Self, BadAmount> {
        let number = number.normalize();
        if number.is_sign_negative() && !number.is_zero() {
            return Err(BadAmount::Negative);
        }
        if number > Decimal::new(THOUSANDTHS_MAX, DECIMALS_MAX) {
            return Err(BadAmount::Large);
        }
        if number.scale() > DECIMALS_MAX { Err(BadAmount::Fine) } else { Ok(Self(number.abs())) }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        as_number(self.0, serializer)
    }
}

/// Writes a decimal as a JSON number with its own digits.
pub fn as_number<S: Serializer>(number: Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    use serde::ser::Error as _;
    RawValue::from_string(number.normalize().to_string()).map_err(S::Error::custom)?.serialize(serializer)
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::of_json(&serde_json::Number::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// A currency of ISO 4217, by its three letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Currency(Iso);

/// Letters that name no currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an ISO 4217 currency code, such as USD")]
pub struct BadCurrency;

impl Currency {
    /// Reads a code, in either case.
    pub fn parse(text: &str) -> Result<Self, BadCurrency> {
        Iso::from_code(&text.to_ascii_uppercase()).map(Self).ok_or(BadCurrency)
    }

    /// The three letters.
    pub fn code(self) -> &'static str {
        self.0.code()
    }
}

/// The dollar, where nobody said anything.
impl Default for Currency {
    fn default() -> Self {
        Self(Iso::USD)
    }
}

impl PartialOrd for Currency {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Currency {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.code().cmp(other.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.code().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn amounts_outside_what_is_exact_are_refused_with_their_reason() {
        let number = |text: &str| serde_json::from_str::<serde_json::Number>(text).unwrap();
        for (text, bad) in [
            ("-1", BadAmount::Negative),
            ("-0.001", BadAmount::Negative),
            ("1000000000000", BadAmount::Large),
            ("1e300", BadAmount::Large),
            ("-1e300", BadAmount::Negative),
            ("0.0001", BadAmount::Fine),
            ("1e-300", BadAmount::Fine),
        ] {
            assert_eq!(Amount::of_json(&number(text)), Err(bad), "{text}");
        }
        assert_eq!(Amount::of_json(&number("-0.0")), Ok(Amount::ZERO));
        assert_eq!(Amount::of_json(&number("5e4")), Amount::parse("50000"));
        assert_eq!(Amount::parse("a lot"), Err(BadAmount::NotANumber));
    }

    #[test]
    fn currencies_are_known_by_their_code_in_either_case() {
        assert_eq!(Currency::parse("usd").map(Currency::code), Ok("USD"));
        for text in ["", "US", "DOLLAR", "ZZZ", "U$D"] {
            assert_eq!(Currency::parse(text), Err(BadCurrency), "{text}");
        }
    }

    proptest! {
        #[test]
        fn an_amount_survives_json_and_the_store(thousandths in 0..=THOUSANDTHS_MAX) {
            let amount = Amount::trusted(thousandths);
            let text = serde_json::to_string(&amount).unwrap();
            let through_floats = serde_json::from_str::<serde_json::Value>(&text).unwrap();

            prop_assert_eq!(amount.thousandths(), thousandths);
            prop_assert_eq!(serde_json::from_str::<Amount>(&text).unwrap(), amount);
            prop_assert_eq!(serde_json::from_value::<Amount>(through_floats).unwrap(), amount);
            prop_assert_eq!(Amount::parse(&amount.to_string()), Ok(amount));
        }
    }
}

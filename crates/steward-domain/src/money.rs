//! Exact money: whole pico-dollars (10⁻¹² USD), shown and read as decimal text. No floating point.

use std::borrow::Cow;
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const PICO_DIGITS: usize = 12;
const PICO_PER_USD: i128 = 1_000_000_000_000;

/// An amount in US dollars, exact to 10⁻¹² USD.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Usd(i128);

/// Why a text is no amount.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no amount in USD: write digits with at most 12 after the point, such as 0.50")]
pub struct NotAnAmount {
    text: String,
}

impl Usd {
    /// Nothing.
    pub const ZERO: Usd = Usd(0);

    /// An amount from pico-dollars.
    pub const fn from_pico(pico: i128) -> Self {
        Usd(pico)
    }

    /// The amount in pico-dollars.
    pub const fn pico(self) -> i128 {
        self.0
    }

    /// The amount `count` times.
    pub fn times(self, count: u64) -> Self {
        Usd(self.0.saturating_mul(i128::from(count)))
    }

    /// A number from a configuration file, read through its shortest decimal form so that `0.1` is exactly 0.1.
    ///
    /// # Errors
    /// When the number is not finite or has more than 12 decimals.
    pub fn from_config(number: f64) -> Result<Self, NotAnAmount> {
        format!("{number}").parse()
    }
}

impl Add for Usd {
    type Output = Usd;
    fn add(self, other: Usd) -> Usd {
        Usd(self.0.saturating_add(other.0))
    }
}

impl Sub for Usd {
    type Output = Usd;
    fn sub(self, other: Usd) -> Usd {
        Usd(self.0.saturating_sub(other.0))
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Usd) {
        *self = *self + other;
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Usd>>(amounts: I) -> Usd {
        amounts.fold(Usd::ZERO, Add::add)
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let whole = self.0.unsigned_abs() / PICO_PER_USD.unsigned_abs();
        let fraction = self.0.unsigned_abs() % PICO_PER_USD.unsigned_abs();
        if fraction == 0 {
            return write!(f, "{sign}{whole}");
        }
        let digits = format!("{fraction:0PICO_DIGITS$}");
        write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl FromStr for Usd {
    type Err = NotAnAmount;

    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        let refuse = || NotAnAmount { text: text.to_owned() };
        let (is_negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let is_well_formed =
            !whole.is_empty() && whole.len() <= 18 && fraction.len() <= PICO_DIGITS && is_digits(whole) && is_digits(fraction);
        if !is_well_formed {
            return Err(refuse());
        }
        let padded = format!("{fraction:0<PICO_DIGITS$}");
        let whole: i128 = whole.parse().map_err(|_| refuse())?;
        let fraction: i128 = padded.parse().map_err(|_| refuse())?;
        let pico = whole * PICO_PER_USD + fraction;
        Ok(Usd(if is_negative { -pico } else { pico }))
    }
}

impl JsonSchema for Usd {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Usd".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "decimal"})
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;

//! Sums of money without rounding.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};
use std::{fmt, str::FromStr};

/// A sum of money in hundredths of its currency: the column type `Decimal128(18, 2)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(i64);

/// One more than the largest sum of eighteen digits, in hundredths.
const TOO_MUCH: f64 = 1e18;

impl Amount {
    /// The sum of that many hundredths; none where the column has no room for it.
    pub fn from_hundredths(hundredths: i64) -> Option<Self> {
        ((hundredths.unsigned_abs() as f64) < TOO_MUCH).then_some(Self(hundredths))
    }

    /// The sum nearest to a number; none where the column has no room for it.
    pub fn nearest(value: f64) -> Option<Self> {
        let hundredths = (value * 100.0).round();
        (hundredths.is_finite() && hundredths.abs() < TOO_MUCH).then_some(Self(hundredths as i64))
    }

    /// In hundredths.
    pub fn hundredths(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, all) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        write!(f, "{sign}{}.{:02}", all / 100, all % 100)
    }
}

impl FromStr for Amount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no sum of money, such as 1200.50");
        let (sign, digits) = text.strip_prefix('-').map_or((1, text), |rest| (-1, rest));
        let (whole, cents) = digits.split_once('.').unwrap_or((digits, "00"));
        let plain = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !plain(whole) || !plain(cents) || cents.len() > 2 {
            return Err(wrong());
        }
        let all: i64 = format!("{whole}{cents:0<2}").parse().map_err(|_| wrong())?;
        Self::from_hundredths(sign * all).ok_or_else(wrong)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_their_spelling() {
        for (hundredths, text) in [(0, "0.00"), (5, "0.05"), (120_050, "1200.50"), (-7, "-0.07"), (100, "1.00")] {
            let amount = Amount::from_hundredths(hundredths).unwrap();
            assert_eq!(amount.to_string(), text);
            assert_eq!(text.parse(), Ok(amount));
        }
        assert_eq!("12".parse::<Amount>().unwrap().hundredths(), 1200);
        assert_eq!("12.5".parse::<Amount>().unwrap().hundredths(), 1250);
        for wrong in ["", "-", "1.", ".5", "1.005", "a", "--1", "1e3", "99999999999999999999"] {
            assert!(wrong.parse::<Amount>().is_err(), "{wrong}");
        }
        assert_eq!(Amount::nearest(0.295).map(Amount::hundredths), Some(30));
        assert_eq!(Amount::nearest(1e16), None);
        assert_eq!(Amount::nearest(f64::NAN), None);
    }
}

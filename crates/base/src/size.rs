//! Byte sizes as people write them.

use core::fmt;
use core::str::FromStr;

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// Why a text is not a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseSizeError {
    /// There is no number in front, or it is not digits with at most one point.
    #[error("size `{text}` is no number: expected one like `512m` or `1.5GiB`")]
    Number {
        /// The text as written, cut to 64 characters.
        text: String,
    },
    /// What follows the number is no unit.
    #[error("size has the unknown unit `{unit}`: expected b, k, m, g, t or p")]
    Unit {
        /// The unit as written, cut to 64 characters.
        unit: String,
    },
    /// The size is more than 2^64 - 1 bytes.
    #[error("size `{text}` is too large")]
    TooLarge {
        /// The text as written, cut to 64 characters.
        text: String,
    },
}

/// Steps of 1024, from bytes up.
const UNITS: [char; 7] = ['B', 'K', 'M', 'G', 'T', 'P', 'E'];

impl ByteSize {
    /// Returns the number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

impl FromStr for ByteSize {
    type Err = ParseSizeError;

    /// Reads digits, at most one point, and a unit of 1024 steps in any case: `k`, `kb` and `KiB`
    /// are all 1024 bytes, as with Docker and Podman. A fraction of a byte is dropped.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return Err(ParseSizeError::Number { text: excerpt(text) });
        }
        let shift = shift_of(unit.trim_start())
            .ok_or_else(|| ParseSizeError::Unit { unit: excerpt(unit.trim()) })?;
        combine(whole, fraction, shift)
            .map(Self)
            .ok_or_else(|| ParseSizeError::TooLarge { text: excerpt(text) })
    }
}

/// Returns the power of two of a unit.
fn shift_of(unit: &str) -> Option<u32> {
    let mut rest = unit.chars();
    let Some(first) = rest.next() else { return Some(0) };
    let first = first.to_ascii_uppercase();
    let step = UNITS.iter().zip(0u32..).find(|(name, _)| **name == first)?.1;
    let rest = rest.as_str();
    let known = rest.is_empty()
        || step > 0 && (rest.eq_ignore_ascii_case("b") || rest.eq_ignore_ascii_case("ib"));
    known.then_some(step * 10)
}

/// Returns `whole.fraction << shift`, in 128 bits so that only the result can be too large.
fn combine(whole: &str, fraction: &str, shift: u32) -> Option<u64> {
    let whole = u128::from(whole.parse::<u64>().ok()?).checked_shl(shift)?;
    // 18 digits are exact in what follows: 10^18 << 60 is below 2^120.
    let fraction = fraction.get(..fraction.len().min(18))?;
    let scale = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let fraction =
        u128::from(fraction.parse::<u64>().ok()?).checked_shl(shift)?.checked_div(scale)?;
    u64::try_from(whole.checked_add(fraction)?).ok()
}

fn excerpt(text: &str) -> String {
    text.chars().take(64).collect()
}

impl fmt::Display for ByteSize {
    /// Writes at most one decimal, rounded down: `512 B`, `1.5 GiB`, `120 MiB`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = self.0.checked_ilog2().unwrap_or(0) / 10;
        let shift = step * 10;
        let unit =
            UNITS.iter().zip(0u32..).find(|(_, at)| *at == step).map_or('B', |(name, _)| *name);
        let whole = self.0 >> shift;
        let tenths = ((u128::from(self.0) * 10) >> shift) % 10;
        match (step, tenths) {
            (0, _) => write!(f, "{whole} B"),
            (_, 0) => write!(f, "{whole} {unit}iB"),
            _ if whole >= 100 => write!(f, "{whole} {unit}iB"),
            _ => write!(f, "{whole}.{tenths} {unit}iB"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, bytes) in [
            ("0", 0),
            ("512", 512),
            ("512b", 512),
            ("1k", 1024),
            ("1kb", 1024),
            ("1KiB", 1024),
            ("512m", 512 << 20),
            ("1.5GiB", 3 << 29),
            ("1.5 g", 3 << 29),
            (" 2T ", 2 << 40),
            ("0.5k", 512),
            ("0.0001k", 0),
            ("15.99999999999999999999e", 18446744073709551614),
            ("18446744073709551615", u64::MAX),
            ("15E", 15 << 60),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "m",
            "-1",
            "+1",
            "1..5",
            "1.",
            ".5",
            "1,5g",
            "0x10",
            "1e3",
            "1bb",
            "1bib",
            "1x",
            "1kk",
            "1 kib b",
            "١k",
            "16e",
            "18446744073709551616",
            "99999999999999999999g",
        ] {
            assert!(text.parse::<ByteSize>().is_err(), "{text}");
        }
    }

    #[test]
    fn writes_for_people() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (120 << 20, "120 MiB"),
            ((120 << 20) + (1 << 19), "120 MiB"),
            (3 << 29, "1.5 GiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
    }
}

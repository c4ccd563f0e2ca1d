//! Numbers among the words.

use std::ffi::OsStr;

use super::LineError;

/// Decimal digits, nothing else.
fn decimal(word: &OsStr) -> Option<i32> {
    let text = word.to_str()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The number of a descriptor.
pub(super) fn descriptor(word: &OsStr) -> Result<i32, LineError> {
    decimal(word).ok_or_else(|| LineError::Number { what: "fd", word: word.to_owned() })
}

/// The number of a user or group.
pub(super) fn id(what: &'static str, word: &OsStr) -> Result<u32, LineError> {
    let number = decimal(word).and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| LineError::Number { what, word: word.to_owned() })
}

/// Permission bits.
pub(super) fn octal(option: &str, word: &OsStr) -> Result<u32, LineError> {
    let bits = word.to_str().filter(|text| !text.starts_with('+'));
    let bits = bits.and_then(|text| u32::from_str_radix(text, 8).ok());
    bits.filter(|bits| *bits <= 0o7777)
        .ok_or_else(|| LineError::Octal { option: option.to_owned() })
}

/// Bytes: decimal, or hexadecimal and octal as C writes them.
pub(super) fn size(word: &OsStr) -> Result<u64, LineError> {
    /// Half of what an address counts.
    const MOST: u64 = u64::MAX / 2;
    let text = word.to_str().filter(|text| text.starts_with(|first: char| first.is_ascii_digit()));
    let parsed = text.and_then(|text| {
        if let Some(digits) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            return u64::from_str_radix(digits, 16).ok();
        }
        if text.len() > 1 && text.starts_with('0') {
            return u64::from_str_radix(text, 8).ok();
        }
        text.parse().ok()
    });
    let parsed = parsed.filter(|size| *size > 0).ok_or(LineError::Size)?;
    if parsed > MOST { Err(LineError::LargeSize { most: MOST }) } else { Ok(parsed) }
}

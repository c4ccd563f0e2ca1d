//! Arbitrary bytes as file names.

use crate::error::{Result, StoreError};

/// Longest file name on Linux, in bytes.
const LIMIT: usize = 255;

/// Turns a name into a file name: letters, digits, `_`, `-`, and `.` except in front stay, every
/// other byte becomes `%` and two hex digits.
pub(crate) fn encode(name: &[u8]) -> Result<String> {
    let mut file = String::with_capacity(name.len());
    for (at, byte) in name.iter().enumerate() {
        let plain = byte.is_ascii_alphanumeric()
            || matches!(byte, b'_' | b'-')
            || (*byte == b'.' && at > 0);
        if plain {
            file.push(char::from(*byte));
        } else {
            file.push_str(&format!("%{byte:02x}"));
        }
    }
    if file.is_empty() || file.len() > LIMIT {
        return Err(StoreError::BadName { length: name.len(), limit: LIMIT });
    }
    Ok(file)
}

/// Reverses [`encode`]; `None` for what it never makes.
pub(crate) fn decode(file: &[u8]) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(file.len());
    let mut rest = file;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            name.push(*first);
            continue;
        }
        let (hex, after) = rest.split_at_checked(2)?;
        name.push(u8::from_str_radix(core::str::from_utf8(hex).ok()?, 16).ok()?);
        rest = after;
    }
    let canonical = encode(&name).ok()?;
    (canonical.as_bytes() == file).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_never_leave_the_directory() {
        for name in
            [&b"docker.io/library/debian:12"[..], b"..", b".", b".tmp-x", b"%2f", b"\0\xff", b"a.b"]
        {
            let file = encode(name).unwrap();
            assert!(!file.starts_with('.') && !file.contains('/') && !file.contains('\0'));
            assert_eq!(decode(file.as_bytes()).as_deref(), Some(name));
        }
        assert!(encode(b"").is_err());
        assert!(encode(&[b'/'; 100]).is_err());
        for file in [&b"%2F"[..], b"%", b"%4", b"%61", b".a", b"a/b"] {
            assert_eq!(decode(file), None, "{file:?}");
        }
    }
}

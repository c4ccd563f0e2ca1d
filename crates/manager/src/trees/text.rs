//! Names, which are bytes, as text.

use creel_base::printable::{acts, push_escaped};
use serde::Serialize;

/// A path for programs: text, and where it is none the bytes as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PathText {
    /// The path, with U+FFFD for what is not UTF-8.
    pub path: String,
    /// The bytes in hex, where they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_hex: Option<String>,
}

impl From<&[u8]> for PathText {
    fn from(path: &[u8]) -> Self {
        let path_hex = core::str::from_utf8(path).is_err().then(|| hex(path));
        Self { path: String::from_utf8_lossy(path).into_owned(), path_hex }
    }
}

/// Bytes as lower-case hex digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A name that is safe to print on one line: what could move the cursor, end the line, turn the
/// direction of writing or is not UTF-8 is escaped as in C and Rust, the backslash too.
pub fn text(name: &[u8]) -> String {
    let mut out = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                c if acts(c) => push_escaped(&mut out, c),
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_acts_on_a_terminal_gets_through() {
        for (name, shown) in [
            (&b"plain-name.txt"[..], "plain-name.txt"),
            ("grün".as_bytes(), "grün"),
            (b"a\nb\x1b[31m\\", "a\\nb\\x1b[31m\\\\"),
            (b"\xff\x80x", "\\xff\\x80x"),
            ("\u{202e}gpj.exe".as_bytes(), "\\u{202e}gpj.exe"),
            ("\u{9b}2J".as_bytes(), "\\u{9b}2J"),
        ] {
            assert_eq!(text(name), shown);
        }
    }

    #[test]
    fn bytes_that_are_no_text_come_in_hex_too() {
        assert_eq!(PathText::from(&b"a/b"[..]), PathText { path: "a/b".into(), path_hex: None });
        assert_eq!(PathText::from(&b"a\xff"[..]).path_hex.as_deref(), Some("61ff"));
    }
}

//! Text of others, safe for a terminal: what images, registries, files and arguments are called may
//! hold escape sequences, and characters that make a line look like another.

use std::borrow::Cow;

/// Returns whether a character acts instead of being seen: it moves the cursor, begins an escape
/// sequence, ends a line, turns the direction of writing, or is invisible.
///
/// Those are the control characters (C0, DEL and C1), and of Unicode 16's general categories Zl, Zp
/// and Cf those in the blocks that terminals act on.
pub fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{e0000}'..='\u{e007f}')
}

/// Adds a character that [`acts`], escaped as in C and Rust.
pub fn push_escaped(out: &mut String, c: char) {
    match c {
        '\n' => out.push_str("\\n"),
        '\t' => out.push_str("\\t"),
        '\r' => out.push_str("\\r"),
        c if c.is_ascii() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
        c => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
    }
}

/// Returns a text for one line of a terminal: what [`acts`] is escaped. The backslash stays as it is,
/// so that this is for reading and cannot be undone.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, acts)
}

/// As [`printable`], for text that has lines of its own.
pub fn printable_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c != '\n' && acts(c))
}

fn escaped(text: &str, bad: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&bad) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if bad(c) {
            push_escaped(&mut out, c);
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_escaped_and_all_else_stays() {
        for (text, shown) in [
            ("plain", "plain"),
            ("gr\u{fc}n \\ `x` \u{1f980}", "gr\u{fc}n \\ `x` \u{1f980}"),
            ("\x1b]0;own\x07\x1b[31m", "\\x1b]0;own\\x07\\x1b[31m"),
            ("a\r\nb\tc\x7f", "a\\r\\nb\\tc\\x7f"),
            ("\u{9b}2J\u{85}", "\\u{9b}2J\\u{85}"),
            ("\u{202e}gpj\u{2066}\u{2028}\u{61c}", "\\u{202e}gpj\\u{2066}\\u{2028}\\u{61c}"),
        ] {
            assert_eq!(printable(text), shown);
        }
        assert_eq!(printable_lines("a\nb\x1b\r\n"), "a\nb\\x1b\\r\n");
    }
}

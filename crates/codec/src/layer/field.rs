//! Header blocks and PAX records, as they are written.

pub(super) use super::header::BLOCK;

/// A header being filled in.
pub(super) struct Block([u8; BLOCK]);

impl Block {
    pub(super) fn new(kind: u8) -> Self {
        let mut block = Self([0; BLOCK]);
        for (at, len) in [(108, 8), (116, 8), (124, 12), (136, 12), (329, 8), (337, 8)] {
            block.number(at, len, 0);
        }
        block.put(156, &[kind]);
        block.put(257, b"ustar\x0000");
        block
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(field) = self.0.get_mut(at..at + bytes.len()) {
            field.copy_from_slice(bytes);
        }
    }

    /// Writes a text, cut where it is longer than its field; tells whether all of it is there.
    pub(super) fn text(&mut self, at: usize, len: usize, text: &[u8]) -> bool {
        self.put(at, text.get(..len).unwrap_or(text));
        text.len() <= len
    }

    /// Writes octal digits and a NUL; tells whether they fit. A field that does not fit stays.
    pub(super) fn number(&mut self, at: usize, len: usize, value: u64) -> bool {
        let digits = format!("{value:0width$o}\0", width = len - 1);
        let fits = digits.len() == len;
        if fits {
            self.put(at, digits.as_bytes());
        }
        fits
    }

    /// Writes device numbers, in base 256 where octal digits do not hold them: PAX has no record
    /// for them.
    pub(super) fn device(&mut self, (major, minor): (u32, u32)) -> Result<(), &'static str> {
        for (at, value) in [(329, major), (337, minor)] {
            if !self.number(at, 8, value.into()) {
                let mut field = [0x80, 0, 0, 0, 0, 0, 0, 0];
                let (_, low) = field.split_last_chunk_mut().ok_or("its device number")?;
                *low = value.to_be_bytes();
                self.put(at, &field);
            }
        }
        Ok(())
    }

    /// Adds the checksum.
    pub(super) fn finish(mut self) -> [u8; BLOCK] {
        self.put(148, b"        ");
        let sum: u32 = self.0.iter().map(|byte| u32::from(*byte)).sum();
        self.put(148, format!("{sum:06o}\0 ").as_bytes());
        self.0
    }
}

/// Writes a PAX record: its own length in decimal, key, value.
pub(super) fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    // Space, `=` and line feed.
    let body = key.len() + value.len() + 3;
    let digits = |number: usize| number.to_string().len();
    let mut length = body + digits(body);
    if body + digits(length) != length {
        length = body + digits(length);
    }
    [format!("{length} ").as_bytes(), key, b"=", value, b"\n"].concat()
}

/// Writes a time that is given as seconds rounded down and nanoseconds; `None` out of range.
pub(super) fn time(seconds: i64, nanoseconds: u32) -> Option<String> {
    let (sign, whole, part) = match (seconds < 0, nanoseconds) {
        (false, part) => ("", seconds, part),
        (true, 0) => ("-", seconds.checked_neg()?, 0),
        (true, part) => {
            ("-", seconds.checked_add(1)?.checked_neg()?, 1_000_000_000_u32.checked_sub(part)?)
        }
    };
    let digits = format!("{part:09}");
    let digits = digits.trim_end_matches('0');
    let point = if digits.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{point}{digits}"))
}

/// Writes base64 (RFC 4648 section 4), padded.
pub(super) fn base64(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = Vec::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().chain([&0; 2]).take(3);
        let bits = group.fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte));
        for (number, shift) in [18, 12, 6, 0].into_iter().enumerate() {
            let digit = DIGITS.get(bits >> shift & 0x3f).filter(|_| number <= chunk.len());
            out.push(digit.copied().unwrap_or(b'='));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_count_their_own_length() {
        assert_eq!(record(b"a", b"b"), b"6 a=b\n");
        for length in 0..1200 {
            let record = record(b"key", &vec![b'v'; length]);
            let digits: String =
                record.iter().take_while(|b| b.is_ascii_digit()).map(|b| char::from(*b)).collect();
            assert_eq!(digits.parse::<usize>().unwrap(), record.len());
        }
    }

    #[test]
    fn times_are_decimal() {
        for (seconds, nanoseconds, text) in [
            (0, 0, Some("0")),
            (1, 500_000_000, Some("1.5")),
            (1, 1, Some("1.000000001")),
            (-1, 0, Some("-1")),
            (-1, 500_000_000, Some("-0.5")),
            (-2, 999_999_999, Some("-1.000000001")),
            (i64::MAX, 0, Some("9223372036854775807")),
            (i64::MIN, 0, None),
        ] {
            assert_eq!(time(seconds, nanoseconds).as_deref(), text);
        }
    }

    #[test]
    fn base64_is_padded() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(bytes.as_bytes()), text.as_bytes());
        }
    }
}

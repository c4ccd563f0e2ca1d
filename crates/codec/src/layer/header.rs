//! Tar header blocks.
//!
//! Source: POSIX.1-2017 pax, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format".

/// Bytes of a block.
pub(super) const BLOCK: usize = 512;

/// Which fields a header has after the magic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Before POSIX: nothing after the link name.
    V7,
    /// POSIX: a prefix of the name.
    Ustar,
    /// Old GNU: sparse map where the prefix would be.
    Gnu,
}

/// A header block whose checksum holds.
#[derive(Clone, Copy)]
pub(super) struct Header<'a>(&'a [u8; BLOCK]);

impl<'a> Header<'a> {
    /// Takes a block; `None` if its checksum is wrong. Some old tars summed signed bytes.
    pub(super) fn new(block: &'a [u8; BLOCK]) -> Option<Self> {
        let header = Self(block);
        let stated = i64::try_from(number(header.bytes(148, 8))?).ok()?;
        let sum = |value: fn(u8) -> i64| -> i64 {
            let all: i64 = block.iter().map(|byte| value(*byte)).sum();
            let field: i64 = header.bytes(148, 8).iter().map(|byte| value(*byte)).sum();
            all - field + 8 * i64::from(b' ')
        };
        let holds = stated == sum(i64::from) || stated == sum(|byte| i64::from(byte.cast_signed()));
        holds.then_some(header)
    }

    /// Returns a field.
    pub(super) fn bytes(self, start: usize, len: usize) -> &'a [u8] {
        self.0.get(start..start + len).unwrap_or_default()
    }

    pub(super) fn format(self) -> Format {
        match self.bytes(257, 8) {
            b"ustar  \0" => Format::Gnu,
            [b'u', b's', b't', b'a', b'r', 0, ..] => Format::Ustar,
            _ => Format::V7,
        }
    }

    /// Returns the type flag.
    pub(super) fn kind(self) -> u8 {
        self.bytes(156, 1).first().copied().unwrap_or_default()
    }

    /// Returns the name, with its prefix.
    pub(super) fn name(self) -> Vec<u8> {
        let name = text(self.bytes(0, 100));
        // star keeps times in the last 24 bytes of the prefix, and says so at the very end.
        let prefix = match self.format() {
            Format::Ustar if self.bytes(508, 4) == b"tar\0" => text(self.bytes(345, 131)),
            Format::Ustar => text(self.bytes(345, 155)),
            _ => &[],
        };
        if prefix.is_empty() {
            return name.to_vec();
        }
        [prefix, b"/", name].concat()
    }

    pub(super) fn link(self) -> &'a [u8] {
        text(self.bytes(157, 100))
    }

    pub(super) fn mode(self) -> Option<u64> {
        number(self.bytes(100, 8))
    }

    pub(super) fn uid(self) -> Option<u64> {
        number(self.bytes(108, 8))
    }

    pub(super) fn gid(self) -> Option<u64> {
        number(self.bytes(116, 8))
    }

    pub(super) fn size(self) -> Option<u64> {
        number(self.bytes(124, 12))
    }

    pub(super) fn mtime(self) -> Option<i64> {
        signed(self.bytes(136, 12))
    }

    /// Returns major and minor number of a device.
    pub(super) fn device(self) -> Option<(u32, u32)> {
        if self.format() == Format::V7 {
            return None;
        }
        let part = |start| u32::try_from(number(self.bytes(start, 8))?).ok();
        Some((part(329)?, part(337)?))
    }
}

/// Returns the bytes before the first NUL.
pub(super) fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Reads a number that is not negative.
pub(super) fn number(field: &[u8]) -> Option<u64> {
    match field.first()? {
        // Base 256 (GNU, star): the top bit marks, the next is the sign.
        first if first & 0x80 != 0 => u64::try_from(base256(field)?).ok(),
        _ => octal(field),
    }
}

fn signed(field: &[u8]) -> Option<i64> {
    match field.first()? {
        first if first & 0x80 != 0 => i64::try_from(base256(field)?).ok(),
        _ => i64::try_from(octal(field)?).ok(),
    }
}

/// Reads big-endian two's complement of `8 * len - 1` bits below the mark. Fields have 8 or 12
/// bytes, so that nothing is lost in 128 bits.
fn base256(field: &[u8]) -> Option<i128> {
    let (first, rest) = field.split_first()?;
    let negative = first & 0x40 != 0;
    let top = if negative { i128::from(*first) - 0x100 } else { i128::from(first & 0x7f) };
    rest.iter().try_fold(top, |value, byte| value.checked_mul(256)?.checked_add((*byte).into()))
}

/// Reads octal digits between spaces and NULs; nothing at all is zero.
fn octal(field: &[u8]) -> Option<u64> {
    let filler = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field.iter().position(|byte| !filler(byte)).unwrap_or(field.len());
    let digits = field.get(start..)?;
    let end = digits.iter().position(filler).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at_checked(end)?;
    if !rest.iter().all(filler) {
        return None;
    }
    digits.iter().try_fold(0u64, |value, digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers() {
        for (field, value) in [
            (&b"0000644\0"[..], Some(0o644)),
            (b"   644 \0", Some(0o644)),
            (b"\0\0\0\0\0\0\0\0", Some(0)),
            (b"77777777777", Some(0o77_777_777_777)),
            (b"12x\0", None),
            (b"-1\0", None),
            (b"1 2\0", None),
            (b"\x80\0\0\0\0\0\x01\0", Some(256)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
        ] {
            assert_eq!(number(field), value, "{}", field.escape_ascii());
        }
        assert_eq!(signed(&[0xff; 12]), Some(-1));
        assert_eq!(signed(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfb"), Some(-5));
    }
}

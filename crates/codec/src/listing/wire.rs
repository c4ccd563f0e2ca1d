//! Numbers and byte strings of the listing, and the tags of its kinds.

use super::ListingError;

pub(super) const DIRECTORY: u8 = 0;
pub(super) const FILE: u8 = 1;
pub(super) const SYMLINK: u8 = 2;
pub(super) const CHAR_DEVICE: u8 = 3;
pub(super) const BLOCK_DEVICE: u8 = 4;
pub(super) const FIFO: u8 = 5;
pub(super) const SOCKET: u8 = 6;
pub(super) const WHITEOUT: u8 = 7;
pub(super) const HARD_LINK: u8 = 8;
pub(super) const LOWER_LINK: u8 = 9;
/// The bits of the tag byte that hold the kind.
pub(super) const KIND_MASK: u8 = 0x0f;
/// Flag of a directory that hides what is below it.
pub(super) const OPAQUE: u8 = 0x10;
/// Flag of a directory that was only implied.
pub(super) const IMPLIED: u8 = 0x20;
/// Flag: extended attributes follow the metadata.
pub(super) const XATTRS: u8 = 0x40;

/// Appends a number as unsigned LEB128 of the least length.
pub(super) fn put_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a byte string with its length.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Maps a signed number to an unsigned one, small magnitudes to small numbers.
pub(super) const fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

/// Undoes [`zigzag`].
pub(super) const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Bytes yet to be read.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn byte(&mut self) -> Result<u8, ListingError> {
        let (first, rest) = self.0.split_first().ok_or(ListingError::Truncated)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], ListingError> {
        let (head, rest) = self.0.split_at_checked(count).ok_or(ListingError::Truncated)?;
        self.0 = rest;
        Ok(head)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], ListingError> {
        let (head, rest) = self.0.split_first_chunk().ok_or(ListingError::Truncated)?;
        self.0 = rest;
        Ok(*head)
    }

    pub(super) fn number(&mut self) -> Result<u64, ListingError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(ListingError::Invalid("number is above 64 bits"));
            }
            value |= bits << shift;
            if byte < 0x80 {
                if byte == 0 && shift > 0 {
                    return Err(ListingError::NotCanonical("number has leading zeros"));
                }
                return Ok(value);
            }
        }
        Err(ListingError::Invalid("number is above 64 bits"))
    }

    /// Reads a number that fits the type asked for.
    pub(super) fn narrow<T: TryFrom<u64>>(&mut self) -> Result<T, ListingError> {
        T::try_from(self.number()?).map_err(|_| ListingError::Invalid("number is out of range"))
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], ListingError> {
        let count = self.narrow()?;
        self.take(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_back() {
        for value in [0, 1, 127, 128, 16383, 16384, u64::MAX - 1, u64::MAX] {
            let mut out = Vec::new();
            put_number(&mut out, value);
            assert_eq!(Reader(&out).number(), Ok(value));
        }
        for value in [0, -1, 1, i64::MIN, i64::MAX] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
    }

    #[test]
    fn refuses_a_second_form_of_a_number() {
        for bad in [&[0x80, 0][..], &[0xff, 0x80, 0], &[0xff; 10], &[0x80], &[]] {
            assert!(Reader(bad).number().is_err(), "{bad:?}");
        }
    }
}

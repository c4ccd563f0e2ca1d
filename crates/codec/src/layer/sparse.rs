//! Sparse files of GNU tar.
//!
//! Source: GNU tar manual, "Storing Sparse Files": the old format (type `S`) and PAX 0.0 to 1.0.

use super::header::{BLOCK, Header, number};

/// Pairs of offset and length, read so far.
#[derive(Debug, Default)]
pub(super) struct SparseMap(pub(super) Vec<u64>);

/// What of a file is stored: offset and length of each part, in order.
pub(super) type Segments = std::collections::VecDeque<(u64, u64)>;

impl SparseMap {
    /// Adds the pairs of an old GNU header; tells whether a block with more pairs follows.
    pub(super) fn push_header(&mut self, header: Header<'_>) -> Result<bool, &'static str> {
        self.push_pairs(header.bytes(386, 4 * 24))?;
        Ok(header.bytes(482, 1) != b"\0")
    }

    /// Adds the pairs of a continuation block; tells whether another one follows.
    pub(super) fn push_block(&mut self, block: &[u8; BLOCK]) -> Result<bool, &'static str> {
        self.push_pairs(block.get(..21 * 24).unwrap_or_default())?;
        Ok(block.get(504).is_some_and(|more| *more != 0))
    }

    fn push_pairs(&mut self, field: &[u8]) -> Result<(), &'static str> {
        for pair in field.chunks_exact(24) {
            let (offset, length) = pair.split_at(12);
            if offset.first() == Some(&0) {
                break;
            }
            self.0.push(number(offset).ok_or("offset in a sparse map")?);
            self.0.push(number(length).ok_or("length in a sparse map")?);
        }
        Ok(())
    }

    /// Checks the map against the size of the file and the bytes stored for it.
    pub(super) fn segments(self, size: u64, stored: u64) -> Result<Segments, &'static str> {
        let (mut end, mut total) = (0u64, 0u64);
        let (pairs, rest) = self.0.as_chunks::<2>();
        if !rest.is_empty() {
            return Err("sparse map of an odd number of numbers");
        }
        let mut segments = Segments::with_capacity(pairs.len());
        for [offset, length] in pairs {
            if *offset < end {
                return Err("sparse map is not in order");
            }
            end = offset.checked_add(*length).ok_or("sparse map is beyond the file")?;
            total = total.checked_add(*length).ok_or("sparse map is beyond the file")?;
            if *length > 0 {
                segments.push_back((*offset, *length));
            }
        }
        if end > size {
            return Err("sparse map is beyond the file");
        }
        if total != stored {
            return Err("sparse map does not fit what is stored");
        }
        Ok(segments)
    }
}

/// Reader of the map that PAX format 1.0 puts before the data: decimal numbers, one a line, the
/// first one the number of pairs, filled up to a block.
#[derive(Debug, Default)]
pub(super) struct TextMap {
    wanted: Option<u64>,
    number: Option<u64>,
    pub(super) map: SparseMap,
}

impl TextMap {
    /// Reads a block; tells whether the map is complete.
    pub(super) fn push_block(&mut self, block: &[u8; BLOCK]) -> Result<bool, &'static str> {
        for byte in block {
            match (byte, self.number.take()) {
                (b'0'..=b'9', number) => {
                    let digit = u64::from(byte - b'0');
                    let number = number.unwrap_or(0).checked_mul(10);
                    self.number = number.and_then(|number| number.checked_add(digit));
                    self.number.ok_or("number in a sparse map")?;
                }
                (b'\n', Some(number)) if self.push_number(number)? => return Ok(true),
                (b'\n', Some(_)) => {}
                _ => return Err("number in a sparse map"),
            }
        }
        Ok(false)
    }

    fn push_number(&mut self, number: u64) -> Result<bool, &'static str> {
        match self.wanted {
            None => self.wanted = Some(number.checked_mul(2).ok_or("number in a sparse map")?),
            Some(_) => self.map.0.push(number),
        }
        Ok(self.wanted == Some(self.map.0.len() as u64))
    }
}

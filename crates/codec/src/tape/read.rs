//! Reading a tape.

use std::io::Read;

use creel_base::digest::ObjectId;

use super::{BYTES, CONTENT, END, MAX_BYTES, Part, Record, SAME, TapeError};

/// Reads a tape, record by record, in as much memory as one takes.
pub struct TapeReader<R: Read> {
    inner: R,
    bytes: Vec<u8>,
    /// The content that the last record of that kind named.
    last: Option<(ObjectId, u64)>,
    ended: bool,
}

impl<R: Read> TapeReader<R> {
    /// Starts reading.
    pub const fn new(inner: R) -> Self {
        Self { inner, bytes: Vec::new(), last: None, ended: false }
    }

    /// Reads the next record; `None` at the end.
    ///
    /// # Errors
    ///
    /// [`TapeError`]; then what follows has no meaning.
    #[expect(clippy::should_implement_trait, reason = "lends what an iterator cannot")]
    pub fn next(&mut self) -> Result<Option<Record<'_>>, TapeError> {
        if self.ended {
            return Ok(None);
        }
        let [tag] = self.array()?;
        match tag {
            END => self.end().map(|()| None),
            BYTES => self.bytes().map(|bytes| Some(Record::Bytes(bytes))),
            CONTENT => {
                self.last = Some((ObjectId(self.array()?), u64::from_le_bytes(self.array()?)));
                self.part().map(|part| Some(Record::Content(part)))
            }
            SAME => self.part().map(|part| Some(Record::Content(part))),
            _ => Err(TapeError::Invalid("kind of a record")),
        }
    }

    fn bytes(&mut self) -> Result<&[u8], TapeError> {
        let length = u32::from_le_bytes(self.array()?) as usize;
        if length == 0 || length > MAX_BYTES {
            return Err(TapeError::Invalid("length of a record"));
        }
        self.bytes.resize(length, 0);
        self.inner.read_exact(&mut self.bytes).map_err(TapeError::Read)?;
        Ok(&self.bytes)
    }

    fn part(&mut self) -> Result<Part, TapeError> {
        let (object, size) = self.last.ok_or(TapeError::Invalid("part of no content"))?;
        let offset = u64::from_le_bytes(self.array()?);
        let length = u64::from_le_bytes(self.array()?);
        let end = offset.checked_add(length).filter(|end| *end <= size);
        match end.filter(|_| length > 0) {
            Some(_) => Ok(Part { object, size, offset, length }),
            None => Err(TapeError::Invalid("part beyond its content")),
        }
    }

    fn end(&mut self) -> Result<(), TapeError> {
        self.ended = true;
        let mut more = [0];
        match self.inner.read(&mut more).map_err(TapeError::Read)? {
            0 => Ok(()),
            _ => Err(TapeError::Invalid("bytes after the end")),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], TapeError> {
        let mut array = [0; N];
        self.inner.read_exact(&mut array).map_err(TapeError::Read)?;
        Ok(array)
    }
}

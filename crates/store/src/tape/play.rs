//! Writing an archive as its tape has it.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::os::unix::fs::FileExt as _;

use creel_base::digest::{Algorithm, Digest, Hasher, ObjectId};
use creel_codec::compress::{Compression, Decoder, Limits};
use creel_codec::tape::{Part, Record, TapeReader};

use super::{Frame, Tape};
use crate::contents::Contents;
use crate::error::{Result, StoreError};
use crate::export::Output;
use crate::objects::same;
use crate::store::Store;

/// Contents are copied in pieces of this many bytes.
const PIECE: usize = 256 << 10;

impl Store {
    /// Writes the tar of a layer, byte for byte as it came in, and checks it against its diff id at
    /// the end: on an error, what was written is worthless.
    ///
    /// # Errors
    ///
    /// [`StoreError::NoLayer`]; [`StoreError::NoTape`] where nothing tells how the tar was;
    /// [`StoreError::Output`] when `out` fails; and those of reading.
    pub fn export_layer(&self, diff_id: &Digest, out: &mut dyn Write) -> Result<()> {
        let _lease = self.reader_lease()?;
        let tree = self.layer_tree(diff_id)?;
        let mut out = Output::new(out, diff_id.algorithm());
        let tape = self.open_tape(diff_id)?;
        match &tape {
            Some(tape) => Player::new(tape, self.contents(&[tree])?).play(&mut out)?,
            // A layer that was made here needs none.
            None => self.write_tree(&tree, &mut out)?,
        }
        match same(diff_id, out.finish()?) {
            Err(_) if tape.is_none() => Err(StoreError::NoTape { diff_id: Box::new(*diff_id) }),
            result => result,
        }
    }

    /// Reads the whole tape of a layer and checks all that can be checked without its tree.
    pub(crate) fn check_tape(&self, diff_id: &Digest) -> Result<()> {
        self.open_tape(diff_id)?.map_or(Ok(()), |tape| tape.check())
    }
}

impl Tape {
    fn reader(&self) -> Result<TapeReader<impl Read + use<>>> {
        let failed = StoreError::io("read", &self.path);
        Ok(TapeReader::new(self.section(super::MAGIC.len() as u64, self.records).map_err(failed)?))
    }

    /// Reads a compressed part of the file. Ratios are no sign of harm: headers are mostly zeros.
    fn section(&self, at: u64, length: u64) -> io::Result<impl Read + use<>> {
        let section = Section { file: self.file.try_clone()?, at, left: length };
        let limits = Limits { ratio: u64::MAX, ..Limits::default() };
        Decoder::with(BufReader::new(section), Compression::Zstd, limits)
    }

    fn content(&self, object: &ObjectId) -> Result<Option<Box<dyn Read>>> {
        let Some(frame) = self.contents.get(object) else { return Ok(None) };
        let failed = StoreError::io("read", &self.path);
        let content = self.section(frame.offset, frame.length).map_err(failed)?;
        Ok(Some(Box::new(content.take(frame.size))))
    }

    fn check(&self) -> Result<()> {
        let mut records = self.reader()?;
        while records.next().map_err(|source| self.invalid(source))?.is_some() {}
        self.contents.iter().try_for_each(|(object, frame)| self.check_content(object, frame))
    }

    /// Reads a content and what comes after it, where zstd keeps its checksum.
    fn check_content(&self, object: &ObjectId, frame: &Frame) -> Result<()> {
        let failed = || StoreError::io("read", &self.path);
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let mut content = self.section(frame.offset, frame.length).map_err(failed())?;
        let (mut buffer, mut size) = (vec![0; PIECE], 0_u64);
        loop {
            let read = content.read(&mut buffer).map_err(failed())?;
            size = size.saturating_add(read as u64);
            if size > frame.size {
                return Err(StoreError::WrongSize { id: *object });
            }
            if read == 0 {
                return same(&Digest::from(*object), hasher.finish());
            }
            hasher.update(buffer.get(..read).unwrap_or_default());
        }
    }

    fn invalid(&self, source: creel_codec::tape::TapeError) -> StoreError {
        StoreError::Tape { path: self.path.clone(), source: Box::new(source) }
    }
}

/// A tape being played.
struct Player<'a> {
    tape: &'a Tape,
    contents: Contents<'a>,
    current: Option<Current>,
    buffer: Vec<u8>,
}

/// The content that the last part was of, and where the next byte is in it.
struct Current {
    object: ObjectId,
    at: u64,
    reader: Box<dyn Read>,
}

impl<'a> Player<'a> {
    fn new(tape: &'a Tape, contents: Contents<'a>) -> Self {
        Self { tape, contents, current: None, buffer: vec![0; PIECE] }
    }

    fn play(&mut self, out: &mut Output<'_>) -> Result<()> {
        let mut records = self.tape.reader()?;
        while let Some(record) = records.next().map_err(|source| self.tape.invalid(source))? {
            match record {
                Record::Bytes(bytes) => out.write(bytes)?,
                Record::Content(part) => self.part(&part, out)?,
            }
        }
        Ok(())
    }

    fn part(&mut self, part: &Part, out: &mut Output<'_>) -> Result<()> {
        let fits = |current: &Current| current.object == part.object && current.at <= part.offset;
        let mut current = match self.current.take().filter(fits) {
            Some(current) => current,
            None => Current { object: part.object, at: 0, reader: self.open(part)? },
        };
        let end = part.offset.saturating_add(part.length);
        while current.at < end {
            // What the archive does not have of the content is passed over.
            let wanted = current.at >= part.offset;
            let most = if wanted { end } else { part.offset } - current.at;
            let most = usize::try_from(most).unwrap_or(usize::MAX).min(self.buffer.len());
            let buffer = self.buffer.get_mut(..most).unwrap_or_default();
            let read = read_some(&mut current.reader, buffer)
                .map_err(|source| failed(part.object, source))?;
            if wanted {
                out.write(buffer.get(..read).unwrap_or_default())?;
            }
            current.at = current.at.saturating_add(read as u64);
        }
        self.current = Some(current);
        Ok(())
    }

    fn open(&self, part: &Part) -> Result<Box<dyn Read>> {
        match self.tape.content(&part.object)? {
            Some(content) => Ok(content),
            None => Ok(Box::new(self.contents.open_object(&part.object, part.size)?)),
        }
    }
}

/// Reads at least one byte.
fn read_some(reader: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

fn failed(object: ObjectId, error: io::Error) -> StoreError {
    match error.downcast::<StoreError>() {
        Ok(error) => error,
        Err(source) => StoreError::Read { object, source },
    }
}

/// Part of a file, read from its beginning; others may read the same file meanwhile.
struct Section {
    file: File,
    at: u64,
    left: u64,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.file.read_at(buffer.get_mut(..most).unwrap_or_default(), self.at)?;
        self.at = self.at.saturating_add(read as u64);
        self.left = self.left.saturating_sub(read as u64);
        Ok(read)
    }
}

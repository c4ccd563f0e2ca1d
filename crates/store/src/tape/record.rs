//! Writing a tape while a layer comes in.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufWriter, Seek as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use creel_base::digest::{Digest, ObjectId};
use creel_codec::compress::{Compression, Encoder};
use creel_codec::tape::TapeWriter;
use creel_codec::tree::{Kind, Tree};

use super::{END, Frame, MAGIC, tape_name};
use crate::contents::FileReader;
use crate::error::{Result, StoreError};
use crate::fault;
use crate::store::Store;

type Compressed = Encoder<BufWriter<File>>;

/// A tape being written. Dropped before [`Recording::publish`], it leaves nothing behind.
pub(crate) struct Recording<'a> {
    store: &'a Store,
    temporary: Vec<u8>,
    path: PathBuf,
    tape: Option<TapeWriter<Compressed>>,
    /// Every content of the archive that the tape names, and its size.
    seen: HashMap<ObjectId, u64>,
    size: u64,
}

/// A tape whose records are complete.
pub(crate) struct Recorded<'a> {
    recording: Recording<'a>,
    file: BufWriter<File>,
    records: u64,
    frames: Vec<(ObjectId, Frame)>,
}

impl<'a> Recording<'a> {
    pub(crate) fn new(store: &'a Store) -> Result<Self> {
        let temporary = store.recipes.temporary()?;
        let file = store.recipes.create_new(OsStr::from_bytes(&temporary))?;
        let path = store.recipes.path_of(OsStr::from_bytes(&temporary));
        let mut this = Self { store, temporary, path, tape: None, seen: HashMap::new(), size: 0 };
        let begin = || -> io::Result<_> {
            let mut file = BufWriter::with_capacity(1 << 18, file);
            file.write_all(&MAGIC)?;
            Ok(TapeWriter::new(Encoder::new(file, Compression::Zstd)?))
        };
        this.tape = Some(begin().map_err(StoreError::io("write", &this.path))?);
        Ok(this)
    }

    pub(crate) fn begin(&mut self) {
        self.size = 0;
        if let Some(tape) = &mut self.tape {
            tape.begin();
        }
    }

    pub(crate) fn data(&mut self, length: u64) {
        self.size = self.size.saturating_add(length);
        if let Some(tape) = &mut self.tape {
            tape.data(length);
        }
    }

    pub(crate) fn hole(&mut self, length: u64) {
        self.size = self.size.saturating_add(length);
        if let Some(tape) = &mut self.tape {
            tape.hole(length);
        }
    }

    pub(crate) fn end(&mut self, object: &ObjectId) -> Result<()> {
        self.seen.insert(*object, self.size);
        let ended = self.tape.as_mut().map_or(Ok(()), |tape| tape.end(object));
        ended.map_err(StoreError::io("write", &self.path))
    }

    pub(crate) fn verbatim(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.tape.as_mut().map_or(Ok(()), |tape| tape.verbatim(bytes));
        written.map_err(StoreError::io("write", &self.path))
    }

    /// Ends the records.
    pub(crate) fn finish(mut self) -> Result<Recorded<'a>> {
        let tape = self.tape.take();
        let end = || -> io::Result<_> {
            fault::step()?;
            let tape = tape.ok_or(io::ErrorKind::InvalidInput)?;
            let mut file = tape.finish()?.finish()?;
            let end = file.stream_position()?;
            Ok((file, end))
        };
        let (file, end) = end().map_err(StoreError::io("write", &self.path))?;
        let records = end.saturating_sub(MAGIC.len() as u64);
        Ok(Recorded { recording: self, file, records, frames: Vec::new() })
    }
}

impl Recorded<'_> {
    /// Adds the contents that the archive has and the tree has not, because a later entry of the same
    /// name took their place. `open` finds them.
    pub(crate) fn embed(
        &mut self,
        tree: &Tree,
        open: impl Fn(&ObjectId, u64) -> Result<FileReader>,
    ) -> Result<()> {
        let mut missing = self.recording.seen.clone();
        for entry in &tree.entries {
            if let Kind::File { object, .. } = &entry.kind {
                missing.remove(object);
            }
        }
        missing.retain(|_, size| *size > 0);
        let mut missing: Vec<_> = missing.into_iter().collect();
        missing.sort_unstable();
        for (object, size) in missing {
            self.add(&object, size, open(&object, size)?)?;
        }
        Ok(())
    }

    fn add(&mut self, object: &ObjectId, size: u64, content: FileReader) -> Result<()> {
        let failed = StoreError::io("write", &self.recording.path);
        let offset = self.file.stream_position().map_err(failed)?;
        let path = self.recording.path.clone();
        let failed = || StoreError::io("write", &path);
        let mut encoder = Encoder::new(&mut self.file, Compression::Zstd).map_err(failed())?;
        content.for_each(|piece| {
            fault::step().and_then(|()| encoder.write_all(piece)).map_err(failed())
        })?;
        encoder.finish().map_err(failed())?;
        let end = self.file.stream_position().map_err(failed())?;
        self.frames.push((*object, Frame { offset, length: end.saturating_sub(offset), size }));
        Ok(())
    }

    /// Makes the tape that of a layer, durably.
    pub(crate) fn publish(mut self, diff_id: &Digest) -> Result<()> {
        let mut end = Vec::new();
        for (object, frame) in &self.frames {
            end.extend_from_slice(&object.0);
            for number in [frame.offset, frame.length, frame.size] {
                end.extend_from_slice(&number.to_le_bytes());
            }
        }
        end.extend_from_slice(&self.records.to_le_bytes());
        end.extend_from_slice(&(self.frames.len() as u64).to_le_bytes());
        end.extend_from_slice(&END);
        let Recording { store, temporary, path, .. } = &self.recording;
        fault::step()
            .and_then(|()| self.file.write_all(&end))
            .and_then(|()| self.file.flush())
            .map_err(StoreError::io("write", path))?;
        let (from, to) = (OsStr::from_bytes(temporary), tape_name(diff_id));
        store.recipes.publish(self.file.get_ref(), from, to.as_ref())?;
        self.recording.temporary.clear();
        Ok(())
    }
}

impl Drop for Recording<'_> {
    fn drop(&mut self) {
        if !self.temporary.is_empty() {
            // What stays behind after a failure is garbage that collection removes.
            let _ = self.store.recipes.remove(OsStr::from_bytes(&self.temporary));
        }
    }
}

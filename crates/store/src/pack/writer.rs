//! Writing a pack: contents stream in, object ids come out.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use creel_base::digest::{Algorithm, Hasher, ObjectId};

use super::encode;
use super::writeback::Writeback;
use super::{BLOCK, INLINE_LIMIT, Location, PACK_MAGIC, PACK_VERSION, PackId, Record, align};
use crate::error::{Result, StoreError};
use crate::fault;
use crate::objects::Objects;

/// Big contents reach the file in writes of about this size.
const BUFFER: usize = 1 << 20;
/// Pieces of very big contents from this size on are written as they come.
const DIRECT: usize = 64 << 10;
/// Small objects are gathered in runs of this size, so that they share blocks.
const SMALL_RUN: usize = 256 << 10;
const ZEROS: [u8; 4096] = [0; 4096];

/// A pack being written. Dropped before [`PackWriter::seal`], it leaves nothing behind.
#[derive(Debug)]
pub struct PackWriter {
    objects: Arc<Objects>,
    id: PackId,
    temporary: Vec<u8>,
    file: File,
    records: HashMap<ObjectId, Record>,
    /// Contents not yet in the file; they begin at `buffer_at`.
    buffer: Vec<u8>,
    buffer_at: u64,
    writeback: Writeback,
    /// End of what is allotted.
    end: u64,
    small: Vec<u8>,
    small_at: u64,
    current: Option<Current>,
    known: Known,
    sealed: bool,
}

/// What becomes of an object that the store has already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    /// It is not kept twice.
    Skip,
    /// The pack gets a copy.
    Copy,
}

/// The object being written.
#[derive(Debug)]
struct Current {
    hasher: Hasher,
    /// Content so far, while it may still be a small object.
    head: Vec<u8>,
    /// Where it begins, once it is known not to be small.
    start: Option<u64>,
    size: u64,
}

impl PackWriter {
    pub(crate) fn new(objects: Arc<Objects>) -> Result<Self> {
        let dir = objects.dir();
        let temporary = dir.temporary()?;
        let id =
            PackId(crate::dir::random().map_err(StoreError::io("name a pack in", dir.path()))?);
        let file = dir.create_new(OsStr::from_bytes(&temporary))?;
        let mut header = vec![0; BLOCK as usize];
        header[..8].copy_from_slice(&PACK_MAGIC);
        header[8..12].copy_from_slice(&PACK_VERSION.to_le_bytes());
        header[12..16].copy_from_slice(&BLOCK.trailing_zeros().to_le_bytes());
        header[16..32].copy_from_slice(&id.0);
        Ok(Self {
            id,
            temporary,
            file,
            records: HashMap::new(),
            buffer: header,
            buffer_at: 0,
            writeback: Writeback::default(),
            end: BLOCK,
            small: Vec::new(),
            small_at: 0,
            current: None,
            known: Known::Skip,
            sealed: false,
            objects,
        })
    }

    /// Makes the pack keep objects of its own that other packs hold too.
    pub(crate) fn keeping_copies(mut self) -> Self {
        self.known = Known::Copy;
        self
    }

    /// Tells whether the object need not be kept here.
    fn is_known(&self, id: &ObjectId) -> Result<bool> {
        let elsewhere = || self.objects.seems_known(id);
        Ok(self.records.contains_key(id) || self.known == Known::Skip && elsewhere()?)
    }

    /// Stores content that is at hand as a whole.
    pub fn add(&mut self, content: &[u8]) -> Result<ObjectId> {
        self.begin()?;
        self.data(content)?;
        self.end()
    }

    /// Begins an object.
    pub fn begin(&mut self) -> Result<()> {
        if self.current.is_some() {
            return Err(StoreError::OutOfOrder { reason: "the last object has not ended" });
        }
        let hasher = Hasher::new(Algorithm::Sha256);
        self.current = Some(Current { hasher, head: Vec::new(), start: None, size: 0 });
        Ok(())
    }

    /// Adds bytes to the object.
    pub fn data(&mut self, bytes: &[u8]) -> Result<()> {
        self.data_of_archive(bytes, None)
    }

    /// Adds bytes to the object, and to the hash of the archive that they are in.
    pub(crate) fn data_of_archive(
        &mut self,
        bytes: &[u8],
        archive: Option<&mut Hasher>,
    ) -> Result<()> {
        let mut current = self.take_current()?;
        current.grow(bytes.len() as u64)?;
        match archive {
            Some(archive) => current.hasher.update_both(archive, bytes),
            None => current.hasher.update(bytes),
        }
        if current.size <= INLINE_LIMIT {
            current.head.extend_from_slice(bytes);
        } else {
            self.start_big(&mut current)?;
            // One that fits the buffer is taken back without a call when it is known.
            if current.size > BUFFER as u64 && bytes.len() >= DIRECT {
                self.append_directly(bytes)?;
            } else {
                self.append(bytes)?;
            }
        }
        self.current = Some(current);
        Ok(())
    }

    /// Adds `length` zero bytes to the object that take no space in the pack.
    pub fn hole(&mut self, length: u64) -> Result<()> {
        let mut current = self.take_current()?;
        current.grow(length)?;
        let mut left = length;
        while left > 0 {
            let part = left.min(ZEROS.len() as u64);
            current.hasher.update(&ZEROS[..part as usize]);
            left -= part;
        }
        if current.size <= INLINE_LIMIT {
            current.head.resize(current.size as usize, 0);
        } else {
            self.start_big(&mut current)?;
            self.skip(length)?;
        }
        self.current = Some(current);
        Ok(())
    }

    /// Ends the object and returns its id. What the store has already is not kept twice.
    pub fn end(&mut self) -> Result<ObjectId> {
        let current = self.take_current()?;
        let sum = current.hasher.finish();
        let id = ObjectId::try_from(sum)
            .map_err(|_| StoreError::OutOfOrder { reason: "object hash is not sha256" })?;
        if self.is_known(&id)? {
            if let Some(start) = current.start {
                self.rewind(start)?;
            }
            return Ok(id);
        }
        let offset = match current.start {
            Some(start) => start,
            None => self.place_small(&current.head)?,
        };
        let at = Location { pack: self.id, offset, stored: current.size, logical: current.size };
        self.records.insert(id, Record { id, at });
        Ok(id)
    }

    /// Flushes the pack and makes it visible; `None` when it holds no object of its own.
    pub(crate) fn seal(mut self) -> Result<Option<PackId>> {
        if self.current.is_some() {
            return Err(StoreError::OutOfOrder { reason: "sealed inside an object" });
        }
        if self.records.is_empty() {
            return Ok(None);
        }
        self.flush_small()?;
        self.flush()?;
        let length = align(self.end, BLOCK).ok_or(StoreError::TooLarge { what: "pack" })?;
        let dir = self.objects.dir();
        let path = dir.path_of(self.id.pack_name());
        fault::step()
            .and_then(|()| self.file.set_len(length))
            .map_err(StoreError::io("write", &path))?;
        // The pack first: an index without its pack would name objects that are not there.
        dir.publish(&self.file, OsStr::from_bytes(&self.temporary), self.id.pack_name().as_ref())?;
        self.sealed = true;
        let mut records: Vec<_> = self.records.values().copied().collect();
        records.sort_unstable_by_key(|record| record.id);
        write_index(&self.objects, &self.id.index_name(), &[(self.id, length)], &records)?;
        Ok(Some(self.id))
    }

    fn take_current(&mut self) -> Result<Current> {
        self.current.take().ok_or(StoreError::OutOfOrder { reason: "no object has begun" })
    }

    /// Gives the object its own blocks, now that it is too large to be packed densely.
    fn start_big(&mut self, current: &mut Current) -> Result<()> {
        if current.start.is_some() {
            return Ok(());
        }
        let start = align(self.end, BLOCK).ok_or(StoreError::TooLarge { what: "pack" })?;
        self.skip(start - self.end)?;
        current.start = Some(start);
        let head = std::mem::take(&mut current.head);
        self.append(&head)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.end = self.end_after(bytes)?;
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    /// Writes bytes as they come, without a copy.
    fn append_directly(&mut self, bytes: &[u8]) -> Result<()> {
        let end = self.end_after(bytes)?;
        self.flush()?;
        self.write_at(bytes, self.end)?;
        (self.end, self.buffer_at) = (end, end);
        Ok(())
    }

    fn end_after(&self, bytes: &[u8]) -> Result<u64> {
        let end = self.end.checked_add(bytes.len() as u64);
        end.ok_or(StoreError::TooLarge { what: "pack" })
    }

    fn skip(&mut self, length: u64) -> Result<()> {
        let end = self.end.checked_add(length).ok_or(StoreError::TooLarge { what: "pack" })?;
        if length < BLOCK {
            return self.append(&ZEROS[..length as usize]);
        }
        self.flush()?;
        self.end = end;
        self.buffer_at = end;
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.write_at(&self.buffer, self.buffer_at)?;
        self.buffer.clear();
        self.buffer_at = self.end;
        self.writeback.written(&self.file, self.end);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> Result<()> {
        fault::step()
            .and_then(|()| self.file.write_all_at(bytes, at))
            .map_err(StoreError::io("write", &self.objects.dir().path_of(self.id.pack_name())))
    }

    /// Takes back all that was allotted from `start` on.
    fn rewind(&mut self, start: u64) -> Result<()> {
        if start >= self.buffer_at {
            self.buffer.truncate((start - self.buffer_at) as usize);
        } else {
            self.buffer.clear();
            self.buffer_at = start;
            // A later hole must read as zeros, not as what was written here.
            fault::step().and_then(|()| self.file.set_len(start)).map_err(StoreError::io(
                "write",
                &self.objects.dir().path_of(self.id.pack_name()),
            ))?;
        }
        self.end = start;
        self.writeback.cut(start);
        Ok(())
    }

    /// Puts a small object into the current run and returns where.
    fn place_small(&mut self, content: &[u8]) -> Result<u64> {
        if self.small_at == 0 || self.small.len() + content.len() > SMALL_RUN {
            self.flush_small()?;
            let start = align(self.end, BLOCK).ok_or(StoreError::TooLarge { what: "pack" })?;
            self.skip(start - self.end)?;
            // Reserved as a hole: what the last run leaves unused costs no space.
            self.skip(SMALL_RUN as u64)?;
            self.small_at = start;
        }
        let at = self.small_at + self.small.len() as u64;
        self.small.extend_from_slice(content);
        let padded = self.small.len().next_multiple_of(8);
        self.small.resize(padded, 0);
        Ok(at)
    }

    fn flush_small(&mut self) -> Result<()> {
        if !self.small.is_empty() {
            self.write_at(&self.small, self.small_at)?;
            self.small.clear();
        }
        self.small_at = 0;
        Ok(())
    }
}

impl Current {
    fn grow(&mut self, length: u64) -> Result<()> {
        let limit = i64::MAX as u64;
        let size = self.size.checked_add(length).filter(|size| *size <= limit);
        self.size = size.ok_or(StoreError::TooLarge { what: "object" })?;
        Ok(())
    }
}

impl Drop for PackWriter {
    fn drop(&mut self) {
        if !self.sealed {
            // What stays behind after a failure is garbage that collection removes.
            let _ = self.objects.dir().remove(OsStr::from_bytes(&self.temporary));
        }
    }
}

/// Writes an index file, durably.
pub(crate) fn write_index(
    objects: &Objects,
    name: &str,
    packs: &[(PackId, u64)],
    records: &[Record],
) -> Result<()> {
    let dir = objects.dir();
    let temporary = dir.temporary()?;
    let temporary = OsStr::from_bytes(&temporary);
    let file = dir.create_new(temporary)?;
    let written = (|| -> io::Result<File> {
        fault::step()?;
        let mut out = BufWriter::with_capacity(BUFFER, file);
        encode::write(&mut out, packs, records)?;
        out.flush()?;
        out.into_inner().map_err(io::IntoInnerError::into_error)
    })();
    let published = written
        .map_err(StoreError::io("write", &dir.path_of(name)))
        .and_then(|file| dir.publish(&file, temporary, name.as_ref()));
    if published.is_err() {
        let _ = dir.remove(temporary);
    }
    published
}

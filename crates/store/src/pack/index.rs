//! Reading an index file with `pread`: a mapped file would turn damage into SIGBUS.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use creel_base::digest::{Algorithm, Hasher, ObjectId};

use super::encode::{
    CHECKSUM, ENTRY, HEADER, INDEX_MAGIC, INDEX_VERSION, MAX_FAN_BITS, PACK_ENTRY, STATE_AT, bucket,
};
use super::{Location, PackId, Record};
use crate::dir::Dir;
use crate::error::{Result, StoreError};
use crate::fault;

/// More packs than one index may cover: bounds what a damaged header makes us allocate.
const MAX_PACKS: u32 = 1 << 20;

/// An index file, open. Its pack table and fan-out are in memory, its entries are not.
#[derive(Debug)]
pub(crate) struct Index {
    file: Handle,
    path: PathBuf,
    packs: Vec<(PackId, u64)>,
    bits: u32,
    fan: Vec<u32>,
    count: u32,
    entries_at: u64,
}

/// The file of an index.
#[derive(Debug)]
enum Handle {
    Open(Arc<File>),
    /// In this directory, opened for each look-up.
    Parked(Arc<Dir>),
}

/// An entry of an index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Its number in the file.
    pub(crate) number: u32,
    /// What it says.
    pub(crate) record: Record,
    /// Garbage collection has dropped the object.
    pub(crate) dropped: bool,
}

impl Index {
    /// Opens an index and checks that its parts fit together; the checksum is left to
    /// [`Index::verify`].
    pub(crate) fn open(file: File, path: &Path) -> Result<Self> {
        let bad = |reason| StoreError::damaged(path, reason);
        let length = file.metadata().map_err(StoreError::io("measure", path))?.len();
        let mut header = [0; HEADER];
        read(&file, path, &mut header, 0)?;
        if header[..8] != INDEX_MAGIC || le32(&header, 8) != INDEX_VERSION {
            return Err(bad("not an index of format 1"));
        }
        let (bits, count, packs) = (le32(&header, 12), le32(&header, 16), le32(&header, 20));
        if bits > MAX_FAN_BITS || packs > MAX_PACKS {
            return Err(bad("header out of range"));
        }
        let fan_at = HEADER + packs as usize * PACK_ENTRY;
        let entries_at = (fan_at + (4 << bits)) as u64;
        if length != entries_at + u64::from(count) * ENTRY as u64 + CHECKSUM as u64 {
            return Err(bad("length does not fit the header"));
        }
        let mut table = vec![0; entries_at as usize - HEADER];
        read(&file, path, &mut table, HEADER as u64)?;
        let (pack_bytes, fan_bytes) = table.split_at(fan_at - HEADER);
        let packs: Vec<_> = pack_bytes.chunks_exact(PACK_ENTRY).map(pack_entry).collect();
        let fan: Vec<_> = fan_bytes.chunks_exact(4).map(|entry| le32(entry, 0)).collect();
        if !packs.is_sorted() || !fan.is_sorted() || fan.last() != Some(&count) {
            return Err(bad("tables are not in order"));
        }
        let file = Handle::Open(Arc::new(file));
        Ok(Self { file, path: path.to_owned(), packs, bits, fan, count, entries_at })
    }

    /// Closes the file, which is in `dir`, until it is needed.
    pub(crate) fn parked(self, dir: &Arc<Dir>) -> Self {
        Self { file: Handle::Parked(Arc::clone(dir)), ..self }
    }

    /// The file; `None` where it has gone, and the pack with it.
    fn file(&self) -> Result<Option<Arc<File>>> {
        match &self.file {
            Handle::Open(file) => Ok(Some(Arc::clone(file))),
            Handle::Parked(dir) => {
                let file = dir.open_file(self.path.file_name().unwrap_or_default())?;
                Ok(file.map(Arc::new))
            }
        }
    }

    /// The packs covered, sorted, with their lengths in bytes.
    pub(crate) fn packs(&self) -> &[(PackId, u64)] {
        &self.packs
    }

    /// How many entries there are, dropped ones included.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// All live entries of an object.
    pub(crate) fn find(&self, id: &ObjectId) -> Result<Vec<Record>> {
        let bucket = bucket(&id.0, self.bits);
        let end = self.fan.get(bucket).copied().unwrap_or(0);
        let start =
            bucket.checked_sub(1).and_then(|before| self.fan.get(before)).copied().unwrap_or(0);
        let Some(file) = self.file()? else { return Ok(Vec::new()) };
        let bytes = self.bytes(&file, start, end)?;
        let mut found = Vec::new();
        for (number, entry) in (start..end).zip(bytes.chunks_exact(ENTRY)) {
            if entry.starts_with(&id.0) {
                let entry = self.entry(number, entry)?;
                found.extend((!entry.dropped).then_some(entry.record));
            }
        }
        Ok(found)
    }

    fn bytes(&self, file: &File, start: u32, end: u32) -> Result<Vec<u8>> {
        let mut bytes = vec![0; (end - start) as usize * ENTRY];
        let at = self.entries_at + u64::from(start) * ENTRY as u64;
        read(file, &self.path, &mut bytes, at)?;
        Ok(bytes)
    }

    fn entry(&self, number: u32, bytes: &[u8]) -> Result<Entry> {
        let bad = |reason| StoreError::damaged(&self.path, reason);
        let mut id = [0; 32];
        id.copy_from_slice(&bytes[..32]);
        let (pack, length) = *self
            .packs
            .get(le32(bytes, 56) as usize)
            .ok_or_else(|| bad("entry names a pack that is not in the table"))?;
        let at = Location {
            pack,
            offset: le64(bytes, 32),
            stored: le64(bytes, 40),
            logical: le64(bytes, 48),
        };
        let fits = at.offset.checked_add(at.stored).is_some_and(|end| end <= length);
        if !fits || at.stored != at.logical || bytes[60] != 0 || bytes[STATE_AT] > 1 {
            return Err(bad("entry out of range"));
        }
        let record = Record { id: ObjectId(id), at };
        Ok(Entry { number, record, dropped: bytes[STATE_AT] == 1 })
    }

    /// Calls `each` on every entry in order of object id.
    pub(crate) fn for_each(&self, mut each: impl FnMut(&Entry) -> Result<()>) -> Result<()> {
        let Some(file) = self.file()? else { return Ok(()) };
        self.batches(&file, |start, bytes| {
            let mut entries = (start..).zip(bytes.chunks_exact(ENTRY));
            entries.try_for_each(|(number, bytes)| each(&self.entry(number, bytes)?))
        })
    }

    /// Passes the bytes of many entries at a time to `each`, with the number of the first.
    fn batches(
        &self,
        file: &File,
        mut each: impl FnMut(u32, &mut [u8]) -> Result<()>,
    ) -> Result<()> {
        const BATCH: u32 = 4096;
        let mut start = 0;
        while start < self.count {
            let end = start.saturating_add(BATCH).min(self.count);
            each(start, &mut self.bytes(file, start, end)?)?;
            start = end;
        }
        Ok(())
    }

    /// Marks entries as dropped, in place, which needs no free space. Durable on return.
    ///
    /// Needs an index opened for writing.
    pub(crate) fn drop_entries(&self, numbers: &[u32]) -> Result<()> {
        let Some(file) = self.file()? else { return Ok(()) };
        let written = |number: &u32| {
            fault::step()?;
            let at = self.entries_at + u64::from(*number) * ENTRY as u64 + STATE_AT as u64;
            file.write_all_at(&[1], at)
        };
        numbers
            .iter()
            .try_for_each(written)
            .and_then(|()| fault::step())
            .and_then(|()| file.sync_data())
            .map_err(StoreError::io("drop objects from", &self.path))
    }

    /// Checks the checksum, which covers all but the states, and the order of the entries.
    pub(crate) fn verify(&self) -> Result<()> {
        let Some(file) = self.file()? else { return Ok(()) };
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let mut head = vec![0; self.entries_at as usize];
        read(&file, &self.path, &mut head, 0)?;
        hasher.update(&head);
        let mut last = None;
        self.batches(&file, |start, bytes| {
            for (number, bytes) in (start..).zip(bytes.chunks_exact_mut(ENTRY)) {
                let id = self.entry(number, bytes)?.record.id;
                if last.replace(id) > Some(id) {
                    return Err(StoreError::damaged(&self.path, "entries are not in order"));
                }
                bytes[STATE_AT] = 0;
            }
            hasher.update(bytes);
            Ok(())
        })?;
        let mut sum = [0; CHECKSUM];
        let at = self.entries_at + u64::from(self.count) * ENTRY as u64;
        read(&file, &self.path, &mut sum, at)?;
        if hasher.finish().as_bytes() != sum {
            return Err(StoreError::damaged(&self.path, "checksum does not match"));
        }
        Ok(())
    }
}

fn pack_entry(bytes: &[u8]) -> (PackId, u64) {
    let mut id = [0; 16];
    id.copy_from_slice(&bytes[..16]);
    (PackId(id), le64(bytes, 16))
}

fn read(file: &File, path: &Path, bytes: &mut [u8], at: u64) -> Result<()> {
    file.read_exact_at(bytes, at).map_err(|source| match source.kind() {
        io::ErrorKind::UnexpectedEof => StoreError::damaged(path, "shorter than its header says"),
        _ => StoreError::io("read", path)(source),
    })
}

fn le32(bytes: &[u8], at: usize) -> u32 {
    let mut value = [0; 4];
    value.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(value)
}

fn le64(bytes: &[u8], at: usize) -> u64 {
    let mut value = [0; 8];
    value.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(value)
}

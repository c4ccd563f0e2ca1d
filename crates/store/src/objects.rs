//! Finding and reading objects, in a store and in its alternates.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use creel_base::digest::{Algorithm, Digest, Hasher, ObjectId};

use crate::damage::unless_damaged;
use crate::dir::Dir;
use crate::error::{Result, StoreError};
use crate::pack::index::Index;
use crate::pack::writer::write_index;
use crate::pack::{Location, PackId, Record};

/// More index files than this are merged by the next transaction.
const MAX_RUNS: usize = 4;
/// No more packs than this are kept open, and no more indexes: a process has often but 1024
/// descriptors for all it does.
const MAX_OPEN: usize = 32;
/// Contents are read in pieces of this many bytes.
const PIECE: u64 = 1 << 20;

/// The `objects` directory of one store, and those of its alternates.
#[derive(Debug)]
pub(crate) struct Objects {
    dir: Arc<Dir>,
    alternates: Vec<Arc<Self>>,
    runs: RwLock<Runs>,
    /// Held from the look at the directory until the runs are replaced: of two threads at once, the
    /// one that looked first would else put its older view in place last.
    refreshing: Mutex<()>,
    files: Mutex<HashMap<PackId, Arc<File>>>,
}

/// The index files in use.
#[derive(Debug, Default)]
struct Runs {
    /// Names and indexes; together they cover every pack.
    indexes: Vec<(Vec<u8>, Index)>,
    /// The packs that have an index of their own: it alone makes a pack's objects exist.
    packs: BTreeSet<PackId>,
}

impl Objects {
    pub(crate) fn open(dir: Dir, alternates: Vec<Arc<Self>>) -> Result<Self> {
        let objects = Self {
            dir: Arc::new(dir),
            alternates,
            runs: RwLock::default(),
            refreshing: Mutex::default(),
            files: Mutex::default(),
        };
        objects.refresh()?;
        Ok(objects)
    }

    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Looks again at which index files there are.
    pub(crate) fn refresh(&self) -> Result<()> {
        let _alone = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        let names = self.dir.names()?;
        let packs: BTreeSet<_> =
            names.iter().filter_map(|name| PackId::from_name(name, b".idx")).collect();
        let mut uncovered = packs.clone();
        let mut indexes = Vec::new();
        for name in names.iter().filter(|name| is_multi(name)) {
            // A merged index that is damaged costs time, not objects: each pack has its own.
            let Some(Some(index)) = unless_damaged(self.open_index(name))? else { continue };
            for (pack, _) in index.packs() {
                uncovered.remove(pack);
            }
            indexes.push((name.clone(), index));
        }
        for pack in uncovered {
            let name = pack.index_name().into_bytes();
            if let Some(index) = self.open_index(&name)? {
                let crowded = indexes.len() >= MAX_OPEN;
                indexes.push((name, if crowded { index.parked(&self.dir) } else { index }));
            }
        }
        *self.runs.write().unwrap_or_else(PoisonError::into_inner) = Runs { indexes, packs };
        Ok(())
    }

    fn open_index(&self, name: &[u8]) -> Result<Option<Index>> {
        use std::os::unix::ffi::OsStrExt as _;
        let name = std::ffi::OsStr::from_bytes(name);
        let Some(file) = self.dir.open_file(name)? else { return Ok(None) };
        Index::open(file, &self.dir.path_of(name)).map(Some)
    }

    /// Opens the index of one pack for writing.
    pub(crate) fn pack_index(&self, pack: PackId) -> Result<Index> {
        let name = pack.index_name();
        let file = self.dir.open_file_rw(&name)?.ok_or(StoreError::NoPack { id: pack })?;
        Index::open(file, &self.dir.path_of(name))
    }

    /// Opens the index of one pack for reading.
    pub(crate) fn read_only_index(&self, pack: PackId) -> Result<Index> {
        let name = pack.index_name().into_bytes();
        self.open_index(&name)?.ok_or(StoreError::NoPack { id: pack })
    }

    /// The packs of this store, without its alternates.
    pub(crate) fn packs(&self) -> BTreeSet<PackId> {
        self.runs.read().unwrap_or_else(PoisonError::into_inner).packs.clone()
    }

    /// The first place where an object lies.
    pub(crate) fn find(&self, id: &ObjectId) -> Result<Option<Location>> {
        if let Some(location) = self.find_first(id)? {
            return Ok(Some(location));
        }
        for alternate in &self.alternates {
            if let Some(location) = alternate.find(id)? {
                return Ok(Some(location));
            }
        }
        Ok(None)
    }

    /// All places where an object lies, those in alternates last.
    pub(crate) fn find_all(&self, id: &ObjectId) -> Result<Vec<Location>> {
        let mut found = self.find_own(id)?;
        for alternate in &self.alternates {
            found.extend(alternate.find_all(id)?);
        }
        Ok(found)
    }

    /// A place where an object lies in this store, with no look at more indexes than it takes.
    fn find_first(&self, id: &ObjectId) -> Result<Option<Location>> {
        let runs = self.runs.read().unwrap_or_else(PoisonError::into_inner);
        for (_, index) in &runs.indexes {
            let records = index.find(id)?;
            let mut places = records.iter().map(|record| record.at);
            if let Some(at) = places.find(|at| runs.packs.contains(&at.pack)) {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    fn find_own(&self, id: &ObjectId) -> Result<Vec<Location>> {
        let runs = self.runs.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        for (_, index) in &runs.indexes {
            let records = index.find(id)?;
            found.extend(
                records.iter().map(|record| record.at).filter(|at| runs.packs.contains(&at.pack)),
            );
        }
        Ok(found)
    }

    /// Merges index files when there are too many: smaller ones first, so that each entry is
    /// rewritten a number of times that grows with the logarithm of the store's size.
    pub(crate) fn merge_indexes(&self) -> Result<()> {
        self.refresh()?;
        let merged = {
            let mut runs = self.runs.write().unwrap_or_else(PoisonError::into_inner);
            if runs.indexes.len() <= MAX_RUNS {
                return Ok(());
            }
            runs.indexes.sort_by_key(|(_, index)| index.count());
            let mut total = 0_u64;
            let taken = runs.indexes.iter().take_while(|(_, index)| {
                let small = total == 0 || u64::from(index.count()) <= total.saturating_mul(2);
                total += u64::from(index.count());
                small
            });
            let taken = taken.count().max(2);
            self.write_merged(runs.indexes.get(..taken).unwrap_or_default(), &runs.packs)?
        };
        for name in merged.iter().filter(|name| is_multi(name)) {
            use std::os::unix::ffi::OsStrExt as _;
            self.dir.remove(std::ffi::OsStr::from_bytes(name))?;
        }
        self.refresh()
    }

    /// Writes one index over those given and returns their names.
    fn write_merged(
        &self,
        indexes: &[(Vec<u8>, Index)],
        existing: &BTreeSet<PackId>,
    ) -> Result<Vec<Vec<u8>>> {
        let mut packs = Vec::new();
        let mut records: Vec<Record> = Vec::new();
        for (_, index) in indexes {
            packs.extend(index.packs().iter().copied().filter(|pack| existing.contains(&pack.0)));
            index.for_each(|entry| {
                if !entry.dropped && existing.contains(&entry.record.at.pack) {
                    records.push(entry.record);
                }
                Ok(())
            })?;
        }
        packs.sort_unstable();
        packs.dedup();
        records.sort_unstable_by_key(|record| (record.id, record.at.pack));
        records.dedup();
        let name = PackId(
            crate::dir::random().map_err(StoreError::io("name an index in", self.dir.path()))?,
        );
        write_index(self, &format!("multi-{name}.idx"), &packs, &records)?;
        Ok(indexes.iter().map(|(name, _)| name.clone()).collect())
    }

    /// Removes every merged index: they may name what is about to go. Durable on return.
    pub(crate) fn forget_merged(&self) -> Result<()> {
        use std::os::unix::ffi::OsStrExt as _;
        for name in self.dir.names()?.iter().filter(|name| is_multi(name)) {
            self.dir.remove(std::ffi::OsStr::from_bytes(name))?;
        }
        self.dir.sync()
    }

    /// Opens a pack, of this store or of an alternate.
    pub(crate) fn pack(&self, id: PackId) -> Result<Arc<File>> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = files.get(&id) {
            return Ok(Arc::clone(file));
        }
        if let Some(file) = self.dir.open_file(id.pack_name())? {
            let file = Arc::new(file);
            if files.len() >= MAX_OPEN {
                files.clear();
            }
            files.insert(id, Arc::clone(&file));
            return Ok(file);
        }
        for alternate in &self.alternates {
            if let Some(file) = unless_damaged(alternate.pack(id))? {
                return Ok(file);
            }
        }
        Err(StoreError::NoPack { id })
    }

    /// Reads an object in pieces, and checks it at the end.
    ///
    /// The pieces are not to be trusted before this has returned `Ok`.
    pub(crate) fn read(
        &self,
        id: &ObjectId,
        at: Location,
        mut each: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let file = self.pack(at.pack)?;
        let path = self.dir.path_of(at.pack.pack_name());
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let mut buffer = vec![0; at.logical.min(PIECE) as usize];
        let mut done = 0;
        while done < at.logical {
            let piece = &mut buffer[..(at.logical - done).min(PIECE) as usize];
            file.read_exact_at(piece, at.offset + done).map_err(StoreError::io("read", &path))?;
            hasher.update(piece);
            each(piece)?;
            done += piece.len() as u64;
        }
        let (expected, found) = (Digest::from(*id), hasher.finish());
        same(&expected, found)
    }
}

/// Fails unless content hashes to its name.
pub(crate) fn same(expected: &Digest, found: Digest) -> Result<()> {
    if *expected == found {
        return Ok(());
    }
    Err(StoreError::DigestMismatch { expected: Box::new(*expected), found: Box::new(found) })
}

fn is_multi(name: &[u8]) -> bool {
    name.starts_with(b"multi-") && name.ends_with(b".idx")
}

//! The objects of a store and of its alternates: which files hold them, and reading them.

mod lookup;
mod merged;

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use creel_base::digest::{Algorithm, Digest, Hasher, ObjectId};

use crate::damage::unless_damaged;
use crate::dir::Dir;
use crate::error::{Result, StoreError};
use crate::pack::index::Index;
use crate::pack::{Location, PackId};

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
    /// Indexes of single packs that were asked about what a merged one says; `None` for one that is
    /// damaged.
    own: Mutex<HashMap<PackId, Option<Arc<Index>>>>,
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
            own: Mutex::default(),
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
            // One that is damaged vouches for nothing. The pack counts, so that a check finds it.
            if let Some(index) = unless_damaged(self.open_index(&name))?.flatten() {
                let crowded = indexes.len() >= MAX_OPEN;
                indexes.push((name, if crowded { index.parked(&self.dir) } else { index }));
            }
        }
        *self.runs.write().unwrap_or_else(PoisonError::into_inner) = Runs { indexes, packs };
        self.own.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
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

//! A store: made, opened, read.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use creel_base::digest::{Algorithm, Digest, Hasher, ObjectId};
use creel_base::lock::LockError;

use crate::config::{Access, Backend, Description, LIMIT};
use crate::damage::first_whole;
use crate::dir::Dir;
use crate::error::{Result, StoreError};
use crate::lock::{self, Kind, Lock, Wait};
use crate::mend::{self, DIRECTORIES};
use crate::names;
use crate::objects::{Objects, same};
use crate::pack::Location;
use crate::transaction::Transaction;

/// Largest blob kept: manifests, configs and indexes are far smaller.
pub const BLOB_LIMIT: u64 = 64 << 20;
/// Largest listing read.
pub const LISTING_LIMIT: u64 = 1 << 30;
/// What the store is.
pub(crate) const DESCRIPTION: &str = "store.json";
/// Lock file that writers share and collection takes alone.
pub(crate) const LEASE: &str = "lease";
/// Alternates of alternates are followed this deep.
const MAX_DEPTH: u32 = 5;

/// Decides how a new store keeps contents.
pub trait Probe {
    /// Returns the backend for a store at `path`, an existing directory.
    fn backend(&self, path: &Path) -> Result<Backend>;
}

/// A choice made beforehand.
impl Probe for Backend {
    fn backend(&self, _: &Path) -> Result<Backend> {
        Ok(*self)
    }
}

/// Nothing is collected while this lives.
#[derive(Debug)]
pub struct Kept(#[expect(dead_code, reason = "dropping it is its use")] Option<Lock>);

/// An open store.
#[derive(Debug)]
pub struct Store {
    pub(crate) root: Dir,
    pub(crate) objects: Arc<Objects>,
    pub(crate) trees: Dir,
    pub(crate) blobs: [Dir; 2],
    pub(crate) recipes: Dir,
    pub(crate) refs: Dir,
    pub(crate) partial: Dir,
    pub(crate) checkouts: Dir,
    pub(crate) alternates: Vec<Self>,
    description: Description,
    access: Access,
}

impl Store {
    /// Makes a store in `path`, which must not hold one yet.
    pub fn create(path: &Path, probe: &dyn Probe, alternates: Vec<PathBuf>) -> Result<Self> {
        match std::fs::create_dir_all(path.parent().unwrap_or(path))
            .and_then(|()| Ok(rustix::fs::mkdir(path, rustix::fs::Mode::RWXU)?))
        {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(StoreError::io("create", path)(error));
            }
            _ => {}
        }
        let root = Dir::open(path)?;
        if root.open_file(DESCRIPTION)?.is_some() {
            return Err(StoreError::StoreExists { path: path.to_owned() });
        }
        let description = Description::new(probe.backend(path)?, alternates);
        for name in DIRECTORIES {
            root.make_sub(name)?;
        }
        root.open_or_create(LEASE)?;
        // Last: a directory without it is no store, and may be completed by the next attempt.
        root.replace(DESCRIPTION, &description.to_json(path)?)?;
        Self::open(path)
    }

    /// Opens the store in `path`.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_at_depth(path, 0)
    }

    fn open_at_depth(path: &Path, depth: u32) -> Result<Self> {
        let root = open_root(path)?;
        let (description, access) = Description::parse(&describe(&root)?, path)?;
        if depth > MAX_DEPTH {
            return Err(StoreError::TooLarge { what: "chain of alternate stores" });
        }
        let alternates =
            description.alternates.iter().map(|path| Self::open_at_depth(path, depth + 1));
        let alternates = alternates.collect::<Result<Vec<_>>>()?;
        check_alternates(&description, &alternates, path)?;
        let sub = |name: &'static str| {
            let missing = || StoreError::NoDirectory { store: path.to_owned(), name };
            root.sub(name)?.ok_or_else(missing)
        };
        let others = alternates.iter().map(|store| Arc::clone(&store.objects)).collect();
        let objects = Arc::new(Objects::open(sub("objects")?, others)?);
        Ok(Self {
            objects,
            trees: sub("trees")?,
            blobs: [sub("blobs/sha256")?, sub("blobs/sha512")?],
            recipes: sub("recipes")?,
            refs: sub("refs")?,
            partial: sub("partial")?,
            checkouts: sub("checkouts")?,
            root,
            alternates,
            description,
            access,
        })
    }

    /// What the store says about itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// What may be done with it.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.root.path()
    }

    /// Begins to write. Collection waits until the transaction has ended.
    pub fn begin(&self) -> Result<Transaction<'_>> {
        self.writable()?;
        let lease = self.lease()?;
        self.objects.refresh()?;
        Ok(Transaction::new(self, lease))
    }

    pub(crate) fn writable(&self) -> Result<()> {
        match self.access {
            Access::ReadWrite => Ok(()),
            Access::ReadOnly => Err(StoreError::ReadOnly { path: self.path().to_owned() }),
        }
    }

    fn lease(&self) -> Result<Lock> {
        lock::take(&self.root, LEASE, Kind::Shared, Wait::Forever)?
            .ok_or_else(|| StoreError::Busy { path: self.path().to_owned() })
    }

    /// Keeps collection away until it is dropped: what was looked up since is still there when what
    /// refers to it has been written.
    pub fn keep(&self) -> Result<Kept> {
        self.reader_lease().map(Kept)
    }

    /// Keeps collection away, also where this process may only read; `None` where there is nothing
    /// that a collection could lock.
    pub(crate) fn reader_lease(&self) -> Result<Option<Lock>> {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        match self.lease() {
            Err(StoreError::Lock(LockError::Open { source, .. }))
                if matches!(source.kind(), ReadOnlyFilesystem | PermissionDenied) =>
            {
                Ok(Lock::share(&self.root.to_base()?, LEASE, Wait::Forever)?)
            }
            lease => lease.map(Some),
        }
    }

    /// Where an object lies; `None` when the store lacks it.
    pub fn locate(&self, id: &ObjectId) -> Result<Option<Location>> {
        if let Some(location) = self.objects.find(id)? {
            return Ok(Some(location));
        }
        // Another process may have added a pack since the indexes were opened.
        self.objects.refresh()?;
        self.objects.find(id)
    }

    /// Passes an object's content to `each`, piece by piece, and checks it against the id.
    ///
    /// The pieces are not to be trusted before this has returned `Ok`.
    pub fn read_object(&self, id: &ObjectId, each: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let at = self.locate(id)?.ok_or(StoreError::NoObject { id: *id })?;
        self.objects.read(id, at, each)
    }

    /// Reads a tree's listing, checked against its id.
    pub fn listing(&self, tree: &ObjectId) -> Result<Vec<u8>> {
        match self.trees.read(tree.hex(), LISTING_LIMIT)? {
            Some(bytes) => checked(&Digest::from(*tree), bytes),
            None => first_whole(&self.alternates, |store| store.listing(tree))?
                .ok_or(StoreError::NoTree { id: *tree }),
        }
    }

    /// The ids of the trees in this store, without its alternates; sorted.
    pub fn trees(&self) -> Result<Vec<ObjectId>> {
        let names = self.trees.names()?;
        let text = names.iter().filter_map(|name| core::str::from_utf8(name).ok());
        Ok(text.filter_map(ObjectId::from_hex).collect())
    }

    /// Reads a blob, checked against its digest.
    pub fn blob(&self, digest: &Digest) -> Result<Vec<u8>> {
        match self.blob_dir(digest).read(digest.hex(), BLOB_LIMIT)? {
            Some(bytes) => checked(digest, bytes),
            None => first_whole(&self.alternates, |store| store.blob(digest))?
                .ok_or(StoreError::NoBlob { digest: Box::new(*digest) }),
        }
    }

    /// The digests of all blobs, without those of alternates.
    pub fn blobs(&self) -> Result<Vec<Digest>> {
        let mut digests = Vec::new();
        for (algorithm, dir) in [Algorithm::Sha256, Algorithm::Sha512].iter().zip(&self.blobs) {
            let digest = |name: &Vec<u8>| {
                let hex = core::str::from_utf8(name).ok()?;
                format!("{}:{hex}", algorithm.name()).parse::<Digest>().ok()
            };
            digests.extend(dir.names()?.iter().filter_map(digest));
        }
        Ok(digests)
    }

    pub(crate) fn blob_dir(&self, digest: &Digest) -> &Dir {
        let [sha256, sha512] = &self.blobs;
        match digest.algorithm() {
            Algorithm::Sha256 => sha256,
            Algorithm::Sha512 => sha512,
        }
    }

    /// What a reference names; `None` when there is no such reference.
    pub fn reference(&self, name: &[u8]) -> Result<Option<Digest>> {
        let file = names::encode(name)?;
        let Some(bytes) = self.refs.read(&file, 256)? else { return Ok(None) };
        let text = core::str::from_utf8(&bytes).ok().and_then(|text| text.strip_suffix('\n'));
        let digest = text.and_then(|text| text.parse().ok());
        digest
            .map(Some)
            .ok_or_else(|| StoreError::damaged(&self.refs.path_of(file), "does not hold a digest"))
    }

    /// The names of all references, sorted by file name.
    pub fn references(&self) -> Result<Vec<Vec<u8>>> {
        Ok(self.refs.names()?.iter().filter_map(|file| names::decode(file)).collect())
    }

    /// Removes a reference, in constant time and without free space; says whether there was one.
    /// What it named goes with the next collection.
    pub fn remove_reference(&self, name: &[u8]) -> Result<bool> {
        self.writable()?;
        let removed = self.refs.remove(names::encode(name)?)?;
        self.refs.sync()?;
        Ok(removed)
    }
}

/// Opens the directory of a store, if there is one.
pub(crate) fn open_root(path: &Path) -> Result<Dir> {
    match Dir::open(path) {
        Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Err(StoreError::NoStore { path: path.to_owned() })
        }
        opened => opened,
    }
}

/// Reads what a directory says of the store in it.
fn describe(root: &Dir) -> Result<Vec<u8>> {
    let path = root.path();
    let bad = |reason: &str| StoreError::BadDescription {
        path: path.join(DESCRIPTION),
        reason: reason.to_owned(),
    };
    match root.read(DESCRIPTION, LIMIT) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) if mend::has_contents(root)? => Err(bad("it is missing")),
        Ok(None) => Err(StoreError::NoStore { path: path.to_owned() }),
        Err(StoreError::Damaged { reason, .. }) => Err(bad(reason)),
        Err(error) => Err(error),
    }
}

/// Fails for an alternate whose contents could not be found.
fn check_alternates(description: &Description, alternates: &[Store], path: &Path) -> Result<()> {
    let backend = description.backend;
    match alternates.iter().find(|store| store.description.backend != backend) {
        Some(other) => Err(StoreError::WrongAlternate {
            path: path.to_owned(),
            alternate: other.path().to_owned(),
        }),
        None => Ok(()),
    }
}

pub(crate) fn checked(expected: &Digest, bytes: Vec<u8>) -> Result<Vec<u8>> {
    let mut hasher = Hasher::new(expected.algorithm());
    hasher.update(&bytes);
    same(expected, hasher.finish())?;
    Ok(bytes)
}

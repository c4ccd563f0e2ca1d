//! A store, read.

use std::io;
use std::path::Path;
use std::sync::Arc;

use creel_base::digest::{Algorithm, Digest, Hasher, ObjectId};
use creel_base::lock::LockError;

use crate::config::{Access, Description};
use crate::damage::first_whole;
use crate::dir::Dir;
use crate::error::{Result, StoreError};
use crate::lock::{self, Kind, Lock, Wait};
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
    pub(crate) description: Description,
    pub(crate) access: Access,
}

impl Store {
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

pub(crate) fn checked(expected: &Digest, bytes: Vec<u8>) -> Result<Vec<u8>> {
    let mut hasher = Hasher::new(expected.algorithm());
    hasher.update(&bytes);
    same(expected, hasher.finish())?;
    Ok(bytes)
}

//! Garbage collection: mark from the references, then let go in an order that a crash cannot hurt.
//!
//! What refers goes before what it refers to: blobs, recipes, trees, checkouts, index entries, contents. No
//! step needs free space.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use creel_base::digest::{Digest, ObjectId};
use creel_codec::listing;
use rustix::fs::FallocateFlags;

use crate::dir::{Dir, TEMPORARY};
use crate::error::{Result, StoreError};
use crate::fault;
use crate::lock::{self, Kind, Wait};
use crate::pack::index::{Entry, Index};
use crate::pack::{BLOCK, PackId};
use crate::store::{LEASE, Store};

/// What the store cannot know about its blobs, as it does not know OCI.
pub trait References {
    /// Returns what a blob refers to: blobs, trees, layers by diff id, and stacks by the chain ids
    /// of their layers ([`crate::chain_ids`]). Names that the store lacks are passed over.
    ///
    /// A recipe keeps its tree, be it named by diff id or chain id, and a tree keeps its contents.
    /// Without its chain ids, a stack has to be made anew when it is mounted next.
    fn of_blob(
        &self,
        digest: &Digest,
        bytes: &[u8],
    ) -> std::result::Result<Vec<Digest>, Box<dyn std::error::Error + Send + Sync>>;

    /// Returns what is in use without a reference: mounted trees, trees of containers. It is asked
    /// while the collection is alone, so that nothing can begin to be used afterwards.
    fn pinned(&self) -> std::result::Result<Vec<Digest>, Box<dyn std::error::Error + Send + Sync>>;
}

/// What a collection has removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blobs removed.
    pub blobs: u64,
    /// Trees removed.
    pub trees: u64,
    /// Objects removed.
    pub objects: u64,
    /// Bytes of those objects.
    pub bytes: u64,
    /// Packs removed as a whole.
    pub packs: u64,
    /// Checkouts removed.
    pub checkouts: u64,
}

/// What is in use.
#[derive(Debug, Default)]
struct Marked {
    names: HashSet<Digest>,
    objects: HashSet<ObjectId>,
}

impl Store {
    /// Removes all that nothing refers to. Writers are waited for, or make this fail with
    /// [`StoreError::Busy`]; new ones wait until it has ended.
    pub fn collect(&self, references: &dyn References, wait: Wait) -> Result<Collected> {
        self.writable()?;
        let _alone = lock::take(&self.root, LEASE, Kind::Exclusive, wait)?
            .ok_or_else(|| StoreError::Busy { path: self.path().to_owned() })?;
        self.objects.refresh()?;
        let marked = self.mark(references, &[])?;
        let mut done = Collected::default();
        for blobs in &self.blobs {
            let algorithm =
                blobs.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
            done.blobs += sweep(blobs, |hex| marked.has(&format!("{algorithm}:{hex}")))?;
        }
        sweep(&self.recipes, |name| marked.has(&name.replacen('-', ":", 1)))?;
        done.trees = sweep(&self.trees, |hex| marked.has(&format!("sha256:{hex}")))?;
        done.checkouts = self.sweep_checkouts(|tree| marked.names.contains(&(*tree).into()))?;
        for dir in [&self.refs, &self.root] {
            sweep(dir, |_| true)?;
        }
        self.sweep_packs(&marked, &mut done)?;
        // Made again, as the next may look up much: without, it is only slow, and it takes space.
        let _ = self.objects.merge_indexes();
        self.objects.refresh()?;
        Ok(done)
    }

    /// Counts what [`Store::collect`] would remove if the references in `without` were gone, and
    /// removes nothing.
    pub fn collectable(
        &self,
        references: &dyn References,
        without: &[Vec<u8>],
    ) -> Result<Collected> {
        let _lease = self.reader_lease()?;
        self.objects.refresh()?;
        let marked = self.mark(references, without)?;
        let mut found = Collected::default();
        for (blobs, algorithm) in self.blobs.iter().zip(["sha256", "sha512"]) {
            found.blobs += unmarked(blobs, |hex| marked.has(&format!("{algorithm}:{hex}")))?;
        }
        found.trees = unmarked(&self.trees, |hex| marked.has(&format!("sha256:{hex}")))?;
        found.checkouts = self.unwanted_checkouts(|tree| marked.names.contains(&(*tree).into()))?;
        for pack in self.objects.packs() {
            let (live, dead) = split(&self.objects.read_only_index(pack)?, &marked)?;
            found.add_objects(&dead);
            found.packs += u64::from(live.is_empty());
        }
        Ok(found)
    }

    fn mark(&self, references: &dyn References, without: &[Vec<u8>]) -> Result<Marked> {
        // By one with a flipped bit, what is needed would go.
        for pack in self.objects.packs() {
            self.objects.read_only_index(pack)?.verify()?;
        }
        let mut todo = references.pinned().map_err(|source| StoreError::Pinned { source })?;
        for name in self.references()?.iter().filter(|name| !without.contains(*name)) {
            todo.extend(self.reference(name)?);
        }
        let mut marked = Marked::default();
        while let Some(digest) = todo.pop() {
            if !marked.names.insert(digest) {
                continue;
            }
            match self.blob(&digest) {
                Ok(bytes) => {
                    todo.extend(references.of_blob(&digest, &bytes).map_err(|source| {
                        StoreError::References { digest: Box::new(digest), source }
                    })?)
                }
                Err(StoreError::NoBlob { .. }) => {}
                Err(error) => return Err(error),
            }
            if let Some(recipe) = self.recipe(&digest)? {
                todo.push(recipe.tree.into());
            }
            if let Ok(tree) = ObjectId::try_from(digest) {
                self.mark_tree(&tree, &mut marked)?;
            }
        }
        Ok(marked)
    }

    fn mark_tree(&self, tree: &ObjectId, marked: &mut Marked) -> Result<()> {
        let listing = match self.listing(tree) {
            Ok(listing) => listing,
            Err(StoreError::NoTree { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        for object in objects_of(&listing)? {
            marked.objects.insert(object);
        }
        Ok(())
    }

    fn sweep_packs(&self, marked: &Marked, done: &mut Collected) -> Result<()> {
        // Merged indexes would still name what goes; they are made again from those of the packs.
        self.objects.forget_merged()?;
        let packs = self.objects.packs();
        for pack in &packs {
            self.sweep_pack(*pack, marked, done)?;
        }
        let dir = self.objects.dir();
        for name in dir.all_names()? {
            let lost =
                PackId::from_name(&name, b".pack").is_some_and(|pack| !packs.contains(&pack));
            if lost || name.starts_with(TEMPORARY) {
                dir.remove(OsStr::from_bytes(&name))?;
            }
        }
        Ok(())
    }

    fn sweep_pack(&self, pack: PackId, marked: &Marked, done: &mut Collected) -> Result<()> {
        let index = self.objects.pack_index(pack)?;
        let (live, dead) = split(&index, marked)?;
        done.add_objects(&dead);
        let dir = self.objects.dir();
        if live.is_empty() {
            done.packs += 1;
            dir.remove(pack.index_name())?;
            dir.sync()?;
            dir.remove(pack.pack_name())?;
            return Ok(());
        }
        let fresh = dead.iter().filter(|entry| !entry.dropped);
        let numbers: Vec<_> = fresh.map(|entry| entry.number).collect();
        if !numbers.is_empty() {
            index.drop_entries(&numbers)?;
        }
        // Also when nothing is fresh: a crash may have come between the index and the holes.
        if dead.is_empty() { Ok(()) } else { self.punch(pack, &live, index.packs()) }
    }

    /// Gives the blocks back in which no live object lies. Addresses stay.
    fn punch(&self, pack: PackId, live: &[Entry], packs: &[(PackId, u64)]) -> Result<()> {
        let dir = self.objects.dir();
        let Some(file) = dir.open_file_rw(pack.pack_name())? else { return Ok(()) };
        let mut ranges: Vec<_> = live
            .iter()
            .map(|entry| entry.record.at)
            .map(|at| (at.offset, at.offset.saturating_add(at.stored)))
            .collect();
        ranges.sort_unstable();
        let length = packs.first().map_or(0, |pack| pack.1);
        ranges.push((length, length));
        let mut kept = BLOCK;
        for (start, end) in ranges {
            let from = kept.next_multiple_of(BLOCK);
            let to = start - start % BLOCK;
            if from < to {
                let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                fault::step()
                    .and_then(|()| Ok(rustix::fs::fallocate(&file, mode, from, to - from)?))
                    .or_else(|error| match error.raw_os_error() {
                        // EOPNOTSUPP: this file system keeps the space until the pack goes.
                        Some(95) => Ok(()),
                        _ => Err(error),
                    })
                    .map_err(StoreError::io("free space in", &dir.path_of(pack.pack_name())))?;
            }
            kept = kept.max(end);
        }
        Ok(())
    }
}

impl Collected {
    /// Adds the entries of an index that had not been dropped before.
    fn add_objects(&mut self, dead: &[Entry]) {
        for entry in dead.iter().filter(|entry| !entry.dropped) {
            self.objects += 1;
            self.bytes = self.bytes.saturating_add(entry.record.at.stored);
        }
    }
}

impl Marked {
    fn has(&self, digest: &str) -> bool {
        digest.parse().is_ok_and(|digest| self.names.contains(&digest))
    }
}

/// Parts the entries of an index into those in use and those that are not.
fn split(index: &Index, marked: &Marked) -> Result<(Vec<Entry>, Vec<Entry>)> {
    let (mut live, mut dead) = (Vec::new(), Vec::new());
    index.for_each(|entry| {
        let used = !entry.dropped && marked.objects.contains(&entry.record.id);
        if used { &mut live } else { &mut dead }.push(*entry);
        Ok(())
    })?;
    Ok((live, dead))
}

/// The objects that a listing names.
pub(crate) fn objects_of(listing: &[u8]) -> Result<Vec<ObjectId>> {
    let invalid = |source| StoreError::Listing { source: Box::new(source) };
    let objects = listing::objects(listing, &listing::Limits::default()).map_err(invalid)?;
    objects
        .map(|object| object.map(|(id, _)| id))
        .collect::<std::result::Result<_, _>>()
        .map_err(invalid)
}

/// Counts the files that `keep` does not want, without what is derived from them.
fn unmarked(dir: &Dir, keep: impl Fn(&str) -> bool) -> Result<u64> {
    let names = dir.names()?;
    let texts = names.iter().map(|name| String::from_utf8_lossy(name));
    Ok(texts.filter(|name| !name.contains('.') && !keep(name)).count() as u64)
}

/// Removes half-written files, and the files that `keep` does not want, durably.
///
/// `keep` gets the name up to the first dot: what is derived from a tree stays and goes with it.
fn sweep(dir: &Dir, keep: impl Fn(&str) -> bool) -> Result<u64> {
    let mut removed = 0;
    for name in dir.all_names()? {
        let text = String::from_utf8_lossy(&name);
        let stem = text.split_once('.').map_or(&*text, |(stem, _)| stem);
        let temporary = name.starts_with(TEMPORARY);
        if temporary || !keep(stem) {
            dir.remove(OsStr::from_bytes(&name))?;
            removed += u64::from(!temporary && stem.len() == name.len());
        }
    }
    dir.sync()?;
    Ok(removed)
}

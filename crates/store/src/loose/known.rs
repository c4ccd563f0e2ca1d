//! Files of other checkouts that a new one may share.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use creel_base::digest::ObjectId;
use creel_base::path::Dir;
use creel_codec::tree::{Entry, Kind, Meta, Tree};
use rustix::fs::FileType;

use crate::checkout::Owners;
use crate::error::Result;
use crate::store::Store;

/// Places of one content that are remembered: it may be there with several owners, modes or times.
const MOST: usize = 8;

/// Where contents lie already.
pub(super) struct Known {
    /// Directories, each with whose its files are.
    dirs: Vec<(Dir, Owners)>,
    places: HashMap<ObjectId, Vec<Place>>,
    owners: Owners,
}

/// A file of a checkout.
#[derive(Clone)]
pub(super) struct Place {
    dir: usize,
    path: Box<[u8]>,
    meta: Meta,
    pub(super) size: u64,
}

impl Known {
    /// Looks through all checkouts with these owners for the contents of a tree.
    pub(super) fn search(store: &Store, tree: &Tree, owners: Owners) -> Result<Self> {
        let objects = tree.entries.iter().filter_map(|entry| match &entry.kind {
            Kind::File { object, size } if *size > 0 => Some(*object),
            _ => None,
        });
        let wanted: HashSet<_> = objects.collect();
        let mut known = Self { dirs: Vec::new(), places: HashMap::new(), owners };
        for other in if wanted.is_empty() { Vec::new() } else { store.trees()? } {
            let Some(dir) = store.open_checkout(&other, owners)? else { continue };
            // A damaged listing is the business of a check.
            let Ok(tree) = store.tree(&other) else { continue };
            let number = known.add_dir(dir);
            for entry in &tree.entries {
                if matches!(&entry.kind, Kind::File { object, .. } if wanted.contains(object)) {
                    known.add(number, entry);
                }
            }
        }
        Ok(known)
    }

    /// Adds the tree's own directory, in which all its contents are, with whatever owners.
    pub(super) fn add_original(&mut self, store: &Store, tree: &Tree, id: &ObjectId) -> Result<()> {
        let Some((path, owners)) = store.existing_directory(id)? else { return Ok(()) };
        self.dirs.push((Dir::open(path)?, owners));
        for entry in &tree.entries {
            self.add(self.dirs.len() - 1, entry);
        }
        Ok(())
    }

    /// Adds a directory of files with the owners looked for; returns its number.
    pub(super) fn add_dir(&mut self, dir: Dir) -> usize {
        self.dirs.push((dir, self.owners));
        self.dirs.len() - 1
    }

    pub(super) fn add(&mut self, dir: usize, entry: &Entry) {
        let Kind::File { size, object } = entry.kind else { return };
        let places = self.places.entry(object).or_default();
        if places.len() < MOST {
            let (path, meta) = (entry.path.clone(), entry.meta.clone());
            places.push(Place { dir, path, meta, size });
        }
    }

    /// The places of a content that still look as they were made, with their directories.
    ///
    /// Whoever changes a file changes its time, so that damage of that kind does not spread.
    pub(super) fn find(&self, object: &ObjectId) -> impl Iterator<Item = (&Dir, &Place)> {
        let places = self.places.get(object).into_iter().flatten();
        places
            .filter_map(|place| Some((self.dirs.get(place.dir)?, place)))
            .filter(|((dir, owners), place)| is_intact(dir, *owners, place))
            .map(|((dir, _), place)| (dir, place))
    }

    /// Tells whether a file could stand in for one with these owners.
    pub(super) fn owns(&self, place: &Place) -> bool {
        self.dirs.get(place.dir).is_some_and(|(_, owners)| *owners == self.owners)
    }
}

fn is_intact(dir: &Dir, owners: Owners, place: &Place) -> bool {
    let Ok(stat) = dir.stat(place.path()) else { return false };
    let meta = &place.meta;
    let owner = (stat.st_uid, stat.st_gid);
    let owned = match owners {
        Owners::Caller => true,
        Owners::AsInTree => owner == (meta.uid, meta.gid),
        Owners::Mapped(ids) => ids.outside(meta.uid, meta.gid) == Some(owner),
    };
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
        && stat.st_mode & 0o7777 == u32::from(meta.mode)
        && u64::try_from(stat.st_size) == Ok(place.size)
        && stat.st_mtime == meta.mtime_s
        && stat.st_mtime_nsec == u64::from(meta.mtime_ns)
        && owned
}

impl Place {
    pub(super) fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.path))
    }

    /// Tells whether a file with this metadata would be the same on disk.
    pub(super) fn has(&self, meta: &Meta, owners: Owners) -> bool {
        let same = (self.meta.mode, self.meta.mtime_s, self.meta.mtime_ns)
            == (meta.mode, meta.mtime_s, meta.mtime_ns);
        let owned =
            owners == Owners::Caller || (self.meta.uid, self.meta.gid) == (meta.uid, meta.gid);
        same && owned && self.meta.xattrs == meta.xattrs
    }
}

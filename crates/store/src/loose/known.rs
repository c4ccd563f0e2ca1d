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
    dirs: Vec<Dir>,
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
            known.dirs.push(dir);
            for entry in &tree.entries {
                if matches!(&entry.kind, Kind::File { object, .. } if wanted.contains(object)) {
                    known.add(known.dirs.len() - 1, entry);
                }
            }
        }
        Ok(known)
    }

    /// Adds a directory; returns its number.
    pub(super) fn add_dir(&mut self, dir: Dir) -> usize {
        self.dirs.push(dir);
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
            .filter(|(dir, place)| self.is_intact(dir, place))
    }

    fn is_intact(&self, dir: &Dir, place: &Place) -> bool {
        let Ok(stat) = dir.stat(place.path()) else { return false };
        let meta = &place.meta;
        let owned =
            self.owners == Owners::Caller || (stat.st_uid, stat.st_gid) == (meta.uid, meta.gid);
        FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
            && stat.st_mode & 0o7777 == u32::from(meta.mode)
            && u64::try_from(stat.st_size) == Ok(place.size)
            && stat.st_mtime == meta.mtime_s
            && stat.st_mtime_nsec == u64::from(meta.mtime_ns)
            && owned
    }
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

//! Putting contents where they belong, shared with what has them already.
//!
//! By reflink where the file system can, else by hard links among files that are equal in every
//! respect. Empty files are not worth an entry in the inode's count of links, and one that group or
//! others may write is kept apart from files that were not meant to be open to them.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use creel_base::digest::ObjectId;
use creel_base::path::{Dir, IfExists, Mode, OFlags, Scope};
use creel_codec::tree::{Entry, Kind, Meta};

use super::known::{Known, Place};
use super::staging::{Staging, step};
use crate::checkout::{Files, Put, fill};
use crate::contents::{FileReader, open_plain};
use crate::error::{Result, StoreError};

/// The files of one checkout being made.
pub(super) struct Placer<'a> {
    staging: &'a mut Staging,
    known: Known,
    /// The number of the checkout's own directory among those known.
    own: usize,
    cloning: bool,
}

impl<'a> Placer<'a> {
    pub(super) fn new(
        root: Dir,
        mut known: Known,
        staging: &'a mut Staging,
        cloning: bool,
    ) -> Self {
        let own = known.add_dir(root);
        Self { staging, known, own, cloning }
    }

    /// Makes the file a further name of one that is equal; tells whether there was one.
    fn link(&self, dir: &Dir, name: &OsStr, entry: &Entry, object: &ObjectId) -> Result<bool> {
        let owners = self.staging.owners;
        for (from, place) in self.known.find(object) {
            if !self.known.owns(place) || !place.has(&entry.meta, owners) {
                continue;
            }
            step(dir)?;
            // EMLINK, or a file system that has no links: it gets an inode of its own.
            if from.hard_link(place.path(), dir, Path::new(name)).is_ok() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Makes a file of its own with the content.
    fn make(&mut self, dir: &Dir, name: &OsStr, object: &ObjectId) -> Result<()> {
        step(dir)?;
        if let Some(number) = self.staging.files.remove(object) {
            let staged = number.to_string();
            self.staging.dir.rename_to(staged.as_ref(), dir, name.as_ref(), IfExists::Fail)?;
            if self.cloning
                && let Some((from, place)) = self.known.find(object).next()
            {
                let file =
                    dir.open_within(name, Scope::NoLinks, OFlags::RDWR | OFlags::NOFOLLOW)?;
                // Without it the content is there all the same, on blocks of its own.
                let _ = clone(from, place, &file);
            }
            return Ok(());
        }
        for (from, place) in self.known.find(object) {
            let file = dir.create_new(name, Mode::RUSR | Mode::WUSR)?;
            if self.cloning && clone(from, place, &file).is_ok() {
                return Ok(());
            }
            let source = Arc::new(open_plain(from, place.path().as_os_str().as_bytes())?);
            let reader = FileReader::new(Some(source), 0, place.size, *object)?;
            match fill(&file, reader, &dir.path().join(name)) {
                // The next place may be better.
                Err(StoreError::DigestMismatch { .. }) => dir.unlink(name)?,
                result => return result,
            }
        }
        Err(StoreError::NoObject { id: *object })
    }
}

impl Files for Placer<'_> {
    fn put(&mut self, dir: &Dir, name: &OsStr, entry: &Entry) -> Result<Put> {
        let Kind::File { size, object } = entry.kind else { return Ok(Put::Bare) };
        if size == 0 {
            step(dir)?;
            dir.create_new(name, Mode::RUSR | Mode::WUSR)?;
            return Ok(Put::Bare);
        }
        let linkable = !self.cloning && is_shareable(&entry.meta);
        if linkable && self.link(dir, name, entry, &object)? {
            return Ok(Put::Whole);
        }
        self.make(dir, name, &object)?;
        self.known.add(self.own, entry);
        Ok(Put::Bare)
    }
}

/// Tells whether a file may share its inode with others.
fn is_shareable(meta: &Meta) -> bool {
    meta.mode & 0o022 == 0
}

fn clone(from: &Dir, place: &Place, to: &File) -> Result<()> {
    let source = open_plain(from, place.path().as_os_str().as_bytes())?;
    rustix::fs::ioctl_ficlone(to.as_fd(), source.as_fd())
        .map_err(|errno| StoreError::io("share", from.path())(errno.into()))
}

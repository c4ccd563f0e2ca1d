//! Checking a tree out: its contents as files of a directory.

mod metadata;
mod writer;

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use creel_base::digest::ObjectId;
use creel_base::path::{Dir, IfExists};
use creel_codec::erofs::OverlayMarks;
use creel_codec::tree::{Entry, Tree};
use rustix::fs::Mode;

pub(crate) use metadata::is_portable;
pub(crate) use writer::{Files, Purpose, Put, Writer};

use crate::contents::{Contents, FileReader};
use crate::error::{Result, StoreError};
use crate::ids::Ids;
use crate::store::Store;

/// Whose the files of a checkout are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owners {
    /// Whose the tree says, for which privileges are needed.
    AsInTree,
    /// The caller's.
    Caller,
    /// Those for whom the ids of a tree stand in a user namespace: for containers with ids of their
    /// own.
    Mapped(Ids),
}

impl Store {
    /// Writes a tree into a new directory at `target`, which appears as a whole or not at all.
    ///
    /// Whiteouts and opaque directories become those of overlayfs, so that the directory can be one
    /// of its layers. Contents are checked against their ids. Nothing is flushed.
    ///
    /// # Errors
    ///
    /// Beyond those of files: [`StoreError::CannotCheckOut`] for an entry that a directory cannot
    /// hold as it is.
    pub fn checkout(
        &self,
        tree: &ObjectId,
        target: &Path,
        owners: Owners,
        overlay: OverlayMarks,
    ) -> Result<()> {
        let _lease = self.reader_lease()?;
        self.checkout_tree(&self.tree(tree)?, &[*tree], target, owners, overlay)
    }

    /// Does the same with a tree that need not be in the store itself, such as layers merged: only
    /// `layers`, the trees that its contents came with, must be.
    ///
    /// # Errors
    ///
    /// Those of [`Store::checkout`].
    pub fn checkout_tree(
        &self,
        tree: &Tree,
        layers: &[ObjectId],
        target: &Path,
        owners: Owners,
        overlay: OverlayMarks,
    ) -> Result<()> {
        let _lease = self.reader_lease()?;
        let name = target.file_name().ok_or_else(|| StoreError::CannotCheckOut {
            path: target.to_owned(),
            reason: "the directory has no name",
        })?;
        let above = match target.parent() {
            Some(above) if !above.as_os_str().is_empty() => above,
            _ => Path::new("."),
        };
        let above = Dir::open(above)?;
        let number = crate::dir::random().map_err(StoreError::io("name a file in", target))?;
        let staging = format!(".tmp-{:032x}", u128::from_be_bytes(number));
        above.mkdir(&staging, Mode::RWXU)?;
        let mut copies = Copies(self.contents(layers)?);
        let made = Writer { tree, owners, overlay, purpose: Purpose::Exact }
            .write(&mut copies, &above, &staging)
            .and_then(|()| Ok(above.rename(staging.as_ref(), name.as_ref(), IfExists::Fail)?));
        if made.is_err() {
            let _ = above.remove_all(&staging);
        }
        made
    }
}

/// Files that are copies of what is in the store.
struct Copies<'a>(Contents<'a>);

impl Files for Copies<'_> {
    fn put(&mut self, dir: &Dir, name: &OsStr, entry: &Entry) -> Result<Put> {
        let file = dir.create_new(name, Mode::RUSR | Mode::WUSR)?;
        fill(&file, self.0.open(entry)?, &dir.path().join(name))?;
        Ok(Put::Bare)
    }
}

/// Copies content into an empty file and checks it. What is all zeros stays a hole.
pub(crate) fn fill(file: &File, content: FileReader, path: &Path) -> Result<()> {
    let (size, mut end) = (content.left(), 0_u64);
    content.for_each(|piece| {
        if piece.iter().any(|byte| *byte != 0) {
            file.write_all_at(piece, end).map_err(StoreError::io("write", path))?;
        }
        end += piece.len() as u64;
        Ok(())
    })?;
    file.set_len(size).map_err(StoreError::io("write", path))
}

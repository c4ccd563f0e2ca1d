//! Removing and measuring checkouts.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use creel_base::digest::ObjectId;
use creel_base::path::{Dir, FileType, IfExists};

use super::staging::step;
use super::tree_of;
use crate::dir::TEMPORARY;
use crate::error::Result;
use crate::store::Store;
use crate::usage::Amount;

impl Store {
    /// Counts the checkouts of trees that `keep` does not want.
    pub(crate) fn unwanted_checkouts(&self, keep: impl Fn(&ObjectId) -> bool) -> Result<u64> {
        let names = self.checkouts.names()?;
        Ok(names.iter().filter(|name| !is_wanted(name, &keep)).count() as u64)
    }

    /// Removes the checkouts of trees that `keep` does not want, and what was left half-made;
    /// returns how many checkouts there were.
    pub(crate) fn sweep_checkouts(&self, keep: impl Fn(&ObjectId) -> bool) -> Result<u64> {
        let above = self.checkouts.to_base()?;
        let (mut garbage, mut removed) = (Vec::new(), 0);
        for name in self.checkouts.all_names()? {
            if name.starts_with(TEMPORARY) {
                garbage.push(name);
            } else if !is_wanted(&name, &keep) {
                // First out of sight, so that no one finds half of it.
                let temporary = self.checkouts.temporary()?;
                step(&above)?;
                above.rename(path(&name), path(&temporary), IfExists::Fail)?;
                garbage.push(temporary);
                removed += 1;
            }
        }
        self.checkouts.sync()?;
        for name in garbage {
            step(&above)?;
            above.remove_all(path(&name))?;
        }
        Ok(removed)
    }

    /// Counts checkouts and the bytes they take, shared files once.
    pub(crate) fn measure_checkouts(&self) -> Result<Amount> {
        let above = self.checkouts.to_base()?;
        let mut seen = HashSet::new();
        let mut total = Amount::default();
        for name in self.checkouts.names()? {
            let bytes = measure(&above, path(&name), &mut seen)?;
            total.add(bytes);
        }
        Ok(total)
    }
}

fn is_wanted(name: &[u8], keep: impl Fn(&ObjectId) -> bool) -> bool {
    tree_of(name).is_some_and(|tree| keep(&tree))
}

fn path(name: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(name))
}

/// The bytes on disk of a directory and all below it, without the inodes seen before. What goes
/// away meanwhile is left out.
fn measure(above: &Dir, path: &Path, seen: &mut HashSet<(u64, u64)>) -> Result<u64> {
    let mut todo: Vec<PathBuf> = vec![path.to_owned()];
    let mut bytes = 0_u64;
    while let Some(path) = todo.pop() {
        let dir = match above.open_dir(&path) {
            Ok(dir) => dir,
            Err(error) if error.is_not_found() => continue,
            Err(error) => return Err(error.into()),
        };
        let mut count = |stat: &creel_base::path::Stat| {
            let blocks = u64::try_from(stat.st_blocks).unwrap_or_default();
            if stat.st_nlink == 1 || seen.insert((stat.st_dev, stat.st_ino)) {
                bytes = bytes.saturating_add(blocks.saturating_mul(512));
            }
        };
        count(&dir.stat_self()?);
        for entry in dir.entries()? {
            let entry = entry?;
            match entry.file_type {
                FileType::Directory => todo.push(path.join(entry.name)),
                _ => match dir.stat(&entry.name) {
                    Ok(stat) => count(&stat),
                    Err(error) if error.is_not_found() => {}
                    Err(error) => return Err(error.into()),
                },
            }
        }
    }
    Ok(bytes)
}

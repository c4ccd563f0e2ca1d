//! What a container has changed: shown, or made into a layer.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use creel_base::path::Dir;
use creel_codec::erofs::OverlayMarks;
use creel_codec::tree::{Kind, Tree, merge};
use creel_store::{Origin, Owners, scan};

use super::catalog::Container;
use super::changes_error::ChangesError;
use super::host::HostRoot;
use super::record::{Record, Root};
use super::users;
use crate::{Engine, Privileges};

/// How a path differs from what is below the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// It is new.
    Added,
    /// It is another, or in a directory something has changed.
    Changed,
    /// It is gone.
    Deleted,
}

/// A path that a container has changed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Changed {
    /// Which: absolute, as bytes.
    pub path: Vec<u8>,
    /// How.
    pub how: How,
}

/// What is mounted over in every container; the mount points are no change of anybody's.
const MOUNT_POINTS: [&[u8]; 8] = [
    b"dev",
    b"dev/console",
    b"etc/hostname",
    b"etc/hosts",
    b"etc/resolv.conf",
    b"proc",
    b"sys",
    b"run/.containerenv",
];

impl Engine {
    /// Lists what a container has changed, by path.
    ///
    /// # Errors
    /// [`ChangesError`].
    pub fn container_diff(&self, container: &Container) -> Result<Vec<Changed>, ChangesError> {
        if let Root::Host(host) = &container.record.root {
            return self.host_diff(container, host);
        }
        let Some(upper) = upper(&container.dir)? else { return Ok(Vec::new()) };
        let changes = scan(&upper, self.origin(), self.owners_in(&container.record))?;
        let lower = self.lower_tree(container)?;
        Ok(compare(&lower, &changes))
    }

    /// What a container would have changed of the running system, were it not for the overlays.
    fn host_diff(
        &self,
        container: &Container,
        host: &HostRoot,
    ) -> Result<Vec<Changed>, ChangesError> {
        let mut found = Vec::new();
        for (index, place) in host.overlays.iter().enumerate() {
            let dir = container.dir.open_dir(Path::new("mounts").join(index.to_string()));
            let Some(upper) = dir.ok().map(|dir| upper(&dir)).transpose()?.flatten() else {
                continue;
            };
            let changes = scan(&upper, self.origin(), self.owners())?;
            found.extend(compare_host(place, &changes));
        }
        found.sort_unstable();
        Ok(found)
    }

    /// The tree below a container's changes.
    pub(super) fn lower_tree(&self, container: &Container) -> Result<Tree, ChangesError> {
        let trees = container.record.root.trees().iter();
        let trees = trees.map(|tree| self.store().tree(tree)).collect::<Result<Vec<_>, _>>()?;
        Ok(merge(&trees.iter().collect::<Vec<_>>())?)
    }

    /// Whose the files are that a container has made.
    pub(super) fn owners_in(&self, record: &Record) -> Owners {
        let ids = users::ids(record).as_ref().and_then(users::stored);
        ids.map_or_else(|| self.owners(), Owners::Mapped)
    }

    pub(super) fn origin(&self) -> Origin {
        Origin::Upper(match self.privileges() {
            Privileges::Whole => OverlayMarks::Trusted,
            Privileges::Namespace { .. } => OverlayMarks::User,
        })
    }
}

/// The directory of a container's changes; `None` before it was started.
pub(super) fn upper(dir: &Dir) -> Result<Option<Dir>, ChangesError> {
    match dir.open_dir("upper") {
        Ok(upper) => Ok(Some(upper)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn compare(lower: &Tree, changes: &Tree) -> Vec<Changed> {
    let mut found = Vec::new();
    for entry in changes.entries.iter().skip(1) {
        let below = lower.find(&entry.path);
        let how = match (&entry.kind, below) {
            (Kind::Whiteout, _) => How::Deleted,
            (_, Some(_)) => How::Changed,
            (_, None) => How::Added,
        };
        if let (Kind::Directory { opaque: true, .. }, Some(index)) = (&entry.kind, below) {
            let hidden = lower.below(index).filter_map(|index| lower.entries.get(index));
            let gone = hidden.filter(|hidden| changes.find(&hidden.path).is_none());
            found.extend(gone.map(|gone| changed(&gone.path, How::Deleted)));
        }
        if !MOUNT_POINTS.contains(&&*entry.path) {
            found.push(changed(&entry.path, how));
        }
    }
    found.sort_unstable();
    found
}

/// As [`compare`], with the files of the host as they are now.
fn compare_host(place: &Path, changes: &Tree) -> Vec<Changed> {
    let place = place.to_string_lossy();
    let place = place.trim_end_matches('/');
    let mut found = Vec::new();
    for entry in changes.entries.iter().skip(1) {
        let path = [place.as_bytes(), b"/", &entry.path].concat();
        let there = fs::symlink_metadata(OsStr::from_bytes(&path)).is_ok();
        let how = match (&entry.kind, there) {
            (Kind::Whiteout, _) => How::Deleted,
            (_, true) => How::Changed,
            (_, false) => How::Added,
        };
        if matches!(entry.kind, Kind::Directory { opaque: true, .. }) {
            found.extend(hidden_names(&path, &entry.path, changes));
        }
        found.push(Changed { path, how });
    }
    found
}

/// What an opaque directory hides.
fn hidden_names(path: &[u8], inside: &[u8], changes: &Tree) -> Vec<Changed> {
    let names = fs::read_dir(OsStr::from_bytes(path)).into_iter().flatten().flatten();
    names
        .map(|entry| entry.file_name().into_vec())
        .filter(|name| changes.find(&[inside, b"/", name].concat()).is_none())
        .map(|name| Changed { path: [path, b"/", &name].concat(), how: How::Deleted })
        .collect()
}

fn changed(path: &[u8], how: How) -> Changed {
    Changed { path: [b"/", path].concat(), how }
}

#[cfg(test)]
mod tests {
    use creel_codec::tree::{Entry, Meta};

    use super::*;

    fn tree(entries: &[(&str, Kind)]) -> Tree {
        let entry = |(path, kind): &(&str, Kind)| Entry {
            path: path.as_bytes().into(),
            meta: Meta::default(),
            kind: kind.clone(),
        };
        Tree { entries: entries.iter().map(entry).collect() }
    }

    #[test]
    fn tells_added_changed_and_deleted() {
        let plain = Kind::Directory { opaque: false, implied: false };
        let opaque = Kind::Directory { opaque: true, implied: false };
        let lower = tree(&[
            ("", plain.clone()),
            ("a", plain.clone()),
            ("a/old", Kind::Fifo),
            ("b", plain.clone()),
            ("b/gone", Kind::Fifo),
            ("b/kept", Kind::Fifo),
            ("proc", plain.clone()),
        ]);
        let changes = tree(&[
            ("", plain.clone()),
            ("a", plain.clone()),
            ("a/new", Kind::Fifo),
            ("a/old", Kind::Whiteout),
            ("b", opaque),
            ("b/kept", Kind::Fifo),
            ("proc", plain),
        ]);
        let found = compare(&lower, &changes);
        let shown: Vec<_> =
            found.iter().map(|c| (core::str::from_utf8(&c.path).unwrap(), c.how)).collect();
        assert_eq!(
            shown,
            [
                ("/a", How::Changed),
                ("/a/new", How::Added),
                ("/a/old", How::Deleted),
                ("/b", How::Changed),
                ("/b/gone", How::Deleted),
                ("/b/kept", How::Changed),
            ]
        );
    }
}

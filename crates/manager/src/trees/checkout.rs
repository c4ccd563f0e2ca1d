//! Checking a view out: its files in a directory of the host.

use std::path::{Component, Path, PathBuf};

use creel_base::path::{Dir, IfExists as Rename};
use creel_codec::erofs::OverlayMarks;
use creel_codec::tree::{Entry, Kind, Tree};
use creel_store::{Owners, Store};

use super::{TreesError, View};

/// What to do with a directory that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfExists {
    /// Take it if it is empty, else fail.
    Fail,
    /// Put the tree in its place and remove it with all that is in it.
    Replace,
}

/// What of a tree could not become the caller's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckedOut {
    /// Device files left out.
    pub devices: u64,
    /// Attributes left out that only root may set, such as file capabilities.
    pub xattrs: u64,
}

impl View {
    /// Writes all files into the directory `target`, which appears as a whole or not at all.
    ///
    /// With [`Owners::Caller`], devices and attributes that only root may make are left out and
    /// counted. A directory that is replaced is gone only when the new one is complete.
    ///
    /// # Errors
    ///
    /// [`TreesError::Exists`]; [`TreesError::Precious`] for a directory that holds the store or
    /// one of `keep`, such as the home and the working directory; and those of
    /// [`Store::checkout_tree`].
    pub fn checkout(
        &self,
        store: &Store,
        target: &Path,
        owners: Owners,
        if_exists: IfExists,
        keep: &[(&'static str, PathBuf)],
    ) -> Result<CheckedOut, TreesError> {
        let mut left_out = CheckedOut::default();
        let own;
        let tree = match owners {
            Owners::AsInTree | Owners::Mapped(_) => &self.tree,
            Owners::Caller => {
                own = for_caller(&self.tree, &mut left_out);
                &own
            }
        };
        let Place { above, name, exists } = Place::find(target)?;
        let write = |path: &Path| {
            store.checkout_tree(tree, &self.layers(), path, owners, OverlayMarks::Trusted)
        };
        if !exists {
            write(&above.path().join(&name))?;
            return Ok(left_out);
        }
        let existing = above.open_dir(&name)?;
        if existing.entries()?.next().is_some() {
            if if_exists == IfExists::Fail {
                return Err(TreesError::Exists { path: target.to_owned() });
            }
            spare(&existing, target, store, keep)?;
        }
        let staging = PathBuf::from(format!(".creel-checkout-{}", std::process::id()));
        write(&above.path().join(&staging))?;
        let exchanged = above.rename(&staging, &name, Rename::Exchange);
        // Now the old directory, or the new one where it could not take the place.
        above.remove_all(&staging)?;
        exchanged?;
        Ok(left_out)
    }
}

/// Where a checkout goes.
struct Place {
    above: Dir,
    name: PathBuf,
    exists: bool,
}

impl Place {
    fn find(target: &Path) -> Result<Self, TreesError> {
        let Some(Component::Normal(name)) = target.components().next_back() else {
            return Err(TreesError::Precious {
                path: target.to_owned(),
                what: "the root or a directory above the working directory",
            });
        };
        let above = match target.parent() {
            Some(above) if !above.as_os_str().is_empty() => above,
            _ => Path::new("."),
        };
        let (above, name) = (Dir::open(above)?, PathBuf::from(name));
        let exists = above.exists(&name)?;
        Ok(Self { above, name, exists })
    }
}

/// Refuses a directory with which more would go than files.
fn spare(
    existing: &Dir,
    target: &Path,
    store: &Store,
    keep: &[(&'static str, PathBuf)],
) -> Result<(), TreesError> {
    let stat = existing.stat_self()?;
    let store = [("the store", store.path().to_owned())];
    for (what, path) in store.iter().chain(keep) {
        let Ok(path) = std::fs::canonicalize(path) else { continue };
        for above in path.ancestors() {
            let same = Dir::open(above).and_then(|dir| dir.stat_self());
            if same.is_ok_and(|same| (same.st_dev, same.st_ino) == (stat.st_dev, stat.st_ino)) {
                return Err(TreesError::Precious { path: target.to_owned(), what });
            }
        }
    }
    Ok(())
}

/// The tree without what only root can make.
fn for_caller(tree: &Tree, left_out: &mut CheckedOut) -> Tree {
    let mut numbers = vec![None; tree.entries.len()];
    let mut entries: Vec<Entry> = Vec::with_capacity(tree.entries.len());
    for (index, entry) in tree.entries.iter().enumerate() {
        let inode = tree.inode(index).map(|inode| &inode.kind);
        if matches!(inode, Some(Kind::CharDevice { .. } | Kind::BlockDevice { .. })) {
            left_out.devices += 1;
            continue;
        }
        if let Some(number) = numbers.get_mut(index) {
            *number = u32::try_from(entries.len()).ok();
        }
        let mut entry = entry.clone();
        if let Kind::HardLink { entry: first } = &mut entry.kind {
            *first = numbers.get(*first as usize).copied().flatten().unwrap_or(*first);
        }
        let before = entry.meta.xattrs.len();
        entry.meta.xattrs.retain(|xattr| xattr.name.starts_with(b"user."));
        left_out.xattrs += (before - entry.meta.xattrs.len()) as u64;
        entries.push(entry);
    }
    Tree { entries }
}

#[cfg(test)]
mod tests {
    use creel_base::digest::ObjectId;
    use creel_codec::tree::{Meta, Xattr};

    use super::*;

    #[test]
    fn what_only_root_can_make_is_left_out_and_links_stay_whole() {
        let xattr = |name: &[u8]| Xattr { name: name.into(), value: [1].into() };
        let meta = Meta {
            xattrs: vec![xattr(b"security.capability"), xattr(b"user.x")],
            ..Meta::default()
        };
        let file = Kind::File { size: 0, object: ObjectId::of(b"") };
        let entries = [
            (&b""[..], Meta::default(), Kind::Directory { opaque: false, implied: false }),
            (b"a-null", Meta::default(), Kind::CharDevice { major: 1, minor: 3 }),
            (b"b", meta, file),
            (b"c", Meta::default(), Kind::HardLink { entry: 2 }),
            (b"null", Meta::default(), Kind::HardLink { entry: 1 }),
        ];
        let entry =
            |(path, meta, kind): (&[u8], Meta, Kind)| Entry { path: path.into(), meta, kind };
        let tree = Tree { entries: entries.map(entry).into() };
        let mut left_out = CheckedOut::default();
        let own = for_caller(&tree, &mut left_out);
        own.validate().unwrap();
        assert_eq!(left_out, CheckedOut { devices: 2, xattrs: 1 });
        assert_eq!(own.entries.len(), 3);
        assert_eq!(own.inode_index(2), 1);
        assert_eq!(own.entries[1].meta.xattrs, [xattr(b"user.x")]);
    }
}

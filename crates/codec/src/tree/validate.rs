//! The invariants of a tree, checked in one pass.

use core::cmp::Ordering;

use creel_base::hint::Hint;

use super::{
    Entry, Kind, MAX_SYMLINK_BYTES, MAX_XATTR_NAME_BYTES, MAX_XATTR_VALUE_BYTES, Meta, Tree, path,
};

/// Why something is not a tree, or trees do not stack.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// The first entry is not a directory with an empty path.
    #[error("tree does not begin with a root directory")]
    NoRoot,
    /// There are more entries than an index (32 bits) can name.
    #[error("tree has more than {} entries", u32::MAX)]
    TooManyEntries,
    /// A path does not have the form that [`Entry::path`] asks for.
    #[error("path `{}` is not a plain relative path", .path.escape_ascii())]
    BadPath {
        /// The path.
        path: Box<[u8]>,
    },
    /// An entry does not come after the one before it.
    #[error("entry `{}` is not in order", .path.escape_ascii())]
    OutOfOrder {
        /// The path of the later entry.
        path: Box<[u8]>,
    },
    /// A path occurs twice.
    #[error("entry `{}` occurs twice", .path.escape_ascii())]
    Duplicate {
        /// The path.
        path: Box<[u8]>,
    },
    /// The parent of an entry is missing or is not a directory.
    #[error("entry `{}` is not in a directory", .path.escape_ascii())]
    NoParent {
        /// The path of the entry.
        path: Box<[u8]>,
    },
    /// Metadata is out of range, or is present where the kind has none.
    #[error("metadata of `{}` is not valid: {what}", .path.escape_ascii())]
    BadMeta {
        /// The path of the entry.
        path: Box<[u8]>,
        /// Which rule is broken.
        what: &'static str,
    },
    /// A symbolic link's target is empty, too long or holds a NUL.
    #[error("target of symbolic link `{}` is not valid", .path.escape_ascii())]
    BadTarget {
        /// The path of the entry.
        path: Box<[u8]>,
    },
    /// A hard link names no earlier entry that can have several names.
    #[error("hard link `{}` does not name an earlier file", .path.escape_ascii())]
    BadLink {
        /// The path of the entry.
        path: Box<[u8]>,
    },
    /// A link into the lower layers names nothing that can have several names there.
    #[error("hard link `{}` names `{}`, which no lower layer has as a file", .path.escape_ascii(), .target.escape_ascii())]
    NoLowerTarget {
        /// The path of the entry.
        path: Box<[u8]>,
        /// What it names.
        target: Box<[u8]>,
    },
}

impl Hint for TreeError {}

impl Tree {
    /// Checks every invariant that the types' documentation states.
    ///
    /// # Errors
    ///
    /// The first rule that is broken, in the order of the entries.
    pub fn validate(&self) -> Result<(), TreeError> {
        let root = self.entries.first().ok_or(TreeError::NoRoot)?;
        if !root.path.is_empty() || !root.kind.is_directory() {
            return Err(TreeError::NoRoot);
        }
        u32::try_from(self.entries.len()).map_err(|_| TreeError::TooManyEntries)?;
        check_meta(root)?;
        let mut open = vec![root];
        let mut previous = root;
        for (index, entry) in self.entries.iter().enumerate().skip(1) {
            check_order(previous, entry)?;
            while open.last().is_some_and(|dir| !path::is_below(&entry.path, &dir.path)) {
                open.pop();
            }
            let parent = open.last().map(|dir| &*dir.path);
            if parent.is_none() || parent != path::parent(&entry.path) {
                return Err(TreeError::NoParent { path: entry.path.clone() });
            }
            check_meta(entry)?;
            self.check_kind(index, entry)?;
            if entry.kind.is_directory() {
                open.push(entry);
            }
            previous = entry;
        }
        Ok(())
    }

    fn check_kind(&self, index: usize, entry: &Entry) -> Result<(), TreeError> {
        let path = || entry.path.clone();
        match &entry.kind {
            Kind::Symlink { target } => {
                let fits = (1..=MAX_SYMLINK_BYTES).contains(&target.len());
                if !fits || target.contains(&0) {
                    return Err(TreeError::BadTarget { path: path() });
                }
            }
            Kind::HardLink { entry: leader } => {
                let leader = *leader as usize;
                let kind = self.entries.get(leader).map(|entry| &entry.kind);
                let fits = kind.is_some_and(|kind| kind.has_meta() && !kind.is_directory());
                if leader >= index || !fits {
                    return Err(TreeError::BadLink { path: path() });
                }
            }
            Kind::LowerLink { path: target } if target.is_empty() || !path::is_valid(target) => {
                return Err(TreeError::BadPath { path: target.clone() });
            }
            _ => {}
        }
        Ok(())
    }
}

fn check_order(previous: &Entry, entry: &Entry) -> Result<(), TreeError> {
    let path = || entry.path.clone();
    match path::compare(&previous.path, &entry.path) {
        Ordering::Less if path::is_valid(&entry.path) => Ok(()),
        Ordering::Less => Err(TreeError::BadPath { path: path() }),
        Ordering::Equal => Err(TreeError::Duplicate { path: path() }),
        Ordering::Greater => Err(TreeError::OutOfOrder { path: path() }),
    }
}

fn check_meta(entry: &Entry) -> Result<(), TreeError> {
    let meta = &entry.meta;
    let bad = |what| Err(TreeError::BadMeta { path: entry.path.clone(), what });
    if !entry.kind.has_meta() {
        return if *meta == Meta::default() { Ok(()) } else { bad("this kind has none") };
    }
    if meta.mode > 0o7777 {
        return bad("mode is above 7777");
    }
    if meta.mtime_ns >= 1_000_000_000 {
        return bad("nanoseconds make a second");
    }
    if meta.xattrs.is_empty() {
        return Ok(());
    }
    if !meta.xattrs.is_sorted_by(|a, b| a.name < b.name) {
        return bad("extended attributes are not in order");
    }
    for xattr in &meta.xattrs {
        let name_fits = (1..=MAX_XATTR_NAME_BYTES).contains(&xattr.name.len());
        if !name_fits || xattr.name.contains(&0) {
            return bad("name of an extended attribute");
        }
        if xattr.value.len() > MAX_XATTR_VALUE_BYTES {
            return bad("value of an extended attribute is above 64 KiB");
        }
    }
    Ok(())
}

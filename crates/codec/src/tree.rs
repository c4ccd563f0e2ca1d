//! The tree: an immutable file system snapshot as a value.
//!
//! A [`Tree`] is what a layer, an image, a container's changes and a directory have in common. Its
//! canonical listing ([`crate::listing`]) names it.

mod diff;
mod merge;
pub mod path;
mod resolve;
mod sort;
#[cfg(test)]
mod tests;
mod validate;

use core::ops::Range;

use creel_base::digest::ObjectId;

pub use diff::{Change, changes, diff};
pub use merge::merge;
pub use resolve::resolve;
pub use validate::TreeError;

/// Longest name of an extended attribute, in bytes (Linux `XATTR_NAME_MAX`).
pub const MAX_XATTR_NAME_BYTES: usize = 255;
/// Largest value of an extended attribute, in bytes (Linux `XATTR_SIZE_MAX`).
pub const MAX_XATTR_VALUE_BYTES: usize = 65536;
/// Longest target of a symbolic link, in bytes (Linux `PATH_MAX` without the NUL).
pub const MAX_SYMLINK_BYTES: usize = 4095;
/// Longest path component, in bytes (Linux `NAME_MAX`).
pub const MAX_NAME_BYTES: usize = 255;

/// What every entry has, whatever its kind.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Meta {
    /// Permission bits with set-id and sticky bits: at most 0o7777, never a file type.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time, in seconds since 1970 (negative before).
    pub mtime_s: i64,
    /// Nanoseconds of the modification time, below 1,000,000,000.
    pub mtime_ns: u32,
    /// Extended attributes, sorted by name, each name once.
    pub xattrs: Vec<Xattr>,
}

/// One extended attribute, with the namespace in its name (`security.capability`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Xattr {
    /// Full name: no NUL, at most 255 bytes.
    pub name: Box<[u8]>,
    /// Value: at most 64 KiB.
    pub value: Box<[u8]>,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory {
        /// Hides all that lower layers have below it.
        opaque: bool,
        /// The archive only implied this directory by naming something below it: where a lower layer
        /// has the directory, its metadata holds.
        implied: bool,
    },
    /// A regular file.
    File {
        /// Logical size in bytes.
        size: u64,
        /// sha256 of the logical content (holes read as zeros).
        object: ObjectId,
    },
    /// A symbolic link.
    Symlink {
        /// Where it points: bytes, no NUL, 1 to 4095 of them.
        target: Box<[u8]>,
    },
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// The name is absent: it hides what lower layers have under it.
    Whiteout,
    /// A further name of an entry that comes earlier in the same tree.
    HardLink {
        /// Index into [`Tree::entries`] of the entry that holds the inode: never a directory, a
        /// whiteout, nor a link itself.
        entry: u32,
    },
    /// A further name of a file that only a lower layer has. Resolved when layers are stacked.
    LowerLink {
        /// Path in the lower layers, in the form of [`Entry::path`].
        path: Box<[u8]>,
    },
}

/// One name in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Path relative to the root: components separated by single slashes, no leading or trailing
    /// slash, no `.` or `..`, no NUL, each component at most 255 bytes; the root is empty. Bytes,
    /// not text.
    pub path: Box<[u8]>,
    /// Metadata. Default for [`Kind::Whiteout`], [`Kind::HardLink`] and [`Kind::LowerLink`].
    pub meta: Meta,
    /// What it is.
    pub kind: Kind,
}

/// An immutable file system snapshot: entries in canonical order.
///
/// Canonical order compares paths component by component, as bytes; a directory comes right before
/// what is in it. The first entry is the root, a directory. Every entry's parent is a directory
/// entry of the same tree.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Tree {
    /// The entries.
    pub entries: Vec<Entry>,
}

impl Tree {
    /// Returns the index of the entry at `path`, by binary search.
    pub fn find(&self, path: &[u8]) -> Option<usize> {
        self.entries.binary_search_by(|entry| path::compare(&entry.path, path)).ok()
    }

    /// Returns the entry at `path`.
    pub fn get(&self, path: &[u8]) -> Option<&Entry> {
        self.find(path).and_then(|index| self.entries.get(index))
    }

    /// Returns the index of the entry that holds the inode of entry `index`: for a hard link the
    /// entry it names, else `index` itself.
    pub fn inode_index(&self, index: usize) -> usize {
        match self.entries.get(index).map(|entry| &entry.kind) {
            Some(Kind::HardLink { entry }) => *entry as usize,
            _ => index,
        }
    }

    /// Returns the entry that holds the inode of entry `index`.
    pub fn inode(&self, index: usize) -> Option<&Entry> {
        self.entries.get(self.inode_index(index))
    }

    /// Returns the indexes of all that is below the directory at `index`, itself left out.
    pub fn below(&self, index: usize) -> Range<usize> {
        let Some(directory) = self.entries.get(index) else { return 0..0 };
        let rest = self.entries.get(index + 1..).unwrap_or_default();
        index + 1..index + 1 + rest.partition_point(|e| path::is_below(&e.path, &directory.path))
    }

    /// Iterates over the indexes of what lies directly in the directory at `index`, in order.
    ///
    /// A subdirectory costs one binary search, so that a shallow walk does not touch what is deep.
    pub fn children(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let range = self.below(index);
        let mut next = range.start;
        core::iter::from_fn(move || {
            let child = next;
            if child >= range.end {
                return None;
            }
            next = match self.entries.get(child)?.kind {
                Kind::Directory { .. } => self.below(child).end,
                _ => child + 1,
            };
            Some(child)
        })
    }
}

impl Kind {
    /// Tells whether this is a directory.
    pub const fn is_directory(&self) -> bool {
        matches!(self, Self::Directory { .. })
    }

    /// Tells whether an entry of this kind has metadata of its own.
    pub const fn has_meta(&self) -> bool {
        !matches!(self, Self::Whiteout | Self::HardLink { .. } | Self::LowerLink { .. })
    }
}

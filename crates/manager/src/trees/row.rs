//! What a directory of a tree lists.

use std::collections::BTreeMap;

use creel_base::digest::ObjectId;
use creel_codec::tree::{Entry, Kind, Meta, Tree, path};
use serde::Serialize;

use super::text::hex;
use super::{PathText, TreesError, lookup};

/// One line of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its path from the root of the tree, without a slash in front.
    #[serde(flatten)]
    pub path: PathText,
    /// What it is: `file`, `directory`, `symlink` and so on, in a layer `whiteout` and `lower-link`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Permissions in octal, with set-id and sticky bits.
    pub mode: String,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size of a file in bytes, else 0.
    pub size: u64,
    /// Last modification, RFC 3339 in UTC; `@SECONDS` where that has no such form.
    pub mtime: String,
    /// Where a symbolic link points, or the lower file that a layer's link means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<PathText>,
    /// Major and minor number of a device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device: Option<[u32; 2]>,
    /// sha256 of a file's content: the object in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The first name of the same file, where this is a further one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link_to: Option<PathText>,
    /// In a layer: hides what lower layers have in this directory.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub opaque: bool,
    /// Extended attributes, values in hex.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub xattrs: BTreeMap<String, String>,
    /// The path in bytes.
    #[serde(skip)]
    pub bytes: Vec<u8>,
    /// The target in bytes.
    #[serde(skip)]
    pub target_bytes: Option<Vec<u8>>,
}

/// Lists what lies in the directory at `path`, with `deep` also what lies below; of what is no
/// directory the entry itself.
///
/// # Errors
///
/// Those of [`lookup`].
pub fn rows(tree: &Tree, path: &[u8], deep: bool) -> Result<Vec<Row>, TreesError> {
    let index = lookup(tree, path)?;
    let is_directory = tree.entries.get(index).is_some_and(|entry| entry.kind.is_directory());
    let found: Vec<usize> = match (is_directory, deep) {
        (false, _) => vec![index],
        (true, false) => tree.children(index).collect(),
        (true, true) => tree.below(index).collect(),
    };
    Ok(found.into_iter().filter_map(|index| row(tree, index)).collect())
}

fn row(tree: &Tree, index: usize) -> Option<Row> {
    let (entry, inode) = (tree.entries.get(index)?, tree.inode(index)?);
    let meta = &inode.meta;
    let target = target(&inode.kind);
    let xattrs = meta.xattrs.iter();
    Some(Row {
        path: (&*entry.path).into(),
        kind: name_of(&inode.kind),
        mode: format!("{:04o}", meta.mode),
        uid: meta.uid,
        gid: meta.gid,
        size: size(&inode.kind),
        mtime: time(meta),
        target: target.map(Into::into),
        device: device(&inode.kind),
        sha256: object(&inode.kind).map(|object| object.hex()),
        link_to: link_to(entry, inode),
        opaque: matches!(inode.kind, Kind::Directory { opaque: true, .. }),
        xattrs: xattrs.map(|x| (super::text(&x.name), hex(&x.value))).collect(),
        bytes: entry.path.to_vec(),
        target_bytes: target.map(<[u8]>::to_vec),
    })
}

/// A kind in a word.
pub(super) const fn name_of(kind: &Kind) -> &'static str {
    match kind {
        Kind::Directory { .. } => "directory",
        Kind::File { .. } => "file",
        Kind::Symlink { .. } => "symlink",
        Kind::CharDevice { .. } => "character-device",
        Kind::BlockDevice { .. } => "block-device",
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
        Kind::Whiteout => "whiteout",
        Kind::HardLink { .. } => "hard-link",
        Kind::LowerLink { .. } => "lower-link",
    }
}

const fn size(kind: &Kind) -> u64 {
    match kind {
        Kind::File { size, .. } => *size,
        _ => 0,
    }
}

fn target(kind: &Kind) -> Option<&[u8]> {
    match kind {
        Kind::Symlink { target } => Some(target),
        Kind::LowerLink { path } => Some(path),
        _ => None,
    }
}

const fn device(kind: &Kind) -> Option<[u32; 2]> {
    match kind {
        Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
            Some([*major, *minor])
        }
        _ => None,
    }
}

const fn object(kind: &Kind) -> Option<&ObjectId> {
    match kind {
        Kind::File { object, .. } => Some(object),
        _ => None,
    }
}

fn link_to(entry: &Entry, inode: &Entry) -> Option<PathText> {
    (path::compare(&entry.path, &inode.path).is_ne()).then(|| (&*inode.path).into())
}

/// Archives hold times that no calendar does.
fn time(meta: &Meta) -> String {
    let nanoseconds = i32::try_from(meta.mtime_ns).unwrap_or_default();
    match jiff::Timestamp::new(meta.mtime_s, nanoseconds) {
        Ok(time) => time.to_string(),
        Err(_) => format!("@{}", meta.mtime_s),
    }
}

//! Writing a listing.

use super::wire::{self, put_bytes, put_number, zigzag};
use super::{ListingError, MAGIC};
use crate::tree::{Entry, Kind, Meta, Tree, path};

/// Writes the listing of a tree.
///
/// # Errors
///
/// [`ListingError::BadTree`] if the tree breaks a rule of [`Tree::validate`].
pub fn encode(tree: &Tree) -> Result<Vec<u8>, ListingError> {
    tree.validate()?;
    let mut out = Vec::with_capacity(tree.entries.len() * 72 + 16);
    out.extend_from_slice(&MAGIC);
    put_number(&mut out, tree.entries.len() as u64);
    let mut previous: &[u8] = &[];
    for entry in &tree.entries {
        let shared = path::shared_prefix(previous, &entry.path);
        put_number(&mut out, shared as u64);
        put_bytes(&mut out, entry.path.get(shared..).unwrap_or_default());
        put_entry(&mut out, entry);
        previous = &entry.path;
    }
    Ok(out)
}

fn put_entry(out: &mut Vec<u8>, entry: &Entry) {
    let xattrs = if entry.meta.xattrs.is_empty() { 0 } else { wire::XATTRS };
    out.push(tag(&entry.kind) | xattrs);
    if entry.kind.has_meta() {
        put_meta(out, &entry.meta);
    }
    match &entry.kind {
        Kind::File { size, object } => {
            put_number(out, *size);
            out.extend_from_slice(&object.0);
        }
        Kind::Symlink { target: text } | Kind::LowerLink { path: text } => put_bytes(out, text),
        Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
            put_number(out, u64::from(*major));
            put_number(out, u64::from(*minor));
        }
        Kind::HardLink { entry } => put_number(out, u64::from(*entry)),
        Kind::Directory { .. } | Kind::Fifo | Kind::Socket | Kind::Whiteout => {}
    }
}

fn put_meta(out: &mut Vec<u8>, meta: &Meta) {
    put_number(out, u64::from(meta.mode));
    put_number(out, u64::from(meta.uid));
    put_number(out, u64::from(meta.gid));
    put_number(out, zigzag(meta.mtime_s));
    put_number(out, u64::from(meta.mtime_ns));
    if !meta.xattrs.is_empty() {
        put_number(out, meta.xattrs.len() as u64);
    }
    for xattr in &meta.xattrs {
        put_bytes(out, &xattr.name);
        put_bytes(out, &xattr.value);
    }
}

const fn tag(kind: &Kind) -> u8 {
    match kind {
        Kind::Directory { opaque, implied } => {
            wire::DIRECTORY
                | if *opaque { wire::OPAQUE } else { 0 }
                | if *implied { wire::IMPLIED } else { 0 }
        }
        Kind::File { .. } => wire::FILE,
        Kind::Symlink { .. } => wire::SYMLINK,
        Kind::CharDevice { .. } => wire::CHAR_DEVICE,
        Kind::BlockDevice { .. } => wire::BLOCK_DEVICE,
        Kind::Fifo => wire::FIFO,
        Kind::Socket => wire::SOCKET,
        Kind::Whiteout => wire::WHITEOUT,
        Kind::HardLink { .. } => wire::HARD_LINK,
        Kind::LowerLink { .. } => wire::LOWER_LINK,
    }
}

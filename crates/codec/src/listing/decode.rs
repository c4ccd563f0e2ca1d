//! Reading a listing into a tree.

use creel_base::digest::ObjectId;

use super::wire::{self, Reader, unzigzag};
use super::{Limits, ListingError, MAGIC};
use crate::tree::{Entry, Kind, Meta, Tree, Xattr};

/// Least bytes an entry takes: prefix, length, one byte of name, tag.
const LEAST_ENTRY_BYTES: usize = 3;

/// Reads a listing. Whatever it accepts, [`super::encode`] writes back byte for byte.
///
/// # Errors
///
/// Anything that is not the one listing of a valid tree, or is beyond the limits.
pub fn decode(listing: &[u8], limits: &Limits) -> Result<Tree, ListingError> {
    let (mut reader, count) = open(listing, limits)?;
    let mut entries = Vec::with_capacity(count);
    let mut path = Vec::new();
    let mut all_paths_bytes = 0_usize;
    for _ in 0..count {
        read_path(&mut reader, &mut path, entries.is_empty(), limits)?;
        all_paths_bytes = all_paths_bytes.saturating_add(path.len());
        if all_paths_bytes > limits.all_paths_bytes {
            return Err(ListingError::TooLarge("paths"));
        }
        let (meta, kind) = read_entry(&mut reader)?;
        entries.push(Entry { path: path.as_slice().into(), meta, kind });
    }
    close(&reader)?;
    let tree = Tree { entries };
    tree.validate()?;
    Ok(tree)
}

/// Reads what comes before the entries; returns how many there are.
pub(super) fn open<'a>(
    listing: &'a [u8],
    limits: &Limits,
) -> Result<(Reader<'a>, usize), ListingError> {
    let mut reader = Reader(listing.strip_prefix(&MAGIC).ok_or(ListingError::BadMagic)?);
    let count: u32 = reader.narrow()?;
    if count > limits.entries {
        return Err(ListingError::TooLarge("entries"));
    }
    let count = count as usize;
    // So that a short listing cannot make a reader reserve memory for millions of entries.
    if count > reader.0.len() / LEAST_ENTRY_BYTES {
        return Err(ListingError::Truncated);
    }
    Ok((reader, count))
}

/// Checks that nothing follows the last entry.
pub(super) const fn close(reader: &Reader<'_>) -> Result<(), ListingError> {
    if reader.0.is_empty() { Ok(()) } else { Err(ListingError::TrailingBytes(reader.0.len())) }
}

/// Turns `path`, the path of the entry before, into the path of the next entry.
fn read_path(
    reader: &mut Reader<'_>,
    path: &mut Vec<u8>,
    is_root: bool,
    limits: &Limits,
) -> Result<(), ListingError> {
    let shared: usize = reader.narrow()?;
    let suffix = reader.bytes()?;
    if shared > path.len() || suffix.is_empty() != is_root {
        return Err(ListingError::Invalid("length of a path"));
    }
    if shared < path.len() && path.get(shared) == suffix.first() {
        return Err(ListingError::NotCanonical("shared part of a path could be longer"));
    }
    path.truncate(shared);
    path.extend_from_slice(suffix);
    if path.len() > limits.path_bytes {
        return Err(ListingError::TooLarge("path"));
    }
    Ok(())
}

fn read_entry(reader: &mut Reader<'_>) -> Result<(Meta, Kind), ListingError> {
    let tag = reader.byte()?;
    let kind = tag & wire::KIND_MASK;
    check_flags(tag)?;
    let mut meta = Meta::default();
    if !matches!(kind, wire::WHITEOUT | wire::HARD_LINK | wire::LOWER_LINK) {
        meta = read_meta(reader, tag & wire::XATTRS != 0)?;
    }
    Ok((meta, read_kind(reader, tag)?))
}

pub(super) const fn check_flags(tag: u8) -> Result<(), ListingError> {
    let allowed = match tag & wire::KIND_MASK {
        wire::DIRECTORY => wire::OPAQUE | wire::IMPLIED | wire::XATTRS,
        wire::WHITEOUT | wire::HARD_LINK | wire::LOWER_LINK => 0,
        _ => wire::XATTRS,
    };
    if tag & !wire::KIND_MASK & !allowed == 0 {
        Ok(())
    } else {
        Err(ListingError::Invalid("flags of an entry"))
    }
}

fn read_meta(reader: &mut Reader<'_>, has_xattrs: bool) -> Result<Meta, ListingError> {
    let mut meta = Meta {
        mode: reader.narrow()?,
        uid: reader.narrow()?,
        gid: reader.narrow()?,
        mtime_s: unzigzag(reader.number()?),
        mtime_ns: reader.narrow()?,
        xattrs: Vec::new(),
    };
    if has_xattrs {
        let count: usize = reader.narrow()?;
        if count == 0 {
            return Err(ListingError::NotCanonical("empty list of extended attributes"));
        }
        for _ in 0..count {
            let (name, value) = (reader.bytes()?.into(), reader.bytes()?.into());
            meta.xattrs.push(Xattr { name, value });
        }
    }
    Ok(meta)
}

fn read_kind(reader: &mut Reader<'_>, tag: u8) -> Result<Kind, ListingError> {
    Ok(match tag & wire::KIND_MASK {
        wire::DIRECTORY => {
            Kind::Directory { opaque: tag & wire::OPAQUE != 0, implied: tag & wire::IMPLIED != 0 }
        }
        wire::FILE => Kind::File { size: reader.number()?, object: ObjectId(reader.array()?) },
        wire::SYMLINK => Kind::Symlink { target: reader.bytes()?.into() },
        wire::CHAR_DEVICE => Kind::CharDevice { major: reader.narrow()?, minor: reader.narrow()? },
        wire::BLOCK_DEVICE => {
            Kind::BlockDevice { major: reader.narrow()?, minor: reader.narrow()? }
        }
        wire::FIFO => Kind::Fifo,
        wire::SOCKET => Kind::Socket,
        wire::WHITEOUT => Kind::Whiteout,
        wire::HARD_LINK => Kind::HardLink { entry: reader.narrow()? },
        wire::LOWER_LINK => Kind::LowerLink { path: reader.bytes()?.into() },
        _ => return Err(ListingError::Invalid("kind of an entry")),
    })
}

//! The objects that a listing names, without making a tree of it.

use creel_base::digest::ObjectId;

use super::decode::{check_flags, close, open};
use super::wire::{self, Reader};
use super::{Limits, ListingError};

/// Iterates over the id and the size in bytes of each file's content, in the order of the entries;
/// an object that several files have comes several times.
///
/// For a listing whose id was checked when it was stored: only what is needed to find the ids is
/// checked, not that the entries make a tree. Ends after the first error.
///
/// # Errors
///
/// If the bytes do not begin as a listing does.
pub fn objects<'a>(
    listing: &'a [u8],
    limits: &Limits,
) -> Result<impl Iterator<Item = Result<(ObjectId, u64), ListingError>> + use<'a>, ListingError> {
    let (mut reader, mut left) = open(listing, limits)?;
    let mut ended = false;
    Ok(core::iter::from_fn(move || {
        if ended {
            return None;
        }
        let next = next_object(&mut reader, &mut left).transpose();
        ended = !matches!(next, Some(Ok(_)));
        next
    }))
}

fn next_object(
    reader: &mut Reader<'_>,
    left: &mut usize,
) -> Result<Option<(ObjectId, u64)>, ListingError> {
    while *left > 0 {
        *left -= 1;
        reader.number()?;
        reader.bytes()?;
        if let Some(object) = skip_entry(reader)? {
            return Ok(Some(object));
        }
    }
    close(reader).map(|()| None)
}

fn skip_entry(reader: &mut Reader<'_>) -> Result<Option<(ObjectId, u64)>, ListingError> {
    let tag = reader.byte()?;
    check_flags(tag)?;
    let kind = tag & wire::KIND_MASK;
    if !matches!(kind, wire::WHITEOUT | wire::HARD_LINK | wire::LOWER_LINK) {
        skip_meta(reader, tag & wire::XATTRS != 0)?;
    }
    match kind {
        wire::FILE => {
            let size = reader.number()?;
            return Ok(Some((ObjectId(reader.array()?), size)));
        }
        wire::SYMLINK | wire::LOWER_LINK => {
            reader.bytes()?;
        }
        wire::CHAR_DEVICE | wire::BLOCK_DEVICE => {
            reader.number()?;
            reader.number()?;
        }
        wire::HARD_LINK => {
            reader.number()?;
        }
        wire::DIRECTORY | wire::FIFO | wire::SOCKET | wire::WHITEOUT => {}
        _ => return Err(ListingError::Invalid("kind of an entry")),
    }
    Ok(None)
}

fn skip_meta(reader: &mut Reader<'_>, has_xattrs: bool) -> Result<(), ListingError> {
    for _ in ["mode", "uid", "gid", "mtime_s", "mtime_ns"] {
        reader.number()?;
    }
    if has_xattrs {
        for _ in 0..reader.number()? {
            reader.bytes()?;
            reader.bytes()?;
        }
    }
    Ok(())
}

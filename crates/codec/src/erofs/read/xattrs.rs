//! The extended attributes of an inode.

use super::super::format::{XATTR_ENTRY_BYTES, XATTR_HEADER_BYTES, XATTR_PREFIXES};
use super::inode::Inode;
use super::{ReadError, array, slice, u32_at};
use crate::tree::Xattr;

const WHAT: &str = "extended attributes";

/// Reads all attributes of an inode; `shared` is the offset of the shared area, `left` how many
/// bytes of attributes may yet be read.
pub(super) fn read(
    image: &[u8],
    inode: &Inode,
    shared: usize,
    left: &mut usize,
) -> Result<Vec<Xattr>, ReadError> {
    let (start, length) = inode.xattrs;
    if length == 0 {
        return Ok(Vec::new());
    }
    let body = slice(image, start, length, WHAT)?;
    let count = usize::from(*body.get(4).ok_or(ReadError::OutOfBounds(WHAT))?);
    let mut out = Vec::new();
    for index in 0..count {
        let offset = u32_at(body, XATTR_HEADER_BYTES + index * 4, WHAT)? as usize;
        let at = shared.saturating_add(offset.saturating_mul(4));
        out.push(read_one(image, at, left)?.0);
    }
    let mut at = XATTR_HEADER_BYTES + count * 4;
    while at < body.len() {
        let (xattr, end) = read_one(body, at, left)?;
        out.push(xattr);
        at = end;
    }
    out.sort_unstable();
    Ok(out)
}

/// Reads one entry at `at`; returns it and where the next begins.
fn read_one(bytes: &[u8], at: usize, left: &mut usize) -> Result<(Xattr, usize), ReadError> {
    let [name_len, index, low, high] = array(bytes, at, WHAT)?;
    let (name_len, value_len) =
        (usize::from(name_len), usize::from(u16::from_le_bytes([low, high])));
    *left = left.checked_sub(name_len + value_len).ok_or(ReadError::TooLarge(WHAT))?;
    let rest = slice(bytes, at + XATTR_ENTRY_BYTES, name_len + value_len, WHAT)?;
    let (name, value) = rest.split_at_checked(name_len).ok_or(ReadError::OutOfBounds(WHAT))?;
    let prefix = XATTR_PREFIXES.iter().find(|(number, _)| *number == index);
    let (_, prefix) = prefix.ok_or(ReadError::Unsupported("namespace of an attribute"))?;
    let end = (at + XATTR_ENTRY_BYTES + rest.len()).next_multiple_of(4);
    Ok((Xattr { name: [prefix, name].concat().into(), value: value.into() }, end))
}

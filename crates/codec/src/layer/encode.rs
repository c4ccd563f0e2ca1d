//! Writing a tree as a layer archive: one tree, one sequence of bytes.
//!
//! ustar, with a PAX header for whatever that cannot say. Entries come in the order of the tree, so a
//! directory before what is in it and an inode before its links.
//! Source: POSIX.1-2017 pax; OCI image specification, layer.md; star(5) for `SCHILY.xattr.`.

use creel_base::hint::Hint;

use super::field::{BLOCK, Block, base64, record, time};
use super::names::WHITEOUT;
use crate::tree::{Entry, Kind, MAX_NAME_BYTES, Meta, Tree, Xattr, path};

/// What ends an archive.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];
/// Longest extended header that readers take, in bytes (Go's `archive/tar`, and creel's own limit).
const MAX_EXTENSION: usize = 1 << 20;
/// Longest name in a header, in bytes.
const NAME: usize = 100;

/// An archive cannot hold an entry of a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a layer cannot hold `{}`: {what}", .path.escape_ascii())]
pub struct EncodeError {
    /// The path of the entry.
    pub path: Box<[u8]>,
    /// What cannot be held.
    pub what: &'static str,
}

impl Hint for EncodeError {}

/// One member of an archive.
struct Member<'a> {
    name: Vec<u8>,
    kind: u8,
    meta: &'a Meta,
    xattrs: &'a [Xattr],
    size: u64,
    link: &'a [u8],
    device: (u32, u32),
}

/// Returns what an archive has for entry `index` of `tree` in front of its content, which only
/// regular files have, and which [`padding`] follows. Empty for an index beyond the tree's end.
///
/// A directory that is implied and says nothing of its own is not written, as what is below implies
/// it. One that has got metadata by being resolved is written, and is not implied when it is read.
///
/// # Errors
///
/// [`EncodeError`] for sockets, the device 0:0, names that are those of whiteouts or too long to be
/// hidden by one, overlayfs' own attributes, and what is beyond the limits of readers.
pub fn member(tree: &Tree, index: usize) -> Result<Vec<u8>, EncodeError> {
    let Some(entry) = tree.entries.get(index) else { return Ok(Vec::new()) };
    let refuse = |what| EncodeError { path: entry.path.clone(), what };
    if path::name(&entry.path).starts_with(WHITEOUT) {
        return Err(refuse("its name is that of a whiteout"));
    }
    if let Kind::Directory { opaque, implied } = entry.kind {
        return directory(entry, opaque, implied).map_err(refuse);
    }
    let inode = tree.inode(index).map_or(&entry.meta, |inode| &inode.meta);
    let mut member = Member::of(entry.path.to_vec(), b'0', inode);
    match &entry.kind {
        Kind::File { size, .. } => member.size = *size,
        Kind::Symlink { target } => (member.kind, member.link) = (b'2', target),
        Kind::CharDevice { major: 0, minor: 0 } => return Err(refuse("it is the device 0:0")),
        Kind::CharDevice { major, minor } => {
            (member.kind, member.device) = (b'3', (*major, *minor));
        }
        Kind::BlockDevice { major, minor } => {
            (member.kind, member.device) = (b'4', (*major, *minor));
        }
        Kind::Fifo => member.kind = b'6',
        Kind::Socket => return Err(refuse("it is a socket")),
        Kind::Whiteout => member.name = whiteout(&entry.path).map_err(refuse)?,
        Kind::HardLink { entry } => {
            let first = tree.entries.get(*entry as usize).map(|first| &*first.path);
            (member.kind, member.link) = (b'1', first.unwrap_or_default());
            member.xattrs = &[];
        }
        Kind::LowerLink { path } => (member.kind, member.link) = (b'1', path),
        Kind::Directory { .. } => {}
    }
    encode(member).map_err(refuse)
}

fn directory(entry: &Entry, opaque: bool, implied: bool) -> Result<Vec<u8>, &'static str> {
    let mut bytes = Vec::new();
    if !implied || entry.meta != super::build::implied().0 {
        let name = if entry.path.is_empty() { b"." } else { &*entry.path };
        bytes = encode(Member::of([name, b"/"].concat(), b'5', &entry.meta))?;
    }
    if opaque {
        let name = join(&entry.path, b".wh..wh..opq");
        bytes.extend(encode(Member::of(name, b'0', &Meta::default()))?);
    }
    Ok(bytes)
}

/// Returns how many zero bytes follow content of `size` bytes.
pub const fn padding(size: u64) -> usize {
    (size.wrapping_neg() % BLOCK as u64) as usize
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let slash: &[u8] = if directory.is_empty() { b"" } else { b"/" };
    [directory, slash, name].concat()
}

fn whiteout(path: &[u8]) -> Result<Vec<u8>, &'static str> {
    let name = [WHITEOUT, path::name(path)].concat();
    if name.len() > MAX_NAME_BYTES {
        return Err("its name is too long for a whiteout");
    }
    Ok(join(path::parent(path).unwrap_or_default(), &name))
}

impl<'a> Member<'a> {
    fn of(name: Vec<u8>, kind: u8, meta: &'a Meta) -> Self {
        Self { name, kind, meta, xattrs: &meta.xattrs, size: 0, link: &[], device: (0, 0) }
    }
}

/// Writes a header, and the extended one that it needs.
fn encode(member: Member<'_>) -> Result<Vec<u8>, &'static str> {
    let mut records = Vec::new();
    let mut block = Block::new(member.kind);
    if !block.text(0, NAME, &member.name) {
        records.push((b"path".to_vec(), member.name.clone()));
    }
    if !block.text(157, NAME, member.link) {
        records.push((b"linkpath".to_vec(), member.link.to_vec()));
    }
    let meta = member.meta;
    block.number(100, 8, meta.mode.into());
    for (key, at, len, value) in [
        (&b"uid"[..], 108, 8, meta.uid.into()),
        (b"gid", 116, 8, meta.gid.into()),
        (b"size", 124, 12, member.size),
    ] {
        if !block.number(at, len, value) {
            records.push((key.to_vec(), value.to_string().into_bytes()));
        }
    }
    let whole = u64::try_from(meta.mtime_s).ok().filter(|_| meta.mtime_ns == 0);
    if !whole.is_some_and(|seconds| block.number(136, 12, seconds)) {
        let text = time(meta.mtime_s, meta.mtime_ns).ok_or("its time is out of range")?;
        records.push((b"mtime".to_vec(), text.into_bytes()));
    }
    block.device(member.device)?;
    for xattr in member.xattrs {
        records.push(attribute(xattr)?);
    }
    records.sort_unstable();
    let mut bytes = extension(&records)?;
    bytes.extend(block.finish());
    Ok(bytes)
}

/// The record of an extended attribute. A key ends at the first `=`, so names that have one take the
/// form of libarchive, which escapes.
fn attribute(xattr: &Xattr) -> Result<(Vec<u8>, Vec<u8>), &'static str> {
    if super::pax::is_refused(&xattr.name) {
        return Err("it has an attribute of overlayfs or erofs");
    }
    if !xattr.name.contains(&b'=') {
        return Ok(([b"SCHILY.xattr.", &*xattr.name].concat(), xattr.value.to_vec()));
    }
    let mut key = b"LIBARCHIVE.xattr.".to_vec();
    for byte in &xattr.name {
        match byte {
            b'=' | b'%' => key.extend(format!("%{byte:02X}").into_bytes()),
            _ => key.push(*byte),
        }
    }
    Ok((key, base64(&xattr.value)))
}

fn extension(records: &[(Vec<u8>, Vec<u8>)]) -> Result<Vec<u8>, &'static str> {
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let data: Vec<u8> = records.iter().flat_map(|(key, value)| record(key, value)).collect();
    if data.len() > MAX_EXTENSION {
        return Err("its attributes are above 1 MiB");
    }
    let mut block = Block::new(b'x');
    block.text(0, NAME, b"PaxHeaders");
    block.number(100, 8, 0o644);
    block.number(124, 12, data.len() as u64);
    let mut bytes = block.finish().to_vec();
    bytes.extend_from_slice(&data);
    bytes.resize(bytes.len() + padding(data.len() as u64), 0);
    Ok(bytes)
}

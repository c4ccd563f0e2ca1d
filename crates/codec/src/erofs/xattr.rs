//! Extended attributes on disk: encoded entries, and the table of those that several inodes share.

use std::collections::HashMap;

use super::format::{XATTR_ENTRY_BYTES, XATTR_HEADER_BYTES, XATTR_PREFIXES};
use super::{FINGERPRINT, Options, OverlayMarks};
use crate::tree::{Entry, Kind};

/// Index of an encoded attribute in [`Table`].
type Number = u32;

/// All attributes of an image, each once.
#[derive(Default)]
pub(super) struct Table {
    numbers: HashMap<Vec<u8>, Number>,
    entries: Vec<Shared>,
}

struct Shared {
    bytes: Vec<u8>,
    uses: u32,
    /// Offset in the shared area, for those that are in it.
    offset: Option<usize>,
}

impl Table {
    /// Registers the attributes of an entry; returns their numbers.
    pub(super) fn add(
        &mut self,
        entry: &Entry,
        options: &Options,
    ) -> Result<Vec<Number>, &'static str> {
        let mut own = Vec::new();
        for xattr in &entry.meta.xattrs {
            own.push(self.number(encode(&escape(&xattr.name, options.overlay), &xattr.value)?)?);
        }
        match &entry.kind {
            Kind::Directory { opaque: true, .. } => {
                own.push(
                    self.number(encode(
                        &[mark_prefix(options.overlay), b"opaque"].concat(),
                        b"y",
                    )?)?,
                );
            }
            Kind::File { size, object } if *size > 0 => {
                own.push(self.number(encode(FINGERPRINT, &object.0)?)?);
            }
            _ => {}
        }
        Ok(own)
    }

    fn number(&mut self, bytes: Vec<u8>) -> Result<Number, &'static str> {
        if let Some(number) = self.numbers.get(&bytes) {
            if let Some(entry) = self.entries.get_mut(*number as usize) {
                entry.uses = entry.uses.saturating_add(1);
            }
            return Ok(*number);
        }
        let number = Number::try_from(self.entries.len()).map_err(|_| "extended attributes")?;
        self.numbers.insert(bytes.clone(), number);
        self.entries.push(Shared { bytes, uses: 1, offset: None });
        Ok(number)
    }

    /// Gives attributes that several inodes have a place in the shared area; returns its length.
    pub(super) fn place_shared(&mut self) -> usize {
        self.numbers = HashMap::new();
        let mut length = 0;
        for entry in self.entries.iter_mut().filter(|entry| entry.uses > 1) {
            entry.offset = Some(length);
            length += entry.bytes.len();
        }
        length
    }

    /// Returns the bytes of the shared area.
    pub(super) fn shared_area(&self) -> impl Iterator<Item = &[u8]> {
        self.entries.iter().filter(|entry| entry.offset.is_some()).map(|entry| &*entry.bytes)
    }

    /// Encodes what follows an inode with these attributes: header, shared indexes, own entries.
    pub(super) fn body(&self, numbers: &[Number]) -> Result<Vec<u8>, &'static str> {
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        let mut shared = Vec::new();
        let mut inline = Vec::new();
        for entry in numbers.iter().filter_map(|number| self.entries.get(*number as usize)) {
            match entry.offset {
                Some(offset) if shared.len() < 255 => shared.push(offset / 4),
                _ => inline.extend_from_slice(&entry.bytes),
            }
        }
        let mut out = vec![0; XATTR_HEADER_BYTES];
        if let Some(count) = out.get_mut(4) {
            *count = shared.len() as u8;
        }
        for index in shared {
            let index = u32::try_from(index).map_err(|_| "extended attributes")?;
            out.extend_from_slice(&index.to_le_bytes());
        }
        out.extend_from_slice(&inline);
        if out.len() > XATTR_HEADER_BYTES + 65534 * 4 {
            return Err("extended attributes are above 256 KiB");
        }
        Ok(out)
    }
}

/// Prefix of overlayfs' own attributes.
pub(super) const fn mark_prefix(overlay: OverlayMarks) -> &'static [u8] {
    match overlay {
        OverlayMarks::Trusted => b"trusted.overlay.",
        OverlayMarks::User => b"user.overlay.",
    }
}

/// Escapes an attribute that overlayfs would take for its own, as Linux 6.7 and later undo it.
fn escape(name: &[u8], overlay: OverlayMarks) -> Vec<u8> {
    let prefix = mark_prefix(overlay);
    match name.strip_prefix(prefix) {
        Some(rest) => [prefix, b"overlay.", rest].concat(),
        None => name.into(),
    }
}

/// Encodes one attribute, padded to four bytes.
fn encode(name: &[u8], value: &[u8]) -> Result<Vec<u8>, &'static str> {
    let (index, rest) = XATTR_PREFIXES
        .iter()
        .find_map(|(index, prefix)| Some((*index, name.strip_prefix(*prefix)?)))
        .ok_or("namespace of an extended attribute")?;
    let name_len = u8::try_from(rest.len()).map_err(|_| "name of an extended attribute")?;
    let value_len = u16::try_from(value.len()).map_err(|_| "extended attribute of 64 KiB")?;
    let mut out =
        Vec::with_capacity((XATTR_ENTRY_BYTES + rest.len() + value.len()).next_multiple_of(4));
    out.extend_from_slice(&[name_len, index]);
    out.extend_from_slice(&value_len.to_le_bytes());
    out.extend_from_slice(rest);
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
    Ok(out)
}

//! Layer archives by construction: plain ones in few words, and ones that lie in any field.
//!
//! Written by hand and not by the code under test, so that the two can disagree.

const BLOCK: usize = 512;

/// One entry of an archive. Every field is written as given.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Name as the header has it.
    pub name: Vec<u8>,
    /// Type flag (POSIX.1-1988): `b'0'` a file, `b'5'` a directory, ...
    pub kind: u8,
    /// What a link names.
    pub link: Vec<u8>,
    /// Content.
    pub data: Vec<u8>,
    /// Size in the header where it is to differ from the content's.
    pub size: Option<u64>,
    /// Permissions.
    pub mode: u32,
    /// Owner and group.
    pub owner: (u64, u64),
    /// Seconds since 1970.
    pub mtime: u64,
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Records of a PAX extended header in front of the entry.
    pub pax: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    /// Makes an entry owned by root, of 2020-01-01.
    pub fn new(name: impl AsRef<[u8]>, kind: u8, mode: u32) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            kind,
            link: Vec::new(),
            data: Vec::new(),
            size: None,
            mode,
            owner: (0, 0),
            mtime: 1_577_836_800,
            device: (0, 0),
            pax: Vec::new(),
        }
    }

    /// Makes a file of mode 0644.
    pub fn file(name: impl AsRef<[u8]>, data: impl AsRef<[u8]>) -> Self {
        Self { data: data.as_ref().to_vec(), ..Self::new(name, b'0', 0o644) }
    }

    /// Makes a directory of mode 0755.
    pub fn dir(name: impl AsRef<[u8]>) -> Self {
        Self::new(name, b'5', 0o755)
    }

    /// Makes a symbolic link.
    pub fn symlink(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Self { link: target.as_ref().to_vec(), ..Self::new(name, b'2', 0o777) }
    }

    /// Makes a further name of `target`.
    pub fn hardlink(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Self { link: target.as_ref().to_vec(), ..Self::new(name, b'1', 0o644) }
    }

    /// Makes a character device.
    pub fn char_device(name: impl AsRef<[u8]>, major: u32, minor: u32) -> Self {
        Self { device: (major, minor), ..Self::new(name, b'3', 0o600) }
    }

    /// Sets the permissions.
    #[must_use]
    pub const fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Sets owner and group.
    #[must_use]
    pub const fn owner(mut self, user: u64, group: u64) -> Self {
        self.owner = (user, group);
        self
    }

    /// Adds an extended attribute, as GNU tar and every container tool write it.
    #[must_use]
    pub fn xattr(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.pax(&format!("SCHILY.xattr.{name}"), value)
    }

    /// Adds a PAX record.
    #[must_use]
    pub fn pax(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        self.pax.push((key.into(), value.as_ref().to_vec()));
        self
    }
}

/// An archive being written.
#[derive(Clone, Debug, Default)]
pub struct Tar {
    bytes: Vec<u8>,
}

impl Tar {
    /// Starts an empty archive.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry. What a header has no room for goes into an extended header.
    #[must_use]
    pub fn with(mut self, entry: Entry) -> Self {
        let entry = with_room(entry);
        if !entry.pax.is_empty() {
            let records: Vec<u8> = entry.pax.iter().flat_map(|(k, v)| record(k, v)).collect();
            self.put(&Entry { data: records, ..Entry::new("PaxHeaders/x", b'x', 0o644) });
        }
        self.put(&entry);
        self
    }

    /// Adds bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Ends the archive with two blocks of zeros.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.extend_from_slice(&[0; 2 * BLOCK]);
        self.bytes
    }

    /// Returns the archive as far as it goes, without an end.
    pub fn unfinished(self) -> Vec<u8> {
        self.bytes
    }

    fn put(&mut self, entry: &Entry) {
        self.bytes.extend_from_slice(&header(entry));
        self.bytes.extend_from_slice(&entry.data);
        let padding = self.bytes.len().next_multiple_of(BLOCK) - self.bytes.len();
        self.bytes.extend(std::iter::repeat_n(0, padding));
    }
}

/// Largest number in the seven octal digits of an owner field.
const MAX_OWNER: u64 = 0o7_777_777;
/// Bytes of a name or link target in a header.
const MAX_NAME: usize = 100;

/// Moves what does not fit into PAX records.
fn with_room(mut entry: Entry) -> Entry {
    let mut add = |key: &str, value: Vec<u8>| entry.pax.push((key.into(), value));
    if entry.name.len() > MAX_NAME {
        add("path", entry.name.clone());
    }
    if entry.link.len() > MAX_NAME {
        add("linkpath", entry.link.clone());
    }
    for (key, id) in [("uid", &mut entry.owner.0), ("gid", &mut entry.owner.1)] {
        if *id > MAX_OWNER {
            add(key, id.to_string().into_bytes());
            *id = 0;
        }
    }
    entry
}

fn header(entry: &Entry) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let size = entry.size.unwrap_or(entry.data.len() as u64);
    set(&mut block, 0, &entry.name, MAX_NAME);
    set(&mut block, 100, format!("{:07o}", entry.mode).as_bytes(), 7);
    set(&mut block, 108, format!("{:07o}", entry.owner.0).as_bytes(), 7);
    set(&mut block, 116, format!("{:07o}", entry.owner.1).as_bytes(), 7);
    set(&mut block, 124, format!("{size:011o}").as_bytes(), 11);
    set(&mut block, 136, format!("{:011o}", entry.mtime).as_bytes(), 11);
    set(&mut block, 148, b"        ", 8);
    set(&mut block, 156, &[entry.kind], 1);
    set(&mut block, 157, &entry.link, MAX_NAME);
    set(&mut block, 257, b"ustar\x0000", 8);
    set(&mut block, 329, format!("{:07o}", entry.device.0).as_bytes(), 7);
    set(&mut block, 337, format!("{:07o}", entry.device.1).as_bytes(), 7);
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    set(&mut block, 148, format!("{sum:06o}\0 ").as_bytes(), 8);
    block
}

fn set(block: &mut [u8; BLOCK], at: usize, value: &[u8], most: usize) {
    for (to, from) in block.iter_mut().skip(at).zip(value.iter().take(most)) {
        *to = *from;
    }
}

/// Writes `LENGTH KEY=VALUE\n`, where the length counts its own digits too (POSIX.1-2001 pax).
fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_its_own_length() {
        assert_eq!(record(b"path", b"abc"), b"12 path=abc\n");
        assert_eq!(record(b"a", &[b'x'; 93]).len(), 99);
        assert_eq!(record(b"a", &[b'x'; 94]).len(), 101);
    }

    #[test]
    fn what_a_header_cannot_hold_is_in_an_extension() {
        let tar = Tar::new().with(Entry::file([b'n'; 200], b"x").owner(1 << 31, 5)).finish();
        let text = String::from_utf8_lossy(&tar);
        assert!(text.contains(&format!("210 path={}", "n".repeat(200))));
        assert!(text.contains("18 uid=2147483648\n"));
    }
}

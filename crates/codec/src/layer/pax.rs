//! PAX extended headers.
//!
//! Source: POSIX.1-2017 pax, "pax Extended Header"; GNU tar manual, "Storing Sparse Files";
//! star(5) for `SCHILY.xattr.`; libarchive tar(5) for `LIBARCHIVE.xattr.`.

use std::collections::BTreeMap;

use crate::tree::{MAX_XATTR_NAME_BYTES, MAX_XATTR_VALUE_BYTES, Xattr};

/// A time: seconds since 1970, rounded down, and nanoseconds.
pub(super) type Time = (i64, u32);

/// Records of an extended header that creel knows.
#[derive(Clone, Debug, Default)]
pub(super) struct Pax {
    pub(super) path: Option<Vec<u8>>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) size: Option<u64>,
    pub(super) uid: Option<u64>,
    pub(super) gid: Option<u64>,
    pub(super) mtime: Option<Time>,
    pub(super) xattrs: BTreeMap<Box<[u8]>, Box<[u8]>>,
    pub(super) sparse: SparseRecords,
}

/// The `GNU.sparse.` records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SparseRecords {
    pub(super) version: (Option<u64>, Option<u64>),
    pub(super) name: Option<Vec<u8>>,
    /// `GNU.sparse.size` or `GNU.sparse.realsize`.
    pub(super) size: Option<u64>,
    /// Offsets and lengths in turn: `GNU.sparse.map`, or `offset` and `numbytes` repeated.
    pub(super) map: Vec<u64>,
}

/// Key and value.
type Record<'a> = (&'a [u8], &'a [u8]);

/// Splits an extended header into keys and values, in order.
///
/// # Errors
///
/// Which rule is broken.
fn records(mut data: &[u8]) -> Result<Vec<Record<'_>>, &'static str> {
    let mut records = Vec::new();
    while !data.is_empty() {
        let space = data.iter().position(|byte| *byte == b' ').ok_or("record without length")?;
        let length = decimal(data.get(..space).unwrap_or_default()).ok_or("length of a record")?;
        let length = usize::try_from(length).map_err(|_| "length of a record")?;
        let (record, rest) = data.split_at_checked(length).ok_or("record beyond the end")?;
        let body = record
            .get(space + 1..)
            .and_then(|body| body.strip_suffix(b"\n"))
            .ok_or("record without line feed")?;
        let equals = body.iter().position(|byte| *byte == b'=').ok_or("record without `=`")?;
        let (key, value) = (body.get(..equals), body.get(equals + 1..));
        let (Some(key @ [_, ..]), Some(value)) = (key, value) else { return Err("empty key") };
        records.push((key, value));
        data = rest;
    }
    Ok(records)
}

impl Pax {
    /// Reads an extended header on top of what `global` ones said before.
    ///
    /// A record without value takes back what a global header said. A key that comes twice is
    /// refused, because readers do not agree on which one holds.
    ///
    /// # Errors
    ///
    /// Which rule is broken.
    pub(super) fn parse(data: &[u8], global: &Self) -> Result<Self, &'static str> {
        let mut pax = global.clone();
        let mut seen = std::collections::HashSet::new();
        let mut archived = Vec::new();
        for (key, value) in records(data)? {
            let repeats = matches!(key, b"GNU.sparse.offset" | b"GNU.sparse.numbytes");
            if !repeats && !seen.insert(key) {
                return Err("key occurs twice");
            }
            if let Some(name) = key.strip_prefix(b"LIBARCHIVE.xattr.") {
                archived.push((name, value));
            } else {
                pax.set(key, value)?;
            }
        }
        for (name, value) in archived {
            pax.set_archived(name, value)?;
        }
        Ok(pax)
    }

    /// Tells whether it holds what only makes sense for a single entry.
    pub(super) fn names_one_entry(&self) -> bool {
        self.path.is_some()
            || self.link.is_some()
            || self.size.is_some()
            || self.sparse != SparseRecords::default()
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
            return set_xattr(&mut self.xattrs, name, value);
        }
        if let Some(key) = key.strip_prefix(b"GNU.sparse.") {
            return self.sparse.set(key, value);
        }
        match key {
            b"path" => self.path = some(value).map(<[u8]>::to_vec),
            b"linkpath" => self.link = some(value).map(<[u8]>::to_vec),
            b"size" => self.size = parse(value, decimal, "size")?,
            b"uid" => self.uid = parse(value, decimal, "uid")?,
            b"gid" => self.gid = parse(value, decimal, "gid")?,
            b"mtime" => self.mtime = parse(value, time, "mtime")?,
            b"SCHILY.realsize" | b"SUN.holesdata" => return Err("sparse file of star or Solaris"),
            _ => {}
        }
        Ok(())
    }

    /// Takes what libarchive writes beside `SCHILY.xattr.`; both must agree.
    fn set_archived(&mut self, name: &[u8], value: &[u8]) -> Result<(), &'static str> {
        let name = url_decode(name).ok_or("name of an extended attribute")?;
        let value = base64(value).ok_or("value of an extended attribute")?;
        match self.xattrs.get(&*name) {
            Some(known) if **known != *value => Err("extended attribute has two values"),
            Some(_) => Ok(()),
            None => set_xattr(&mut self.xattrs, &name, &value),
        }
    }
}

impl SparseRecords {
    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), &'static str> {
        let number = || decimal(value).ok_or("number in a sparse record");
        match key {
            b"major" => self.version.0 = Some(number()?),
            b"minor" => self.version.1 = Some(number()?),
            b"name" => self.name = some(value).map(<[u8]>::to_vec),
            b"size" | b"realsize" if self.size.is_none() => self.size = Some(number()?),
            b"offset" if self.map.len().is_multiple_of(2) => self.map.push(number()?),
            b"numbytes" if !self.map.len().is_multiple_of(2) => self.map.push(number()?),
            b"map" if self.map.is_empty() => {
                for part in value.split(|byte| *byte == b',').filter(|_| !value.is_empty()) {
                    self.map.push(decimal(part).ok_or("number in a sparse map")?);
                }
            }
            // Says how many pairs follow, which the pairs say too.
            b"numblocks" => {}
            _ => return Err("sparse record that is unknown or out of order"),
        }
        Ok(())
    }
}

/// Tells whether an attribute is overlayfs' or EROFS' own.
pub(super) fn is_refused(name: &[u8]) -> bool {
    const REFUSED: [&[u8]; 3] = [b"trusted.overlay.", b"user.overlay.", b"trusted.erofs."];
    REFUSED.iter().any(|prefix| name.starts_with(prefix))
}

/// Keeps an attribute, unless its meaning is to those who keep or mount the tree.
///
/// Overlayfs' and EROFS' own attributes would reach the file system that reads the layer: refused.
/// SELinux labels belong to the host and are given when mounting: dropped.
fn set_xattr(
    xattrs: &mut BTreeMap<Box<[u8]>, Box<[u8]>>,
    name: &[u8],
    value: &[u8],
) -> Result<(), &'static str> {
    if is_refused(name) {
        return Err("extended attribute of overlayfs or erofs");
    }
    if name.is_empty() || name.len() > MAX_XATTR_NAME_BYTES || name.contains(&0) {
        return Err("name of an extended attribute");
    }
    if value.len() > MAX_XATTR_VALUE_BYTES {
        return Err("value of an extended attribute is above 64 KiB");
    }
    if name != b"security.selinux" {
        xattrs.insert(name.into(), value.into());
    }
    Ok(())
}

/// Returns attributes in the form of a tree.
pub(super) fn into_xattrs(xattrs: BTreeMap<Box<[u8]>, Box<[u8]>>) -> Vec<Xattr> {
    xattrs.into_iter().map(|(name, value)| Xattr { name, value }).collect()
}

fn some(value: &[u8]) -> Option<&[u8]> {
    Some(value).filter(|value| !value.is_empty())
}

fn parse<T>(
    value: &[u8],
    read: fn(&[u8]) -> Option<T>,
    what: &'static str,
) -> Result<Option<T>, &'static str> {
    some(value).map(|value| read(value).ok_or(what)).transpose()
}

/// Reads one or more decimal digits.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    some(digits)?.iter().try_fold(0u64, |value, digit| match digit {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

/// Reads `[-]seconds[.fraction]`; digits beyond nanoseconds are dropped.
fn time(text: &[u8]) -> Option<Time> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let point = text.iter().position(|byte| *byte == b'.').unwrap_or(text.len());
    let seconds = i64::try_from(decimal(text.get(..point)?)?).ok()?;
    let fraction = text.get(point + 1..).unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().chain(core::iter::repeat(&b'0')).take(9);
    let nanos = digits.fold(0u32, |value, digit| value * 10 + u32::from(digit - b'0'));
    match (negative, nanos) {
        (false, _) => Some((seconds, nanos)),
        (true, 0) => Some((-seconds, 0)),
        (true, _) => Some(((-seconds).checked_sub(1)?, 1_000_000_000 - nanos)),
    }
}

fn url_decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = text.iter();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let mut digit = || char::from(*bytes.next()?).to_digit(16);
        decoded.push(match byte {
            b'%' => u8::try_from(digit()? * 16 + digit()?).ok()?,
            _ => *byte,
        });
    }
    Some(decoded)
}

/// Reads base64 (RFC 4648 section 4) with or without padding: libarchive writes none.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let end = text.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    let mut decoded = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut held) = (0u32, 0u32);
    for byte in text.get(..end)? {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            decoded.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(data: &[u8]) -> Result<Pax, &'static str> {
        Pax::parse(data, &Pax::default())
    }

    #[test]
    fn reads_times() {
        for (text, expected) in [
            ("1", Some((1, 0))),
            ("1.5", Some((1, 500_000_000))),
            ("-1.5", Some((-2, 500_000_000))),
            ("-1", Some((-1, 0))),
            ("0.1234567899", Some((0, 123_456_789))),
            ("1.", Some((1, 0))),
            (".5", None),
            ("1.x", None),
            ("--1", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(time(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn reads_records_and_attributes() {
        let pax = parse(
            b"12 path=a=b\n11 uid=007\n26 SCHILY.xattr.user.a=b\n\n40 LIBARCHIVE.xattr.user.%63=AAECAwQFBg\n",
        )
        .unwrap();
        assert_eq!(pax.path.as_deref(), Some(&b"a=b"[..]));
        assert_eq!(pax.uid, Some(7));
        let xattrs: Vec<_> = into_xattrs(pax.xattrs);
        assert_eq!(&*xattrs[0].value, b"b\n");
        assert_eq!(
            (&*xattrs[1].name, &*xattrs[1].value),
            (&b"user.c"[..], &[0, 1, 2, 3, 4, 5, 6][..])
        );
    }

    #[test]
    fn refuses_malformed_records() {
        for data in [
            &b"x"[..],
            b" path=a\n",
            b"99 path=a\n",
            b"10 path=abc",
            b"7 path\n",
            b"5 =a\n",
            b"1 path=a\n",
            b"0 path=a\n",
            b"9 path=a\n9 path=b\n",
            b"8 uid=a\n",
            b"9 uid=-1\n",
            b"99999999999999999999999 path=a\n",
            b"35 SCHILY.xattr.trusted.overlay.a=\n",
        ] {
            assert!(parse(data).is_err(), "{}", data.escape_ascii());
        }
    }
}

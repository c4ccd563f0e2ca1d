//! Compression framing of layer blobs: plain, gzip, zstd.

mod decode;
mod encode;

pub use decode::{DecodeError, Decoder, Limits};
pub use encode::Encoder;

/// How a blob is compressed, told from its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Not compressed, or by a format that creel does not read.
    Plain,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

/// Tells the compression of a blob from its `start`: its first 4 bytes, or all of a shorter blob.
///
/// A zstd blob may start with a skippable frame (RFC 8878 section 3.1.2), as zstd:chunked layers may.
pub const fn sniff(start: &[u8]) -> Compression {
    match start {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Compression::Zstd,
        _ => Compression::Plain,
    }
}

/// Tells a format that creel does not read from the `start` of a blob, at most its first 10 bytes, by
/// its name, which is also that of the program for it.
pub fn foreign(start: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 4] = [
        (b"\xfd7zXZ\0", "xz"),
        (b"\x04\x22\x4d\x18", "lz4"),
        (b"\x89LZO\0\r\n\x1a\n", "lzop"),
        (b"LZIP\x01", "lzip"),
    ];
    // A level, then the digits of pi: names of files may begin with less of it.
    let bzip2 = start.strip_prefix(b"BZh").and_then(|rest| rest.get(1..7)) == Some(b"1AY&SY");
    let known = KNOWN.into_iter().find(|(magic, _)| start.starts_with(magic));
    known.map(|(_, name)| name).or_else(|| bzip2.then_some("bzip2"))
}

#[cfg(test)]
mod tests {
    use super::{Compression, sniff};

    #[test]
    fn tells_formats_by_their_magic() {
        for (start, expected) in [
            (&b""[..], Compression::Plain),
            (b"\x1f", Compression::Plain),
            (b"\x1f\x8b", Compression::Gzip),
            (b"\x28\xb5\x2f", Compression::Plain),
            (b"\x28\xb5\x2f\xfd", Compression::Zstd),
            (b"\x50\x2a\x4d\x18", Compression::Zstd),
            (b"\x5f\x2a\x4d\x18", Compression::Zstd),
            (b"\x60\x2a\x4d\x18", Compression::Plain),
            (b"etc/", Compression::Plain),
        ] {
            assert_eq!(sniff(start), expected, "{start:x?}");
        }
    }
}

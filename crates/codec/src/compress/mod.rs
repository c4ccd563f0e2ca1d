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

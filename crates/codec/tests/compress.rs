//! Blobs compressed and decompressed; what is refused.

#![allow(clippy::unwrap_used)]

use std::io::{Read as _, Write as _};

use creel_codec::compress::{Compression, DecodeError, Decoder, Encoder, Limits};

const ALL: [Compression; 3] = [Compression::Plain, Compression::Gzip, Compression::Zstd];

fn pack(data: &[u8], compression: Compression) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new(), compression).unwrap();
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn unpack(blob: &[u8], limits: Limits) -> std::io::Result<Vec<u8>> {
    let mut data = Vec::new();
    Decoder::new(blob, limits)?.read_to_end(&mut data)?;
    Ok(data)
}

fn refusal(blob: &[u8], limits: Limits) -> DecodeError {
    let error = unpack(blob, limits).unwrap_err();
    *error.get_ref().unwrap().downcast_ref().unwrap()
}

#[test]
fn what_is_packed_is_unpacked() {
    let data: Vec<u8> = (0..300_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
    for compression in ALL {
        let blob = pack(&data, compression);
        assert_eq!(blob, pack(&data, compression), "not deterministic");
        assert!(unpack(&blob, Limits::default()).unwrap() == data);
    }
}

#[test]
fn several_members_are_one_blob() {
    for compression in ALL {
        let blob = [pack(b"one", compression), pack(b"two", compression)].concat();
        assert_eq!(unpack(&blob, Limits::default()).unwrap(), b"onetwo");
    }
}

#[test]
fn a_format_that_is_not_read_is_named() {
    let limits = Limits::default();
    for (start, format) in [
        (&b"\xfd7zXZ\0\0\x04"[..], "xz"),
        (b"BZh91AY&SY\0", "bzip2"),
        (b"\x04\x22\x4d\x18\x64", "lz4"),
    ] {
        let error = Decoder::new(start, limits).err().unwrap();
        let error = error.get_ref().unwrap().downcast_ref::<DecodeError>();
        assert_eq!(error, Some(&DecodeError::Format { format }));
    }
    assert_eq!(unpack(b"BZhash", limits).unwrap(), b"BZhash");
}

#[test]
fn a_blob_that_is_cut_is_refused() {
    for compression in [Compression::Gzip, Compression::Zstd] {
        let blob = pack(&[7; 1000], compression);
        for end in 4..blob.len() {
            assert!(unpack(&blob[..end], Limits::default()).is_err(), "{compression:?} {end}");
        }
    }
}

#[test]
fn a_wrong_checksum_is_refused() {
    for (compression, from_end) in [(Compression::Gzip, 5), (Compression::Zstd, 1)] {
        let mut blob = pack(&[7; 1000], compression);
        let at = blob.len() - from_end;
        blob[at] ^= 1;
        assert!(unpack(&blob, Limits::default()).is_err(), "{compression:?}");
    }
}

#[test]
fn a_bomb_is_refused_by_size() {
    let limits = Limits { output_bytes: 9999, ..Limits::default() };
    for compression in ALL {
        let blob = pack(&[0; 10_000], compression);
        assert_eq!(refusal(&blob, limits), DecodeError::TooLarge { limit: 9999 });
    }
}

#[test]
fn a_bomb_is_refused_by_ratio() {
    let blob = pack(&vec![0; 65 << 20], Compression::Zstd);
    assert_eq!(refusal(&blob, Limits::default()), DecodeError::Ratio { limit: 2000 });
}

#[test]
fn a_zstd_window_above_128_mib_is_refused() {
    // A frame header (RFC 8878 section 3.1.1) with a window of 2^28 bytes, then an empty block.
    let blob = [0x28, 0xb5, 0x2f, 0xfd, 0, 18 << 3, 1, 0, 0];
    assert!(unpack(&blob, Limits::default()).is_err());
    let blob = [0x28, 0xb5, 0x2f, 0xfd, 0, 17 << 3, 1, 0, 0];
    assert_eq!(unpack(&blob, Limits::default()).unwrap(), b"");
}

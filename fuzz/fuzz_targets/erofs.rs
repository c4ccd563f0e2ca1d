//! Whatever is read as an image is a valid tree.
#![no_main]

use creel_base::digest::ObjectId;
use creel_codec::erofs::{self, Content, Limits};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let limits = Limits {
        entries: 10_000,
        all_paths_bytes: 1 << 20,
        xattr_bytes: 1 << 20,
        ..Limits::default()
    };
    let object = |content: &Content| {
        Some(match content {
            Content::Inline(bytes) => ObjectId::of(bytes),
            Content::Chunk { .. } => ObjectId::default(),
        })
    };
    let _ = erofs::read(data, &object, &limits);
    let Some(data) = sealed(data) else { return };
    if let Ok(tree) = erofs::read(&data, &object, &limits) {
        assert_eq!(tree.validate(), Ok(()));
    }
});

/// Pads an image to whole blocks and corrects their number and the checksum: a fuzzer does not guess
/// a CRC, and would never get behind it.
fn sealed(data: &[u8]) -> Option<Vec<u8>> {
    const BLOCK: usize = 4096;
    let mut image = data.to_vec();
    image.resize(data.len().next_multiple_of(BLOCK), 0);
    let blocks = u32::try_from(image.len() / BLOCK).ok()?;
    image.get_mut(1024..1028)?.copy_from_slice(&0xe0f5_e1e2_u32.to_le_bytes());
    image.get_mut(1028..1032)?.fill(0);
    image.get_mut(1060..1064)?.copy_from_slice(&blocks.to_le_bytes());
    let sum = crc32c(image.get(1024..BLOCK)?);
    image.get_mut(1028..1032)?.copy_from_slice(&sum.to_le_bytes());
    Some(image)
}

/// CRC-32C begun with all ones and not inverted at the end.
fn crc32c(data: &[u8]) -> u32 {
    data.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            crc >> 1 ^ 0x82f6_3b78 & (crc & 1).wrapping_neg()
        })
    })
}

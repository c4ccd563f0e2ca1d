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
    if let Ok(tree) = erofs::read(data, &object, &limits) {
        assert_eq!(tree.validate(), Ok(()));
    }
});

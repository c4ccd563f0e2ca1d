//! Whatever is read as a listing is written back byte for byte.
#![no_main]

use creel_codec::listing::{self, Limits};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let limits = Limits { entries: 10_000, all_paths_bytes: 1 << 20, ..Limits::default() };
    if let Ok(objects) = listing::objects(data, &limits) {
        objects.for_each(drop);
    }
    if let Ok(tree) = listing::decode(data, &limits) {
        assert_eq!(listing::encode(&tree).as_deref(), Ok(data));
    }
});

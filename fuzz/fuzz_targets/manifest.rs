//! Image documents: whatever is accepted must be accepted again after it was written.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| creel_image::document::fuzz(data));

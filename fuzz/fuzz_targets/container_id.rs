//! A name of a container is one plain component of a path, or refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| creel_runtime::fuzz::container_id(data));

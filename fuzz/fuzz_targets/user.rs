//! A user by number is the number that is written, or refused.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| creel_runtime::fuzz::user(data));

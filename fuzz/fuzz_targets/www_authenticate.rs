//! The WWW-Authenticate parser must stay within its limits on any bytes.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| creel_registry::auth::challenge::fuzz(data));

//! A specification is refused by the name of a property, or has a plan that stays in its root.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| creel_runtime::fuzz::specification(data));

//! Image references: whatever parses must print to something that parses to the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| creel_base::reference::fuzz(data));

//! Whatever is read as a seccomp profile has a valid program or none.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| creel_codec::bpf::profile::fuzz(data));

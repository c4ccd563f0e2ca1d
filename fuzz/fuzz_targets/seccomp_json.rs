//! A profile in JSON has a program that decides as its rules do, or none.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| creel_runtime::seccomp::fuzz(data));

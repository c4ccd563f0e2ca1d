//! A policy in minijail's language has a program that decides as it says, or none.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| creel_sandbox::policy::fuzz(data));

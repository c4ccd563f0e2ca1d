//! A command line of a sandbox is read or refused, whatever is in it and in the files that it names.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| creel_sandbox::line::fuzz(data));

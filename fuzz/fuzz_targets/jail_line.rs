//! A command line of minijail0 is refused, or asks for a jail that can be lowered.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| creel_sandbox::jail::fuzz(data));

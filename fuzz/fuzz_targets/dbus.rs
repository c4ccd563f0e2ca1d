//! What claims to be a message of D-Bus is read within bounds, or is none.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| creel_codec::dbus::fuzz(data));

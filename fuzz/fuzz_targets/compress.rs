//! A compressed blob gives at most as many bytes as the limit lets through.
#![no_main]

use std::io::Read as _;

use creel_codec::compress::{Decoder, Limits};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let limits = Limits { output_bytes: 1 << 20, ..Limits::default() };
    let mut output = Vec::new();
    let Ok(mut decoder) = Decoder::new(data, limits) else { return };
    if decoder.read_to_end(&mut output).is_ok() {
        assert!(output.len() <= 1 << 20);
    }
});

//! A tape is played or refused, in bounded memory.
#![no_main]

use creel_codec::tape::{Record, TapeReader};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut tape = TapeReader::new(data);
    while let Ok(Some(record)) = tape.next() {
        if let Record::Content(part) = record {
            assert!(part.length > 0 && part.offset.checked_add(part.length).unwrap() <= part.size);
        }
    }
});

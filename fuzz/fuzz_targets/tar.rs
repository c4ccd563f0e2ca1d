//! A layer's tar comes out of the reader byte for byte, or is refused.
#![no_main]

use core::convert::Infallible;

use creel_base::digest::ObjectId;
use creel_codec::layer::{LayerReader, LayerSink, Limits};

#[derive(Default)]
struct Archive(Vec<u8>);

/// An error that cannot be.
#[derive(Debug)]
struct Never(Infallible);

impl From<Never> for creel_codec::layer::SinkError {
    fn from(never: Never) -> Self {
        match never.0 {}
    }
}

impl LayerSink for Archive {
    type Error = Never;

    fn begin(&mut self, _size: u64) -> Result<(), Never> {
        Ok(())
    }

    fn data(&mut self, data: &[u8]) -> Result<(), Never> {
        self.verbatim(data)
    }

    fn hole(&mut self, _length: u64) -> Result<(), Never> {
        Ok(())
    }

    fn end(&mut self) -> Result<ObjectId, Never> {
        Ok(ObjectId::of(b""))
    }

    fn verbatim(&mut self, bytes: &[u8]) -> Result<(), Never> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut archive = Archive::default();
    let mut reader = LayerReader::new(Limits { entries: 10_000, ..Limits::default() });
    for piece in data.chunks(700) {
        if reader.feed(piece, &mut archive).is_err() {
            return;
        }
    }
    if let Ok(tree) = reader.finish(&mut archive) {
        assert_eq!(archive.0, data);
        assert_eq!(tree.validate(), Ok(()));
    }
});

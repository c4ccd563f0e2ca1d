//! What the fuzz target does with a command line.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::sync::Arc;

use super::{Host, MOST_WORDS, Parsed, parse};
use crate::lower::is_place;

/// Descriptors that all hold the same.
struct Fixed<'a>(&'a [u8]);

impl Host for Fixed<'_> {
    fn descriptor(&mut self, _: i32) -> io::Result<Arc<OwnedFd>> {
        Ok(Arc::new(File::open("/dev/null")?.into()))
    }

    fn contents(&mut self, _: i32) -> io::Result<Vec<u8>> {
        Ok(self.0.to_vec())
    }

    fn environment(&mut self) -> Vec<(OsString, OsString)> {
        Vec::new()
    }

    fn capabilities(&mut self) -> u64 {
        0
    }
}

/// Words that end with null bytes are read or refused, and what is read is no more than they say.
///
/// # Panics
/// Panics where that does not hold.
pub fn fuzz(bytes: &[u8]) {
    let words = bytes.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec()));
    let Ok(Parsed::Line(line)) = parse(words, &mut Fixed(bytes)) else { return };
    assert!(line.sandbox.changes.len() <= MOST_WORDS);
    for change in &line.sandbox.changes {
        // Whatever its place is, it is below the root.
        assert!(is_place(&change.at()), "{change:?}");
    }
}

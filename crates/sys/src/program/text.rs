//! Texts for the kernel that are made without allocating.

use std::ffi::CStr;
use std::io::Write as _;
use std::os::fd::RawFd;

use super::call::fail;

/// What `mount(2)` copies of its options.
const PAGE: usize = 4096;

/// Where the kernel finds a descriptor of this process.
pub(super) struct Link([u8; 32]);

impl Link {
    pub(super) fn new(fd: RawFd) -> Self {
        let mut text = [0; 32];
        // 14 bytes and a number of at most 10 fit.
        let _ = write!(text.as_mut_slice(), "/proc/self/fd/{fd}");
        Self(text)
    }

    pub(super) fn text(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or(c"")
    }
}

/// Options of `mount(2)`, at most a page with its terminator.
pub(super) struct Options {
    text: [u8; PAGE],
    length: usize,
}

impl Options {
    pub(super) const fn new() -> Self {
        Self { text: [0; PAGE], length: 0 }
    }

    pub(super) fn add(&mut self, parts: &[&[u8]]) -> Option<()> {
        for part in parts {
            let end = self.length + part.len();
            match self.text.get_mut(self.length..end).filter(|_| end < PAGE) {
                Some(place) => place.copy_from_slice(part),
                None => return fail(libc::E2BIG),
            }
            self.length = end;
        }
        Some(())
    }

    pub(super) fn text(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.text).unwrap_or(c"")
    }
}

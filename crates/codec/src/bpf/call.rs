//! System calls of all interfaces.
//!
//! Source: the kernel's `scripts/syscall.tbl`, `arch/arm/tools/syscall.tbl` and
//! `arch/x86/entry/syscalls/syscall_{32,64}.tbl`, up to number 471 (Linux 7.1). What is newer gets
//! a policy's `unknown` action, so a call is added here only along with a decision on it.

use super::arch::Arch;

// Made by `build.rs`: a start of a container has no time to read tables.
include!(concat!(env!("OUT_DIR"), "/calls.rs"));

/// A system call that some interface has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Call(u16);

impl Call {
    /// The call of a name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        let index = CALLS.binary_search_by_key(&name, |(name, _)| name).ok()?;
        u16::try_from(index).ok().map(Self)
    }

    /// The call of a number on an interface, with that interface's bit.
    #[must_use]
    pub fn numbered(arch: Arch, number: u32) -> Option<Self> {
        Self::all().find(|call| call.number(arch) == Some(number))
    }

    /// All of them, sorted by name.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..).take(CALLS.len()).map(Self)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        CALLS.get(usize::from(self.0)).map_or("", |(name, _)| name)
    }

    /// Its number on an interface, if that has it; with that interface's bit.
    #[must_use]
    pub fn number(self, arch: Arch) -> Option<u32> {
        let (_, numbers) = CALLS.get(usize::from(self.0))?;
        let number = numbers.get(arch as usize).filter(|number| **number != u32::MAX)?;
        Some(number | arch.bit())
    }
}

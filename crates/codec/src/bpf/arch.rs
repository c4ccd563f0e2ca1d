//! System call interfaces.

use super::call::Call;

/// The bit that marks a system call of the x32 interface (`__X32_SYSCALL_BIT`).
pub const X32_BIT: u32 = 0x4000_0000;

/// Above the numbers that all interfaces use for new calls; what lies above is an interface's own.
pub const COMMON: u32 = 512;

/// A system call interface. `build.rs` has the tables in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Arch {
    X86_64,
    X32,
    I386,
    Aarch64,
    Arm,
    Riscv64,
}

impl Arch {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::X86_64, Self::X32, Self::I386, Self::Aarch64, Self::Arm, Self::Riscv64];

    /// The name used in profiles.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::X32 => "x32",
            Self::I386 => "i386",
            Self::Aarch64 => "aarch64",
            Self::Arm => "arm",
            Self::Riscv64 => "riscv64",
        }
    }

    /// The `AUDIT_ARCH_*` value of `linux/audit.h` that the kernel reports.
    #[must_use]
    pub const fn audit(self) -> u32 {
        match self {
            Self::X86_64 | Self::X32 => 0xc000_003e,
            Self::I386 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
            Self::Riscv64 => 0xc000_00f3,
        }
    }

    /// This interface and those a kernel for it also serves.
    #[must_use]
    pub const fn family(self) -> &'static [Self] {
        match self {
            Self::X86_64 | Self::X32 | Self::I386 => &[Self::X86_64, Self::I386, Self::X32],
            Self::Aarch64 | Self::Arm => &[Self::Aarch64, Self::Arm],
            Self::Riscv64 => &[Self::Riscv64],
        }
    }

    /// The interface of the machine that this runs on, if it is one of these.
    #[must_use]
    pub fn native() -> Option<Self> {
        Self::ALL.into_iter().find(|arch| arch.name() == std::env::consts::ARCH)
    }

    /// The bits of an argument that its system calls read.
    ///
    /// The kernel shows filters the whole registers. What a 64-bit program leaves in the upper half
    /// when it makes a 32-bit call would make a comparison of all bits miss. That x32 counts as
    /// narrow is libseccomp's decision, which profiles are written for.
    #[must_use]
    pub const fn word(self) -> u64 {
        match self {
            Self::I386 | Self::Arm | Self::X32 => 0xffff_ffff,
            Self::X86_64 | Self::Aarch64 | Self::Riscv64 => u64::MAX,
        }
    }

    /// The bit that all numbers of the interface have.
    #[must_use]
    pub const fn bit(self) -> u32 {
        if matches!(self, Self::X32) { X32_BIT } else { 0 }
    }

    /// The number of a call on this interface.
    #[must_use]
    pub fn number(self, name: &str) -> Option<u32> {
        Call::find(name)?.number(self)
    }

    /// The numbers of all calls, in no order.
    pub fn numbers(self) -> impl Iterator<Item = u32> {
        Call::all().filter_map(move |call| call.number(self))
    }
}

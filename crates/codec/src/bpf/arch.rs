//! System call tables.
//!
//! Source: the kernel's `scripts/syscall.tbl`, `arch/arm/tools/syscall.tbl` and
//! `arch/x86/entry/syscalls/syscall_{32,64}.tbl`, up to number 466 (Linux 6.13). What is newer gets
//! a policy's `unknown` action, so a call is added here only along with a decision on it.

use std::collections::HashMap;
use std::sync::LazyLock;

/// The bit that marks a system call of the x32 interface (`__X32_SYSCALL_BIT`).
pub const X32_BIT: u32 = 0x4000_0000;

/// Above the numbers that all interfaces use for new calls; what lies above is an interface's own.
pub const COMMON: u32 = 512;

/// Numbers by name.
pub type Table = HashMap<&'static str, u32>;

macro_rules! read_once {
    ($arch:ident) => {{
        static TABLE: LazyLock<Table> = LazyLock::new(|| Arch::$arch.read());
        &TABLE
    }};
}

/// A system call interface.
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

    /// Numbers by name. Read at first use, as every start of a container needs some of the tables.
    #[must_use]
    pub fn table(self) -> &'static Table {
        match self {
            Self::X86_64 => read_once!(X86_64),
            Self::X32 => read_once!(X32),
            Self::I386 => read_once!(I386),
            Self::Aarch64 => read_once!(Aarch64),
            Self::Arm => read_once!(Arm),
            Self::Riscv64 => read_once!(Riscv64),
        }
    }

    fn read(self) -> Table {
        let bit = if self == Self::X32 { X32_BIT } else { 0 };
        let mut table = Table::with_capacity(512);
        let lines = self.text().lines().filter_map(|line| line.split_once(' '));
        table.extend(
            lines.filter_map(|(name, number)| Some((name, number.parse::<u32>().ok()? | bit))),
        );
        table
    }

    const fn text(self) -> &'static str {
        match self {
            Self::X86_64 => include_str!("tables/x86_64.txt"),
            Self::X32 => include_str!("tables/x32.txt"),
            Self::I386 => include_str!("tables/i386.txt"),
            Self::Aarch64 => include_str!("tables/aarch64.txt"),
            Self::Arm => include_str!("tables/arm.txt"),
            Self::Riscv64 => include_str!("tables/riscv64.txt"),
        }
    }
}

/// Whether some architecture has a system call of this name.
#[must_use]
pub fn is_known(name: &str) -> bool {
    Arch::ALL.into_iter().any(|arch| arch.table().contains_key(name))
}

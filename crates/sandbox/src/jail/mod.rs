//! Programs of the host in jails as minijail makes them.
//!
//! [`line`] reads minijail0's command line to a [`Jail`]; [`Jail::start`] runs its program. Unlike minijail
//! nothing is loaded into the program. What is to come after its loader is done from outside, see
//! [`creel_sys::program::complete`]; what comes before it is executed lets this execution through, whatever
//! the filter says, see [`creel_codec::bpf::passage`].

mod accounts;
mod elf;
mod error;
mod fuzz;
pub mod line;
mod lower;
mod number;
mod options;
mod run;

use std::path::PathBuf;

use creel_codec::bpf::Insn;

pub use error::{JailError, LineError};
#[doc(hidden)]
pub use fuzz::fuzz;
pub use run::Started;

/// Exit codes of a jail, besides those of its program.
pub mod code {
    /// The command line is wrong.
    pub const USAGE: u8 = 1;
    /// The program cannot be executed.
    pub const NOT_EXECUTABLE: u8 = 126;
    /// There is no such program.
    pub const NOT_FOUND: u8 = 127;
    /// Something could not be set up; minijail aborts, which is 128 and `SIGABRT`.
    pub const SETUP: u8 = 134;
    /// A mount failed.
    pub const MOUNT: u8 = 251;
    /// A system call was not allowed (`SIGSYS`).
    pub const FILTER: u8 = 253;
    /// The first process of a process namespace saw the program end by a signal.
    pub const INIT: u8 = 254;
}

/// Supplementary groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Groups {
    /// None, if the user or the group changes; else those of the caller.
    #[default]
    Dropped,
    /// Those of the caller.
    Kept,
    /// These.
    Set(Vec<u32>),
}

/// What becomes the root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Root {
    /// That of the caller.
    #[default]
    Callers,
    /// A directory, for the program alone (`chroot(2)`).
    Changed(PathBuf),
    /// A directory, from which nothing leads back (`pivot_root(2)`).
    Pivoted(PathBuf),
}

impl Root {
    /// The directory; `/` for the caller's.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        match self {
            Self::Callers => std::path::Path::new("/"),
            Self::Changed(path) | Self::Pivoted(path) => path,
        }
    }
}

/// New namespaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Namespaces {
    pub mount: bool,
    pub cgroup: bool,
    pub ipc: bool,
    pub uts: bool,
    pub net: bool,
    pub pid: bool,
    pub user: bool,
}

/// A mount of the jail, as `mount(2)` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// A path of the host, or a name.
    pub source: String,
    /// Where, below the root.
    pub target: String,
    /// The type of a new file system.
    pub kind: String,
    /// `MS_*`.
    pub flags: u64,
    /// Options with commas in between.
    pub data: String,
    /// Whether a bind mount gets its attributes at once, where `mount(2)` takes a second call.
    pub at_once: bool,
}

/// What is the first process of a process namespace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum First {
    /// One that reaps.
    #[default]
    Reaper,
    /// The program.
    Program,
}

/// Capabilities of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// As bits.
    pub kept: u64,
    /// `SECBIT_*` that are left as they are.
    pub securebits_skipped: u64,
}

/// A system call filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The program; empty for none.
    pub program: Vec<Insn>,
    /// `SECCOMP_FILTER_FLAG_*`.
    pub flags: u32,
}

/// A jail and the program in it.
#[derive(Clone, Debug, Default)]
pub struct Jail {
    /// The user, if it changes.
    pub user: Option<u32>,
    /// The group, if it changes.
    pub group: Option<u32>,
    /// Supplementary groups.
    pub groups: Groups,
    /// New namespaces.
    pub namespaces: Namespaces,
    /// The file of a mount namespace to enter.
    pub joined_mount: Option<PathBuf>,
    /// The file of a network namespace to enter.
    pub joined_net: Option<PathBuf>,
    /// `MS_*` for how mounts of the host reach a new mount namespace; as it is if zero.
    pub propagation: u64,
    /// Name of the host in a new namespace.
    pub hostname: Option<String>,
    /// Lines of `/proc/PID/uid_map`; nothing is written if none.
    pub uid_map: Option<String>,
    /// Likewise of `gid_map`.
    pub gid_map: Option<String>,
    /// Whether `setgroups` is denied before.
    pub denies_setgroups: bool,
    /// The root.
    pub root: Root,
    /// Mounts, in order.
    pub mounts: Vec<Mount>,
    /// Whether there is a new `/dev`.
    pub dev: bool,
    /// The size of a new `/tmp`, if there is one.
    pub tmp: Option<u64>,
    /// Whether there is a new `/proc`, which is read-only.
    pub proc: bool,
    /// The first process of a new process namespace.
    pub first: First,
    /// Whether it gets a session keyring of its own.
    pub keyring: bool,
    /// Whether it does not start a session, though it has a terminal.
    pub keeps_session: bool,
    /// Capabilities, if they are restricted.
    pub capabilities: Option<Capabilities>,
    /// Whether `execve` can no longer give privileges.
    pub no_new_privileges: bool,
    /// The filter.
    pub filter: Filter,
    /// Whether the filter, and an end to what is inherited of capabilities, wait until the loader of the
    /// program has done its work; else they come before the program is executed.
    pub late: bool,
    /// Whether capabilities are those of the program's children too.
    pub ambient: bool,
    /// Whether the program gets the kernel's strict mode, if it is late.
    pub strict: bool,
    /// Limits: `RLIMIT_*`, soft and hard one.
    pub limits: Vec<(u32, [u64; 2])>,
    /// File that the process id is written to.
    pub pid_file: Option<PathBuf>,
    /// Whether nobody waits for the program.
    pub background: bool,
    /// Whether signals are not passed on.
    pub keeps_signals: bool,
    /// Descriptors that stay open.
    pub preserved: Vec<i32>,
    /// The program: its path and its arguments, the first being the name.
    pub argv: Vec<String>,
    /// Environment as `NAME=value`.
    pub env: Vec<String>,
}

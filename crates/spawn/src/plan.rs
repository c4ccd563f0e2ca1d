//! What a confined process gets, as plain data.

use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use creel_sys::program::{Depth, LineEnds};

use crate::cgroup::Cgroup;
use crate::device::Device;
use crate::hook::Hooks;
use crate::landlock::Policy;
use crate::mapped::MappedMounts;
use crate::mount::{Mount, Propagation};
use crate::namespaces::{ClockOffset, Joined};
use crate::root::{Change, Root};
use crate::tuning::Tuning;

/// A new namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Namespace {
    /// Mounts.
    Mount = 0x0002_0000,
    /// Control groups.
    Cgroup = 0x0200_0000,
    /// Host and domain name.
    Uts = 0x0400_0000,
    /// System V and POSIX message queues.
    Ipc = 0x0800_0000,
    /// User and group ids.
    User = 0x1000_0000,
    /// Process ids.
    Pid = 0x2000_0000,
    /// Network.
    Network = 0x4000_0000,
    /// Clocks.
    Time = 0x80,
}

impl Namespace {
    /// Every namespace but the user's and that of clocks.
    pub const ROOT: [Self; 6] =
        [Self::Mount, Self::Cgroup, Self::Uts, Self::Ipc, Self::Pid, Self::Network];

    /// Its name in the runtime specification.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mount => "mount",
            Self::Cgroup => "cgroup",
            Self::Uts => "uts",
            Self::Ipc => "ipc",
            Self::User => "user",
            Self::Pid => "pid",
            Self::Network => "network",
            Self::Time => "time",
        }
    }

    /// The name of its file in `/proc/PID/ns`.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::Mount => "mnt",
            Self::Network => "net",
            other => other.name(),
        }
    }
}

/// A range of ids, as in `/proc/PID/uid_map`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdMap {
    /// First id inside.
    pub inside: u32,
    /// First id outside.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// Who writes the id maps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum MapWriter {
    /// This process: privileged, or with a single id, its own.
    #[default]
    Itself,
    /// The set-user-id helpers that check `/etc/subuid` and `/etc/subgid`.
    Helpers {
        /// Path of `newuidmap`.
        newuidmap: PathBuf,
        /// Path of `newgidmap`.
        newgidmap: PathBuf,
    },
}

/// The capabilities of the program, by number; those that the caller lacks are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Kept in the bounding set.
    pub bounding: Vec<u32>,
    /// Permitted.
    pub permitted: Vec<u32>,
    /// Effective.
    pub effective: Vec<u32>,
    /// Inheritable; empty unless asked for (CVE-2022-29162).
    pub inheritable: Vec<u32>,
    /// Ambient, for a program of another user than root; must be permitted and inheritable too.
    pub ambient: Vec<u32>,
}

/// What the program's standard input, output and error are.
#[derive(Clone, Debug, Default)]
pub enum Stdio {
    /// Those of this process.
    #[default]
    Inherit,
    /// These, numbered from zero; more than three are passed on too.
    Descriptors(Vec<Arc<OwnedFd>>),
    /// A new terminal of the container; needs devpts at `/dev/pts`.
    Terminal {
        /// Rows and columns.
        size: [u16; 2],
        /// How lines end for who reads it.
        line_ends: LineEnds,
    },
}

/// A resource limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// `RLIMIT_*`.
    pub resource: u32,
    /// Soft, then hard limit.
    pub values: [u64; 2],
}

/// A system call filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seccomp {
    /// Code, jump if true, jump if false, operand; empty for no filter.
    pub instructions: Vec<(u16, u8, u8, u32)>,
    /// `SECCOMP_FILTER_FLAG_*`. Those of listeners are left out where nobody listens.
    pub flags: u32,
    /// Whether calls are notified to somebody, which takes [`crate::Plan::spawn_listening`].
    pub listens: bool,
}

/// The program and its credentials.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// Capabilities.
    pub capabilities: Capabilities,
    /// Whether `execve` can no longer give privileges.
    pub no_new_privileges: bool,
    /// What it may do with files, ports and the processes of others. Where new privileges are not
    /// forbidden it takes `CAP_SYS_ADMIN` in its user namespace.
    pub landlock: Option<Policy>,
    /// The system call filter.
    pub seccomp: Seccomp,
    /// User id inside.
    pub uid: u32,
    /// Group id inside.
    pub gid: u32,
    /// Supplementary groups inside; none are set where `setgroups` is denied.
    pub groups: Vec<u32>,
    /// Whether the user namespace that the process starts in denies `setgroups`, as one with a
    /// single id does. A plan with a new user namespace finds out by itself.
    pub setgroups_denied: bool,
    /// File mode creation mask.
    pub umask: u32,
    /// Working directory inside.
    pub cwd: String,
    /// Paths of the program inside, tried in order.
    pub candidates: Vec<String>,
    /// Arguments, the first being the name.
    pub argv: Vec<String>,
    /// Environment as `NAME=value`.
    pub env: Vec<String>,
    /// Standard descriptors.
    pub stdio: Stdio,
    /// Resource limits.
    pub limits: Vec<Limit>,
    /// How the kernel treats it.
    pub tuning: Tuning,
    /// Whether it keeps the caller's session keyring.
    pub shares_keyring: bool,
    /// Descriptors that it gets after the standard ones.
    pub preserved: Vec<Arc<OwnedFd>>,
    /// Badness for the out-of-memory killer, -1000 to 1000.
    pub oom_score: Option<i16>,
    /// A listening socket: all is made ready, and the program executed once somebody connects, see
    /// [`crate::release`].
    pub hold: Option<Arc<OwnedFd>>,
}

/// A confined process as data. `Display` says what would be done.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// What becomes the root.
    pub root: Root,
    /// How it becomes the root.
    pub root_change: Change,
    /// Whether the root is read-only.
    pub read_only_root: bool,
    /// How what is mounted on the root later reaches its copies, and whether so does what is mounted
    /// below; private if not said. With the host it is never connected, as single mounts can be.
    pub propagation: Option<(Propagation, Depth)>,
    /// New namespaces; these or the joined ones must hold `Mount`.
    pub namespaces: Vec<Namespace>,
    /// Namespaces that others have made. In a mount namespace of others the root is not changed, only
    /// that of the process, and what is mounted for it stays there.
    pub joined: Vec<Joined>,
    /// Offsets of a new `Time`.
    pub clocks: Vec<ClockOffset>,
    /// User ids; written only with a new user namespace.
    pub uids: Vec<IdMap>,
    /// Group ids; likewise.
    pub gids: Vec<IdMap>,
    /// Who writes both maps.
    pub map_writer: MapWriter,
    /// Mounts, in order.
    pub mounts: Vec<Mount>,
    /// Device nodes below `/dev`.
    pub devices: Vec<Device>,
    /// Whether devices are bound from the host's `/dev` instead of made, as a user namespace
    /// demands; always so with a new one.
    pub bind_devices: bool,
    /// Symbolic links below `/dev`: name, text.
    pub links: Vec<(String, String)>,
    /// Kernel parameters as paths below `/proc/sys`, and values.
    pub sysctls: Vec<(String, String)>,
    /// Paths hidden if they exist.
    pub masked: Vec<String>,
    /// Paths made read-only if they exist.
    pub read_only: Vec<String>,
    /// The host name; needs `Uts`.
    pub hostname: Option<String>,
    /// The NIS domain name; needs `Uts`.
    pub domainname: Option<String>,
    /// Whether the process waits, when all is made and before it leaves the host's root, until the caller
    /// has done something.
    pub waits_made: bool,
    /// Programs that the process runs.
    pub hooks: Option<Hooks>,
    /// The control group that the process, and a new `Cgroup` namespace, starts in.
    pub cgroup: Option<Arc<Cgroup>>,
    /// Files by which the process comes into its class of caches and memory bandwidth
    /// ([`crate::resctrl`]).
    pub resctrl: Vec<Arc<OwnedFd>>,
    /// The program.
    pub process: Process,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "namespaces: {:?}", self.namespaces)?;
        for (name, maps) in [("uid", &self.uids), ("gid", &self.gids)] {
            for IdMap { inside, outside, count } in maps {
                writeln!(f, "{name} map: {inside} -> {outside}, {count}")?;
            }
        }
        match self.lower(&MappedMounts::default()) {
            Ok(steps) => steps.names.iter().try_for_each(|name| writeln!(f, "{name}")),
            Err(error) => writeln!(f, "invalid: {error}"),
        }
    }
}

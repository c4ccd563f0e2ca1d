//! What a confined program gets, as plain data.

use std::ffi::OsString;
use std::os::fd::{OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::Arc;

use creel_sys::program::Filter as Instruction;

use crate::error::FilterError;

/// Whether something is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wanted {
    /// It is not.
    #[default]
    No,
    /// It is where the host permits it.
    Try,
    /// It is, or nothing is.
    Yes,
}

/// New namespaces, and those of others. Mounts are always in a new one.
#[derive(Clone, Debug, Default)]
pub struct Namespaces {
    /// Users; made in any case for a user without privileges.
    pub user: Wanted,
    /// Control groups.
    pub cgroup: Wanted,
    /// System V and POSIX message queues.
    pub ipc: bool,
    /// Processes.
    pub pid: bool,
    /// Network, with a loopback interface.
    pub net: bool,
    /// Host name.
    pub uts: bool,
    /// A user namespace that is joined.
    pub joined_user: Option<Arc<OwnedFd>>,
    /// One that is joined when all is made.
    pub second_user: Option<Arc<OwnedFd>>,
    /// A process namespace that is joined; with `pid` the new one is in it.
    pub joined_pid: Option<Arc<OwnedFd>>,
    /// Whether the program can make no user namespaces.
    pub no_more_users: bool,
    /// Whether that is looked at, and nothing run where it can.
    pub check_no_more_users: bool,
    /// Whether somebody else writes the id maps of the new user namespace, before the start goes on.
    pub maps_by_others: bool,
}

/// Who the program is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// User id inside; the caller's if not said.
    pub uid: Option<u32>,
    /// Group id inside; likewise.
    pub gid: Option<u32>,
}

/// What can be done with something of the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Reading, with all below it.
    ReadOnly,
    /// Reading and writing.
    #[default]
    Write,
    /// Reading, writing and the use of devices.
    Devices,
}

/// Where changes to an overlay go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upper {
    /// Nowhere: it is read-only.
    None,
    /// Into memory, and away with the sandbox.
    Memory,
    /// Into a directory of the host; `work` is an empty one on the same file system.
    Directory {
        /// Gets the changes.
        upper: PathBuf,
        /// overlayfs works in it.
        work: PathBuf,
    },
}

/// One change to the root. Paths `at` are below the new root, others the host's. What leads to a place is
/// made where it is missing; symbolic links on the way are followed inside the root, and a mount on one is
/// refused.
#[derive(Clone, Debug)]
pub enum Change {
    /// A file or directory of the host, with the mounts below it.
    Bind {
        /// Its path.
        source: PathBuf,
        /// Where it shows.
        at: PathBuf,
        /// What can be done with it.
        access: Access,
        /// Whether one that is not there is passed over.
        optional: bool,
    },
    /// A file or directory that is open.
    BindOpen {
        /// It.
        source: Arc<OwnedFd>,
        /// Where it shows.
        at: PathBuf,
        /// What can be done with it.
        access: Access,
    },
    /// The mount at a place becomes read-only, not those below it.
    RemountReadOnly {
        /// The place.
        at: PathBuf,
    },
    /// Directories of the host, stacked.
    Overlay {
        /// The layers, uppermost first.
        layers: Vec<PathBuf>,
        /// Where changes go.
        upper: Upper,
        /// Where it shows.
        at: PathBuf,
    },
    /// Processes: those of the process namespace if that is new or joined, else the host's.
    Proc {
        /// Where they show.
        at: PathBuf,
    },
    /// The usual devices, terminals of its own, and the terminal of standard output as `console`.
    Dev {
        /// Where they show.
        at: PathBuf,
    },
    /// A file system in memory.
    Tmpfs {
        /// Where it shows.
        at: PathBuf,
        /// Permission bits of its root.
        mode: u32,
        /// Bytes; half of the memory if not said.
        size: Option<u64>,
    },
    /// POSIX message queues.
    Mqueue {
        /// Where they show.
        at: PathBuf,
    },
    /// A directory.
    Dir {
        /// Its path.
        at: PathBuf,
        /// Permission bits if it is new.
        mode: u32,
    },
    /// A file with all that can be read from a descriptor.
    File {
        /// What is read.
        from: Arc<OwnedFd>,
        /// Its path.
        at: PathBuf,
        /// Permission bits if it is new.
        mode: u32,
    },
    /// A file in memory with all that can be read from a descriptor.
    Data {
        /// What is read.
        from: Arc<OwnedFd>,
        /// Where it shows.
        at: PathBuf,
        /// Permission bits.
        mode: u32,
        /// Whether it is read-only.
        read_only: bool,
    },
    /// A symbolic link; the same one that is there already will do.
    Link {
        /// What it says.
        text: PathBuf,
        /// Its path.
        at: PathBuf,
    },
    /// Permission bits of what is there.
    Mode {
        /// Its path.
        at: PathBuf,
        /// The bits.
        mode: u32,
    },
    /// The host name, which needs a namespace of its own.
    Hostname(OsString),
}

/// Which capabilities the program has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Capabilities {
    /// None for a user; root keeps its own.
    #[default]
    Usual,
    /// These bits, as far as they are to be had.
    These(u64),
}

/// Where the program starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Directory {
    /// In this directory.
    Here(PathBuf),
    /// In the first of these that can be entered, else in `/`.
    FirstOf(Vec<PathBuf>),
}

impl Default for Directory {
    fn default() -> Self {
        Self::FirstOf(Vec::new())
    }
}

/// A system call filter.
#[derive(Clone, Debug)]
pub struct Filter(pub(crate) Vec<Instruction>);

impl Filter {
    /// Takes a filter as the kernel's words of eight bytes (`struct sock_filter`). The kernel refuses one
    /// without any, and whatever else is no filter.
    ///
    /// # Errors
    /// [`FilterError`].
    pub fn new(bytes: &[u8]) -> Result<Self, FilterError> {
        /// `BPF_MAXINSNS`.
        const MOST: usize = 4096;
        let (words, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() || words.len() > MOST {
            return Err(FilterError { length: bytes.len() });
        }
        let instruction = |&[a, b, jt, jf, c, d, e, f]: &[u8; 8]| Instruction {
            code: u16::from_ne_bytes([a, b]),
            jt,
            jf,
            k: u32::from_ne_bytes([c, d, e, f]),
        };
        Ok(Self(words.iter().map(instruction).collect()))
    }
}

/// When things end and begin.
#[derive(Clone, Debug, Default)]
pub struct Lifetime {
    /// Whether all is killed when the caller ends.
    pub dies_with_parent: bool,
    /// Whether the program is the first process of its namespace, and nobody reaps for it.
    pub as_first_process: bool,
    /// Whether it starts a session, so that it cannot put input into the caller's terminal.
    pub new_session: bool,
    /// Files, by paths inside, on which a lock is shared as long as the sandbox lives.
    pub locks: Vec<PathBuf>,
    /// What stays open as long as it lives.
    pub sync: Option<Arc<OwnedFd>>,
    /// What must be readable, or closed by others, before the program starts.
    pub block: Option<Arc<OwnedFd>>,
    /// Whether it waits until the caller was told of it ([`crate::Plan::start_announced`]).
    pub waits: bool,
    /// Whether processes of the caller may look at the supervisor of the sandbox, as those must that enter
    /// its namespaces. The program may too, which is a way out where its user may write to
    /// the file of the caller's program (CVE-2019-5736).
    pub inspectable: bool,
    /// Numbers of descriptors that the caller has open for itself alone: no copy of them stays in the
    /// sandbox while that is made.
    pub withheld: Vec<RawFd>,
    /// Whether the program gets all descriptors that are not closed on execution, and not only the three
    /// standard ones.
    pub inherits: bool,
}

/// The program.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Paths inside, tried in order.
    pub candidates: Vec<PathBuf>,
    /// Arguments, the first being the name.
    pub argv: Vec<OsString>,
    /// Environment: names and values. `PWD` is set to the directory.
    pub env: Vec<(OsString, OsString)>,
    /// Where it starts.
    pub directory: Directory,
    /// Capabilities.
    pub capabilities: Capabilities,
    /// System call filters, loaded in this order.
    pub filters: Vec<Filter>,
    /// The label that SELinux gives it.
    pub label: Option<OsString>,
}

/// A confined program, as data.
#[derive(Clone, Debug, Default)]
pub struct Sandbox {
    /// Namespaces.
    pub namespaces: Namespaces,
    /// Who it is.
    pub identity: Identity,
    /// Changes to the root, in order.
    pub changes: Vec<Change>,
    /// The label that SELinux gives what is made in the root.
    pub label: Option<OsString>,
    /// When it ends.
    pub lifetime: Lifetime,
    /// What runs.
    pub program: Program,
}

impl Sandbox {
    /// A sandbox with every namespace that the host permits and an empty root.
    #[must_use]
    pub fn isolated() -> Self {
        let mut sandbox = Self::default();
        sandbox.namespaces.unshare_all();
        sandbox
    }

    /// Adds a change to the root.
    #[must_use]
    pub fn with(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    /// Shows a file or directory of the host, with the mounts below it.
    #[must_use]
    pub fn bind(self, source: impl Into<PathBuf>, at: impl Into<PathBuf>, access: Access) -> Self {
        self.with(Change::Bind { source: source.into(), at: at.into(), access, optional: false })
    }

    /// Makes a symbolic link.
    #[must_use]
    pub fn link(self, text: impl Into<PathBuf>, at: impl Into<PathBuf>) -> Self {
        self.with(Change::Link { text: text.into(), at: at.into() })
    }

    /// Runs a program by its path inside.
    #[must_use]
    pub fn run<A: Into<OsString>>(
        mut self,
        path: impl Into<PathBuf>,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        let path = path.into();
        self.program.argv = vec![path.clone().into_os_string()];
        self.program.argv.extend(args.into_iter().map(Into::into));
        self.program.candidates = vec![path];
        self
    }
}

impl Namespaces {
    /// Every one there is.
    pub fn unshare_all(&mut self) {
        self.user = self.user.or_try();
        self.cgroup = self.cgroup.or_try();
        [self.ipc, self.pid, self.net, self.uts] = [true; 4];
    }
}

impl Wanted {
    /// At least where the host permits it.
    #[must_use]
    pub const fn or_try(self) -> Self {
        match self {
            Self::Yes => Self::Yes,
            _ => Self::Try,
        }
    }
}

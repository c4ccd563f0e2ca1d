//! The kernel calls a child can make, as data.

use std::ffi::CString;

use libc::c_char;
pub use libc::sock_filter as Filter;

/// A register of the child that holds a file descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub(super) usize);

/// Strings and the null-terminated pointer array that `execve` takes.
#[derive(Debug)]
pub struct Strings {
    pointers: Vec<*const c_char>,
    // Owns what `pointers` points to.
    _strings: Vec<CString>,
}

impl Strings {
    /// Prepares `strings` for `execve`.
    #[must_use]
    pub fn new(strings: Vec<CString>) -> Self {
        let mut pointers: Vec<_> = strings.iter().map(|s| s.as_ptr()).collect();
        pointers.push(std::ptr::null());
        Self { pointers, _strings: strings }
    }

    /// The null-terminated array, valid as long as `self`.
    pub(crate) fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}

/// Whether a call on a mount reaches the mounts below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// That mount only.
    One,
    /// The mounts below it too.
    All,
}

/// What a missing mount point is created as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// An empty file.
    File,
    /// A directory if the slot holds one, else a file.
    Like(Slot),
}

/// A path below the root, of which what is missing is made.
#[derive(Debug)]
pub struct Target {
    /// The path; `.` for the root itself.
    pub path: CString,
    /// What the last name is created as.
    pub kind: Kind,
    /// The permission bits of what is made.
    pub modes: Modes,
    /// What is done with a symbolic link that is the last name.
    pub last: LastLink,
}

/// What is done with a symbolic link that is there under the last name of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastLink {
    /// It is followed inside the root.
    Followed,
    /// It is taken as it is.
    Taken,
    /// It is a failure, with `ELOOP`.
    Refused,
}

/// Permission bits of what is made, from which the mask takes some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Modes {
    /// Of the directories on the way.
    pub parents: u32,
    /// Of a directory.
    pub directory: u32,
    /// Of a file.
    pub file: u32,
}

impl Default for Modes {
    fn default() -> Self {
        Self { parents: 0o755, directory: 0o755, file: 0o644 }
    }
}

/// A process that stays behind: it reaps, and ends with the status of the process that continues once
/// there is no other one.
#[derive(Debug)]
pub struct Supervisor {
    /// What the program of the process that continues is completed with, if that asks for it.
    pub late: Option<Vec<super::LateCall>>,
    /// What it ends with if a signal ended the process that continues, instead of 128 plus that.
    pub killed: Option<i32>,
    /// Holds what the status of the process that continues is written to, as one byte: its exit code, or
    /// 128 plus the signal that ended it.
    pub status: Option<Slot>,
    /// What stays open, at most eight, besides the standard descriptors.
    pub kept: Vec<Slot>,
    /// Whether it is killed when its parent ends.
    pub dies_with_parent: bool,
    /// Whether processes of its user may look at it, as those must that enter its namespaces. So may the
    /// one that continues, which can then open the file that this program runs from (CVE-2019-5736).
    pub inspectable: bool,
}

/// A new file system.
#[derive(Debug)]
pub struct NewFileSystem {
    /// Name of the type, as in `/proc/filesystems`.
    pub kind: CString,
    /// Options; without a value they are flags.
    pub options: Vec<(CString, Option<CString>)>,
    /// `MOUNT_ATTR_*`.
    pub attributes: u32,
    /// A path of the host that is bound, read-only and with all below it, where the kernel refuses the
    /// file system with `EPERM` or `EBUSY`.
    pub stand_in: Option<CString>,
}

/// A device node, or the host's in its place.
#[derive(Debug)]
pub struct Device {
    /// Holds its directory.
    pub directory: Slot,
    /// Its name there.
    pub name: CString,
    /// The path of the host's.
    pub host: CString,
    /// Type and permission bits.
    pub mode: u32,
    /// Major and minor number.
    pub numbers: [u32; 2],
    /// Owner and group.
    pub owner: [u32; 2],
    /// Whether the host's is bound in any case, and not only where no node can be made.
    pub bound: bool,
}

/// An overlay, made by opening each layer in the child, so that neither the length of a path nor
/// that of all of them together is limited and no character needs escaping.
#[derive(Debug)]
pub struct Overlay {
    /// Host paths of the layers below, uppermost first.
    pub lowers: Vec<CString>,
    /// Detached mounts that follow the paths as further layers, uppermost first: idmapped ones,
    /// which only the parent can make. Each is attached over `place` first.
    pub mounts: Vec<Slot>,
    /// Host paths of the upper and the work directory; without them the overlay is read-only.
    pub upper: Option<[CString; 2]>,
    /// Holds the directory that the paths of those two are below, if they are not the host's.
    pub upper_in: Option<Slot>,
    /// Flags (`volatile`, `userxattr`) and options with values (`index`, `off`).
    pub options: Vec<(CString, Option<CString>)>,
    /// `MOUNT_ATTR_*`.
    pub attributes: u32,
    /// Holds the directory that the overlay is attached at.
    pub place: Slot,
    /// Whether `mount(2)` is used although `lowerdir+` (6.7) may be there.
    pub classic: bool,
}

/// A change of mount attributes: `MOUNT_ATTR_*` to set and clear, `MS_*` propagation or zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Attributes {
    /// To set.
    pub set: u64,
    /// To clear.
    pub clear: u64,
    /// Propagation type.
    pub propagation: u64,
    /// Descriptor of a user namespace for `MOUNT_ATTR_IDMAP`; zero else.
    pub user_namespace: u64,
}

/// A terminal made in the container's own devpts.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    /// The root, with devpts at `dev/pts`.
    pub root: Slot,
    /// Socket on which the master is sent.
    pub socket: Slot,
    /// Receives the slave.
    pub slave: Slot,
    /// User that owns the slave.
    pub uid: u32,
    /// Rows and columns.
    pub size: [u16; 2],
    /// How lines that are written to it end for who reads it.
    pub line_ends: LineEnds,
}

/// How lines that are written to a terminal end for who reads its other side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LineEnds {
    /// With a carriage return, as a terminal shows them (`ONLCR`, what the kernel begins with).
    #[default]
    Returned,
    /// As they were written.
    Kept,
}

/// Capability sets as bits; those that the process does not have are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapabilitySets {
    /// Effective.
    pub effective: u64,
    /// Permitted.
    pub permitted: u64,
    /// Inheritable.
    pub inheritable: u64,
}

/// When a process runs: `sched_attr` of `sched_setattr(2)`, without what came later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Scheduler {
    /// The size of all this.
    pub size: u32,
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// Niceness of the policies that know it, -20 to 19.
    pub nice: i32,
    /// Priority of those that know it, 1 to 99.
    pub priority: u32,
    /// Nanoseconds of `SCHED_DEADLINE`.
    pub runtime: u64,
    /// Likewise.
    pub deadline: u64,
    /// Likewise.
    pub period: u64,
}

impl Default for Scheduler {
    fn default() -> Self {
        Self {
            size: size_of::<Self>() as u32,
            policy: 0,
            flags: 0,
            nice: 0,
            priority: 0,
            runtime: 0,
            deadline: 0,
            period: 0,
        }
    }
}

/// A program that the child runs to its end.
#[derive(Debug)]
pub struct Hook {
    /// Its path.
    pub path: CString,
    /// Arguments, the first being the name.
    pub argv: Strings,
    /// Environment.
    pub env: Strings,
    /// Holds a file that is its standard input.
    pub state: Slot,
    /// Holds a file that its outputs go to.
    pub output: Slot,
    /// How long it may take, in milliseconds.
    pub timeout: Option<i32>,
}

/// What a rule of Landlock is about.
#[derive(Debug)]
pub enum Object {
    /// What an absolute path leads to, without those links of `/proc` that stand for open files.
    Path(CString),
    /// What the slot holds.
    Slot(Slot),
}

/// A rule of Landlock: access to a file, or to all below a directory.
#[derive(Debug)]
pub struct Beneath {
    /// Holds the set of rules.
    pub ruleset: Slot,
    /// The file or directory.
    pub object: Object,
    /// `LANDLOCK_ACCESS_FS_*`.
    pub access: u64,
    /// Those of them that a file can have.
    pub of_files: u64,
    /// Whether a path that is missing is passed over.
    pub optional: bool,
}

/// When the parent has something to do, besides listening to the child's reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Moment {
    /// The child exists and waits to begin ([`Op::WaitForParent`]).
    Begun,
    /// It continues as another process ([`Op::Part`]).
    Moved,
    /// It is in a new user namespace, which has no ids yet.
    Unmapped,
    /// All that it needs is in its place, and it has not left the host's root yet.
    Made,
}

impl Moment {
    /// The moment with a number that comes from a child of this program's own making.
    pub(super) const fn of(number: i32) -> Self {
        if number == Self::Unmapped as i32 { Self::Unmapped } else { Self::Made }
    }
}

/// One kernel call of the child.
#[derive(Debug)]
pub enum Op {
    /// Waits until the parent has finished its part (id maps, limits, cgroups).
    WaitForParent,
    /// Moves this process, which has one thread, into the control group of version 1, or the class of
    /// `resctrl`, whose `tasks` is open for writing in the slot.
    EnterCgroup(Slot),
    /// Hides memory and descriptors from other processes until `execve`.
    NotDumpable,
    /// Enters `CLONE_NEW*` namespaces of the process whose pidfd the slot holds, then continues
    /// in a sibling so that the process namespace takes effect.
    Join(Slot, i32),
    /// Enters the namespace in the slot, of the kind `CLONE_NEW*`, and closes it. Where that is not
    /// allowed yet, as before the user namespace that owns it is entered, it is left open.
    EnterEarly(Slot, i32),
    /// Enters the namespace in the slot unless [`Op::EnterEarly`] has.
    Enter(Slot, i32),
    /// Continues in a sibling, which is in the process namespace that was entered or left for a new
    /// one; it waits until the parent knows of it.
    Part,
    /// Waits until the parent has done what that moment is for.
    Meet(Moment),
    /// Makes a time namespace with these offsets (`/proc/PID/timens_offsets`, Linux 5.5) and enters it.
    NewClocks(Vec<u8>),
    /// Leaves `CLONE_NEW*` namespaces for new ones.
    Unshare(i32),
    /// Makes every mount of the new mount namespace private.
    PrivateMounts,
    /// Opens a host path with `O_PATH`.
    OpenHost(CString, Slot),
    /// Opens a host path so too; a link that is its last name is opened, and not followed.
    OpenHostItself(CString, Slot),
    /// `openat2` with `O_PATH` below a directory: `RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS`.
    OpenInRoot(Slot, CString, Slot),
    /// `openat2` of a real directory below a directory: no symbolic links at all.
    OpenRealDirectory(Slot, CString, Slot),
    /// Opens a path below the root as `OpenInRoot` does and creates what is missing.
    Ensure(Slot, Target, Slot),
    /// Fails with `ESTALE` unless the slot holds the file with this device and inode number.
    CheckSame(Slot, [u64; 2]),
    /// Fails with `EINVAL` if both slots hold the same place.
    CheckDistinct(Slot, Slot),
    /// Clones the mount at a slot as a detached mount.
    CloneTree(Slot, Depth, Slot),
    /// Sends the descriptor in the first slot on the socket in the second: one of
    /// [`super::Program::descriptor_socket`].
    Send(Slot, Slot),
    /// Changes mount attributes.
    SetAttributes(Slot, Depth, Attributes),
    /// Gives a mount the first attributes, or the second ones where the kernel keeps others in place
    /// (`EPERM`), and where it has no calls for mounts by descriptor.
    ReplaceAttributes(Slot, Attributes, Attributes),
    /// Makes a detached mount of a new file system.
    NewMount(NewFileSystem, Slot),
    /// Makes an overlay, attaches it at its place and keeps it in the slot. Fails with `EROFS` if
    /// the kernel gave a read-only one where an upper directory was asked for.
    Overlay(Overlay, Slot),
    /// Attaches the detached mount (first) at an opened place (second).
    Attach(Slot, Slot),
    /// Fails with `EXDEV` unless the slot is on a file system with this magic number.
    CheckFileSystem(Slot, i64),
    /// Fails with `ENODEV` unless the slot is the character device with these numbers.
    CheckDevice(Slot, u32, u32),
    /// Makes a device node; the same device that is there already stays as it is.
    Device(Device),
    /// Gives the directory in the second slot the permission bits of the place in the first, unless the
    /// last [`Op::Ensure`] has made that.
    CopyMode(Slot, Slot),
    /// Copies what is in the directory in the first slot, on its file system, into that in the second.
    CopyTree(Slot, Slot),
    /// Makes a symbolic link (text, then directory and name); an existing name stays.
    Link(CString, Slot, CString),
    /// Makes a symbolic link as [`Op::Link`] does; what is there must be the same link, else that fails
    /// with `EEXIST` ([`super::Failure::Obstructed`]).
    SameLink(CString, Slot, CString),
    /// Sets the permission bits of what the slot holds.
    Mode(Slot, u32),
    /// Replaces what is in the file in the first slot by all that can be read from the second.
    Fill(Slot, Slot),
    /// Writes a file below a directory, with neither links nor mounts on the way.
    Write(Slot, CString, Vec<u8>),
    /// Covers a path below the root (first), if it exists: a file with the null device in the
    /// second slot, a directory with the empty read-only file system kept in the third.
    Mask(Slot, CString, Slot, Slot),
    /// Makes a path below the root, if it exists, read-only with all below it.
    ReadOnly(Slot, CString),
    /// Makes a terminal and sends its master to the parent.
    Terminal(Terminal),
    /// Makes the terminal at a slot the controlling one and standard input, output and error.
    ControllingTerminal(Slot),
    /// Makes the mount in a slot the root and detaches the old root, and that many mounts more that are on
    /// the same place.
    PivotRoot(Slot, usize),
    /// Makes the directory in a slot the root of this process alone.
    ChangeRoot(Slot),
    /// Puts the mount in a slot over the root, where that cannot be left (an initial root in memory).
    /// What is below stays there.
    MoveRoot(Slot),
    /// Takes the mount at a path of the host out of this mount namespace, or covers it with an empty
    /// one.
    Uncover(CString),
    /// Takes the loopback interface of the network namespace up.
    RaiseLoopback,
    /// Fails with `EEXIST` if a user namespace can be made; the process is in it then.
    CheckNoUserNamespaces,
    /// Waits until something can be read from what the slot holds, or nobody can write to it any more.
    AwaitData(Slot),
    /// Opens a file and shares a lock on all of it (`F_RDLCK`), for as long as this process lives.
    ShareLock(CString, Slot),
    /// Is killed when its parent ends.
    DieWithParent,
    /// Continues in a child of a [`Supervisor`].
    Supervise(Supervisor),
    /// Sets the host name of the UTS namespace.
    Hostname(CString),
    /// Sets the domain name of the UTS namespace.
    Domainname(CString),
    /// Sends a signal to the process whose pidfd the slot holds.
    Signal(Slot, i32),
    /// Leaves the session keyring of the caller for a new one, where the kernel has keys to give.
    OwnKeyring,
    /// Starts a session.
    NewSession,
    /// Closes every descriptor but the program's and those of the slots, at most eight; then no
    /// directory outside can be reached.
    CloseDescriptors(Vec<Slot>),
    /// Makes the directory in a slot the working directory.
    Visit(Slot),
    /// Runs another program; one that fails is told of with what it printed.
    Hook(Hook),
    /// Fails as [`Op::Execute`] would unless one of the paths is a file that may be executed.
    FindProgram(Vec<CString>),
    /// Tells the parent that all is ready, then waits until somebody connects to the listening socket
    /// in the slot. What fails from then on is told there; nothing is, and the connection ends, when
    /// the program is executed.
    Hold(Slot),
    /// Sets the working directory and fails with `ENOENT` if it is outside the root.
    WorkingDirectory(CString),
    /// Sets the working directory to the first of these that can be entered and is in the root.
    FirstDirectory(Vec<CString>),
    /// Empties the file mode creation mask.
    ClearUmask,
    /// Gives back the mask that there was before [`Op::ClearUmask`].
    RestoreUmask,
    /// Enters it before rights are dropped: a failure for want of rights counts only when
    /// [`Op::WorkingDirectory`] fails too, which does nothing after a success of this.
    WorkingDirectoryEarly(CString),
    /// Sets the file mode creation mask.
    Umask(u32),
    /// Sets when this process runs.
    Scheduler(Scheduler),
    /// Sets the turn of this process group at disks, as `ioprio_set(2)` has it.
    IoPriority(u16),
    /// Sets the execution domain, `PER_*`.
    Personality(u32),
    /// Chooses processors, as bits.
    Affinity(Vec<u64>),
    /// Chooses where memory comes from: `MPOL_*` with flags, nodes as bits.
    MemoryPolicy(i32, Vec<u64>),
    /// Writes a file of this process's own below the procfs in a slot.
    WriteOwn(Slot, CString, Vec<u8>),
    /// Sets a resource limit (`RLIMIT_*`): soft, hard.
    Limit(u32, [u64; 2]),
    /// Drops a capability from the bounding set.
    DropBounding(u32),
    /// Drops all capabilities but these bits from the bounding set.
    KeepBounding(u64),
    /// Stops when the program is executed, for [`super::complete`] in the parent or in a [`Supervisor`].
    AskForLateCalls,
    /// Sets `SECBIT_*`.
    SecureBits(u64),
    /// Keeps the permitted set while the user changes.
    KeepCapabilities,
    /// Sets the capability sets, which also trims the ambient one.
    Capabilities(CapabilitySets),
    /// Raises an inheritable capability into the ambient set if the process has it.
    RaiseAmbient(u32),
    /// Sets the supplementary groups.
    Groups(Vec<u32>),
    /// Drops the supplementary groups, where the user namespace allows that.
    DropGroups,
    /// Sets the real, effective and saved group id.
    Group(u32),
    /// Sets the real, effective and saved user id.
    User(u32),
    /// Forbids gaining privileges by `execve`.
    NoNewPrivileges,
    /// Adds a rule of Landlock.
    Allow(Beneath),
    /// Lays the rules of Landlock in a slot on this thread, with `LANDLOCK_RESTRICT_SELF_*`.
    Landlock(Slot, u32),
    /// Loads a seccomp filter, with `SECCOMP_FILTER_FLAG_*`.
    Seccomp(Vec<Filter>, u32),
    /// Loads a seccomp filter and hands its listener to the parent's [`super::Listen`].
    Listen {
        /// It must allow `sendmsg` with the secret.
        filter: Vec<Filter>,
        /// `SECCOMP_FILTER_FLAG_*`, that for a new listener included.
        flags: u32,
        /// The last three arguments of the call by which the listener is sent.
        secret: [u64; 3],
    },
    /// Executes the first path that can be, with arguments and environment.
    Execute(Vec<CString>, Strings, Strings),
    /// Executes a path with a secret in the three arguments that `execve` does not have, by which a filter
    /// lets it through.
    ExecutePast {
        /// The path.
        path: CString,
        /// Arguments, the first being the name.
        argv: Strings,
        /// Environment.
        env: Strings,
        /// The secret.
        secret: [u64; 3],
    },
    /// Does so with the environment of the number that the entered directory has in
    /// [`Op::FirstDirectory`], the first without one.
    ExecuteThere(Vec<CString>, Strings, Vec<Strings>),
}

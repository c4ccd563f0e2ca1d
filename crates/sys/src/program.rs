//! A child process described as data: a list of kernel calls, prepared before `clone3`.
//!
//! The child walks the list with raw system calls only: it never allocates, locks or calls back.
//! So it is safe to start from a process with threads. The first call that fails is reported by
//! its index and error over a socket that a successful `execve` closes.

mod call;
mod classic;
mod cover;
mod device;
mod execute;
mod fault;
mod files;
mod hook;
mod landlock;
mod late;
mod listen;
mod loopback;
mod message;
mod mounts;
mod namespaces;
mod op;
mod overlay;
mod places;
mod root;
mod run;
mod running;
mod supervise;
mod terminal;
mod text;
mod tree;
mod tuning;
mod walk;

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use libc::c_int;

use call::{DESCRIPTORS, State, errno, high, ok};
#[cfg(debug_assertions)]
pub use fault::fail_at;
pub use hook::{FailedHook, HookEnd};
pub use late::{Completed, LateCall, complete};
pub use listen::{Attend, Listen, knows_flags, nobody, released};
pub use op::{
    Attributes, Beneath, CapabilitySets, Depth, Device, Filter, Hook, Kind, LastLink, LineEnds,
    Modes, Moment, NewFileSystem, Object, Op, Overlay, Scheduler, Slot, Strings, Supervisor,
    Target, Terminal,
};
pub use running::{Running, kill, open_process, raise_limit, send_signal};

// include/uapi/linux/sched.h, Linux 5.5.
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// A prepared child.
#[derive(Debug, Default)]
pub struct Program {
    ops: Vec<Op>,
    slots: usize,
    given: Vec<(Slot, Arc<OwnedFd>)>,
    descriptors: Vec<Arc<OwnedFd>>,
    /// This process's end of the one that the child sends on.
    socket: Option<OwnedFd>,
    inherits: bool,
    withheld: Vec<RawFd>,
}

/// Why a child did not start.
#[derive(Debug)]
pub enum Failure {
    /// The parent could not clone, set up or hear from the child.
    Parent(io::Error),
    /// The call with this index failed in the child; one past the last is the set-up of descriptors.
    Child(usize, io::Error),
    /// The call with this index failed because of what is there, which the descriptor holds.
    Obstructed(usize, io::Error, OwnedFd),
    /// The hook that is the call with this index failed.
    Hook(usize, FailedHook),
    /// The listener of the child's filter went to nobody, or nobody answered for the child.
    Listener(io::Error),
}

impl Failure {
    /// Why, for who does not need to know where.
    #[must_use]
    pub fn into_source(self) -> io::Error {
        match self {
            Self::Parent(source)
            | Self::Child(_, source)
            | Self::Obstructed(_, source, _)
            | Self::Listener(source) => source,
            Self::Hook(..) => io::Error::other("a hook failed"),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Parent(error)
    }
}

impl Program {
    /// Reserves a slot, a descriptor of the child's once it is used.
    pub fn slot(&mut self) -> Slot {
        self.slots += 1;
        Slot(self.slots - 1)
    }

    /// Gives the child a descriptor of this process in a new slot.
    pub fn give(&mut self, fd: Arc<OwnedFd>) -> Slot {
        let slot = self.slot();
        self.given.push((slot, fd));
        slot
    }

    /// Makes these the only descriptors of the program, numbered from zero; without a call they
    /// are 0, 1 and 2 of this process.
    pub fn descriptors(&mut self, fds: Vec<Arc<OwnedFd>>) {
        self.descriptors = fds;
    }

    /// Leaves the program every descriptor of this process that is not closed on execution.
    pub fn inherit(&mut self) {
        self.inherits = true;
    }

    /// Has the child close a descriptor at once that it would have until the program is executed: somebody
    /// may wait for its last copy. It is known by its number, so that this process can close its own.
    pub fn withhold(&mut self, number: RawFd) {
        self.withheld.push(number);
    }

    /// Makes the socket on which the child sends a descriptor, such as the master of a terminal: the
    /// child's end.
    ///
    /// # Errors
    /// Fails as `socketpair` does.
    pub fn descriptor_socket(&mut self) -> io::Result<Slot> {
        let [ours, childs] = sockets(libc::SOCK_DGRAM)?;
        self.socket = Some(ours);
        Ok(self.give(Arc::new(childs)))
    }

    /// Appends a call.
    pub fn push(&mut self, op: Op) {
        self.ops.push(op);
    }

    /// Clones with `CLONE_NEW*` flags, runs `setup` with the child's id in the parent, then waits
    /// until the child has executed its program or has come to [`Op::Hold`].
    ///
    /// # Errors
    /// Fails as `setup` or the first failing call does; no child remains then.
    pub fn start(
        &self,
        namespaces: u64,
        cgroup: Option<&OwnedFd>,
        setup: impl FnOnce(i32) -> io::Result<()>,
    ) -> Result<Running, Failure> {
        let mut setup = Some(setup);
        let mut attend = |pid, _| setup.take().map_or(Ok(()), |setup| setup(pid));
        self.start_attended(namespaces, cgroup, &mut attend, &mut nobody)
    }

    /// Starts a child as [`Self::start`] does, one that may have an [`Op::Listen`], and for which
    /// `attend` does what is to be done at each [`Moment`].
    ///
    /// # Errors
    /// Fails as `attend`, `listen` or the first failing call does; no child remains then.
    pub fn start_attended(
        &self,
        namespaces: u64,
        cgroup: Option<&OwnedFd>,
        attend: Attend<'_>,
        listen: Listen<'_>,
    ) -> Result<Running, Failure> {
        let [report, report_child] = sockets(libc::SOCK_STREAM)?;
        let (go_child, mut go) = pipe()?;
        let own = [report.as_raw_fd(), go.as_raw_fd()];
        let childs = [go_child.as_raw_fd(), report_child.as_raw_fd()];
        let mut running = self.clone_child(namespaces, cgroup, childs, own)?;
        drop((report_child, go_child));
        let heard = match attend(running.pid, Moment::Begun) {
            Ok(()) => {
                // The child may have failed before it waited: its report says more than EPIPE.
                let _ = go.write(&[1]);
                listen::hear(&report, &mut running, (attend, go), listen)
            }
            Err(error) => Err(error.into()),
        };
        let failure = match heard {
            Err(failure) => failure,
            Ok(()) => match self.socket.as_ref().map(terminal::receive).transpose() {
                Ok(sent) => return Ok(Running { sent, ..running }),
                Err(error) => Failure::Parent(error),
            },
        };
        let _ = running.kill(libc::SIGKILL);
        let _ = running.wait();
        Err(failure)
    }

    fn clone_child(
        &self,
        flags: u64,
        cgroup: Option<&OwnedFd>,
        [wait, report]: [RawFd; 2],
        own: [RawFd; 2],
    ) -> io::Result<Running> {
        let mut pidfd: RawFd = -1;
        // SAFETY: clone_args is plain integers, for which zero is valid.
        let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
        args.flags = flags | CLONE_CLEAR_SIGHAND | libc::CLONE_PIDFD as u64;
        args.pidfd = (&raw mut pidfd) as u64;
        args.exit_signal = libc::SIGCHLD as u64;
        if let Some(fd) = cgroup {
            args.flags |= CLONE_INTO_CGROUP;
            args.cgroup = fd.as_raw_fd() as u64;
        }
        let mut state = State::new(self.slots, wait, report);
        // SAFETY: without CLONE_VM the child has its own copy of this memory and stack; it only
        // reads prepared data and makes system calls until it executes or exits.
        let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of_val(&args)) };
        match pid {
            -1 => Err(io::Error::last_os_error()),
            0 => self.child(&mut state, own),
            pid => {
                // SAFETY: the kernel stored a new descriptor that nothing else owns.
                let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
                Ok(Running { pid: pid as i32, pidfd, sent: None })
            }
        }
    }

    fn child<'a>(&'a self, state: &mut State<'a>, parents: [RawFd; 2]) -> ! {
        let mut failed = self.isolate(state, parents).is_none().then_some(self.ops.len());
        if failed.is_none() {
            let mut ops = self.ops.iter().enumerate();
            failed = ops.position(|(at, op)| fault::strikes(at) || run::run(op, state).is_none());
        }
        if let Some(index) = failed {
            let message = [index as i32, errno()];
            let evidence = state.evidence >= 0;
            // A filter may forbid to send descriptors.
            if !evidence || message::send(state.report, message, state.evidence, [0; 3]).is_none() {
                // SAFETY: the buffer lives across the write.
                unsafe { libc::write(state.report, message.as_ptr().cast(), 8) };
            }
        }
        // SAFETY: ends this process without running handlers of the parent's image.
        unsafe { libc::_exit(127) }
    }

    /// Leaves the child nothing of the parent but the descriptors it was given, or those that programs
    /// inherit. This also closes the parent's end of the pipe, so that its death ends the wait.
    fn isolate(&self, state: &mut State<'_>, parents: [RawFd; 2]) -> Option<()> {
        let none = 0u64;
        let (how, null) = (libc::SIG_SETMASK, 0usize);
        // SAFETY: the mask outlives the call. CLONE_CLEAR_SIGHAND leaves ignored signals ignored,
        // and Rust's runtime ignores SIGPIPE.
        unsafe {
            ok(libc::syscall(libc::SYS_rt_sigprocmask, how, &raw const none, null, 8usize))?;
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            // With it ignored nobody could wait for children.
            libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        }
        state.report = high(state.report)?;
        state.wait = high(state.wait)?;
        for (slot, fd) in &self.given {
            state.set(*slot, high(fd.as_raw_fd())?)?;
        }
        if !self.descriptors.is_empty() {
            state.kept = self.place_descriptors()?;
        }
        if self.inherits {
            parents.into_iter().chain(self.withheld.iter().copied()).for_each(call::close);
            return Some(());
        }
        state.close_foreign()
    }

    fn place_descriptors(&self) -> Option<u32> {
        // First all out of the way: a source may have the number of another's place.
        let mut sources = [-1; DESCRIPTORS];
        if self.descriptors.len() > DESCRIPTORS {
            return call::fail(libc::EMFILE);
        }
        for (place, fd) in sources.iter_mut().zip(&self.descriptors) {
            *place = high(fd.as_raw_fd())?;
        }
        let count = self.descriptors.len();
        for (number, source) in sources.iter().take(count).enumerate() {
            // SAFETY: takes integers.
            ok(unsafe { libc::dup2(*source, number as c_int) }.into())?;
        }
        Some(count as u32)
    }
}

fn sockets(kind: c_int) -> io::Result<[OwnedFd; 2]> {
    let mut fds: [c_int; 2] = [-1; 2];
    // SAFETY: socketpair fills the two descriptors, which nothing else owns.
    unsafe {
        if libc::socketpair(libc::AF_UNIX, kind | libc::SOCK_CLOEXEC, 0, fds.as_mut_ptr()) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(fds.map(|fd| OwnedFd::from_raw_fd(fd)))
    }
}

fn pipe() -> io::Result<(File, File)> {
    let mut fds: [c_int; 2] = [-1; 2];
    // SAFETY: pipe2 fills the two descriptors, which nothing else owns.
    unsafe {
        if libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((File::from_raw_fd(fds[0]), File::from_raw_fd(fds[1])))
    }
}

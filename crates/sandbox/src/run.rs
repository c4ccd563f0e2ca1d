//! From a sandbox to a process.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use creel_spawn::{Child, nobody};
use creel_sys::access::{effective_capabilities, is_elevated};
use creel_sys::program::{Failure, Moment};
use rustix::event::{PollFd, PollFlags, poll};

use crate::check::Caller;
use crate::error::SandboxError;
use crate::lower::{self, Name, Part, Script, Step};
use crate::probe::Host;
use crate::sandbox::{Sandbox, Wanted};

/// A sandbox that has been checked and lowered. It is started once.
pub struct Plan {
    sandbox: Sandbox,
    caller: Caller,
    script: Script,
}

/// What a caller is told while the process waits to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The first process, by its id here.
    pub pid: i32,
    /// The new namespaces: kind as in `/proc/PID/ns`, and inode number.
    pub namespaces: Vec<(&'static str, u64)>,
}

/// A sandbox that runs.
#[derive(Debug)]
pub struct Started {
    child: Child,
    status: Option<OwnedFd>,
}

impl Sandbox {
    /// Checks what is asked for and makes it a list of kernel calls.
    ///
    /// # Errors
    /// [`SandboxError::Elevated`], [`SandboxError::Conflict`], or what cannot be read here.
    pub fn plan(self) -> Result<Plan, SandboxError> {
        if is_elevated() {
            return Err(SandboxError::Elevated);
        }
        let caller = self.caller()?;
        self.check(&caller)?;
        let script = lower::lower(&self, caller)?;
        Ok(Plan { sandbox: self, caller, script })
    }

    fn caller(&self) -> Result<Caller, SandboxError> {
        let [uid, gid] = creel_sys::userns::ids();
        let exists = |name: &str| Path::new("/proc/self/ns").join(name).exists();
        let names = &self.namespaces;
        let joins = names.joined_user.is_some();
        let new_user = match names.user {
            Wanted::Yes => true,
            Wanted::No | Wanted::Try if uid != 0 && !joins => true,
            Wanted::No => false,
            Wanted::Try => !joins && exists("user") && may_make_users(),
        };
        let new_cgroup = match names.cgroup {
            Wanted::Yes => true,
            Wanted::No => false,
            Wanted::Try => exists("cgroup"),
        };
        let capabilities = effective_capabilities()
            .map_err(|source| SandboxError::Read { path: "/proc/self/status", source })?;
        Ok(Caller { uid, gid, new_user, new_cgroup, capabilities })
    }
}

/// The capabilities that a program has if nothing is said, as bits: root's own, none for others.
#[must_use]
pub fn usual_capabilities() -> u64 {
    let [uid, _] = creel_sys::userns::ids();
    if uid == 0 { effective_capabilities().unwrap_or(0) } else { 0 }
}

fn may_make_users() -> bool {
    let most = std::fs::read_to_string("/proc/sys/user/max_user_namespaces");
    most.map_or(true, |most| most.trim() != "0")
}

impl Plan {
    /// What is done, step by step, for who wants to see it.
    pub fn steps(&self) -> impl Iterator<Item = Step> {
        self.script.names.iter().map(|name| name.step(&self.sandbox))
    }

    /// Starts the program; returns once it is executed.
    ///
    /// # Errors
    /// What failed, and why.
    pub fn start(self) -> Result<Started, SandboxError> {
        self.start_announced(|_| Ok(()))
    }

    /// Does so, and calls `announce` while the process waits to begin, if it does
    /// ([`crate::Lifetime::waits`], [`crate::Namespaces::maps_by_others`]).
    ///
    /// # Errors
    /// What failed, and why; [`SandboxError::Start`] if `announce` did.
    pub fn start_announced(
        mut self,
        mut announce: impl FnMut(&Announcement) -> io::Result<()>,
    ) -> Result<Started, SandboxError> {
        let mut moves = self.script.moves;
        let mut refused = false;
        let waits = self.sandbox.lifetime.waits || self.sandbox.namespaces.maps_by_others;
        let mut attend = |pid, moment| {
            if moment == Moment::Moved {
                moves -= 1;
            }
            if moves > 0 || !waits {
                return Ok(());
            }
            let told = announce(&self.announcement(pid));
            refused = told.is_err();
            told
        };
        let flags = self.script.flags;
        let started = self.script.program.start_attended(flags, None, &mut attend, &mut nobody);
        match started {
            Ok(child) => Ok(Started { child, status: self.script.status.take() }),
            Err(Failure::Parent(error)) if refused => Err(SandboxError::Start(error)),
            Err(failure) => Err(self.explain(failure)),
        }
    }

    fn announcement(&self, pid: i32) -> Announcement {
        let names = &self.sandbox.namespaces;
        let kinds = [
            ("cgroup", self.caller.new_cgroup),
            ("ipc", names.ipc),
            ("mnt", true),
            ("net", names.net),
            ("pid", names.pid),
            ("uts", names.uts),
        ];
        let made = kinds.into_iter().filter(|(_, new)| *new).map(|(kind, _)| kind);
        let number = |kind| std::fs::metadata(format!("/proc/{pid}/ns/{kind}")).ok();
        let namespaces = made.filter_map(|kind| Some((kind, number(kind)?.ino()))).collect();
        Announcement { pid, namespaces }
    }

    fn explain(&self, failure: Failure) -> SandboxError {
        let (index, source) = match failure {
            Failure::Obstructed(index, _, found) => return self.obstructed(index, &found),
            Failure::Child(index, source) => (index, source),
            other => {
                let source = other.into_source();
                let cause = Host::look().namespaces(&source);
                return SandboxError::Namespaces { cause, source };
            }
        };
        let name = self.script.names.get(index).copied();
        let name = name.unwrap_or(Name::Fixed("arrange descriptors"));
        match name {
            Name::Execute => {
                let program = self.sandbox.program.candidates.first();
                let named = self.sandbox.program.argv.first().cloned();
                let program = program.filter(|_| self.sandbox.program.candidates.len() == 1);
                let program = program.map(|path| path.clone().into_os_string()).or(named);
                SandboxError::Execute { program: program.unwrap_or_default(), source }
            }
            Name::Namespaces => {
                let cause = Host::look().namespaces(&source);
                SandboxError::Namespaces { cause, source }
            }
            Name::Change(index, Part::Place) if source.raw_os_error() == Some(ELOOP) => {
                SandboxError::MountOnLink { at: self.at(index) }
            }
            _ => {
                let step = name.step(&self.sandbox);
                let cause = match step {
                    Step::Source(_) | Step::Place(_) => None,
                    _ => Host::look().act(&source, matches!(step, Step::MountProc(_))),
                };
                SandboxError::Step { step, cause, source }
            }
        }
    }

    fn at(&self, index: usize) -> std::path::PathBuf {
        self.sandbox.changes.get(index).map(crate::Change::at).unwrap_or_default()
    }

    fn obstructed(&self, index: usize, found: &OwnedFd) -> SandboxError {
        let at = match self.script.names.get(index) {
            Some(Name::Change(index, _)) => self.at(*index),
            _ => std::path::PathBuf::new(),
        };
        let text = rustix::fs::readlinkat(found, c"", Vec::new());
        let found = text.ok().map(|text| OsString::from_vec(text.into_bytes()));
        SandboxError::Obstructed { at, found }
    }
}

const ELOOP: i32 = 40;

impl Started {
    /// The first process of the sandbox.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.child.pid
    }

    /// Its process, to send signals to or to wait for.
    #[must_use]
    pub fn child(&self) -> &Child {
        &self.child
    }

    /// Waits for the end of the program: its exit code, or 128 plus the signal that ended it. Other
    /// processes that it has left in a process namespace may live on.
    ///
    /// # Errors
    /// Fails as `poll` and `waitid` do.
    pub fn wait(&mut self) -> io::Result<u8> {
        if let Some(status) = self.status.take()
            && let Some(code) = self.told(&status)?
        {
            return Ok(code);
        }
        let code = self.child.wait()?;
        Ok(u8::try_from(code).unwrap_or(u8::MAX))
    }

    /// What the supervisor tells; nothing if it ends without a word.
    fn told(&self, status: &OwnedFd) -> io::Result<Option<u8>> {
        let mut fds =
            [PollFd::new(status, PollFlags::IN), PollFd::new(&self.child.pidfd, PollFlags::IN)];
        while let Err(error) = poll(&mut fds, None) {
            if error != rustix::io::Errno::INTR {
                return Err(error.into());
            }
        }
        // When the first process has ended as well, its word is still there.
        let mut byte = [0];
        if fds.first().is_some_and(|fd| !fd.revents().is_empty())
            && rustix::io::read(status.as_fd(), &mut byte)? == 1
        {
            return Ok(byte.first().copied());
        }
        Ok(None)
    }
}

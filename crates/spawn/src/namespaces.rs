//! The namespaces of a plan: which come with the process, which it enters, and in what order.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use creel_sys::namespace;
use creel_sys::program::{Moment, Op};
use rustix::fs::OFlags;

use crate::lower::Steps;
use crate::plan::{Namespace, Plan};

/// A namespace that others have made.
#[derive(Clone, Debug)]
pub struct Joined {
    /// Its kind.
    pub kind: Namespace,
    /// It, opened.
    pub namespace: Arc<OwnedFd>,
}

/// Why a namespace cannot be joined.
#[derive(Debug)]
pub enum JoinError {
    /// Its file cannot be opened.
    Open(io::Error),
    /// The file is no namespace's, or that of another kind.
    Kind,
}

impl Joined {
    /// Opens the file of a namespace of that kind.
    ///
    /// # Errors
    /// [`JoinError`].
    pub fn open(kind: Namespace, path: &Path) -> Result<Self, JoinError> {
        // Whatever else it may be, opening it does not wait.
        let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits();
        let opened = OpenOptions::new().read(true).custom_flags(flags as i32).open(path);
        let namespace = OwnedFd::from(opened.map_err(JoinError::Open)?);
        match namespace::kind(namespace.as_fd()) {
            Ok(found) if found == kind as u64 => Ok(Self { kind, namespace: Arc::new(namespace) }),
            _ => Err(JoinError::Kind),
        }
    }

    /// Whether this process is in it.
    ///
    /// # Errors
    /// Fails where procfs is not there.
    pub fn is_own(&self) -> io::Result<bool> {
        let own = fs::metadata(format!("/proc/self/ns/{}", self.kind.file()))?;
        let this = rustix::fs::fstat(&self.namespace)?;
        Ok((own.dev(), own.ino()) == (this.st_dev, this.st_ino))
    }
}

/// A clock whose time a time namespace shifts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// `CLOCK_MONOTONIC`.
    Monotonic,
    /// `CLOCK_BOOTTIME`.
    Boottime,
}

/// By how much the time of a clock is shifted in a new time namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockOffset {
    /// The clock.
    pub clock: Clock,
    /// Seconds.
    pub seconds: i64,
    /// Nanoseconds to add, below 10^9.
    pub nanoseconds: u32,
}

impl Plan {
    pub(crate) fn makes(&self, kind: Namespace) -> bool {
        self.namespaces.contains(&kind)
    }

    pub(crate) fn joins(&self, kind: Namespace) -> bool {
        self.joined.iter().any(|one| one.kind == kind)
    }

    /// Whether the process is in another user namespace than this one.
    pub(crate) fn changes_user(&self) -> bool {
        self.makes(Namespace::User) || self.joins(Namespace::User)
    }

    /// Whether the user namespace comes only after others that are joined: in a new one the process has
    /// no rights over those, and one that is joined is to own the new ones.
    pub(crate) fn is_staged(&self) -> bool {
        self.joins(Namespace::User) || self.makes(Namespace::User) && !self.joined.is_empty()
    }

    /// The namespaces that the process is made with.
    ///
    /// A control group namespace begins where its maker is, which is the group that the process
    /// starts in only once it runs (`copy_cgroup_ns` looks at the parent). Offsets of clocks can be set
    /// only while nobody is in their namespace.
    pub(crate) fn clone_flags(&self) -> u64 {
        if self.is_staged() {
            return 0;
        }
        let late = |name: &&Namespace| match name {
            Namespace::Cgroup => self.cgroup.is_some(),
            Namespace::Time => true,
            _ => false,
        };
        let early = self.namespaces.iter().filter(|name| !late(name));
        early.fold(0, |flags, name| flags | *name as u64)
    }

    /// Enters what is joined, and makes what was not made with the process.
    pub(crate) fn lower_namespaces(&self, steps: &mut Steps) {
        self.lower_joined(steps);
        if self.is_staged() {
            let others = [Namespace::User, Namespace::Cgroup, Namespace::Time];
            let left = self.namespaces.iter().filter(|kind| !others.contains(kind));
            let flags = left.fold(0, |flags, kind| flags | *kind as i32);
            if flags != 0 {
                steps.add("make the namespaces", Op::Unshare(flags));
            }
        }
        if self.joins(Namespace::Pid) || self.is_staged() && self.makes(Namespace::Pid) {
            steps.add("continue in the process namespace", Op::Part);
        }
        if self.makes(Namespace::Time) {
            let offsets: String = self.clocks.iter().map(ClockOffset::line).collect();
            steps.add("make the time namespace", Op::NewClocks(offsets.into_bytes()));
        }
    }

    /// Some of the others may be owned by the user namespace that is joined, some by the host's.
    fn lower_joined(&self, steps: &mut Steps) {
        let is_user = |one: &&Joined| one.kind == Namespace::User;
        let mut later = Vec::new();
        for Joined { kind, namespace } in self.joined.iter().filter(|one| !is_user(one)) {
            let slot = steps.program.give(Arc::clone(namespace));
            let name = format!("join the namespace `{}`", kind.name());
            let op = if self.joins(Namespace::User) { Op::EnterEarly } else { Op::Enter };
            steps.add(name.clone(), op(slot, *kind as i32));
            later.push((name, slot, *kind));
        }
        if let Some(user) = self.joined.iter().find(is_user) {
            let slot = steps.program.give(Arc::clone(&user.namespace));
            steps.add("join the namespace `user`", Op::Enter(slot, Namespace::User as i32));
            for (name, slot, kind) in later {
                steps.add(name, Op::Enter(slot, kind as i32));
            }
        } else if self.is_staged() {
            steps.add("make the user namespace", Op::Unshare(Namespace::User as i32));
            steps.add("wait for the id maps", Op::Meet(Moment::Unmapped));
        }
    }
}

impl ClockOffset {
    /// As `/proc/PID/timens_offsets` has it.
    fn line(&self) -> String {
        let clock = match self.clock {
            Clock::Monotonic => "monotonic",
            Clock::Boottime => "boottime",
        };
        format!("{clock} {} {}\n", self.seconds, self.nanoseconds)
    }
}

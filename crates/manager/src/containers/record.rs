//! What is written down of a container, and how it stands.

use std::fmt;
use std::time::Duration;

use super::host::HostRoot;
use super::users::Person;
use creel_base::digest::{Digest, ObjectId};
use creel_base::id::Id;
use creel_runtime::container::{Container as Opened, ContainerError, Identity};
use creel_runtime::spec::Spec;
use creel_spawn::Namespace;
use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

/// The form of `container.json`.
pub(super) const FORMAT: u32 = 1;

/// What a container was made of: written once, when it is created.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The version of this form: 1.
    pub(super) format: u32,
    /// The container's id.
    #[serde(with = "super::text")]
    pub id: Id,
    /// Its name: given by a person, or made up.
    pub name: String,
    /// When it was created.
    pub created: Timestamp,
    /// What its root is made of.
    pub root: Root,
    /// How it is run.
    pub spec: Spec,
    /// What runs it does beyond the specification.
    pub policy: Policy,
}

/// What the root of a container is made of, below its own changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Root {
    /// The layers of an image.
    Image(ImageRoot),
    /// The root of the running system.
    Host(HostRoot),
}

/// An image as the root of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageRoot {
    /// What the image was called when the container was created.
    pub name: String,
    /// The digest of its configuration.
    #[serde(with = "super::text")]
    pub id: Digest,
    /// The digest of its manifest.
    #[serde(with = "super::text")]
    pub manifest: Digest,
    /// The trees that are stacked, lowest first, in hexadecimal.
    #[serde(with = "super::text::list")]
    pub trees: Vec<ObjectId>,
}

/// What a run does beyond the specification.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// The container goes when its process has ended.
    pub remove: bool,
    /// Standard input is passed on.
    pub interactive: bool,
    /// A PID 1 that reaps and forwards signals comes before the command.
    pub init: bool,
    /// The number of the signal that asks the process to end.
    pub stop_signal: u8,
    /// The host's network is used.
    pub host_network: bool,
    /// A limit was asked for: without a control group the container must not run.
    pub limited: bool,
    /// The system calls that are let through.
    pub seccomp: Seccomp,
    /// The caller as a user of the container, where the ids are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<Person>,
}

/// The filter of system calls of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seccomp {
    /// The built-in one.
    #[default]
    Default,
    /// None.
    Unconfined,
    /// A profile, as its file had it when the container was made.
    Profile(String),
}

/// How a run ended: written before the container's lock is let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// The exit code, or 128 plus the signal.
    pub code: i32,
    /// When the process was started.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
}

/// The process of a running container: written before it begins, gone with a restart of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its process id, as seen by whoever started it.
    pub pid: i32,
    /// When the kernel started it, in clock ticks since boot: tells it from a later process with
    /// the same id.
    pub start_time: u64,
    /// When it was started.
    pub started: Timestamp,
    /// It may not have executed its program yet. Nothing may join it then: its root is still the
    /// host's.
    #[serde(skip)]
    pub(super) starting: bool,
}

impl Process {
    /// What identifies it to the runtime.
    pub(super) const fn identity(&self) -> Identity {
        Identity { pid: self.pid, start_time: self.start_time }
    }

    /// Opens it; `None` where there is no such process any more.
    pub(super) fn open(&self) -> Result<Option<Opened>, ContainerError> {
        // With its first process go all others of its process namespace.
        match Opened::open(self.identity(), vec![Namespace::Pid], false, None) {
            Err(ContainerError::NotRunning) => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// Tells whether it still runs: one that nobody has waited for yet does not.
    pub(super) fn is_alive(&self) -> bool {
        let opened = self.open().ok().flatten();
        opened.is_some_and(|process| !ends_within(&process, Duration::ZERO).unwrap_or(false))
    }
}

/// Tells whether a process ends within a time, or has ended: also one that nobody has waited for yet,
/// but none of which a thread still runs (`pidfd_poll` in kernel/fork.c).
pub(super) fn ends_within(process: &Opened, time: Duration) -> Result<bool, ContainerError> {
    let pidfd = process.pidfd();
    let mut ready = [PollFd::new(&pidfd, PollFlags::IN)];
    let time = Timespec::try_from(time).ok();
    let ended = rustix::io::retry_on_intr(|| poll(&mut ready, time.as_ref()));
    ended.map(|ended| ended > 0).map_err(|errno| ContainerError::Wait(errno.into()))
}

/// How a container stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It has not been started.
    Created,
    /// Its process runs.
    Running(Process),
    /// Its process is being started or has just ended; whoever does that holds the lock.
    Busy,
    /// Its process has ended.
    Exited(Exit),
    /// Whoever ran it was killed, so that nobody will know the exit code. Its process, if it still
    /// runs.
    Lost(Option<Process>),
}

impl State {
    /// Returns the word that other tools use for it.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running(_) => "running",
            Self::Busy => "busy",
            Self::Exited(_) => "exited",
            Self::Lost(_) => "lost",
        }
    }

    /// Tells whether its files are in use.
    pub const fn is_active(&self) -> bool {
        matches!(self, Self::Running(_) | Self::Busy | Self::Lost(Some(_)))
    }
}

impl Record {
    /// Returns the command that the container runs.
    pub fn command(&self) -> &[String] {
        self.spec.process.as_ref().map_or(&[], |process| &process.args)
    }
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(image) => f.write_str(&image.name),
            Self::Host(_) => f.write_str("host:"),
        }
    }
}

impl Root {
    /// Returns the trees below the container's own changes.
    pub fn trees(&self) -> &[ObjectId] {
        match self {
            Self::Image(image) => &image.trees,
            Self::Host(_) => &[],
        }
    }
}

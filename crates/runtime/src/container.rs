//! Containers that run, and further processes in them.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use creel_base::hint::Hint;
use creel_spawn::cgroup::{Below, Cgroup, CgroupError};
use creel_spawn::landlock::Policy;
use creel_spawn::{Child, Join, LineEnds, Listen, Namespace, Plan, SpawnError, Stdio, nobody};

use crate::lower::{LowerError, add_shared, lower_process};
use crate::seccomp::{Filter, Supervisor, SupervisorError};
use crate::spec::{self, Linux, State};

/// Why something could not be done with a container.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// It has ended, or its process id belongs to another process by now.
    #[error("the container is not running")]
    NotRunning,
    /// Its process cannot be looked at.
    #[error("cannot open the container's process `{pid}`")]
    Open {
        /// Its id.
        pid: i32,
        /// The reason.
        source: io::Error,
    },
    /// The kernel refuses a signal.
    #[error("cannot send the signal `{signal}` to the container")]
    Signal {
        /// Its number.
        signal: i32,
        /// The reason.
        source: io::Error,
    },
    /// Its end cannot be waited for.
    #[error("cannot wait for the container")]
    Wait(#[source] io::Error),
    /// A process cannot be put into the container's control group. The words are what callers look for.
    #[error("error adding pid of a new process to cgroups")]
    Enter(#[source] CgroupError),
    /// It has no control group, so its processes cannot be stopped together.
    #[error("the container has no control group")]
    NoCgroup,
    /// Its control group refuses.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// The process to be started is not well specified.
    #[error(transparent)]
    Lower(#[from] LowerError),
    /// The listener of the process's filter did not reach its supervisor.
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
    /// The process was not started.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
}

impl ContainerError {
    /// The exit code that container tools give, see [`SpawnError::exit_code`].
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if let Self::Spawn(error) = self { error.exit_code() } else { 125 }
    }
}

impl Hint for ContainerError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Cgroup(error) | Self::Enter(error) => error.hint(),
            Self::Lower(error) => error.hint(),
            Self::Spawn(error) => error.hint(),
            Self::Supervisor(error) => error.hint(),
            _ => None,
        }
    }
}

/// A process that this one has started: the first of a container, or one that joined it.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts the first process of a container and returns once it executes its program.
    ///
    /// # Errors
    /// Names the step that failed; no process remains then. [`SpawnError::exit_code`] has the exit
    /// code.
    pub fn start(plan: &Plan) -> Result<Self, SpawnError> {
        Self::start_announced(plan, |_| Ok(()))
    }

    /// Does what [`Running::start`] does, and calls `announce` with the process id before the process
    /// begins; see [`Plan::spawn_announced`].
    ///
    /// # Errors
    /// As [`Running::start`], and where `announce` fails.
    pub fn start_announced(
        plan: &Plan,
        announce: impl FnMut(i32) -> io::Result<()>,
    ) -> Result<Self, SpawnError> {
        plan.spawn_announced(announce).map(Self)
    }

    /// Starts the first process of a container whose filter notifies about calls: the supervisor gets
    /// the listener together with `state`, in which the process id is filled in.
    ///
    /// # Errors
    /// As [`Self::start_announced`], and if the supervisor does not take the listener or does not let
    /// the process come to its program in time.
    pub fn start_supervised(
        plan: &Plan,
        supervisor: &Supervisor,
        state: &State,
        announce: impl FnMut(i32) -> io::Result<()>,
    ) -> Result<Self, ContainerError> {
        let supervisor = Some((supervisor, state));
        supervised(supervisor, |listen| plan.spawn_listening(announce, listen)).map(Self)
    }

    pub(crate) fn of(child: Child) -> Self {
        Self(child)
    }

    /// Its process id in the caller's namespace.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.0.pid
    }

    /// Its pidfd, which becomes readable when it ends.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.0.pidfd.as_fd()
    }

    /// The master of its terminal, if it was to have one; once.
    pub fn take_terminal(&mut self) -> Option<OwnedFd> {
        self.0.sent.take()
    }

    /// Waits for its end: the exit code, or 128 plus the signal.
    ///
    /// The first process of a process namespace ends only when all others there have been waited
    /// for, so those that this process has started with [`Container::exec`] come first.
    ///
    /// # Errors
    /// Fails if it was waited for before.
    pub fn wait(&self) -> Result<i32, ContainerError> {
        self.0.wait().map_err(ContainerError::Wait)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// [`ContainerError::NotRunning`] if it has ended.
    pub fn signal(&self, signal: i32) -> Result<(), ContainerError> {
        sent(signal, self.0.kill(signal))
    }
}

/// Starts a process whose listener goes to the supervisor, if there is one; the container's process
/// is this one if the state has none yet.
pub(crate) fn supervised<T>(
    supervisor: Option<(&Supervisor, &State)>,
    spawn: impl FnOnce(Listen<'_>) -> Result<T, SpawnError>,
) -> Result<T, ContainerError> {
    let Some((supervisor, state)) = supervisor else { return Ok(spawn(&mut nobody)?) };
    let mut refused = None;
    let spawned = spawn(&mut |pid, listener| {
        let state = State { pid: state.pid.or(Some(pid)), ..state.clone() };
        let sent = supervisor.send(pid, &state, &listener);
        sent.map(|()| supervisor.patience).map_err(|error| {
            refused = Some(error);
            io::ErrorKind::Other.into()
        })
    });
    spawned.map_err(|error| refused.map_or_else(|| error.into(), ContainerError::Supervisor))
}

fn sent(signal: i32, done: io::Result<()>) -> Result<(), ContainerError> {
    // 3 is ESRCH.
    done.map_err(|source| match source.raw_os_error() {
        Some(3) => ContainerError::NotRunning,
        _ => ContainerError::Signal { signal, source },
    })
}

/// A running container, whoever started it.
#[derive(Clone, Debug)]
pub struct Container {
    pidfd: Arc<OwnedFd>,
    namespaces: Vec<Namespace>,
    setgroups_denied: bool,
    cgroup: Option<Arc<Cgroup>>,
    /// Whether processes go into that group and no other.
    only_there: bool,
    pid: i32,
    /// Whether its end is not that of all others in its process namespace.
    among_others: bool,
}

/// A group was removed meanwhile.
const ENODEV: i32 = 19;

/// What identifies a container's first process, to be kept in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its process id in the caller's namespace.
    pub pid: i32,
    /// When it started, in clock ticks since the machine did: ids are used again.
    pub start_time: u64,
}

impl Identity {
    /// That of a running process.
    ///
    /// # Errors
    /// [`ContainerError::NotRunning`] if there is no such process.
    pub fn of(pid: i32) -> Result<Self, ContainerError> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"));
        let start_time = stat.ok().as_deref().and_then(start_time);
        start_time.map(|start_time| Self { pid, start_time }).ok_or(ContainerError::NotRunning)
    }

    /// Whether the process runs: one that has ended may still wait for its parent to notice.
    #[must_use]
    pub fn runs(self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        // Field 3: `Z` and `X` are what is left of a process.
        let state = stat.rsplit_once(") ").and_then(|(_, fields)| fields.chars().next());
        start_time(&stat) == Some(self.start_time) && !matches!(state, None | Some('Z' | 'X'))
    }
}

/// Field 22 of `/proc/PID/stat` (`proc_pid_stat(5)`). The name before it may hold anything.
fn start_time(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}

/// What a process that joins a container needs besides its specification.
#[derive(Clone, Debug, Default)]
pub struct Exec {
    /// Its standard descriptors, unless `terminal` asks for a terminal: that is made in the
    /// container's own `/dev/pts`.
    pub stdio: Stdio,
    /// How lines end for who reads its terminal.
    pub line_ends: LineEnds,
    /// Descriptors that it gets after the standard ones.
    pub preserved: Vec<Arc<OwnedFd>>,
    /// The container's `linux`, of which the filter counts and how the kernel treats its processes.
    pub linux: Linux,
    /// The system call filter, as for the container's first process.
    pub seccomp: Filter,
    /// What it may do with files, ports and the processes of others.
    pub landlock: Option<Policy>,
    /// Files by which it comes into the container's class of caches and memory bandwidth.
    pub resctrl: Vec<Arc<OwnedFd>>,
    /// Who answers what the filter notifies about, and what is told of the container.
    pub supervisor: Option<(Supervisor, State)>,
}

impl Container {
    /// Opens a container by its first process.
    ///
    /// `namespaces` are those that it has for its own, with [`Namespace::User`] also where the
    /// process that started it had entered one that this process is not in. `setgroups_denied` and
    /// `cgroup` are as in [`crate::lower::Options`].
    ///
    /// # Errors
    /// [`ContainerError::NotRunning`] if the process has ended.
    pub fn open(
        identity: Identity,
        namespaces: Vec<Namespace>,
        setgroups_denied: bool,
        cgroup: Option<Arc<Cgroup>>,
    ) -> Result<Self, ContainerError> {
        let pid = identity.pid;
        let pidfd =
            creel_spawn::open_process(pid).map_err(|source| match source.raw_os_error() {
                Some(3) => ContainerError::NotRunning,
                _ => ContainerError::Open { pid, source },
            })?;
        // Only now it cannot be another's any more.
        if Identity::of(pid)? != identity {
            return Err(ContainerError::NotRunning);
        }
        let pidfd = Arc::new(pidfd);
        let (only_there, among_others) = (false, false);
        Ok(Self { pidfd, namespaces, setgroups_denied, cgroup, only_there, pid, among_others })
    }

    /// The container, of which further processes go into these groups below its own.
    ///
    /// # Errors
    /// [`ContainerError::NoCgroup`], or what is wrong with a path.
    pub fn below(mut self, below: &Below) -> Result<Self, ContainerError> {
        let cgroup = self.cgroup.take().and_then(Arc::into_inner);
        let cgroup = cgroup.ok_or(ContainerError::NoCgroup)?.with_below(below)?;
        Ok(Self { cgroup: Some(Arc::new(cgroup)), only_there: true, ..self })
    }

    /// The container, of which it is known that its process namespace was made by others.
    #[must_use]
    pub fn among_others(self) -> Self {
        Self { among_others: true, ..self }
    }

    /// Starts a process in the container and returns once it executes its program.
    ///
    /// Its user, capabilities, limits and filter are those that are given, not the container's;
    /// nothing is inherited (CVE-2022-29162).
    ///
    /// # Errors
    /// Names the property that is wrong, or the step that failed; no process remains then.
    pub fn exec(&self, process: &spec::Process, exec: &Exec) -> Result<Running, ContainerError> {
        let mut lowered = lower_process(process, exec.linux.seccomp.as_ref(), &exec.seccomp)?;
        add_shared(&mut lowered.tuning, &exec.linux)?;
        if !process.terminal {
            lowered.stdio = exec.stdio.clone();
        }
        if let Stdio::Terminal { line_ends, .. } = &mut lowered.stdio {
            *line_ends = exec.line_ends;
        }
        lowered.preserved = exec.preserved.clone();
        lowered.landlock = exec.landlock.clone();
        let mut join = Join {
            target: Arc::clone(&self.pidfd),
            namespaces: self.namespaces.clone(),
            denies_setgroups: self.setgroups_denied,
            cgroup: self.cgroup.clone(),
            resctrl: exec.resctrl.clone(),
            process: lowered,
        };
        if join.process.seccomp.listens && exec.supervisor.is_none() {
            return Err(SpawnError::NoListener.into());
        }
        let supervisor = exec.supervisor.as_ref().map(|(supervisor, state)| (supervisor, state));
        let start = |join: &Join| supervised(supervisor, |listen| join.spawn_listening(listen));
        let started = match start(&join) {
            Err(ContainerError::Spawn(SpawnError::Cgroup(error))) => match self.moved(&error) {
                Some(cgroup) => {
                    join.cgroup = Some(cgroup);
                    start(&join)
                }
                None => Err(ContainerError::Enter(error)),
            },
            started => started,
        };
        started.map(Running)
    }

    /// Where the first process is now, if its group takes no processes any more: it can have divided that
    /// group and moved into one below, or be anywhere if it saw the host's groups.
    fn moved(&self, error: &CgroupError) -> Option<Arc<Cgroup>> {
        let CgroupError::Access { source, .. } = error else { return None };
        let closed = [ErrorKind::ResourceBusy, ErrorKind::NotFound].contains(&source.kind())
            || source.raw_os_error() == Some(ENODEV);
        let group = Cgroup::of_process(self.pid).filter(|_| closed && !self.only_there)?;
        // Only now it cannot have been another's.
        self.signal(0).is_ok().then(|| Arc::new(group))
    }

    /// Sends a signal to the first process.
    ///
    /// # Errors
    /// [`ContainerError::NotRunning`] if it has ended.
    pub fn signal(&self, signal: i32) -> Result<(), ContainerError> {
        sent(signal, creel_spawn::signal(self.pidfd.as_fd(), signal))
    }

    /// Stops all processes, or lets them continue.
    ///
    /// # Errors
    /// Fails without a control group that can freeze.
    pub fn freeze(&self, frozen: bool) -> Result<(), ContainerError> {
        Ok(self.cgroup.as_ref().ok_or(ContainerError::NoCgroup)?.freeze(frozen)?)
    }

    /// The first process's pidfd, which becomes readable when it ends.
    #[must_use]
    pub fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Kills all processes: with the first one go all others of its process namespace; without such
    /// a namespace, those of the control group are killed.
    ///
    /// # Errors
    /// [`ContainerError::NotRunning`] if it has ended.
    pub fn kill(&self) -> Result<(), ContainerError> {
        if self.among_others || !self.namespaces.contains(&Namespace::Pid) {
            self.cgroup.as_ref().ok_or(ContainerError::NoCgroup)?.kill()?;
            // It may have been in there, and be gone already.
            return match self.signal(9) {
                Err(ContainerError::NotRunning) => Ok(()),
                sent => sent,
            };
        }
        self.signal(9)
    }

    /// Kills the first process as the user that it runs as, whom this process may become.
    ///
    /// The root of one user namespace has no rights over the processes of another one beside it,
    /// although a person has made both and the ids are the same ones (`kill_ok_by_cred` in
    /// `kernel/signal.c`).
    ///
    /// # Errors
    /// [`ContainerError::NotRunning`] if it has ended.
    pub fn kill_as(&self, user: u32) -> Result<(), ContainerError> {
        sent(9, creel_spawn::signal_as(user, Arc::clone(&self.pidfd), 9))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let mut stat = "7 (a) 1 (b)) S".to_owned();
        (4..30).for_each(|field| stat.push_str(&format!(" {field}")));
        assert_eq!(start_time(&stat), Some(22));
        assert_eq!(start_time("7 (a"), None);
    }

    #[test]
    fn another_process_with_the_id_is_not_the_container() {
        let own = Identity::of(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(Container::open(own, Vec::new(), false, None).is_ok());
        let other = Identity { start_time: own.start_time + 1, ..own };
        let opened = Container::open(other, Vec::new(), false, None);
        assert!(matches!(opened, Err(ContainerError::NotRunning)));
        let none = Identity { pid: i32::MAX, start_time: 0 };
        let opened = Container::open(none, Vec::new(), false, None);
        assert!(matches!(opened, Err(ContainerError::NotRunning)));
    }
}

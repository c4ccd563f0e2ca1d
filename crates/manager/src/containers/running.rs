//! A container that runs in the foreground: its start, and its end.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use creel_base::path::Dir;
use creel_runtime::container::{Identity, Running as Child};
use creel_runtime::spec::Spec;
use creel_spawn::Plan;
use creel_spawn::cgroup::Cgroup;
use jiff::Timestamp;

use super::catalog::{Catalog, Owned};
use super::cgroups;
use super::etc::{self, Names};
use super::own_file;
use super::prepare::Prepared;
use super::record::{Exit, Process, Record, Root};
use super::run_error::RunError;
use super::streams::{Pipes, Stdio, Streams};
use super::users;
use super::volume;

/// A running container, whose lock this process holds.
#[derive(Debug)]
pub struct Running {
    catalog: Catalog,
    owned: Owned,
    child: Child,
    pipes: Pipes,
    cgroup: Option<Arc<Cgroup>>,
    started: Timestamp,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// The exit code of the process, or 128 plus the signal.
    pub code: i32,
    /// Whether what belonged to the run was put away. It may not be, as on a disk that the process
    /// has filled; how the process ended is no less true then.
    pub put_away: Result<(), RunError>,
}

impl Prepared<'_> {
    /// Starts the process. When that fails, a container that was to go with its process goes.
    ///
    /// # Errors
    /// [`RunError`].
    pub fn start(self, stdio: Stdio) -> Result<Running, RunError> {
        let mut cgroup = None;
        let spawned = self.spawn(stdio, &mut cgroup);
        let init = self.owned.record().policy.init;
        if init {
            // A copy that stays goes with the container, or is replaced by the next one.
            let _ = own_file::forget(&self.owned.container.dir);
        }
        match spawned {
            Ok((child, pipes, started)) => {
                let Prepared { catalog, owned, .. } = self;
                Ok(Running { catalog, owned, child, pipes, cgroup, started })
            }
            Err(error) => {
                if let Some(cgroup) = cgroup {
                    // The reason of the failure says more than what the clean-up runs into.
                    let _ = cgroup.remove();
                }
                if self.owned.record().policy.remove {
                    let _ = self.catalog.remove(self.owned);
                }
                // The init is there, being mounted; what is not found is the loader it wants.
                let dynamic = init && error.exit_code() == 127;
                Err(if dynamic { RunError::DynamicInit } else { error })
            }
        }
    }

    fn spawn(
        &self,
        stdio: Stdio,
        cgroup: &mut Option<Arc<Cgroup>>,
    ) -> Result<(Child, Pipes, Timestamp), RunError> {
        let record = self.owned.record();
        let run = self.run_dir()?;
        let mut spec = record.spec.clone();
        volume::check_sources(&spec)?;
        if matches!(record.root, Root::Image(_)) {
            let names = if record.policy.host_network { Names::Host } else { Names::Own };
            let hostname = spec.hostname.clone().unwrap_or_default();
            add_unless_taken(&mut spec, etc::prepare(&run, &hostname, names)?);
        }
        *cgroup = self.make_group(&run)?;
        let (streams, pipes) = streams(record, &spec, stdio)?.split();
        let ready = self.plan(spec, streams, cgroup.clone())?;
        let started = Timestamp::now();
        let child = self.begin(&run, &ready.plan, started)?;
        Ok((child, pipes, started))
    }

    /// Where it is made is written down first, so that whoever puts it away finds it.
    fn make_group(&self, run: &Dir) -> Result<Option<Arc<Cgroup>>, RunError> {
        let record = self.owned.record();
        let Some(place) = cgroups::place(record)? else { return Ok(None) };
        if let Some(parent) = place.delegated() {
            self.owned.grouped(run, parent)?;
        }
        Ok(Some(Arc::new(cgroups::make(record, place)?)))
    }

    /// Starts the process. It is written down before it is let go, so that the next command finds it
    /// whenever this process is killed.
    fn begin(&self, run: &Dir, plan: &Plan, started: Timestamp) -> Result<Child, RunError> {
        let mut unwritten = None;
        let child = Child::start_announced(plan, |pid| {
            self.write_down(run, pid, started).map_err(|error| {
                unwritten = Some(error);
                io::ErrorKind::Other.into()
            })
        });
        let error: RunError = match child {
            Ok(child) => match self.owned.started(run) {
                Ok(()) => return Ok(child),
                Err(error) => {
                    // Nothing could join it, and nobody would see it run.
                    let _ = child.signal(9);
                    let _ = child.wait();
                    error.into()
                }
            },
            Err(error) => unwritten.unwrap_or_else(|| error.into()),
        };
        // Else it would pass for a process that was lost.
        let _ = self.owned.not_started(run);
        Err(error)
    }

    fn write_down(&self, run: &Dir, pid: i32, started: Timestamp) -> Result<(), RunError> {
        let Identity { pid, start_time } = Identity::of(pid)?;
        let process = Process { pid, start_time, started, starting: true };
        Ok(self.owned.starting(run, &process)?)
    }
}

/// Whoever the process runs as can open its pipes anew.
fn streams(record: &Record, spec: &Spec, stdio: Stdio) -> Result<Streams, RunError> {
    let Some(process) = &spec.process else { return Streams::make(stdio, false) };
    let streams = Streams::make(stdio, process.terminal)?;
    let uid = process.user.uid;
    match users::ids(record) {
        Some(ids) => {
            users::own_streams(&ids, uid);
            users::outside(&ids.uids, uid).into_iter().for_each(|uid| streams.give(uid));
        }
        None => streams.give(uid),
    }
    Ok(streams)
}

/// A person's own mounts win over those every container gets.
fn add_unless_taken(spec: &mut Spec, mounts: Vec<creel_runtime::spec::Mount>) {
    let taken = |target: &str| spec.mounts.iter().any(|mount| mount.destination == target);
    let fresh: Vec<_> = mounts.into_iter().filter(|mount| !taken(&mount.destination)).collect();
    spec.mounts.extend(fresh);
}

impl Running {
    /// Returns a descriptor that becomes readable when the process has ended.
    pub fn ended(&self) -> BorrowedFd<'_> {
        self.child.pidfd()
    }

    /// Sends a signal to the process.
    ///
    /// # Errors
    /// [`RunError::Runtime`] if it has ended.
    pub fn signal(&self, number: i32) -> Result<(), RunError> {
        Ok(self.child.signal(number)?)
    }

    /// Takes the master of the container's terminal, if it has one.
    pub fn take_terminal(&mut self) -> Option<OwnedFd> {
        self.child.take_terminal()
    }

    /// Takes this process's ends of the pipes that stand for its own standard streams.
    pub fn take_pipes(&mut self) -> Pipes {
        std::mem::take(&mut self.pipes)
    }

    /// Waits for the end of the process and puts away what belonged to the run; all of the
    /// container, if it was to go.
    ///
    /// # Errors
    /// [`RunError`] if nobody can tell how it ended.
    pub fn finish(self) -> Result<Ended, RunError> {
        let code = self.child.wait()?;
        Ok(Ended { code, put_away: self.put_away(code) })
    }

    fn put_away(self, code: i32) -> Result<(), RunError> {
        if let Some(cgroup) = &self.cgroup {
            // What joined from outside is killed.
            cgroup.remove()?;
        }
        if self.owned.record().policy.remove {
            return Ok(self.catalog.remove(self.owned)?);
        }
        let exit = Exit { code, started: self.started, ended: Timestamp::now() };
        Ok(self.catalog.end(&self.owned, &exit)?)
    }
}

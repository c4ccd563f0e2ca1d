//! What a container uses, and what happens to it.

use std::io;
use std::time::{Duration, Instant};

use creel_spawn::cgroup::{Cgroup, OomWatch};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Runtime;
use super::directory::Directory;
use super::error::LifecycleError;
use super::id::ContainerId;
use super::record::Record;
use super::start::open;
use super::state::Status;
use crate::container::{Container, ContainerError};
use crate::stats::{self, Stats};

/// Something to tell of a container.
#[derive(Clone, Debug)]
pub enum Event {
    /// What it uses.
    Stats(Box<Stats>),
    /// Processes of it were killed because there was no memory left for them.
    Oom,
}

/// Waits for what there is to tell of a container.
#[derive(Debug)]
pub struct Watch {
    record: Record,
    group: Cgroup,
    container: Container,
    /// None where memory is not accounted.
    oom: Option<OomWatch>,
    /// Those of which nothing has been said.
    ooms: u64,
    interval: Duration,
    next: Instant,
}

impl Runtime {
    /// What a container uses.
    ///
    /// # Errors
    /// [`LifecycleError::NotRunning`] if it is stopped; [`LifecycleError::Container`] without a control
    /// group.
    pub fn stats(&self, id: &ContainerId) -> Result<Stats, LifecycleError> {
        let record = self.living(id)?;
        Ok(read(&record, &record.group()?))
    }

    /// Begins to watch a container; what it uses is told at an interval.
    ///
    /// # Errors
    /// As [`Self::stats`].
    pub fn watch(&self, id: &ContainerId, interval: Duration) -> Result<Watch, LifecycleError> {
        let record = self.living(id)?;
        let (group, container) = (record.group()?, open(&record, &record.spec()?)?);
        let (oom, next) = (group.watch_oom().ok(), Instant::now() + interval);
        Ok(Watch { record, group, container, oom, ooms: 0, interval, next })
    }

    fn living(&self, id: &ContainerId) -> Result<Record, LifecycleError> {
        let directory = Directory::open(&self.root, id)?;
        let record = directory.record()?;
        match Status::of(&directory, &record)? {
            status @ Status::Stopped => {
                Err(LifecycleError::NotRunning { action: "watch", id: id.to_string(), status })
            }
            _ => Ok(record),
        }
    }
}

fn read(record: &Record, group: &Cgroup) -> Stats {
    let mut stats = Stats::of(group);
    stats.network_interfaces = stats::interfaces(record.process.pid);
    if let Some(resctrl) = record.resctrl() {
        stats.intel_rdt.schemata = resctrl.schemata();
    }
    stats
}

impl Watch {
    /// Waits for the next event; none once the container has ended.
    ///
    /// # Errors
    /// Fails if waiting does.
    pub fn next_event(&mut self) -> Result<Option<Event>, LifecycleError> {
        loop {
            if self.ooms > 0 {
                self.ooms -= 1;
                return Ok(Some(Event::Oom));
            }
            let now = Instant::now();
            if now >= self.next {
                // Those that were missed are not made up for.
                self.next = now + self.interval;
                return Ok(Some(Event::Stats(Box::new(read(&self.record, &self.group)))));
            }
            let ended = self.wait(self.next - now).map_err(ContainerError::Wait)?;
            self.ooms = self.oom.as_mut().map_or(0, OomWatch::count);
            if ended && self.ooms == 0 {
                return Ok(None);
            }
        }
    }

    /// Waits for a time at most; tells whether the container has ended.
    fn wait(&self, time: Duration) -> io::Result<bool> {
        let mut waits = vec![PollFd::from_borrowed_fd(self.container.pidfd(), PollFlags::IN)];
        if let Some(oom) = &self.oom {
            let (fd, events) = oom.waits();
            waits.push(PollFd::from_borrowed_fd(fd, events));
        }
        let time = Timespec::try_from(time).map_err(io::Error::other)?;
        match poll(&mut waits, Some(&time)) {
            Err(rustix::io::Errno::INTR) => return Ok(false),
            done => done?,
        };
        Ok(waits.first().is_some_and(|pidfd| !pidfd.revents().is_empty()))
    }
}

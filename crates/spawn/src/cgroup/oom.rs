//! Hearing of processes that were killed because a group had no memory left.

use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::event::{EventfdFlags, PollFlags, eventfd};

use super::{Cgroup, CgroupError, Hierarchy, access};

/// Tells of such processes of a group.
#[derive(Debug)]
pub enum OomWatch {
    /// Version 1: a counter of events.
    V1 {
        /// The counter.
        counter: OwnedFd,
        /// Whose end is an event too.
        directory: PathBuf,
    },
    /// Version 2: a file that says so when it has changed.
    V2 {
        /// The file, which must be kept open.
        file: File,
        /// Its path.
        path: PathBuf,
        /// How many there were when it was looked at last.
        seen: u64,
    },
}

impl Cgroup {
    /// Begins to watch the group.
    ///
    /// # Errors
    /// Fails without the controller of memory, or without the right to watch.
    pub fn watch_oom(&self) -> Result<OomWatch, CgroupError> {
        match &self.hierarchy {
            Hierarchy::V1(mounts) => {
                let directory = mounts.join("memory").join(&self.name);
                let control = directory.join("memory.oom_control");
                let opened = access(&control, File::open(&control))?;
                let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
                let counter = access(&control, eventfd(0, flags).map_err(Into::into))?;
                let number = |fd: BorrowedFd<'_>| std::os::fd::AsRawFd::as_raw_fd(&fd);
                let words = format!("{} {}", number(counter.as_fd()), number(opened.as_fd()));
                let path = directory.join("cgroup.event_control");
                access(&path, fs::write(&path, words))?;
                Ok(OomWatch::V1 { counter, directory })
            }
            Hierarchy::V2(mount) => {
                let path = mount.join(&self.name).join("memory.events");
                let file = access(&path, File::open(&path))?;
                let seen = killed(&access(&path, fs::read_to_string(&path))?);
                Ok(OomWatch::V2 { file, path, seen })
            }
        }
    }
}

impl OomWatch {
    /// What becomes ready, and by which events, when there is something to look at.
    #[must_use]
    pub fn waits(&self) -> (BorrowedFd<'_>, PollFlags) {
        match self {
            Self::V1 { counter, .. } => (counter.as_fd(), PollFlags::IN),
            Self::V2 { file, .. } => (file.as_fd(), PollFlags::PRI),
        }
    }

    /// How many events there were since it was asked last.
    pub fn count(&mut self) -> u64 {
        match self {
            Self::V1 { counter, directory } => {
                let mut events = [0; 8];
                let read = rustix::io::read(counter, &mut events);
                let there = read.is_ok() && directory.join("memory.oom_control").exists();
                if there { u64::from_ne_bytes(events) } else { 0 }
            }
            Self::V2 { file, path, seen } => {
                // What is ready is so until the file itself is read again.
                let _ = rustix::io::pread(&*file, &mut [0u8; 256], 0);
                let now = killed(&fs::read_to_string(path).unwrap_or_default());
                let before = std::mem::replace(seen, now.max(*seen));
                now.saturating_sub(before)
            }
        }
    }
}

/// The number of killed processes in `memory.events`.
fn killed(text: &str) -> u64 {
    let number = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    number.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_counted() {
        assert_eq!(killed("low 0\noom 3\noom_kill 2\noom_group_kill 1\n"), 2);
        assert_eq!(killed("oom 3\n"), 0);
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        fs::write(&path, "oom_kill 1\n").unwrap();
        let file = File::open(&path).unwrap();
        let mut watch = OomWatch::V2 { file, path: path.to_path_buf(), seen: 1 };
        assert_eq!(watch.count(), 0);
        fs::write(&path, "oom_kill 4\n").unwrap();
        assert_eq!((watch.count(), watch.count()), (3, 0));
        // A group that is gone counts no more.
        fs::write(&path, "").unwrap();
        assert_eq!(watch.count(), 0);
    }
}

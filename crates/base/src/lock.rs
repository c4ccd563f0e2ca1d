//! Locks on files, held by descriptors of live processes.
//!
//! They are open-file-description locks (see [`creel_sys::lock`]): the kernel drops one when the last
//! descriptor of its open file is closed, however the holder ends. A forked child shares the
//! description, so **a child that must not keep a lock closes it first of all**; descriptors are
//! O_CLOEXEC, so exec does that too. For the same reason dropping a [`Lock`] only closes it:
//! unlocking in a child would take the lock from its parent.

use core::time::Duration;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Instant;

use creel_sys::lock as sys;
pub use creel_sys::lock::Kind;
use rustix::fs::OFlags;

use crate::hint::Hint;
use crate::path::{Dir, PathError, Scope};

/// How long to wait for a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Not at all.
    No,
    /// This long.
    For(Duration),
    /// As long as it takes.
    Forever,
}

/// A lock, held until this is dropped and no child has its descriptor.
#[derive(Debug)]
pub struct Lock {
    file: File,
    path: PathBuf,
}

/// Who holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Nobody.
    None,
    /// Others, who share it.
    Shared,
    /// One other, by the pid it wrote into the file, if it did.
    Exclusive(Option<u32>),
}

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The lock's file cannot be opened.
    #[error("cannot open the lock `{}`", .path.display())]
    Open {
        /// The lock's file.
        path: PathBuf,
        /// Why not.
        source: PathError,
    },
    /// Someone else has it.
    #[error("cannot lock `{}`: it is held{}", .path.display(), by(.pid))]
    Held {
        /// The lock's file.
        path: PathBuf,
        /// The pid its holder wrote into it. A hint for people: it may be in another pid namespace.
        pid: Option<u32>,
    },
    /// The kernel refused.
    #[error("cannot lock `{}`", .path.display())]
    Refused {
        /// The lock's file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The pid cannot be written into the lock's file.
    #[error("cannot write the pid into the lock `{}`", .path.display())]
    Record {
        /// The lock's file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Hint for LockError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Held { pid: Some(pid), .. } => {
                Some(format!("wait for process {pid} to end: `ps -p {pid}` shows it"))
            }
            Self::Open { source, .. } => source.hint(),
            _ => None,
        }
    }
}

/// The first pause between two tries, doubled up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(50);

impl Lock {
    /// Takes a lock on a file, which is made if it is missing.
    ///
    /// A lock whose file was removed or replaced while waiting is given up and the new file's is
    /// taken, so the holder of a lock may remove its file.
    ///
    /// # Errors
    /// [`LockError::Held`] if it is not free in time.
    pub fn take(
        dir: &Dir,
        path: impl AsRef<Path>,
        kind: Kind,
        wait: Wait,
    ) -> Result<Self, LockError> {
        Self::take_with(dir, path.as_ref(), OFlags::RDWR | OFlags::CREATE, kind, wait)
    }

    /// Shares a lock on a file that this process may only read, as on a read-only file system.
    /// Returns `None` if there is no such file: nobody can have locked it.
    ///
    /// # Errors
    /// [`LockError::Held`] if it is not free in time.
    pub fn share(dir: &Dir, path: impl AsRef<Path>, wait: Wait) -> Result<Option<Self>, LockError> {
        // To share a lock takes a descriptor for reading (`F_OFD_SETLK` in fcntl(2)).
        match Self::take_with(dir, path.as_ref(), OFlags::RDONLY, Kind::Shared, wait) {
            Err(LockError::Open { source, .. }) if source.is_not_found() => Ok(None),
            taken => taken.map(Some),
        }
    }

    fn take_with(
        dir: &Dir,
        path: &Path,
        flags: OFlags,
        kind: Kind,
        wait: Wait,
    ) -> Result<Self, LockError> {
        let deadline = match wait {
            Wait::For(time) => Instant::now().checked_add(time),
            _ => None,
        };
        loop {
            let file = open(dir, path, flags)?;
            let lock = Self { file, path: dir.join(path) };
            lock.wait(kind, wait, deadline)?;
            if lock.is_at(dir, path) {
                return Ok(lock);
            }
        }
    }

    /// Turns the lock into the other kind, if nobody else is in the way. Returns whether it did.
    ///
    /// # Errors
    /// [`LockError::Refused`].
    pub fn try_convert(&self, kind: Kind) -> Result<bool, LockError> {
        sys::try_lock(self.as_fd(), kind).map_err(|source| self.refused(source))
    }

    /// Writes this process's pid into the file, for the messages of those who wait.
    ///
    /// # Errors
    /// [`LockError::Record`].
    pub fn record_pid(&self) -> Result<(), LockError> {
        let pid = std::process::id();
        // Ten digits, so that a shorter number leaves nothing of a longer one.
        self.file
            .write_all_at(format!("{pid:10}\n").as_bytes(), 0)
            .map_err(|source| LockError::Record { path: self.path.clone(), source })
    }

    /// Lets go at once, also of what children have inherited.
    ///
    /// # Errors
    /// [`LockError::Refused`].
    pub fn release(self) -> Result<(), LockError> {
        sys::unlock(self.as_fd()).map_err(|source| self.refused(source))
    }

    fn wait(&self, kind: Kind, wait: Wait, deadline: Option<Instant>) -> Result<(), LockError> {
        // A deadline too far for the clock is none.
        if wait != Wait::No && deadline.is_none() {
            return sys::lock(self.as_fd(), kind).map_err(|source| self.refused(source));
        }
        let mut pause = FIRST_PAUSE;
        while !self.try_convert(kind)? {
            let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
            match left.filter(|left| !left.is_zero()) {
                Some(left) => sleep(pause.min(left)),
                None => {
                    let pid = recorded_pid(&self.file);
                    return Err(LockError::Held { path: self.path.clone(), pid });
                }
            }
            pause = pause.saturating_mul(2).min(LAST_PAUSE);
        }
        Ok(())
    }

    /// Returns whether the path still names the file that is locked.
    fn is_at(&self, dir: &Dir, path: &Path) -> bool {
        match (self.file.metadata(), dir.stat(path)) {
            (Ok(mine), Ok(there)) => mine.ino() == there.st_ino && mine.dev() == there.st_dev,
            _ => false,
        }
    }

    fn refused(&self, source: io::Error) -> LockError {
        LockError::Refused { path: self.path.clone(), source }
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Asks who holds a lock, and takes nothing. A file that is not there is held by nobody.
///
/// # Errors
/// [`LockError::Open`] and [`LockError::Refused`].
pub fn holder(dir: &Dir, path: impl AsRef<Path>) -> Result<Holder, LockError> {
    let path = path.as_ref();
    let file = match open(dir, path, OFlags::RDONLY) {
        Err(LockError::Open { source, .. }) if source.is_not_found() => return Ok(Holder::None),
        result => result?,
    };
    let conflict = sys::query(file.as_fd(), Kind::Exclusive)
        .map_err(|source| LockError::Refused { path: dir.join(path), source })?;
    Ok(match conflict.map(|conflict| conflict.kind) {
        None => Holder::None,
        Some(Kind::Shared) => Holder::Shared,
        Some(Kind::Exclusive) => Holder::Exclusive(recorded_pid(&file)),
    })
}

fn open(dir: &Dir, path: &Path, flags: OFlags) -> Result<File, LockError> {
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    dir.open_within(path, Scope::Beneath, flags)
        .map_err(|source| LockError::Open { path: dir.join(path), source })
}

fn recorded_pid(file: &File) -> Option<u32> {
    let mut text = [0; 10];
    file.read_exact_at(&mut text, 0).ok()?;
    core::str::from_utf8(&text).ok()?.trim().parse().ok()
}

fn by(pid: &Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" by process {pid}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch() -> (tempfile::TempDir, Dir) {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = Dir::open(temp.path()).expect("a directory");
        (temp, dir)
    }

    #[test]
    fn exclusive_locks_say_who_holds_them() {
        let (_temp, dir) = scratch();
        assert_eq!(holder(&dir, "l").expect("a query"), Holder::None);
        let lock = Lock::take(&dir, "l", Kind::Exclusive, Wait::No).expect("free");
        assert_eq!(holder(&dir, "l").expect("a query"), Holder::Exclusive(None));
        lock.record_pid().expect("written");
        let pid = std::process::id();
        assert_eq!(holder(&dir, "l").expect("a query"), Holder::Exclusive(Some(pid)));
        let started = Instant::now();
        let wait = Wait::For(Duration::from_millis(20));
        let error = Lock::take(&dir, "l", Kind::Shared, wait).expect_err("held");
        assert!(started.elapsed() >= Duration::from_millis(20));
        assert!(error.to_string().ends_with(&format!("it is held by process {pid}")), "{error}");
        assert!(error.hint().is_some());
        drop(lock);
        assert_eq!(holder(&dir, "l").expect("a query"), Holder::None);
    }

    #[test]
    fn shared_locks_share_and_convert_when_alone() {
        let (_temp, dir) = scratch();
        let take = || Lock::take(&dir, "l", Kind::Shared, Wait::No).expect("shared");
        let (first, second) = (take(), take());
        assert_eq!(holder(&dir, "l").expect("a query"), Holder::Shared);
        assert!(!first.try_convert(Kind::Exclusive).expect("a try"));
        second.release().expect("released");
        assert!(first.try_convert(Kind::Exclusive).expect("a try"));
    }

    #[test]
    fn what_can_only_be_read_is_shared() {
        let (_temp, dir) = scratch();
        assert!(Lock::share(&dir, "l", Wait::No).expect("a look").is_none());
        assert!(!dir.exists("l").expect("a look"));
        drop(Lock::take(&dir, "l", Kind::Shared, Wait::No).expect("free"));
        let lock = Lock::share(&dir, "l", Wait::No).expect("free");
        assert_eq!(holder(&dir, "l").expect("a query"), Holder::Shared);
        drop(lock);
        let _alone = Lock::take(&dir, "l", Kind::Exclusive, Wait::No).expect("free");
        assert!(matches!(Lock::share(&dir, "l", Wait::No), Err(LockError::Held { .. })));
    }

    #[test]
    fn a_waiter_gets_the_lock_of_the_file_that_is_there() {
        let (_temp, dir) = scratch();
        let old = Lock::take(&dir, "l", Kind::Exclusive, Wait::No).expect("free");
        std::thread::scope(|scope| {
            let waiter = scope
                .spawn(|| Lock::take(&dir, "l", Kind::Exclusive, Wait::Forever).expect("free"));
            sleep(Duration::from_millis(20));
            dir.unlink("l").expect("removed");
            drop(old);
            let lock = waiter.join().expect("no panic");
            assert!(lock.is_at(&dir, Path::new("l")));
        });
    }

    #[test]
    fn links_are_no_locks() {
        let (_temp, dir) = scratch();
        dir.symlink("elsewhere", "l").expect("a link");
        assert!(Lock::take(&dir, "l", Kind::Shared, Wait::No).is_err());
        assert!(!dir.exists("elsewhere").expect("a look"));
    }
}

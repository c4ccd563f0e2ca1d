//! Open-file-description locks over a whole file.
//!
//! Source: `fcntl_locking(2)`, "Open file description locks", Linux 3.15. Unlike process-wide POSIX
//! locks they are not lost when an unrelated descriptor of the same file is closed, and two threads
//! of a process exclude each other. rustix has no wrapper for them.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Whom a lock excludes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only exclusive locks. The descriptor must be open for reading.
    Shared,
    /// All others. The descriptor must be open for writing.
    Exclusive,
}

/// A lock that is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// What kind it is.
    pub kind: Kind,
    /// Who holds it; `None` for open-file-description locks, which belong to no process.
    pub pid: Option<u32>,
}

/// Takes a lock if it is free, or turns a held one into `kind`. Returns whether it did.
///
/// # Errors
/// What `fcntl(2)` gives, such as EBADF for a descriptor that is not open for what `kind` needs.
pub fn try_lock(fd: BorrowedFd<'_>, kind: Kind) -> io::Result<bool> {
    match apply(fd, libc::F_OFD_SETLK, &mut whole_file(kind.code())) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Takes a lock, waiting as long as it takes.
///
/// # Errors
/// As [`try_lock`]. A signal does not end the wait.
pub fn lock(fd: BorrowedFd<'_>, kind: Kind) -> io::Result<()> {
    loop {
        match apply(fd, libc::F_OFD_SETLKW, &mut whole_file(kind.code())) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Lets go of a lock, for every descriptor that shares the open file description.
///
/// # Errors
/// What `fcntl(2)` gives.
pub fn unlock(fd: BorrowedFd<'_>) -> io::Result<()> {
    apply(fd, libc::F_OFD_SETLK, &mut whole_file(libc::F_UNLCK))
}

/// Asks which lock would keep this descriptor from taking one of `kind`. Takes nothing.
///
/// # Errors
/// What `fcntl(2)` gives.
pub fn query(fd: BorrowedFd<'_>, kind: Kind) -> io::Result<Option<Conflict>> {
    let mut range = whole_file(kind.code());
    apply(fd, libc::F_OFD_GETLK, &mut range)?;
    let kind = match libc::c_int::from(range.l_type) {
        libc::F_RDLCK => Kind::Shared,
        libc::F_WRLCK => Kind::Exclusive,
        _ => return Ok(None),
    };
    let pid = u32::try_from(range.l_pid).ok().filter(|pid| *pid != 0);
    Ok(Some(Conflict { kind, pid }))
}

impl Kind {
    const fn code(self) -> libc::c_int {
        match self {
            Self::Shared => libc::F_RDLCK,
            Self::Exclusive => libc::F_WRLCK,
        }
    }
}

/// Describes all bytes of a file, to wherever its end may move. `l_pid` must be 0 in a request.
fn whole_file(kind: libc::c_int) -> libc::flock {
    #[expect(clippy::cast_possible_truncation, reason = "F_RDLCK, F_WRLCK, F_UNLCK are 0 to 2")]
    let l_type = kind as libc::c_short;
    #[expect(clippy::cast_possible_truncation, reason = "SEEK_SET is 0")]
    let l_whence = libc::SEEK_SET as libc::c_short;
    libc::flock { l_type, l_whence, l_start: 0, l_len: 0, l_pid: 0 }
}

#[expect(unsafe_code, reason = "fcntl takes a pointer")]
fn apply(fd: BorrowedFd<'_>, command: libc::c_int, range: &mut libc::flock) -> io::Result<()> {
    // SAFETY: `fd` is open for the length of the borrow. All callers pass one of the three
    // F_OFD_ commands, whose third argument is a `struct flock` that the kernel reads and, for
    // F_OFD_GETLK, writes; `range` is one, exclusively borrowed until the call returns.
    match unsafe { libc::fcntl(fd.as_raw_fd(), command, core::ptr::from_mut(range)) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::os::fd::AsFd as _;
    use std::path::PathBuf;

    fn two_descriptions(name: &str) -> (File, File) {
        let path: PathBuf = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        let open =
            || File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let files = (open().expect("a file"), open().expect("a file"));
        std::fs::remove_file(&path).expect("a file");
        files
    }

    #[test]
    fn locks_exclude_by_description_not_by_process() {
        let (a, b) = two_descriptions("creel-lock-exclude");
        for (first, second, compatible) in [
            (Kind::Shared, Kind::Shared, true),
            (Kind::Shared, Kind::Exclusive, false),
            (Kind::Exclusive, Kind::Shared, false),
            (Kind::Exclusive, Kind::Exclusive, false),
        ] {
            lock(a.as_fd(), first).expect("free");
            let conflict = query(b.as_fd(), second).expect("a query");
            let expected = Conflict { kind: first, pid: None };
            assert_eq!(conflict, (!compatible).then_some(expected), "{first:?} {second:?}");
            assert_eq!(try_lock(b.as_fd(), second).expect("a try"), compatible);
            unlock(b.as_fd()).expect("unlock");
            unlock(a.as_fd()).expect("unlock");
            assert_eq!(query(b.as_fd(), Kind::Exclusive).expect("a query"), None);
        }
    }

    #[test]
    fn a_duplicate_shares_the_lock_and_closing_one_keeps_it() {
        let (a, b) = two_descriptions("creel-lock-duplicate");
        lock(a.as_fd(), Kind::Exclusive).expect("free");
        let duplicate = a.try_clone().expect("dup");
        drop(a);
        assert!(!try_lock(b.as_fd(), Kind::Shared).expect("a try"));
        drop(duplicate);
        assert!(try_lock(b.as_fd(), Kind::Shared).expect("a try"));
    }
}

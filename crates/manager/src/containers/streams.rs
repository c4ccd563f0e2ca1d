//! Standard input, output and error of a process that has no terminal of its own.
//!
//! A descriptor gives more than what it was opened for: through `/proc/self/fd` a file can be opened
//! for writing, cut short or given another mode, and a terminal can be read and typed into. So a
//! process gets pipes and sockets as they are, and pipes in place of all else.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use creel_spawn::Stdio as PlanStdio;
use creel_spawn::mount::{READ_ONLY, detached};
use rustix::fs::{FileType, Gid, Uid};

use super::run_error::RunError;

const NULL: &str = "/dev/null";
/// Its numbers (Documentation/admin-guide/devices.txt).
const NULL_NUMBERS: (u32, u32) = (1, 3);
/// `PIPEFS_MAGIC`: pipes without a name, which are nobody's file.
const PIPES: i64 = 0x5049_5045;

/// What a process has for standard input, output and error where it has no terminal of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stdio {
    /// Those of this process, copied through pipes where they are neither pipes nor sockets.
    Inherit,
    /// Those of this process, but an empty input.
    NoInput,
}

/// This process's ends of the pipes in place of its own standard input, output and error: whoever
/// started the process copies. Error is with output where both are the same file.
#[derive(Debug, Default)]
pub struct Pipes {
    /// Takes what is read from standard input.
    pub input: Option<OwnedFd>,
    /// Gives what goes to standard output.
    pub output: Option<OwnedFd>,
    /// Gives what goes to standard error.
    pub error: Option<OwnedFd>,
}

/// What a process is given, and this process's ends.
#[derive(Debug, Default)]
pub(super) struct Streams {
    given: Vec<Arc<OwnedFd>>,
    made: Vec<Arc<OwnedFd>>,
    pub(super) pipes: Pipes,
}

impl Streams {
    /// Makes the streams; none for a process that has a terminal of its own.
    ///
    /// # Errors
    /// [`RunError::Streams`].
    pub(super) fn make(stdio: Stdio, terminal: bool) -> Result<Self, RunError> {
        if terminal {
            return Ok(Self::default());
        }
        Self::of_process(stdio).map_err(RunError::Streams)
    }

    fn of_process(stdio: Stdio) -> io::Result<Self> {
        let mut streams = Self::default();
        let input = streams.input(stdio)?;
        let (stdout, stderr) = (rustix::stdio::stdout(), rustix::stdio::stderr());
        let (output, pipe) = streams.output(stdout)?;
        let shared = pipe.is_some() && is_same(stdout, stderr)?;
        streams.pipes.output = pipe;
        let error = if shared {
            // What is written to both stays in order.
            Arc::clone(&output)
        } else {
            let (error, pipe) = streams.output(stderr)?;
            streams.pipes.error = pipe;
            error
        };
        streams.given = vec![input, output, error];
        Ok(streams)
    }

    fn input(&mut self, stdio: Stdio) -> io::Result<Arc<OwnedFd>> {
        let stdin = rustix::stdio::stdin();
        let kind = if stdio == Stdio::NoInput { Kind::Null } else { kind(stdin)? };
        match kind {
            Kind::Passed => stdin.try_clone_to_owned().map(Arc::new),
            Kind::Null => null(OpenOptions::new().read(true)),
            Kind::Copied => {
                let (read, write) = io::pipe()?;
                self.pipes.input = Some(write.into());
                Ok(self.made(read.into()))
            }
        }
    }

    /// What stands for a stream that is written to, and the end that is read from if it is a pipe.
    fn output(&mut self, stream: BorrowedFd<'_>) -> io::Result<(Arc<OwnedFd>, Option<OwnedFd>)> {
        Ok(match kind(stream)? {
            Kind::Passed => (Arc::new(stream.try_clone_to_owned()?), None),
            Kind::Null => (null(OpenOptions::new().write(true))?, None),
            Kind::Copied => {
                let (read, write) = io::pipe()?;
                (self.made(write.into()), Some(read.into()))
            }
        })
    }

    fn made(&mut self, end: OwnedFd) -> Arc<OwnedFd> {
        let end = Arc::new(end);
        self.made.push(Arc::clone(&end));
        end
    }

    /// Gives the pipes that were made to a user, whose processes can then open them anew.
    pub(super) fn give(&self, uid: u32) {
        for end in &self.made {
            // Those that are open can be used all the same.
            let _ = rustix::fs::fchown(end, Some(Uid::from_raw(uid)), None::<Gid>);
        }
    }

    /// Returns what a plan gives the process, and this process's ends.
    pub(super) fn split(self) -> (PlanStdio, Pipes) {
        let given = match self.given.is_empty() {
            true => PlanStdio::Inherit,
            false => PlanStdio::Descriptors(self.given),
        };
        (given, self.pipes)
    }
}

enum Kind {
    Passed,
    Null,
    Copied,
}

fn kind(stream: BorrowedFd<'_>) -> io::Result<Kind> {
    let stat = rustix::fs::fstat(stream)?;
    let numbers = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::Socket => Kind::Passed,
        FileType::Fifo if rustix::fs::fstatfs(stream)?.f_type as i64 == PIPES => Kind::Passed,
        FileType::CharacterDevice if numbers == NULL_NUMBERS => Kind::Null,
        _ => Kind::Copied,
    })
}

fn is_same(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> io::Result<bool> {
    let [one, other] = [rustix::fs::fstat(one)?, rustix::fs::fstat(other)?];
    Ok((one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

/// The null device through a mount of its own that is read-only and attached nowhere: its mode and
/// owner cannot be changed there. Where no mount can be made, neither can the device be changed.
fn null(how: &OpenOptions) -> io::Result<Arc<OwnedFd>> {
    let opened = match detached(Path::new(NULL), READ_ONLY) {
        Ok(mount) => how.open(format!("/proc/self/fd/{}", mount.as_fd().as_raw_fd())),
        Err(_) => how.open(NULL),
    };
    opened.map(|file: File| Arc::new(file.into()))
}

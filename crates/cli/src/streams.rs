//! Copies of this process's standard streams, for a process that has pipes in place of them.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::thread::JoinHandle;

use creel_manager::containers::Pipes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::attach::{readable, wait};
use crate::failure::Failure;

/// As much as a pipe holds.
const BUFFER: usize = 64 << 10;

/// Who may keep an output open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// Everyone: it is copied until all writers have ended.
    AllEnded,
    /// The process only: what it has written is copied, and nothing is awaited.
    ProcessEnded,
}

/// The outputs of a process and what copies them. Nothing does until something is written: a thread
/// takes longer to start and to end than many a process lives.
pub(crate) struct Copies {
    silent: Vec<Output>,
    threads: Vec<JoinHandle<io::Result<()>>>,
    /// Closed, it tells that the process has ended.
    going: OwnedFd,
}

impl Copies {
    /// Starts to copy. To be called after the process has started, which takes a process without
    /// threads, and before signals are awaited but after they are gathered.
    pub(crate) fn start(pipes: Pipes) -> io::Result<Self> {
        let (ended, going) = io::pipe()?;
        let outputs = [
            pipes.output.map(|pipe| (pipe, rustix::stdio::stdout())),
            pipes.error.map(|pipe| (pipe, rustix::stdio::stderr())),
        ];
        let mut silent = Vec::new();
        for (pipe, to) in outputs.into_iter().flatten() {
            silent.push(Output { pipe, to, ended: ended.try_clone()?.into() });
        }
        if let Some(pipe) = pipes.input {
            // It ends with this process: nobody waits for what may never be typed.
            std::thread::Builder::new().spawn(move || copy_input(&pipe))?;
        }
        Ok(Self { silent, threads: Vec::new(), going: going.into() })
    }

    /// What to wait for; what is found of each is for [`hear`](Self::hear).
    pub(crate) fn silent(&self) -> impl Iterator<Item = PollFd<'_>> {
        self.silent.iter().map(|output| readable(output.pipe.as_fd()))
    }

    /// Begins to copy what is no longer silent, and closes what nobody can write to any more. `found`
    /// is what was found of each of [`silent`](Self::silent).
    pub(crate) fn hear(&mut self, found: &[PollFlags]) -> io::Result<()> {
        let mut found = found.iter();
        let heard = |_: &mut Output| found.next().is_some_and(|found| !found.is_empty());
        let heard: Vec<_> = self.silent.extract_if(.., heard).collect();
        for output in heard {
            if rustix::io::ioctl_fionread(&output.pipe)? > 0 {
                self.threads.push(output.copy_aside()?);
            }
        }
        Ok(())
    }

    /// Waits until everything has been copied, after the process has ended. Says what could not be.
    pub(crate) fn finish(mut self, until: Until) -> io::Result<()> {
        let mut silent: Vec<_> = self.silent().collect();
        poll(&mut silent, Some(&Timespec::default()))?;
        let found: Vec<_> = silent.iter().map(PollFd::revents).collect();
        self.hear(&found)?;
        let Self { silent, mut threads, going } = self;
        let going = (until == Until::AllEnded).then_some(going);
        if until == Until::AllEnded {
            for output in silent {
                threads.push(output.copy_aside()?);
            }
        }
        for thread in threads {
            // A thread does not panic.
            if let Ok(Err(error)) = thread.join() {
                Failure::output(&error).warn();
            }
        }
        drop(going);
        Ok(())
    }
}

/// Copies standard input until its end, or until nobody reads any more.
fn copy_input(pipe: &OwnedFd) {
    let stdin = rustix::stdio::stdin();
    let mut buffer = [0; BUFFER];
    loop {
        match rustix::io::read(stdin, &mut buffer) {
            Ok(count @ 1..) => {
                let some = buffer.get(..count).unwrap_or_default();
                if write_all(pipe.as_fd(), some).is_err() {
                    return;
                }
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if wait(&mut [readable(stdin)]).is_ok() => {}
            // EIO: the terminal is another job's. The pipe closes.
            Ok(_) | Err(_) => return,
        }
    }
}

struct Output {
    pipe: OwnedFd,
    to: BorrowedFd<'static>,
    ended: OwnedFd,
}

impl Output {
    /// Copies in a thread of its own: its reader may be slow.
    fn copy_aside(self) -> io::Result<JoinHandle<io::Result<()>>> {
        std::thread::Builder::new().spawn(|| self.copy())
    }

    /// Copies until all writers, or the process, have ended. That nobody reads any more is not told:
    /// the pipe closes, and whoever writes hears of it.
    fn copy(self) -> io::Result<()> {
        match self.copy_all() {
            Err(Errno::PIPE | Errno::IO) => Ok(()),
            copied => Ok(copied?),
        }
    }

    fn copy_all(&self) -> Result<(), Errno> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let mut ready = [readable(self.pipe.as_fd()), readable(self.ended.as_fd())];
            wait(&mut ready).map_err(errno)?;
            let [_, ended] = ready.map(|fd| fd.revents());
            if !ended.is_empty() {
                return self.copy_rest(&mut buffer);
            }
            if self.copy_some(&mut buffer)? == 0 {
                return Ok(());
            }
        }
    }

    /// Copies what the pipe holds now: others may go on writing to it.
    fn copy_rest(&self, buffer: &mut [u8]) -> Result<(), Errno> {
        let mut left = rustix::io::ioctl_fionread(&self.pipe)?;
        while left > 0 {
            match self.copy_some(buffer)? {
                0 => break,
                count => left = left.saturating_sub(count as u64),
            }
        }
        Ok(())
    }

    fn copy_some(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        let count = loop {
            match rustix::io::read(&self.pipe, &mut *buffer) {
                Err(Errno::INTR) => {}
                read => break read?,
            }
        };
        write_all(self.to, buffer.get(..count).unwrap_or_default()).map_err(errno)?;
        Ok(count)
    }
}

fn errno(error: io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

/// Writes at once, past any buffer of ours.
pub(crate) fn write_all(to: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(to, bytes) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait(&mut [PollFd::from_borrowed_fd(to, PollFlags::OUT)])?,
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

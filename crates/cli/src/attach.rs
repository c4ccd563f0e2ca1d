//! The terminal and the signals of a process that runs in a container.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use creel_manager::Signals;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::termios::{self, OptionalActions, OutputModes, Termios, Winsize};

use crate::streams::{Copies, write_all};

/// Most bytes that wait for a reader.
const BUFFER: usize = 64 << 10;
/// How often a terminal that nobody has open is looked at.
const HANGUP_PAUSE: Duration = Duration::from_millis(20);
/// SIGWINCH, SIGTSTP and SIGCONT on every architecture but MIPS and PA-RISC (signal(7)).
const RESIZED: i32 = 28;
const STOPPED: i32 = 20;
/// HUP, INT, QUIT, USR1, USR2, ALRM, TERM, CONT, TSTP, TTIN, TTOU, WINCH: what is passed on. The
/// others are faults of the process they are sent to, or about its own children.
const FORWARDED: [i32; 12] = [1, 2, 3, 10, 12, 14, 15, 18, 20, 21, 22, 28];

/// A running process, as far as its terminal and its signals go.
pub(crate) trait Attached {
    /// Becomes readable when the process has ended.
    fn ended(&self) -> BorrowedFd<'_>;
    /// Sends a signal to the process; one that has ended gets none.
    fn signal(&self, number: i32);
    /// Tells whether a signal to stop, which it does not handle, stops it. The first process of a
    /// container is not stopped (`SIGNAL_UNKILLABLE` in `get_signal`, kernel/signal.c).
    fn stops(&self) -> bool;
}

/// Gathers the signals that are to be passed on. To be called before the process is started, so
/// that none is lost.
pub(crate) fn gather_signals() -> io::Result<Signals> {
    Signals::gather(&FORWARDED)
}

/// The size of our own terminal, as rows and columns; the usual one where there is none.
pub(crate) fn terminal_size() -> [u16; 2] {
    let own = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    let size = own.into_iter().find_map(|fd| termios::tcgetwinsize(fd).ok());
    size.filter(|size| size.ws_row > 0 && size.ws_col > 0)
        .map_or([24, 80], |size| [size.ws_row, size.ws_col])
}

/// Passes signals on until the process has ended, and listens to what it has not written to yet.
pub(crate) fn pass_signals(
    process: &dyn Attached,
    signals: &Signals,
    outputs: &mut Copies,
) -> io::Result<()> {
    loop {
        let mut ready = vec![readable(process.ended()), readable(signals.as_fd())];
        ready.extend(outputs.silent());
        wait(&mut ready)?;
        let found: Vec<_> = ready.iter().map(PollFd::revents).collect();
        let [ended, _, found @ ..] = found.as_slice() else { return Ok(()) };
        if !ended.is_empty() {
            return Ok(());
        }
        outputs.hear(found)?;
        while let Some(number) = signals.next()? {
            process.signal(number);
            if number == STOPPED && process.stops() {
                stop_ourselves();
            }
        }
    }
}

/// Passes on what is typed and shown, sizes and signals until the process has ended.
pub(crate) fn relay(
    process: &dyn Attached,
    signals: &Signals,
    master: OwnedFd,
    interactive: bool,
) -> io::Result<()> {
    let ends_lines = termios::tcgetattr(&master)?.output_modes.contains(OutputModes::ONLCR);
    let _raw = interactive.then(|| RawMode::enter(ends_lines)).transpose()?;
    fcntl_setfl(&master, fcntl_getfl(&master)? | OFlags::NONBLOCK)?;
    Relay { process, signals, master, typed: Vec::new(), typing: interactive }.run()
}

/// Stops this process as its shell expects of a job, until it is continued.
fn stop_ourselves() {
    // Nothing is lost when it fails: the process is stopped all the same.
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
}

/// The terminal of this process in raw mode; dropping it gives the old mode back.
struct RawMode(Option<Termios>);

impl RawMode {
    /// `ends_lines` tells that what is shown has carriage returns already.
    fn enter(ends_lines: bool) -> io::Result<Self> {
        let stdin = rustix::stdio::stdin();
        if !termios::isatty(stdin) {
            return Ok(Self(None));
        }
        let before = termios::tcgetattr(stdin)?;
        let mut raw = before.clone();
        raw.make_raw();
        if !ends_lines {
            raw.output_modes = before.output_modes;
        }
        termios::tcsetattr(stdin, OptionalActions::Drain, &raw)?;
        Ok(Self(Some(before)))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let _ = termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Drain, before);
        }
    }
}

struct Relay<'a> {
    process: &'a dyn Attached,
    signals: &'a Signals,
    master: OwnedFd,
    /// What was typed and is not yet taken.
    typed: Vec<u8>,
    /// More may be typed.
    typing: bool,
}

impl Relay<'_> {
    fn run(mut self) -> io::Result<()> {
        loop {
            let (ended, shown) = self.turn()?;
            if ended && !shown {
                return Ok(());
            }
        }
    }

    /// Waits for something and handles it. Returns whether the process has ended, and whether it
    /// showed something in this turn.
    fn turn(&mut self) -> io::Result<(bool, bool)> {
        let room = self.typing && self.typed.len() < BUFFER;
        let master =
            if self.typed.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
        let input = if room { PollFlags::IN } else { PollFlags::empty() };
        let mut ready = [
            readable(self.process.ended()),
            readable(self.signals.as_fd()),
            PollFd::from_borrowed_fd(self.master.as_fd(), master),
            PollFd::from_borrowed_fd(rustix::stdio::stdin(), input),
        ];
        let watched = if room { 4 } else { 3 };
        wait(ready.get_mut(..watched).unwrap_or_default())?;
        let [ended, signalled, terminal, typed] = ready.map(|fd| fd.revents());
        if !signalled.is_empty() {
            self.pass_signals()?;
        }
        if room && !typed.is_empty() {
            self.read_typed()?;
        }
        if terminal.contains(PollFlags::OUT) {
            self.write_typed()?;
        }
        let shown = terminal.contains(PollFlags::IN) && self.show()?;
        if terminal.contains(PollFlags::HUP) && !shown && ended.is_empty() {
            // Nobody has the terminal open just now: poll(2) would say so again at once.
            std::thread::sleep(HANGUP_PAUSE);
        }
        Ok((!ended.is_empty(), shown))
    }

    fn pass_signals(&self) -> io::Result<()> {
        while let Some(number) = self.signals.next()? {
            if number == RESIZED {
                self.resize();
            } else {
                self.process.signal(number);
            }
        }
        Ok(())
    }

    fn resize(&self) {
        let [ws_row, ws_col] = terminal_size();
        let size = Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 };
        // The kernel tells the process (SIGWINCH); without a terminal nobody is there to be told.
        let _ = termios::tcsetwinsize(&self.master, size);
    }

    fn read_typed(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        match rustix::io::read(rustix::stdio::stdin(), &mut buffer) {
            Ok(0) | Err(Errno::IO) => {
                // The end of a file is Ctrl-D at a terminal.
                self.typed.push(4);
                self.typing = false;
            }
            Ok(count) => self.typed.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(())
    }

    fn write_typed(&mut self) -> io::Result<()> {
        match rustix::io::write(&self.master, &self.typed) {
            Ok(count) => drop(self.typed.drain(..count)),
            Err(Errno::INTR | Errno::AGAIN) => {}
            // Nobody has the terminal open any more.
            Err(_) => self.typed.clear(),
        }
        Ok(())
    }

    /// Shows what the process has written; false when there is no more.
    fn show(&self) -> io::Result<bool> {
        let mut buffer = [0; 16 << 10];
        match rustix::io::read(&self.master, &mut buffer) {
            // EIO: nobody has the terminal open any more.
            Ok(0) | Err(Errno::IO) => Ok(false),
            Ok(count) => {
                let some = buffer.get(..count).unwrap_or_default();
                write_all(rustix::stdio::stdout(), some).map(|()| true)
            }
            Err(Errno::INTR | Errno::AGAIN) => Ok(true),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// To wait until a descriptor can be read.
pub(crate) fn readable(fd: BorrowedFd<'_>) -> PollFd<'_> {
    PollFd::from_borrowed_fd(fd, PollFlags::IN)
}

/// Waits for one of several descriptors.
pub(crate) fn wait(ready: &mut [PollFd<'_>]) -> io::Result<()> {
    loop {
        match poll(ready, None) {
            Err(Errno::INTR) => {}
            result => return result.map(drop).map_err(Into::into),
        }
    }
}

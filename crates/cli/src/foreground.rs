//! Running a container in the foreground: its image, its terminal, its end.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::process::ExitCode;

use creel_base::transport::Source;
use creel_manager::containers::options::{Choice, PullPolicy};
use creel_manager::containers::{Base, Pipes, Prepared, Running, Started, Stdio};
use creel_manager::images::{Image, ImageError};
use creel_manager::pull::Pull;
use creel_manager::{Engine, Signals};
use creel_runtime::container::Running as Process;

use crate::attach::{self, Attached};
use crate::commands::pull;
use crate::failure::Failure;
use crate::host;
use crate::streams::{Copies, Until};

/// 128 plus SIGPIPE, by which a program ends that writes to where nobody reads.
const UNREAD: i32 = 141;

impl Attached for Running {
    fn ended(&self) -> BorrowedFd<'_> {
        Self::ended(self)
    }

    fn signal(&self, number: i32) {
        let _ = Self::signal(self, number);
    }

    fn stops(&self) -> bool {
        false
    }
}

impl Attached for Started {
    fn ended(&self) -> BorrowedFd<'_> {
        Self::ended(self)
    }

    fn signal(&self, number: i32) {
        let _ = Self::signal(self, number);
    }

    fn stops(&self) -> bool {
        true
    }
}

/// A process that has our own standard descriptors, or a terminal of its own.
pub(crate) enum Plain {
    /// The first one of a container.
    First(Process),
    /// One that joined it.
    Joined(Process),
}

impl Plain {
    const fn process(&self) -> &Process {
        match self {
            Self::First(process) | Self::Joined(process) => process,
        }
    }

    fn take_terminal(&mut self) -> Option<OwnedFd> {
        match self {
            Self::First(process) | Self::Joined(process) => process.take_terminal(),
        }
    }
}

impl Attached for Plain {
    fn ended(&self) -> BorrowedFd<'_> {
        self.process().pidfd()
    }

    fn signal(&self, number: i32) {
        let _ = self.process().signal(number);
    }

    fn stops(&self) -> bool {
        matches!(self, Self::Joined(_))
    }
}

/// Returns what the root of a container is to be made of, pulled where that is wanted.
pub(crate) fn image(engine: &Engine, name: &str, choice: &Choice) -> Result<Base, Failure> {
    if is_path(name) {
        return pulled(engine, name, choice);
    }
    let in_store = |error: &ImageError| matches!(error, ImageError::NotFound { .. });
    let found = match (name, choice.pull) {
        (host::NAME, _) => return Ok(Base::Host(host::places_of_work())),
        (_, PullPolicy::Always) => return pulled(engine, name, choice),
        _ => engine.image(name),
    };
    match found {
        Err(error) if in_store(&error) && choice.pull == PullPolicy::Missing => {
            pulled(engine, name, choice)
        }
        Ok(image) if !suits(&image, choice) => pulled(engine, name, choice),
        found => Ok(Base::Image(Box::new(found?))),
    }
}

/// Tells whether an image is a file or directory here, which is read whenever it is named.
fn is_path(name: &str) -> bool {
    matches!(
        name.parse(),
        Ok(Source::Oci(..) | Source::OciArchive(..) | Source::DockerArchive(..) | Source::Dir(_))
    )
}

/// Tells whether an image in the store is for the platform that was asked for.
fn suits(image: &Image, choice: &Choice) -> bool {
    let Some(wanted) = &choice.platform else { return true };
    choice.pull == PullPolicy::Never
        || image.config.platform().is_ok_and(|platform| wanted.rank(&platform).is_some())
}

fn pulled(engine: &Engine, name: &str, choice: &Choice) -> Result<Base, Failure> {
    let source: Source = name.parse()?;
    let options = Pull { platform: choice.platform.clone(), ..Pull::default() };
    Ok(Base::Image(Box::new(pull::pull(engine, &source, &options, false)?)))
}

/// Starts a container, and stays until its command has ended.
pub(crate) fn run(prepared: Prepared<'_>) -> Result<ExitCode, Failure> {
    let interactive = prepared.interactive();
    let signals = attach::gather_signals().map_err(|error| Failure::terminal(&error))?;
    let stdio = if interactive { Stdio::Inherit } else { Stdio::NoInput };
    let mut running = prepared.start(stdio).map_err(Failure::run)?;
    let streams = (running.take_terminal(), running.take_pipes());
    let attended = attend(&running, &signals, streams, interactive, Until::AllEnded);
    // However that ended, the container is waited for and put away.
    let ended = running.finish()?;
    let attended = attended?;
    if let Err(error) = ended.put_away {
        Failure::run(error).warn();
    }
    Ok(exit_code(attended.code(ended.code)))
}

/// Stays until a further process in a container has ended.
pub(crate) fn run_exec(
    mut started: Started,
    signals: &Signals,
    interactive: bool,
) -> Result<ExitCode, Failure> {
    let streams = (started.take_terminal(), started.take_pipes());
    let attended = attend(&started, signals, streams, interactive, Until::ProcessEnded)?;
    Ok(exit_code(attended.code(started.wait()?)))
}

/// How attending to a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attendance {
    /// The process has ended.
    Whole,
    /// Nobody reads any more what its terminal shows, so it was killed.
    Unread,
}

impl Attendance {
    /// The exit code after a process that ended with `code`.
    const fn code(self, code: i32) -> i32 {
        match self {
            Self::Whole => code,
            Self::Unread => UNREAD,
        }
    }
}

/// Stays until a process of the OCI runtime has ended.
pub(crate) fn run_plain(mut plain: Plain, signals: &Signals) -> Result<ExitCode, Failure> {
    let streams = (plain.take_terminal(), Pipes::default());
    let attended = attend(&plain, signals, streams, true, Until::ProcessEnded)?;
    let code = plain.process().wait()?;
    Ok(exit_code(attended.code(code)))
}

/// Passes on what is typed, shown and signalled. A process that cannot be attended is killed.
fn attend(
    process: &dyn Attached,
    signals: &Signals,
    (terminal, pipes): (Option<OwnedFd>, Pipes),
    interactive: bool,
    until: Until,
) -> Result<Attendance, Failure> {
    let attended = match terminal {
        Some(master) => attach::relay(process, signals, master, interactive),
        None => Copies::start(pipes).and_then(|mut copies| {
            attach::pass_signals(process, signals, &mut copies)?;
            copies.finish(until)
        }),
    };
    let Err(error) = attended else { return Ok(Attendance::Whole) };
    process.signal(9);
    match error.kind() {
        // What a terminal shows is all that is written here and not by a thread of its own.
        io::ErrorKind::BrokenPipe => Ok(Attendance::Unread),
        _ => Err(Failure::terminal(&error)),
    }
}

/// The exit code of a process as one of ours.
pub(crate) fn exit_code(code: i32) -> ExitCode {
    // wait(2) gives eight bits, and signals are below 65.
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

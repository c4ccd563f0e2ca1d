//! A program in a jail.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::ExitCode;

use creel_sandbox::jail::code;
use creel_sandbox::jail::line::{self, Host, Request};
use creel_sandbox::jail::{Jail, Started};
use creel_sandbox::policy::bpf::arch::Arch;
use creel_sandbox::policy::bpf::call::Call;
use creel_sandbox::policy::{Files, Found, Meaning};
use creel_sandbox::{Signals, close_all_but, effective_capabilities, ids, join_group};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Access, access};

use super::policy::files::Disk;
use crate::failure::Failure;
use crate::output;

const HELP: &str = include_str!("help.txt");
/// `CAP_SETGID` as a bit.
const CAP_SETGID: u64 = 1 << 6;
/// The most that a configuration file, a list of accounts or a program of filters may have.
const MAX_BYTES: u64 = 16 << 20;
/// Signals that are passed on: all that can be, but those that are the parent's own.
const PASSED: [i32; 24] =
    [1, 2, 3, 5, 10, 12, 13, 14, 15, 16, 18, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 34, 35];

/// Runs what a command line of minijail0 asks for.
pub(crate) fn run(argv: &[String]) -> Result<ExitCode, Failure> {
    let request = line::read(argv, &mut Here).map_err(|error| {
        let code = error.exit_code();
        Failure::from(error).with_code(code)
    })?;
    match request {
        Request::Help => output::text(HELP).map(|()| ExitCode::SUCCESS),
        Request::Calls => output::text(&calls()).map(|()| ExitCode::SUCCESS),
        Request::Config { path, text } => {
            let written =
                File::create_new(&path).and_then(|mut file| file.write_all(text.as_bytes()));
            written.map_err(|error| setup(&error).with_code(code::USAGE))?;
            Ok(ExitCode::SUCCESS)
        }
        Request::Run(jail, remarks) => {
            for remark in remarks {
                Failure::remark(&remark.to_string());
            }
            start(&jail)
        }
    }
}

fn start(jail: &Jail) -> Result<ExitCode, Failure> {
    close_all_but(&jail.preserved).map_err(|error| setup(&error))?;
    // So that this process and the program can be ended together; that is refused to a leader.
    let _ = join_group();
    let signals = match jail.keeps_signals || jail.background {
        true => None,
        false => Some(Signals::gather(&PASSED).map_err(|error| setup(&error))?),
    };
    let started = jail.start().map_err(|error| {
        let code = error.exit_code();
        Failure::from(error).with_code(code)
    })?;
    if jail.background {
        return Ok(ExitCode::SUCCESS);
    }
    let ended = signals.map_or(Ok(()), |signals| pass_on(&started, &signals));
    let code = ended.and_then(|()| started.wait()).map_err(|error| setup(&error))?;
    if code == code::FILTER {
        Failure::remark("the program made a system call that its policy does not allow");
    }
    Ok(ExitCode::from(code))
}

/// Until the program has ended.
fn pass_on(started: &Started, signals: &Signals) -> io::Result<()> {
    loop {
        let mut polled = [
            PollFd::from_borrowed_fd(started.pidfd().as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(signals.as_fd(), PollFlags::IN),
        ];
        match poll(&mut polled, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [ended, _] = polled.map(|one| !one.revents().is_empty());
        if ended {
            return Ok(());
        }
        while let Some(number) = signals.next()? {
            // It may just have ended.
            let _ = started.signal(number);
        }
    }
}

fn setup(error: &io::Error) -> Failure {
    Failure::new(&format!("cannot prepare the jail: {error}")).with_code(code::SETUP)
}

fn calls() -> String {
    let Some(arch) = Arch::native() else { return String::new() };
    let number = |call: Call| Some((call.number(arch)?, call.name()));
    let mut calls: Vec<_> = Call::all().filter_map(number).collect();
    calls.sort_unstable();
    let lines = calls.iter().map(|(number, name)| format!("  {name} [{number}]\n"));
    let lines: String = lines.collect();
    format!("Usage: minijail0 -S POLICY PROGRAM [ARGUMENT...]\n\nSystem calls:\n{lines}")
}

/// This machine.
struct Here;

impl Files for Here {
    fn read(&mut self, from: &str, path: &str) -> io::Result<Found> {
        Disk(Meaning::Launcher).read(from, path)
    }
}

impl Host for Here {
    fn bytes(&mut self, path: &str, most: Option<usize>) -> io::Result<Vec<u8>> {
        let file = File::options().read(true).open(path)?;
        let most = most.and_then(|most| u64::try_from(most).ok()).unwrap_or(MAX_BYTES);
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn exists(&mut self, path: &str) -> bool {
        Path::new(path).exists()
    }

    fn is_executable(&mut self, path: &Path) -> bool {
        access(path, Access::EXEC_OK).is_ok()
    }

    fn ids(&mut self) -> [u32; 2] {
        ids()
    }

    fn sets_groups(&mut self) -> bool {
        effective_capabilities().is_ok_and(|bits| bits & CAP_SETGID != 0)
    }

    fn environment(&mut self) -> Vec<String> {
        let line = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
            Some(format!("{name}={value}"))
        };
        std::env::vars_os().filter_map(line).collect()
    }
}

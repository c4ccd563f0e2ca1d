//! From a jail to a process.

use std::fs;
use std::io;

use creel_sys::program::{Completed, Failure, Moment, Running, complete, nobody, raise_limit};
use rustix::termios::isatty;

use super::error::JailError;
use super::lower::{self, Caller, Name, Script};
use super::{First, Jail, code};

const SIGKILL: i32 = 9;
const SIGSYS: i32 = 31;

/// A jail whose program is executed.
#[derive(Debug)]
pub struct Started {
    running: Running,
}

impl Jail {
    /// Runs the program.
    ///
    /// # Errors
    /// Names what failed; no process remains then.
    pub fn start(&self) -> Result<Started, JailError> {
        let terminals = [isatty(io::stdin()), isatty(io::stdout()), isatty(io::stderr())];
        let has_terminal = terminals.contains(&true);
        let script = lower::lower(self, &Caller { has_terminal })?;
        let mut written = Ok(());
        let mut attend = |pid, moment| match moment {
            Moment::Begun => self.attend(pid, &mut written),
            _ => Ok(()),
        };
        let started = script.program.start_attended(script.flags, None, &mut attend, &mut nobody);
        written?;
        match started {
            Ok(running) => self.complete(running),
            Err(failure) => Err(self.explain(&script, failure)),
        }
    }

    /// Behind a first process of its own that one completes the program.
    fn complete(&self, running: Running) -> Result<Started, JailError> {
        let calls = lower::late_calls(self);
        let behind = self.namespaces.pid && self.first == First::Reaper;
        if behind || calls.is_empty() {
            return Ok(Started { running });
        }
        match complete(running.pid, &calls) {
            Ok(Completed::Done | Completed::Ended) => Ok(Started { running }),
            Err(source) => {
                let _ = running.kill(SIGKILL);
                let _ = running.wait();
                Err(JailError::Step { step: "complete the program", source })
            }
        }
    }

    /// What the process cannot do itself, in minijail's order.
    fn attend(&self, pid: i32, written: &mut Result<(), JailError>) -> io::Result<()> {
        if let Some(path) = &self.pid_file
            && let Err(source) = fs::write(path, format!("{pid}\n"))
        {
            let kind = source.kind();
            *written = Err(JailError::PidFile { path: path.display().to_string(), source });
            return Err(kind.into());
        }
        for (resource, values) in &self.limits {
            raise_limit(pid, *resource, *values)?;
        }
        let write = |name: &str, text: &str| fs::write(format!("/proc/{pid}/{name}"), text);
        if let Some(map) = &self.uid_map {
            write("uid_map", map)?;
        }
        if let Some(map) = &self.gid_map {
            if self.denies_setgroups {
                write("setgroups", "deny")?;
            }
            write("gid_map", map)?;
        }
        Ok(())
    }

    fn explain(&self, script: &Script, failure: Failure) -> JailError {
        let Failure::Child(index, source) = failure else {
            return JailError::Start(failure.into_source());
        };
        match script.names.get(index) {
            Some(Name::Fixed(step)) => JailError::Step { step, source },
            Some(Name::Mount(index)) => {
                let target = self.mounts.get(*index).map(|mount| mount.target.clone());
                JailError::Mount { target: target.unwrap_or_default(), source }
            }
            Some(Name::Execute) => {
                let program = self.argv.first().cloned().unwrap_or_default();
                JailError::Execute { program, source }
            }
            None => JailError::Step { step: "arrange descriptors", source },
        }
    }
}

impl Started {
    /// The process id.
    #[must_use]
    pub const fn pid(&self) -> i32 {
        self.running.pid
    }

    /// Sends a signal to the process.
    ///
    /// # Errors
    /// Fails as `pidfd_send_signal` does.
    pub fn signal(&self, number: i32) -> io::Result<()> {
        self.running.kill(number)
    }

    /// What there is to poll for the end.
    #[must_use]
    pub const fn pidfd(&self) -> &std::os::fd::OwnedFd {
        &self.running.pidfd
    }

    /// Waits for the end: the exit code that minijail0 would have.
    ///
    /// # Errors
    /// Fails as `waitid` does.
    pub fn wait(&self) -> io::Result<u8> {
        let (ended, signalled) = self.running.wait_status()?;
        Ok(match (signalled, ended) {
            (true, SIGSYS) => code::FILTER,
            (true, signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
            (false, status) => status as u8,
        })
    }
}

//! Running commands, and where things are.

use std::env;
use std::ffi::OsStr;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};

use anyhow::{Context as _, bail};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::interrupt;

/// Returns the root of the repository.
pub(crate) fn repository() -> PathBuf {
    // `cargo run` sets it to xtask/; its parent is the root.
    let manifest = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    manifest.and_then(|dir| dir.parent().map(Path::to_owned)).unwrap_or_else(|| PathBuf::from("."))
}

/// Returns where cargo puts what it builds.
pub(crate) fn target_directory() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from)
}

/// Returns cargo, at the root of the repository.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // What `.cargo/config.toml` sets for this program looks like a change to the one started here,
    // which would compile all C anew.
    command.current_dir(repository()).env_remove("CFLAGS_x86_64_unknown_linux_musl");
    command
}

/// Runs a command with our standard streams and fails unless it succeeds.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = show(command);
    eprintln!("+ {shown}");
    let mut child = command.spawn().with_context(|| format!("cannot start `{shown}`"))?;
    succeeded(&shown, wait(&mut child)?)
}

/// Runs a command and returns what it wrote to standard output; fails unless it succeeds.
pub(crate) fn capture(command: &mut Command) -> anyhow::Result<String> {
    let (text, status) = output(command)?;
    succeeded(&show(command), status)?;
    Ok(text)
}

/// Runs a command and returns what it wrote to standard output, and how it ended.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<(String, ExitStatus)> {
    let shown = show(command);
    // A file and not a pipe: whatever the command leaves running can hold it without us waiting.
    let mut written = tempfile::tempfile()?;
    command.stdout(written.try_clone()?);
    let mut child = command.spawn().with_context(|| format!("cannot start `{shown}`"))?;
    let status = wait(&mut child)?;
    let mut text = String::new();
    written.rewind()?;
    written.read_to_string(&mut text).with_context(|| format!("`{shown}` wrote no text"))?;
    Ok((text, status))
}

/// Waits for a child; an interrupt ends it.
fn wait(child: &mut Child) -> anyhow::Result<ExitStatus> {
    let pid = Pid::from_child(child);
    let ended = pidfd_open(pid, PidfdFlags::empty())?;
    loop {
        match poll(&mut [PollFd::new(&ended, PollFlags::IN)], None) {
            Ok(_) => break,
            Err(Errno::INTR) if interrupt::happened() => {
                // It may be gone: a terminal interrupts all at once.
                let _ = kill_process(pid, Signal::TERM);
                let _ = child.wait();
                break;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    interrupt::check()?;
    Ok(child.wait()?)
}

fn succeeded(shown: &str, status: ExitStatus) -> anyhow::Result<()> {
    if !status.success() {
        bail!("`{shown}` failed: {status}");
    }
    Ok(())
}

/// Tells whether a program can be found on `PATH`.
pub(crate) fn on_path(program: &str) -> bool {
    env::var_os("PATH")
        .is_some_and(|path| env::split_paths(&path).any(|d| d.join(program).is_file()))
}

/// Tells whether this process runs as root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Returns a command as a line of words.
pub(crate) fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    // A script among the arguments is told by its first line.
    let line =
        |word: &OsStr| word.to_string_lossy().trim().lines().next().unwrap_or_default().to_owned();
    words.map(line).collect::<Vec<_>>().join(" ")
}

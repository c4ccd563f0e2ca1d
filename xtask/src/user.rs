//! A throw-away user with subordinate ids, as `useradd` makes any user.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

use crate::run::{capture, run};

/// The user; it goes when this is dropped, and its processes and home with it.
pub(crate) struct User {
    name: String,
    home: PathBuf,
    uid: u32,
    gid: u32,
    /// First subordinate id and their number.
    subordinate: (u32, u32),
}

impl User {
    /// Makes a user whose name starts with `prefix`.
    pub(crate) fn create(prefix: &str, home: &Path) -> anyhow::Result<Self> {
        let name = format!("{prefix}-{}", std::process::id());
        remove_left(&name)?;
        let mut useradd = Command::new("useradd");
        run(useradd.arg("--create-home").arg("--home-dir").arg(home).arg(&name))?;
        let mut user = Self { name, home: home.to_owned(), uid: 0, gid: 0, subordinate: (0, 0) };
        user.uid = user.id("-u")?;
        user.gid = user.id("-g")?;
        user.subordinate = user.subordinate_ids()?;
        Ok(user)
    }

    /// Returns a command that runs as the user, in its home and with a login's environment.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        // Supplementary groups are dropped with the user id.
        command
            .uid(self.uid)
            .gid(self.gid)
            .current_dir(&self.home)
            .env_clear()
            .env("HOME", &self.home)
            .env("USER", &self.name)
            .env("LOGNAME", &self.name)
            .env("LANG", "C.UTF-8")
            .env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command
    }

    pub(crate) const fn uid(&self) -> u32 {
        self.uid
    }

    pub(crate) const fn gid(&self) -> u32 {
        self.gid
    }

    pub(crate) fn home(&self) -> &Path {
        &self.home
    }

    fn id(&self, which: &str) -> anyhow::Result<u32> {
        Ok(capture(Command::new("id").arg(which).arg(&self.name))?.trim().parse()?)
    }

    fn subordinate_ids(&self) -> anyhow::Result<(u32, u32)> {
        let text = fs::read_to_string("/etc/subuid")?;
        let mut lines = text.lines().filter_map(|line| line.strip_prefix(&self.name));
        let range = lines.find_map(|line| line.strip_prefix(':')?.split_once(':'));
        let (first, count) = range.context("useradd has given the user no subordinate ids")?;
        Ok((first.parse()?, count.parse()?))
    }

    fn owns(&self, uid: u32) -> bool {
        let (first, count) = self.subordinate;
        uid == self.uid || (first..first.saturating_add(count)).contains(&uid)
    }

    /// Kills the user's processes until there are none; their parents may be slow to reap them.
    fn end_processes(&self) {
        for _ in 0..200 {
            if self.kill_processes() == 0 {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kills the user's processes and returns how many there were.
    fn kill_processes(&self) -> usize {
        let mut found = 0;
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
            let owned = entry.metadata().is_ok_and(|meta| self.owns(meta.uid()));
            if let Some(pid) = pid.and_then(Pid::from_raw).filter(|_| owned && self.uid != 0) {
                let _ = kill_process(pid, Signal::KILL);
                found += 1;
            }
        }
        found
    }
}

/// Removes the user of a run that was killed: in a PID namespace of its own the next one has the same
/// process id, and so the same name.
fn remove_left(name: &str) -> anyhow::Result<()> {
    let known = fs::read_to_string("/etc/passwd")?;
    if known.lines().any(|line| line.split(':').next() == Some(name)) {
        run(Command::new("userdel").arg("--force").arg(name))?;
    }
    Ok(())
}

impl Drop for User {
    fn drop(&mut self) {
        self.end_processes();
        // Its home is not asked of userdel, which refuses a home below a directory of others.
        let removed = Command::new("userdel").arg("--force").arg(&self.name).status();
        if !removed.is_ok_and(|status| status.success()) {
            eprintln!("x: cannot remove the user `{}`", self.name);
        }
    }
}

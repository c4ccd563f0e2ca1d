//! The tools creel is measured against, in a root directory of their own.
//!
//! `./x peers` makes the root from Debian sid; `./x test` tells the tests where it is. A
//! [`Session`] is a mount and a pid namespace there: when it is dropped, whatever runs in it is
//! killed and whatever is mounted in it goes.

use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};

/// Environment variable with the path of the root.
pub const ROOT: &str = "CREEL_PEERS";

/// Where programs are looked for in the root.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Enters the root. cgroup2 under `unified` makes the peers take a version 1 host for a hybrid one
/// and fail, so it goes. `cat` ends when whoever holds the other end of its input does.
const ENTER: &str = r#"
set -e
root=$1; shift
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
for d in sys dev "$@"; do
  mkdir -p "$root/$d"
  mount --rbind "/$d" "$root/$d"
done
if mountpoint -q "$root/sys/fs/cgroup/unified"; then umount -l "$root/sys/fs/cgroup/unified"; fi
cp /etc/hosts /etc/resolv.conf "$root/etc/"
mkdir -p "$root/.host"
cd "$root"
pivot_root . .host
umount -l /.host
cd /
# As systemd has it; rootless podman expects it. Only this namespace is in the peer group.
mount --make-rshared /
echo ready
exec tini -s -- cat
"#;

/// The root.
#[derive(Clone, Debug)]
pub struct Peers {
    root: PathBuf,
}

impl Peers {
    /// Takes a root that `./x peers` has made.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Finds the root by the environment.
    ///
    /// # Errors
    ///
    /// When it is not said where the root is: a test that needs it cannot be passed without.
    pub fn from_env() -> io::Result<Self> {
        let root = std::env::var_os(ROOT).ok_or_else(|| {
            let words =
                "run it by `./x test --tier peers`, or make the root by `./x peers` and set";
            io::Error::other(format!("this test needs other container tools: {words} {ROOT}"))
        })?;
        Ok(Self::new(root))
    }

    /// Enters the root with directories of the host's shared under their own paths.
    ///
    /// # Errors
    ///
    /// When the namespaces or the mounts cannot be made, which needs root.
    pub fn enter(&self, shared: &[&Path]) -> io::Result<Session> {
        let mut holder = Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--propagation", "private", "--"])
            .args(["sh", "-c", ENTER, "enter"])
            .arg(&self.root)
            .args(shared)
            .env("PATH", PATH)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = holder.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let session = Session { input: holder.stdin.take(), holder };
        if line != "ready\n" {
            let root = self.root.display();
            return Err(io::Error::other(format!("cannot enter the root with the peers `{root}`")));
        }
        Ok(session)
    }
}

/// Processes and mounts among the peers.
#[derive(Debug)]
pub struct Session {
    holder: Child,
    input: Option<ChildStdin>,
}

impl Session {
    /// Returns a command that runs among the peers as root, from their root directory and without
    /// this process's environment.
    pub fn command<S: AsRef<std::ffi::OsStr>>(&self, words: &[S]) -> Command {
        let namespaces = format!("/proc/{}/ns", self.holder.id());
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--mount={namespaces}/mnt"))
            .arg(format!("--pid={namespaces}/pid_for_children"))
            .arg("--")
            .args(words)
            .env_clear()
            .envs([("PATH", PATH), ("HOME", "/root"), ("LANG", "C.UTF-8")]);
        command
    }

    /// Runs a command among the peers and returns what it wrote to standard output.
    ///
    /// # Errors
    ///
    /// When it fails; the error has what it wrote to standard error.
    pub fn run<S: AsRef<std::ffi::OsStr>>(&self, words: &[S]) -> io::Result<String> {
        let Output { status, stdout, stderr } = self.command(words).output()?;
        if !status.success() {
            let shown: Vec<_> = words.iter().map(|word| word.as_ref().to_string_lossy()).collect();
            let stderr = String::from_utf8_lossy(&stderr);
            let words = format!("`{}` failed: {status}: {stderr}", shown.join(" "));
            return Err(io::Error::other(words));
        }
        String::from_utf8(stdout).map_err(io::Error::other)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // End of input ends the namespace's first process, and the kernel kills all others with it.
        drop(self.input.take());
        let _ = self.holder.wait();
    }
}

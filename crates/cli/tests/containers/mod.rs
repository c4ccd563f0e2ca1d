//! Containers as users see them: a store with one busybox image, used as root or as an ordinary user.
#![allow(clippy::unwrap_used, dead_code)] // in the helpers of tests, of which each test uses some

pub(crate) mod processes;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use creel_testkit::busybox;
use tempfile::TempDir;

/// How long anything may take on a machine that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program that is tested is not static, as the one that is built for use: where it is to be a
/// container's init, the libraries of the host are there too.
pub(crate) const INIT: [&str; 7] =
    ["--init", "-v", "/usr/lib:/usr/lib:ro", "-v", "/lib64:/lib64:ro", "-v", "/lib:/lib:ro"];

/// Runs a program that sees the files of the directory `$0` in `/etc` too. A mount on a file there would
/// go when somebody else replaces it.
const SEES: &str = "mount -t overlay -o lowerdir=\"$0\":/etc overlay /etc; exec \"$@\"";

/// Who runs the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Root.
    Root,
    /// A user with subordinate ids.
    User,
    /// A user with one id.
    UserWithOneId,
}

/// A store and a run directory, gone with the value, as is the user they belong to.
pub(crate) struct World {
    directory: TempDir,
    user: Option<String>,
    /// Options of every `run` by [`World::script`].
    pub(crate) options: Vec<String>,
    /// The store's directory.
    pub(crate) store: PathBuf,
    /// A directory whose files the program sees in `/etc`.
    subordinate: Option<PathBuf>,
}

impl World {
    /// Makes a store with the image `box`.
    pub(crate) fn new(who: Who) -> Self {
        let directory = tempfile::Builder::new().prefix("creel-containers").tempdir().unwrap();
        let (options, subordinate) = (Vec::new(), None);
        let store = directory.path().join("store");
        let world = Self { user: user(who), directory, options, store, subordinate };
        std::fs::write(world.path("box.tar"), busybox::layer().unwrap()).unwrap();
        // Where a user can execute it.
        std::fs::copy(env!("CARGO_BIN_EXE_creel"), world.path("creel")).unwrap();
        sh(&format!("chmod 755 {0} {0}/creel", world.directory.path().display()));
        if let Some(user) = &world.user {
            sh(&format!("chown {user} {}", world.directory.path().display()));
        }
        world.import();
        world
    }

    /// Puts the image `box` into the store.
    pub(crate) fn import(&self) {
        let archive = self.path("box.tar");
        self.runs(&["import", "-c", "ENV PATH=/bin", archive.to_str().unwrap(), "box"]);
    }

    /// A path that the program's user can reach.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Where the files of runs are.
    pub(crate) fn runs_directory(&self) -> PathBuf {
        use std::os::unix::fs::MetadataExt as _;
        let store = std::fs::metadata(self.store.join("containers")).unwrap();
        self.path("run/containers").join(format!("{:x}-{:x}", store.dev(), store.ino()))
    }

    /// Makes a file the world's user's own.
    pub(crate) fn own(&self, name: &str) {
        if let Some(user) = &self.user {
            sh(&format!("chown {user} {}", self.path(name).display()));
        }
    }

    /// Writes a file and returns its path.
    pub(crate) fn file(&self, name: &str, content: &str) -> String {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Lets the program see these lines as the host's subordinate ids, and nobody else.
    pub(crate) fn give_ids(&mut self, lines: &str) {
        let directory = self.path("subordinate");
        std::fs::create_dir_all(&directory).unwrap();
        for name in ["subuid", "subgid"] {
            std::fs::write(directory.join(name), lines).unwrap();
        }
        self.subordinate = Some(directory);
    }

    /// The program with arguments, in the world's directory.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let program = self.path("creel");
        let mut command = match (&self.user, &self.subordinate) {
            (None, None) => Command::new(program),
            (None, Some(ids)) => {
                let mut command = Command::new("unshare");
                command.args(["--mount", "--propagation", "slave", "sh", "-ec", SEES]);
                command.arg(ids).arg(program);
                command
            }
            (Some(user), _) => {
                let mut command = Command::new("setpriv");
                let ids = [format!("--reuid={user}"), format!("--regid={user}")];
                command.args(ids).arg("--init-groups").arg(program);
                command
            }
        };
        command.args(arguments).current_dir(self.directory.path()).env_clear();
        command.env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin").env("HOME", self.directory.path());
        command.env("CREEL_STORE", &self.store).env("CREEL_RUN_DIR", self.path("run"));
        command
    }

    /// Runs the program: its exit code, and what it said on standard output and error.
    pub(crate) fn result(&self, arguments: &[&str]) -> (i32, String, String) {
        result(self.command(arguments).stdin(Stdio::null()).output().unwrap())
    }

    /// Runs the program, which must succeed, and returns its output.
    pub(crate) fn runs(&self, arguments: &[&str]) -> String {
        let (code, said, error) = self.result(arguments);
        assert_eq!(code, 0, "{arguments:?}: {error}");
        said
    }

    /// Runs the program, which must refuse with these words among others, and a hint.
    pub(crate) fn refuses(&self, arguments: &[&str], words: &[&str]) {
        let (code, _, error) = self.result(arguments);
        assert_eq!(code, 125, "{arguments:?}: {error}");
        for word in words {
            assert!(error.contains(word), "{arguments:?}: `{word}` is not in: {error}");
        }
    }

    /// `run --rm OPTIONS box sh -c SCRIPT`: the code, output and errors together, trimmed.
    pub(crate) fn script(&self, options: &[&str], script: &str) -> (i32, String) {
        let own: Vec<&str> = self.options.iter().map(String::as_str).collect();
        let arguments = [&["run", "--rm"], &own[..], options, &["box", "sh", "-c", script]];
        let (code, said, error) = self.result(&arguments.concat());
        (code, (said + &error).trim_end().to_owned())
    }

    /// Runs a script that must succeed and print exactly this.
    pub(crate) fn prints(&self, options: &[&str], script: &str, expected: &str) {
        assert_eq!(self.script(options, script), (0, expected.to_owned()), "{options:?} {script}");
    }

    /// Starts a container that says `ready` and goes on, and waits for that.
    pub(crate) fn background(&self, arguments: &[&str]) -> Background {
        use std::io::BufRead as _;
        let mut command = self.command(arguments);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "{arguments:?}");
        Background { child, output }
    }

    /// The ids of all containers.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.runs(&["ps", "-aq"]).lines().map(str::to_owned).collect()
    }

    /// Asserts that no run has left anything: no container, no file of a run, no control group.
    pub(crate) fn is_clean(&self) {
        assert_eq!(self.ids(), Vec::<String>::new());
        let mut left = names(&self.runs_directory());
        left.retain(|name| name != "swept");
        assert_eq!(left, Vec::<String>::new());
        let mut left = names(&self.store.join("containers"));
        left.retain(|name| !["names", "sweep.lock", "ids.lock"].contains(&name.as_str()));
        assert_eq!(left, Vec::<String>::new());
        assert_eq!(names(&self.store.join("containers/names")), Vec::<String>::new());
        // The shared trees are all that may show in the host's mount table.
        let trees = self.path("run/trees").to_str().unwrap().to_owned();
        let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let own = self.directory.path().to_str().unwrap();
        for line in table.lines().filter(|line| line.contains(own)) {
            assert!(line.contains(&trees) && !line.contains(" overlay "), "{line}");
        }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let trees = self.path("run/trees");
        let unmount = format!("umount -q {0}/* || true; umount -q {0} || true", trees.display());
        let _ = Command::new("sh").args(["-c", &unmount]).stderr(Stdio::null()).status();
        // A user's subordinate ids own some of it.
        let _ = Command::new("rm").arg("-rf").arg(self.directory.path()).status();
        if let Some(user) = &self.user {
            let _ = Command::new("userdel").args(["-r", user]).stderr(Stdio::null()).status();
        }
    }
}

/// A `creel` that goes on.
pub(crate) struct Background {
    pub(crate) child: std::process::Child,
    output: std::io::BufReader<std::process::ChildStdout>,
}

impl Background {
    /// Sends a signal to the program.
    pub(crate) fn signal(&self, name: &str) {
        sh(&format!("kill -{name} {}", self.child.id()));
    }

    /// How the program stands, as a letter of `proc_pid_stat(5)`.
    pub(crate) fn state(&self) -> char {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        stat.rsplit(") ").next().unwrap().chars().next().unwrap()
    }

    /// Waits for the end: the exit code, or none after a signal, and what was said after `ready`.
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        std::io::Read::read_to_string(&mut self.output, &mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

/// A test that fails leaves no container behind, which would keep the test's own output open.
impl Drop for Background {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.signal("TERM");
        }
    }
}

/// Makes an ordinary user; another process may hold the lock of the files of users for a while.
fn user(who: Who) -> Option<String> {
    let none: &[&str] = match who {
        Who::Root => return None,
        Who::User => &[],
        Who::UserWithOneId => &["-K", "SUB_UID_COUNT=0", "-K", "SUB_GID_COUNT=0"],
    };
    let name = format!("creel-ct-{}", std::process::id());
    until("useradd", || {
        let _ = Command::new("userdel").args(["-r", &name]).output();
        let made = Command::new("useradd").arg("-m").args(none).arg(&name).output().unwrap();
        made.status.success()
    });
    Some(name)
}

/// Waits until something is so.
pub(crate) fn until(what: &str, so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < deadline, "{what}");
        sleep(Duration::from_millis(20));
    }
}

pub(crate) fn sh(command: &str) {
    assert!(Command::new("sh").args(["-ec", command]).status().unwrap().success(), "{command}");
}

pub(crate) fn result(output: Output) -> (i32, String, String) {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

//! A directory of which scripts start sandboxes.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// An id that owns nothing.
const USER: u32 = 64_321;

/// Who starts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Root,
    User,
}

pub(crate) const ALL: [Who; 2] = [Who::Root, Who::User];

/// The programs of the host, without anything else of it.
const HOST: &str = "--ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/sbin /sbin \
                    --symlink usr/lib /lib --symlink usr/lib64 /lib64 --chdir /";

pub(crate) struct World {
    who: Who,
    directory: tempfile::TempDir,
}

impl World {
    pub(crate) fn new(who: Who) -> Self {
        // Not below a directory that a user cannot enter, nor where a script looks for its own.
        let directory = tempfile::Builder::new().prefix("sandbox").tempdir_in("/var/tmp").unwrap();
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(directory.path(), open).unwrap();
        symlink(env!("CARGO_BIN_EXE_creel"), directory.path().join("bwrap")).unwrap();
        symlink(env!("CARGO_BIN_EXE_creel"), directory.path().join("creel")).unwrap();
        Self { who, directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes a script's process: `$B` starts a sandbox with the host's programs as `bwrap`, `$C` the same
    /// as `creel sandbox`, `$D` is this directory.
    pub(crate) fn command(&self, script: &str) -> Command {
        let directory = self.directory.path();
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(directory);
        let call = |words: &str| format!("{}/{words}", directory.display());
        command.env("B", call(&format!("bwrap {HOST}")));
        command.env("C", call(&format!("creel sandbox {HOST}")));
        command.env("D", directory).env("HOME", directory).env_remove("PWD");
        if self.who == Who::User {
            command.uid(USER).gid(USER);
        }
        command
    }

    pub(crate) fn run(&self, script: &str) -> Output {
        self.command(script).output().unwrap()
    }

    /// What a script that succeeds prints.
    pub(crate) fn prints(&self, script: &str) -> String {
        let output = self.run(script);
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?}: {script}\n{words}", self.who);
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// What a script that fails says.
    pub(crate) fn fails(&self, script: &str, code: i32) -> String {
        let output = self.run(script);
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{:?}: {script}\n{words}", self.who);
        words
    }
}

/// Does the same as root and as a user.
pub(crate) fn everywhere(test: impl Fn(&World)) {
    for who in ALL {
        test(&World::new(who));
    }
}

/// What is in a file; nothing if it is not there.
pub(crate) fn text(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

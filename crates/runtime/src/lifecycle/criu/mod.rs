//! Checkpoints of containers, made and restored by CRIU, which is another program.
//!
//! Source: criu(8) of CRIU 4.2.

mod checkpoint;
mod images;
mod restore;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use creel_base::hint::Hint;

pub use checkpoint::{After, Checkpoint};
pub use restore::Restore;

/// Why CRIU did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum CriuError {
    /// It cannot be executed.
    #[error("cannot execute `{}`, by which containers are checkpointed and restored", program.display())]
    Execute {
        /// The program.
        program: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// It failed.
    #[error("`criu {action}` failed: {reason} (see `{}`)", log.display())]
    Failed {
        /// What it was to do.
        action: &'static str,
        /// What it says.
        reason: String,
        /// Its log.
        log: PathBuf,
    },
    /// A directory or file of the checkpoint cannot be used.
    #[error("cannot use `{}`", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// It is not a checkpoint of this program's.
    #[error("`{}` is not the description of a checkpoint", path.display())]
    Description {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A terminal ends outside of the container.
    #[error("a container with a terminal cannot be checkpointed or restored")]
    Terminal,
}

impl Hint for CriuError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Execute { .. } => Some(
                "install CRIU, of version 4.1 or later on new kernels, or name it by `--criu`"
                    .into(),
            ),
            Self::Failed { .. } => Some("run `criu check` to see what the kernel lacks".into()),
            Self::Description { .. } => Some("take a checkpoint by `creel oci checkpoint`".into()),
            Self::Path { .. } | Self::Terminal => None,
        }
    }
}

/// What is the same for making and restoring a checkpoint.
#[derive(Clone, Debug)]
pub struct Criu {
    /// The program, looked for as `execvp(3)` does.
    pub program: PathBuf,
    /// The directory of the images.
    pub images: PathBuf,
    /// That of logs and the like, if not that.
    pub work: Option<PathBuf>,
    /// Its options by name, without dashes, each with its value if it has one.
    pub options: Vec<(&'static str, Option<OsString>)>,
}

impl Criu {
    fn work(&self) -> &Path {
        self.work.as_deref().unwrap_or(&self.images)
    }

    /// Runs it; `arguments` come before the options.
    fn run(&self, action: &'static str, arguments: &[OsString]) -> Result<(), CriuError> {
        let log = self.work().join(format!("{action}.log"));
        let mut command = Command::new(&self.program);
        command.arg(action).arg("-D").arg(&self.images).arg("-W").arg(self.work());
        command.arg("-o").arg(log.file_name().unwrap_or_default()).arg("-v4").args(arguments);
        for (name, value) in &self.options {
            command.arg(format!("--{name}"));
            command.args(value);
        }
        let status = command.status();
        let execute = |source| CriuError::Execute { program: self.program.clone(), source };
        match status.map_err(execute)? {
            status if status.success() => Ok(()),
            status => {
                let reason = reason(&log).unwrap_or_else(|| status.to_string());
                Err(CriuError::Failed { action, reason, log })
            }
        }
    }
}

/// The last error of a log but one that only says that it failed.
fn reason(log: &Path) -> Option<String> {
    /// As much of a log as is looked at.
    const MAX: usize = 4 << 20;
    let text = fs::read(log).ok()?;
    let text = String::from_utf8_lossy(text.get(..MAX).unwrap_or(&text)).into_owned();
    let error = |line: &str| {
        let (_, rest) = line.split_once("Error (")?;
        let (_, words) = rest.split_once("): ")?;
        // Tools that it tries and does without, and how it ends.
        let noise = ["execvp(", "exited, status", "rlimit:", "FAILED.", "cgroupd:"];
        let noisy = words.contains(" -V failed") || noise.iter().any(|word| words.contains(word));
        (!noisy).then(|| words.trim().to_owned())
    };
    text.lines().filter_map(error).next_back()
}

/// An option whose value is part of the same word, as `--external` has them.
fn pair(key: impl AsRef<OsStr>, value: &str) -> OsString {
    let mut word = key.as_ref().to_owned();
    word.push(":");
    word.push(value);
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_last_error_that_says_something() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "(00.1) Error (criu/mount.c:1): mnt: doesn't have a proper root mount\n\
                    (00.2) Error (criu/util.c:642): execvp(\"iptables\", ...) failed\n\
                    (00.3) Error (criu/cr-dump.c:1975): Dumping FAILED.\n";
        fs::write(file.path(), text).unwrap();
        let found = reason(file.path());
        assert_eq!(found.as_deref(), Some("mnt: doesn't have a proper root mount"));
        fs::write(file.path(), "all well\n").unwrap();
        assert_eq!(reason(file.path()), None);
    }

    #[test]
    fn a_program_that_is_missing_is_told() {
        let images = PathBuf::from("/none");
        let criu = Criu { program: "creel-none".into(), images, work: None, options: Vec::new() };
        let error = criu.run("dump", &[]).unwrap_err();
        assert!(error.to_string().contains("cannot execute `creel-none`"), "{error}");
        assert!(error.hint().unwrap().contains("--criu"));
    }
}

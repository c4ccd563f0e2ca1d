//! What can go wrong with a jail.

use std::io;

use creel_base::hint::Hint;
use creel_codec::bpf::compile::CompileError;

use super::code;
use crate::policy::PolicyError;

/// Why a command line asks for no jail that can be.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the words say it")]
pub enum LineError {
    #[error("there is no option `{option}`")]
    Unknown { option: String },
    #[error("`{option}` is the beginning of more than one option")]
    Unclear { option: String },
    #[error("`{option}` needs a value")]
    Missing { option: String },
    #[error("`{option}` takes no value")]
    Surplus { option: String },
    #[error("`{value}` is no value of `{option}`: expected {expected}")]
    Value { option: String, value: String, expected: &'static str },
    #[error("`{option}` is given twice")]
    Twice { option: String },
    #[error("`{one}` and `{other}` cannot go together")]
    Together { one: String, other: String },
    #[error("`{option}` has no effect without {needed}")]
    Alone { option: &'static str, needed: &'static str },
    #[error("there is no {kind} `{name}`")]
    Account { kind: &'static str, name: String },
    #[error("a change to {kind} 0 is none")]
    Root { kind: &'static str },
    #[error("line {line} of `{path}` is no line of a configuration file")]
    Config { path: String, line: usize },
    #[error("`{path}` cannot be read")]
    Read { path: String, source: io::Error },
    #[error("`{path}` exists already")]
    Exists { path: String },
    #[error("the policy `{path}` cannot be read")]
    NoPolicy { path: String, source: io::Error },
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error("the policy `{path}` cannot be compiled")]
    Compile { path: String, source: CompileError },
    #[error("`{path}` is no program of the kernel's filters")]
    Program { path: String },
    #[error("`{option}` is not available here")]
    Unavailable { option: String },
    #[error("no program is named")]
    NoProgram,
    #[error("the program `{path}` cannot be executed or is not there")]
    Inaccessible { path: String },
    #[error("`{path}` is no program of this machine")]
    NoElf { path: String },
    #[error("a statically linked program keeps capabilities (`-c`) only as ambient ones")]
    StaticCapabilities,
    #[error("this machine has none of the architectures that policies are for")]
    Machine,
}

impl LineError {
    /// What minijail0 ends with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Root { .. }
            | Self::Policy(_)
            | Self::NoPolicy { .. }
            | Self::Compile { .. }
            | Self::Alone { option: "-G", .. } => code::SETUP,
            _ => code::USAGE,
        }
    }
}

impl Hint for LineError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Policy(error) => return error.hint(),
            Self::Compile { source, .. } => return source.hint(),
            Self::Unknown { .. } | Self::Unclear { .. } | Self::NoProgram => {
                "run `creel jail --help` or `minijail0 -h` for the options"
            }
            Self::Config { .. } => {
                "begin with `% minijail-config-file v0`, then write `OPTION` or `OPTION = VALUE`, long \
                 names only"
            }
            Self::Inaccessible { .. } => "name it by its path: `PATH` is not searched",
            Self::StaticCapabilities => "add `--ambient`",
            Self::Program { .. } => "make one with `creel jail policy compile`",
            Self::Root { .. } => "leave the option out",
            _ => return None,
        };
        Some(hint.to_owned())
    }
}

/// Why a jail was not made.
#[derive(Debug, thiserror::Error)]
pub enum JailError {
    /// A path or an argument with a NUL byte in it.
    #[error("a path or an argument has a NUL byte in it")]
    Nul(#[from] std::ffi::NulError),
    /// A namespace that was to be entered cannot be opened.
    #[error("the namespace `{path}` cannot be opened")]
    Join {
        /// Its file.
        path: String,
        /// Why.
        source: io::Error,
    },
    /// A mount with flags that are not supported.
    #[error("the mount on `{target}` has flags (`{flags:#x}`) that cannot be had here")]
    Flags {
        /// Where.
        target: String,
        /// Which.
        flags: u64,
    },
    /// The process could not be started.
    #[error("the process cannot be started")]
    Start(#[source] io::Error),
    /// A mount failed.
    #[error("cannot mount on `{target}`")]
    Mount {
        /// Where.
        target: String,
        /// Why.
        source: io::Error,
    },
    /// Another step failed.
    #[error("cannot {step}")]
    Step {
        /// In words that follow "cannot".
        step: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The program could not be executed.
    #[error("cannot execute `{program}`")]
    Execute {
        /// Its path.
        program: String,
        /// Why.
        source: io::Error,
    },
    /// The process id could not be written.
    #[error("cannot write the process id to `{path}`")]
    PidFile {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
}

const ENOENT: i32 = 2;
const EPERM: i32 = 1;

impl JailError {
    /// What minijail0 ends with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Mount { .. } => code::MOUNT,
            Self::Execute { source, .. } if source.raw_os_error() == Some(ENOENT) => {
                code::NOT_FOUND
            }
            Self::Execute { .. } => code::NOT_EXECUTABLE,
            _ => code::SETUP,
        }
    }
}

impl Hint for JailError {
    fn hint(&self) -> Option<String> {
        let refused = |source: &io::Error| source.raw_os_error() == Some(EPERM);
        match self {
            Self::Start(source) | Self::Step { source, .. } | Self::Mount { source, .. }
                if refused(source) =>
            {
                Some("run it as root, or add `-m -M` for a user namespace; `creel doctor` says what this \
                      host allows"
                    .into())
            }
            _ => None,
        }
    }
}

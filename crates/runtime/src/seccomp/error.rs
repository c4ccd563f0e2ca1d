//! Why a profile has no filter.

use creel_base::hint::Hint;
use creel_codec::bpf::compile::CompileError;
use creel_codec::bpf::profile::ProfileError;

use super::names;

/// Why a profile has no filter; `field` is the path of a property in `config.json`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SeccompError {
    /// libseccomp has no action of this name.
    #[error("`{field}` is `{value}`, which is not an action")]
    Action {
        /// The property.
        field: String,
        /// What it holds.
        value: String,
    },
    /// An action takes no such number.
    #[error("`{field}` is `{value}`, which is above `{most}`")]
    Errno {
        /// The property.
        field: String,
        /// What it holds.
        value: u32,
        /// The most that the action takes.
        most: u16,
    },
    /// An action has no number to return.
    #[error("`{field}` is `{value}`, and `{action}` returns no error number")]
    NoErrno {
        /// The property.
        field: String,
        /// What it holds.
        value: u32,
        /// The action.
        action: String,
    },
    /// A rule is about nothing.
    #[error("`{field}` names no system call")]
    NoName {
        /// The property.
        field: String,
    },
    /// A call has six arguments.
    #[error("`{field}` is `{value}`, and system calls have six arguments")]
    Index {
        /// The property.
        field: String,
        /// What it holds.
        value: u32,
    },
    /// libseccomp has no comparison of this name.
    #[error("`{field}` is `{value}`, which is not a comparison")]
    Comparison {
        /// The property.
        field: String,
        /// What it holds.
        value: String,
    },
    /// A rule has more conditions than any kernel takes.
    #[error("`{field}` has `{count}` conditions, more than `{most}`")]
    Conditions {
        /// The property.
        field: String,
        /// How many.
        count: usize,
        /// How many there may be.
        most: usize,
    },
    /// libseccomp has no architecture of this name.
    #[error("`{field}` is `{value}`, which is not an architecture")]
    Architecture {
        /// The property.
        field: String,
        /// What it holds.
        value: String,
    },
    /// The specification has no flag of this name.
    #[error("`{field}` is `{value}`, which is not a flag of a filter")]
    Flag {
        /// The property.
        field: String,
        /// What it holds.
        value: String,
    },
    /// Two rules do different things under the same conditions.
    #[error(
        "`linux.seccomp.syscalls[{second}]` contradicts `linux.seccomp.syscalls[{first}]` about \
         `{name}`"
    )]
    Contradiction {
        /// The earlier rule.
        first: usize,
        /// The later rule.
        second: usize,
        /// The system call.
        name: String,
    },
    /// Nobody is there to be asked.
    #[error("the filter asks a supervisor, and `linux.seccomp.listenerPath` is missing")]
    NoListener,
    /// The specification forbids metadata for nobody.
    #[error("`linux.seccomp.listenerMetadata` is set, and `linux.seccomp.listenerPath` is missing")]
    MetadataAlone,
    /// The path is not that of a socket on every machine and from every directory.
    #[error("`linux.seccomp.listenerPath` is `{value}`, which is not an absolute path")]
    ListenerPath {
        /// What it holds.
        value: String,
    },
    /// There are no tables of this machine's system calls.
    #[error("`linux.seccomp` is not supported on `{machine}`")]
    Machine {
        /// Its name.
        machine: &'static str,
    },
    /// The filter that is used where no other is asked for cannot be read.
    #[error("the default filter cannot be read")]
    Default(#[from] ProfileError),
    /// The policy has no program.
    #[error("`linux.seccomp` cannot be compiled")]
    Compile(#[from] CompileError),
}

impl Hint for SeccompError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Action { .. } => names::list("write one of", names::ACTIONS),
            Self::Errno { most, .. } => format!("write a number from 0 to {most}"),
            Self::NoErrno { field, .. } => {
                format!("drop `{field}`, or write `SCMP_ACT_ERRNO` or `SCMP_ACT_TRACE`")
            }
            Self::NoName { field } => format!("add system calls to `{field}`, or drop the rule"),
            Self::Index { .. } => "write a number from 0 to 5".into(),
            Self::Comparison { .. } => names::list("write one of", names::COMPARISONS),
            Self::Conditions { .. } => "compare ranges or masks instead of single values".into(),
            Self::Architecture { .. } => names::list("write one of", names::ARCHITECTURES),
            Self::Flag { .. } => names::list("write one of", &names::FLAGS.map(|(name, _)| name)),
            Self::Contradiction { second, name, .. } => {
                format!(
                    "drop `{name}` from `linux.seccomp.syscalls[{second}]`, or change its action"
                )
            }
            Self::NoListener => {
                "set `linux.seccomp.listenerPath` to the socket of a supervisor, or use another \
                 action than `SCMP_ACT_NOTIFY`"
                    .into()
            }
            Self::MetadataAlone => "set `linux.seccomp.listenerPath`, or drop the metadata".into(),
            Self::ListenerPath { .. } => "write the whole path, from `/` on".into(),
            Self::Machine { .. } => return None,
            Self::Default(error) => return error.hint(),
            Self::Compile(error) => return error.hint(),
        })
    }
}

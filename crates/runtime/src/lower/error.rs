//! Why a specification has no plan.

use std::io;
use std::path::PathBuf;

use creel_base::hint::Hint;

use crate::seccomp::SeccompError;
use crate::spec::NamespaceKind;

/// Why a specification has no plan; `field` is the path of a property in `config.json`.
#[derive(Debug, thiserror::Error)]
pub enum LowerError {
    /// A property must be there.
    #[error("`{field}` is missing")]
    Missing {
        /// The property.
        field: String,
    },
    /// A property has a value that its rule forbids.
    #[error("`{field}` is `{value}`, which is not {rule}")]
    Value {
        /// The property.
        field: String,
        /// What it holds.
        value: String,
        /// What it must be.
        rule: &'static str,
    },
    /// A mount has an option that neither the specification nor its file system knows.
    #[error("`{field}`: unknown option `{option}` of the mount at `{destination}`")]
    MountOption {
        /// The property.
        field: String,
        /// Where the mount is.
        destination: String,
        /// The option.
        option: String,
    },
    /// An annotation is not what it must be.
    #[error("`annotations[{name}]` is not what it must be")]
    Annotation {
        /// Its name.
        name: &'static str,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// Something is named twice.
    #[error("`{field}` names `{value}` twice")]
    Duplicate {
        /// The property.
        field: String,
        /// What is named.
        value: String,
    },
    /// A namespace to join cannot be opened.
    #[error("`{field}`: cannot open `{}`", path.display())]
    Open {
        /// The property.
        field: String,
        /// What it names.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A label is given for a security module that the kernel does not run.
    #[error("`{field}` is set, but {module} is not enabled on this machine")]
    NoModule {
        /// The property.
        field: String,
        /// The module.
        module: &'static str,
    },
    /// Something is asked for that needs a namespace of its own.
    #[error("`{field}` needs a namespace `{namespace}` of the container's")]
    NeedsNamespace {
        /// The property.
        field: String,
        /// The namespace.
        namespace: NamespaceKind,
    },
    /// The specification allows it and creel cannot do it.
    #[error("`{field}`: `{value}` is not supported")]
    Unsupported {
        /// The property.
        field: String,
        /// What is asked for.
        value: String,
    },
    /// The memory policy is wrong. The words are those that callers of runtimes know.
    #[error("invalid memory policy {part}")]
    MemoryPolicy {
        /// Its part.
        part: &'static str,
        /// Why.
        source: Box<Self>,
    },
    /// The system call filter is wrong.
    #[error(transparent)]
    Seccomp(#[from] SeccompError),
}

impl Hint for LowerError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { field } => Some(format!("set `{field}`")),
            Self::NeedsNamespace { namespace, .. } => {
                Some(format!("add `{namespace}` without a path to `linux.namespaces`"))
            }
            Self::Seccomp(error) => error.hint(),
            Self::Duplicate { .. } => Some("drop one of the two".into()),
            Self::NoModule { field, .. } => Some(format!("leave `{field}` out")),
            Self::Open { .. } => Some("see whether who has made it still runs".into()),
            Self::MemoryPolicy { source, .. } => source.hint(),
            Self::Annotation { .. }
            | Self::Value { .. }
            | Self::MountOption { .. }
            | Self::Unsupported { .. } => None,
        }
    }
}

/// Shortens the making of [`LowerError::Value`].
pub(crate) fn value(
    field: impl Into<String>,
    value: impl ToString,
    rule: &'static str,
) -> LowerError {
    LowerError::Value { field: field.into(), value: value.to_string(), rule }
}

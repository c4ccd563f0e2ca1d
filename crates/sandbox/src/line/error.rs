//! What is wrong with a command line.

use std::ffi::OsString;
use std::io;

use creel_base::hint::Hint;

use crate::error::FilterError;

/// Something that was said more than once, of which the last counts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Only the last {option} option will take effect")]
pub struct Remark {
    /// The option.
    pub option: String,
}

/// What is wrong with a command line. Words that callers of bubblewrap look for are as they know them.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// There are too many words.
    #[error("there are more than {} arguments", super::MOST_WORDS)]
    TooMany,
    /// An option is not UTF-8.
    #[error("an option is no text")]
    NotText,
    /// There is no such option.
    #[error("Unknown option {option}")]
    Unknown {
        /// It.
        option: String,
    },
    /// An option lacks words.
    #[error("{option} takes {count} {}", if *.count == 1 { "argument" } else { "arguments" })]
    TooFew {
        /// The option.
        option: String,
        /// How many.
        count: usize,
    },
    /// `--args` is in what `--args` reads.
    #[error("--args is not taken in a file of arguments")]
    ArgsInArgs,
    /// A number is none.
    #[error("Invalid {what}: {}", word.display())]
    Number {
        /// What it is the number of.
        what: &'static str,
        /// The word.
        word: OsString,
    },
    /// Permission bits are none.
    #[error("{option} takes an octal number of at most 07777")]
    Octal {
        /// The option.
        option: String,
    },
    /// A size is none.
    #[error("--size takes a number of bytes that is not zero")]
    Size,
    /// A size is beyond what the kernel takes.
    #[error("--size takes at most {most}")]
    LargeSize {
        /// Bytes.
        most: u64,
    },
    /// There is no such descriptor.
    #[error("cannot use descriptor {number}")]
    NoDescriptor {
        /// Its number.
        number: i32,
        /// The kernel's error.
        source: io::Error,
    },
    /// What a descriptor holds cannot be read.
    #[error("Can't read {what}")]
    Unreadable {
        /// What it should hold.
        what: &'static str,
        /// The kernel's error.
        source: io::Error,
    },
    /// An option that is taken once.
    #[error("{option} is given twice")]
    Twice {
        /// It.
        option: String,
    },
    /// An option that is taken once before another.
    #[error("{option} is given twice for one option")]
    TwiceForOne {
        /// It.
        option: String,
    },
    /// Permission bits of nothing.
    #[error("--perms is followed by an option that makes no file")]
    PermsAlone,
    /// A size of nothing.
    #[error("--size is not followed by --tmpfs")]
    SizeAlone,
    /// Layers of nothing.
    #[error(
        "--overlay-src must be followed by another --overlay-src or one of --overlay, \
         --tmp-overlay, or --ro-overlay"
    )]
    SourceAlone,
    /// Too few layers.
    #[error("{option} requires at least {} --overlay-src", if *.least == 1 { "one" } else { "two" })]
    FewSources {
        /// The option.
        option: String,
        /// How many.
        least: usize,
    },
    /// Both ways of giving filters.
    #[error("{option} cannot be combined with {other}")]
    Together {
        /// One.
        option: String,
        /// The other, which came before.
        other: &'static str,
    },
    /// A filter is none.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// A capability that no kernel has.
    #[error("unknown capability {}", name.display())]
    Capability {
        /// Its name.
        name: OsString,
    },
    /// No variable has this name.
    #[error("`{}` is no name of a variable", name.display())]
    Variable {
        /// It.
        name: OsString,
    },
}

impl Hint for LineError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown { .. } => Some("see `creel sandbox --help`".into()),
            _ => None,
        }
    }
}

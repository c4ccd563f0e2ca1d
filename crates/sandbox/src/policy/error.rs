//! What can be wrong with a policy.

use creel_base::hint::Hint;

use super::load::{MAX_BYTES, MAX_DEPTH, MAX_FILES};
use super::parse::MAX_NESTING;

/// What is wrong with a policy, and where.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{file}:{line}:{column}: {fault}")]
pub struct PolicyError {
    /// The file, by the name that it was read by.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The character of the line, from 1.
    pub column: u32,
    /// What is wrong.
    pub fault: Fault,
}

impl Hint for PolicyError {
    fn hint(&self) -> Option<String> {
        self.fault.hint()
    }
}

/// What can be wrong.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[allow(missing_docs, reason = "the words say it")]
pub enum Fault {
    #[error("the policy and what it includes is longer than `{MAX_BYTES}` bytes")]
    TooLong,
    #[error("`{0}` means nothing in a policy")]
    Character(char),
    #[error("`{expected}` is missing before the end of the line")]
    End { expected: &'static str },
    #[error("`{found}` stands where `{expected}` should")]
    Expected { expected: &'static str, found: String },
    #[error("the file ends where its last line says that it goes on")]
    Unfinished,
    #[error("a comment ends with a backslash, which not all readers understand alike")]
    CommentContinues,
    #[error("`{0}` is no number of 64 bits")]
    Number(String),
    #[error("`{name}` is no constant of this architecture")]
    Constant { name: String, similar: Option<String> },
    #[error("parentheses are deeper than `{MAX_NESTING}`")]
    Nesting,
    #[error("`{name}` is no system call of this architecture")]
    Call { name: String, similar: Option<&'static str> },
    #[error("there is no group of system calls `{0}`")]
    Group(String),
    #[error("`{0}` is no argument of a system call")]
    Argument(String),
    #[error("`{0}` is no action")]
    Action(String),
    #[error("`{0}` is no error number")]
    Errno(u64),
    #[error("`{0}` is no directive")]
    Directive(String),
    #[error("`{0}` is no key that a system call can have")]
    Key(String),
    #[error("a call that nothing is said about cannot be let through by the policy itself")]
    PermissiveDefault,
    #[error("a denylist says with which error each of its calls returns, and nothing else")]
    Denylist,
    #[error("two rules without a condition decide about `{name}`, the other one in {earlier}")]
    Decided { name: String, earlier: String },
    #[error("a path must begin with `/` or `./`")]
    Relative,
    #[error("`{path}` cannot be read: {reason}")]
    Include { path: String, reason: String },
    #[error("`{0}` includes itself")]
    Loop(String),
    #[error("more than `{MAX_DEPTH}` files include one another")]
    Depth,
    #[error("the policy has more than `{MAX_FILES}` files")]
    Files,
    #[error("minijail's two readers take `EXPRESSION; ACTION` for opposite things")]
    Ambiguous,
}

impl Hint for Fault {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Constant { similar: Some(similar), .. } => return Some(did_you_mean(similar)),
            Self::Call { similar: Some(similar), .. } => return Some(did_you_mean(similar)),
            Self::Constant { .. } => "write its number, such as `0x5412`",
            Self::Call { .. } => {
                "leave the line out, or say for which machines it is: `name[arch=arm64]: 1`"
            }
            Self::TooLong | Self::Files | Self::Depth => "put it into fewer files, each call once",
            Self::Character(_) => {
                "write lines such as `read: 1` or `openat: arg2 & O_CREAT; return EACCES`"
            }
            Self::End { .. } | Self::Expected { .. } => {
                "write `NAME: 1`, `NAME: argN OP VALUE && … || …`, or one of both and `; return ERRNO`"
            }
            Self::Unfinished => "remove the backslash at its end",
            Self::CommentContinues => "remove the backslash, or begin the next line with `#`",
            Self::Number(_) => "write it as `18`, `0x12` or `022`",
            Self::Nesting => "write the sum of the flags as one number",
            Self::Group(_) => "name the calls one by one, or in braces: `{read, write}: 1`",
            Self::Argument(_) => "number the arguments from `arg0` to `arg5`",
            Self::Action(_) => {
                "use `1`, `allow`, `return ERRNO`, `kill`, `kill-process`, `kill-thread`, `trap`, \
                 `trace`, `log` or `user-notify`"
            }
            Self::Errno(_) => "use a name such as `EPERM`, or a number up to 4095",
            Self::Directive(_) => "use `@include`, `@default`, `@frequency` or `@denylist`",
            Self::Key(_) => "use `[arch=NAME]`",
            Self::PermissiveDefault => {
                "use `kill-process`, `kill-thread`, `kill`, `trap` or `user-notify`, or begin with \
                 `@denylist`"
            }
            Self::Denylist => "write `NAME: return EPERM`",
            Self::Decided { .. } => "remove one of them",
            Self::Relative => "write `./NAME` for a file beside",
            Self::Include { .. } => return None,
            Self::Loop(_) => "remove one of the `@include` lines",
            Self::Ambiguous => {
                "write `{EXPRESSION; ACTION}`, which both take for the action if it holds"
            }
        };
        Some(hint.to_owned())
    }
}

fn did_you_mean(name: &str) -> String {
    format!("did you mean `{name}`?")
}

//! Seccomp profiles as text: see the head of `default.profile` for the form of a line.

use super::Insn;
use super::arch::Arch;
use super::call::Call;
use super::capability;
use super::compile::{CompileError, compile as compile_policy};
use super::policy::{Action, Cmp, Newest, Op, Policy, Rule};
use creel_base::hint::Hint;

/// The profile of containers that ask for no other.
pub const DEFAULT: &str = include_str!("default.profile");

/// The most bytes a profile may have.
const MAX_BYTES: usize = 1 << 20;

/// Why a text is no profile; lines count from 1.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProfileError {
    /// The text is longer than a mebibyte.
    #[error("the profile is longer than `{MAX_BYTES}` bytes")]
    TooLong,
    /// Not an action.
    #[error("line `{line}`: `{word}` is no action")]
    Action {
        /// Where.
        line: usize,
        /// The word.
        word: String,
    },
    /// Not an architecture.
    #[error("line `{line}`: `{word}` is no architecture")]
    Architecture {
        /// Where.
        line: usize,
        /// The word.
        word: String,
    },
    /// Not a condition.
    #[error("line `{line}`: `{text}` is no condition such as `arg0 & 0xff == 1`")]
    Condition {
        /// Where.
        line: usize,
        /// The text.
        text: String,
    },
    /// Not a system call of any architecture.
    #[error("line `{line}`: `{word}` is no system call")]
    Call {
        /// Where.
        line: usize,
        /// The word.
        word: String,
    },
    /// Not a capability.
    #[error("line `{line}`: `{word}` is no capability")]
    Capability {
        /// Where.
        line: usize,
        /// The word.
        word: String,
    },
    /// An action without system calls.
    #[error("line `{line}`: no system call follows the action")]
    NoCall {
        /// Where.
        line: usize,
    },
}

impl Hint for ProfileError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::TooLong => "split the names over fewer lines, each name once",
            Self::Action { .. } => {
                "use `allow`, `log`, `errno=N`, `trace=N`, `notify`, `trap`, `kill-thread` or \
                 `kill-process`, with N up to 4095"
            }
            Self::Architecture { .. } => {
                "use `x86_64`, `x32`, `i386`, `aarch64`, `arm` or `riscv64`, with commas in between"
            }
            Self::Condition { .. } => {
                "write `arg0` to `arg5`, one of `==`, `!=`, `<`, `<=`, `>`, `>=`, and a number"
            }
            Self::Call { .. } => "check the spelling against `man 2 syscalls`, or leave it out",
            Self::Capability { .. } => {
                "write it as in `man 7 capabilities`, such as `CAP_SYS_ADMIN`"
            }
            Self::NoCall { .. } => "name the system calls after the action, or drop the line",
        };
        Some(hint.to_owned())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    cap: Option<String>,
    without_cap: Option<String>,
    arches: Vec<Arch>,
    rule: Rule,
}

/// A profile: rules that depend on capabilities and architectures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    default: Action,
    unknown: Action,
    bad_arch: Action,
    entries: Vec<Entry>,
}

impl Profile {
    /// Reads a profile. What it does not say is `errno=1`, `errno=38` and `kill-process`.
    ///
    /// # Errors
    ///
    /// See [`ProfileError`].
    pub fn parse(text: &str) -> Result<Self, ProfileError> {
        if text.len() > MAX_BYTES {
            return Err(ProfileError::TooLong);
        }
        let mut profile = Self {
            default: Action::Errno(1),
            unknown: Action::Errno(38),
            bad_arch: Action::KillProcess,
            entries: Vec::new(),
        };
        for (index, content) in text.lines().enumerate() {
            profile.line(index + 1, content.trim())?;
        }
        Ok(profile)
    }

    fn line(&mut self, line: usize, content: &str) -> Result<(), ProfileError> {
        let (word, rest) = content.split_once(' ').unwrap_or((content, ""));
        match word {
            "default" => self.default = action(line, rest.trim())?,
            "unknown" => self.unknown = action(line, rest.trim())?,
            "bad-arch" => self.bad_arch = action(line, rest.trim())?,
            "" | "group" => {}
            _ if word.starts_with('#') => {}
            _ => self.entries.push(entry(line, action(line, word)?, rest)?),
        }
        Ok(())
    }

    /// The capabilities that some rule depends on: for two processes that differ in others only, the
    /// filter is the same.
    pub fn capabilities(&self) -> impl Iterator<Item = &str> {
        self.entries
            .iter()
            .flat_map(|entry| [entry.cap.as_deref(), entry.without_cap.as_deref()])
            .flatten()
    }

    /// The filter's policy on machines of `arch` for processes with some capabilities.
    #[must_use]
    pub fn policy(&self, arch: Arch, has_cap: &dyn Fn(&str) -> bool) -> Policy {
        let arches = arch.family();
        let applies = |entry: &&Entry| {
            entry.cap.as_deref().is_none_or(has_cap)
                && !entry.without_cap.as_deref().is_some_and(has_cap)
                && (entry.arches.is_empty() || entry.arches.iter().any(|a| arches.contains(a)))
        };
        Policy {
            default: self.default,
            unknown: self.unknown,
            newest: Newest::InTables,
            bad_arch: self.bad_arch,
            arches: arches.to_vec(),
            rules: self.entries.iter().filter(applies).map(|entry| entry.rule.clone()).collect(),
        }
    }
}

/// The program of a profile.
///
/// # Errors
///
/// See [`CompileError`].
pub fn compile(
    profile: &Profile,
    has_cap: &dyn Fn(&str) -> bool,
    arch: Arch,
) -> Result<Vec<Insn>, CompileError> {
    compile_policy(&profile.policy(arch, has_cap))
}

/// What the fuzz target does: a text is refused, has no program, or has one the kernel takes.
///
/// # Panics
///
/// Panics where that does not hold.
#[doc(hidden)]
pub fn fuzz(bytes: &[u8]) {
    let Some(profile) = std::str::from_utf8(bytes).ok().and_then(|text| Profile::parse(text).ok())
    else {
        return;
    };
    for arch in Arch::ALL {
        for all in [false, true] {
            let program = compile(&profile, &|_| all, arch);
            assert!(program.is_err() || program.is_ok_and(|program| super::run::check(&program)));
        }
    }
}

fn action(line: usize, word: &str) -> Result<Action, ProfileError> {
    let data = |digits: &str| digits.parse::<u16>().ok().filter(|data| *data <= 4095);
    let found = match (word, word.split_once('=')) {
        (_, Some(("errno", digits))) => data(digits).map(Action::Errno),
        (_, Some(("trace", digits))) => data(digits).map(Action::Trace),
        ("allow", _) => Some(Action::Allow),
        ("log", _) => Some(Action::Log),
        ("notify", _) => Some(Action::Notify),
        ("trap", _) => Some(Action::Trap),
        ("kill-thread", _) => Some(Action::KillThread),
        ("kill-process", _) => Some(Action::KillProcess),
        _ => None,
    };
    found.ok_or_else(|| ProfileError::Action { line, word: word.to_owned() })
}

fn entry(line: usize, action: Action, rest: &str) -> Result<Entry, ProfileError> {
    let (words, conditions) = match rest.split_once(':') {
        Some((words, conditions)) => (words, Some(conditions)),
        None => (rest, None),
    };
    let rule = Rule { calls: Vec::new(), action, any_of: Vec::new() };
    let mut entry = Entry { cap: None, without_cap: None, arches: Vec::new(), rule };
    for word in words.split_whitespace() {
        match word.split_once('=') {
            Some(("cap", cap)) => entry.cap = Some(capability(line, cap)?),
            Some(("!cap", cap)) => entry.without_cap = Some(capability(line, cap)?),
            Some(("arch", list)) => entry.arches = arches(line, list)?,
            _ => entry.rule.calls.push(call(line, word)?),
        }
    }
    if entry.rule.calls.is_empty() {
        return Err(ProfileError::NoCall { line });
    }
    if let Some(list) = conditions {
        entry.rule.any_of.push(all_of(line, list)?);
    }
    Ok(entry)
}

fn capability(line: usize, word: &str) -> Result<String, ProfileError> {
    let error = || ProfileError::Capability { line, word: word.to_owned() };
    capability::is_known(word).then(|| word.to_owned()).ok_or_else(error)
}

fn call(line: usize, word: &str) -> Result<Call, ProfileError> {
    Call::find(word).ok_or_else(|| ProfileError::Call { line, word: word.to_owned() })
}

fn arches(line: usize, list: &str) -> Result<Vec<Arch>, ProfileError> {
    let find = |word: &str| Arch::ALL.into_iter().find(|arch| arch.name() == word);
    let error = |word: &str| ProfileError::Architecture { line, word: word.to_owned() };
    list.split(',').map(|word| find(word).ok_or_else(|| error(word))).collect()
}

/// Nothing after the colon is an error: a rule that lost its condition would match every call.
fn all_of(line: usize, list: &str) -> Result<Vec<Cmp>, ProfileError> {
    let error = |text: &str| ProfileError::Condition { line, text: text.trim().to_owned() };
    list.split(',').map(|text| condition(text).ok_or_else(|| error(text))).collect()
}

fn condition(text: &str) -> Option<Cmp> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (arg, op, value) = match words.as_slice() {
        [arg, "&", mask, "==", value] => (arg, Op::MaskedEq(integer(mask)?), value),
        [arg, "==", value] => (arg, Op::Eq, value),
        [arg, "!=", value] => (arg, Op::Ne, value),
        [arg, "<", value] => (arg, Op::Lt, value),
        [arg, "<=", value] => (arg, Op::Le, value),
        [arg, ">", value] => (arg, Op::Gt, value),
        [arg, ">=", value] => (arg, Op::Ge, value),
        _ => return None,
    };
    let arg = arg.strip_prefix("arg")?.parse().ok().filter(|arg| *arg < 6)?;
    Some(Cmp { arg, op, value: integer(value)? })
}

fn integer(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

//! System call filters: the default, those of a specification, those of a file.

mod error;
mod fuzz;
mod json;
mod names;
mod remarks;
mod source;
mod supervisor;

use creel_codec::bpf::arch::Arch;
use creel_codec::bpf::compile::{CompileError, compile};
use creel_codec::bpf::policy::Action;
use creel_codec::bpf::profile::{self, Profile, ProfileError};
use creel_codec::bpf::{Insn, MAX_INSNS, RET, capability, passage};

use creel_base::hint::Hint;

use crate::spec::Seccomp;
use json::Numbered;
use source::Source;

pub use creel_spawn::Seccomp as Program;
pub use error::SeccompError;
#[doc(hidden)]
pub use fuzz::fuzz;
pub(crate) use names::known;
pub use remarks::Remark;
pub use supervisor::{Supervisor, SupervisorError};

/// Made by `build.rs`.
mod built {
    include!(concat!(env!("OUT_DIR"), "/seccomp.rs"));
}

/// Instructions as a plan holds them.
type Instructions = Vec<(u16, u8, u8, u32)>;

/// Which filter a process gets.
#[derive(Clone, Debug, Default)]
pub enum Filter {
    /// `linux.seccomp`, or none if there is none.
    #[default]
    Specified,
    /// creel's own profile; compiled when creel is built for the usual capabilities.
    Default,
    /// None.
    Unconfined,
    /// A profile in creel's own format, see `default.profile`.
    Profile(Profile),
    /// A profile in the specification's format or Docker's.
    Json(Box<Seccomp>),
}

/// Why a text is no profile.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// It begins as JSON and is none of a profile.
    #[error("the profile is no JSON of a system call filter")]
    Json(#[from] serde_json::Error),
    /// It is not in creel's own format.
    #[error(transparent)]
    Profile(#[from] ProfileError),
}

impl Hint for FilterError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Json(_) => None,
            Self::Profile(error) => error.hint(),
        }
    }
}

impl Filter {
    /// Reads a profile, in JSON if it begins with a brace, else in creel's own format.
    ///
    /// # Errors
    /// Fails if it is neither.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        if text.trim_start().starts_with('{') {
            return Ok(Self::Json(serde_json::from_str(text)?));
        }
        Ok(Self::Profile(Profile::parse(text)?))
    }

    /// The program for a process with some capabilities in its bounding set, given by number; without
    /// instructions for no filter.
    ///
    /// # Errors
    /// Names what is wrong with the profile.
    pub(crate) fn program(
        &self,
        specified: Option<&Seccomp>,
        capabilities: &[u32],
    ) -> Result<Program, SeccompError> {
        let has = |name: &str| holds(capabilities, name);
        match (self, specified) {
            (Self::Unconfined, _) | (Self::Specified, None) => Ok(Program::default()),
            (Self::Default, _) => Ok(load(default_program(&has)?, names::SPEC_ALLOW)),
            (Self::Profile(profile), _) => {
                let program = raw(profile::compile(profile, &has, native()?)?);
                unsupervised(load(program, names::SPEC_ALLOW))
            }
            (Self::Json(json), _) => compiled(&Source::dockers(json, native()?, &has)),
            (Self::Specified, Some(json)) => compiled(&Source::specified(json)),
        }
    }
}

/// What in a profile of the specification has no effect, for whoever writes one.
///
/// # Errors
/// Names what is wrong with the profile.
pub fn remarks(profile: &Seccomp) -> Result<Vec<Remark>, SeccompError> {
    remarks::remarks(&Source::specified(profile))
}

fn compiled(source: &Source<'_>) -> Result<Program, SeccompError> {
    let rules: Vec<Numbered> = json::rules(source)?;
    let program = raw(compile(&json::policy(source, &rules, native()?)?)?);
    // Not before: what has a program is no longer than a kernel takes.
    remarks::contradiction(&rules)?;
    let program = load(program, names::flags(source.profile.flags.as_deref())?);
    let length = program.instructions.len() + passage::INSTRUCTIONS;
    if program.listens && length > MAX_INSNS {
        return Err(CompileError::TooLong(length).into());
    }
    let profile = source.profile;
    match (&profile.listener_path, &profile.listener_metadata) {
        (None, Some(_)) => Err(SeccompError::MetadataAlone),
        (None, None) => unsupervised(program),
        (Some(path), _) if program.listens && !path.is_absolute() => {
            Err(SeccompError::ListenerPath { value: path.display().to_string() })
        }
        _ => Ok(program),
    }
}

/// A filter that asks a supervisor needs one.
fn unsupervised(program: Program) -> Result<Program, SeccompError> {
    if program.listens { Err(SeccompError::NoListener) } else { Ok(program) }
}

fn load(instructions: Instructions, flags: u32) -> Program {
    let asks = |(code, _, _, k): &(u16, u8, u8, u32)| *code == RET && *k == Action::Notify.value();
    let listens = instructions.iter().any(asks);
    Program { instructions, flags, listens }
}

fn holds(capabilities: &[u32], name: &str) -> bool {
    let number = capability::NAMES.iter().position(|known| *known == name);
    number.is_some_and(|number| capabilities.iter().any(|held| *held as usize == number))
}

/// The filter only depends on those capabilities that the profile asks for.
fn default_program(has: &dyn Fn(&str) -> bool) -> Result<Instructions, SeccompError> {
    let same = |held: &[&str]| built::ASKED.iter().all(|name| has(name) == held.contains(name));
    let ready = [
        (built::WITH_DEFAULT_CAPABILITIES, built::WITH_DEFAULT),
        (built::WITHOUT_CAPABILITIES, built::WITHOUT),
    ];
    if let Some((_, program)) = ready.into_iter().find(|(held, p)| !p.is_empty() && same(held)) {
        return Ok(program.to_vec());
    }
    let profile = Profile::parse(profile::DEFAULT)?;
    Ok(raw(profile::compile(&profile, has, native()?)?))
}

fn raw(program: Vec<Insn>) -> Instructions {
    program.into_iter().map(|insn| (insn.code, insn.jt, insn.jf, insn.k)).collect()
}

/// The machine's own interface.
fn native() -> Result<Arch, SeccompError> {
    Arch::native().ok_or(SeccompError::Machine { machine: std::env::consts::ARCH })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::defaults;

    fn numbers(names: &[&str]) -> Vec<u32> {
        let number = |name: &&str| capability::NAMES.iter().position(|known| known == name);
        names.iter().filter_map(number).filter_map(|n| u32::try_from(n).ok()).collect()
    }

    #[test]
    fn what_is_built_in_is_what_would_be_compiled() {
        let profile = Profile::parse(profile::DEFAULT).unwrap();
        for names in [&defaults::CAPABILITIES[..], &[], &["CAP_SYS_ADMIN", "CAP_SYS_CHROOT"]] {
            let held = numbers(names);
            let has = |name: &str| holds(&held, name);
            let compiled = raw(profile::compile(&profile, &has, native().unwrap()).unwrap());
            let program = Filter::Default.program(None, &held).unwrap();
            assert_eq!(program.instructions, compiled, "{names:?}");
        }
    }

    #[test]
    fn files_are_told_apart_by_their_first_character() {
        assert!(matches!(Filter::parse("default allow"), Ok(Filter::Profile(_))));
        let json = r#" {"defaultAction": "SCMP_ACT_ALLOW"}"#;
        assert!(matches!(Filter::parse(json), Ok(Filter::Json(_))));
        assert!(matches!(Filter::parse("{"), Err(FilterError::Json(_))));
        assert!(matches!(Filter::parse("nonsense"), Err(FilterError::Profile(_))));
    }
}

//! System call filters: the default, those of a specification, those of a file.

mod json;

use creel_codec::bpf::arch::Arch;
use creel_codec::bpf::compile::compile;
use creel_codec::bpf::policy::Policy;
use creel_codec::bpf::profile::{self, Profile, ProfileError};
use creel_codec::bpf::{Insn, capability};

use creel_base::hint::Hint;

use crate::lower::LowerError;
use crate::spec::Seccomp;

/// Made by `build.rs`.
mod built {
    include!(concat!(env!("OUT_DIR"), "/seccomp.rs"));
}

/// A program as a plan holds it: code, jump if true, jump if false, operand.
pub(crate) type Program = Vec<(u16, u8, u8, u32)>;

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

    /// The program for a process with some capabilities in its bounding set; empty for no filter.
    pub(crate) fn program(
        &self,
        specified: Option<&Seccomp>,
        capabilities: &[u32],
    ) -> Result<Program, LowerError> {
        let has = |name: &str| holds(capabilities, name);
        match (self, specified) {
            (Self::Unconfined, _) | (Self::Specified, None) => Ok(Vec::new()),
            (Self::Default, _) => default_program(&has),
            (Self::Profile(profile), _) => Ok(raw(profile::compile(profile, &has, native()?)?)),
            (Self::Json(json), _) => from_policy(&json::policy(json, native()?, &has)?),
            (Self::Specified, Some(json)) => from_policy(&json::policy(json, native()?, &has)?),
        }
    }
}

fn holds(capabilities: &[u32], name: &str) -> bool {
    let number = capability::NAMES.iter().position(|known| *known == name);
    number.is_some_and(|number| capabilities.iter().any(|held| *held as usize == number))
}

/// The filter only depends on those capabilities that the profile asks for.
fn default_program(has: &dyn Fn(&str) -> bool) -> Result<Program, LowerError> {
    let same = |held: &[&str]| built::ASKED.iter().all(|name| has(name) == held.contains(name));
    let ready = [
        (built::WITH_DEFAULT_CAPABILITIES, built::WITH_DEFAULT),
        (built::WITHOUT_CAPABILITIES, built::WITHOUT),
    ];
    if let Some((_, program)) = ready.into_iter().find(|(held, p)| !p.is_empty() && same(held)) {
        return Ok(program.to_vec());
    }
    let profile = Profile::parse(profile::DEFAULT)
        .map_err(|error| crate::lower::value("linux.seccomp", error, "a profile"))?;
    Ok(raw(profile::compile(&profile, has, native()?)?))
}

fn from_policy(policy: &Policy) -> Result<Program, LowerError> {
    Ok(raw(compile(policy)?))
}

fn raw(program: Vec<Insn>) -> Program {
    program.into_iter().map(|insn| (insn.code, insn.jt, insn.jf, insn.k)).collect()
}

/// The machine's own interface.
fn native() -> Result<Arch, LowerError> {
    let machine = std::env::consts::ARCH;
    let found = Arch::ALL.into_iter().find(|arch| arch.name() == machine);
    found.ok_or_else(|| LowerError::Unsupported {
        field: "linux.seccomp".into(),
        value: machine.into(),
    })
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
            assert_eq!(Filter::Default.program(None, &held).unwrap(), compiled, "{names:?}");
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

//! The specification's and Docker's profiles as policies, which mean what runc and libseccomp make of
//! them.
//!
//! Where those leave open what several rules with conditions on one call do (libseccomp sorts them
//! by itself), the first that matches decides here.

use creel_codec::bpf::arch::Arch;
use creel_codec::bpf::call::Call;
use creel_codec::bpf::policy::{Action, Cmp, Newest, Policy, Rule};

use super::error::SeccompError;
use super::names::{self, Place};
use super::source::{self, Source};
use crate::spec::{Argument, SyscallRule};

const ENOSYS: u16 = 38;
/// The most conditions of a rule; runc and libseccomp know six useful ones.
const MAX_CONDITIONS: usize = 256;

/// A rule and its place in the profile.
pub(super) struct Numbered {
    pub(super) index: usize,
    pub(super) rule: Rule,
}

/// The rules that say something else than the default: runc passes over the others, so that what
/// further rules say on a call counts.
pub(super) fn rules(source: &Source<'_>) -> Result<Vec<Numbered>, SeccompError> {
    let default = default_action(source)?;
    let mut rules = Vec::new();
    for (index, rule) in &source.rules {
        let rule = lower(*index, rule)?;
        let numbered = Numbered { index: *index, rule };
        rules.extend(Some(numbered).filter(|numbered| numbered.rule.action != default));
    }
    Ok(rules)
}

/// The policy of a profile on a machine.
///
/// Names that no interface of ours knows are left out, as everywhere: profiles list calls of newer
/// kernels and other machines.
pub(super) fn policy(
    source: &Source<'_>,
    rules: &[Numbered],
    native: Arch,
) -> Result<Policy, SeccompError> {
    let default = default_action(source)?;
    // To libseccomp a rule without conditions replaces all others on the call.
    let (always, depending): (Vec<_>, Vec<_>) =
        rules.iter().map(|numbered| &numbered.rule).partition(|rule| rule.any_of.is_empty());
    let named = source.rules.iter().flat_map(|(_, rule)| source::names(rule));
    Ok(Policy {
        default,
        unknown: unknown(default),
        newest: Newest::Of(named.filter_map(|name| Call::find(name)).collect()),
        bad_arch: Action::KillProcess,
        arches: arches(source, native)?,
        rules: always.into_iter().chain(depending).cloned().collect(),
    })
}

fn default_action(source: &Source<'_>) -> Result<Action, SeccompError> {
    let profile = source.profile;
    names::action(Place::Default, &profile.default_action, profile.default_errno_ret)
}

/// Programs probe for calls that are newer than the profile, and take only this for an answer, as
/// runc found out. Tracers know it themselves.
fn unknown(default: Action) -> Action {
    match default {
        Action::Allow | Action::Log | Action::Trace(_) => default,
        _ => Action::Errno(ENOSYS),
    }
}

fn arches(source: &Source<'_>, native: Arch) -> Result<Vec<Arch>, SeccompError> {
    let mut arches = vec![native];
    for (index, name) in source.architectures.iter().enumerate() {
        let arch = names::interface(name);
        if arch.is_none() && !names::ARCHITECTURES.contains(&name.as_str()) {
            let field = format!("linux.seccomp.architectures[{index}]");
            return Err(SeccompError::Architecture { field, value: (*name).clone() });
        }
        // A kernel serves no interface of another machine.
        let served = arch.filter(|arch| native.family().contains(arch) && !arches.contains(arch));
        arches.extend(served);
    }
    Ok(arches)
}

fn lower(index: usize, rule: &SyscallRule) -> Result<Rule, SeccompError> {
    let action = names::action(Place::Rule(index), &rule.action, rule.errno_ret)?;
    let mut names = source::names(rule).peekable();
    if names.peek().is_none() || source::names(rule).any(String::is_empty) {
        let field = format!("linux.seccomp.syscalls[{index}].names");
        return Err(SeccompError::NoName { field });
    }
    let calls = names.filter_map(|name| Call::find(name)).collect();
    Ok(Rule { calls, action, any_of: any_of(index, rule.args.as_deref().unwrap_or_default())? })
}

/// One condition is enough if an argument has several: that is what runc made of such before it knew
/// better, and what profiles are written for.
fn any_of(index: usize, arguments: &[Argument]) -> Result<Vec<Vec<Cmp>>, SeccompError> {
    let (count, most) = (arguments.len(), MAX_CONDITIONS);
    let field = |rest: &str| format!("linux.seccomp.syscalls[{index}].args{rest}");
    if count > most {
        return Err(SeccompError::Conditions { field: field(""), count, most });
    }
    let conditions = arguments.iter().enumerate().map(|(at, argument)| {
        condition(argument, &|property| field(&format!("[{at}].{property}")))
    });
    let conditions = conditions.collect::<Result<Vec<_>, _>>()?;
    let mut seen = [false; 6];
    let repeats = |cmp: &Cmp| {
        seen.get_mut(usize::from(cmp.arg)).is_some_and(|seen| std::mem::replace(seen, true))
    };
    Ok(match conditions.is_empty() {
        true => Vec::new(),
        false if conditions.iter().any(repeats) => {
            conditions.into_iter().map(|c| vec![c]).collect()
        }
        false => vec![conditions],
    })
}

fn condition(argument: &Argument, field: &dyn Fn(&str) -> String) -> Result<Cmp, SeccompError> {
    let value = argument.index;
    let arg = u8::try_from(value).ok().filter(|index| *index < 6);
    let arg = arg.ok_or_else(|| SeccompError::Index { field: field("index"), value })?;
    let found = names::comparison(&argument.op, [argument.value, argument.value_two]);
    let wrong = || SeccompError::Comparison { field: field("op"), value: argument.op.clone() };
    let (op, value) = found.ok_or_else(wrong)?;
    Ok(Cmp { arg, op, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Policy, SeccompError> {
        let profile = serde_json::from_str(json).unwrap();
        let source = Source::dockers(&profile, Arch::X86_64, &|cap| cap == "CAP_CHOWN");
        policy(&source, &rules(&source)?, Arch::X86_64)
    }

    #[test]
    fn dockers_conditions_count() {
        let policy = read(
            r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 2,
                "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
                            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]}],
                "syscalls": [
                  {"names": ["read"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_CHOWN"]}},
                  {"names": ["write"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_CHOWN"]}},
                  {"names": ["open"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}},
                  {"name": "close", "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64"], "minKernel": "4.8"}}]}"#,
        )
        .unwrap();
        assert_eq!(policy.default, Action::Errno(2));
        assert_eq!(policy.unknown, Action::Errno(ENOSYS));
        assert_eq!(policy.arches, [Arch::X86_64, Arch::I386]);
        let calls: Vec<_> = policy.rules.iter().flat_map(|rule| rule.calls.clone()).collect();
        assert_eq!(calls, ["read", "close"].map(|name| Call::find(name).unwrap()));
        assert_eq!(policy.newest, Newest::Of(calls));
    }

    #[test]
    fn several_conditions_on_one_argument_are_alternatives() {
        let rule = r#"{"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [
            {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": X, "value": 2, "op": "SCMP_CMP_EQ"}]}"#;
        for (index, alternatives) in [("0", 2), ("1", 1)] {
            let rule = rule.replace('X', index);
            let json = format!(r#"{{"defaultAction": "SCMP_ACT_KILL", "syscalls": [{rule}]}}"#);
            assert_eq!(read(&json).unwrap().rules[0].any_of.len(), alternatives);
        }
    }

    #[test]
    fn rules_without_conditions_come_first_and_those_like_the_default_not_at_all() {
        let json = r#"{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
            {"names": ["read"], "action": "SCMP_ACT_LOG", "args": [{"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}]},
            {"names": ["read"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
            {"names": ["read"], "action": "SCMP_ACT_ALLOW"}]}"#;
        let policy = read(json).unwrap();
        let actions: Vec<_> = policy.rules.iter().map(|rule| rule.action).collect();
        assert_eq!(actions, [Action::Allow, Action::Log]);
    }

    #[test]
    fn tracers_are_asked_about_new_calls_too() {
        for (action, unknown) in [
            ("SCMP_ACT_ALLOW", Action::Allow),
            ("SCMP_ACT_LOG", Action::Log),
            ("SCMP_ACT_TRACE", Action::Trace(1)),
            ("SCMP_ACT_NOTIFY", Action::Errno(ENOSYS)),
            ("SCMP_ACT_KILL", Action::Errno(ENOSYS)),
        ] {
            let policy = read(&format!(r#"{{"defaultAction": "{action}"}}"#)).unwrap();
            assert_eq!(policy.unknown, unknown, "{action}");
        }
    }
}

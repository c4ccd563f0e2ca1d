//! The specification's and Docker's profiles as policies.

use creel_codec::bpf::arch::Arch;
use creel_codec::bpf::policy::{Action, Cmp, Op, Policy, Rule};

use crate::lower::{LowerError, value};
use crate::spec::{Argument, Condition, Seccomp, SyscallRule};

const EPERM: u16 = 1;
const ENOSYS: u16 = 38;

/// Interfaces by their names here, in libseccomp and in Go.
const ARCHES: [(Arch, &str, &str); 6] = [
    (Arch::X86_64, "SCMP_ARCH_X86_64", "amd64"),
    (Arch::X32, "SCMP_ARCH_X32", "x32"),
    (Arch::I386, "SCMP_ARCH_X86", "x86"),
    (Arch::Aarch64, "SCMP_ARCH_AARCH64", "arm64"),
    (Arch::Arm, "SCMP_ARCH_ARM", "arm"),
    (Arch::Riscv64, "SCMP_ARCH_RISCV64", "riscv64"),
];

/// The policy of a profile on a machine, for a process with some capabilities.
///
/// Names that no interface of ours knows are left out, as everywhere: profiles list calls of newer
/// kernels and other machines.
pub(super) fn policy(
    profile: &Seccomp,
    native: Arch,
    has_cap: &dyn Fn(&str) -> bool,
) -> Result<Policy, LowerError> {
    let default =
        action("linux.seccomp.defaultAction", &profile.default_action, profile.default_errno_ret)?;
    let mut rules = Vec::new();
    for (index, rule) in profile.syscalls.iter().enumerate() {
        if applies(rule, native, has_cap) {
            add_rules(&mut rules, &format!("linux.seccomp.syscalls[{index}]"), rule)?;
        }
    }
    // Programs probe for calls that are newer than the profile, as runc found out.
    let refuses = matches!(default, Action::Errno(_));
    let unknown = if refuses { Action::Errno(ENOSYS) } else { default };
    Ok(Policy {
        default,
        unknown,
        bad_arch: Action::KillProcess,
        arches: arches(profile, native),
        rules,
    })
}

fn arches(profile: &Seccomp, native: Arch) -> Vec<Arch> {
    let own = |map: &&crate::spec::ArchMap| find_arch(&map.architecture) == Some(native);
    let mapped = profile.arch_map.iter().find(own).map(|map| map.sub_architectures.as_slice());
    let named = profile.architectures.iter().chain(mapped.unwrap_or_default());
    let mut arches = vec![native];
    for arch in named.filter_map(|name| find_arch(name)) {
        // A kernel serves no interface of another machine.
        if !arches.contains(&arch) && native.family().contains(&arch) {
            arches.push(arch);
        }
    }
    arches
}

fn find_arch(name: &str) -> Option<Arch> {
    let found = ARCHES.into_iter().find(|(_, seccomp, go)| name == *seccomp || name == *go);
    found.map(|(arch, ..)| arch)
}

/// Kernels older than 5.x, which `minKernel` is about, have none of what creel needs.
fn applies(rule: &SyscallRule, native: Arch, has_cap: &dyn Fn(&str) -> bool) -> bool {
    let serves =
        |name: &String| find_arch(name).is_some_and(|arch| native.family().contains(&arch));
    let Condition { caps, arches, .. } = &rule.includes;
    let included =
        caps.iter().all(|cap| has_cap(cap)) && (arches.is_empty() || arches.iter().any(serves));
    let Condition { caps, arches, .. } = &rule.excludes;
    included && !caps.iter().any(|cap| has_cap(cap)) && !arches.iter().any(serves)
}

/// One rule for each condition if an argument has several: libseccomp takes such for alternatives,
/// and so do the profiles that are written for it.
fn add_rules(rules: &mut Vec<Rule>, field: &str, rule: &SyscallRule) -> Result<(), LowerError> {
    let action = action(&format!("{field}.action"), &rule.action, rule.errno_ret)?;
    let arguments = rule.args.as_deref().unwrap_or_default();
    let conditions = arguments
        .iter()
        .enumerate()
        .map(|(index, argument)| condition(&format!("{field}.args[{index}]"), argument));
    let conditions = conditions.collect::<Result<Vec<_>, _>>()?;
    let repeated = conditions
        .iter()
        .enumerate()
        .any(|(index, cmp)| conditions.iter().take(index).any(|earlier| earlier.arg == cmp.arg));
    let made = |conditions: Vec<Cmp>| Rule { names: rule.names.clone(), action, conditions };
    if repeated {
        rules.extend(conditions.into_iter().map(|cmp| made(vec![cmp])));
    } else {
        rules.push(made(conditions));
    }
    Ok(())
}

fn action(field: &str, name: &str, errno: Option<u32>) -> Result<Action, LowerError> {
    let errno = errno.map(|errno| {
        let narrow = u16::try_from(errno).ok().filter(|errno| *errno <= 4095);
        narrow.ok_or_else(|| value(field, errno, "an error number up to 4095"))
    });
    let errno = errno.transpose()?.unwrap_or(EPERM);
    Ok(match name {
        "SCMP_ACT_ALLOW" => Action::Allow,
        "SCMP_ACT_LOG" => Action::Log,
        "SCMP_ACT_ERRNO" => Action::Errno(errno),
        "SCMP_ACT_TRACE" => Action::Trace(errno),
        "SCMP_ACT_TRAP" => Action::Trap,
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KillThread,
        "SCMP_ACT_KILL_PROCESS" => Action::KillProcess,
        "SCMP_ACT_NOTIFY" => {
            return Err(LowerError::Unsupported { field: field.into(), value: name.into() });
        }
        other => return Err(value(field, other, "an action such as `SCMP_ACT_ERRNO`")),
    })
}

fn condition(field: &str, argument: &Argument) -> Result<Cmp, LowerError> {
    let arg = u8::try_from(argument.index).ok().filter(|index| *index < 6);
    let arg = arg.ok_or_else(|| value(format!("{field}.index"), argument.index, "below 6"))?;
    let (op, value) = match argument.op.as_str() {
        "SCMP_CMP_NE" => (Op::Ne, argument.value),
        "SCMP_CMP_LT" => (Op::Lt, argument.value),
        "SCMP_CMP_LE" => (Op::Le, argument.value),
        "SCMP_CMP_EQ" => (Op::Eq, argument.value),
        "SCMP_CMP_GE" => (Op::Ge, argument.value),
        "SCMP_CMP_GT" => (Op::Gt, argument.value),
        "SCMP_CMP_MASKED_EQ" => (Op::MaskedEq(argument.value), argument.value_two),
        other => {
            return Err(value(format!("{field}.op"), other, "an operator such as `SCMP_CMP_EQ`"));
        }
    };
    Ok(Cmp { arg, op, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Policy, LowerError> {
        let profile: Seccomp = serde_json::from_str(json).unwrap();
        policy(&profile, Arch::X86_64, &|cap| cap == "CAP_CHOWN")
    }

    #[test]
    fn dockers_conditions_count() {
        let policy = read(
            r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 2,
                "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
                            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]}],
                "syscalls": [
                  {"names": ["a"], "action": "SCMP_ACT_ALLOW", "includes": {"caps": ["CAP_CHOWN"]}},
                  {"names": ["b"], "action": "SCMP_ACT_ALLOW", "excludes": {"caps": ["CAP_CHOWN"]}},
                  {"names": ["c"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["arm64"]}},
                  {"names": ["d"], "action": "SCMP_ACT_ALLOW", "includes": {"arches": ["amd64"], "minKernel": "4.8"}}]}"#,
        )
        .unwrap();
        assert_eq!(policy.default, Action::Errno(2));
        assert_eq!(policy.arches, [Arch::X86_64, Arch::I386]);
        let names: Vec<_> = policy.rules.iter().flat_map(|rule| &rule.names).collect();
        assert_eq!(names, ["a", "d"]);
    }

    #[test]
    fn several_conditions_on_one_argument_are_alternatives() {
        let rule = r#"{"names": ["personality"], "action": "SCMP_ACT_ALLOW", "args": [
            {"index": 0, "value": 1, "op": "SCMP_CMP_EQ"}, {"index": X, "value": 2, "op": "SCMP_CMP_EQ"}]}"#;
        for (index, rules) in [("0", 2), ("1", 1)] {
            let rule = rule.replace('X', index);
            let json = format!(r#"{{"defaultAction": "SCMP_ACT_KILL", "syscalls": [{rule}]}}"#);
            assert_eq!(read(&json).unwrap().rules.len(), rules);
        }
    }

    #[test]
    fn wrong_values_are_named() {
        for (json, words) in [
            (r#"{}"#, "`linux.seccomp.defaultAction` is ``"),
            (r#"{"defaultAction": "SCMP_ACT_NOTIFY"}"#, "not supported"),
            (
                r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action":
                "SCMP_ACT_ALLOW", "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}]}"#,
                "`linux.seccomp.syscalls[0].args[0].index` is `6`",
            ),
        ] {
            let error = read(json).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}

//! libseccomp's names, as the specification lists them, and what they mean.

use creel_codec::bpf::arch::Arch;
use creel_codec::bpf::policy::{Action, Op};

use super::error::SeccompError;

const EPERM: u16 = 1;
/// `MAX_ERRNO` of the kernel's `include/linux/err.h`: it returns none above.
const MAX_ERRNO: u16 = 4095;

/// The actions.
pub(super) const ACTIONS: &[&str] = &[
    "SCMP_ACT_ALLOW",
    "SCMP_ACT_LOG",
    "SCMP_ACT_ERRNO",
    "SCMP_ACT_TRACE",
    "SCMP_ACT_NOTIFY",
    "SCMP_ACT_TRAP",
    "SCMP_ACT_KILL",
    "SCMP_ACT_KILL_THREAD",
    "SCMP_ACT_KILL_PROCESS",
];

/// The comparisons.
pub(super) const COMPARISONS: &[&str] = &[
    "SCMP_CMP_EQ",
    "SCMP_CMP_NE",
    "SCMP_CMP_LT",
    "SCMP_CMP_LE",
    "SCMP_CMP_GT",
    "SCMP_CMP_GE",
    "SCMP_CMP_MASKED_EQ",
];

/// `SECCOMP_FILTER_FLAG_SPEC_ALLOW` of `linux/seccomp.h`.
pub(super) const SPEC_ALLOW: u32 = 4;

/// The flags, with their values in `linux/seccomp.h`.
pub(super) const FLAGS: [(&str, u32); 4] = [
    ("SECCOMP_FILTER_FLAG_TSYNC", 1),
    ("SECCOMP_FILTER_FLAG_LOG", 2),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", SPEC_ALLOW),
    ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 32),
];

/// All architectures, most of them without tables here.
pub(super) const ARCHITECTURES: &[&str] = &[
    "SCMP_ARCH_X86",
    "SCMP_ARCH_X86_64",
    "SCMP_ARCH_X32",
    "SCMP_ARCH_ARM",
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_LOONGARCH64",
    "SCMP_ARCH_M68K",
    "SCMP_ARCH_MIPS",
    "SCMP_ARCH_MIPS64",
    "SCMP_ARCH_MIPS64N32",
    "SCMP_ARCH_MIPSEL",
    "SCMP_ARCH_MIPSEL64",
    "SCMP_ARCH_MIPSEL64N32",
    "SCMP_ARCH_PPC",
    "SCMP_ARCH_PPC64",
    "SCMP_ARCH_PPC64LE",
    "SCMP_ARCH_S390",
    "SCMP_ARCH_S390X",
    "SCMP_ARCH_PARISC",
    "SCMP_ARCH_PARISC64",
    "SCMP_ARCH_RISCV64",
    "SCMP_ARCH_SH",
    "SCMP_ARCH_SHEB",
];

/// Interfaces by their names in libseccomp and in Go.
const INTERFACES: [(Arch, &str, &str); 6] = [
    (Arch::X86_64, "SCMP_ARCH_X86_64", "amd64"),
    (Arch::X32, "SCMP_ARCH_X32", "x32"),
    (Arch::I386, "SCMP_ARCH_X86", "x86"),
    (Arch::Aarch64, "SCMP_ARCH_AARCH64", "arm64"),
    (Arch::Arm, "SCMP_ARCH_ARM", "arm"),
    (Arch::Riscv64, "SCMP_ARCH_RISCV64", "riscv64"),
];

/// What filters can be made of, for who wants to know.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) actions: &'static [&'static str],
    pub(crate) comparisons: &'static [&'static str],
    /// Those that there are tables of.
    pub(crate) interfaces: Vec<&'static str>,
    pub(crate) flags: Vec<&'static str>,
    /// Those of the flags that this kernel has.
    pub(crate) kernel_flags: Vec<&'static str>,
}

pub(crate) fn known() -> Known {
    let in_kernel = |(_, flag): &(&str, u32)| creel_spawn::knows_filter_flag(*flag);
    let names = |flags: &mut dyn Iterator<Item = (&'static str, u32)>| {
        flags.map(|(name, _)| name).collect::<Vec<_>>()
    };
    Known {
        actions: ACTIONS,
        comparisons: COMPARISONS,
        interfaces: INTERFACES.map(|(_, name, _)| name).to_vec(),
        flags: names(&mut FLAGS.into_iter()),
        kernel_flags: names(&mut FLAGS.into_iter().filter(in_kernel)),
    }
}

/// Writes names as a sentence.
pub(super) fn list(words: &str, names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    format!("{words} {}", names.join(", "))
}

/// The interface of one of either names, if there is a table of it.
pub(super) fn interface(name: &str) -> Option<Arch> {
    let found = INTERFACES.into_iter().find(|(_, seccomp, go)| name == *seccomp || name == *go);
    found.map(|(arch, ..)| arch)
}

/// Where an action stands. Paths of properties are written for errors only: profiles have hundreds of
/// rules.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// The default one.
    Default,
    /// That of the rule with this index.
    Rule(usize),
}

impl Place {
    fn action(self) -> String {
        match self {
            Self::Default => "linux.seccomp.defaultAction".into(),
            Self::Rule(index) => format!("linux.seccomp.syscalls[{index}].action"),
        }
    }

    fn errno(self) -> String {
        match self {
            Self::Default => "linux.seccomp.defaultErrnoRet".into(),
            Self::Rule(index) => format!("linux.seccomp.syscalls[{index}].errnoRet"),
        }
    }
}

/// The action of a name, with the error number that stands beside it, if one does.
pub(super) fn action(place: Place, name: &str, errno: Option<u32>) -> Result<Action, SeccompError> {
    let number = |most: u16| {
        let Some(value) = errno else { return Ok(EPERM) };
        let number = u16::try_from(value).ok().filter(|number| *number <= most);
        number.ok_or_else(|| SeccompError::Errno { field: place.errno(), value, most })
    };
    let action = match name {
        "SCMP_ACT_ERRNO" => return number(MAX_ERRNO).map(Action::Errno),
        "SCMP_ACT_TRACE" => return number(u16::MAX).map(Action::Trace),
        "SCMP_ACT_ALLOW" => Action::Allow,
        "SCMP_ACT_LOG" => Action::Log,
        "SCMP_ACT_NOTIFY" => Action::Notify,
        "SCMP_ACT_TRAP" => Action::Trap,
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KillThread,
        "SCMP_ACT_KILL_PROCESS" => Action::KillProcess,
        _ => return Err(SeccompError::Action { field: place.action(), value: name.into() }),
    };
    match errno {
        Some(value) => {
            Err(SeccompError::NoErrno { field: place.errno(), value, action: name.into() })
        }
        None => Ok(action),
    }
}

/// The comparison of a name, and with what it compares. That of masked bits has the mask first; bits
/// outside of it do not count.
pub(super) fn comparison(name: &str, [first, second]: [u64; 2]) -> Option<(Op, u64)> {
    Some(match name {
        "SCMP_CMP_EQ" => (Op::Eq, first),
        "SCMP_CMP_NE" => (Op::Ne, first),
        "SCMP_CMP_LT" => (Op::Lt, first),
        "SCMP_CMP_LE" => (Op::Le, first),
        "SCMP_CMP_GT" => (Op::Gt, first),
        "SCMP_CMP_GE" => (Op::Ge, first),
        "SCMP_CMP_MASKED_EQ" => (Op::MaskedEq(first), second & first),
        _ => return None,
    })
}

/// The flags of names; without a list, what runc takes.
pub(super) fn flags(names: Option<&[String]>) -> Result<u32, SeccompError> {
    let Some(names) = names else { return Ok(SPEC_ALLOW) };
    let value = |(index, name): (usize, &String)| {
        let found = FLAGS.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| *value).ok_or_else(|| SeccompError::Flag {
            field: format!("linux.seccomp.flags[{index}]"),
            value: name.clone(),
        })
    };
    names.iter().enumerate().try_fold(0, |flags, name| Ok(flags | value(name)?))
}

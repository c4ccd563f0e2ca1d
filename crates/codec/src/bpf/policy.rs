//! What a filter shall do, before it is a program.

use super::arch::{Arch, COMMON, X32_BIT};
use super::call::Call;

/// What the kernel does with a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Run it.
    Allow,
    /// Run it and log it.
    Log,
    /// Fail with this error number.
    Errno(u16),
    /// Tell the tracer.
    Trace(u16),
    /// Ask the supervisor.
    Notify,
    /// Raise `SIGSYS`.
    Trap,
    /// End the thread.
    KillThread,
    /// End the process.
    KillProcess,
}

impl Action {
    /// The `SECCOMP_RET_*` value of `linux/seccomp.h`.
    #[must_use]
    pub fn value(self) -> u32 {
        match self {
            Self::Allow => 0x7fff_0000,
            Self::Log => 0x7ffc_0000,
            Self::Trace(data) => 0x7ff0_0000 | u32::from(data),
            Self::Notify => 0x7fc0_0000,
            Self::Errno(errno) => 0x0005_0000 | u32::from(errno),
            Self::Trap => 0x0003_0000,
            Self::KillThread => 0,
            Self::KillProcess => 0x8000_0000,
        }
    }
}

/// A comparison of an argument, unsigned and of all bits that the interface has for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Op {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    /// The argument's bits under this mask equal the value.
    MaskedEq(u64),
    /// They do not.
    MaskedNe(u64),
}

/// One condition on an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cmp {
    /// Which argument, 0 to 5.
    pub arg: u8,
    /// How it is compared.
    pub op: Op,
    /// With what.
    pub value: u64,
}

impl Cmp {
    /// Whether it holds for `args` of an interface whose arguments have the bits of `word`
    /// ([`Arch::word`]).
    #[must_use]
    pub fn holds(&self, args: &[u64; 6], word: u64) -> bool {
        let Some(arg) = args.get(usize::from(self.arg)).map(|arg| arg & word) else {
            return false;
        };
        let value = self.value & word;
        match self.op {
            Op::Eq => arg == value,
            Op::Ne => arg != value,
            Op::Lt => arg < value,
            Op::Le => arg <= value,
            Op::Gt => arg > value,
            Op::Ge => arg >= value,
            Op::MaskedEq(mask) => arg & mask == value,
            Op::MaskedNe(mask) => arg & mask != value,
        }
    }
}

/// What to do with some system calls. The first rule that matches a call decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which; those an interface lacks are left out there.
    pub calls: Vec<Call>,
    /// What to do.
    pub action: Action,
    /// The rule matches if all conditions of one of these hold, and always if there is none.
    pub any_of: Vec<Vec<Cmp>>,
}

impl Rule {
    /// Whether it matches calls with these arguments, see [`Cmp::holds`].
    #[must_use]
    pub fn holds(&self, args: &[u64; 6], word: u64) -> bool {
        let all = |conditions: &Vec<Cmp>| conditions.iter().all(|cmp| cmp.holds(args, word));
        self.any_of.is_empty() || self.any_of.iter().any(all)
    }
}

/// Up to which number the author of a policy knows an interface's calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Newest {
    /// Up to the newest one in the tables here.
    InTables,
    /// Up to the newest of these. Where an interface has none of them, no call is newer.
    Of(Vec<Call>),
}

/// A whole filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// For known calls that no rule matches.
    pub default: Action,
    /// For numbers above the newest known call, which programs probe for.
    pub unknown: Action,
    /// Which one that is.
    pub newest: Newest,
    /// For interfaces not listed.
    pub bad_arch: Action,
    /// The interfaces served; those of the machine's own first, which makes their paths shortest.
    pub arches: Vec<Arch>,
    /// In order of precedence.
    pub rules: Vec<Rule>,
}

impl Policy {
    /// The number of the newest call that the policy's author knows on an interface, without that
    /// interface's bit.
    ///
    /// x32's own calls and ARM's private ones lie above the common numbers and do not grow, so they
    /// do not count.
    #[must_use]
    pub fn newest(&self, arch: Arch) -> Option<u32> {
        let common = |number: u32| Some(number & !X32_BIT).filter(|number| *number < COMMON);
        match &self.newest {
            Newest::InTables => arch.numbers().filter_map(common).max(),
            Newest::Of(calls) => {
                calls.iter().filter_map(|call| call.number(arch)).filter_map(common).max()
            }
        }
    }
}

//! What a filter shall do, before it is a program.

use super::arch::Arch;

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

/// A comparison of an argument, all 64 bits and unsigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

/// One condition on an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cmp {
    /// Which argument, 0 to 5.
    pub arg: u8,
    /// How it is compared.
    pub op: Op,
    /// With what.
    pub value: u64,
}

impl Cmp {
    /// Whether it holds for `args`.
    #[must_use]
    pub fn holds(&self, args: &[u64; 6]) -> bool {
        let Some(&arg) = args.get(usize::from(self.arg)) else { return false };
        match self.op {
            Op::Eq => arg == self.value,
            Op::Ne => arg != self.value,
            Op::Lt => arg < self.value,
            Op::Le => arg <= self.value,
            Op::Gt => arg > self.value,
            Op::Ge => arg >= self.value,
            Op::MaskedEq(mask) => arg & mask == self.value,
        }
    }
}

/// What to do with some system calls. The first rule that matches a call decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Names; those an interface lacks are left out there.
    pub names: Vec<String>,
    /// What to do.
    pub action: Action,
    /// All must hold.
    pub conditions: Vec<Cmp>,
}

/// A whole filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// For known calls that no rule matches.
    pub default: Action,
    /// For numbers above the newest known call, which programs probe for.
    pub unknown: Action,
    /// For interfaces not listed.
    pub bad_arch: Action,
    /// The interfaces served.
    pub arches: Vec<Arch>,
    /// In order of precedence.
    pub rules: Vec<Rule>,
}

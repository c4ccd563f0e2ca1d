//! Calls that 32-bit x86 also makes through one number for many, `socketcall` and `ipc`.
//!
//! Source: the kernel's `include/uapi/linux/net.h` and `include/uapi/linux/ipc.h`. Which of the many
//! is meant says the first argument; those of the call itself are in memory, where no filter sees
//! them.

use super::arch::Arch;
use super::call::Call;
use super::policy::{Action, Cmp, Op, Policy, Rule};

const SOCKETCALL: &[(&str, u64)] = &[
    ("socket", 1),
    ("bind", 2),
    ("connect", 3),
    ("listen", 4),
    ("accept", 5),
    ("getsockname", 6),
    ("getpeername", 7),
    ("socketpair", 8),
    ("send", 9),
    ("recv", 10),
    ("sendto", 11),
    ("recvfrom", 12),
    ("shutdown", 13),
    ("setsockopt", 14),
    ("getsockopt", 15),
    ("sendmsg", 16),
    ("recvmsg", 17),
    ("accept4", 18),
    ("recvmmsg", 19),
    ("sendmmsg", 20),
];

const IPC: &[(&str, u64)] = &[
    ("semop", 1),
    ("semget", 2),
    ("semctl", 3),
    ("semtimedop", 4),
    ("msgsnd", 11),
    ("msgrcv", 12),
    ("msgget", 13),
    ("msgctl", 14),
    ("shmat", 21),
    ("shmdt", 22),
    ("shmget", 23),
    ("shmctl", 24),
];

/// A number for many calls.
struct Multiplexer {
    call: Call,
    /// The bits of its first argument that tell which one is meant.
    bits: u64,
    /// The calls and what they are told by.
    calls: Vec<(Call, u64)>,
}

impl Multiplexer {
    fn of(name: &str, bits: u64, calls: &[(&str, u64)]) -> Option<Self> {
        let call = Call::find(name)?;
        let calls = calls.iter().filter_map(|(name, told)| Some((Call::find(name)?, *told)));
        Some(Self { call, bits, calls: calls.collect() })
    }

    /// What a rule says about its calls.
    fn rule(&self, rule: &Rule) -> Option<Rule> {
        let condition = |value| vec![Cmp { arg: 0, op: Op::MaskedEq(self.bits), value }];
        let meant = self.calls.iter().filter(|(call, _)| rule.calls.contains(call));
        let any_of: Vec<_> = meant.map(|(_, told)| condition(*told)).collect();
        let calls = vec![self.call];
        (!any_of.is_empty()).then_some(Rule { calls, action: rule.action, any_of })
    }
}

/// What the rules of a policy say about the calls that are made through one number; they come after
/// those that name that number itself.
///
/// A rule with conditions counts without them if it forbids, since a call that cannot be judged must
/// not slip through; if it allows, it does not count.
pub(super) fn rules(policy: &Policy, arch: Arch) -> Vec<Rule> {
    if arch != Arch::I386 {
        return Vec::new();
    }
    // The upper half of that of `ipc` is a version.
    let multiplexers =
        [Multiplexer::of("socketcall", u64::MAX, SOCKETCALL), Multiplexer::of("ipc", 0xffff, IPC)];
    let made = |rule| multiplexers.iter().flatten().filter_map(move |one| one.rule(rule));
    policy.rules.iter().filter(|rule| counts(rule)).flat_map(made).collect()
}

fn counts(rule: &Rule) -> bool {
    rule.any_of.is_empty() || !matches!(rule.action, Action::Allow | Action::Log)
}

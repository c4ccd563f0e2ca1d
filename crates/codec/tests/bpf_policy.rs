//! Compiled policies against a plain evaluation of the same ones, and what both must say.
#![allow(clippy::unwrap_used, missing_docs)]

use creel_codec::bpf::arch::{Arch, X32_BIT};
use creel_codec::bpf::call::Call;
use creel_codec::bpf::compile::compile;
use creel_codec::bpf::plain::decide;
use creel_codec::bpf::policy::{Action, Cmp, Newest, Op, Policy, Rule};
use creel_codec::bpf::run::{Data, check, run};

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize].clone()
    }

    fn value(&mut self) -> u64 {
        self.one(&[0, 1, 5, 1 << 32, (1 << 32) + 1, (5 << 32) | 5, u64::MAX, 0xffff_ffff])
    }

    fn action(&mut self) -> Action {
        use Action::{Allow, Errno, KillProcess, KillThread, Log, Notify, Trace, Trap};
        self.one(&[Allow, Errno(1), Log, Notify, Trace(3), KillProcess, KillThread, Trap])
    }

    fn cmp(&mut self) -> Cmp {
        let mask = self.value();
        let masked = [Op::MaskedEq(mask), Op::MaskedNe(mask)];
        let ops = [Op::Eq, Op::Ne, Op::Lt, Op::Le, Op::Gt, Op::Ge, masked[0], masked[1]];
        Cmp { arg: self.below(6) as u8, op: self.one(&ops), value: self.value() }
    }

    fn calls(&mut self, most: u64, calls: &[Call]) -> Vec<Call> {
        (0..self.below(most)).map(|_| self.one(calls)).collect()
    }

    fn rule(&mut self, calls: &[Call]) -> Rule {
        let all = |random: &mut Self| (0..random.below(4)).map(|_| random.cmp()).collect();
        let any_of = (0..self.below(3)).map(|_| all(self)).collect();
        Rule { calls: self.calls(6, calls), action: self.action(), any_of }
    }

    fn policy(&mut self, calls: &[Call]) -> Policy {
        let newest = match self.below(3) {
            0 => Newest::InTables,
            _ => Newest::Of(self.calls(20, calls)),
        };
        Policy {
            default: self.action(),
            unknown: self.action(),
            newest,
            bad_arch: self.action(),
            arches: Arch::ALL.into_iter().filter(|_| self.below(2) == 0).collect(),
            rules: (0..self.below(24)).map(|_| self.rule(calls)).collect(),
        }
    }

    /// Near what a policy is about, so that its rules matter.
    fn call(&mut self, policy: &Policy) -> Data {
        let arch = self.one(&Arch::ALL);
        let calls: Vec<_> = policy.rules.iter().flat_map(|rule| &rule.calls).collect();
        let named = |random: &mut Self| {
            let call = calls.get(random.below(calls.len().max(1) as u64) as usize)?;
            call.number(arch)
        };
        let bit = if self.below(3) == 0 { X32_BIT } else { 0 };
        let nr = match self.below(20) {
            0 => u32::MAX,
            1..10 => named(self).unwrap_or(0),
            _ => self.below(600) as u32 | bit,
        };
        Data { nr, arch: arch.audit(), ip: 0, args: std::array::from_fn(|_| self.value()) }
    }
}

/// All calls, and often those that are made through one number.
fn candidates() -> Vec<Call> {
    let often = ["socketcall", "ipc", "socket", "connect", "shmget", "semop", "read", "clone"];
    let often = often.iter().cycle().take(80).map(|name| Call::find(name).unwrap());
    Call::all().chain(often).collect()
}

fn agree(seed: u64, policies: usize, calls: usize) {
    let mut random = Random(seed);
    let candidates = candidates();
    for _ in 0..policies {
        let policy = random.policy(&candidates);
        let program = compile(&policy).unwrap();
        assert!(check(&program));
        for _ in 0..calls {
            let data = random.call(&policy);
            let plain = decide(&policy, &data).value();
            assert_eq!(run(&program, &data), Some(plain), "{policy:?} {data:?}");
        }
    }
}

#[test]
fn compiled_policies_decide_as_a_plain_evaluation_does() {
    for seed in [0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03, 0x2545_f491_4f6c_dd1d] {
        agree(seed, 80, 400);
    }
}

fn policy(arches: &[Arch], default: Action, rules: Vec<Rule>) -> Policy {
    Policy {
        default,
        unknown: Action::Errno(38),
        newest: Newest::InTables,
        bad_arch: Action::KillProcess,
        arches: arches.to_vec(),
        rules,
    }
}

fn rule(name: &str, action: Action, conditions: &[(u8, Op, u64)]) -> Rule {
    let all: Vec<_> = conditions
        .iter()
        .map(|(arg, op, value)| Cmp { arg: *arg, op: *op, value: *value })
        .collect();
    let any_of = if all.is_empty() { Vec::new() } else { vec![all] };
    Rule { calls: vec![Call::find(name).unwrap()], action, any_of }
}

/// What a policy says of a call, both ways.
fn says(policy: &Policy, arch: Arch, name: &str, args: [u64; 6]) -> Action {
    let data = Data { nr: arch.number(name).unwrap(), arch: arch.audit(), ip: 0, args };
    let decided = decide(policy, &data);
    assert_eq!(run(&compile(policy).unwrap(), &data), Some(decided.value()));
    decided
}

const DENY: Action = Action::Errno(13);

#[test]
fn on_32_bit_interfaces_the_upper_half_of_an_argument_does_not_count() {
    let arches = [Arch::X86_64, Arch::I386, Arch::X32];
    for (op, value, arg) in [
        (Op::Eq, 5, 1 << 40 | 5),
        (Op::Eq, u64::MAX, 0xffff_ffff),
        (Op::Lt, 6, 7 << 32 | 5),
        (Op::Ge, 5, 7),
        (Op::MaskedEq(u64::MAX), 5, 1 << 40 | 5),
    ] {
        let policy = policy(&arches, Action::Allow, vec![rule("ioctl", DENY, &[(1, op, value)])]);
        for arch in [Arch::I386, Arch::X32] {
            assert_eq!(says(&policy, arch, "ioctl", [0, arg, 0, 0, 0, 0]), DENY, "{op:?}");
        }
    }
    let equal = policy(&arches, Action::Allow, vec![rule("ioctl", DENY, &[(1, Op::Eq, 5)])]);
    let args = [0, 1 << 40 | 5, 0, 0, 0, 0];
    assert_eq!(says(&equal, Arch::X86_64, "ioctl", args), Action::Allow);
}

#[test]
fn calls_through_one_number_are_not_forgotten() {
    let i386 = [Arch::X86_64, Arch::I386];
    let through = |policy: &Policy, name: &str, call: u64| {
        says(policy, Arch::I386, name, [call, 0, 0, 0, 0, 0])
    };
    let denied = policy(
        &i386,
        Action::Allow,
        vec![
            rule("socket", DENY, &[]),
            rule("shmget", DENY, &[]),
            rule("bind", DENY, &[(0, Op::Eq, 1)]),
        ],
    );
    assert_eq!(through(&denied, "socketcall", 1), DENY);
    // Its own arguments cannot be seen.
    assert_eq!(through(&denied, "socketcall", 2), DENY);
    assert_eq!(through(&denied, "socketcall", 3), Action::Allow);
    // With a version in the upper half.
    assert_eq!(through(&denied, "ipc", 1 << 16 | 23), DENY);
    assert_eq!(through(&denied, "ipc", 22), Action::Allow);
    let allowed =
        vec![rule("socket", Action::Allow, &[]), rule("bind", Action::Allow, &[(0, Op::Eq, 1)])];
    let allowed = policy(&i386, DENY, allowed);
    assert_eq!(through(&allowed, "socketcall", 1), Action::Allow);
    assert_eq!(through(&allowed, "socketcall", 2), DENY);
    let by_name = vec![rule("socket", DENY, &[]), rule("socketcall", Action::Log, &[])];
    assert_eq!(through(&policy(&i386, DENY, by_name), "socketcall", 1), Action::Log);
}

#[test]
fn what_is_newer_than_the_policy_is_unknown() {
    let arches = [Arch::X86_64, Arch::I386, Arch::X32];
    let mut policy = policy(&arches, DENY, vec![rule("openat2", Action::Allow, &[])]);
    policy.newest = Newest::Of(vec![Call::find("openat2").unwrap()]);
    for arch in arches {
        let of = |name| says(&policy, arch, name, [0; 6]);
        assert_eq!(of("openat2"), Action::Allow, "{arch:?}");
        assert_eq!(of("close_range"), DENY, "{arch:?}");
        assert_eq!(of("pidfd_getfd"), Action::Errno(38), "{arch:?}");
    }
    // Its own ones are no newer ones.
    assert_eq!(says(&policy, Arch::X32, "execve", [0; 6]), DENY);
    policy.newest = Newest::Of(Vec::new());
    assert_eq!(says(&policy, Arch::I386, "pidfd_getfd", [0; 6]), DENY);
}

#[test]
fn interfaces_that_are_not_listed_are_killed() {
    let policy = policy(&[Arch::X86_64], Action::Allow, Vec::new());
    for arch in [Arch::I386, Arch::X32, Arch::Aarch64] {
        assert_eq!(says(&policy, arch, "read", [0; 6]), Action::KillProcess, "{arch:?}");
    }
}

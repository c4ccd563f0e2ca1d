//! The seccomp compiler against a plain evaluation of the same policy.
#![allow(clippy::unwrap_used, missing_docs)]

use creel_base::hint::Hint as _;
use creel_codec::bpf::arch::{Arch, X32_BIT};
use creel_codec::bpf::compile::{CompileError, compile};
use creel_codec::bpf::policy::{Action, Cmp, Op, Policy, Rule};
use creel_codec::bpf::profile::{self, Profile, ProfileError};
use creel_codec::bpf::run::{Data, check, run};

fn naive(policy: &Policy, data: &Data) -> Action {
    let x32 = data.arch == Arch::X86_64.audit() && data.nr >= X32_BIT;
    let wanted = |a: &&Arch| a.audit() == data.arch && (**a == Arch::X32) == x32;
    let listed = policy.arches.iter().any(|a| a.audit() == data.arch);
    if listed && data.nr == u32::MAX {
        return policy.unknown;
    }
    let Some(arch) = policy.arches.iter().find(wanted) else { return policy.bad_arch };
    let table = arch.table();
    let matches = |rule: &&Rule| {
        rule.names.iter().any(|name| table.get(name.as_str()) == Some(&data.nr))
            && rule.conditions.iter().all(|cmp| cmp.holds(&data.args))
    };
    if let Some(rule) = policy.rules.iter().find(matches) {
        return rule.action;
    }
    let newest = table.values().filter(|nr| (**nr & !X32_BIT) < 512).max().unwrap();
    let known = table.values().any(|nr| *nr == data.nr);
    if data.nr > *newest && !known { policy.unknown } else { policy.default }
}

struct Random(u64);
impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
    fn value(&mut self) -> u64 {
        [0, 1, 5, 1 << 32, (1 << 32) + 1, (5 << 32) | 5, u64::MAX, 0xffff_ffff]
            [self.below(8) as usize]
    }
    fn action(&mut self) -> Action {
        [
            Action::Allow,
            Action::Errno(1),
            Action::Log,
            Action::Notify,
            Action::Trace(3),
            Action::KillProcess,
        ][self.below(6) as usize]
    }
    fn cmp(&mut self) -> Cmp {
        let mask = self.value();
        let op = [Op::Eq, Op::Ne, Op::Lt, Op::Le, Op::Gt, Op::Ge, Op::MaskedEq(mask)]
            [self.below(7) as usize];
        Cmp { arg: self.below(6) as u8, op, value: self.value() }
    }
}

#[test]
fn compiled_policies_decide_as_a_plain_evaluation_does() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..60 {
        let arches: Vec<Arch> = Arch::ALL.into_iter().filter(|_| random.below(2) == 0).collect();
        let mut names: Vec<_> = Arch::X86_64.table().keys().copied().collect();
        names.sort_unstable();
        let rules = (0..random.below(24))
            .map(|_| Rule {
                names: (0..random.below(6))
                    .map(|_| names[random.below(names.len() as u64) as usize].to_owned())
                    .collect(),
                action: random.action(),
                conditions: (0..random.below(4)).map(|_| random.cmp()).collect(),
            })
            .collect();
        let policy = Policy {
            default: random.action(),
            unknown: random.action(),
            bad_arch: random.action(),
            arches,
            rules,
        };
        let program = compile(&policy).unwrap();
        assert!(check(&program));
        for _ in 0..400 {
            let bit = if random.below(3) == 0 { X32_BIT } else { 0 };
            let nr = if random.below(20) == 0 { u32::MAX } else { random.below(600) as u32 | bit };
            let data = Data {
                nr,
                arch: Arch::ALL[random.below(6) as usize].audit(),
                ip: 0,
                args: std::array::from_fn(|_| random.value()),
            };
            assert_eq!(
                run(&program, &data),
                Some(naive(&policy, &data).value()),
                "{policy:?} {data:?}"
            );
        }
    }
}

#[test]
fn default_profile_compiles_and_decides() {
    let profile = Profile::parse(profile::DEFAULT).unwrap();
    for arch in Arch::ALL {
        assert!(check(&profile::compile(&profile, &|_| false, arch).unwrap()), "{arch:?}");
    }
    let started = std::time::Instant::now();
    let program = profile::compile(&profile, &|_| false, Arch::X86_64).unwrap();
    println!("{} instructions in {:?}", program.len(), started.elapsed());
    let table = Arch::X86_64.table();
    let admin = profile::compile(&profile, &|cap| cap == "CAP_SYS_ADMIN", Arch::X86_64).unwrap();
    for (name, arg0, plain, with_admin) in [
        ("read", 0, Action::Allow, Action::Allow),
        ("mount", 0, Action::Errno(1), Action::Allow),
        ("clone", 0x11, Action::Allow, Action::Allow),
        ("clone", 0x1000_0000, Action::Errno(1), Action::Allow),
        ("clone3", 0, Action::Errno(38), Action::Allow),
        ("socket", 40, Action::Errno(1), Action::Errno(1)),
        ("socket", 2, Action::Allow, Action::Allow),
        ("keyctl", 0, Action::Errno(1), Action::Errno(1)),
    ] {
        let data = Data {
            nr: table[name],
            arch: Arch::X86_64.audit(),
            ip: 0,
            args: [arg0, 0, 0, 0, 0, 0],
        };
        assert_eq!(run(&program, &data), Some(plain.value()), "{name}");
        assert_eq!(run(&admin, &data), Some(with_admin.value()), "{name}");
    }
}

#[test]
fn bad_profiles_are_refused() {
    assert!(matches!(Profile::parse("permit read"), Err(ProfileError::Action { line: 1, .. })));
    assert!(matches!(Profile::parse("errno=9999 read"), Err(ProfileError::Action { .. })));
    assert!(matches!(
        Profile::parse("allow arch=z80 read"),
        Err(ProfileError::Architecture { .. })
    ));
    for text in [
        "allow read : arg6 == 1",
        "allow read : arg0 = 1",
        "allow read : arg0 == x",
        "allow read :",
        "allow read : arg0 == 1,",
    ] {
        assert!(matches!(Profile::parse(text), Err(ProfileError::Condition { .. })), "{text}");
    }
    for text in ["allow=1 read", "errno read", "errno=-1 read", "default", "default allow read"] {
        assert!(matches!(Profile::parse(text), Err(ProfileError::Action { .. })), "{text}");
    }
    let long = "#".repeat((1 << 20) + 1);
    assert_eq!(Profile::parse(&long), Err(ProfileError::TooLong));
}

#[test]
fn misspelt_names_are_refused_with_a_hint() {
    let call = |word: &str| ProfileError::Call { line: 2, word: word.to_owned() };
    let capability = |word: &str| ProfileError::Capability { line: 2, word: word.to_owned() };
    for (line, expected) in [
        ("errno=1 read moutn", call("moutn")),
        ("allow READ", call("READ")),
        ("allow caps=CAP_BPF bpf", call("caps=CAP_BPF")),
        ("allow cap=CAP_SYS_ADM1N mount", capability("CAP_SYS_ADM1N")),
        ("allow !cap=SYS_ADMIN mount", capability("SYS_ADMIN")),
        ("allow", ProfileError::NoCall { line: 2 }),
        ("allow cap=CAP_BPF", ProfileError::NoCall { line: 2 }),
    ] {
        let error = Profile::parse(&format!("default allow\n{line}")).unwrap_err();
        assert!(error.hint().is_some());
        assert_eq!(error, expected, "{line}");
    }
}

#[test]
fn tables_differ_where_the_kernels_do() {
    for (arch, name, number) in [
        (Arch::X86_64, "read", Some(0)),
        (Arch::X86_64, "uretprobe", Some(335)),
        (Arch::I386, "uretprobe", None),
        (Arch::Aarch64, "read", Some(63)),
        (Arch::X32, "execve", Some(X32_BIT | 520)),
        (Arch::X86_64, "memfd_secret", Some(447)),
        (Arch::Arm, "memfd_secret", None),
        (Arch::X86_64, "map_shadow_stack", Some(453)),
        (Arch::X32, "map_shadow_stack", None),
        (Arch::Riscv64, "riscv_hwprobe", Some(258)),
        (Arch::Arm, "removexattrat", Some(466)),
    ] {
        assert_eq!(arch.table().get(name).copied(), number, "{arch:?} {name}");
    }
}

#[test]
fn seccomp_profile_seeds_read_as_named() {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/seccomp_profile");
    let good = ["default", "actions", "conditions", "architectures", "too_long"];
    let mut count = 0;
    for entry in std::fs::read_dir(seeds).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let bytes = std::fs::read(&path).unwrap();
        profile::fuzz(&bytes);
        // What the fuzzer has found has no name that says what it is.
        if name.starts_with("found-") {
            continue;
        }
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(Profile::parse(&text).is_ok(), good.contains(&name), "{name}");
        count += 1;
    }
    assert!(count >= 10);
}

/// Every call with every condition would be gigabytes of instructions.
#[test]
fn filters_too_long_for_the_kernel_are_refused_early() {
    let mut names: Vec<_> = Arch::X86_64.table().keys().copied().collect();
    names.sort_unstable();
    let condition = "arg0 == 1 , ".repeat(80_000);
    let text = format!("allow {} : {condition} arg0 == 1", names.join(" "));
    let profile = Profile::parse(&text).unwrap();
    let error = profile::compile(&profile, &|_| false, Arch::X86_64).unwrap_err();
    assert!(matches!(error, CompileError::TooLong(..1_000_000)), "{error:?}");
    assert!(error.hint().is_some());
}

//! Profiles of creel's own format and what they compile to.
#![allow(clippy::unwrap_used, missing_docs)]

use creel_base::hint::Hint as _;
use creel_codec::bpf::arch::{Arch, X32_BIT};
use creel_codec::bpf::call::Call;
use creel_codec::bpf::compile::CompileError;
use creel_codec::bpf::policy::Action;
use creel_codec::bpf::profile::{self, Profile, ProfileError};
use creel_codec::bpf::run::{Data, check, run};

#[test]
fn default_profile_compiles_and_decides() {
    let profile = Profile::parse(profile::DEFAULT).unwrap();
    for arch in Arch::ALL {
        assert!(check(&profile::compile(&profile, &|_| false, arch).unwrap()), "{arch:?}");
    }
    let started = std::time::Instant::now();
    let program = profile::compile(&profile, &|_| false, Arch::X86_64).unwrap();
    println!("{} instructions in {:?}", program.len(), started.elapsed());
    let admin = profile::compile(&profile, &|cap| cap == "CAP_SYS_ADMIN", Arch::X86_64).unwrap();
    for (name, arg0, plain, with_admin) in [
        ("read", 0, Action::Allow, Action::Allow),
        ("mount", 0, Action::Errno(1), Action::Allow),
        ("clone", 0x11, Action::Allow, Action::Allow),
        ("clone", 0x1000_0000, Action::Errno(1), Action::Allow),
        ("clone3", 0, Action::Errno(38), Action::Allow),
        ("socket", 40, Action::Errno(1), Action::Errno(1)),
        // The kernel reads 32 bits of it.
        ("socket", 1 << 32 | 40, Action::Errno(1), Action::Errno(1)),
        ("socket", 2, Action::Allow, Action::Allow),
        ("keyctl", 0, Action::Errno(1), Action::Errno(1)),
    ] {
        let data = Data {
            nr: Arch::X86_64.number(name).unwrap(),
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
        (Arch::Arm, "clock_gettime64", Some(403)),
        (Arch::Aarch64, "clock_gettime64", None),
        (Arch::X86_64, "uprobe", Some(336)),
        (Arch::X32, "uprobe", None),
        (Arch::I386, "listns", Some(470)),
    ] {
        assert_eq!(arch.number(name), number, "{arch:?} {name}");
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
    let names: Vec<_> = Call::all().map(Call::name).collect();
    let condition = "arg0 == 1 , ".repeat(80_000);
    let text = format!("allow {} : {condition} arg0 == 1", names.join(" "));
    let profile = Profile::parse(&text).unwrap();
    let error = profile::compile(&profile, &|_| false, Arch::X86_64).unwrap_err();
    assert!(matches!(error, CompileError::TooLong(..1_000_000)), "{error:?}");
    assert!(error.hint().is_some());
}

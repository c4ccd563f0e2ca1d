//! What policies mean, by what their programs return.
#![allow(clippy::unwrap_used)] // in the helpers of tests

use std::collections::HashMap;
use std::io;

use creel_base::hint::Hint as _;
use creel_sandbox::policy::bpf::arch::{Arch, X32_BIT};
use creel_sandbox::policy::bpf::policy::Action;
use creel_sandbox::policy::bpf::run::{Data, check, run, trace};
use creel_sandbox::policy::{
    Files, Found, Meaning, PolicyError, Rules, Settings, Trace, action_words, compile, read,
};

const KILL: Action = Action::KillProcess;
const EACCES: Action = Action::Errno(13);
const EBADF: Action = Action::Errno(9);

/// Files by name.
#[derive(Default)]
struct Memory(HashMap<&'static str, &'static str>);

impl Files for Memory {
    fn read(&mut self, _: &str, path: &str) -> io::Result<Found> {
        let text = self.0.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Found { name: path.to_owned(), text: (*text).to_owned() })
    }
}

fn settings(meaning: Meaning) -> Settings {
    Settings { meaning, ..Settings::of(Arch::X86_64) }
}

fn rules(text: &str) -> Result<Rules, PolicyError> {
    read("p", text, &settings(Meaning::Launcher), &mut Memory::default())
}

/// What the program of rules returns.
fn returned(rules: &Rules, name: &str, args: &[u64]) -> Action {
    let program = compile(rules).unwrap();
    assert!(check(&program));
    let mut data = Data { arch: rules.arch.audit(), ..Data::default() };
    data.nr = rules.arch.number(name).unwrap();
    data.args[..args.len()].copy_from_slice(args);
    let value = run(&program, &data).unwrap();
    let actions =
        [Action::Allow, Action::Log, KILL, Action::KillThread, Action::Trap, Action::Notify];
    let errors = (0..4096).map(Action::Errno).chain([Action::Trace(0)]);
    actions.into_iter().chain(errors).find(|action| action.value() == value).unwrap()
}

#[track_caller]
fn assert_returns(text: &str, name: &str, cases: &[(&[u64], Action)]) {
    let rules = rules(text).unwrap();
    for (args, action) in cases {
        assert_eq!(returned(&rules, name, args), *action, "{text} {args:x?}");
    }
}

#[test]
fn operators_compare_64_bits_without_sign() {
    let big = 1 << 40;
    assert_returns("read: arg0 == 5", "read", &[(&[5], Action::Allow), (&[big | 5], KILL)]);
    assert_returns("read: arg0 != 5", "read", &[(&[5], KILL), (&[big | 5], Action::Allow)]);
    assert_returns(
        "read: arg0 < 5",
        "read",
        &[(&[4], Action::Allow), (&[5], KILL), (&[big], KILL)],
    );
    assert_returns(
        "read: arg0 <= 5",
        "read",
        &[(&[5], Action::Allow), (&[6], KILL), (&[big], KILL)],
    );
    assert_returns(
        "read: arg0 > -2",
        "read",
        &[(&[u64::MAX], Action::Allow), (&[u64::MAX - 1], KILL)],
    );
    assert_returns(
        "read: arg0 >= 0x5",
        "read",
        &[(&[5], Action::Allow), (&[big], Action::Allow), (&[4], KILL)],
    );
    assert_returns(
        "read: arg5 & 6",
        "read",
        &[(&[0, 0, 0, 0, 0, 12], Action::Allow), (&[0, 0, 0, 0, 0, 1], KILL)],
    );
    assert_returns(
        "read: arg0 in 6",
        "read",
        &[(&[0], Action::Allow), (&[4], Action::Allow), (&[5], KILL), (&[big], KILL)],
    );
    assert_returns(
        "read: arg0 in ~PROT_EXEC",
        "read",
        &[(&[big | 3], Action::Allow), (&[7], KILL)],
    );
}

#[test]
fn values_are_numbers_names_and_sums_of_them() {
    for value in ["11", "0xb", "013", "0XB", "1|2|8", "(1|2)|8", "PROT_READ | PROT_WRITE|8", "~~0"]
    {
        let read = rules(&format!("read: arg0 == {value}"));
        match value {
            "~~0" => assert!(read.is_err()),
            _ => assert_eq!(returned(&read.unwrap(), "read", &[11]), Action::Allow, "{value}"),
        }
    }
    assert_returns("read: arg0 == ~(1|~3)", "read", &[(&[2], Action::Allow)]);
    assert_returns(
        "read: arg0 == -1",
        "read",
        &[(&[u64::MAX], Action::Allow), (&[0xffff_ffff], KILL)],
    );
    assert_returns("read: arg0 == 18446744073709551615", "read", &[(&[u64::MAX], Action::Allow)]);
    for bad in
        ["08", "0x", "1x", "18446744073709551616", "-9223372036854775809", "--1", "", "(1", "1|"]
    {
        assert!(rules(&format!("read: arg0 == {bad}")).is_err(), "{bad}");
    }
}

#[test]
fn expressions_are_sums_of_products() {
    let text = "openat: arg0 == 1 && arg1 == 2 || arg0 == 3 \\\n && arg2 & O_CREAT";
    let cases: &[(&[u64], Action)] = &[
        (&[1, 2], Action::Allow),
        (&[3, 0, 0x40], Action::Allow),
        (&[1, 3], KILL),
        (&[3, 2], KILL),
    ];
    assert_returns(text, "openat", cases);
}

#[test]
fn an_error_after_an_expression_is_for_the_calls_that_the_reader_says() {
    let text = "read: arg0 == 0; return EBADF";
    assert_returns(text, "read", &[(&[0], Action::Allow), (&[1], EBADF)]);
    let compiled = read("p", text, &settings(Meaning::Compiler), &mut Memory::default()).unwrap();
    assert_eq!(returned(&compiled, "read", &[0]), EBADF);
    assert_eq!(returned(&compiled, "read", &[1]), KILL);
    assert!(compiled.remarks[0].to_string().starts_with("p:1:1: minijail0 and its compiler"));
    let braced = "read: {arg0 == 0; return EBADF}";
    for meaning in [Meaning::Launcher, Meaning::Compiler] {
        let rules = read("p", braced, &settings(meaning), &mut Memory::default()).unwrap();
        assert_eq!((returned(&rules, "read", &[0]), returned(&rules, "read", &[1])), (EBADF, KILL));
        assert!(rules.remarks.is_empty());
    }
}

#[test]
fn groups_try_one_after_the_other() {
    let text = "{read, write}: { arg0 == 0, arg0 < 3; return EACCES, arg0 == 9; log, return 9 }";
    let cases: &[(&[u64], Action)] =
        &[(&[0], Action::Allow), (&[2], EACCES), (&[9], Action::Log), (&[10], EBADF)];
    assert_returns(text, "read", cases);
    assert_returns(text, "write", cases);
    // minijail's compiler forgets the conditions here and lets all calls through.
    assert_returns(
        "read: {arg0 == 1; return EBADF, allow}",
        "read",
        &[(&[1], EBADF), (&[2], Action::Allow)],
    );
}

#[test]
fn several_lines_on_a_call_count_as_the_reader_says() {
    let text = "read: arg0 == 1\nread: arg0 == 2\nread: return EBADF";
    let first = rules(text).unwrap();
    assert_eq!(
        (returned(&first, "read", &[1]), returned(&first, "read", &[2])),
        (Action::Allow, KILL)
    );
    assert_eq!(first.remarks.len(), 2);
    assert!(first.remarks[0].to_string().contains("p:2:1: `read` is decided about in p:1"));
    let all = read("p", text, &settings(Meaning::Compiler), &mut Memory::default()).unwrap();
    let actions = [1, 2, 3].map(|arg| returned(&all, "read", &[arg]));
    assert_eq!(actions, [Action::Allow, Action::Allow, EBADF]);
}

#[test]
fn what_is_not_named_gets_the_default() {
    assert_returns("", "read", &[(&[], KILL)]);
    assert_returns("@default trap\nwrite: 1", "read", &[(&[], Action::Trap)]);
    assert_returns("@denylist\nread: return EACCES", "write", &[(&[], Action::Allow)]);
    let denied = "@denylist\nread: arg0 == 1; return EACCES";
    assert_returns(denied, "read", &[(&[1], EACCES), (&[2], Action::Allow)]);
    let log = Settings { log: true, ..settings(Meaning::Launcher) };
    let logged = read("p", "nothing: 1\nread: arg0 == 1", &log, &mut Memory::default()).unwrap();
    assert_eq!(
        (returned(&logged, "read", &[2]), returned(&logged, "write", &[])),
        (Action::Log, Action::Log)
    );
    assert!(logged.remarks[0].to_string().contains("`nothing` is no system call here"));
}

#[test]
fn other_interfaces_get_nothing_through() {
    for text in ["read: 1", "@denylist\nread: return EACCES", "@default trap"] {
        let program = compile(&rules(text).unwrap()).unwrap();
        let x32 = Data { nr: X32_BIT, arch: Arch::X86_64.audit(), ..Data::default() };
        let i386 = Data { nr: 3, arch: Arch::I386.audit(), ..Data::default() };
        assert_eq!(run(&program, &x32), Some(KILL.value()), "{text}");
        assert_eq!(run(&program, &i386), Some(KILL.value()), "{text}");
    }
}

#[test]
fn lines_for_other_architectures_are_left_out() {
    let text = "mmap2[arch=arm,x86]: 1\nread[arch=x86_64]: 1\nopenat[arch=arm64]: return 9";
    assert_returns(text, "read", &[(&[], Action::Allow)]);
    assert_returns(text, "openat", &[(&[], KILL)]);
    let arm = read("p", text, &Settings::of(Arch::Aarch64), &mut Memory::default()).unwrap();
    assert_eq!(returned(&arm, "openat", &[]), EBADF);
    let both = "openat: arg2 == O_DIRECTORY";
    let arm = read("p", both, &Settings::of(Arch::Aarch64), &mut Memory::default()).unwrap();
    assert_eq!(returned(&arm, "openat", &[0, 0, 0o4_0000]), Action::Allow);
    assert_returns(both, "openat", &[(&[0, 0, 0o20_0000], Action::Allow)]);
}

fn included(files: &[(&'static str, &'static str)], text: &str) -> Result<Rules, PolicyError> {
    let mut files = Memory(files.iter().copied().collect());
    read("p", text, &settings(Meaning::Compiler), &mut files)
}

#[test]
fn files_include_files() {
    let files =
        [("./a", "@include /b\nread: 1"), ("/b", "write: arg0 == 1"), ("./n", "write: 7\nread: 3")];
    let rules = included(&files, "@frequency ./n\n@include ./a\nwrite: arg0 == 2").unwrap();
    assert_eq!(returned(&rules, "read", &[]), Action::Allow);
    let actions = [1, 2, 3].map(|arg| returned(&rules, "write", &[arg]));
    assert_eq!(actions, [Action::Allow, Action::Allow, KILL]);
    let counts: Vec<_> = rules.decisions.iter().map(|decision| decision.frequency).collect();
    assert_eq!(counts, [Some(7), Some(3)]);
}

#[test]
fn errors_name_the_place_and_what_to_write() {
    let files = [
        ("./a", "@include ./b"),
        ("./b", "\n@include ./a"),
        ("./c", "read: 1\nwrite: arg0 = 1"),
        ("./d", "@include ./d"),
    ];
    let cases = [
        (
            "read: 1\n  raed: 1",
            "p:2:3: `raed` is no system call of this architecture",
            "did you mean `read`?",
        ),
        ("read: arg0 == O_RDONY", "p:1:15: `O_RDONY` is no constant", "did you mean `O_RDONLY`?"),
        ("read: arg6 == 1", "p:1:7: `arg6` is no argument", "`arg0` to `arg5`"),
        ("read: arg0 = 1", "p:1:12: `=` stands where `OPERATOR` should", "argN OP VALUE"),
        ("read: arg0 == 1 &&", "p:1:19: `ARGUMENT` is missing before the end", "argN OP VALUE"),
        ("read 1", "p:1:6: `1` stands where `:` should", "NAME: 1"),
        ("read:", "p:1:6: `ACTION` is missing", "NAME: 1"),
        ("read: perhaps", "p:1:7: `perhaps` is no action", "`return ERRNO`"),
        ("read: return 4096", "p:1:14: `4096` is no error number", "up to 4095"),
        ("read: 1 1", "p:1:9: `1` stands where `the end of the line` should", "NAME: 1"),
        ("read: arg0 == 1 \u{2264} 2", "p:1:17: `\u{2264}` means nothing", "openat"),
        ("read: 1 \\", "p:1:9: the file ends", "backslash"),
        ("# no \\\nread: 1", "p:1:1: a comment ends with a backslash", "begin the next line"),
        ("@default allow", "p:1:1: a call that nothing is said about", "`@denylist`"),
        ("@allow all", "p:1:1: `@allow` is no directive", "`@include`"),
        ("@denylist\nread: 1", "p:2:7: a denylist says", "return EPERM"),
        ("base@system: 1", "p:1:1: there is no group", "{read, write}: 1"),
        ("read[os=linux]: 1", "p:1:6: `os` is no key", "[arch=NAME]"),
        (
            "read: 1\nread: return 1",
            "p:2:1: two rules without a condition decide about `read`, the other one in p:1",
            "remove",
        ),
        ("@include c", "p:1:10: a path must begin", "./NAME"),
        ("@include ./c", "./c:2:13: `=` stands", "argN OP VALUE"),
        ("@include ./none", "p:1:10: `./none` cannot be read: ", ""),
        ("@include ./a", "./b:2:10: `./a` includes itself", "@include"),
        ("@include ./d", "./d:1:10: `./d` includes itself", "@include"),
        (
            "read: arg0 == ((((((((((((((((((((((((((((((((((1))))))))))))))))))))))))))))))))))",
            "deeper than `32`",
            "one number",
        ),
    ];
    for (text, words, hint) in cases {
        let error = included(&files, text).unwrap_err();
        let (said, advised) = (error.to_string(), error.hint().unwrap_or_default());
        assert!(said.contains(words), "{text}: {said}");
        assert!(advised.contains(hint), "{text}: {advised}");
    }
    let ambiguous = rules("read: arg0 == 1; trap").unwrap_err();
    assert!(ambiguous.to_string().starts_with("p:1:18: minijail's two readers"), "{ambiguous}");
    assert!(
        included(&[], &"read: 1\n".repeat(1 << 20))
            .unwrap_err()
            .to_string()
            .contains("longer than")
    );
}

#[test]
fn what_does_not_do_what_it_looks_like_is_told() {
    let said = |text: &str| {
        rules(text).unwrap().remarks.iter().map(ToString::to_string).collect::<String>()
    };
    assert!(said("openat: arg2 & O_RDONLY").contains("`arg2 & O_RDONLY` never holds"));
    assert!(said("openat: arg0 == -100").contains("`arg0 == -100` compares 64 bits"));
    assert_eq!(said("openat: arg2 in O_CREAT\nread: 1"), "");
}

#[test]
fn a_trace_becomes_a_policy_that_allows_it() {
    let mut trace = Trace::default();
    trace.add(
        "12 read(0x3, 0x7ffe, 0x340) = 0x340\n12 read(0x3, 0x7ffe, 0x340) = 0\n[pid 13] ioctl(1, TCGETS, 0x7f) = 0\n\
         mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE, -1, 0) = 0x7f\n\
         openat(AT_FDCWD, \"/x,y(\", O_RDONLY) = 3\n+++ exited with 0 +++\n\
         type=SECCOMP msg=audit(1:2): auid=0 comm=\"a\" sig=0 arch=c000003e syscall=39 compat=0\n\
         type=SYSCALL msg=audit(1:2): arch=c000003e syscall=41 success=yes a0=10 a1=2\n",
    );
    assert_eq!(trace.skipped, 1);
    let policy = trace.policy();
    assert_eq!(
        policy,
        "read: 1\nexit: 1\nexit_group: 1\ngetpid: 1\nioctl: arg1 == TCGETS\n\
         mmap: arg2 in ~PROT_EXEC || arg2 in ~PROT_WRITE\nopenat: 1\nrestart_syscall: 1\nrt_sigreturn: 1\n\
         socket: arg0 == 0x10\n"
    );
    assert_returns(&policy, "ioctl", &[(&[1, 0x5401], Action::Allow), (&[1, 0x5412], KILL)]);
    assert_returns(&policy, "mmap", &[(&[0, 0, 5], Action::Allow), (&[0, 0, 6], KILL)]);
    assert!(trace.frequencies().contains("read: 2\n"));
}

#[test]
fn a_policy_is_explained_in_the_order_of_names() {
    let rules =
        rules("write: arg0 == 1; return EBADF\nread: 1\nopenat: arg2 in O_CLOEXEC | 3").unwrap();
    let expected = "openat    allow if arg2 in O_CLOEXEC|3, else kill-process\n\
                    read      allow\n\
                    write     allow if arg0 == 1, else return EBADF\n\
                    (others)  kill-process\n";
    assert_eq!(rules.explained(), expected);
    let write = creel_sandbox::policy::bpf::call::Call::find("write").unwrap();
    let decided = rules.decide(write, &[2, 0, 0, 0, 0, 0]);
    assert_eq!(
        (action_words(decided.action), decided.place),
        ("return EBADF".into(), Some("p:1".into()))
    );
}

#[test]
fn paths_are_short_for_many_calls() {
    let calls: Vec<_> = creel_sandbox::policy::bpf::call::Call::all()
        .filter(|call| call.number(Arch::X86_64).is_some_and(|number| number % 2 == 0))
        .collect();
    let text: String = calls.iter().map(|call| format!("{}: 1\n", call.name())).collect();
    let program = compile(&rules(&text).unwrap()).unwrap();
    let longest = (0..512).map(|nr| {
        let data = Data { nr, arch: Arch::X86_64.audit(), ..Data::default() };
        trace(&program, &data).unwrap().1
    });
    // One comparison a call would be some 190.
    assert!(longest.max().unwrap() <= 14);
}

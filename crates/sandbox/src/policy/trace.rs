//! What a program was seen to do, as a policy.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use creel_codec::bpf::arch::Arch;
use creel_codec::bpf::call::Call;

/// The most different values of an argument that a policy lists.
const MAX_VALUES: usize = 64;
/// What every program needs sooner or later, though a trace may end before.
const ALWAYS: [&str; 4] = ["restart_syscall", "exit", "exit_group", "rt_sigreturn"];
/// Calls that are many in one, and the argument that says which.
const TOLD_BY: [(&str, usize); 6] =
    [("socket", 0), ("ioctl", 1), ("prctl", 0), ("mmap", 2), ("mmap2", 2), ("mprotect", 2)];
/// `PROT_WRITE` and `PROT_EXEC`.
const WRITE_AND_EXECUTE: u64 = 6;

/// Calls that were seen.
#[derive(Debug, Default)]
pub struct Trace {
    seen: BTreeMap<String, Seen>,
    /// How many lines had no call in them.
    pub skipped: usize,
}

#[derive(Debug, Default)]
struct Seen {
    times: u64,
    /// Values of the argument that tells what the call does, as they were written.
    values: BTreeSet<String>,
}

impl Trace {
    /// Adds what `strace -f` or the audit log of the kernel wrote.
    pub fn add(&mut self, text: &str) {
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            if self.audited(line) || self.traced(line).is_some() {
                continue;
            }
            self.skipped += 1;
        }
    }

    /// Whether no call was seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// Reads `[pid 12] openat(AT_FDCWD, "x", O_RDONLY) = 3`, with numbers or names.
    fn traced(&mut self, line: &str) -> Option<()> {
        let line = line.trim_start();
        let line = match line.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?.1,
            None => line.trim_start_matches(|c: char| c.is_ascii_digit()),
        };
        let (name, rest) = line.trim_start().split_once('(')?;
        let call = Call::find(name)?;
        let arguments: Vec<&str> = arguments(rest);
        let seen = self.seen.entry(call.name().to_owned()).or_default();
        seen.times = seen.times.saturating_add(1);
        if let Some((_, index)) = TOLD_BY.iter().find(|(told, _)| *told == name)
            && let Some(value) = arguments.get(*index)
        {
            seen.values.insert((*value).to_owned());
        }
        Some(())
    }

    /// Reads a line with `type=SECCOMP` or `type=SYSCALL`; whether it is one.
    fn audited(&mut self, line: &str) -> bool {
        let field = |name: &str| {
            line.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
        };
        let kind = field("type");
        if !matches!(kind, Some("SECCOMP" | "SYSCALL" | "1326" | "1300")) {
            return false;
        }
        let audit = field("arch").and_then(|arch| u32::from_str_radix(arch, 16).ok());
        let arch = Arch::ALL.into_iter().find(|arch| Some(arch.audit()) == audit);
        let number = field("syscall").and_then(|number| number.parse().ok());
        let call = arch.zip(number).and_then(|(arch, number)| Call::numbered(arch, number));
        let Some(call) = call else { return false };
        let seen = self.seen.entry(call.name().to_owned()).or_default();
        seen.times = seen.times.saturating_add(1);
        let told_by = TOLD_BY.iter().find(|(told, _)| *told == call.name());
        let value = told_by.and_then(|(_, index)| field(&format!("a{index}")));
        seen.values.extend(value.map(|value| format!("0x{value}")));
        true
    }

    /// The policy that allows what was seen, the most frequent call first.
    #[must_use]
    pub fn policy(&self) -> String {
        let mut lines: Vec<_> =
            self.seen.iter().map(|(name, seen)| (seen.times, name.as_str(), seen)).collect();
        let none = Seen { times: 1, values: BTreeSet::new() };
        let missing = ALWAYS.iter().filter(|name| !self.seen.contains_key(**name));
        lines.extend(missing.map(|name| (1, *name, &none)));
        lines.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
        let mut text = String::new();
        for (_, name, seen) in lines {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{name}: {}", seen.condition(name));
        }
        text
    }

    /// How often each call was seen, for `@frequency`.
    #[must_use]
    pub fn frequencies(&self) -> String {
        let lines = self.seen.iter().map(|(name, seen)| format!("{name}: {}\n", seen.times));
        lines.collect()
    }
}

impl Seen {
    fn condition(&self, name: &str) -> String {
        let told_by = TOLD_BY.iter().find(|(told, _)| *told == name);
        let Some((_, index)) = told_by.filter(|_| !self.values.is_empty()) else {
            return "1".into();
        };
        let protects = ["mmap", "mmap2", "mprotect"].contains(&name);
        if protects && !self.values.iter().any(|value| writes_and_executes(value)) {
            return format!("arg{index} in ~PROT_EXEC || arg{index} in ~PROT_WRITE");
        }
        // What a policy cannot name, such as the flags' sum in other words, is no value.
        if self.values.len() > MAX_VALUES || !self.values.iter().all(|value| is_value(value)) {
            return "1".into();
        }
        let tests = self.values.iter().map(|value| format!("arg{index} == {value}"));
        tests.collect::<Vec<_>>().join(" || ")
    }
}

/// The arguments up to the closing parenthesis, as far as no string has a comma in it: those that matter
/// are numbers and come before any.
fn arguments(rest: &str) -> Vec<&str> {
    let end = rest.find([')', '<']).unwrap_or(rest.len());
    rest.get(..end).unwrap_or_default().split(',').map(str::trim).collect()
}

fn writes_and_executes(value: &str) -> bool {
    match number(value) {
        Some(value) => value & WRITE_AND_EXECUTE == WRITE_AND_EXECUTE,
        None => ["PROT_WRITE", "PROT_EXEC"]
            .iter()
            .all(|name| value.split('|').any(|flag| flag.trim() == *name)),
    }
}

fn number(value: &str) -> Option<u64> {
    match value.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => value.parse().ok(),
    }
}

/// Whether a policy can have it as a value.
fn is_value(value: &str) -> bool {
    let is_in = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '|';
    !value.is_empty() && value.chars().all(is_in)
}

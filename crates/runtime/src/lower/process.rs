//! Lowering of `process`, for a container's first process and for those that join it.

use std::collections::BTreeSet;

use creel_codec::bpf::capability;
use creel_spawn::{Capabilities, Limit, LineEnds, Process, Stdio};

use super::error::{LowerError, value};
use super::linux::absolute;
use super::{missing, tuning};
use crate::defaults;
use crate::seccomp::Filter;
use crate::spec::{self, Rlimit, Seccomp};

/// What a process without a `umask` has (`config.md`: "unspecified"; all runtimes do this).
const UMASK: u32 = 0o022;
/// `RLIMIT_*` of `asm-generic/resource.h`, in the order of their numbers.
const RLIMITS: [&str; 16] = [
    "RLIMIT_CPU",
    "RLIMIT_FSIZE",
    "RLIMIT_DATA",
    "RLIMIT_STACK",
    "RLIMIT_CORE",
    "RLIMIT_RSS",
    "RLIMIT_NPROC",
    "RLIMIT_NOFILE",
    "RLIMIT_MEMLOCK",
    "RLIMIT_AS",
    "RLIMIT_LOCKS",
    "RLIMIT_SIGPENDING",
    "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE",
    "RLIMIT_RTPRIO",
    "RLIMIT_RTTIME",
];

/// Lowers a process; `seccomp` is `linux.seccomp` of its container, which `filter` may override.
///
/// Its standard descriptors are those of the caller, or a new terminal if it asks for one.
///
/// # Errors
/// Names the first property that is missing or wrong.
pub fn lower_process(
    process: &spec::Process,
    seccomp: Option<&Seccomp>,
    filter: &Filter,
) -> Result<Process, LowerError> {
    absolute("process.cwd".into(), &process.cwd)?;
    let program = process.args.first().ok_or_else(|| missing("process.args"))?;
    variables("process.env", &process.env)?;
    if let Some(index) = process.args.iter().position(|argument| argument.contains('\0')) {
        return Err(value(format!("process.args[{index}]"), "…\0…", "text without null bytes"));
    }
    check_user(&process.user)?;
    let umask = process.user.umask.unwrap_or(UMASK);
    if umask > 0o777 {
        return Err(value("process.user.umask", umask, "permission bits"));
    }
    let capabilities = capabilities(process.capabilities.as_ref());
    Ok(Process {
        seccomp: filter.program(seccomp, &capabilities.bounding)?,
        capabilities,
        no_new_privileges: process.no_new_privileges,
        uid: process.user.uid,
        gid: process.user.gid,
        groups: process.user.additional_gids.clone(),
        setgroups_denied: false,
        landlock: None,
        umask,
        cwd: process.cwd.clone(),
        candidates: candidates(program, &process.env),
        argv: process.args.clone(),
        env: process.env.clone(),
        stdio: stdio(process)?,
        limits: limits(&process.rlimits)?,
        oom_score: process.oom_score_adj.map(oom_score).transpose()?,
        tuning: tuning::lower(process)?,
        shares_keyring: false,
        preserved: Vec::new(),
        hold: None,
    })
}

fn check_user(user: &spec::User) -> Result<(), LowerError> {
    id("process.user.uid".into(), user.uid)?;
    id("process.user.gid".into(), user.gid)?;
    let mut groups = user.additional_gids.iter().enumerate();
    groups.try_for_each(|(index, gid)| id(format!("process.user.additionalGids[{index}]"), *gid))
}

/// The last number is no id: calls that change ids take it for "leave it as it is", which is root.
pub(super) fn id(field: String, id: u32) -> Result<(), LowerError> {
    if id == u32::MAX { Err(value(field, id, "an id below 4294967295")) } else { Ok(()) }
}

/// Fails unless all are `NAME=value`.
pub(super) fn variables(field: &str, env: &[String]) -> Result<(), LowerError> {
    let wrong = env.iter().enumerate().find(|(_, entry)| !is_variable(entry));
    let error = |(index, entry): (usize, &String)| {
        Err(value(format!("{field}[{index}]"), entry, "`NAME=value`"))
    };
    wrong.map_or(Ok(()), error)
}

fn is_variable(entry: &str) -> bool {
    entry.find('=').is_some_and(|at| at > 0) && !entry.contains('\0')
}

/// Where the program may be, as `execvp(3)` looks for it with the container's own `PATH`.
fn candidates(program: &str, env: &[String]) -> Vec<String> {
    if program.contains('/') {
        return vec![program.into()];
    }
    let path = env.iter().rev().find_map(|entry| entry.strip_prefix("PATH="));
    let directories = path.unwrap_or(defaults::PATH).split(':');
    let join = |directory: &str| match directory {
        "" => format!("./{program}"),
        directory => format!("{directory}/{program}"),
    };
    directories.map(join).collect()
}

fn stdio(process: &spec::Process) -> Result<Stdio, LowerError> {
    if !process.terminal {
        return Ok(Stdio::Inherit);
    }
    let size = process.console_size.unwrap_or_default();
    let short = |field: &str, length: u32| {
        u16::try_from(length).map_err(|_| {
            value(format!("process.consoleSize.{field}"), length, "a number below 65536")
        })
    };
    let size = [short("height", size.height)?, short("width", size.width)?];
    Ok(Stdio::Terminal { size, line_ends: LineEnds::default() })
}

/// Names that are no capabilities are passed over, as the specification demands: there is nothing that
/// could be granted. [`unknown_capabilities`] has them.
fn capabilities(sets: Option<&spec::Capabilities>) -> Capabilities {
    let empty = spec::Capabilities::default();
    let sets = sets.unwrap_or(&empty);
    let numbers = |names: &[String]| names.iter().filter_map(|name| capability(name)).collect();
    Capabilities {
        bounding: numbers(&sets.bounding),
        permitted: numbers(&sets.permitted),
        effective: numbers(&sets.effective),
        inheritable: numbers(&sets.inheritable),
        ambient: numbers(&sets.ambient),
    }
}

fn capability(name: &str) -> Option<u32> {
    let found = capability::NAMES.iter().position(|known| *known == name);
    found.and_then(|number| u32::try_from(number).ok())
}

/// What a process names as capabilities and is none, each once: to warn of.
#[must_use]
pub fn unknown_capabilities(process: &spec::Process) -> Vec<String> {
    let Some(sets) = &process.capabilities else { return Vec::new() };
    let all = [&sets.bounding, &sets.effective, &sets.inheritable, &sets.permitted, &sets.ambient];
    let unknown = all.into_iter().flatten().filter(|name| capability(name).is_none());
    unknown.cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

/// What a process names as ambient capabilities and cannot have as such, since they are not among both
/// its permitted and its inheritable ones (`capabilities(7)`): to warn of.
#[must_use]
pub fn unraisable_capabilities(process: &spec::Process) -> Vec<String> {
    let Some(sets) = &process.capabilities else { return Vec::new() };
    let raisable =
        |name: &&String| sets.permitted.contains(name) && sets.inheritable.contains(name);
    sets.ambient.iter().filter(|name| !raisable(name)).cloned().collect()
}

fn limits(rlimits: &[Rlimit]) -> Result<Vec<Limit>, LowerError> {
    let mut seen = BTreeSet::new();
    let lower = |(index, limit): (usize, &Rlimit)| {
        let field = format!("process.rlimits[{index}]");
        let number = RLIMITS.iter().position(|known| *known == limit.kind);
        let number = number.and_then(|number| u32::try_from(number).ok());
        let rule = "a limit such as `RLIMIT_NOFILE`";
        let resource = number.ok_or_else(|| value(format!("{field}.type"), &limit.kind, rule))?;
        if !seen.insert(resource) {
            let value = limit.kind.clone();
            return Err(LowerError::Duplicate { field: "process.rlimits".into(), value });
        }
        if limit.soft > limit.hard {
            return Err(value(format!("{field}.soft"), limit.soft, "at most the hard limit"));
        }
        Ok(Limit { resource, values: [limit.soft, limit.hard] })
    };
    rlimits.iter().enumerate().map(lower).collect()
}

fn oom_score(score: i32) -> Result<i16, LowerError> {
    let narrow = i16::try_from(score).ok().filter(|score| (-1000..=1000).contains(score));
    narrow.ok_or_else(|| value("process.oomScoreAdj", score, "between -1000 and 1000"))
}

//! Lowering of what says how the kernel treats a process.

use creel_spawn::{Bits, MemoryPolicy, Scheduler, Tuning};

use super::error::{LowerError, value};
use super::labels;
use crate::spec::{self, Linux, Process};

/// `SCHED_*` of `linux/sched.h`.
const POLICIES: [(&str, u32); 7] = [
    ("SCHED_OTHER", 0),
    ("SCHED_FIFO", 1),
    ("SCHED_RR", 2),
    ("SCHED_BATCH", 3),
    ("SCHED_ISO", 4),
    ("SCHED_IDLE", 5),
    ("SCHED_DEADLINE", 6),
];

/// `SCHED_FLAG_*`; those about the clamping of utilisation need values that the specification lacks.
const SCHEDULER_FLAGS: [(&str, u64); 5] = [
    ("SCHED_FLAG_RESET_ON_FORK", 1),
    ("SCHED_FLAG_RECLAIM", 2),
    ("SCHED_FLAG_DL_OVERRUN", 4),
    ("SCHED_FLAG_KEEP_POLICY", 8),
    ("SCHED_FLAG_KEEP_PARAMS", 16),
];

/// `IOPRIO_CLASS_*` of `linux/ioprio.h`.
const IO_CLASSES: [(&str, u16); 3] =
    [("IOPRIO_CLASS_RT", 1), ("IOPRIO_CLASS_BE", 2), ("IOPRIO_CLASS_IDLE", 3)];

/// `PER_*` of `linux/personality.h`.
const DOMAINS: [(&str, u32); 2] = [("LINUX", 0), ("LINUX32", 8)];

/// `MPOL_*` of `linux/mempolicy.h`.
const MEMORY_MODES: [(&str, i32); 7] = [
    ("MPOL_DEFAULT", 0),
    ("MPOL_PREFERRED", 1),
    ("MPOL_BIND", 2),
    ("MPOL_INTERLEAVE", 3),
    ("MPOL_LOCAL", 4),
    ("MPOL_PREFERRED_MANY", 5),
    ("MPOL_WEIGHTED_INTERLEAVE", 6),
];

/// `MPOL_F_*`.
const MEMORY_FLAGS: [(&str, i32); 3] = [
    ("MPOL_F_NUMA_BALANCING", 1 << 13),
    ("MPOL_F_RELATIVE_NODES", 1 << 14),
    ("MPOL_F_STATIC_NODES", 1 << 15),
];

/// More than any kernel is built for (`CONFIG_NR_CPUS`).
const MAX_PROCESSORS: usize = 8192;
/// Likewise (`CONFIG_NODES_SHIFT`).
const MAX_NODES: usize = 1024;

pub(super) fn lower(process: &Process) -> Result<Tuning, LowerError> {
    let affinity = process.exec_cpu_affinity.as_ref();
    let processors = |name: &str, list: Option<&String>| {
        let field = format!("process.execCPUAffinity.{name}");
        list.filter(|list| !list.is_empty())
            .map(|list| bits(&field, list, MAX_PROCESSORS))
            .transpose()
    };
    let last = processors("final", affinity.and_then(|one| one.last.as_ref()))?;
    Ok(Tuning {
        scheduler: process.scheduler.as_ref().map(scheduler).transpose()?,
        io_priority: process.io_priority.as_ref().map(io_priority).transpose()?,
        first_processors: processors("initial", affinity.and_then(|one| one.initial.as_ref()))?,
        processors: last.or_else(|| affinity.is_none().then(every_processor)),
        labels: labels::lower(process)?,
        ..Tuning::default()
    })
}

/// All that the control group allows, whatever the caller was pinned to: kernels from 6.2 on keep
/// that when a process changes its group.
fn every_processor() -> Bits {
    Bits(vec![u64::MAX; MAX_PROCESSORS / 64])
}

/// Adds what all processes of a container have.
pub(crate) fn add_shared(tuning: &mut Tuning, linux: &Linux) -> Result<(), LowerError> {
    tuning.personality = linux.personality.as_ref().map(personality).transpose()?;
    tuning.memory_policy = linux.memory_policy.as_ref().map(memory_policy).transpose()?;
    Ok(())
}

/// Takes away what is only for processes that join a container.
pub(super) fn for_first(tuning: &mut Tuning) {
    tuning.first_processors = None;
    tuning.processors = Some(every_processor());
}

/// The modes and flags of memory policies.
pub(crate) fn known() -> (Vec<&'static str>, Vec<&'static str>) {
    let names = |table: &[(&'static str, i32)]| table.iter().map(|(name, _)| *name).collect();
    (names(&MEMORY_MODES), names(&MEMORY_FLAGS))
}

fn number<T: Copy>(table: &[(&str, T)], name: &str) -> Option<T> {
    table.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}

fn scheduler(scheduler: &spec::Scheduler) -> Result<Scheduler, LowerError> {
    let field = |name: &str| format!("process.scheduler.{name}");
    let name = scheduler.policy.as_str();
    let policy = number(&POLICIES, name)
        .ok_or_else(|| value(field("policy"), name, "a policy such as `SCHED_OTHER`"))?;
    let mut flags = 0;
    for (index, flag) in scheduler.flags.iter().enumerate() {
        let rule = "a flag such as `SCHED_FLAG_RESET_ON_FORK`";
        flags |= number(&SCHEDULER_FLAGS, flag)
            .ok_or_else(|| value(field(&format!("flags[{index}]")), flag, rule))?;
    }
    if !(-20..=19).contains(&scheduler.nice) {
        return Err(value(field("nice"), scheduler.nice, "between -20 and 19"));
    }
    let range = if matches!(name, "SCHED_FIFO" | "SCHED_RR") { 1..=99 } else { 0..=0 };
    let wrong = || {
        let rule = "between 1 and 99 for `SCHED_FIFO` and `SCHED_RR`, and 0 for others";
        value(field("priority"), scheduler.priority, rule)
    };
    let priority = u32::try_from(scheduler.priority).ok().filter(|one| range.contains(one));
    let times = [
        ("runtime", scheduler.runtime),
        ("deadline", scheduler.deadline),
        ("period", scheduler.period),
    ];
    if let Some((name, time)) = times.into_iter().find(|(_, time)| *time != 0)
        && scheduler.policy != "SCHED_DEADLINE"
    {
        return Err(value(field(name), time, "0, as it is without `SCHED_DEADLINE`"));
    }
    Ok(Scheduler {
        policy,
        flags,
        nice: scheduler.nice,
        priority: priority.ok_or_else(wrong)?,
        runtime: scheduler.runtime,
        deadline: scheduler.deadline,
        period: scheduler.period,
        ..Scheduler::default()
    })
}

fn io_priority(priority: &spec::IoPriority) -> Result<u16, LowerError> {
    /// `IOPRIO_CLASS_SHIFT`.
    const SHIFT: u32 = 13;
    let class = number(&IO_CLASSES, &priority.class).ok_or_else(|| {
        let rule = "`IOPRIO_CLASS_RT`, `IOPRIO_CLASS_BE` or `IOPRIO_CLASS_IDLE`";
        value("process.ioPriority.class", &priority.class, rule)
    })?;
    let level = u16::try_from(priority.priority).ok().filter(|level| *level < 8);
    let level = level.ok_or_else(|| {
        value("process.ioPriority.priority", priority.priority, "between 0 and 7")
    })?;
    Ok(class << SHIFT | level)
}

fn personality(personality: &spec::Personality) -> Result<u32, LowerError> {
    if let Some(flag) = personality.flags.first() {
        return Err(value("linux.personality.flags[0]", flag, "known: there are no flags"));
    }
    let domain = personality.domain.as_str();
    number(&DOMAINS, domain)
        .ok_or_else(|| value("linux.personality.domain", domain, "`LINUX` or `LINUX32`"))
}

fn memory_policy(policy: &spec::MemoryPolicy) -> Result<MemoryPolicy, LowerError> {
    let name = policy.mode.as_str();
    let mut mode = number(&MEMORY_MODES, name)
        .ok_or_else(|| value("linux.memoryPolicy.mode", name, "a mode such as `MPOL_BIND`"))
        .map_err(policy_part("mode"))?;
    for (index, flag) in policy.flags.iter().enumerate() {
        let rule = "a flag such as `MPOL_F_STATIC_NODES`";
        let field = format!("linux.memoryPolicy.flags[{index}]");
        mode |= number(&MEMORY_FLAGS, flag)
            .ok_or_else(|| value(field, flag, rule))
            .map_err(policy_part("flag"))?;
    }
    let nodes =
        bits("linux.memoryPolicy.nodes", &policy.nodes, MAX_NODES).map_err(policy_part("nodes"))?;
    let rule = match (name, nodes.0.is_empty()) {
        ("MPOL_DEFAULT" | "MPOL_LOCAL", false) => "empty, as it is for that mode",
        ("MPOL_DEFAULT" | "MPOL_LOCAL" | "MPOL_PREFERRED", true) => "",
        (_, true) => "a list of nodes, which that mode needs",
        (_, false) => "",
    };
    if rule.is_empty() {
        return Ok(MemoryPolicy { mode, nodes });
    }
    Err(policy_part("nodes")(value("linux.memoryPolicy.nodes", &policy.nodes, rule)))
}

/// Says which part of the policy is wrong, in words that callers of runtimes know.
fn policy_part(part: &'static str) -> impl Fn(LowerError) -> LowerError {
    move |source| LowerError::MemoryPolicy { part, source: Box::new(source) }
}

/// A list such as `0-3,7` (`cpuset(7)`, "List format"); an empty one is none.
fn bits(field: &str, list: &str, limit: usize) -> Result<Bits, LowerError> {
    let wrong = || value(field, list, "a list such as `0-3,7`");
    let number = |text: &str| {
        let text = text.trim();
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<usize>().ok().filter(|number| plain && *number < limit)
    };
    let mut words = Vec::new();
    for part in list.split(',').filter(|_| !list.trim().is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = number(first).zip(number(last)).ok_or_else(wrong)?;
        if first > last {
            return Err(wrong());
        }
        for bit in first..=last {
            if words.len() <= bit / 64 {
                words.resize(bit / 64 + 1, 0);
            }
            if let Some(word) = words.get_mut(bit / 64) {
                *word |= 1u64 << (bit % 64);
            }
        }
    }
    Ok(Bits(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_strictly() {
        for (list, words) in
            [("", &[][..]), ("0-2,65", &[7, 2]), (" 1 , 3", &[10]), ("63", &[1 << 63])]
        {
            assert_eq!(bits("x", list, 100).unwrap().0, words, "{list}");
        }
        for list in ["a", "1-", "-1", "3-1", "1,,2", "100", "+1", "99999999999999999999", "1-2-3"] {
            assert!(bits("x", list, 100).is_err(), "{list}");
        }
    }
}

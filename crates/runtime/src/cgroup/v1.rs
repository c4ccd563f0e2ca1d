//! `linux.resources` in files of version 1 (`Documentation/admin-guide/cgroup-v1`).

use super::io;
use super::settings::{Limit, Settings, huge_pages, idle, limit, pids, ranges, rdma, within};
use crate::lower::{LowerError, value};
use crate::spec::{Cpu, Memory, Network, Resources};
use creel_spawn::cgroup::Setting;

pub(super) fn settings(resources: &Resources) -> Result<Vec<Setting>, LowerError> {
    let mut settings = Settings::default();
    if let Some(file) = resources.unified.keys().next() {
        let rule = "possible with control groups of version 1";
        return Err(value("linux.resources.unified", file, rule));
    }
    if let Some(memory) = &resources.memory {
        self::memory(&mut settings, memory)?;
    }
    if let Some(idle) = idle(resources)? {
        settings.add("cpu", "cpu.idle", "cpu.idle", idle);
    }
    if let Some(cpu) = &resources.cpu {
        self::cpu(&mut settings, cpu)?;
    }
    if let Some(limit) = pids(resources)? {
        settings.add("pids", "pids.limit", "pids.max", limit.v2());
    }
    if let Some(io) = &resources.block_io {
        io::v1(&mut settings, io)?;
    }
    huge_pages(&mut settings, resources, "limit_in_bytes")?;
    if let Some(network) = &resources.network {
        self::network(&mut settings, network)?;
    }
    rdma(&mut settings, resources)?;
    Ok(settings.0)
}

fn memory(settings: &mut Settings, memory: &Memory) -> Result<(), LowerError> {
    let all = limit("memory.limit", memory.limit)?;
    // Who lifts the limit of memory lifts that of both.
    let both = match (all, limit("memory.swap", memory.swap)?) {
        (Some(Limit::None), None) => Some(Limit::None),
        (_, both) => both,
    };
    if let Some(limit) = all {
        settings.add("memory", "memory.limit", "memory.limit_in_bytes", limit.v1());
    }
    if let Some(limit) = both {
        settings.add("memory", "memory.swap", "memory.memsw.limit_in_bytes", limit.v1());
        // Not there where swap is not counted.
        if limit == Limit::None {
            settings.or_nothing();
        }
    }
    if let Some(limit) = limit("memory.reservation", memory.reservation)? {
        settings.add("memory", "memory.reservation", "memory.soft_limit_in_bytes", limit.v1());
    }
    if memory.disable_oom_killer == Some(true) {
        settings.add("memory", "memory.disableOOMKiller", "memory.oom_control", 1);
    }
    match memory.swappiness {
        Some(much @ 0..=100) => {
            settings.add("memory", "memory.swappiness", "memory.swappiness", much);
        }
        Some(other) => {
            let field = "linux.resources.memory.swappiness";
            return Err(value(field, other, "a number from 0 to 100"));
        }
        None => {}
    }
    Ok(())
}

fn cpu(settings: &mut Settings, cpu: &Cpu) -> Result<(), LowerError> {
    let rule = "a number from 2 to 262144";
    let shares = within("cpu.shares", cpu.shares, (2, 262_144), rule)?;
    // As in version 2.
    if let Some(shares) = shares.filter(|_| cpu.idle != Some(1)) {
        settings.add("cpu", "cpu.shares", "cpu.shares", shares);
    }
    for (field, file, number) in [
        ("cpu.realtimePeriod", "cpu.rt_period_us", cpu.realtime_period),
        ("cpu.period", "cpu.cfs_period_us", cpu.period),
    ] {
        if let Some(number) = number.filter(|number| *number != 0) {
            settings.add("cpu", field, file, number);
        }
    }
    for (field, file, number) in [
        ("cpu.realtimeRuntime", "cpu.rt_runtime_us", cpu.realtime_runtime),
        ("cpu.quota", "cpu.cfs_quota_us", cpu.quota),
    ] {
        if let Some(limit) = limit(field, number)? {
            settings.add("cpu", field, file, limit.v1());
        }
    }
    if let Some(burst) = cpu.burst {
        settings.add("cpu", "cpu.burst", "cpu.cfs_burst_us", burst);
    }
    for (field, file, text) in [
        ("cpu.cpus", "cpuset.cpus", cpu.cpus.as_deref()),
        ("cpu.mems", "cpuset.mems", cpu.mems.as_deref()),
    ] {
        if let Some(list) = ranges(field, text)? {
            settings.add("cpuset", field, file, list);
        }
    }
    Ok(())
}

fn network(settings: &mut Settings, network: &Network) -> Result<(), LowerError> {
    if let Some(class) = network.class_id {
        settings.add("net_cls", "network.classID", "net_cls.classid", class);
    }
    for (index, priority) in network.priorities.iter().enumerate() {
        let field = format!("network.priorities[{index}]");
        let name = priority.name.as_str();
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '\0') {
            let field = format!("linux.resources.{field}.name");
            return Err(value(field, name, "the name of an interface"));
        }
        let line = format!("{name} {}", priority.priority);
        settings.add("net_prio", &field, "net_prio.ifpriomap", line);
    }
    Ok(())
}

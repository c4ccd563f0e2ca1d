//! `linux.resources` in files of version 2 (`Documentation/admin-guide/cgroup-v2.rst`).

use super::io;
use super::settings::{Limit, Settings, huge_pages, idle, limit, pids, ranges, rdma};
use crate::lower::{LowerError, value};
use crate::spec::{Cpu, Memory, Resources};
use creel_spawn::cgroup::Setting;

pub(super) fn settings(resources: &Resources) -> Result<Vec<Setting>, LowerError> {
    let mut settings = Settings::default();
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
        io::v2(&mut settings, io)?;
    }
    huge_pages(&mut settings, resources, "max")?;
    rdma(&mut settings, resources)?;
    unified(&mut settings, resources)?;
    Ok(settings.0)
}

fn memory(settings: &mut Settings, memory: &Memory) -> Result<(), LowerError> {
    let limit_of_all = limit("memory.limit", memory.limit)?;
    if let Some(swap) = swap(limit_of_all, memory)? {
        settings.add("memory", "memory.swap", "memory.swap.max", swap.v2());
        // Without swap there is none to be limited.
        if matches!(swap, Limit::None | Limit::At(0)) {
            settings.or_nothing();
        }
    }
    if let Some(limit) = limit_of_all {
        settings.add("memory", "memory.limit", "memory.max", limit.v2());
    }
    if let Some(reservation) = limit("memory.reservation", memory.reservation)? {
        settings.add("memory", "memory.reservation", "memory.low", reservation.v2());
    }
    Ok(())
}

/// The specification limits memory and swap together, version 2 swap alone.
pub(super) fn swap(memory: Option<Limit>, given: &Memory) -> Result<Option<Limit>, LowerError> {
    let refused = |rule| {
        let swap = given.swap.unwrap_or_default();
        Err(value("linux.resources.memory.swap", swap, rule))
    };
    match (memory, limit("memory.swap", given.swap)?) {
        // Who lifts the limit of memory lifts that of both.
        (Some(Limit::None), None) => Ok(Some(Limit::None)),
        (_, None) => Ok(None),
        (_, Some(Limit::None)) => Ok(Some(Limit::None)),
        (Some(Limit::At(memory)), Some(Limit::At(both))) => match both.checked_sub(memory) {
            Some(swap) => Ok(Some(Limit::At(swap))),
            None => refused("at least `memory.limit`, as it counts memory too"),
        },
        // There is nothing to subtract from it.
        (Some(Limit::None), Some(both)) => Ok(Some(both)),
        (None, Some(Limit::At(_))) => refused("possible without `memory.limit`"),
    }
}

fn cpu(settings: &mut Settings, cpu: &Cpu) -> Result<(), LowerError> {
    // What runs only when nothing else does has no weight: the kernel takes none.
    let shares = cpu.shares.filter(|shares| *shares != 0 && cpu.idle != Some(1));
    if let Some(shares) = shares {
        settings.add("cpu", "cpu.shares", "cpu.weight", weight(shares));
    }
    if let Some(burst) = cpu.burst {
        settings.add("cpu", "cpu.burst", "cpu.max.burst", burst);
    }
    let quota = limit("cpu.quota", cpu.quota)?;
    let period = cpu.period.filter(|period| *period != 0);
    if quota.is_some() || period.is_some() {
        let quota = quota.unwrap_or(Limit::None).v2();
        let text = format!("{quota} {}", period.unwrap_or(PERIOD));
        settings.add("cpu", "cpu.quota", "cpu.max", text);
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

/// The kernel's own period of processor time, in microseconds.
pub(super) const PERIOD: u64 = 100_000;

/// The kernel's own weight.
pub(super) const USUAL_WEIGHT: u64 = 100;

/// The weight, 1 to 10000, for shares of version 1, 2 to 262144. A curve of the second degree in the
/// logarithms goes through both ends and both defaults, 1024 and 100, which a line does not; runc and
/// crun use the same one since 2025.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
pub(super) fn weight(shares: u64) -> u64 {
    match shares {
        ..=2 => 1,
        262_144.. => 10_000,
        shares => {
            let log = (shares as f64).log2();
            let exponent = (log * log + 125.0 * log) / 612.0 - 7.0 / 34.0;
            10_f64.powf(exponent).ceil() as u64
        }
    }
}

/// The controllers that files of groups belong to, and what every group has.
const KNOWN: [&str; 11] = [
    "cpuset",
    "cpu",
    "io",
    "memory",
    "hugetlb",
    "pids",
    "rdma",
    "misc",
    "dmem",
    "perf_event",
    "cgroup",
];

fn unified(settings: &mut Settings, resources: &Resources) -> Result<(), LowerError> {
    for (file, text) in &resources.unified {
        let (field, rule) = ("linux.resources.unified", "a file of a controller of version 2");
        let refused = || Err(value(field, file, rule));
        let Some((controller, _)) = file.split_once('.') else { return refused() };
        if file.contains(['/', '\0']) {
            return refused();
        }
        let Some(controller) = KNOWN.into_iter().find(|known| *known == controller) else {
            return refused();
        };
        settings.add(controller, &format!("unified.{file}"), file, text);
    }
    Ok(())
}

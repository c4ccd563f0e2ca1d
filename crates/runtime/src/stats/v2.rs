//! What version 2 of control groups says.

use super::parse::{HUGE_PAGES, device, number, pressure, table};
use super::{
    Blkio, BlkioEntry, Counter, Cpu, CpuUsage, Memory, MemoryEntry, Pids, Stats, Throttling,
};

/// Reads a file of a controller.
type Read<'a> = &'a dyn Fn(&str, &str) -> Option<String>;

const MICROSECONDS: u64 = 1000;

pub(super) fn read(read: Read<'_>) -> Stats {
    let text = |file: &str| read("", file).unwrap_or_default();
    Stats {
        cpu: cpu(read),
        memory: memory(read),
        pids: pids(&text("pids.current"), &text("pids.max")),
        blkio: blkio(read),
        hugetlb: HUGE_PAGES.iter().filter_map(|size| huge(read, size)).collect(),
        ..Stats::default()
    }
}

pub(super) fn pids(current: &str, max: &str) -> Pids {
    // No limit is none.
    Pids {
        current: number(current),
        limit: Some(number(max)).filter(|max| *max < u64::MAX).unwrap_or(0),
    }
}

fn cpu(read: Read<'_>) -> Cpu {
    let table = table(&read("", "cpu.stat").unwrap_or_default());
    let value = |name: &str| table.get(name).copied().unwrap_or(0);
    let time = |name: &str| value(name).saturating_mul(MICROSECONDS);
    Cpu {
        usage: CpuUsage {
            total: time("usage_usec"),
            kernel: time("system_usec"),
            user: time("user_usec"),
            ..CpuUsage::default()
        },
        throttling: Throttling {
            periods: value("nr_periods"),
            throttled_periods: value("nr_throttled"),
            throttled_time: time("throttled_usec"),
        },
        psi: read("", "cpu.pressure").as_deref().and_then(pressure),
    }
}

fn memory(read: Read<'_>) -> Memory {
    let value = |file: &str| number(&read("", file).unwrap_or_default());
    let raw = table(&read("", "memory.stat").unwrap_or_default());
    let events = table(&read("", "memory.events").unwrap_or_default());
    let hits =
        |table: &std::collections::BTreeMap<String, u64>| table.get("max").copied().unwrap_or(0);
    let usage = MemoryEntry {
        limit: value("memory.max"),
        usage: value("memory.current"),
        max: value("memory.peak"),
        failcnt: hits(&events),
    };
    let swapped = table(&read("", "memory.swap.events").unwrap_or_default());
    // Callers know both together, as version 1 has them.
    let swap =
        read("", "memory.swap.current").map_or_else(MemoryEntry::default, |swap| MemoryEntry {
            limit: usage.limit.saturating_add(value("memory.swap.max")),
            usage: usage.usage.saturating_add(number(&swap)),
            max: 0,
            failcnt: hits(&swapped),
        });
    Memory {
        cache: raw.get("file").copied().unwrap_or(0),
        usage,
        swap,
        raw,
        psi: read("", "memory.pressure").as_deref().and_then(pressure),
        ..Memory::default()
    }
}

fn huge(read: Read<'_>, size: &str) -> Option<(String, Counter)> {
    let usage = number(&read("", &format!("hugetlb.{size}.current"))?);
    let events = table(&read("", &format!("hugetlb.{size}.events")).unwrap_or_default());
    let failcnt = events.get("max").copied().unwrap_or(0);
    Some((size.into(), Counter { usage, max: 0, failcnt }))
}

fn blkio(read: Read<'_>) -> Blkio {
    let mut blkio =
        Blkio { psi: read("", "io.pressure").as_deref().and_then(pressure), ..Blkio::default() };
    for line in read("", "io.stat").unwrap_or_default().lines() {
        let mut words = line.split_whitespace();
        let Some((major, minor)) = words.next().and_then(device) else { continue };
        for (name, value) in words.filter_map(|pair| pair.split_once('=')) {
            let (list, op) = match name {
                "rbytes" => (&mut blkio.io_service_bytes_recursive, "Read"),
                "wbytes" => (&mut blkio.io_service_bytes_recursive, "Write"),
                "dbytes" => (&mut blkio.io_service_bytes_recursive, "Discard"),
                "rios" => (&mut blkio.io_serviced_recursive, "Read"),
                "wios" => (&mut blkio.io_serviced_recursive, "Write"),
                "dios" => (&mut blkio.io_serviced_recursive, "Discard"),
                _ => continue,
            };
            list.push(BlkioEntry { major, minor, op: op.into(), value: number(value) });
        }
    }
    blkio
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_read() {
        let files = |_: &str, file: &str| {
            Some(
                match file {
                    "cpu.stat" => "usage_usec 12\nuser_usec 5\nsystem_usec 7\nnr_throttled 3\n",
                    "cpu.pressure" => "some avg10=1.50 avg60=0.00 avg300=0.00 total=9\n",
                    "memory.current" => "4096\n",
                    "memory.max" => "max\n",
                    "memory.swap.current" => "1\n",
                    "memory.swap.max" => "max\n",
                    "memory.stat" => "anon 1\nfile 2\n",
                    "memory.events" => "max 6\noom 1\n",
                    "pids.current" => "2\n",
                    "pids.max" => "max\n",
                    "io.stat" => "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n",
                    "hugetlb.2MB.current" => "2097152\n",
                    _ => return None,
                }
                .to_owned(),
            )
        };
        let stats = read(&files);
        assert_eq!((stats.cpu.usage.total, stats.cpu.usage.kernel), (12_000, 7000));
        assert_eq!(stats.cpu.psi.unwrap().some.total, 9);
        assert_eq!((stats.memory.usage.limit, stats.memory.usage.failcnt), (u64::MAX, 6));
        assert_eq!((stats.memory.swap.usage, stats.memory.cache), (4097, 2));
        assert_eq!((stats.pids.current, stats.pids.limit), (2, 0));
        assert_eq!(stats.blkio.io_serviced_recursive.len(), 3);
        assert_eq!(stats.hugetlb["2MB"].usage, 2 << 20);
        assert!(stats.blkio.psi.is_none() && stats.cpuset == super::super::Cpuset::default());
    }
}

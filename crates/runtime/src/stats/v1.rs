//! What version 1 of control groups says.

use super::parse::{HUGE_PAGES, list, number, numbers, operations, table};
use super::v2::pids;
use super::{Blkio, Counter, Cpu, CpuUsage, Cpuset, Memory, MemoryEntry, Stats, Throttling};

/// Reads a file of a controller.
type Read<'a> = &'a dyn Fn(&str, &str) -> Option<String>;

/// Nanoseconds of a tick (`USER_HZ`, which is 100 for every program).
const TICK: u64 = 10_000_000;

pub(super) fn read(read: Read<'_>) -> Stats {
    let text = |file: &str| read("pids", file).unwrap_or_default();
    Stats {
        cpu: cpu(read),
        cpuset: cpuset(read),
        memory: memory(read),
        pids: pids(&text("pids.current"), &text("pids.max")),
        blkio: blkio(read),
        hugetlb: HUGE_PAGES.iter().filter_map(|size| huge(read, size)).collect(),
        ..Stats::default()
    }
}

fn cpu(read: Read<'_>) -> Cpu {
    let account = |file: &str| read("cpuacct", file).unwrap_or_default();
    let throttled = table(&read("cpu", "cpu.stat").unwrap_or_default());
    let value = |name: &str| throttled.get(name).copied().unwrap_or(0);
    let times = table(&account("cpuacct.stat"));
    let time = |name: &str| times.get(name).copied().unwrap_or(0).saturating_mul(TICK);
    let all = account("cpuacct.usage_all");
    // After the head: processor, in programs, in the kernel.
    let column = |at: usize| {
        let rows = all.lines().skip(1).map(numbers);
        rows.filter_map(|row| row.get(at).copied()).collect()
    };
    Cpu {
        usage: CpuUsage {
            total: number(&account("cpuacct.usage")),
            percpu: numbers(&account("cpuacct.usage_percpu")),
            percpu_kernel: column(2),
            percpu_user: column(1),
            kernel: time("system"),
            user: time("user"),
        },
        throttling: Throttling {
            periods: value("nr_periods"),
            throttled_periods: value("nr_throttled"),
            throttled_time: value("throttled_time"),
        },
        psi: None,
    }
}

fn cpuset(read: Read<'_>) -> Cpuset {
    let text = |name: &str| read("cpuset", &format!("cpuset.{name}")).unwrap_or_default();
    let value = |name: &str| number(&text(name));
    Cpuset {
        cpus: list(&text("cpus")),
        cpu_exclusive: value("cpu_exclusive"),
        mems: list(&text("mems")),
        mem_hardwall: value("mem_hardwall"),
        mem_exclusive: value("mem_exclusive"),
        memory_migrate: value("memory_migrate"),
        memory_spread_page: value("memory_spread_page"),
        memory_spread_slab: value("memory_spread_slab"),
        memory_pressure: value("memory_pressure"),
        sched_load_balance: value("sched_load_balance"),
        sched_relax_domain_level: text("sched_relax_domain_level").trim().parse().unwrap_or(0),
    }
}

fn memory(read: Read<'_>) -> Memory {
    let raw = table(&read("memory", "memory.stat").unwrap_or_default());
    let entry = |kind: &str| {
        let value =
            |name: &str| read("memory", &format!("memory.{kind}{name}")).map(|n| number(&n));
        value("usage_in_bytes").map_or_else(MemoryEntry::default, |usage| MemoryEntry {
            usage,
            limit: value("limit_in_bytes").unwrap_or(0),
            max: value("max_usage_in_bytes").unwrap_or(0),
            failcnt: value("failcnt").unwrap_or(0),
        })
    };
    Memory {
        cache: raw.get("cache").copied().unwrap_or(0),
        usage: entry(""),
        swap: entry("memsw."),
        kernel: entry("kmem."),
        kernel_tcp: entry("kmem.tcp."),
        raw,
        psi: None,
    }
}

fn huge(read: Read<'_>, size: &str) -> Option<(String, Counter)> {
    let value = |name: &str| read("hugetlb", &format!("hugetlb.{size}.{name}")).map(|n| number(&n));
    let usage = value("usage_in_bytes")?;
    let (max, failcnt) = (value("max_usage_in_bytes"), value("failcnt"));
    Some((size.into(), Counter { usage, max: max.unwrap_or(0), failcnt: failcnt.unwrap_or(0) }))
}

/// Of the scheduler BFQ, where devices have it, else of what may be held back.
fn blkio(read: Read<'_>) -> Blkio {
    let of = |name: &str| {
        let found = ["bfq", "throttle"].map(|by| {
            operations(&read("blkio", &format!("blkio.{by}.{name}")).unwrap_or_default())
        });
        found.into_iter().find(|list| !list.is_empty()).unwrap_or_default()
    };
    Blkio {
        io_service_bytes_recursive: of("io_service_bytes_recursive"),
        io_serviced_recursive: of("io_serviced_recursive"),
        psi: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_read() {
        let files = |controller: &str, file: &str| {
            Some(
                match (controller, file) {
                    ("cpuacct", "cpuacct.usage") => "77\n",
                    ("cpuacct", "cpuacct.usage_percpu") => "70 7 \n",
                    ("cpuacct", "cpuacct.usage_all") => "cpu user system\n0 1 2\n1 3 4\n",
                    ("cpuacct", "cpuacct.stat") => "user 2\nsystem 3\n",
                    ("cpu", "cpu.stat") => "nr_periods 1\nnr_throttled 2\nthrottled_time 3\n",
                    ("memory", "memory.usage_in_bytes") => "4096\n",
                    ("memory", "memory.limit_in_bytes") => "9223372036854771712\n",
                    ("memory", "memory.kmem.usage_in_bytes") => "5\n",
                    ("memory", "memory.stat") => "cache 8\n",
                    ("cpuset", "cpuset.cpus") => "0-1\n",
                    ("cpuset", "cpuset.sched_relax_domain_level") => "-1\n",
                    ("blkio", "blkio.throttle.io_serviced_recursive") => "8:0 Read 1\nTotal 1\n",
                    ("pids", "pids.max") => "10\n",
                    _ => return None,
                }
                .to_owned(),
            )
        };
        let stats = read(&files);
        let usage = &stats.cpu.usage;
        assert_eq!((usage.total, usage.kernel, usage.user), (77, 3 * TICK, 2 * TICK));
        assert_eq!((&usage.percpu[..], &usage.percpu_kernel[..]), (&[70, 7][..], &[2, 4][..]));
        assert_eq!(stats.cpu.throttling.throttled_time, 3);
        assert_eq!((stats.memory.kernel.usage, stats.memory.cache), (5, 8));
        assert_eq!((stats.cpuset.cpus.len(), stats.cpuset.sched_relax_domain_level), (2, -1));
        assert_eq!((stats.pids.limit, stats.blkio.io_serviced_recursive.len()), (10, 1));
    }
}

//! What a tool holds in memory while its container runs.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::host::{self, Host};
use super::report::{Report, Unit};
use super::who::Who;

pub(super) const WHAT: &str = "memory of a tool's own processes while its container sleeps";

/// The container's program, which is not the tool's.
const SLEEP: &str = "sleep";
/// How long a container is watched; it sleeps longer.
const WATCHED: Duration = Duration::from_secs(1);

pub(super) fn run(host: &Host, rounds: usize) -> anyhow::Result<Report> {
    host::require(&["pull", "run"])?;
    let mut report = Report::default();
    for (case, who) in [("root", host.root()), ("user", host.user()?)] {
        let creel = who.load_creel("demo")?;
        let podman = who.load_podman("demo")?;
        let run = ["run", "--rm", "--network", "none"];
        let sleep = [SLEEP, "3"];
        let ours = || who.creel(&[&run[..], &[&creel], &sleep].concat());
        let theirs = || who.podman(&[&run[..], &[&podman], &sleep].concat());
        let tools: [(&str, &dyn Fn() -> Command); 2] = [("creel", &ours), ("podman", &theirs)];
        for (name, command) in tools {
            let (mut starting, mut idle) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                let held = watch(&mut command())?;
                starting.push(held.peak as f64);
                idle.push(held.last as f64);
            }
            report.add(&format!("{case}: peak of the sum"), name, Unit::Bytes, &starting);
            report.add(&format!("{case}: after a second"), name, Unit::Bytes, &idle);
        }
        clear(&who)?;
    }
    report.notes.push(NOTE.into());
    Ok(report)
}

const NOTE: &str = "Sum of the proportional set sizes of the tool's processes (those it started and \
    that are not the container's), read every millisecond; shorter peaks are not seen. The memory \
    of the largest process, as the kernel counts it, is with the start times.";

fn clear(who: &Who<'_>) -> anyhow::Result<()> {
    who.clear_creel()?;
    who.clear_podman()
}

/// Bytes that were held.
struct Held {
    peak: u64,
    last: u64,
}

fn watch(command: &mut Command) -> anyhow::Result<Held> {
    let before: Vec<u32> = processes().keys().copied().collect();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let (mut held, start) = (Held { peak: 0, last: 0 }, Instant::now());
    while start.elapsed() < WATCHED {
        let new = processes().into_iter().filter(|(pid, _)| !before.contains(pid));
        let tools = new.filter(|(_, name)| name != SLEEP);
        held.last = tools.map(|(pid, _)| proportional(pid)).sum();
        held.peak = held.peak.max(held.last);
        thread::sleep(Duration::from_millis(1));
    }
    anyhow::ensure!(child.wait()?.success(), "the container failed");
    Ok(held)
}

/// The processes of this pid namespace, in which the peers and their containers are alone.
pub(super) fn processes() -> BTreeMap<u32, String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid: u32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
        Some((pid, name.trim().to_owned()))
    })
    .collect()
}

/// Proportional set size in bytes; a process that is gone has none.
fn proportional(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

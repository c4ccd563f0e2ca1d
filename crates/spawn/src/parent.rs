//! The parent's part: id maps, limits and what only a file of `/proc/PID` can set.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use creel_sys::program::{Failure, Moment, raise_limit};

use crate::cgroup::{Cgroup, CgroupError, Hierarchy};
use crate::lower::invalid;
use crate::plan::{IdMap, MapWriter, Namespace, Plan, Process};

pub(crate) fn attend(plan: &Plan, pid: i32, moment: Moment) -> io::Result<()> {
    match moment {
        Moment::Begun => {
            if plan.makes(Namespace::User) && !plan.is_staged() {
                write_maps(plan, pid)?;
            }
            begin(&plan.process, plan.cgroup.as_deref(), pid)
        }
        Moment::Unmapped => write_maps(plan, pid),
        Moment::Moved | Moment::Made => Ok(()),
    }
}

/// Whether a start failed because the process could not be put into its group: nothing else makes
/// the kernel refuse one with these errors.
pub(crate) fn unreachable(cgroup: Option<&Cgroup>, failure: &Failure) -> Option<CgroupError> {
    let cgroup = cgroup?;
    let (Hierarchy::V2(place), Failure::Parent(error)) = (cgroup.hierarchy(), failure) else {
        return None;
    };
    match error.raw_os_error()? {
        EACCES => Some(CgroupError::OutOfReach { path: place.clone() }),
        error @ (EBUSY | ENODEV | EOPNOTSUPP) => Some(cgroup.closed(error)),
        _ => None,
    }
}

const EACCES: i32 = 13;
/// It gives controllers to groups below it.
const EBUSY: i32 = 16;
/// It was removed.
const ENODEV: i32 = 19;
/// It is neither in a threaded subtree nor fit for processes.
const EOPNOTSUPP: i32 = 95;

/// What every process needs of its parent before it begins.
pub(crate) fn begin(process: &Process, cgroup: Option<&Cgroup>, pid: i32) -> io::Result<()> {
    cgroup.map_or(Ok(()), |cgroup| cgroup.fetch(pid)).map_err(io::Error::other)?;
    limit(process, pid)
}

/// Raises limits and sets badness with the rights of the parent; the child lowers its limits
/// itself once it no longer needs descriptors.
fn limit(process: &Process, pid: i32) -> io::Result<()> {
    for limit in &process.limits {
        raise_limit(pid, limit.resource, limit.values)?;
    }
    match process.oom_score {
        Some(score) => fs::write(format!("/proc/{pid}/oom_score_adj"), score.to_string()),
        None => Ok(()),
    }
}

/// The last capability that the running kernel has.
pub(crate) fn last_capability() -> io::Result<u32> {
    let text = fs::read_to_string("/proc/sys/kernel/cap_last_cap")?;
    let last = text.trim().parse().ok().filter(|last| *last < 64);
    last.ok_or_else(|| invalid(format!("last capability `{}`", text.trim())))
}

fn write_maps(plan: &Plan, pid: i32) -> io::Result<()> {
    match &plan.map_writer {
        MapWriter::Itself => {
            if plan.denies_setgroups() {
                fs::write(format!("/proc/{pid}/setgroups"), "deny")?;
            }
            fs::write(format!("/proc/{pid}/uid_map"), map_text(&plan.uids))?;
            fs::write(format!("/proc/{pid}/gid_map"), map_text(&plan.gids))
        }
        MapWriter::Helpers { newuidmap, newgidmap } => {
            run_helper(newuidmap, pid, &plan.uids)?;
            run_helper(newgidmap, pid, &plan.gids)
        }
    }
}

fn run_helper(path: &Path, pid: i32, maps: &[IdMap]) -> io::Result<()> {
    let numbers = maps.iter().flat_map(|map| [map.inside, map.outside, map.count]);
    let output = Command::new(path)
        .arg(pid.to_string())
        .args(numbers.map(|number| number.to_string()))
        .stdin(Stdio::null())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("`{}` failed: {}", path.display(), said.trim())))
}

pub(crate) fn map_text(maps: &[IdMap]) -> String {
    maps.iter().map(|map| format!("{} {} {}\n", map.inside, map.outside, map.count)).collect()
}

//! Which control groups limit memory, processors and processes here.

use std::fs;

use creel_base::hint::Hint as _;
use creel_spawn::cgroup::{CgroupError, Hierarchy};

use super::Finding;

const TOPIC: &str = "cgroups";
/// What `--memory`, `--cpus` and `--pids-limit` need.
const CONTROLLERS: [&str; 3] = ["memory", "cpu", "pids"];

pub(super) fn examine() -> Finding {
    if fs::exists("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default() {
        return judge_v2(Hierarchy::detect());
    }
    judge_v1(&fs::read_to_string("/proc/self/mounts").unwrap_or_default())
}

fn judge_v2(found: Result<Hierarchy, CgroupError>) -> Finding {
    let place = match found {
        Ok(place) => place,
        Err(error) => return refused("limits are refused".into(), &error),
    };
    let lacks = CONTROLLERS.into_iter().filter_map(|name| Some((name, place.lacks(name)?)));
    let (names, reasons): (Vec<&str>, Vec<CgroupError>) = lacks.unzip();
    match reasons.first() {
        Some(error) => refused(format!("limits on {} are refused", names.join(", ")), error),
        None => Finding::good(TOPIC, "version 2, with memory, cpu and pids"),
    }
}

fn refused(cost: String, error: &CgroupError) -> Finding {
    let finding = Finding::limited(TOPIC, format!("version 2, but {error}")).costs(cost);
    match error.hint() {
        Some(hint) => finding.mended_by(hint),
        None => finding,
    }
}

fn judge_v1(mounts: &str) -> Finding {
    let options = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(2);
        (fields.next() == Some("cgroup")).then(|| fields.next()).flatten()
    });
    let there: Vec<&str> = options.flat_map(|options| options.split(',')).collect();
    let lacking = lacking(&there);
    if lacking.is_empty() {
        return Finding::limited(TOPIC, "version 1")
            .costs("ordinary users cannot set limits, and groups are joined one by one")
            .mended_by("boot with `systemd.unified_cgroup_hierarchy=1`");
    }
    Finding::limited(TOPIC, format!("none with {lacking}"))
        .costs(format!("limits on {lacking} are refused"))
        .mended_by("mount cgroup2 on /sys/fs/cgroup")
}

fn lacking(there: &[&str]) -> String {
    let lacking = CONTROLLERS.into_iter().filter(|name| !there.contains(name));
    lacking.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;

    #[test]
    fn judges_both_versions() {
        let group = tempfile::tempdir().unwrap();
        let offer = |text| std::fs::write(group.path().join("cgroup.controllers"), text).unwrap();
        let judged = || judge_v2(Ok(Hierarchy::V2(group.path().into())));
        offer("cpuset cpu io memory pids\n");
        assert_eq!(judged().severity, Severity::Good);
        offer("memory\n");
        assert_eq!(judged().cost.unwrap(), "limits on cpu, pids are refused");
        let user = judge_v2(Err(CgroupError::NotDelegated { name: "/session".into() }));
        assert!(user.mend.unwrap().contains("systemd-run"), "{}", user.found);
        let v1 = "cgroup /c/cpu cgroup rw,cpu 0 0\ncgroup /c/m cgroup rw,memory 0 0\n\
                  cgroup /c/p cgroup rw,pids 0 0\n";
        assert_eq!(judge_v1(v1).found, "version 1");
        assert_eq!(judge_v1("proc /proc proc rw 0 0\n").found, "none with memory, cpu, pids");
    }
}

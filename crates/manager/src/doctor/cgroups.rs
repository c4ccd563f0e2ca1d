//! Which control groups limit memory, processors and processes here.

use std::fs;

use super::Finding;

const TOPIC: &str = "cgroups";
/// What `--memory`, `--cpus` and `--pids-limit` need.
const CONTROLLERS: [&str; 3] = ["memory", "cpu", "pids"];

pub(super) fn examine() -> Finding {
    if let Ok(controllers) = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers") {
        return judge_v2(&controllers);
    }
    judge_v1(&fs::read_to_string("/proc/self/mounts").unwrap_or_default())
}

fn judge_v2(controllers: &str) -> Finding {
    let there: Vec<&str> = controllers.split_whitespace().collect();
    let lacking = lacking(&there);
    if lacking.is_empty() {
        return Finding::good(TOPIC, "version 2, with memory, cpu and pids");
    }
    Finding::limited(TOPIC, format!("version 2 without {lacking}"))
        .costs(format!("limits on {lacking} are refused"))
        .mended_by("enable the controllers in the parent group's cgroup.subtree_control")
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
        assert_eq!(judge_v2("cpuset cpu io memory pids\n").severity, Severity::Good);
        assert_eq!(judge_v2("hugetlb\n").found, "version 2 without memory, cpu, pids");
        let v1 = "cgroup /c/cpu cgroup rw,cpu 0 0\ncgroup /c/m cgroup rw,memory 0 0\n\
                  cgroup /c/p cgroup rw,pids 0 0\n";
        assert_eq!(judge_v1(v1).found, "version 1");
        assert_eq!(judge_v1("proc /proc proc rw 0 0\n").found, "none with memory, cpu, pids");
    }
}

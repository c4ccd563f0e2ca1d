//! Which hierarchy this machine has, and what of it this process may use.

use std::fs;
use std::path::{Path, PathBuf};

use creel_sys::access::writable;

use super::{CONTROLLERS, CgroupError, Hierarchy, USUAL, is_occupied};

const MOUNT: &str = "/sys/fs/cgroup";

impl Hierarchy {
    /// Finds where this process may make groups.
    ///
    /// Version 2 is used if it is at `/sys/fs/cgroup` and has controllers; a hybrid's empty
    /// `unified` does not count. For root that is all of it. For others it is the parent of their
    /// own group if it is theirs, as in a scope of a user's systemd: a process may only be moved
    /// between groups whose common parent is its user's. Else it is their own group, which can be
    /// divided but has controllers to give only once no process is in it.
    ///
    /// # Errors
    /// Says why there is none: nothing mounted, or only to be read, version 1 without being root, or
    /// a group that is not delegated.
    pub fn detect() -> Result<Self, CgroupError> {
        let mounts = || fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        if Self::is_v2() {
            return match detect_v2(Path::new(MOUNT)) {
                Err(_) if is_read_only(&mounts()) => Err(CgroupError::ReadOnly),
                found => found,
            };
        }
        let base = v1_base(&mounts()).ok_or(CgroupError::NotMounted)?;
        let all = USUAL.iter().map(|controller| base.join(controller));
        let usable = all.filter(|path| path.exists()).all(|path| writable(&path));
        if usable { Ok(Self::V1(base)) } else { Err(CgroupError::RootOnly) }
    }

    /// Whether `/sys/fs/cgroup` is version 2 with controllers, whoever may make groups there.
    #[must_use]
    pub fn is_v2() -> bool {
        let controllers = fs::read_to_string(Path::new(MOUNT).join("cgroup.controllers"));
        controllers.is_ok_and(|names| !names.trim().is_empty())
    }

    /// All of version 2, in which systemd's groups have their names.
    #[must_use]
    pub fn v2() -> Self {
        Self::V2(MOUNT.into())
    }

    /// All of version 2, if this process may make a group of a name there: if what is there of the way to
    /// it is its user's.
    #[must_use]
    pub fn v2_with(name: &str) -> Option<Self> {
        let path = Path::new(MOUNT).join(name.trim_start_matches('/'));
        let there = path.ancestors().skip(1).find(|path| path.exists())?;
        let usable = Self::is_v2() && writable(there) && writable(&there.join("cgroup.procs"));
        usable.then(Self::v2)
    }

    /// The group of version 2 that was found in place of all of the mount: another process may find
    /// another one.
    #[must_use]
    pub fn delegated(&self) -> Option<&Path> {
        match self {
            Self::V2(group) if group != Path::new(MOUNT) => Some(group),
            _ => None,
        }
    }

    /// Tells why groups of version 2 that are made here would lack a controller, if they would.
    #[must_use]
    pub fn lacks(&self, controller: &'static str) -> Option<CgroupError> {
        let Self::V2(group) = self else { return None };
        let has = |file: &str| {
            let text = fs::read_to_string(group.join(file)).unwrap_or_default();
            text.split_whitespace().any(|one| one == controller)
        };
        if !has("cgroup.controllers") {
            return Some(CgroupError::NoController { controller });
        }
        let path = group.clone();
        (!has("cgroup.subtree_control") && is_occupied(group))
            .then_some(CgroupError::Occupied { controller, path })
    }
}

fn detect_v2(mount: &Path) -> Result<Hierarchy, CgroupError> {
    if writable(&mount.join("cgroup.procs")) {
        return Ok(Hierarchy::V2(mount.into()));
    }
    let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let name = own_group(&own).unwrap_or("/");
    let own = mount.join(name.trim_start_matches('/'));
    let owned = |group: &&Path| {
        group.starts_with(mount) && writable(group) && writable(&group.join("cgroup.procs"))
    };
    let groups = [own.parent(), Some(&own)];
    let found = groups.into_iter().flatten().find(owned);
    let not_delegated = || CgroupError::NotDelegated { name: name.into() };
    Ok(Hierarchy::V2(found.ok_or_else(not_delegated)?.into()))
}

/// Whether the mount of version 2 can only be read, as in a container.
fn is_read_only(mountinfo: &str) -> bool {
    let mount = mountinfo.lines().rev().find(|line| line.split(' ').nth(4) == Some(MOUNT));
    let options = mount.and_then(|line| line.split(' ').nth(5));
    options.is_some_and(|options| options.split(',').any(|option| option == "ro"))
}

/// The line of version 2 in `/proc/PID/cgroup` (`cgroups(7)`); `..` is for groups out of sight.
pub(super) fn own_group(text: &str) -> Option<&str> {
    let name = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    (name.starts_with('/') && !name.split('/').any(|part| part == "..")).then_some(name)
}

/// The directory with one mount a controller, going by `mountinfo` (`proc_pid_mountinfo(5)`).
fn v1_base(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = after.split(' ');
        let kind = fields.next()?;
        let options = fields.nth(1)?;
        let known = options.split(',').any(|option| CONTROLLERS.contains(&option));
        let place = before.split(' ').nth(4)?;
        (kind == "cgroup" && known).then(|| Path::new(place).parent().map(Path::to_path_buf))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_1_is_found_by_its_mounts() {
        let text = "24 23 0:22 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                    25 24 0:23 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                    26 24 0:24 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
                    27 24 0:25 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup c rw,cpu,cpuacct\n";
        assert_eq!(v1_base(text), Some("/sys/fs/cgroup".into()));
        assert_eq!(v1_base("x - cgroup\n\n1 2 3 4 - cgroup c rw,cpu"), None);
    }

    #[test]
    fn a_mount_that_can_only_be_read_is_told() {
        let line = |options| format!("9 8 0:7 / {MOUNT} {options},nosuid - cgroup2 cgroup2 rw\n");
        assert!(is_read_only(&line("ro")) && !is_read_only(&line("rw")));
        // What was mounted last is on top.
        assert!(!is_read_only(&(line("ro") + &line("rw"))) && !is_read_only(""));
    }

    #[test]
    fn the_own_group_is_the_line_of_version_2() {
        assert_eq!(own_group("12:pids:/a\n0::/user.slice/x\n"), Some("/user.slice/x"));
        assert_eq!(own_group("0::/../../x\n"), None);
        assert_eq!(own_group("1:name=systemd:/x\n"), None);
    }
}

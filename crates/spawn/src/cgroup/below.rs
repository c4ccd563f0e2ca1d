//! Groups that a container's processes have made below its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use super::detect::own_group;
use super::{Cgroup, CgroupError, Hierarchy, check_name};

/// Paths below a group: the same for all controllers, or with version 1 one for some of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Below {
    /// For all that have none of their own; empty for the group itself.
    pub all: String,
    /// By controller.
    pub some: BTreeMap<String, String>,
}

impl Cgroup {
    /// The group, of which processes that join it enter those below.
    ///
    /// # Errors
    /// [`CgroupError::Below`] if a path leads out of it, [`CgroupError::UnknownController`].
    pub fn with_below(self, below: &Below) -> Result<Self, CgroupError> {
        let plain = |path: &String| -> Result<String, CgroupError> {
            let inner = path.trim_matches('/');
            let bad = |_| CgroupError::Below { path: path.clone() };
            if !inner.is_empty() {
                check_name(inner).map_err(bad)?;
            }
            Ok(inner.to_owned())
        };
        let mut some = BTreeMap::new();
        for (controller, path) in &below.some {
            if !self.controllers.iter().any(|known| known == controller) {
                return Err(CgroupError::UnknownController { name: controller.clone() });
            }
            some.insert(controller.clone(), plain(path)?);
        }
        Ok(Self { below: Below { all: plain(&below.all)?, some }, ..self })
    }

    /// Where processes that join the group go.
    pub(super) fn entrance(&self, controller: &str) -> PathBuf {
        let below = self.below.some.get(controller).unwrap_or(&self.below.all);
        let group = match &self.hierarchy {
            Hierarchy::V1(mounts) => mounts.join(controller).join(&self.name),
            Hierarchy::V2(mount) => mount.join(&self.name),
        };
        if below.is_empty() { group } else { group.join(below) }
    }

    /// The group of version 2 that a process is in.
    #[must_use]
    pub fn of_process(pid: i32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        let name = own_group(&text)?.trim_start_matches('/');
        if Hierarchy::is_v2() { Self::existing(Hierarchy::v2(), name).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out_of_the_group() {
        let group = || Cgroup::existing(Hierarchy::V2("/g".into()), "box").unwrap();
        let below = |path: &str| Below { all: path.into(), ..Below::default() };
        for (path, entrance) in
            [("", "/g/box"), ("/", "/g/box"), ("a/b/", "/g/box/a/b"), ("/a", "/g/box/a")]
        {
            let entered = group().with_below(&below(path)).unwrap().entrance("");
            assert_eq!(entered, PathBuf::from(entrance), "{path}");
        }
        for path in ["..", "a/../..", "a//b", "./a", "a\0"] {
            let error = group().with_below(&below(path)).unwrap_err();
            assert!(error.to_string().starts_with("bad sub cgroup path"), "{path:?}: {error}");
        }
        let some = BTreeMap::from([("memory".to_owned(), "a".to_owned())]);
        let error = group().with_below(&Below { some, ..Below::default() }).unwrap_err();
        assert_eq!(error.to_string(), "unknown controller `memory`");
    }
}

//! Groups that this process may put no other process into, although they are its user's.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use creel_sys::access::writable;

use super::detect::own_group;
use super::{Cgroup, CgroupError, Hierarchy};
use crate::systemd::Scope;

impl Cgroup {
    /// Has systemd move a process that was started elsewhere into the group, where this process may not.
    pub(crate) fn fetch(&self, pid: i32) -> Result<(), CgroupError> {
        Ok(self.mover().map_or(Ok(()), |scope| scope.fetch(pid, &self.below.all))?)
    }

    /// Why a process cannot be in the group.
    pub(crate) fn closed(&self, error: i32) -> CgroupError {
        let source = io::Error::from_raw_os_error(error);
        CgroupError::Access { path: self.entrance(""), source }
    }

    /// The scope whose systemd has to move processes. Only who may write to the group above both
    /// moves a process between them, or starts one there (`Documentation/admin-guide/cgroup-v2.rst`,
    /// "Delegation Containment"): from a session that systemd has made no user gets into a scope of
    /// the user's systemd.
    pub(super) fn mover(&self) -> Option<&Scope> {
        let scope = self.scope.as_ref()?;
        let Hierarchy::V2(mount) = &self.hierarchy else { return None };
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let own = mount.join(own_group(&own)?.trim_start_matches('/'));
        let above = shared(&own, &mount.join(&self.name));
        (!writable(&above.join("cgroup.procs"))).then_some(scope)
    }
}

/// The directory that both are in, or that one of them is.
fn shared(one: &Path, other: &Path) -> PathBuf {
    let both = one.components().zip(other.components());
    both.take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_share_what_is_above_both() {
        for (one, other, expected) in
            [("/a/b/c", "/a/b/d/e", "/a/b"), ("/a", "/a/b", "/a"), ("/a/bc", "/a/b", "/a")]
        {
            assert_eq!(shared(Path::new(one), Path::new(other)), Path::new(expected));
        }
    }
}

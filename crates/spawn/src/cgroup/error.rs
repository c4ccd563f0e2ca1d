//! Why a control group could not be used, and what helps.

use std::io;
use std::path::PathBuf;

use creel_base::hint::Hint;

use crate::systemd::SystemdError;

/// Why a control group could not be used.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// The name leads out of the hierarchy or names nothing (crun 1.28 and 1.29 were escaped so).
    #[error("control group `{name}` is not made of plain names")]
    Name {
        /// The name.
        name: String,
    },
    /// A limit needs a controller that the hierarchy does not have.
    #[error("controller `{controller}` is not available")]
    NoController {
        /// The controller.
        controller: &'static str,
    },
    /// The machine has no hierarchy that groups can be made in.
    #[error("no control groups are mounted at `/sys/fs/cgroup`")]
    NotMounted,
    /// As in a container, whose groups are another's to divide.
    #[error("control groups can only be read here")]
    ReadOnly,
    /// Version 1 lets root alone make groups.
    #[error("control groups of version 1 are root's alone")]
    RootOnly,
    /// This process's own group is not its user's to divide.
    #[error("the control group `{name}` is not delegated to this user")]
    NotDelegated {
        /// The group's name.
        name: String,
    },
    /// A process may only be moved between groups whose common parent is its user's.
    #[error("the control groups in `{}` are out of reach from this process's own", path.display())]
    OutOfReach {
        /// The directory that they are in.
        path: PathBuf,
    },
    /// The group above has processes, which keep it from giving controllers to groups below it.
    #[error("controller `{controller}` is not available below `{}`, which has processes of its own", path.display())]
    Occupied {
        /// The controller.
        controller: &'static str,
        /// The directory of the group above.
        path: PathBuf,
    },
    /// The kernel does not take the program that decides about devices.
    #[error("could not restrict the devices of `{}`", path.display())]
    DeviceFilter {
        /// The directory of the group.
        path: PathBuf,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
    /// A file of the group does not take a value.
    #[error("could not write `{value}` to `{}`", path.display())]
    Refused {
        /// The value.
        value: String,
        /// The file.
        path: PathBuf,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
    /// A group that is to be a container's own has processes. The words are what callers look for.
    #[error("container's cgroup is not empty: {count} process(es) found in `{}`", path.display())]
    NotEmpty {
        /// How many.
        count: usize,
        /// The directory of the group.
        path: PathBuf,
    },
    /// A group that is to be a container's own is frozen, so that nothing could begin in it.
    #[error("container's cgroup unexpectedly frozen: `{}`", path.display())]
    Frozen {
        /// The directory of the group.
        path: PathBuf,
    },
    /// A path leads out of the group that it is below. The words are what callers look for.
    #[error("bad sub cgroup path: `{path}`")]
    Below {
        /// The path.
        path: String,
    },
    /// There is no group of such a controller.
    #[error("unknown controller `{name}`")]
    UnknownController {
        /// Its name.
        name: String,
    },
    /// Groups of a threaded subtree have only some controllers (`Documentation/admin-guide/cgroup-v2.rst`,
    /// "Threads").
    #[error("controller `{controller}` is not available in `{}`, which is in a threaded subtree", path.display())]
    Threaded {
        /// The controller.
        controller: &'static str,
        /// The directory of the group.
        path: PathBuf,
    },
    /// Systemd does not do what is asked of it.
    #[error(transparent)]
    Systemd(#[from] SystemdError),
    /// A file or directory of the group.
    #[error("could not access `{}`", path.display())]
    Access {
        /// Its path.
        path: PathBuf,
        /// The kernel's error.
        #[source]
        source: io::Error,
    },
}

/// Why a value of a group could not be set.
#[derive(Debug, thiserror::Error)]
#[error("cannot set `{field}`")]
pub struct SettingError {
    /// What the caller calls it.
    pub field: String,
    /// The reason.
    pub source: CgroupError,
}

impl Hint for SettingError {
    fn hint(&self) -> Option<String> {
        self.source.hint()
    }
}

impl Hint for CgroupError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoController { controller } => Some(format!(
                "enable `{controller}` in the `cgroup.subtree_control` of the parent group"
            )),
            Self::NotMounted => Some("run `mount -t cgroup2 none /sys/fs/cgroup` as root".into()),
            Self::OutOfReach { .. } => {
                Some("run creel in the session or scope that the container was started in".into())
            }
            Self::ReadOnly => Some("run `mount -o remount,rw /sys/fs/cgroup` as root".into()),
            Self::RootOnly => {
                Some("run creel as root, or boot with `systemd.unified_cgroup_hierarchy=1`".into())
            }
            Self::NotDelegated { .. } => {
                Some("run `systemd-run --user --scope -p Delegate=yes creel …`".into())
            }
            Self::Occupied { path, .. } => Some(format!(
                "move them: run `mkdir {0}/init && for p in $(cat {0}/cgroup.procs); do \
                 echo $p > {0}/init/cgroup.procs; done`",
                path.display()
            )),
            Self::DeviceFilter { .. } => {
                Some("boot a kernel with `CONFIG_BPF_SYSCALL` and `CONFIG_CGROUP_BPF`".into())
            }
            Self::NotEmpty { .. } => Some("choose another by `linux.cgroupsPath`".into()),
            Self::Frozen { path } => Some(format!("thaw it, or remove `{}`", path.display())),
            Self::Systemd(error) => error.hint(),
            Self::Threaded { .. } => {
                Some("leave out its limits, or choose another group by `linux.cgroupsPath`".into())
            }
            Self::Below { .. } | Self::UnknownController { .. } => None,
            Self::Name { .. } | Self::Refused { .. } | Self::Access { .. } => None,
        }
    }
}

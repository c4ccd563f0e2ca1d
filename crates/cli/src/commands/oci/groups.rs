//! Who makes the control groups of `creel oci`.

use clap::ValueEnum;
use creel_runtime::lifecycle::Groups;

use crate::settings::systemd;

/// Who makes control groups, by crun's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Manager {
    /// creel, in the file system of control groups
    #[default]
    Cgroupfs,
    /// systemd, as scopes
    Systemd,
    /// Nobody: containers have no control group
    Disabled,
}

impl Manager {
    pub(super) fn groups(self) -> Groups {
        match self {
            Self::Cgroupfs => Groups::Files,
            Self::Systemd => Groups::Systemd(systemd()),
            Self::Disabled => Groups::Nobody,
        }
    }
}

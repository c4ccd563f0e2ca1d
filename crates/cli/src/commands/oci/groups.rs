//! Who makes the control groups of `creel oci`.

use clap::ValueEnum;
use creel_runtime::lifecycle::{Create, Groups};

use crate::settings::systemd;

/// Who makes control groups, by crun's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Manager {
    /// creel, in the file system of control groups
    #[default]
    Cgroupfs,
    /// systemd, as scopes
    Systemd,
    /// Nobody: containers have no control group
    Disabled,
}

/// What is said of control groups before a command.
#[derive(Debug, clap::Args)]
pub(super) struct GroupOptions {
    /// Have systemd make the control groups, whose names are `slice:prefix:name` then
    #[arg(long)]
    systemd_cgroup: bool,
    /// Who makes control groups
    #[arg(long, value_enum, default_value_t, value_name = "NAME")]
    cgroup_manager: Manager,
    /// Whether to do without control groups that a user may not make, and to ask the systemd of the user's
    /// session: `true`, `false` or `auto`
    #[arg(long, default_value = "auto", value_name = "BOOL", value_parser = truth)]
    rootless: Truth,
}

/// `None` is what goes by the user.
type Truth = Option<bool>;

/// Takes what runc takes.
fn truth(text: &str) -> Result<Truth, String> {
    match text {
        "" | "auto" => Ok(None),
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Some(true)),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Some(false)),
        _ => Err("it is neither `true` nor `false` nor `auto`".into()),
    }
}

impl GroupOptions {
    /// Adds them to what is made.
    pub(super) fn add_to(&self, create: Create) -> Create {
        let manager = if self.systemd_cgroup { Manager::Systemd } else { self.cgroup_manager };
        Create { groups: manager.groups(), rootless: self.rootless, ..create }
    }
}

impl Manager {
    fn groups(self) -> Groups {
        match self {
            Self::Cgroupfs => Groups::Files,
            Self::Systemd => Groups::Systemd(systemd()),
            Self::Disabled => Groups::Nobody,
        }
    }
}

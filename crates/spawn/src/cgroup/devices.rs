//! Which devices a group may open: the controller of version 1. Version 2 has a program for that
//! instead of a controller.

use super::{Cgroup, CgroupError, Hierarchy, write};

/// Which kind of devices a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Devices {
    /// Both kinds; numbers and access do not count.
    All,
    /// Character devices.
    Character,
    /// Block devices.
    Block,
}

/// A rule; of several, the last one about a device counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRule {
    /// Whether it allows or forbids.
    pub allow: bool,
    /// What it is about.
    pub devices: Devices,
    /// Major number; any if not said.
    pub major: Option<u32>,
    /// Minor number; any if not said.
    pub minor: Option<u32>,
    /// Some of `r`, `w` and `m` (make a node).
    pub access: String,
}

impl DeviceRule {
    /// The text that the controller takes (`Documentation/admin-guide/cgroup-v1/devices.rst`).
    fn text(&self) -> String {
        let kind = match self.devices {
            Devices::All => return "a *:* rwm".into(),
            Devices::Character => 'c',
            Devices::Block => 'b',
        };
        let number =
            |number: Option<u32>| number.map_or_else(|| "*".into(), |number| number.to_string());
        format!("{kind} {}:{} {}", number(self.major), number(self.minor), self.access)
    }
}

impl Cgroup {
    /// Sets which devices can be opened, one write a rule. Does nothing where there is no such
    /// controller: the container's devices are those in its `/dev` then.
    ///
    /// # Errors
    /// Fails if the controller refuses a rule.
    pub fn allow_devices(&self, rules: &[DeviceRule]) -> Result<(), CgroupError> {
        let Hierarchy::V1(mounts) = &self.hierarchy else { return Ok(()) };
        if !self.controllers.contains(&"devices") {
            return Ok(());
        }
        let directory = mounts.join("devices").join(&self.name);
        rules.iter().try_for_each(|rule| {
            let file = if rule.allow { "devices.allow" } else { "devices.deny" };
            write(&directory.join(file), rule.text())
        })
    }
}

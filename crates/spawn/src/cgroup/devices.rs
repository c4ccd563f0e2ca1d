//! Which devices a group may open: the controller of version 1, or the program that version 2 asks
//! in its place.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::Path;

use creel_codec::bpf::device;
use creel_sys::bpf;

pub use creel_codec::bpf::device::{Access, Devices, Rule as DeviceRule};

use super::{Cgroup, CgroupError, Hierarchy, access, write};
use crate::userns::is_machines_root;

impl Cgroup {
    /// Sets which devices can be opened. Does nothing where version 1 has no such controller (the
    /// container's devices are those in its `/dev` then), nor for a user or below the first user
    /// namespace, where the kernel lets nobody make or open a device that its owner has not given.
    ///
    /// # Errors
    /// Fails if the controller refuses a rule, or the kernel the program.
    pub fn allow_devices(&self, rules: &[DeviceRule]) -> Result<(), CgroupError> {
        match &self.hierarchy {
            Hierarchy::V1(mounts) if self.controllers.contains(&"devices") => {
                write_rules(&mounts.join("devices").join(&self.name), rules)
            }
            Hierarchy::V1(_) => Ok(()),
            // Without a program everything is allowed.
            Hierarchy::V2(_) if rules.iter().all(|rule| rule.allow) => Ok(()),
            Hierarchy::V2(mount) => filter(&mount.join(&self.name), rules),
        }
    }
}

/// One write a rule.
fn write_rules(directory: &Path, rules: &[DeviceRule]) -> Result<(), CgroupError> {
    rules.iter().try_for_each(|rule| {
        let file = if rule.allow { "devices.allow" } else { "devices.deny" };
        write(&directory.join(file), text(rule))
    })
}

/// A rule as the controller takes it (`Documentation/admin-guide/cgroup-v1/devices.rst`).
fn text(rule: &DeviceRule) -> String {
    let kind = match rule.devices {
        Devices::All => return "a *:* rwm".into(),
        Devices::Character => 'c',
        Devices::Block => 'b',
    };
    let number =
        |number: Option<u32>| number.map_or_else(|| "*".into(), |number| number.to_string());
    format!("{kind} {}:{} {}", number(rule.major), number(rule.minor), rule.access)
}

fn filter(directory: &Path, rules: &[DeviceRule]) -> Result<(), CgroupError> {
    let group = access(directory, File::open(directory))?;
    let attached = bpf::load_device_program(&device::compile(rules))
        .and_then(|program| bpf::attach_to_cgroup(program.as_fd(), group.as_fd()));
    match attached {
        Err(error) if error.raw_os_error() == Some(EPERM) && !is_machines_root() => Ok(()),
        done => done.map_err(|source| CgroupError::DeviceFilter { path: directory.into(), source }),
    }
}

const EPERM: i32 = 1;

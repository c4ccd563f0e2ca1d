//! Lowering of `linux.devices`, and the devices that every container has.

use std::collections::HashSet;

use creel_spawn::{Device, DeviceKind};

use super::error::{LowerError, value};
use super::options::MountOptions;
use super::process::id;
use crate::defaults;
use crate::spec::{self, Linux, Spec};

pub(super) struct Devices {
    pub(super) nodes: Vec<Device>,
    pub(super) links: Vec<(String, String)>,
}

pub(super) fn lower(spec: &Spec, linux: &Linux) -> Result<Devices, LowerError> {
    let mut devices = Devices { nodes: Vec::new(), links: Vec::new() };
    if !is_dev_bound(spec) {
        let default = defaults::DEVICES.map(|(name, major, minor)| {
            Device::character(format!("/dev/{name}"), [major, minor], 0o666)
        });
        devices.nodes.extend(default);
        devices.links.extend(defaults::LINKS.map(|(name, text)| (name.into(), text.into())));
    }
    for (index, device) in linux.devices.iter().enumerate() {
        let device = lower_device(&format!("linux.devices[{index}]"), device)?;
        devices.nodes.push(device);
    }
    only_last(&mut devices.nodes);
    Ok(devices)
}

/// Of several for one path the last counts: a container may ask for one of the usual ones with other
/// permissions.
fn only_last(nodes: &mut Vec<Device>) {
    let mut seen = HashSet::new();
    let mut last: Vec<bool> =
        nodes.iter().rev().map(|node| seen.insert(node.path.clone())).collect();
    nodes.retain(|_| last.pop().unwrap_or(true));
}

/// Whether `/dev` is one that somebody else has filled.
fn is_dev_bound(spec: &Spec) -> bool {
    let is_dev = |mount: &&spec::Mount| mount.destination.trim_matches('/') == "dev";
    let dev = spec.mounts.iter().rev().find(is_dev);
    dev.is_some_and(|mount| MountOptions::parse(&mount.options).bind.is_some())
}

fn lower_device(field: &str, device: &spec::Device) -> Result<Device, LowerError> {
    let kind = match device.kind.as_str() {
        "c" | "u" => DeviceKind::Character,
        "b" => DeviceKind::Block,
        "p" => DeviceKind::Pipe,
        other => return Err(value(format!("{field}.type"), other, "`c`, `u`, `b` or `p`")),
    };
    let path = device.path.strip_prefix('/').filter(|path| is_plain(path));
    let path = path.ok_or_else(|| {
        value(format!("{field}.path"), &device.path, "an absolute path of plain names")
    })?;
    let number = |name: &str, number: Option<i64>| match (kind, number) {
        (DeviceKind::Pipe, _) => Ok(0),
        (_, None) => Err(LowerError::Missing { field: format!("{field}.{name}") }),
        (_, Some(number)) => u32::try_from(number)
            .map_err(|_| value(format!("{field}.{name}"), number, "a device number")),
    };
    let mode = device.file_mode.unwrap_or(0o666);
    if mode & !0o7777 != 0 {
        return Err(value(format!("{field}.fileMode"), mode, "permission bits"));
    }
    let owner = [device.uid.unwrap_or(0), device.gid.unwrap_or(0)];
    id(format!("{field}.uid"), owner[0])?;
    id(format!("{field}.gid"), owner[1])?;
    Ok(Device {
        path: format!("/{path}"),
        kind,
        numbers: [number("major", device.major)?, number("minor", device.minor)?],
        mode,
        owner,
    })
}

fn is_plain(name: &str) -> bool {
    name.split('/').all(|part| !matches!(part, "" | "." | "..")) && !name.contains('\0')
}

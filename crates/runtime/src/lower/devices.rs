//! Lowering of `linux.devices`, and the devices that every container has.

use creel_spawn::{Device, DeviceKind};

use super::error::{LowerError, value};
use super::options::MountOptions;
use crate::defaults;
use crate::spec::{self, Linux, Spec};

pub(super) struct Devices {
    pub(super) nodes: Vec<Device>,
    pub(super) links: Vec<(String, String)>,
}

pub(super) fn lower(spec: &Spec, linux: &Linux) -> Result<Devices, LowerError> {
    let mut devices = Devices { nodes: Vec::new(), links: Vec::new() };
    if has_own_dev(spec) {
        let default = defaults::DEVICES
            .map(|(name, major, minor)| Device::character(name, [major, minor], 0o666));
        devices.nodes.extend(default);
        devices.links.extend(defaults::LINKS.map(|(name, text)| (name.into(), text.into())));
    }
    for (index, device) in linux.devices.iter().enumerate() {
        let device = lower_device(&format!("linux.devices[{index}]"), device)?;
        // A container may ask for one of the usual ones with other permissions.
        devices.nodes.retain(|known| known.name != device.name);
        devices.nodes.push(device);
    }
    Ok(devices)
}

/// Whether `/dev` is a file system of the container's, not the host's or the image's.
fn has_own_dev(spec: &Spec) -> bool {
    let mut dev =
        spec.mounts.iter().filter(|mount| mount.destination.trim_end_matches('/') == "/dev");
    dev.next_back().is_some_and(|mount| MountOptions::parse(&mount.options).bind.is_none())
}

fn lower_device(field: &str, device: &spec::Device) -> Result<Device, LowerError> {
    let kind = match device.kind.as_str() {
        "c" | "u" => DeviceKind::Character,
        "b" => DeviceKind::Block,
        "p" => DeviceKind::Pipe,
        other => return Err(value(format!("{field}.type"), other, "`c`, `u`, `b` or `p`")),
    };
    let path = &device.path;
    let name = path.strip_prefix("/dev/").filter(|name| is_plain(name));
    let name = name.ok_or_else(|| value(format!("{field}.path"), path, "a path below `/dev`"))?;
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
    Ok(Device {
        name: name.into(),
        kind,
        numbers: [number("major", device.major)?, number("minor", device.minor)?],
        mode,
        owner: [device.uid.unwrap_or(0), device.gid.unwrap_or(0)],
    })
}

fn is_plain(name: &str) -> bool {
    name.split('/').all(|part| !matches!(part, "" | "." | "..")) && !name.contains('\0')
}

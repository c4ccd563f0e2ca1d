//! Devices of a plan, and their lowering.

use std::ffi::CString;

use creel_sys::program::{Depth, Kind, Op, Slot};

use crate::error::SpawnError;
use crate::lower::Steps;
use crate::mount::target_parts;

/// What a device node stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u32)]
pub enum DeviceKind {
    /// A character device (`S_IFCHR`).
    #[default]
    Character = 0o20000,
    /// A block device (`S_IFBLK`).
    Block = 0o60000,
    /// A named pipe (`S_IFIFO`).
    Pipe = 0o10000,
}

/// A device below `/dev`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Name in `/dev`: `null`, `net/tun`.
    pub name: String,
    /// What it is.
    pub kind: DeviceKind,
    /// Major and minor number.
    pub numbers: [u32; 2],
    /// Permission bits.
    pub mode: u32,
    /// Owner and group inside.
    pub owner: [u32; 2],
}

impl Device {
    /// A character device of root's.
    pub fn character(name: impl Into<String>, numbers: [u32; 2], mode: u32) -> Self {
        Self { name: name.into(), numbers, mode, ..Self::default() }
    }
}

/// Opens the real `/dev` for nodes and links: a symbolic link there would lead them elsewhere
/// (CVE-2026-41579).
pub(crate) fn open_dev(steps: &mut Steps, root: Slot) -> Slot {
    let dev = steps.slot();
    steps.add("open `/dev`", Op::OpenRealDirectory(root, c"dev".into(), dev));
    dev
}

pub(crate) fn lower_node(steps: &mut Steps, dev: Slot, device: &Device) -> Result<(), SpawnError> {
    let mut directory = dev;
    let name = match device.name.rsplit_once('/') {
        Some((parents, name)) => {
            directory = steps.scratch.place;
            let ensure = Op::Ensure(dev, target_parts(parents, Kind::Directory)?, directory);
            steps.add(format!("create the directory of the device `{}`", device.name), ensure);
            single_name(name)?
        }
        None => single_name(&device.name)?,
    };
    let mode = device.kind as u32 | device.mode;
    let node = Op::Node(directory, name, mode, device.numbers, device.owner);
    steps.add(format!("make the device `{}`", device.name), node);
    Ok(())
}

/// In a user namespace nodes cannot be made: the host's is bound after its numbers are checked.
pub(crate) fn lower_bound_device(
    steps: &mut Steps,
    root: Slot,
    device: &Device,
) -> Result<(), SpawnError> {
    let host = format!("/dev/{}", device.name);
    let target = target_parts(&host, Kind::File)?;
    let (found, made, place) = (steps.scratch.source, steps.scratch.made, steps.scratch.place);
    steps.add(format!("open `{host}`"), Op::OpenHost(CString::new(host.as_str())?, found));
    if device.kind == DeviceKind::Character {
        let [major, minor] = device.numbers;
        steps.add(format!("verify `{host}`"), Op::CheckDevice(found, major, minor));
    }
    steps.add(format!("clone `{host}`"), Op::CloneTree(found, Depth::One, made));
    steps.add(format!("create the mount point `{host}`"), Op::Ensure(root, target, place));
    steps.add(format!("mount `{host}`"), Op::Attach(made, place));
    Ok(())
}

pub(crate) fn single_name(name: &str) -> Result<CString, SpawnError> {
    if name.contains('/') || matches!(name, "" | "." | "..") {
        return Err(SpawnError::ParentInPath { path: name.into() });
    }
    Ok(CString::new(name)?)
}

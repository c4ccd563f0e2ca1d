//! Devices of a plan, and their lowering.

use std::ffi::CString;

use creel_sys::program::{self, Kind, Op, Slot};

use crate::error::SpawnError;
use crate::lower::Steps;
use crate::mount::target;

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

/// A device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Its path: `/dev/null`, `/dev/net/tun`.
    pub path: String,
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
    pub fn character(path: impl Into<String>, numbers: [u32; 2], mode: u32) -> Self {
        Self { path: path.into(), numbers, mode, ..Self::default() }
    }
}

/// Opens the real `/dev` for nodes and links: a symbolic link there would lead them elsewhere
/// (CVE-2026-41579). One that nothing is mounted on may be missing.
pub(crate) fn open_dev(steps: &mut Steps, root: Slot, mounted: bool) -> Result<Slot, SpawnError> {
    let dev = steps.slot();
    if !mounted {
        steps.add("create `/dev`", Op::Ensure(root, target("dev", Kind::Directory)?, dev));
    }
    steps.add("open `/dev`", Op::OpenRealDirectory(root, c"dev".into(), dev));
    Ok(dev)
}

/// Adds the step that makes a device, and the one that makes its directory. `dev` is the real `/dev`,
/// if that was opened; `bound` binds the host's devices, where nodes cannot be made anyway.
pub(crate) fn lower_device(
    steps: &mut Steps,
    root: Slot,
    dev: Slot,
    device: &Device,
    bound: bool,
) -> Result<(), SpawnError> {
    let path = &device.path;
    let (parents, name) = path.rsplit_once('/').unwrap_or(("", path));
    let (base, parents) = match parents.strip_prefix("/dev") {
        Some(below) if below.is_empty() || below.starts_with('/') => (dev, below),
        _ => (root, parents),
    };
    let mut directory = base;
    if base != dev || !parents.is_empty() {
        directory = steps.scratch.place;
        let ensure = Op::Ensure(base, target(parents, Kind::Directory)?, directory);
        steps.add(format!("create the directory of the device `{path}`"), ensure);
    }
    let node = Op::Device(program::Device {
        directory,
        name: single_name(name)?,
        host: CString::new(path.as_str())?,
        mode: device.kind as u32 | device.mode,
        numbers: device.numbers,
        owner: device.owner,
        bound,
    });
    steps.add(format!("make the device `{path}`"), node);
    Ok(())
}

pub(crate) fn single_name(name: &str) -> Result<CString, SpawnError> {
    if name.contains('/') || matches!(name, "" | "." | "..") {
        return Err(SpawnError::ParentInPath { path: name.into() });
    }
    Ok(CString::new(name)?)
}

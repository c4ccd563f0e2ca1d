//! Mounts and devices of a plan, and their lowering.

use std::ffi::{CString, NulError};
use std::path::PathBuf;

use creel_sys::program::{Attributes, Depth, Kind, NewFileSystem, Op, Slot, Target};

use crate::error::SpawnError;
use crate::lower::Steps;

/// `MOUNT_ATTR_RDONLY`.
pub const READ_ONLY: u32 = 1;
/// `MOUNT_ATTR_NOSUID`.
pub const NO_SUID: u32 = 2;
/// `MOUNT_ATTR_NODEV`.
pub const NO_DEVICES: u32 = 4;
/// `MOUNT_ATTR_NOEXEC`.
pub const NO_EXEC: u32 = 8;
const PROC_SUPER_MAGIC: i64 = 0x9fa0;
const SYSFS_MAGIC: i64 = 0x6265_6572;

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Processes; only on a real directory.
    Proc,
    /// Kernel objects; only on a real directory.
    Sysfs,
    /// A new instance of a file system type with its options (`mode=755`, `newinstance`).
    New(String, Vec<String>),
    /// A file or directory of the host, with the mounts below it.
    Bind(PathBuf),
}

/// A mount below the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// What is mounted.
    pub source: Source,
    /// Where, resolved inside the root and created if missing.
    pub target: String,
    /// `MOUNT_ATTR_*`, set on every mount of the source.
    pub attributes: u32,
}

/// A character device below `/dev`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// Name in `/dev`.
    pub name: String,
    /// Major and minor number.
    pub numbers: [u32; 2],
    /// Permission bits.
    pub mode: u32,
}

pub(crate) fn lower_mount(steps: &mut Steps, root: Slot, mount: &Mount) -> Result<(), SpawnError> {
    let (made, place) = (steps.slot(), steps.slot());
    let target = &mount.target;
    let mut kind = Kind::Directory;
    match &mount.source {
        Source::Bind(path) => {
            let source = steps.slot();
            let host = CString::new(path.as_os_str().as_encoded_bytes())?;
            let name = path.display();
            steps.add(format!("open `{name}`"), Op::OpenHost(host, source));
            steps.add(format!("clone `{name}`"), Op::CloneTree(source, Depth::All, made));
            let set = Attributes { set: mount.attributes.into(), ..Attributes::default() };
            steps.add(format!("restrict `{name}`"), Op::SetAttributes(made, Depth::All, set));
            kind = Kind::Like(source);
        }
        source => {
            let system = file_system(source, mount.attributes)?;
            steps.add(format!("make the mount for `{target}`"), Op::NewMount(system, made));
        }
    }
    let ensure = Op::Ensure(root, target_parts(target, kind)?, place);
    steps.add(format!("create the mount point `{target}`"), ensure);
    let magic = match mount.source {
        Source::Proc => Some(PROC_SUPER_MAGIC),
        Source::Sysfs => Some(SYSFS_MAGIC),
        _ => None,
    };
    if magic.is_some() {
        open_real(steps, root, target, place)?;
    }
    steps.add(format!("mount `{target}`"), Op::Attach(made, place));
    if let Some(magic) = magic {
        let found = steps.slot();
        open_real(steps, root, target, found)?;
        steps.add(format!("verify `{target}`"), Op::CheckFileSystem(found, magic));
    }
    Ok(())
}

fn open_real(steps: &mut Steps, root: Slot, path: &str, out: Slot) -> Result<(), NulError> {
    let open = Op::OpenRealDirectory(root, CString::new(path)?, out);
    steps.add(format!("open the mount point `{path}`"), open);
    Ok(())
}

fn file_system(source: &Source, attributes: u32) -> Result<NewFileSystem, NulError> {
    let (kind, options): (&str, &[String]) = match source {
        Source::Proc => ("proc", &[]),
        Source::Sysfs => ("sysfs", &[]),
        Source::New(kind, options) => (kind, options),
        Source::Bind(_) => ("none", &[]),
    };
    let options = options
        .iter()
        .map(|option| match option.split_once('=') {
            Some((name, value)) => Ok((CString::new(name)?, Some(CString::new(value)?))),
            None => Ok((CString::new(option.as_str())?, None)),
        })
        .collect::<Result<_, NulError>>()?;
    Ok(NewFileSystem { kind: CString::new(kind)?, options, attributes })
}

/// Splits a path for creation; `..` is refused, as what it means depends on links.
pub(crate) fn target_parts(path: &str, kind: Kind) -> Result<Target, SpawnError> {
    let (mut parts, mut whole) = (Vec::new(), String::new());
    for name in path.split('/').filter(|name| !matches!(*name, "" | ".")) {
        if name == ".." {
            return Err(SpawnError::ParentInPath { path: path.into() });
        }
        if !whole.is_empty() {
            whole.push('/');
        }
        whole.push_str(name);
        parts.push((CString::new(whole.as_str())?, CString::new(name)?));
    }
    Ok(Target { parts, kind })
}

/// Opens the real `/dev` for nodes and links: a symbolic link there would lead them elsewhere
/// (CVE-2026-41579).
pub(crate) fn open_dev(steps: &mut Steps, root: Slot) -> Slot {
    let dev = steps.slot();
    steps.add("open `/dev`", Op::OpenRealDirectory(root, c"dev".into(), dev));
    dev
}

pub(crate) fn lower_node(steps: &mut Steps, dev: Slot, device: &Device) -> Result<(), SpawnError> {
    let name = single_name(&device.name)?;
    // 0o20000 is S_IFCHR.
    let node = Op::Node(dev, name, 0o20000 | device.mode, device.numbers);
    steps.add(format!("make the device `{}`", device.name), node);
    Ok(())
}

/// In a user namespace nodes cannot be made: the host's is bound after its numbers are checked.
pub(crate) fn lower_bound_device(
    steps: &mut Steps,
    root: Slot,
    device: &Device,
) -> Result<(), SpawnError> {
    single_name(&device.name)?;
    let host = format!("/dev/{}", device.name);
    let found = steps.slot();
    let [major, minor] = device.numbers;
    steps.add(format!("open `{host}`"), Op::OpenHost(CString::new(host.as_str())?, found));
    steps.add(format!("verify `{host}`"), Op::CheckDevice(found, major, minor));
    let (made, place) = (steps.slot(), steps.slot());
    steps.add(format!("clone `{host}`"), Op::CloneTree(found, Depth::One, made));
    let target = target_parts(&host, Kind::File)?;
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

//! The devices of the host, for containers without restrictions.

use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use creel_runtime::spec::Device;

/// How deep below `/dev` devices are looked for (`/dev/bus/usb/001/002`).
const DEPTH: u32 = 4;
/// Directories and names that the container has of its own.
const OWN: [&str; 5] = ["console", "mqueue", "ptmx", "pts", "shm"];

/// Lists the devices below `/dev`. What cannot be read is left out.
pub(super) fn of_host() -> Vec<Device> {
    let mut found = Vec::new();
    collect(Path::new("/dev"), DEPTH, &mut found);
    found
}

fn collect(directory: &Path, depth: u32, into: &mut Vec<Device>) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        if OWN.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        let Ok(meta) = entry.metadata() else { continue };
        if meta.is_dir() && depth > 0 {
            collect(&entry.path(), depth - 1, into);
        } else if let Some(path) = entry.path().to_str() {
            into.extend(device(path, &meta));
        }
    }
}

fn device(path: &str, meta: &fs::Metadata) -> Option<Device> {
    let kind = match meta.file_type() {
        kind if kind.is_char_device() => "c",
        kind if kind.is_block_device() => "b",
        _ => return None,
    };
    let number = meta.rdev();
    Some(Device {
        kind: kind.to_owned(),
        path: path.to_owned(),
        major: Some(rustix::fs::major(number).into()),
        minor: Some(rustix::fs::minor(number).into()),
        file_mode: Some(meta.mode() & 0o7777),
        uid: Some(meta.uid()),
        gid: Some(meta.gid()),
    })
}

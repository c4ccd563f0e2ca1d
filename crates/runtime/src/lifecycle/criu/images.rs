//! What is kept beside the images of a checkpoint: what of the container came from outside.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use serde::{Deserialize, Serialize};

use super::CriuError;
use crate::spec::{Namespace, NamespaceKind, Spec};

/// Its name.
const FILE: &str = "creel.json";
/// The version of its format; others are not read.
const VERSION: u32 = 1;
/// The name of a network namespace that is another's.
pub(super) const NETWORK: &str = "extRootNetNS";

/// What of a container came from outside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Outside {
    version: u32,
    /// Its standard descriptors.
    pub(super) descriptors: Vec<OutsideDescriptor>,
    /// Its bind mounts.
    pub(super) mounts: Vec<OutsideMount>,
}

/// A descriptor.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OutsideDescriptor {
    /// What CRIU calls it; empty if it is not open.
    pub(super) key: String,
    /// The path of a file of the host's.
    pub(super) path: Option<PathBuf>,
}

/// A bind mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OutsideMount {
    /// Where it is inside, without links on the way.
    pub(super) place: String,
    /// The destination of the mount of the specification, or nothing for what every container has.
    pub(super) destination: Option<String>,
    /// What is bound, where the specification has no mount of that destination.
    pub(super) source: PathBuf,
    /// The hierarchy of control groups of version 1 that it shows, of which the container has its own
    /// group there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) hierarchy: Option<String>,
}

impl Outside {
    /// Looks at a running container.
    pub(super) fn of(spec: &Spec, pid: i32) -> Result<Self, CriuError> {
        let process = PathBuf::from(format!("/proc/{pid}"));
        let path = process.join("mountinfo");
        let text = fs::read_to_string(&path).map_err(unusable(&path))?;
        let places: Vec<String> = text.lines().filter_map(place).collect();
        let mut mounts = Vec::new();
        let mut add = |path: &str, destination: Option<&str>, source: &Path| {
            // What is not mounted there is not the container's.
            let found = resolve(&process.join("root"), path).filter(|one| places.contains(one));
            let known =
                |place: &String| mounts.iter().any(|one: &OutsideMount| one.place == *place);
            if let Some(place) = found.filter(|place| !known(place)) {
                let (destination, source) = (destination.map(String::from), source.into());
                mounts.push(OutsideMount { place, destination, source, hierarchy: None });
            }
        };
        for mount in &spec.mounts {
            let bind = mount.options.iter().any(|option| matches!(&**option, "bind" | "rbind"));
            if let (true, Some(source)) = (bind, &mount.source) {
                add(&mount.destination, Some(&mount.destination), source);
            }
        }
        let linux = spec.linux.clone().unwrap_or_default();
        for path in &linux.masked_paths {
            let masked = process.join("root").join(path.trim_start_matches('/'));
            if fs::symlink_metadata(&masked).is_ok_and(|found| !found.is_dir()) {
                add(path, None, Path::new("/dev/null"));
            }
        }
        // In a user namespace they are bound.
        let usual = crate::defaults::DEVICES.iter().map(|(name, ..)| format!("/dev/{name}"));
        for path in usual.chain(linux.devices.iter().map(|device| device.path.clone())) {
            add(&path, None, Path::new(&path));
        }
        mounts.extend(text.lines().filter_map(hierarchy));
        let descriptors = (0..3).map(|number| descriptor(&process, number));
        let descriptors = descriptors.collect::<Result<_, _>>()?;
        Ok(Self { version: VERSION, descriptors, mounts })
    }

    pub(super) fn write(&self, images: &Path) -> Result<(), CriuError> {
        let path = images.join(FILE);
        let text = serde_json::to_vec(self)
            .map_err(|source| CriuError::Description { path: path.clone(), source })?;
        fs::write(&path, text).map_err(unusable(&path))
    }

    pub(super) fn read(images: &Path) -> Result<Self, CriuError> {
        let path = images.join(FILE);
        let text = fs::read(&path).map_err(unusable(&path))?;
        let read: Self = serde_json::from_slice(&text)
            .map_err(|source| CriuError::Description { path: path.clone(), source })?;
        if read.version == VERSION {
            return Ok(read);
        }
        Err(unusable(&path)(std::io::ErrorKind::InvalidData.into()))
    }
}

pub(super) fn unusable(path: &Path) -> impl FnOnce(std::io::Error) -> CriuError {
    move |source| CriuError::Path { path: path.into(), source }
}

/// The place of a line of `mountinfo`, in which some characters are octal numbers.
fn place(line: &str) -> Option<String> {
    let field = line.split(' ').nth(4)?;
    let escapes = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    Some(escapes.iter().fold(field.to_owned(), |path, (from, to)| path.replace(from, to)))
}

/// A mount of control groups of version 1. CRIU takes it for another one of the machine's, which it is not.
fn hierarchy(line: &str) -> Option<OutsideMount> {
    let (_, source) = line.split_once(" - ")?;
    let place = place(line).filter(|_| source.starts_with("cgroup "))?;
    let name = Path::new(&place).file_name()?.to_str()?.to_owned();
    let source = Path::new("/sys/fs/cgroup").join(&name);
    Some(OutsideMount { place, destination: None, source, hierarchy: Some(name) })
}

/// A path inside without links.
fn resolve(root: &Path, path: &str) -> Option<String> {
    let root = fs::File::open(root).ok()?;
    let flags = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    let found = openat2(&root, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), flags).ok()?;
    let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&found));
    fs::read_link(link).ok()?.into_os_string().into_string().ok()
}

/// A descriptor of a process.
fn descriptor(process: &Path, number: u32) -> Result<OutsideDescriptor, CriuError> {
    let path = process.join(format!("fd/{number}"));
    let Ok(target) = fs::read_link(&path) else { return Ok(OutsideDescriptor::default()) };
    let key = target.to_string_lossy().into_owned();
    if key.starts_with("pipe:[") || key.starts_with("socket:[") {
        return Ok(OutsideDescriptor { key, path: None });
    }
    let inode = fs::metadata(&path).map_err(unusable(&path))?.ino();
    let path = process.join(format!("fdinfo/{number}"));
    let info = fs::read_to_string(&path).map_err(unusable(&path))?;
    let mount = info.lines().find_map(|line| line.strip_prefix("mnt_id:"));
    let mount: u64 = mount.and_then(|id| id.trim().parse().ok()).unwrap_or(0);
    Ok(OutsideDescriptor { key: format!("file[{mount:x}:{inode:x}]"), path: Some(target) })
}

/// The network namespace that a container joins, if it does.
pub(super) fn joined_network(spec: &Spec) -> Option<&Path> {
    let namespaces = spec.linux.as_ref().map_or(&[][..], |linux| &linux.namespaces);
    let network = |one: &&Namespace| one.kind == NamespaceKind::Network;
    namespaces.iter().find(network).and_then(Namespace::path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_are() {
        let line = "1 2 3:4 / /a\\040b rw - tmpfs none rw";
        assert_eq!(place(line).as_deref(), Some("/a b"));
        assert_eq!(place("1 2"), None);
    }

    #[test]
    fn what_is_outside_is_kept() {
        let images = tempfile::tempdir().unwrap();
        let mount = OutsideMount {
            place: "/x".into(),
            destination: None,
            source: "/dev/null".into(),
            hierarchy: None,
        };
        let outside = Outside {
            version: VERSION,
            descriptors: vec![OutsideDescriptor { key: "pipe:[1]".into(), path: None }],
            mounts: vec![mount],
        };
        outside.write(images.path()).unwrap();
        assert_eq!(Outside::read(images.path()).unwrap(), outside);
        Outside { version: 2, ..outside }.write(images.path()).unwrap();
        assert!(Outside::read(images.path()).is_err());
        fs::write(images.path().join(FILE), "[]").unwrap();
        assert!(matches!(Outside::read(images.path()), Err(CriuError::Description { .. })));
    }
}

//! The host's table of mounts, without what creel has mounted for itself.

use std::fs;
use std::path::{Path, PathBuf};

use super::HostError;

/// Where mounts are looked up.
pub(super) const MOUNTS: &str = "/proc/self/mountinfo";
/// What the type of a tree's mount is, and what the directory is called that they are mounted in.
const TREE: &str = "erofs";
const TREES: &str = "trees";

/// A mount of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mounted {
    /// Where it is.
    pub(super) path: PathBuf,
    /// The type of its file system.
    pub(super) kind: String,
}

/// Lists the host's mounts, in the order in which they were made.
pub(super) fn read() -> Result<Vec<Mounted>, HostError> {
    let text = fs::read_to_string(MOUNTS).map_err(HostError::Mounts)?;
    Ok(without_trees(text.lines().filter_map(mounted).collect()))
}

/// The trees of any run directory are creel's, whoever's it is, and so is the mount that they are in.
fn without_trees(mut mounts: Vec<Mounted>) -> Vec<Mounted> {
    let trees = mounts.iter().filter(|mount| is_tree(mount));
    let places: Vec<_> = trees.filter_map(|tree| tree.path.parent()).map(Path::to_owned).collect();
    mounts.retain(|mount| !is_tree(mount) && !places.contains(&mount.path));
    mounts
}

fn is_tree(mount: &Mounted) -> bool {
    let name = |path: &Path| path.file_name()?.to_str().map(str::to_owned);
    let is_id = |name: String| name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
    mount.kind == TREE
        && name(&mount.path).is_some_and(is_id)
        && mount.path.parent().and_then(name).is_some_and(|place| place == TREES)
}

/// The mount of a line of mountinfo (proc_pid_mountinfo(5)).
fn mounted(line: &str) -> Option<Mounted> {
    let (before, after) = line.split_once(" - ")?;
    let path = before.split(' ').nth(4)?;
    let kind = after.split(' ').next()?;
    Some(Mounted { path: unescape(path), kind: kind.to_owned() })
}

/// Blanks, tabs, line ends and backslashes are written as three octal digits.
fn unescape(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let octal = after.get(..3).and_then(|digits| core::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            _ => bytes.push(*first),
        }
    }
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(path: impl Into<PathBuf>, kind: &str) -> Mounted {
        Mounted { path: path.into(), kind: kind.to_owned() }
    }

    #[test]
    fn reads_mount_points() {
        let line = r"36 35 98:0 /mnt1 /mnt\0402\134x rw,noatime master:1 - ext3 /dev/root rw";
        assert_eq!(mounted(line), Some(mount("/mnt 2\\x", "ext3")));
        assert_eq!(mounted("short"), None);
        assert_eq!(unescape(r"/a\b"), Path::new(r"/a\b"));
    }

    #[test]
    fn mounts_of_creel_are_nobodys_concern() {
        let tree = format!("/x/run/trees/{}", "0f".repeat(32));
        let others = [mount("/", "ext4"), mount("/y/trees", "ext4"), mount("/y/trees/0f", "erofs")];
        let own = [mount("/x/run/trees", "ext4"), mount(tree, "erofs")];
        assert_eq!(without_trees([&others[..], &own].concat()), others);
    }
}

//! Removing a directory of ours with whatever is mounted in it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use tempfile::TempDir;

/// Removes the directory.
pub(crate) fn remove(directory: TempDir) -> anyhow::Result<()> {
    unmount_below(directory.path())?;
    let path = directory.path().to_owned();
    directory.close().with_context(|| format!("cannot remove `{}`", path.display()))
}

/// Unmounts what is mounted below, the last mount first.
pub(crate) fn unmount_below(directory: &Path) -> anyhow::Result<()> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    // proc(5): the fifth field is the mount point, with octal escapes that our names do not need.
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    let below: Vec<&str> = points.filter(|point| Path::new(point).starts_with(directory)).collect();
    for point in below.into_iter().rev() {
        // Not by `run`, which an interrupt ends: cleaning up is what is left to do then.
        let status = Command::new("umount").args(["--lazy", point]).status()?;
        anyhow::ensure!(status.success(), "cannot unmount `{point}`: {status}");
    }
    Ok(())
}

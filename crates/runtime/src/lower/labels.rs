//! Lowering of what security modules are told.

use std::fs;
use std::path::Path;

use creel_spawn::{Label, Mount, Source};

use super::error::{LowerError, value};
use crate::spec::{Linux, Process};

/// File systems that get no label when they are mounted: theirs are the kernel's.
const UNLABELLED: [&str; 4] = ["sysfs", "proc", "cgroup", "cgroup2"];

pub(super) fn lower(process: &Process) -> Result<Vec<Label>, LowerError> {
    let mut labels = Vec::new();
    if let Some(profile) = given(process.apparmor_profile.as_ref()) {
        let field = "process.apparmorProfile";
        plain(field, profile)?;
        if !has_apparmor() {
            return Err(LowerError::NoModule { field: field.into(), module: "AppArmor" });
        }
        // That file is AppArmor's alone, where several modules share the other (Linux 5.8).
        let own = Path::new("/proc/self/attr/apparmor/exec").exists();
        let file = if own { "apparmor/exec" } else { "exec" };
        labels.push(Label { file: file.into(), text: format!("exec {profile}") });
    }
    if let Some(label) = given(process.selinux_label.as_ref()) {
        selinux("process.selinuxLabel", label)?;
        let files = ["exec", "keycreate"].map(String::from);
        labels.extend(files.map(|file| Label { file, text: label.into() }));
    }
    Ok(labels)
}

/// Gives the label of a container's mounts to its new file systems.
pub(super) fn label_mounts(linux: &Linux, mounts: &mut [Mount]) -> Result<(), LowerError> {
    let Some(label) = given(linux.mount_label.as_ref()) else { return Ok(()) };
    selinux("linux.mountLabel", label)?;
    for mount in mounts {
        if let Source::New(kind, options) = &mut mount.source
            && !UNLABELLED.contains(&kind.as_str())
        {
            options.push(format!("context={label}"));
        }
    }
    Ok(())
}

fn given(text: Option<&String>) -> Option<&str> {
    text.map(String::as_str).filter(|text| !text.is_empty())
}

fn selinux(field: &str, label: &str) -> Result<(), LowerError> {
    plain(field, label)?;
    if has_selinux() {
        return Ok(());
    }
    Err(LowerError::NoModule { field: field.into(), module: "SELinux" })
}

fn plain(field: &str, text: &str) -> Result<(), LowerError> {
    if text.contains(|c: char| c.is_control()) {
        return Err(value(field, text.escape_debug(), "a text without control characters"));
    }
    Ok(())
}

/// Whether the kernel enforces profiles of AppArmor.
pub(crate) fn has_apparmor() -> bool {
    let enabled = fs::read_to_string("/sys/module/apparmor/parameters/enabled");
    enabled.is_ok_and(|text| text.starts_with('Y'))
}

/// Whether SELinux is on: only then its file system is known.
pub(crate) fn has_selinux() -> bool {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    known.lines().any(|line| line.split_whitespace().next_back() == Some("selinuxfs"))
}

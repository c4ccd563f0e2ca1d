//! Lowering of `linux`: namespaces, id maps, kernel parameters, paths.

use std::collections::BTreeSet;

use creel_spawn::{Depth, IdMap, Propagation};

use super::error::{LowerError, value};
use crate::spec::{IdMapping, Linux, NamespaceKind};

/// `UID_GID_MAP_MAX_EXTENTS` of the kernel.
const MAX_MAPPINGS: usize = 340;
/// `__NEW_UTS_LEN` of the kernel.
const MAX_NAME: usize = 64;

/// Whether the container gets a namespace of its own.
pub(super) fn is_new(linux: &Linux, kind: NamespaceKind) -> bool {
    linux.namespaces.iter().any(|one| one.kind == kind && one.path().is_none())
}

/// Whether the container gets a namespace of its own, or joins one.
pub(super) fn has(linux: &Linux, kind: NamespaceKind) -> bool {
    linux.namespaces.iter().any(|one| one.kind == kind)
}

/// Fails unless the container is in another namespace than the runtime because it asks for one.
pub(super) fn needs(linux: &Linux, kind: NamespaceKind, field: &str) -> Result<(), LowerError> {
    if has(linux, kind) {
        return Ok(());
    }
    Err(LowerError::NeedsNamespace { field: field.into(), namespace: kind })
}

pub(super) fn host_name(field: &str, name: &str) -> Result<(), LowerError> {
    if name.len() <= MAX_NAME && !name.contains('\0') {
        return Ok(());
    }
    Err(value(field, name, "a name of at most 64 bytes"))
}

pub(super) fn id_maps(linux: &Linux) -> Result<(Vec<IdMap>, Vec<IdMap>), LowerError> {
    let lists =
        [("linux.uidMappings", &linux.uid_mappings), ("linux.gidMappings", &linux.gid_mappings)];
    let user = is_new(linux, NamespaceKind::User);
    for (field, list) in lists {
        match (user, list.is_empty()) {
            (true, true) => return Err(LowerError::Missing { field: field.into() }),
            // Of one that is joined they are known already.
            (false, false) => needs(linux, NamespaceKind::User, field)?,
            _ => {}
        }
    }
    Ok((mappings(lists[0].0, lists[0].1)?, mappings(lists[1].0, lists[1].1)?))
}

pub(super) fn mappings(field: &str, list: &[IdMapping]) -> Result<Vec<IdMap>, LowerError> {
    check_mappings(field, list)?;
    let lower =
        |map: &IdMapping| IdMap { inside: map.container_id, outside: map.host_id, count: map.size };
    Ok(list.iter().map(lower).collect())
}

fn check_mappings(field: &str, list: &[IdMapping]) -> Result<(), LowerError> {
    if list.len() > MAX_MAPPINGS {
        return Err(value(field, list.len(), "at most 340 ranges"));
    }
    for (index, map) in list.iter().enumerate() {
        let ends = [map.container_id, map.host_id].map(|first| first.checked_add(map.size));
        if map.size == 0 || ends.contains(&None) {
            let field = format!("{field}[{index}].size");
            return Err(value(field, map.size, "a number of ids from 1 that end below 2^32"));
        }
    }
    Ok(())
}

pub(super) fn propagation(linux: &Linux) -> Result<Option<(Propagation, Depth)>, LowerError> {
    let Some(word) = linux.rootfs_propagation.as_deref() else { return Ok(None) };
    let kind = |word: &str| match word {
        "shared" => Some(Propagation::Shared),
        "slave" => Some(Propagation::Slave),
        "unbindable" => Some(Propagation::Unbindable),
        _ => None,
    };
    let recursive = word.strip_prefix('r').and_then(kind).map(|kind| (kind, Depth::All));
    match kind(word).map(|kind| (kind, Depth::One)).or(recursive) {
        None if !["", "private", "rprivate"].contains(&word) => {
            let rule = "`shared`, `slave`, `private` or `unbindable`";
            Err(value("linux.rootfsPropagation", word, rule))
        }
        found => Ok(found),
    }
}

pub(super) fn paths(field: &str, list: &[String]) -> Result<Vec<String>, LowerError> {
    for (index, path) in list.iter().enumerate() {
        absolute(format!("{field}[{index}]"), path)?;
    }
    let mut seen = BTreeSet::new();
    Ok(list.iter().filter(|path| seen.insert(*path)).cloned().collect())
}

pub(super) fn absolute(field: String, path: &str) -> Result<(), LowerError> {
    if path.starts_with('/') && !path.contains('\0') {
        return Ok(());
    }
    Err(value(field, path, "an absolute path"))
}

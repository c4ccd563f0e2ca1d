//! Bundles: a directory with `config.json`.

use std::path::{Path, PathBuf};

use creel_base::path::{Dir, PathError};
use serde_json::value::RawValue;

use super::error::LifecycleError;
use crate::spec::{IdMapping, Namespace, NamespaceKind, Spec};

/// A bundle that was read.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// Its directory, absolute.
    pub(super) path: PathBuf,
    pub(super) spec: Spec,
    /// The specification as it is written.
    pub(super) text: Box<RawValue>,
}

impl Bundle {
    /// The most that a specification takes, in bytes.
    pub const MAX_SPEC: u64 = 16 << 20;

    /// Reads the specification of a bundle, or another one in its place.
    ///
    /// # Errors
    /// [`LifecycleError::Path`] and [`LifecycleError::Document`].
    pub fn open(path: &Path, config: Option<&Path>) -> Result<Self, LifecycleError> {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
        let file = config.map_or_else(|| path.join("config.json"), Path::to_path_buf);
        let text = read(&file)?;
        let document = |source| LifecycleError::document(&file, &text, source);
        let spec = serde_json::from_slice(&text).map_err(document)?;
        let text = serde_json::from_slice(&text).map_err(document)?;
        Ok(Self { path, spec, text })
    }

    /// Whether its process is to have a terminal.
    #[must_use]
    pub fn wants_terminal(&self) -> bool {
        self.spec.process.as_ref().is_some_and(|process| process.terminal)
    }

    /// Whether it asks for a user namespace of its own in which nobody is this namespace's root: its
    /// processes cannot change what that owns, and not look into its processes.
    #[must_use]
    pub fn maps_root_away(&self) -> bool {
        self.spec.linux.as_ref().is_some_and(|linux| {
            let user = |one: &Namespace| one.kind == NamespaceKind::User && one.path().is_none();
            let maps = [&linux.uid_mappings, &linux.gid_mappings];
            let is_away = |maps: &&Vec<IdMapping>| {
                !maps.is_empty() && maps.iter().all(|map| map.host_id > 0 && map.size > 0)
            };
            linux.namespaces.iter().any(user) && maps.iter().all(is_away)
        })
    }

    /// Makes the paths of the host that may be relative to the bundle absolute.
    pub(super) fn resolve(&self) -> Spec {
        let mut spec = self.spec.clone();
        if let Some(root) = &mut spec.root {
            root.path = self.path.join(&root.path);
        }
        for mount in &mut spec.mounts {
            let bind = mount.options.iter().any(|option| ["bind", "rbind"].contains(&&**option));
            if let Some(source) = mount.source.as_mut().filter(|_| bind) {
                *source = self.path.join(&source);
            }
        }
        spec
    }
}

fn read(path: &Path) -> Result<Vec<u8>, PathError> {
    let directory = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        parent => parent.unwrap_or_else(|| Path::new("/")),
    };
    let name = path.file_name().unwrap_or_default();
    Dir::open(directory)?.read(name, Bundle::MAX_SPEC)
}

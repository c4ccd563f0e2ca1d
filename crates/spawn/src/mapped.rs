//! Mounts with ids of their own, which only this process can make: the child may have left the user
//! namespace that the file systems belong to.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use creel_sys::program::{Depth, Slot};

use crate::error::SpawnError;
use crate::lower::Steps;
use crate::mount::{Mapped, Mount, Source};
use crate::userns;

/// The mapped mounts of a plan, by their indexes.
#[derive(Debug, Default)]
pub(crate) struct MappedMounts(BTreeMap<usize, Arc<OwnedFd>>);

impl MappedMounts {
    /// Makes them, attached nowhere.
    pub(crate) fn make(mounts: &[Mount]) -> Result<Self, SpawnError> {
        let mut made = BTreeMap::new();
        let mut namespaces: Vec<(&userns::IdMaps, OwnedFd)> = Vec::new();
        for (index, mount) in mounts.iter().enumerate() {
            let Source::Mapped(mapped) = &mount.source else { continue };
            let known = namespaces.iter().position(|(maps, _)| **maps == mapped.maps);
            let at = match known {
                Some(at) => at,
                None => {
                    let namespace = userns::namespace(&mapped.maps);
                    namespaces.push((&mapped.maps, namespace.map_err(SpawnError::IdMaps)?));
                    namespaces.len() - 1
                }
            };
            if let Some((_, namespace)) = namespaces.get(at) {
                made.insert(index, Arc::new(clone(mapped, namespace)?));
            }
        }
        Ok(Self(made))
    }

    /// Gives them to the child; adds their slots.
    pub(crate) fn give(&self, steps: &mut Steps, clones: &mut BTreeMap<usize, Slot>) {
        for (index, mount) in &self.0 {
            clones.insert(*index, steps.program.give(Arc::clone(mount)));
        }
    }
}

fn clone(mapped: &Mapped, namespace: &OwnedFd) -> Result<OwnedFd, SpawnError> {
    let path = CString::new(mapped.path.as_os_str().as_encoded_bytes())?;
    let recursive = |depth| depth == Depth::All;
    let (depth, all) = (recursive(mapped.depth), recursive(mapped.mapped));
    creel_sys::mount::clone_private_idmapped(&path, depth, all, namespace.as_fd())
        .map_err(|source| SpawnError::Mapped { path: mapped.path.clone(), source })
}

//! Mounts with ids of their own, which only this process can make: the child may have left the user
//! namespace that the file systems belong to.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use creel_sys::program::{Depth, Slot};

use crate::error::SpawnError;
use crate::lower::Steps;
use crate::mount::{Ids, Mapped, Source};
use crate::plan::{Namespace, Plan};
use crate::userns::{self, IdMaps};

/// The mapped mounts of a plan, by their indexes.
#[derive(Debug, Default)]
pub(crate) struct MappedMounts(BTreeMap<usize, Arc<OwnedFd>>);

impl MappedMounts {
    /// Makes them, attached nowhere.
    pub(crate) fn make(plan: &Plan) -> Result<Self, SpawnError> {
        let mut made = BTreeMap::new();
        let mut namespaces: Vec<(&Ids, Arc<OwnedFd>)> = Vec::new();
        for (index, mount) in plan.mounts.iter().enumerate() {
            let Source::Mapped(mapped) = &mount.source else { continue };
            let known = namespaces.iter().find(|(ids, _)| **ids == mapped.ids);
            let namespace = match known {
                Some((_, namespace)) => Arc::clone(namespace),
                None => {
                    let namespace = namespace(plan, &mapped.ids)?;
                    namespaces.push((&mapped.ids, Arc::clone(&namespace)));
                    namespace
                }
            };
            made.insert(index, Arc::new(clone(mapped, &namespace)?));
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

/// A user namespace with these ids.
fn namespace(plan: &Plan, ids: &Ids) -> Result<Arc<OwnedFd>, SpawnError> {
    let joined = plan.joined.iter().find(|one| one.kind == Namespace::User);
    let made = match (ids, joined) {
        (Ids::Container, Some(joined)) => return Ok(Arc::clone(&joined.namespace)),
        (Ids::Container, None) => {
            userns::namespace(&IdMaps { uids: plan.uids.clone(), gids: plan.gids.clone() })
        }
        (Ids::Map(maps), _) => userns::namespace(maps),
    };
    made.map(Arc::new).map_err(SpawnError::IdMaps)
}

fn clone(mapped: &Mapped, namespace: &OwnedFd) -> Result<OwnedFd, SpawnError> {
    let path = CString::new(mapped.path.as_os_str().as_encoded_bytes())?;
    let recursive = |depth| depth == Depth::All;
    let (depth, all) = (recursive(mapped.depth), recursive(mapped.mapped));
    creel_sys::mount::clone_private_idmapped(&path, depth, all, namespace.as_fd())
        .map_err(|source| SpawnError::Mapped { path: mapped.path.clone(), source })
}

//! What this process may do, as far as a container depends on it.

use creel_spawn::MapWriter;
use creel_spawn::userns::{helpers, is_initial};
use rustix::process::geteuid;

use super::error::LifecycleError;
use super::start::denies_setgroups;
use crate::lower::Options;
use crate::spec::{IdMapping, Linux, NamespaceKind, Spec};

/// The options of a container that are not the caller's choice.
///
/// # Errors
/// [`LifecycleError::NeedsUserNamespace`] or [`LifecycleError::Users`].
pub(super) fn options(spec: &Spec) -> Result<Options, LifecycleError> {
    let mut namespaces = spec.linux.iter().flat_map(|linux| &linux.namespaces);
    if !geteuid().is_root() && !namespaces.any(|one| one.kind == NamespaceKind::User) {
        return Err(LifecycleError::NeedsUserNamespace);
    }
    let in_user_namespace = !is_initial()?;
    Ok(Options {
        map_writer: spec.linux.as_ref().map_or(Ok(MapWriter::Itself), map_writer)?,
        in_user_namespace,
        setgroups_denied: in_user_namespace && denies_setgroups("self"),
        ..Options::default()
    })
}

/// A user maps nothing but the own id alone (`user_namespaces(7)`); more is what the helpers are for.
fn map_writer(linux: &Linux) -> Result<MapWriter, LifecycleError> {
    let is_one = |maps: &[IdMapping]| matches!(maps, [] | [IdMapping { size: 1, .. }]);
    let [uids, gids] = [&linux.uid_mappings, &linux.gid_mappings];
    if geteuid().is_root() || is_one(uids) && is_one(gids) {
        return Ok(MapWriter::Itself);
    }
    Ok(helpers()?)
}

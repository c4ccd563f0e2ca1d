//! The class of caches and memory bandwidth of a container.

use std::path::PathBuf;

use creel_spawn::resctrl::{self, Resctrl, ResctrlError};
use serde::{Deserialize, Serialize};

use super::Runtime;
use super::directory::Directory;
use super::error::LifecycleError;
use super::id::ContainerId;
use super::record::Record;
use crate::lower;
use crate::spec::{IntelRdt, Linux, Spec};

/// What is kept of it, see [`Resctrl`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResctrlRecord {
    /// Its directory.
    pub class: PathBuf,
    /// Whether that goes with the container.
    pub owned: bool,
    /// The directory of what is monitored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<PathBuf>,
}

/// Makes or finds that of a specification, and what is to be in it.
///
/// # Errors
/// What `make` says, or why there is no class; nothing that was made remains then.
pub(super) fn within<T>(
    id: &str,
    spec: &Spec,
    make: impl FnOnce(Option<&Resctrl>) -> Result<T, LifecycleError>,
) -> Result<T, LifecycleError> {
    let settings = spec.linux.as_ref().map(lower::resctrl).transpose()?.flatten();
    let Some(settings) = settings else { return make(None) };
    let class = Resctrl::make(&resctrl::root()?, id, &settings)?;
    let made = make(Some(&class));
    if made.is_err() {
        // The first error says more.
        let _ = class.remove();
    }
    made
}

impl Runtime {
    /// Changes what the class of a container gets: the line about the cache of the third level, then that
    /// about memory bandwidth.
    ///
    /// # Errors
    /// [`LifecycleError::IntelRdt`], also where the container has no class.
    pub fn update_class(
        &self,
        id: &ContainerId,
        [l3_cache_schema, mem_bw_schema]: [Option<String>; 2],
    ) -> Result<(), LifecycleError> {
        let directory = Directory::open(&self.root, id)?;
        let mut record = directory.record()?;
        let mut spec = record.spec()?;
        let asked = spec.linux.get_or_insert_default().intel_rdt.get_or_insert_default();
        let none = IntelRdt { l3_cache_schema, mem_bw_schema, ..IntelRdt::default() };
        let linux = Linux { intel_rdt: Some(none.clone()), ..Linux::default() };
        let lines = lower::resctrl(&linux)?.unwrap_or_default().compared;
        record.resctrl().ok_or(ResctrlError::None)?.write(&lines)?;
        asked.l3_cache_schema = none.l3_cache_schema.or_else(|| asked.l3_cache_schema.take());
        asked.mem_bw_schema = none.mem_bw_schema.or_else(|| asked.mem_bw_schema.take());
        record.set_spec(&spec)?;
        directory.write(&record)
    }
}

impl Record {
    /// That of the container.
    pub(super) fn resctrl(&self) -> Option<Resctrl> {
        let ResctrlRecord { class, owned, monitor } = self.resctrl.clone()?;
        Some(Resctrl { class, owned, monitor })
    }
}

impl From<&Resctrl> for ResctrlRecord {
    fn from(Resctrl { class, owned, monitor }: &Resctrl) -> Self {
        Self { class: class.clone(), owned: *owned, monitor: monitor.clone() }
    }
}

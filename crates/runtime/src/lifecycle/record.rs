//! What is kept about a container.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use creel_spawn::Rest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::error::LifecycleError;
use super::resctrl::ResctrlRecord;
use crate::container::Identity;
use crate::spec::{Root, Spec};

/// The version of the record's format; others are not read.
pub(super) const VERSION: u32 = 1;

/// What is kept about a container, as `container.json` in its directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// Of this format.
    pub version: u32,
    /// The directory that it was made from, absolute.
    pub bundle: PathBuf,
    /// When it was made.
    pub created: Timestamp,
    /// Who made it.
    pub owner: u32,
    /// Its first process.
    pub process: ProcessRecord,
    /// Where its control group was made, and under which name; none if it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cgroup: Option<CgroupRecord>,
    /// Its class of caches and memory bandwidth, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resctrl: Option<ResctrlRecord>,
    /// What is still to do when it is started.
    pub rest: RestRecord,
    /// Its specification as it was when it was made: what the bundle says later does not count. It is
    /// read when it is needed, which takes longer than all else that most commands do.
    pub(super) spec: Box<RawValue>,
}

/// What is told of a container.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Told {
    pub(super) root: Option<Root>,
    pub(super) annotations: BTreeMap<String, String>,
}

impl Record {
    /// Its specification as it was when it was made, changed by updates.
    ///
    /// # Errors
    /// [`LifecycleError::Document`].
    pub fn spec(&self) -> Result<Spec, LifecycleError> {
        self.read()
    }

    /// What of the specification is told to those who ask.
    pub(super) fn told(&self) -> Result<Told, LifecycleError> {
        self.read()
    }

    fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, LifecycleError> {
        let text = self.spec.get();
        serde_json::from_str(text).map_err(|source| {
            LifecycleError::document(Path::new("container.json"), text.as_bytes(), source)
        })
    }

    /// Replaces the specification.
    pub(super) fn set_spec(&mut self, spec: &Spec) -> Result<(), LifecycleError> {
        self.spec = serde_json::value::to_raw_value(spec)
            .map_err(|source| LifecycleError::document(Path::new("container.json"), b"", source))?;
        Ok(())
    }
}

/// The first process of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProcessRecord {
    /// Its id.
    pub pid: i32,
    /// When it started, in clock ticks since the machine did.
    pub start_time: u64,
}

impl ProcessRecord {
    /// What tells the process from others.
    #[must_use]
    pub fn identity(self) -> Identity {
        Identity { pid: self.pid, start_time: self.start_time }
    }
}

impl From<Identity> for ProcessRecord {
    fn from(identity: Identity) -> Self {
        Self { pid: identity.pid, start_time: identity.start_time }
    }
}

/// A control group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CgroupRecord {
    /// 1 or 2.
    pub version: u8,
    /// The directory of the hierarchy that it was made below.
    pub base: PathBuf,
    /// Its name below it.
    pub name: String,
    /// The unit of systemd's that it belongs to, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub systemd: Option<SystemdRecord>,
}

/// A unit of systemd's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SystemdRecord {
    /// Its name.
    pub unit: String,
    /// The socket by which systemd was asked for it.
    pub socket: PathBuf,
}

/// What a held process has still to do, see [`Rest`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RestRecord {
    /// The steps.
    pub steps: Vec<String>,
    /// How many come before them.
    pub done: usize,
    /// The program.
    pub program: String,
}

impl From<Rest> for RestRecord {
    fn from(Rest { steps, done, program }: Rest) -> Self {
        Self { steps, done, program }
    }
}

impl From<RestRecord> for Rest {
    fn from(RestRecord { steps, done, program }: RestRecord) -> Self {
        Self { steps, done, program }
    }
}

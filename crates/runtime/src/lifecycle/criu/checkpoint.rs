//! Making a checkpoint.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::Path;

use creel_spawn::cgroup::Hierarchy;

use super::images::{NETWORK, Outside, joined_network, unusable};
use super::{Criu, CriuError, pair};
use crate::lifecycle::delete::Deletion;
use crate::lifecycle::directory::Directory;
use crate::lifecycle::record::Record;
use crate::lifecycle::state::Status;
use crate::lifecycle::{ContainerId, LifecycleError, Runtime};

/// What becomes of a container that was checkpointed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// It is deleted.
    Deleted,
    /// It goes on.
    Runs,
    /// It goes on, and only memory was written: a later checkpoint writes what has changed since.
    RunsTracked,
}

/// How a checkpoint is made.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// By what, and where to.
    pub criu: Criu,
    /// What becomes of the container.
    pub after: After,
}

impl Runtime {
    /// Writes a running container to files.
    ///
    /// # Errors
    /// [`LifecycleError::NotRunning`], [`LifecycleError::Criu`]; the container runs on then.
    pub fn checkpoint(
        &self,
        id: &ContainerId,
        checkpoint: &Checkpoint,
    ) -> Result<(), LifecycleError> {
        let directory = Directory::open(&self.root, id)?;
        let record = directory.record()?;
        match Status::of(&directory, &record)? {
            Status::Running => {}
            status => {
                let id = id.to_string();
                return Err(LifecycleError::NotRunning { action: "checkpoint", id, status });
            }
        }
        let Checkpoint { criu, after } = checkpoint;
        let spec = record.spec()?;
        if spec.process.as_ref().is_some_and(|process| process.terminal) {
            return Err(CriuError::Terminal.into());
        }
        for path in [&*criu.images, criu.work()] {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .map_err(unusable(path))?;
        }
        let outside = Outside::of(&spec, record.process.pid)?;
        outside.write(&criu.images)?;
        let mut arguments = arguments(&record, &outside)?;
        if let Some(path) = joined_network(&spec) {
            let number = fs::metadata(path).map_err(unusable(path))?.ino();
            arguments.extend(external(pair(format!("net[{number}]"), NETWORK)));
        }
        match after {
            After::Deleted => criu.run("dump", &arguments)?,
            After::Runs => {
                arguments.push("--leave-running".into());
                criu.run("dump", &arguments)?;
            }
            After::RunsTracked => {
                arguments.push("--track-mem".into());
                criu.run("pre-dump", &arguments)?;
            }
        }
        if *after == After::Deleted {
            self.delete(id, Deletion::Forced)?;
        }
        Ok(())
    }
}

fn arguments(record: &Record, outside: &Outside) -> Result<Vec<OsString>, LifecycleError> {
    let mut arguments: Vec<OsString> = vec!["-t".into(), record.process.pid.to_string().into()];
    for descriptor in outside.descriptors.iter().filter(|one| one.path.is_some()) {
        arguments.extend(external(OsString::from(&descriptor.key)));
    }
    for mount in &outside.mounts {
        arguments.extend(external(pair(format!("mnt[{}]", mount.place), &mount.place)));
    }
    if record.cgroup.is_some() {
        let group = record.group()?;
        let path = match group.hierarchy() {
            Hierarchy::V1(mounts) => mounts.join("freezer").join(group.name()),
            Hierarchy::V2(mount) => mount.join(group.name()),
        };
        if Path::new(&path).exists() {
            arguments.extend(["--freeze-cgroup".into(), path.into()]);
        }
    }
    Ok(arguments)
}

fn external(what: OsString) -> [OsString; 2] {
    ["--external".into(), what]
}

//! This program's own file as the init of a container.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use creel_base::path::Dir;
use creel_runtime::spec::Spec;
use creel_spawn::mount::{self, READ_ONLY};
use rustix::fs::Mode;

use super::run_error::RunError;

/// The running program.
const RUNNING: &str = "/proc/self/exe";
/// The copy in the container's directory, there until the process has started.
const COPY: &str = "init";
/// With it a container can mount its init again, and then write to it.
const MOUNTS: &str = "CAP_SYS_ADMIN";

/// Returns a read-only mount of the program: of its own file, or of a copy for a container that can
/// undo the read-only. `passed` is the mount that the program runs from, if it does; `dir` is the
/// container's directory.
///
/// # Errors
/// [`RunError::Init`].
pub(super) fn mount(
    spec: &Spec,
    passed: Option<&Arc<OwnedFd>>,
    dir: &Dir,
) -> Result<Arc<OwnedFd>, RunError> {
    if can_mount(spec) {
        return copy(dir).map(Arc::new);
    }
    match passed {
        Some(mount) => Ok(Arc::clone(mount)),
        // By its path: what is executed is open in the mount namespace that a user has left, and
        // nothing can be cloned from there.
        None => detached(&std::fs::read_link(RUNNING).map_err(RunError::Init)?).map(Arc::new),
    }
}

fn can_mount(spec: &Spec) -> bool {
    let capabilities = spec.process.as_ref().and_then(|process| process.capabilities.as_ref());
    capabilities.is_none_or(|sets| sets.bounding.iter().any(|name| name == MOUNTS))
}

fn copy(dir: &Dir) -> Result<OwnedFd, RunError> {
    forget(dir)?;
    let mut program = File::open(RUNNING).map_err(RunError::Init)?;
    let mut file = dir.create_new(COPY, Mode::from_raw_mode(0o755))?;
    io::copy(&mut program, &mut file).map_err(RunError::Init)?;
    drop(file);
    detached(&dir.path().join(COPY))
}

/// Takes the name of the copy away, so that it goes with the container's process. Not before the
/// process has started: the kernel attaches nothing that has no name (`d_set_mounted`).
///
/// # Errors
/// [`RunError::Path`].
pub(super) fn forget(dir: &Dir) -> Result<(), RunError> {
    match dir.unlink(COPY) {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(()),
    }
}

fn detached(path: &Path) -> Result<OwnedFd, RunError> {
    mount::detached(path, READ_ONLY).map_err(RunError::Init)
}

//! The directories in which overlayfs keeps what a container changes.

use std::path::PathBuf;

use creel_base::path::{Action, Dir, PathError};
use rustix::fs::{AtFlags, Gid, Mode, Uid};

/// Makes `upper` and `work` below a container's directory, where they are missing.
///
/// The upper directory is the root directory that the container sees, so it takes mode and owner
/// of the highest layer's.
pub(super) fn make(dir: &Dir, lowers: &[PathBuf]) -> Result<(), PathError> {
    make_owned(dir, lowers, |uid, gid| (uid, gid))
}

/// Does the same where `owner` tells who stands for the owner of the highest layer.
pub(super) fn make_owned(
    dir: &Dir,
    lowers: &[PathBuf],
    owner: impl FnOnce(u32, u32) -> (u32, u32),
) -> Result<(), PathError> {
    match dir.mkdir("upper", Mode::RWXU) {
        Err(error) if error.is_already_exists() => return Ok(()),
        made => made?,
    }
    dir.mkdir_open("work", Mode::RWXU)?;
    let Some(top) = lowers.last() else { return Ok(()) };
    let failed = |action, path: &PathBuf| {
        let path = path.clone();
        move |errno: rustix::io::Errno| PathError::new(action, path, errno)
    };
    let like = rustix::fs::stat(top).map_err(failed(Action::Stat, top))?;
    let upper = dir.open_dir("upper")?;
    let (uid, gid) = owner(like.st_uid, like.st_gid);
    let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    let path = upper.path().to_owned();
    rustix::fs::chownat(&upper, "", uid, gid, AtFlags::EMPTY_PATH)
        .map_err(failed(Action::SetMode, &path))?;
    upper.set_mode(Mode::from_raw_mode(like.st_mode & 0o7777))
}

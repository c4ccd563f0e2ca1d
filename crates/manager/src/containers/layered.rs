//! Reading a file of stacked directories without mounting them.
//!
//! A container's user is looked up in its `/etc/passwd` before there is a container. Names resolve as
//! overlayfs would have them (`Documentation/filesystems/overlayfs.rst`), links included.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use creel_base::path::{Dir, PathError, Scope};
use rustix::fs::{FileType, OFlags, Stat};

/// As many links as the kernel follows (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;
/// The marks of a directory that hides what is below it.
const OPAQUE: [&str; 2] = ["trusted.overlay.opaque", "user.overlay.opaque"];

/// What a name is.
enum Found {
    /// A directory: its parts, the highest first.
    Directory(Vec<Dir>),
    /// A regular file, open.
    File(std::fs::File),
    /// A link, with its target.
    Link(OsString),
    /// Nothing, or what cannot be read.
    Nothing,
}

/// Reads at most `limit` bytes of a file by its path from the root of a stack (`layers`, the lowest
/// first). What is not there, or no file, is empty.
///
/// # Errors
/// [`PathError`] for a layer that cannot be read.
pub(super) fn read(layers: &[PathBuf], path: &str, limit: u64) -> Result<Vec<u8>, PathError> {
    let roots = layers.iter().rev().map(Dir::open).collect::<Result<Vec<_>, _>>()?;
    let mut content = Vec::new();
    if let Some(file) = resolve(&roots, path)? {
        // A file that breaks off is read as far as it goes: the look-up then fails by name.
        let _ = file.take(limit).read_to_end(&mut content);
    }
    Ok(content)
}

fn resolve(roots: &[Dir], path: &str) -> Result<Option<std::fs::File>, PathError> {
    let mut todo: VecDeque<OsString> = split(path.as_ref()).collect();
    // The directories from the root to where the walk is.
    let mut walked: Vec<Vec<Dir>> = Vec::new();
    let mut links = 0;
    while let Some(name) = todo.pop_front() {
        if name == ".." {
            walked.pop();
            continue;
        }
        match look_up(walked.last().map_or(roots, Vec::as_slice), &name)? {
            Found::Directory(parts) => walked.push(parts),
            Found::File(file) if todo.is_empty() => return Ok(Some(file)),
            Found::Link(target) if links < MAX_LINKS => {
                links += 1;
                if target.as_bytes().starts_with(b"/") {
                    walked.clear();
                }
                for part in split(&target).rev() {
                    todo.push_front(part);
                }
            }
            _ => return Ok(None),
        }
    }
    Ok(None)
}

fn split(path: &OsStr) -> impl DoubleEndedIterator<Item = OsString> {
    let parts = path.as_bytes().split(|byte| *byte == b'/');
    let kept = parts.filter(|part| !part.is_empty() && *part != b".");
    kept.map(|part| OsString::from_vec(part.to_vec())).collect::<Vec<_>>().into_iter()
}

/// Looks a name up in the parts of a directory, the highest first.
fn look_up(parts: &[Dir], name: &OsStr) -> Result<Found, PathError> {
    let mut found = Vec::new();
    for dir in parts {
        let stat = match dir.stat(name) {
            Err(error) if error.is_not_found() => continue,
            stat => stat?,
        };
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            let below = dir.open_dir_within(name, Scope::Beneath)?;
            let opaque = is_opaque(&below);
            found.push(below);
            if opaque {
                break;
            }
        } else if found.is_empty() {
            return leaf(dir, name, &stat);
        } else {
            // A directory above hides what is none.
            break;
        }
    }
    Ok(if found.is_empty() { Found::Nothing } else { Found::Directory(found) })
}

fn leaf(dir: &Dir, name: &OsStr, stat: &Stat) -> Result<Found, PathError> {
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
            Found::File(dir.open_within(name, Scope::Beneath, flags)?)
        }
        FileType::Symlink => Found::Link(dir.readlink(name)?),
        // Whiteouts are devices.
        _ => Found::Nothing,
    })
}

fn is_opaque(dir: &Dir) -> bool {
    OPAQUE.iter().any(|mark| {
        let mut value = [0; 8];
        matches!(rustix::fs::fgetxattr(dir.as_fd(), *mark, &mut value), Ok(1) if value[0] == b'y')
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn reads_what_overlayfs_would_show() {
        let dir = tempfile::tempdir().unwrap();
        let layers: Vec<PathBuf> = ["0", "1", "2"].map(|name| dir.path().join(name)).to_vec();
        for layer in &layers {
            fs::create_dir_all(layer.join("etc/x")).unwrap();
        }
        fs::write(layers[0].join("etc/passwd"), "low").unwrap();
        fs::write(layers[1].join("etc/passwd"), "middle").unwrap();
        fs::write(layers[0].join("etc/group"), "group").unwrap();
        symlink("../..//etc/./x/../group", layers[2].join("etc/link")).unwrap();
        symlink("/etc/link", layers[1].join("abs")).unwrap();
        symlink("loop", layers[1].join("loop")).unwrap();
        // The file hides the directory of the same name below.
        fs::write(layers[2].join("file"), "").unwrap();
        fs::create_dir(layers[0].join("file")).unwrap();
        let show = |path| String::from_utf8(read(&layers, path, 100).unwrap()).unwrap();
        assert_eq!(show("etc/passwd"), "middle");
        assert_eq!(show("/etc/group"), "group");
        assert_eq!(show("abs"), "group");
        for nothing in ["loop", "etc", "none", "file/x", "etc/passwd/x", ""] {
            assert_eq!(show(nothing), "", "{nothing}");
        }
        assert_eq!(read(&layers, "etc/passwd", 3).unwrap(), b"mid");
    }
}

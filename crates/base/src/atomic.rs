//! Files that are there whole or not at all.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::id;
use crate::path::{Action, Dir, IfExists, PathError, Scope};

/// How the names of unfinished files start. Whatever has such a name and is older than the last
/// start of the system is garbage.
pub const TEMPORARY: &str = ".tmp-";

/// What a finished file survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The end of this process, but not of the system: for run-time state.
    Process,
    /// A loss of power too: the content is flushed before the name appears, and the name before the
    /// call returns.
    Power,
}

/// A file being written, without its name yet. Dropping it leaves nothing.
#[derive(Debug)]
pub struct NewFile<'a> {
    dir: &'a Dir,
    file: File,
    /// The name to remove, where the file system has no nameless files.
    temporary: Option<PathBuf>,
}

/// Writes `content` to `name` in `dir`, in place of what was there.
///
/// # Errors
/// [`PathError`]; what was there is untouched, unless only the last flush of the directory failed.
pub fn replace(
    dir: &Dir,
    name: impl AsRef<Path>,
    content: &[u8],
    mode: Mode,
    durability: Durability,
) -> Result<(), PathError> {
    let name = name.as_ref();
    // A file that will be renamed needs a name anyway.
    let mut new = NewFile::named(dir, mode)?;
    new.write_all(content, name)?;
    new.publish(name, IfExists::Replace, durability)
}

/// Writes `content` to `name` in `dir`, which must not exist.
///
/// # Errors
/// [`PathError`]; EEXIST if it does.
pub fn create(
    dir: &Dir,
    name: impl AsRef<Path>,
    content: &[u8],
    mode: Mode,
    durability: Durability,
) -> Result<(), PathError> {
    let name = name.as_ref();
    let mut new = NewFile::begin(dir, mode)?;
    new.write_all(content, name)?;
    new.publish(name, IfExists::Fail, durability)
}

impl<'a> NewFile<'a> {
    /// Starts a file in `dir`: nameless (O_TMPFILE) where the file system can, else under a name
    /// with [`TEMPORARY`] in front.
    ///
    /// # Errors
    /// [`PathError`].
    pub fn begin(dir: &'a Dir, mode: Mode) -> Result<Self, PathError> {
        match dir.open_within(".", Scope::Beneath, OFlags::RDWR | OFlags::TMPFILE) {
            Ok(file) => Self { dir, file, temporary: None }.with_mode(mode),
            Err(error) if has_no_nameless_files(&error) => Self::named(dir, mode),
            Err(error) => Err(error),
        }
    }

    fn named(dir: &'a Dir, mode: Mode) -> Result<Self, PathError> {
        let temporary = temporary_name(dir)?;
        let file = dir.create_new(&temporary, Mode::RUSR | Mode::WUSR)?;
        Self { dir, file, temporary: Some(temporary) }.with_mode(mode)
    }

    /// Sets the mode whatever the umask.
    fn with_mode(self, mode: Mode) -> Result<Self, PathError> {
        match rustix::fs::fchmod(&self.file, mode) {
            Ok(()) => Ok(self),
            Err(errno) => Err(PathError::new(Action::SetMode, self.dir.path(), errno)),
        }
    }

    /// Returns the file to write to.
    pub const fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives the file its name, one part, in the directory it was begun in.
    ///
    /// # Errors
    /// [`PathError`]; EEXIST for [`IfExists::Fail`] if the name is taken.
    pub fn publish(
        mut self,
        name: impl AsRef<Path>,
        if_exists: IfExists,
        durability: Durability,
    ) -> Result<(), PathError> {
        let name = name.as_ref();
        if name.file_name() != Some(name.as_os_str()) {
            return Err(PathError::new(Action::Create, self.dir.join(name), Errno::INVAL));
        }
        if durability == Durability::Power {
            self.file
                .sync_data()
                .map_err(|source| PathError::new(Action::Sync, self.dir.join(name), source))?;
        }
        self.give_name(name, if_exists)?;
        match durability {
            Durability::Process => Ok(()),
            Durability::Power => self.dir.sync(),
        }
    }

    fn give_name(&mut self, name: &Path, if_exists: IfExists) -> Result<(), PathError> {
        if self.temporary.is_none() {
            if if_exists == IfExists::Fail {
                return self.dir.link_file(self.file.as_fd(), name);
            }
            let temporary = temporary_name(self.dir)?;
            self.dir.link_file(self.file.as_fd(), &temporary)?;
            self.temporary = Some(temporary);
        }
        let Some(temporary) = &self.temporary else { return Ok(()) };
        match if_exists {
            // link(2) fails on a taken name on every file system, RENAME_NOREPLACE only on some.
            // The temporary name goes when this is dropped.
            IfExists::Fail => self.dir.hard_link(temporary, self.dir, name),
            IfExists::Exchange => self.dir.rename(temporary, name, if_exists),
            IfExists::Replace => {
                self.dir.rename(temporary, name, if_exists)?;
                self.temporary = None;
                Ok(())
            }
        }
    }

    fn write_all(&mut self, content: &[u8], name: &Path) -> Result<(), PathError> {
        self.file
            .write_all(content)
            .map_err(|source| PathError::new(Action::Write, self.dir.join(name), source))
    }
}

impl Drop for NewFile<'_> {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            // There is nobody to tell, and a leftover is garbage that its name gives away.
            let _ = self.dir.unlink(temporary);
        }
    }
}

/// The answers of file systems and kernels without O_TMPFILE (open(2)).
fn has_no_nameless_files(error: &PathError) -> bool {
    [Errno::OPNOTSUPP, Errno::ISDIR, Errno::INVAL]
        .iter()
        .any(|errno| error.source.raw_os_error() == Some(errno.raw_os_error()))
}

fn temporary_name(dir: &Dir) -> Result<PathBuf, PathError> {
    let random: [u8; 8] = id::random_bytes().map_err(|error| {
        PathError::new(Action::Create, dir.path(), std::io::Error::other(error))
    })?;
    Ok(PathBuf::from(format!("{TEMPORARY}{:016x}", u64::from_ne_bytes(random))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    const MODE: Mode = Mode::RUSR;

    fn names(temp: &tempfile::TempDir) -> Vec<String> {
        let entries = std::fs::read_dir(temp.path()).expect("a directory");
        let name = |entry: std::fs::DirEntry| entry.file_name().into_string().expect("a name");
        let mut names: Vec<_> = entries.map(|entry| name(entry.expect("an entry"))).collect();
        names.sort();
        names
    }

    #[test]
    fn replaces_and_creates_and_leaves_nothing_else() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = Dir::open(temp.path()).expect("a directory");
        for durability in [Durability::Process, Durability::Power] {
            replace(&dir, "a", b"1", MODE, durability).expect("written");
            replace(&dir, "a", b"2", MODE, durability).expect("replaced");
            assert_eq!(dir.read("a", 9).expect("read"), b"2");
            let error = create(&dir, "a", b"3", MODE, durability).expect_err("taken");
            assert!(error.is_already_exists(), "{error}");
            create(&dir, "b", b"3", MODE, durability).expect("created");
            assert_eq!(names(&temp), ["a", "b"]);
            let mode = std::fs::metadata(temp.path().join("b")).expect("metadata").permissions();
            assert_eq!(mode.mode() & 0o7777, 0o400);
            dir.unlink("b").expect("removed");
        }
    }

    #[test]
    fn both_kinds_of_unfinished_files_publish_and_vanish_alike() {
        let temp = tempfile::tempdir().expect("a directory");
        let dir = Dir::open(temp.path()).expect("a directory");
        for begin in [NewFile::begin, NewFile::named] {
            drop(begin(&dir, MODE).expect("begun"));
            assert!(names(&temp).is_empty());
            let publish = |name: &str, if_exists| {
                begin(&dir, MODE).expect("begun").publish(name, if_exists, Durability::Process)
            };
            publish("x", IfExists::Fail).expect("published");
            assert!(publish("x", IfExists::Fail).expect_err("taken").is_already_exists());
            publish("x", IfExists::Replace).expect("published");
            publish("x", IfExists::Exchange).expect("published");
            assert!(publish("y", IfExists::Exchange).expect_err("nothing there").is_not_found());
            for name in ["", ".", "..", "a/b", "../a", "/a", "a/"] {
                assert!(publish(name, IfExists::Replace).is_err(), "{name}");
            }
            assert_eq!(names(&temp), ["x"]);
            dir.unlink("x").expect("removed");
        }
    }
}

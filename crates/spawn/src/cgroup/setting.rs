//! What is written to a group's files.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use super::{Cgroup, CgroupError, Hierarchy, SettingError};

/// What to do where a group has none of the files of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// It is an error.
    Refused,
    /// What the setting asks for is so without it.
    Ignored,
}

/// A value of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// What the caller calls it.
    pub field: String,
    /// The controller that it is a value of.
    pub controller: &'static str,
    /// Files, and what is written to them; the first that exists is written. Each line is a write of
    /// its own, as files with a value a device take one at a time.
    pub files: Vec<(String, String)>,
    /// What to do if none exists.
    pub missing: Missing,
}

const EINVAL: i32 = 22;
const EBUSY: i32 = 16;

impl Cgroup {
    /// Sets values in their order.
    ///
    /// Values of one controller can bound one another, such as memory and memory with swap, or the
    /// quota of processor time and its period. One that the kernel refuses because of another's old
    /// value is tried again once the others are set.
    ///
    /// # Errors
    /// Names the first setting whose controller is missing or refuses the value.
    pub fn set(&self, settings: &[Setting]) -> Result<(), SettingError> {
        let mut left: Vec<&Setting> = settings.iter().collect();
        loop {
            let (before, mut refused) = (left.len(), None);
            let mut again = Vec::new();
            for setting in left {
                match self.set_one(setting) {
                    Ok(()) => {}
                    Err(error) if depends_on_others(&error) => {
                        again.push(setting);
                        refused.get_or_insert((&setting.field, error));
                    }
                    Err(source) => {
                        return Err(SettingError { field: setting.field.clone(), source });
                    }
                }
            }
            match refused {
                None => return Ok(()),
                Some((field, source)) if again.len() == before => {
                    return Err(SettingError { field: field.clone(), source });
                }
                Some(_) => left = again,
            }
        }
    }

    fn set_one(&self, setting: &Setting) -> Result<(), CgroupError> {
        let directory = match &self.hierarchy {
            Hierarchy::V1(mounts) => mounts.join(setting.controller).join(&self.name),
            Hierarchy::V2(mount) => mount.join(&self.name),
        };
        for (file, value) in &setting.files {
            match write_lines(&directory.join(file), value) {
                Err(CgroupError::Refused { source, .. })
                    if source.kind() == io::ErrorKind::NotFound => {}
                done => return done,
            }
        }
        match setting.missing {
            Missing::Ignored => Ok(()),
            Missing::Refused => Err(self.absent(setting, &directory)),
        }
    }

    /// Why none of a setting's files is there: the controller, or the kernel has no such file.
    fn absent(&self, setting: &Setting, directory: &Path) -> CgroupError {
        let controllers = fs::read_to_string(directory.join("cgroup.controllers"));
        let has = controllers.unwrap_or_default();
        let has = has.split_whitespace().chain(["cgroup"]).any(|one| one == setting.controller);
        match setting.files.last().filter(|_| has) {
            Some((file, value)) => CgroupError::Refused {
                value: value.clone(),
                path: directory.join(file),
                source: io::ErrorKind::NotFound.into(),
            },
            None => self.lack(setting.controller),
        }
    }
}

fn depends_on_others(error: &CgroupError) -> bool {
    let CgroupError::Refused { source, .. } = error else { return false };
    matches!(source.raw_os_error(), Some(EINVAL | EBUSY))
}

fn write_lines(path: &Path, value: &str) -> Result<(), CgroupError> {
    let write = || {
        // Never created: in a directory that is no group there must be no file after this.
        let mut file = File::options().write(true).open(path)?;
        value.lines().try_for_each(|line| file.write_all(line.as_bytes()))
    };
    let refused = |source| CgroupError::Refused { value: value.into(), path: path.into(), source };
    write().map_err(refused)
}

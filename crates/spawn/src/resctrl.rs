//! Classes of service of the processor's caches and memory bandwidth (`resctrl`).
//!
//! Source: the kernel's `Documentation/filesystems/resctrl.rst`; it came with Linux 4.10.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use creel_base::hint::Hint;

/// What a container asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The class: one of a name, `/` for that of all that have none, or the container's own.
    pub class: Option<String>,
    /// Lines that a class that exists must have already, such as `L3:0=ff`.
    pub compared: Vec<String>,
    /// Lines that are written in any case, after those.
    pub written: Vec<String>,
    /// Whether the container is monitored.
    pub monitored: bool,
}

/// Why a container cannot have its class.
#[derive(Debug, thiserror::Error)]
pub enum ResctrlError {
    /// It is not mounted.
    #[error("no file system `resctrl` is mounted")]
    NotMounted,
    /// The container has no class.
    #[error("the container has no class of service")]
    None,
    /// A class without settings of its own is not there.
    #[error("the class of service `{class}` does not exist")]
    NoClass {
        /// Its name.
        class: String,
    },
    /// A class that is there has other settings.
    #[error("the class of service `{class}` has other settings than `{line}`")]
    Differs {
        /// Its name.
        class: String,
        /// The line.
        line: String,
    },
    /// The kernel refuses.
    #[error("could not {action} `{}`{status}", path.display())]
    Kernel {
        /// What was being done.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the kernel says besides, in parentheses.
        status: String,
        /// The reason.
        source: io::Error,
    },
}

impl Hint for ResctrlError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotMounted => Some(
                "on a processor that has it, run `mount -t resctrl resctrl /sys/fs/resctrl`".into(),
            ),
            Self::NoClass { .. } => Some("make it first, or say what it shall be".into()),
            Self::Differs { .. } => Some("take another name, or leave the settings out".into()),
            Self::None | Self::Kernel { .. } => None,
        }
    }
}

/// The directories of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resctrl {
    /// That of its class.
    pub class: PathBuf,
    /// Whether that goes with the container.
    pub owned: bool,
    /// That of what is monitored, which goes with the container.
    pub monitor: Option<PathBuf>,
}

/// Where the file system is mounted.
///
/// # Errors
/// [`ResctrlError::NotMounted`].
pub fn root() -> Result<PathBuf, ResctrlError> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounts.lines().find_map(mounted).ok_or(ResctrlError::NotMounted)
}

/// The place of a mount, if it is this file system (`proc_pid_mountinfo(5)`).
fn mounted(line: &str) -> Option<PathBuf> {
    let (before, after) = line.split_once(" - ")?;
    let kind = after.split(' ').next()?;
    (kind == "resctrl").then(|| before.split(' ').nth(4).map(PathBuf::from))?
}

impl Resctrl {
    /// Makes, or finds, the class of a container, in the file system at `root`.
    ///
    /// # Errors
    /// [`ResctrlError`]; nothing that was made remains then.
    pub fn make(root: &Path, id: &str, settings: &Settings) -> Result<Self, ResctrlError> {
        let name = settings.class.as_deref().unwrap_or(id);
        let class = if name == "/" { root.into() } else { root.join(name) };
        let says = !settings.compared.is_empty() || !settings.written.is_empty();
        let made = if settings.class.is_none() || says {
            make_directory(root, &class)?
        } else if class.is_dir() {
            false
        } else {
            return Err(ResctrlError::NoClass { class: name.into() });
        };
        let mut group = Self { class, owned: made && settings.class.is_none(), monitor: None };
        let done = group.set(root, name, settings, made).and_then(|()| {
            if settings.monitored {
                let path = group.class.join("mon_groups").join(id);
                make_directory(root, &path)?;
                group.monitor = Some(path);
            }
            Ok(())
        });
        if let Err(error) = done {
            // Why it failed says more.
            if made {
                let _ = fs::remove_dir(&group.class);
            }
            return Err(error);
        }
        Ok(group)
    }

    fn set(
        &self,
        root: &Path,
        name: &str,
        settings: &Settings,
        made: bool,
    ) -> Result<(), ResctrlError> {
        let path = self.class.join("schemata");
        if !made && !settings.compared.is_empty() {
            let there = fs::read_to_string(&path).map_err(|e| failed(root, "read", &path, e))?;
            let differs = |line: &&String| !has(&there, line);
            if let Some(line) = settings.compared.iter().find(differs) {
                return Err(ResctrlError::Differs { class: name.into(), line: line.clone() });
            }
        }
        let compared = if made { &settings.compared[..] } else { &[] };
        self.write_in(root, compared)?;
        self.write_in(root, &settings.written)
    }

    /// The settings of the class, as the kernel writes them.
    #[must_use]
    pub fn schemata(&self) -> Vec<String> {
        let text = fs::read_to_string(self.class.join("schemata")).unwrap_or_default();
        text.lines().map(|line| line.trim().into()).collect()
    }

    /// Changes the settings of the class.
    ///
    /// # Errors
    /// [`ResctrlError::Kernel`].
    pub fn write(&self, lines: &[String]) -> Result<(), ResctrlError> {
        self.write_in(self.class.parent().unwrap_or(&self.class), lines)
    }

    fn write_in(&self, root: &Path, lines: &[String]) -> Result<(), ResctrlError> {
        let path = self.class.join("schemata");
        for line in lines {
            let opened = File::options().write(true).open(&path);
            let written =
                opened.and_then(|mut file| file.write_all(format!("{line}\n").as_bytes()));
            written.map_err(|error| failed(root, "write", &path, error))?;
        }
        Ok(())
    }

    /// The files by which a process comes into the class.
    ///
    /// # Errors
    /// [`ResctrlError::Kernel`].
    pub fn entrances(&self) -> Result<Vec<Arc<OwnedFd>>, ResctrlError> {
        let open = |directory: &PathBuf| {
            let path = directory.join("tasks");
            let opened = OpenOptions::new().write(true).open(&path);
            let opened = opened.map_err(|error| failed(&self.class, "open", &path, error))?;
            Ok(Arc::new(OwnedFd::from(opened)))
        };
        [&self.class].into_iter().chain(&self.monitor).map(open).collect()
    }

    /// Removes what goes with the container.
    ///
    /// # Errors
    /// [`ResctrlError::Kernel`].
    pub fn remove(&self) -> Result<(), ResctrlError> {
        let own = self.owned.then_some(&self.class);
        // With a class go those below it.
        let Some(path) = own.or(self.monitor.as_ref()) else { return Ok(()) };
        match fs::remove_dir(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed(path, "remove", path, error))
            }
            _ => Ok(()),
        }
    }
}

/// Makes a directory, and tells whether it was missing.
fn make_directory(root: &Path, path: &Path) -> Result<bool, ResctrlError> {
    match fs::create_dir(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
        Err(error) => Err(failed(root, "make", path, error)),
    }
}

fn failed(root: &Path, action: &'static str, path: &Path, source: io::Error) -> ResctrlError {
    let status = fs::read_to_string(root.join("info/last_cmd_status")).unwrap_or_default();
    let status = match status.trim() {
        "" | "ok" => String::new(),
        text => format!(" ({text})"),
    };
    ResctrlError::Kernel { action, path: path.into(), status, source }
}

/// Whether the settings have those of a line: of each domain that it names.
fn has(settings: &str, line: &str) -> bool {
    let Some((resource, wanted)) = domains(line) else { return false };
    let found = settings.lines().filter_map(domains).find(|(name, _)| *name == resource);
    found.is_some_and(|(_, found)| wanted.iter().all(|(id, value)| found.get(id) == Some(value)))
}

/// A line such as `L3:0=7f0;1=01f`: the resource, and values by domain without zeros in front.
fn domains(line: &str) -> Option<(&str, BTreeMap<&str, String>)> {
    let (resource, domains) = line.split_once(':')?;
    let mut values = BTreeMap::new();
    for text in domains.split(';') {
        let (id, value) = text.split_once('=')?;
        values.insert(id.trim(), value.trim().trim_start_matches('0').to_ascii_lowercase());
    }
    Some((resource.trim(), values))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tree that behaves as the kernel's, as far as files do.
    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("info")).unwrap();
        fs::write(root.path().join("info/last_cmd_status"), "ok\n").unwrap();
        for class in ["", "gold"] {
            class_at(&root.path().join(class));
        }
        root
    }

    fn class_at(path: &Path) {
        fs::create_dir_all(path.join("mon_groups")).unwrap();
        fs::write(path.join("schemata"), "    MB:0= 20;1=100\n    L3:0=00ff;1=7FF\n").unwrap();
        fs::write(path.join("tasks"), "").unwrap();
    }

    fn lines(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).into()).collect()
    }

    fn named(class: &str) -> Settings {
        Settings { class: Some(class.into()), ..Settings::default() }
    }

    #[test]
    fn a_class_of_a_name_must_be_there_or_be_described() {
        let root = tree();
        let error = Resctrl::make(root.path(), "c", &named("none")).unwrap_err();
        assert!(matches!(error, ResctrlError::NoClass { .. }));
        let group = Resctrl::make(root.path(), "c", &named("gold")).unwrap();
        assert_eq!((group.owned, group.monitor.clone()), (false, None));
        assert_eq!(group.entrances().unwrap().len(), 1);
        group.remove().unwrap();
        assert!(root.path().join("gold").is_dir());

        let same = Settings { compared: lines(&["L3:1=7ff", "MB:0=20"]), ..named("gold") };
        Resctrl::make(root.path(), "c", &same).unwrap();
        let other = Settings { compared: lines(&["L3:1=7fe"]), ..named("gold") };
        let error = Resctrl::make(root.path(), "c", &other).unwrap_err();
        assert!(matches!(error, ResctrlError::Differs { .. }), "{error}");
        assert!(root.path().join("gold").is_dir());
        let default = Resctrl::make(root.path(), "c", &named("/")).unwrap();
        assert_eq!((default.class.as_path(), default.owned), (root.path(), false));
    }

    #[test]
    fn settings_are_written_in_order() {
        let root = tree();
        let settings = Settings { written: lines(&["L3:0=f"]), monitored: true, ..named("gold") };
        let group = Resctrl::make(root.path(), "c", &settings).unwrap();
        let monitor = root.path().join("gold/mon_groups/c");
        assert_eq!(group.monitor.as_deref(), Some(monitor.as_path()));
        let text = fs::read_to_string(root.path().join("gold/schemata")).unwrap();
        assert!(text.starts_with("L3:0=f\n"), "{text}");
        fs::write(monitor.join("tasks"), "").unwrap();
        assert_eq!(group.entrances().unwrap().len(), 2);
        fs::remove_file(monitor.join("tasks")).unwrap();
        group.remove().unwrap();
        assert!(!monitor.exists() && root.path().join("gold").is_dir());
        // Once more is no failure.
        group.remove().unwrap();
    }

    #[test]
    fn a_class_of_its_own_goes_with_the_container() {
        let root = tree();
        let group = Resctrl::make(root.path(), "c", &Settings::default()).unwrap();
        assert!(group.owned && root.path().join("c").is_dir());
        group.remove().unwrap();
        assert!(!root.path().join("c").exists());
        // What is wrong with it is told with the kernel's words, and it does not stay.
        fs::write(root.path().join("info/last_cmd_status"), "mask out of range\n").unwrap();
        let wrong = Settings { compared: lines(&["L3:0=0"]), ..Settings::default() };
        let error = Resctrl::make(root.path(), "c", &wrong).unwrap_err();
        assert!(error.to_string().ends_with("schemata` (mask out of range)"), "{error}");
        assert!(!root.path().join("c").exists());
    }

    #[test]
    fn the_mount_is_found() {
        let line = "36 35 0:32 / /sys/fs/resctrl rw,relatime shared:9 - resctrl resctrl rw";
        assert_eq!(mounted(line), Some("/sys/fs/resctrl".into()));
        assert_eq!(mounted("36 35 0:32 / /resctrl rw - tmpfs resctrl rw"), None);
    }
}

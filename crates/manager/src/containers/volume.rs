//! What is mounted into a container, as people write it.
//!
//! `-v SOURCE:TARGET[:OPTIONS]`, `--mount type=…,key=value,…` and `--tmpfs TARGET[:OPTIONS]` all become
//! a [`Volume`].

use std::path::{Path, PathBuf};

use creel_base::hint::Hint;
use creel_runtime::spec;

use super::run_error::RunError;

/// Something mounted into a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// What.
    pub source: VolumeSource,
    /// Where: an absolute path in the container.
    pub target: String,
    /// Mount options of the runtime specification.
    pub options: Vec<String>,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VolumeSource {
    /// A file or directory of the host, with what is mounted below it unless `bind` is an option.
    Host(PathBuf),
    /// Memory.
    Memory,
}

/// Why a text says no mount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VolumeError {
    /// It has no source and target.
    #[error("volume `{text}` is not `SOURCE:TARGET` or `SOURCE:TARGET:OPTIONS`")]
    Form {
        /// The text.
        text: String,
    },
    /// The source is a name, not a path.
    #[error("volume source `{name}` is no path, and named volumes do not exist yet")]
    Named {
        /// The name.
        name: String,
    },
    /// The target is not absolute, or is the root.
    #[error("mount target `{target}` is not an absolute path below `/`")]
    Target {
        /// The path.
        target: String,
    },
    /// An option is unknown.
    #[error("mount option `{option}` is not known")]
    Option {
        /// The option.
        option: String,
    },
    /// `--mount` lacks something.
    #[error("mount `{text}` has no `{key}=`")]
    Missing {
        /// The text.
        text: String,
        /// What it lacks.
        key: &'static str,
    },
    /// `--mount` has a type that does not exist.
    #[error("mount type `{kind}` is not `bind` or `tmpfs`")]
    Kind {
        /// The type.
        kind: String,
    },
}

impl Hint for VolumeError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Form { .. } => "write `-v /data:/data` or `-v ./src:/src:ro`".into(),
            Self::Named { name } => format!("write a path: `-v ./{name}:TARGET`"),
            Self::Option { .. } => {
                "use `ro`, `rw`, `nosuid`, `nodev`, `noexec`, `bind`, `rbind`, `idmap`, or a \
                propagation such as `rslave`"
                    .into()
            }
            Self::Missing { .. } => "write `--mount type=bind,source=PATH,target=PATH[,ro]`".into(),
            Self::Target { .. } | Self::Kind { .. } => return None,
        })
    }
}

/// Options of the runtime specification that people may give to a bind mount.
const BIND_OPTIONS: [&str; 16] = [
    "ro", "rw", "nosuid", "suid", "nodev", "dev", "noexec", "exec", "bind", "rbind", "private",
    "rprivate", "slave", "rslave", "shared", "rshared",
];
/// Read-only with all mounts below (runtime specification 1.1, `config.md`).
pub(super) const READ_ONLY: &str = "rro";
/// What the host's root owns is the container's root's, and so on.
pub(super) const IDMAP: &str = "idmap";
/// The container's root is to own it all: it does so already, unless the container has ids of its own.
pub(super) const OWNED: &str = "U";
/// Those of Docker that name what other systems or labels need; they change nothing here.
const IGNORED: [&str; 5] = ["z", "Z", "cached", "delegated", "consistent"];

impl Volume {
    /// Reads `SOURCE:TARGET[:OPTIONS]`; a relative source is below `base`.
    ///
    /// # Errors
    /// [`VolumeError`].
    pub fn parse(text: &str, base: &Path) -> Result<Self, VolumeError> {
        let mut parts = text.splitn(3, ':');
        let form = || VolumeError::Form { text: text.to_owned() };
        let source = parts.next().filter(|part| !part.is_empty()).ok_or_else(form)?;
        let target = parts.next().filter(|part| !part.is_empty()).ok_or_else(form)?;
        if !source.contains('/') && !matches!(source, "." | "..") {
            return Err(VolumeError::Named { name: source.to_owned() });
        }
        let options = parts.next().unwrap_or_default().split(',').filter(|word| !word.is_empty());
        Self::bind(source, target, options.map(str::to_owned).collect(), base)
    }

    /// Reads `type=bind,source=…,target=…[,ro…]` or `type=tmpfs,target=…[,tmpfs-size=…]`.
    ///
    /// # Errors
    /// [`VolumeError`].
    pub fn parse_mount(text: &str, base: &Path) -> Result<Self, VolumeError> {
        let missing = |key| VolumeError::Missing { text: text.to_owned(), key };
        let (mut kind, mut source, mut target) = ("bind", None, None);
        let mut options = Vec::new();
        for word in text.split(',').filter(|word| !word.is_empty()) {
            match word.split_once('=').unwrap_or((word, "")) {
                ("type", value) => kind = value,
                ("source" | "src", value) => source = Some(value),
                ("target" | "destination" | "dst", value) => target = Some(value),
                ("readonly" | "ro", "" | "true" | "1") => options.push("ro".to_owned()),
                ("readonly" | "ro", "false" | "0") => {}
                ("bind-propagation", value) => options.push(value.to_owned()),
                ("tmpfs-size", value) => options.push(format!("size={value}")),
                ("tmpfs-mode", value) => options.push(format!("mode={value}")),
                _ => options.push(word.to_owned()),
            }
        }
        let target = target.ok_or_else(|| missing("target"))?;
        match kind {
            "bind" => Self::bind(source.ok_or_else(|| missing("source"))?, target, options, base),
            "tmpfs" => Self::memory(target, options),
            other => Err(VolumeError::Kind { kind: other.to_owned() }),
        }
    }

    /// Reads `TARGET[:OPTIONS]`.
    ///
    /// # Errors
    /// [`VolumeError`].
    pub fn parse_tmpfs(text: &str) -> Result<Self, VolumeError> {
        let (target, options) = text.split_once(':').unwrap_or((text, ""));
        let options = options.split(',').filter(|word| !word.is_empty());
        Self::memory(target, options.map(str::to_owned).collect())
    }

    fn bind(
        source: &str,
        target: &str,
        options: Vec<String>,
        base: &Path,
    ) -> Result<Self, VolumeError> {
        let mut kept = Vec::new();
        for option in options {
            match option.as_str() {
                IDMAP | OWNED => kept.push(option),
                // With what is mounted below the source: nobody expects that to be writable.
                "ro" => kept.push(READ_ONLY.to_owned()),
                known if BIND_OPTIONS.contains(&known) => kept.push(option),
                ignored if IGNORED.contains(&ignored) => {}
                _ => return Err(VolumeError::Option { option }),
            }
        }
        let source = VolumeSource::Host(base.join(source));
        Ok(Self { source, target: check_target(target)?, options: kept })
    }

    /// As Docker mounts memory: without set-id programs, devices and execution unless asked for.
    fn memory(target: &str, given: Vec<String>) -> Result<Self, VolumeError> {
        let mut options: Vec<String> = ["nosuid", "nodev", "noexec"].map(str::to_owned).to_vec();
        for option in given {
            let key = option.split('=').next().unwrap_or_default();
            let data = matches!(key, "size" | "mode" | "uid" | "gid" | "nr_inodes" | "nr_blocks");
            if !data && !BIND_OPTIONS.contains(&key) {
                return Err(VolumeError::Option { option });
            }
            options.push(option);
        }
        Ok(Self { source: VolumeSource::Memory, target: check_target(target)?, options })
    }

    /// Returns the mount as the runtime specification has it.
    pub(super) fn to_mount(&self) -> spec::Mount {
        let (kind, source) = match &self.source {
            VolumeSource::Host(path) => ("bind", Some(path.clone())),
            VolumeSource::Memory => ("tmpfs", None),
        };
        let mut options = self.options.clone();
        if kind == "bind"
            && !options.iter().any(|option| matches!(option.as_str(), "bind" | "rbind"))
        {
            options.push("rbind".to_owned());
        }
        spec::Mount {
            destination: self.target.clone(),
            kind: Some(kind.to_owned()),
            source: source.or_else(|| Some("tmpfs".into())),
            options,
            ..spec::Mount::default()
        }
    }
}

/// Fails if something of the host that is to be mounted is not there: the kernel would only say
/// that a file is missing, not which.
pub(super) fn check_sources(spec: &spec::Spec) -> Result<(), RunError> {
    let bound = spec.mounts.iter().filter(|mount| mount.kind.as_deref() == Some("bind"));
    for path in bound.filter_map(|mount| mount.source.as_ref()) {
        if std::fs::symlink_metadata(path).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound)
        {
            return Err(RunError::NoSource { path: path.clone() });
        }
    }
    Ok(())
}

fn check_target(target: &str) -> Result<String, VolumeError> {
    let parts = || target.split('/').filter(|part| !part.is_empty() && *part != ".");
    if target.starts_with('/') && parts().next().is_some() && parts().all(|part| part != "..") {
        return Ok(target.to_owned());
    }
    Err(VolumeError::Target { target: target.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(text: &str) -> Result<Volume, VolumeError> {
        Volume::parse(text, Path::new("/base"))
    }

    #[test]
    fn reads_volumes() {
        let read = volume("./src:/data:ro,Z").unwrap();
        assert_eq!(read.source, VolumeSource::Host("/base/./src".into()));
        assert_eq!((read.target.as_str(), read.options), ("/data", vec!["rro".to_owned()]));
        assert_eq!(volume("/a:/b").unwrap().options, Vec::<String>::new());
        for wrong in ["", "/a", ":/b", "/a:", "/a:b", "/a:/", "/a:/b/../..", "/a:/b:odd", "data:/b"]
        {
            assert!(volume(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn reads_mounts_and_memory() {
        let mount = |text| Volume::parse_mount(text, Path::new("/base"));
        let read = mount("type=bind,src=/a,dst=/b,readonly").unwrap();
        assert_eq!((read.target.as_str(), read.options), ("/b", vec!["rro".to_owned()]));
        let read = mount("type=tmpfs,target=/t,tmpfs-size=1m").unwrap();
        assert_eq!(read.options, ["nosuid", "nodev", "noexec", "size=1m"]);
        let read = Volume::parse_tmpfs("/t:exec,mode=700").unwrap();
        assert_eq!(read.options.last().unwrap(), "mode=700");
        for wrong in ["", "type=bind,dst=/b", "type=bind,src=/a", "type=volume,src=a,dst=/b"] {
            assert!(mount(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "t", "/t:odd"] {
            assert!(Volume::parse_tmpfs(wrong).is_err(), "{wrong}");
        }
    }
}

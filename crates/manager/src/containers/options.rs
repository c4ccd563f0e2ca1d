//! What a person may choose about a container.

use std::path::PathBuf;
use std::str::FromStr;

use creel_base::hint::Hint;
use creel_base::platform::Platform;
use creel_base::size::ByteSize;
use creel_image::process::Overrides;

use super::volume::Volume;

pub use super::users::Users;

/// The choices for a new container. The default has a name made up, nothing mounted, no network.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Its name; made up where there is none.
    pub name: Option<String>,
    /// What differs from the image's own process.
    pub process: Overrides,
    /// Its host name; the id's first digits where there is none.
    pub hostname: Option<String>,
    /// What is mounted into it, in order.
    pub volumes: Vec<Volume>,
    /// Its terminal, with rows and columns.
    pub terminal: Option<[u16; 2]>,
    /// Standard input is passed on; else it is empty.
    pub interactive: bool,
    /// The root directory cannot be changed.
    pub read_only: bool,
    /// A PID 1 that reaps and forwards signals comes before the command.
    pub init: bool,
    /// Every restriction but the namespaces is lifted.
    pub privileged: bool,
    /// Capabilities more or less than usual.
    pub capabilities: Capabilities,
    /// The system calls that are let through.
    pub seccomp: Seccomp,
    /// Programs gain no privileges by set-id bits or file capabilities.
    pub no_new_privileges: bool,
    /// Resource limits of the process.
    pub ulimits: Vec<Ulimit>,
    /// Limits of the whole container.
    pub limits: Limits,
    /// Whose ids it has.
    pub users: Users,
    /// Its network.
    pub network: Network,
    /// It goes when its process has ended.
    pub remove: bool,
}

/// When an image is pulled before a container is made of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PullPolicy {
    /// Always: the registry is asked for a newer one.
    Always,
    /// Where the store does not have it.
    #[default]
    Missing,
    /// Never.
    Never,
}

/// Which image, and where from.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// When it is pulled.
    pub pull: PullPolicy,
    /// The platform wanted, if not this machine's.
    pub platform: Option<Platform>,
}

/// Changes to the usual capabilities, as `CAP_NAME`, `NAME` in any case, or `ALL`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Added.
    pub add: Vec<String>,
    /// Dropped.
    pub drop: Vec<String>,
}

/// The system calls that a container may make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Seccomp {
    /// Those of the built-in profile.
    #[default]
    Default,
    /// All.
    Unconfined,
    /// Those of the profile in this file.
    Profile(PathBuf),
}

/// The network of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// A loopback interface and nothing else.
    #[default]
    None,
    /// The host's own.
    Host,
}

/// Limits of a whole container, by its control group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Processor time in thousandths of a processor.
    pub milli_cpus: Option<u64>,
    /// Number of processes and threads.
    pub pids: Option<i64>,
}

/// A resource limit of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ulimit {
    /// Its name in the runtime specification, such as `RLIMIT_NOFILE`.
    pub name: String,
    /// The soft limit.
    pub soft: u64,
    /// The hard limit.
    pub hard: u64,
}

/// Why a text is no choice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// A resource limit is not written as one.
    #[error("`{text}` is no resource limit")]
    Ulimit {
        /// The text.
        text: String,
    },
    /// A number of processors is not written as one, or is too small or large.
    #[error("`{text}` is no number of processors")]
    Cpus {
        /// The text.
        text: String,
    },
    /// A kind of user namespace is not known.
    #[error("user namespace `{text}` is not `host`, `auto` or `keep-id`")]
    Users {
        /// The text.
        text: String,
    },
    /// A network is not known.
    #[error("no network is called `{text}`")]
    Network {
        /// The text.
        text: String,
    },
    /// A working directory does not begin at the root.
    #[error("working directory `{path}` is not absolute")]
    Directory {
        /// The path.
        path: String,
    },
    /// A host name is not written as one.
    #[error(
        "host name `{name}` is not 1 to {MAX_HOST_NAME} letters, digits, `-`, `_` or `.`, the first a letter or digit"
    )]
    HostName {
        /// The name.
        name: String,
    },
    /// Less memory than any program needs.
    #[error("memory limit of {size} is below the least of {LEAST_MEMORY}")]
    Memory {
        /// The limit.
        size: ByteSize,
    },
    /// A security option is not known.
    #[error("security option `{text}` is not known")]
    Security {
        /// The text.
        text: String,
    },
}

impl Hint for OptionError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Ulimit { .. } => {
                Some("write `--ulimit nofile=1024:4096`, with `-1` for no limit".into())
            }
            Self::Cpus { .. } => Some("write a number such as `0.5` or `2`".into()),
            Self::Security { .. } => {
                Some("use `seccomp=unconfined`, `seccomp=FILE` or `no-new-privileges`".into())
            }
            Self::Network { .. } => Some("there are `none` and `host`".into()),
            Self::Directory { path } => Some(format!("write it from the root: `-w /{path}`")),
            Self::Memory { .. } => {
                Some("give a shell 1 MiB, and most programs 16 MiB or more: `--memory 16m`".into())
            }
            Self::HostName { .. } => None,
            Self::Users { .. } => {
                Some("options are `auto:size=NUMBER` and `keep-id:uid=NUMBER,gid=NUMBER`".into())
            }
        }
    }
}

/// Longest host name in bytes: `__NEW_UTS_LEN`.
const MAX_HOST_NAME: usize = 64;

/// Least memory of a container. Below, no shell starts: on two processors a static `true` needs
/// 350 KiB, a shell of Debian 900 KiB; Docker wants 6 MiB, Podman nothing.
const LEAST_MEMORY: ByteSize = ByteSize(1 << 20);

/// The names of setrlimit(2).
const RESOURCES: [&str; 16] = [
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

impl FromStr for Ulimit {
    type Err = OptionError;

    /// Reads `NAME=SOFT[:HARD]`, where `-1` and `unlimited` are no limit.
    fn from_str(text: &str) -> Result<Self, OptionError> {
        let read = || {
            let (name, values) = text.split_once('=')?;
            let name = name.to_ascii_lowercase();
            let (soft, hard) = values.split_once(':').unwrap_or((values, values));
            let (soft, hard) = (limit(soft)?, limit(hard)?);
            let known = RESOURCES.contains(&name.as_str()) && soft <= hard;
            known.then(|| Self {
                name: format!("RLIMIT_{}", name.to_ascii_uppercase()),
                soft,
                hard,
            })
        };
        read().ok_or_else(|| OptionError::Ulimit { text: text.to_owned() })
    }
}

fn limit(text: &str) -> Option<u64> {
    match text {
        "-1" | "unlimited" => Some(u64::MAX),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok(),
        _ => None,
    }
}

/// Reads a number of processors with up to three decimals, as thousandths.
///
/// # Errors
/// [`OptionError::Cpus`]; also for less than a hundredth, which the kernel cannot do.
pub fn milli_cpus(text: &str) -> Result<u64, OptionError> {
    let read = || {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(part) || part.len() > 3 || whole.is_empty() {
            return None;
        }
        let part: u64 = format!("{part:0<3}").parse().ok()?;
        whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(part)
    };
    let found = read().filter(|milli| (10..=1_000_000_000).contains(milli));
    found.ok_or_else(|| OptionError::Cpus { text: text.to_owned() })
}

/// Checks a working directory, so that a wrong one is refused before an image is pulled for it.
///
/// # Errors
/// [`OptionError::Directory`].
pub fn working_directory(path: &str) -> Result<String, OptionError> {
    let path = path.to_owned();
    if path.starts_with('/') { Ok(path) } else { Err(OptionError::Directory { path }) }
}

/// Checks a host name. It is a line of files as well as the kernel's, which takes any bytes.
///
/// # Errors
/// [`OptionError::HostName`].
pub fn host_name(name: &str) -> Result<String, OptionError> {
    let name = name.to_owned();
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let fits = name.len() <= MAX_HOST_NAME && name.bytes().all(good);
    if begins && fits { Ok(name) } else { Err(OptionError::HostName { name }) }
}

/// Checks a limit of memory, in bytes.
///
/// # Errors
/// [`OptionError::Memory`].
pub fn memory(size: ByteSize) -> Result<u64, OptionError> {
    if size < LEAST_MEMORY { Err(OptionError::Memory { size }) } else { Ok(size.bytes()) }
}

impl FromStr for Network {
    type Err = OptionError;

    fn from_str(text: &str) -> Result<Self, OptionError> {
        match text {
            "none" => Ok(Self::None),
            "host" => Ok(Self::Host),
            _ => Err(OptionError::Network { text: text.to_owned() }),
        }
    }
}

impl Options {
    /// Applies a security option: `seccomp=unconfined`, `seccomp=FILE`, `no-new-privileges[=BOOL]`.
    ///
    /// # Errors
    /// [`OptionError::Security`].
    pub fn set_security(&mut self, text: &str) -> Result<(), OptionError> {
        match text.split_once(['=', ':']).unwrap_or((text, "true")) {
            ("seccomp", "unconfined") => self.seccomp = Seccomp::Unconfined,
            ("seccomp", "default") => self.seccomp = Seccomp::Default,
            ("seccomp", file) => self.seccomp = Seccomp::Profile(file.into()),
            ("no-new-privileges", "true") => self.no_new_privileges = true,
            ("no-new-privileges", "false") => self.no_new_privileges = false,
            _ => return Err(OptionError::Security { text: text.to_owned() }),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_resource_limits() {
        let read = |text: &str| text.parse::<Ulimit>().ok().map(|limit| (limit.soft, limit.hard));
        assert_eq!(read("nofile=1024:4096"), Some((1024, 4096)));
        assert_eq!(read("CORE=-1"), Some((u64::MAX, u64::MAX)));
        assert_eq!("nproc=5".parse::<Ulimit>().unwrap().name, "RLIMIT_NPROC");
        for wrong in ["", "nofile", "nofile=", "nofile=2:1", "odd=1", "nofile=+1", "nofile=1:2:3"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn reads_processors() {
        for (text, expected) in
            [("1", 1000), ("0.5", 500), ("2.125", 2125), ("0.01", 10), ("1.", 1000)]
        {
            assert_eq!(milli_cpus(text), Ok(expected), "{text}");
        }
        for wrong in ["", ".5", "0", "0.001", "-1", "1e3", "1.2345", "99999999999999999999"] {
            assert!(milli_cpus(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn host_names_are_lines_that_the_kernel_takes() {
        for name in ["a", "0", "box.example-1_b", &"a".repeat(64)] {
            assert_eq!(host_name(name).as_deref(), Ok(name));
        }
        for name in ["", "-a", ".a", "a/b", "a b", "a\n1.2.3.4 b", "ä", &"a".repeat(65)] {
            assert!(host_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn wrong_choices_come_with_hints() {
        let errors = [
            working_directory("src").unwrap_err(),
            memory(ByteSize(1024)).unwrap_err(),
            "odd".parse::<Network>().unwrap_err(),
        ];
        for error in errors {
            assert!(error.hint().is_some(), "{error}");
        }
        assert_eq!(working_directory("/src").as_deref(), Ok("/src"));
        assert_eq!(memory(ByteSize(1 << 20)), Ok(1 << 20));
        assert_eq!(
            memory(ByteSize(1024)).unwrap_err().to_string(),
            "memory limit of 1 KiB is below the least of 1 MiB"
        );
    }

    #[test]
    fn reads_security_options() {
        let mut options = Options::default();
        for text in ["seccomp=/a=b", "no-new-privileges"] {
            options.set_security(text).unwrap();
        }
        assert_eq!(options.seccomp, Seccomp::Profile("/a=b".into()));
        assert!(options.no_new_privileges);
        assert!(options.set_security("label=disable").is_err());
    }
}

//! minijail0's command line, and its configuration files.

mod finish;

use std::io;
use std::path::{Path, PathBuf};

use creel_codec::bpf::arch::Arch;

use super::accounts;
use super::elf::Linkage;
use super::error::LineError;
use super::number::{capabilities, hexadecimal, integer};
use super::options::{self, Given, shown};
use super::{Capabilities, First, Groups, Jail, Mount, Root};
use crate::policy::{Constants, Files, Remark};

const MS_RDONLY: u64 = 1;
const MS_NOSUID: u64 = 2;
const MS_NODEV: u64 = 4;
const MS_NOEXEC: u64 = 8;
const MS_BIND: u64 = 0x1000;
const MS_PRIVATE: u64 = 1 << 18;
const MS_SLAVE: u64 = 1 << 19;
const MS_SHARED: u64 = 1 << 20;
/// `SECCOMP_FILTER_FLAG_TSYNC` and `SECCOMP_FILTER_FLAG_SPEC_ALLOW`.
const TSYNC: u32 = 1;
const SPEC_ALLOW: u32 = 4;
/// The size of `/tmp` where none is said.
const TMP_SIZE: u64 = 64 << 20;
/// Where a profile changes its root to.
const PROFILE_ROOT: &str = "/var/empty";

/// What of the host a command line depends on.
pub trait Host: Files {
    /// Reads a whole file, or so many bytes of its beginning.
    ///
    /// # Errors
    /// Fails if it cannot be read.
    fn bytes(&mut self, path: &str, most: Option<usize>) -> io::Result<Vec<u8>>;
    /// Whether a path is there.
    fn exists(&mut self, path: &str) -> bool;
    /// Whether a path is a file that this process may execute.
    fn is_executable(&mut self, path: &Path) -> bool;
    /// Real user and group id of this process.
    fn ids(&mut self) -> [u32; 2];
    /// Whether this process may set groups (`CAP_SETGID`).
    fn sets_groups(&mut self) -> bool;
    /// The environment as `NAME=value`.
    fn environment(&mut self) -> Vec<String>;
}

/// What a command line asks for.
#[derive(Debug)]
pub enum Request {
    /// The options.
    Help,
    /// The system calls that policies can name.
    Calls,
    /// A configuration file with this text, at this path.
    Config {
        /// The path.
        path: PathBuf,
        /// The text.
        text: String,
    },
    /// A jail, and what is odd about its policy.
    Run(Box<Jail>, Vec<Remark>),
}

/// Reads a command line, without the name of the program itself.
///
/// # Errors
/// See [`LineError`].
pub fn read(argv: &[String], host: &mut dyn Host) -> Result<Request, LineError> {
    let (given, words) = options::split(argv)?;
    let mut all = Vec::new();
    for option in given {
        let path = option.value.clone().filter(|_| option.name == "config");
        all.push(option);
        if let Some(path) = path {
            let text = text(host, &path)?;
            all.extend(options::of_file(&path, &text)?);
        }
    }
    let last = all.iter().rev().find(|option| option.name == "gen-config");
    if let Some(path) = last.and_then(|option| option.value.clone()) {
        if host.exists(&path) {
            return Err(LineError::Exists { path });
        }
        return Ok(Request::Config { path: path.into(), text: options::to_file(&all) });
    }
    let mut reader = Reader::new(host);
    for option in &all {
        match option.name {
            "h" => return Ok(Request::Help),
            "H" => return Ok(Request::Calls),
            _ => reader.option(option)?,
        }
    }
    let jail = reader.finish(words)?;
    Ok(Request::Run(Box::new(jail.0), jail.1))
}

fn text(host: &mut dyn Host, path: &str) -> Result<String, LineError> {
    let read = host.bytes(path, None);
    let read = read.and_then(|bytes| {
        String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    });
    read.map_err(|source| LineError::Read { path: path.to_owned(), source })
}

/// A user whose groups are inherited.
struct Account {
    name: String,
    gid: u32,
}

/// What the options have said so far, where a jail does not hold it.
struct Reader<'a> {
    host: &'a mut dyn Host,
    jail: Jail,
    /// Unpacked when a name is looked for.
    constants: Option<Constants>,
    account: Option<Account>,
    inherits_groups: bool,
    added_groups: Vec<u32>,
    uid_map: Option<Option<String>>,
    gid_map: Option<Option<String>>,
    /// Whether `-v` itself was given.
    mounts_named: bool,
    propagation: Option<Option<String>>,
    profile: bool,
    filter: Option<(&'static str, String)>,
    logs: bool,
    linkage: Option<Linkage>,
    skipped: u64,
    default_runtime: bool,
    env: Option<Vec<String>>,
}

impl<'a> Reader<'a> {
    fn new(host: &'a mut dyn Host) -> Self {
        // What a new mount namespace has unless `-v` says otherwise.
        let jail = Jail { propagation: MS_PRIVATE, ..Jail::default() };
        Self {
            host,
            jail,
            constants: None,
            account: None,
            inherits_groups: false,
            added_groups: Vec::new(),
            uid_map: None,
            gid_map: None,
            mounts_named: false,
            propagation: None,
            profile: false,
            filter: None,
            logs: false,
            linkage: None,
            skipped: 0,
            default_runtime: true,
            env: None,
        }
    }

    fn option(&mut self, given: &Given) -> Result<(), LineError> {
        let value = given.value.as_deref().unwrap_or_default();
        let names = &mut self.jail.namespaces;
        match given.name {
            "u" => self.user(given, value)?,
            "g" => self.group(given, value)?,
            "G" => self.inherits_groups = true,
            "y" => self.jail.groups = Groups::Kept,
            "add-suppl-group" => {
                let id = self.group_id(value)?;
                self.added_groups.push(id);
            }
            "b" => self.bind(given, value)?,
            "k" => self.mount(given, value)?,
            "K" => self.propagation = Some(given.value.clone()),
            "r" => (names.mount, self.jail.proc) = (true, true),
            "d" => (names.mount, self.jail.dev) = (true, true),
            "t" => {
                names.mount = true;
                let size = given.value.as_deref().map(|size| self.size(given, size)).transpose()?;
                self.jail.tmp = size.or(self.jail.tmp).or(Some(TMP_SIZE));
            }
            "C" => self.root(Root::Changed(value.into()))?,
            "P" => self.root(Root::Pivoted(value.into()))?,
            "profile" => self.profile(given, value)?,
            "N" => names.cgroup = true,
            "l" => names.ipc = true,
            "v" => (names.mount, self.mounts_named, self.jail.propagation) = (true, true, MS_SLAVE),
            "V" => self.jail.joined_mount = Some(value.into()),
            "e" => match &given.value {
                Some(path) => self.jail.joined_net = Some(path.into()),
                None => names.net = true,
            },
            "p" => self.processes(),
            "I" => {
                self.processes();
                self.jail.first = First::Program;
            }
            "U" => {
                self.jail.namespaces.user = true;
                self.processes();
            }
            "m" => self.uid_map = Some(given.value.clone()),
            "M" => self.gid_map = Some(given.value.clone()),
            "uts" => {
                names.uts = true;
                self.jail.hostname = given.value.clone().or_else(|| self.jail.hostname.take());
            }
            "S" | "seccomp-bpf-binary" | "s" => self.filter_option(given)?,
            "L" => self.logs = true,
            "Y" => self.jail.filter.flags |= TSYNC,
            "allow-speculative-execution" => self.jail.filter.flags |= SPEC_ALLOW,
            "n" => self.jail.no_new_privileges = true,
            "c" => {
                let kept = capabilities(value).ok_or_else(|| bad(given, "a mask or names"))?;
                self.jail.capabilities = Some(Capabilities { kept, securebits_skipped: 0 });
            }
            "ambient" => self.jail.ambient = true,
            "B" => self.skipped = hexadecimal(value).ok_or_else(|| bad(given, "a mask"))?,
            "f" => self.jail.pid_file = Some(value.into()),
            "i" => self.jail.background = true,
            "z" => self.jail.keeps_signals = true,
            "R" => self.limit(given, value)?,
            "T" => {
                self.linkage = Some(match value {
                    "static" => Linkage::Static,
                    "dynamic" => Linkage::Dynamic,
                    _ => return Err(bad(given, "`static` or `dynamic`")),
                });
            }
            "w" => self.jail.keyring = true,
            "no-new-sessions" => self.jail.keeps_session = true,
            "preserve-fd" => {
                let number = value.parse().ok().filter(|number| *number >= 0);
                self.jail.preserved.push(number.ok_or_else(|| bad(given, "a number"))?);
            }
            "env-reset" => self.env = Some(Vec::new()),
            "env-add" => self.variable(given, value)?,
            "logging" if ["auto", "syslog", "stderr"].contains(&value) => {}
            "logging" => return Err(bad(given, "`auto`, `syslog` or `stderr`")),
            "no-default-runtime-environment" => self.default_runtime = false,
            // Without paths nothing is restricted, and nothing is loaded into programs.
            "config"
            | "no-fs-restrictions"
            | "enable-profile-fs-restrictions"
            | "landlock-abi"
            | "preload-library" => {}
            _ => return Err(LineError::Unavailable { option: given.shown() }),
        }
        Ok(())
    }

    fn processes(&mut self) {
        let names = &mut self.jail.namespaces;
        (names.pid, names.mount, self.jail.proc) = (true, true, true);
    }

    fn user(&mut self, given: &Given, value: &str) -> Result<(), LineError> {
        if self.jail.user.is_some() {
            return Err(LineError::Twice { option: given.shown() });
        }
        let uid = match accounts::number(value) {
            Some(uid) => uid,
            None => {
                let passwd = text(self.host, "/etc/passwd")?;
                let found = accounts::user(&passwd, value);
                let user = found
                    .ok_or_else(|| LineError::Account { kind: "user", name: value.to_owned() })?;
                self.account = Some(Account { name: value.to_owned(), gid: user.gid });
                user.uid
            }
        };
        if uid == 0 {
            return Err(LineError::Root { kind: "uid" });
        }
        self.jail.user = Some(uid);
        Ok(())
    }

    fn group(&mut self, given: &Given, value: &str) -> Result<(), LineError> {
        if self.jail.group.is_some() {
            return Err(LineError::Twice { option: given.shown() });
        }
        match self.group_id(value)? {
            0 => Err(LineError::Root { kind: "gid" }),
            gid => {
                self.jail.group = Some(gid);
                Ok(())
            }
        }
    }

    fn group_id(&mut self, value: &str) -> Result<u32, LineError> {
        if let Some(gid) = accounts::number(value) {
            return Ok(gid);
        }
        let found = accounts::group(&text(self.host, "/etc/group")?, value);
        found.ok_or_else(|| LineError::Account { kind: "group", name: value.to_owned() })
    }

    fn bind(&mut self, given: &Given, value: &str) -> Result<(), LineError> {
        let mut parts = value.split(',');
        let source = parts.next().filter(|source| !source.is_empty());
        let target = parts.next().filter(|target| !target.is_empty()).or(source);
        let flags = match parts.next().unwrap_or_default() {
            "" | "0" => MS_BIND | MS_RDONLY,
            "1" => MS_BIND,
            _ => return Err(bad(given, "`0` or `1` after the target")),
        };
        let (Some(source), Some(target), None) = (source, target, parts.next()) else {
            return Err(bad(given, "SOURCE[,TARGET[,WRITABLE]]"));
        };
        self.add(
            given,
            Mount {
                source: source.into(),
                target: target.into(),
                kind: String::new(),
                flags,
                data: String::new(),
                at_once: true,
            },
        )
    }

    fn mount(&mut self, given: &Given, value: &str) -> Result<(), LineError> {
        let expected = "SOURCE,TARGET,TYPE[,FLAGS[,OPTIONS]]";
        let mut parts = value.splitn(5, ',');
        let mut next = || parts.next().filter(|part| !part.is_empty());
        let (Some(source), Some(target), Some(kind)) = (next(), next(), next()) else {
            return Err(bad(given, expected));
        };
        let flags = match next() {
            None => 0,
            Some(words) => {
                self.constant(words).ok_or_else(|| bad(given, "flags such as `MS_NODEV`"))?
            }
        };
        let data = next();
        if flags & MS_BIND != 0 && data.is_some() {
            return Err(bad(given, "nothing after the flags of a bind mount"));
        }
        let usual = if kind == "tmpfs" { "mode=0755,size=10M" } else { "" };
        let flags = if flags == 0 { MS_NODEV | MS_NOEXEC | MS_NOSUID } else { flags };
        self.add(
            given,
            Mount {
                source: source.into(),
                target: target.into(),
                kind: kind.into(),
                flags,
                data: data.unwrap_or(usual).into(),
                at_once: false,
            },
        )
    }

    fn add(&mut self, given: &Given, mount: Mount) -> Result<(), LineError> {
        if !mount.target.starts_with('/') {
            return Err(bad(given, "a target that begins with `/`"));
        }
        if self.jail.joined_mount.is_none() {
            self.jail.namespaces.mount = true;
        }
        self.jail.mounts.push(mount);
        Ok(())
    }

    fn root(&mut self, root: Root) -> Result<(), LineError> {
        let other = match (&self.jail.root, &root) {
            (Root::Callers, _) | (Root::Changed(_), Root::Changed(_)) => None,
            (Root::Pivoted(_), Root::Pivoted(_)) => None,
            _ => Some(LineError::Together { one: "-C".into(), other: "-P".into() }),
        };
        if let Some(error) = other {
            return Err(error);
        }
        if matches!(root, Root::Pivoted(_)) {
            self.jail.namespaces.mount = true;
        }
        self.jail.root = root;
        Ok(())
    }

    fn profile(&mut self, given: &Given, value: &str) -> Result<(), LineError> {
        let dev = match value {
            "minimalistic-mountns" => true,
            "minimalistic-mountns-nodev" => false,
            _ => return Err(bad(given, "`minimalistic-mountns` or `minimalistic-mountns-nodev`")),
        };
        self.bind(given, "/")?;
        self.bind(given, "/proc")?;
        if dev {
            self.bind(given, "/dev/log")?;
            self.jail.dev = true;
        }
        self.jail.tmp = self.jail.tmp.or(Some(TMP_SIZE));
        (self.jail.namespaces.mount, self.jail.proc, self.profile) = (true, true, true);
        self.root(Root::Pivoted(PROFILE_ROOT.into()))
    }

    fn size(&self, given: &Given, text: &str) -> Result<u64, LineError> {
        let suffix = text.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = text.get(..text.len() - suffix.len()).unwrap_or_default();
        let power = match suffix {
            "" => Some(0),
            _ => ["K", "M", "G", "T", "P", "E"]
                .iter()
                .position(|known| *known == suffix)
                .map(|at| at + 1),
        };
        let scale = power.and_then(|power| 1_u64.checked_shl(u32::try_from(power * 10).ok()?));
        let size =
            digits.parse::<u64>().ok().zip(scale).and_then(|(size, scale)| size.checked_mul(scale));
        size.ok_or_else(|| bad(given, "a size such as `64M`"))
    }

    fn filter_option(&mut self, given: &Given) -> Result<(), LineError> {
        let path = given.value.clone().unwrap_or_default();
        if let Some((other, _)) = self.filter.as_ref().filter(|(other, _)| *other != given.name) {
            return Err(LineError::Together { one: shown(other), other: given.shown() });
        }
        self.filter = Some((given.name, path));
        Ok(())
    }

    fn limit(&mut self, given: &Given, value: &str) -> Result<(), LineError> {
        let expected = "TYPE,SOFT,HARD";
        let parts: Vec<_> = value.split(',').collect();
        let [kind, soft, hard] = parts[..] else { return Err(bad(given, expected)) };
        let number = |text: &str| match text {
            "unlimited" => Some(u64::MAX),
            _ => integer(text),
        };
        let kind = integer(kind).or_else(|| self.named(kind));
        let kind = kind.and_then(|kind| u32::try_from(kind).ok());
        let (Some(kind), Some(soft), Some(hard)) = (kind, number(soft), number(hard)) else {
            return Err(bad(given, expected));
        };
        if self.jail.limits.iter().any(|(known, _)| *known == kind) {
            return Err(LineError::Twice { option: format!("-R {value}") });
        }
        self.jail.limits.push((kind, [soft, hard]));
        Ok(())
    }

    fn variable(&mut self, given: &Given, value: &str) -> Result<(), LineError> {
        let Some((name, _)) = value.split_once('=') else { return Err(bad(given, "NAME=value")) };
        if self.env.is_none() {
            self.env = Some(self.host.environment());
        }
        let env = self.env.get_or_insert_default();
        env.retain(|line| line.split_once('=').is_none_or(|(other, _)| other != name));
        env.push(value.to_owned());
        Ok(())
    }

    /// Names and numbers with `|` in between.
    fn constant(&mut self, text: &str) -> Option<u64> {
        let mut one = |word: &str| integer(word).or_else(|| self.named(word));
        text.split('|').try_fold(0, |sum, word| Some(sum | one(word)?))
    }

    fn named(&mut self, name: &str) -> Option<u64> {
        let unpack = || Constants::of(Arch::native().unwrap_or(Arch::X86_64));
        self.constants.get_or_insert_with(unpack).value(name)
    }
}

fn bad(given: &Given, expected: &'static str) -> LineError {
    let value = given.value.clone().unwrap_or_default();
    LineError::Value { option: given.shown(), value, expected }
}

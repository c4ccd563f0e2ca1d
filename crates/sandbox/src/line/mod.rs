//! bubblewrap's command line, on which the order of words is the order of what is done.
//!
//! Words are whole: neither abbreviations nor `--name=value` are taken. The reader does no I/O of its own;
//! what descriptors hold comes from a [`Host`].
//!
//! Source: bwrap(1) of bubblewrap 0.11.

mod error;
mod fuzz;
mod number;

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::sync::Arc;

use creel_codec::bpf::capability;

pub use error::{LineError, Remark};
pub use fuzz::fuzz;

use crate::sandbox::{Access, Capabilities, Change, Directory, Filter, Sandbox, Upper, Wanted};
use number::{descriptor, id, octal, size};

/// The most words that are read, those of `--args` included.
const MOST_WORDS: usize = 9000;

/// What the words need of the host.
pub trait Host {
    /// The descriptor with a number.
    ///
    /// # Errors
    /// Fails if there is none.
    fn descriptor(&mut self, number: i32) -> io::Result<Arc<OwnedFd>>;

    /// All that can be read from the descriptor with a number, which is closed then.
    ///
    /// # Errors
    /// Fails if there is none, or reading does.
    fn contents(&mut self, number: i32) -> io::Result<Vec<u8>>;

    /// Whether filters have names too: `--seccomp default` and `--seccomp off`.
    fn names_filters(&self) -> bool {
        false
    }

    /// The variables of the environment.
    fn environment(&mut self) -> Vec<(OsString, OsString)>;

    /// The capabilities that a program has if nothing is said, as bits: none but for root.
    fn capabilities(&mut self) -> u64;
}

/// What a command line says.
#[derive(Debug)]
pub enum Parsed {
    /// `--help`
    Help,
    /// `--version`
    Version,
    /// Anything else.
    Line(Box<Line>),
}

/// A command line.
#[derive(Debug, Default)]
pub struct Line {
    /// What is to run, but for the program.
    pub sandbox: Sandbox,
    /// The program and its arguments.
    pub words: Vec<OsString>,
    /// What the program is told it is called.
    pub argv0: Option<OsString>,
    /// Gets the process and its namespaces, once.
    pub info: Option<Arc<OwnedFd>>,
    /// Gets the same, and the exit code.
    pub status: Option<Arc<OwnedFd>>,
    /// Is read when `info` is written, before the start goes on.
    pub user_block: Option<Arc<OwnedFd>>,
    /// Whether the filter that is called `default` is loaded, if something was said.
    pub default_filter: Option<bool>,
    /// What was passed over.
    pub remarks: Vec<Remark>,
    /// Whether diagnostics begin with their level, as in `<3>`.
    pub level_prefix: bool,
}

/// Reads the words of a command line, without the program's own name.
///
/// # Errors
/// [`LineError`].
pub fn parse(
    words: impl IntoIterator<Item = OsString>,
    host: &mut impl Host,
) -> Result<Parsed, LineError> {
    let words: VecDeque<_> = words.into_iter().collect();
    let mut reader = Reader::new(words.len(), host);
    let mut words = words;
    if let Some(parsed) = reader.read(&mut words, false)? {
        return Ok(parsed);
    }
    if !reader.sources.is_empty() {
        return Err(LineError::SourceAlone);
    }
    let mut line = reader.finish();
    line.words = words.into();
    Ok(Parsed::Line(Box::new(line)))
}

struct Reader<'a, H> {
    host: &'a mut H,
    line: Line,
    env: Vec<(OsString, OsString)>,
    count: usize,
    /// What comes before the option that it is about.
    perms: Option<u32>,
    size: Option<u64>,
    sources: Vec<PathBuf>,
    capabilities: Option<u64>,
    filter: Option<Filter>,
}

/// The words of one option, its name first.
struct Words<'a> {
    name: String,
    rest: &'a mut VecDeque<OsString>,
}

impl Words<'_> {
    fn take<const N: usize>(&mut self) -> Result<[OsString; N], LineError> {
        if self.rest.len() < N {
            return Err(LineError::TooFew { option: self.name.clone(), count: N });
        }
        let taken: Vec<_> = self.rest.drain(..N).collect();
        taken.try_into().map_err(|_| LineError::TooFew { option: self.name.clone(), count: N })
    }

    fn one(&mut self) -> Result<OsString, LineError> {
        let [one] = self.take()?;
        Ok(one)
    }

    fn path(&mut self) -> Result<PathBuf, LineError> {
        self.one().map(PathBuf::from)
    }

    fn paths(&mut self) -> Result<[PathBuf; 2], LineError> {
        Ok(self.take::<2>()?.map(PathBuf::from))
    }
}

impl<'a, H: Host> Reader<'a, H> {
    fn new(count: usize, host: &'a mut H) -> Self {
        let env = host.environment();
        Self {
            host,
            line: Line::default(),
            env,
            count,
            perms: None,
            size: None,
            sources: Vec::new(),
            capabilities: None,
            filter: None,
        }
    }

    fn finish(self) -> Line {
        let mut line = self.line;
        line.sandbox.program.env = self.env;
        line.sandbox.program.filters.extend(self.filter);
        if let Some(bits) = self.capabilities {
            line.sandbox.program.capabilities = Capabilities::These(bits);
        }
        line
    }

    /// Reads options up to the first word that is none.
    fn read(
        &mut self,
        words: &mut VecDeque<OsString>,
        in_file: bool,
    ) -> Result<Option<Parsed>, LineError> {
        if self.count > MOST_WORDS {
            return Err(LineError::TooMany);
        }
        while let Some(word) = words.front() {
            if !word.as_bytes().starts_with(b"-") {
                break;
            }
            let word = words.pop_front().unwrap_or_default();
            if word == "--" {
                break;
            }
            let Ok(name) = word.into_string() else { return Err(LineError::NotText) };
            match name.as_str() {
                "--help" => return Ok(Some(Parsed::Help)),
                "--version" => return Ok(Some(Parsed::Version)),
                "--args" if in_file => return Err(LineError::ArgsInArgs),
                "--args" => {
                    let fd = descriptor(&Words { name, rest: words }.one()?)?;
                    if let Some(parsed) = self.read_file(fd)? {
                        return Ok(Some(parsed));
                    }
                    self.check_modifiers("--args")?;
                }
                _ => {
                    let mut words = Words { name, rest: words };
                    self.option(&mut words)?;
                    self.check_modifiers(&words.name)?;
                }
            }
        }
        Ok(None)
    }

    /// Reads words that end with null bytes.
    fn read_file(&mut self, number: i32) -> Result<Option<Parsed>, LineError> {
        let text = self.contents("arguments", number)?;
        let text = text.strip_suffix(b"\0").unwrap_or(&text);
        if text.is_empty() {
            return Ok(None);
        }
        let words = text.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec()));
        let mut words: VecDeque<_> = words.take(MOST_WORDS + 1).collect();
        self.count += words.len();
        self.read(&mut words, true)
    }

    /// What is said of the next option must be said of one that it is for.
    fn check_modifiers(&self, name: &str) -> Result<(), LineError> {
        if matches!(name, "--perms" | "--size") {
            return Ok(());
        }
        if self.perms.is_some() {
            return Err(LineError::PermsAlone);
        }
        if self.size.is_some() {
            return Err(LineError::SizeAlone);
        }
        if name != "--overlay-src" && !self.sources.is_empty() {
            return Err(LineError::SourceAlone);
        }
        Ok(())
    }

    fn option(&mut self, words: &mut Words<'_>) -> Result<(), LineError> {
        if self.namespace(words)? || self.process(words)? || self.lifetime(words)? {
            return Ok(());
        }
        match self.change(words)? {
            Some(change) => {
                self.line.sandbox.changes.push(change);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Options about namespaces and ids.
    fn namespace(&mut self, words: &mut Words<'_>) -> Result<bool, LineError> {
        let names = &mut self.line.sandbox.namespaces;
        match words.name.as_str() {
            "--unshare-all" => names.unshare_all(),
            "--share-net" => names.net = false,
            "--unshare-user" => names.user = Wanted::Yes,
            "--unshare-user-try" => names.user = names.user.or_try(),
            "--unshare-ipc" => names.ipc = true,
            "--unshare-pid" => names.pid = true,
            "--unshare-net" => names.net = true,
            "--unshare-uts" => names.uts = true,
            "--unshare-cgroup" => names.cgroup = Wanted::Yes,
            "--unshare-cgroup-try" => names.cgroup = names.cgroup.or_try(),
            "--disable-userns" => names.no_more_users = true,
            "--assert-userns-disabled" => names.check_no_more_users = true,
            "--userns" => {
                let fd = self.fd(words)?;
                let slot = &mut self.line.sandbox.namespaces.joined_user;
                remark(&mut self.line.remarks, &words.name, slot.replace(fd).is_some());
            }
            "--userns2" => {
                let fd = self.fd(words)?;
                let slot = &mut self.line.sandbox.namespaces.second_user;
                remark(&mut self.line.remarks, &words.name, slot.replace(fd).is_some());
            }
            "--pidns" => {
                let fd = self.fd(words)?;
                let slot = &mut self.line.sandbox.namespaces.joined_pid;
                remark(&mut self.line.remarks, &words.name, slot.replace(fd).is_some());
            }
            "--uid" => {
                let uid = id("uid", &words.one()?)?;
                let slot = &mut self.line.sandbox.identity.uid;
                remark(&mut self.line.remarks, &words.name, slot.replace(uid).is_some());
            }
            "--gid" => {
                let gid = id("gid", &words.one()?)?;
                let slot = &mut self.line.sandbox.identity.gid;
                remark(&mut self.line.remarks, &words.name, slot.replace(gid).is_some());
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Options about the program and its rights.
    fn process(&mut self, words: &mut Words<'_>) -> Result<bool, LineError> {
        match words.name.as_str() {
            "--argv0" => {
                if self.line.argv0.replace(words.one()?).is_some() {
                    return Err(LineError::Twice { option: words.name.clone() });
                }
            }
            "--chdir" => {
                let path = words.path()?;
                let directory = &mut self.line.sandbox.program.directory;
                let again = matches!(directory, Directory::Here(_));
                *directory = Directory::Here(path);
                remark(&mut self.line.remarks, &words.name, again);
            }
            "--clearenv" => self.env.clear(),
            "--setenv" => {
                let [name, value] = words.take()?;
                set(&mut self.env, name, value)?;
            }
            "--unsetenv" => {
                let gone = words.one()?;
                self.env.retain(|(name, _)| *name != gone);
            }
            "--exec-label" => {
                let label = words.one()?;
                let again = self.line.sandbox.program.label.replace(label).is_some();
                remark(&mut self.line.remarks, &words.name, again);
            }
            "--file-label" => {
                let label = words.one()?;
                let again = self.line.sandbox.label.replace(label).is_some();
                remark(&mut self.line.remarks, &words.name, again);
            }
            "--seccomp" => {
                if !self.line.sandbox.program.filters.is_empty() {
                    return Err(together(words, "--add-seccomp-fd"));
                }
                if self.names_filter(words) {
                    return Ok(true);
                }
                let filter = self.filter(words)?;
                let again = self.filter.replace(filter).is_some();
                remark(&mut self.line.remarks, &words.name, again);
            }
            "--add-seccomp-fd" => {
                if self.filter.is_some() {
                    return Err(together(words, "--seccomp"));
                }
                let filter = self.filter(words)?;
                self.line.sandbox.program.filters.push(filter);
            }
            "--cap-add" => {
                let bits = capabilities(&words.one()?)?;
                *self.kept() |= bits;
            }
            "--cap-drop" => {
                let bits = capabilities(&words.one()?)?;
                *self.kept() &= !bits;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn kept(&mut self) -> &mut u64 {
        let usual = self.host.capabilities();
        self.capabilities.get_or_insert(usual)
    }

    /// Takes the name of a filter, if the next word is one.
    fn names_filter(&mut self, words: &mut Words<'_>) -> bool {
        let named = words.rest.front().and_then(|word| match word.to_str()? {
            "default" => Some(true),
            "off" => Some(false),
            _ => None,
        });
        let Some(named) = named.filter(|_| self.host.names_filters()) else { return false };
        words.rest.pop_front();
        self.line.default_filter = Some(named);
        true
    }

    fn filter(&mut self, words: &mut Words<'_>) -> Result<Filter, LineError> {
        let number = descriptor(&words.one()?)?;
        Ok(Filter::new(&self.contents("seccomp data", number)?)?)
    }

    fn contents(&mut self, what: &'static str, number: i32) -> Result<Vec<u8>, LineError> {
        let read = self.host.contents(number);
        read.map_err(|source| LineError::Unreadable { what, source })
    }

    /// Options about when things begin and end, and who is told.
    fn lifetime(&mut self, words: &mut Words<'_>) -> Result<bool, LineError> {
        let life = &mut self.line.sandbox.lifetime;
        match words.name.as_str() {
            "--level-prefix" => self.line.level_prefix = true,
            "--die-with-parent" => life.dies_with_parent = true,
            "--as-pid-1" => life.as_first_process = true,
            "--new-session" => life.new_session = true,
            "--lock-file" => life.locks.push(words.path()?),
            "--sync-fd" | "--block-fd" | "--userns-block-fd" | "--info-fd" | "--json-status-fd" => {
                let fd = self.fd(words)?;
                let line = &mut self.line;
                let slot = match words.name.as_str() {
                    "--sync-fd" => &mut line.sandbox.lifetime.sync,
                    "--block-fd" => &mut line.sandbox.lifetime.block,
                    "--userns-block-fd" => &mut line.user_block,
                    "--info-fd" => &mut line.info,
                    _ => &mut line.status,
                };
                let again = slot.replace(fd).is_some();
                remark(&mut line.remarks, &words.name, again);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Options about the root, and those before them.
    fn change(&mut self, words: &mut Words<'_>) -> Result<Option<Change>, LineError> {
        let change = match words.name.as_str() {
            "--bind" | "--bind-try" | "--ro-bind" | "--ro-bind-try" | "--dev-bind"
            | "--dev-bind-try" => {
                let [source, at] = words.paths()?;
                let optional = words.name.ends_with("-try");
                Change::Bind { source, at, access: access(&words.name), optional }
            }
            "--bind-fd" | "--ro-bind-fd" => {
                let [number, at] = words.take()?;
                let source = self.fd_of(&number)?;
                Change::BindOpen { source, at: at.into(), access: access(&words.name) }
            }
            "--remount-ro" => Change::RemountReadOnly { at: words.path()? },
            "--overlay-src" => {
                self.sources.push(words.path()?);
                return Ok(None);
            }
            "--overlay" => {
                let [upper, work, at] = words.take()?;
                let upper = Upper::Directory { upper: upper.into(), work: work.into() };
                self.overlay(words, upper, at.into(), 1)?
            }
            "--tmp-overlay" => {
                let at = words.path()?;
                self.overlay(words, Upper::Memory, at, 1)?
            }
            "--ro-overlay" => {
                let at = words.path()?;
                self.overlay(words, Upper::None, at, 2)?
            }
            "--proc" => Change::Proc { at: words.path()? },
            "--dev" => Change::Dev { at: words.path()? },
            "--tmpfs" => {
                let (mode, size) = (self.perms.take().unwrap_or(0o755), self.size.take());
                Change::Tmpfs { at: words.path()?, mode, size }
            }
            "--mqueue" => Change::Mqueue { at: words.path()? },
            "--dir" => Change::Dir { at: words.path()?, mode: self.perms.take().unwrap_or(0o755) },
            "--file" => {
                let [number, at] = words.take()?;
                let mode = self.perms.take().unwrap_or(0o666);
                Change::File { from: self.fd_of(&number)?, at: at.into(), mode }
            }
            "--bind-data" | "--ro-bind-data" => {
                let [number, at] = words.take()?;
                let mode = self.perms.take().unwrap_or(0o600);
                let read_only = words.name.starts_with("--ro");
                Change::Data { from: self.fd_of(&number)?, at: at.into(), mode, read_only }
            }
            "--symlink" => {
                let [text, at] = words.paths()?;
                Change::Link { text, at }
            }
            "--chmod" => {
                let [mode, at] = words.take()?;
                Change::Mode { at: at.into(), mode: octal(&words.name, &mode)? }
            }
            "--hostname" => {
                let name = words.one()?;
                let changes = &self.line.sandbox.changes;
                let again = changes.iter().any(|change| matches!(change, Change::Hostname(_)));
                remark(&mut self.line.remarks, &words.name, again);
                Change::Hostname(name)
            }
            "--perms" => {
                let word = words.one()?;
                let mode = octal(&words.name, &word)?;
                if self.perms.replace(mode).is_some() {
                    return Err(LineError::TwiceForOne { option: words.name.clone() });
                }
                return Ok(None);
            }
            "--size" => {
                let bytes = size(&words.one()?)?;
                if self.size.replace(bytes).is_some() {
                    return Err(LineError::TwiceForOne { option: words.name.clone() });
                }
                return Ok(None);
            }
            _ => return Err(LineError::Unknown { option: words.name.clone() }),
        };
        Ok(Some(change))
    }

    fn overlay(
        &mut self,
        words: &Words<'_>,
        upper: Upper,
        at: PathBuf,
        least: usize,
    ) -> Result<Change, LineError> {
        if self.sources.len() < least {
            return Err(LineError::FewSources { option: words.name.clone(), least });
        }
        let mut layers = std::mem::take(&mut self.sources);
        layers.reverse();
        Ok(Change::Overlay { layers, upper, at })
    }

    fn fd(&mut self, words: &mut Words<'_>) -> Result<Arc<OwnedFd>, LineError> {
        let number = words.one()?;
        self.fd_of(&number)
    }

    fn fd_of(&mut self, number: &OsStr) -> Result<Arc<OwnedFd>, LineError> {
        let number = descriptor(number)?;
        let found = self.host.descriptor(number);
        found.map_err(|source| LineError::NoDescriptor { number, source })
    }
}

fn together(words: &Words<'_>, other: &'static str) -> LineError {
    LineError::Together { option: words.name.clone(), other }
}

fn remark(remarks: &mut Vec<Remark>, option: &str, again: bool) {
    if again {
        remarks.push(Remark { option: option.to_owned() });
    }
}

fn access(name: &str) -> Access {
    match name {
        "--ro-bind" | "--ro-bind-try" | "--ro-bind-fd" => Access::ReadOnly,
        "--dev-bind" | "--dev-bind-try" => Access::Devices,
        _ => Access::Write,
    }
}

fn set(
    env: &mut Vec<(OsString, OsString)>,
    name: OsString,
    value: OsString,
) -> Result<(), LineError> {
    if name.is_empty() || name.as_bytes().contains(&b'=') {
        return Err(LineError::Variable { name });
    }
    match env.iter_mut().find(|(known, _)| *known == name) {
        Some((_, old)) => *old = value,
        None => env.push((name, value)),
    }
    Ok(())
}

/// The bits that a name stands for, in either case, with `CAP_` or without, as libcap takes them.
fn capabilities(name: &OsStr) -> Result<u64, LineError> {
    let upper = name.to_string_lossy().to_ascii_uppercase();
    if upper == "ALL" {
        return Ok(u64::MAX);
    }
    let known = |known: &&str| **known == upper || known.strip_prefix("CAP_") == Some(&upper);
    let number = capability::NAMES.iter().position(known);
    number.map(|number| 1 << number).ok_or_else(|| LineError::Capability { name: name.to_owned() })
}

#[cfg(test)]
mod tests;

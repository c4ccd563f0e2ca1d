//! Landlock: what a program and all that it starts may do with files, TCP ports and the processes of
//! others. It takes no privilege where new privileges are forbidden.
//!
//! A [`Policy`] is data. What of it a kernel knows depends on the version of the kernel's interface
//! ([`Abi`]): 1 came with Linux 5.13, 2 with 5.19, 3 with 6.2, 4 with 6.7, 5 with 6.10, 6 with 6.12 and
//! 7 with 6.15.

use std::ffi::CString;
use std::io;
use std::ops::BitOr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use creel_base::hint::Hint;
use creel_sys::landlock::{self, Handled};
use creel_sys::program::{Beneath, Object as Place, Op, Slot};

use crate::error::SpawnError;
use crate::lower::Steps;

/// Defines a set of rights: each with its bit, its name and the version that it came with.
macro_rules! rights {
    ($(#[$about:meta])* $set:ident: $(
        $(#[$doc:meta])* $right:ident $bit:literal $name:literal $since:literal,
    )*) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $set(u64);

        impl $set {
            $($(#[$doc])* pub const $right: Self = Self(1 << $bit);)*
            /// All of them.
            pub const ALL: Self = Self($(1 << $bit)|*);
            const TABLE: &[Right] = &[$(Right { name: $name, bit: 1 << $bit, since: $since }),*];

            /// The right with a name: that of the kernel's constant, in small letters.
            #[must_use]
            pub fn named(name: &str) -> Option<Self> {
                Self::TABLE.iter().find(|right| right.name == name).map(|right| Self(right.bit))
            }

            /// Those that an interface has.
            #[must_use]
            pub fn known(abi: Abi) -> Self {
                let known = Self::TABLE.iter().filter(|right| right.since <= abi.0);
                Self(known.fold(0, |set, right| set | right.bit))
            }

            /// The names of those in the set.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                Self::TABLE.iter().filter(move |right| self.0 & right.bit != 0).map(|right| right.name)
            }

            /// The bits, as the kernel has them.
            #[must_use]
            pub const fn bits(self) -> u64 {
                self.0
            }

            /// Whether there is none in it.
            #[must_use]
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// Those that are in another set too.
            #[must_use]
            pub const fn within(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }

            fn fitted(self, abi: Abi, strictness: Strictness) -> Result<Self, LandlockError> {
                let unknown = |right: &&Right| right.since > abi.0 && self.0 & right.bit != 0;
                match Self::TABLE.iter().find(unknown) {
                    Some(right) if strictness == Strictness::Required => {
                        Err(LandlockError::Unknown { right: right.name, since: right.since, abi })
                    }
                    _ => Ok(self.within(Self::known(abi))),
                }
            }
        }

        impl BitOr for $set {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl FromIterator<Self> for $set {
            fn from_iter<I: IntoIterator<Item = Self>>(sets: I) -> Self {
                sets.into_iter().fold(Self::default(), Self::bitor)
            }
        }
    };
}

struct Right {
    name: &'static str,
    bit: u64,
    since: u32,
}

rights! {
    /// What can be done with files and directories (`LANDLOCK_ACCESS_FS_*`).
    Files:
    /// Executing a file.
    EXECUTE 0 "execute" 1,
    /// Opening a file for writing.
    WRITE_FILE 1 "write_file" 1,
    /// Opening a file for reading.
    READ_FILE 2 "read_file" 1,
    /// Reading or opening a directory.
    READ_DIR 3 "read_dir" 1,
    /// Removing or renaming an empty directory.
    REMOVE_DIR 4 "remove_dir" 1,
    /// Removing or renaming what is no directory.
    REMOVE_FILE 5 "remove_file" 1,
    /// Making or renaming a character device.
    MAKE_CHAR 6 "make_char" 1,
    /// Making or renaming a directory.
    MAKE_DIR 7 "make_dir" 1,
    /// Making, linking or renaming a file.
    MAKE_REG 8 "make_reg" 1,
    /// Making or renaming a socket.
    MAKE_SOCK 9 "make_sock" 1,
    /// Making or renaming a named pipe.
    MAKE_FIFO 10 "make_fifo" 1,
    /// Making or renaming a block device.
    MAKE_BLOCK 11 "make_block" 1,
    /// Making or renaming a symbolic link.
    MAKE_SYM 12 "make_sym" 1,
    /// Linking or renaming into another directory, which is never allowed where no rule says so.
    REFER 13 "refer" 2,
    /// Cutting a file.
    TRUNCATE 14 "truncate" 3,
    /// Most `ioctl` commands of devices.
    IOCTL_DEV 15 "ioctl_dev" 5,
}

rights! {
    /// What can be done with TCP ports (`LANDLOCK_ACCESS_NET_*`).
    Ports:
    /// Binding a socket to a port.
    BIND_TCP 0 "bind_tcp" 4,
    /// Connecting to a port, of whatever host.
    CONNECT_TCP 1 "connect_tcp" 4,
}

rights! {
    /// What is kept among the processes that the policy is laid on (`LANDLOCK_SCOPE_*`).
    Scopes:
    /// Connections to abstract Unix sockets.
    ABSTRACT_UNIX_SOCKET 0 "abstract_unix_socket" 6,
    /// Signals.
    SIGNAL 1 "signal" 6,
}

rights! {
    /// What the kernel's audit records of refusals (`LANDLOCK_RESTRICT_SELF_*`).
    Logging:
    /// Nothing until the next `execve`.
    SAME_EXEC_OFF 0 "log_same_exec_off" 7,
    /// What comes after it too.
    NEW_EXEC_ON 1 "log_new_exec_on" 7,
    /// Nothing of policies that are laid on top.
    SUBDOMAINS_OFF 2 "log_subdomains_off" 7,
}

impl Files {
    /// What is done with files themselves, not with directories.
    pub const OF_FILES: Self =
        Self(Self::EXECUTE.0 | Self::WRITE_FILE.0 | Self::READ_FILE.0 | 1 << 14 | 1 << 15);
    /// What changes nothing.
    pub const READ: Self = Self(Self::EXECUTE.0 | Self::READ_FILE.0 | Self::READ_DIR.0);
}

/// The version of the interface that a kernel has; zero stands for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Abi(u32);

impl Abi {
    /// A version.
    #[must_use]
    pub const fn new(version: u32) -> Self {
        Self(version)
    }

    /// That of this kernel.
    ///
    /// # Errors
    /// Fails as the call does, as where a filter keeps it back.
    pub fn of_kernel() -> Result<Self, LandlockError> {
        match landlock::version() {
            Ok(version) => Ok(Self(version)),
            Err(error) => match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
                Some(rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP) => Ok(Self(0)),
                _ => Err(LandlockError::Kernel(error)),
            },
        }
    }

    /// Its number.
    #[must_use]
    pub const fn version(self) -> u32 {
        self.0
    }
}

/// What happens where the kernel does not know all of a policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// Nothing is started.
    #[default]
    Required,
    /// What it does not know is left out; without Landlock, all of it.
    BestEffort,
}

/// What a rule is about.
#[derive(Clone, Debug)]
pub enum Object {
    /// An absolute path, looked up by the process after it has its root.
    Path(String),
    /// An open file or directory, for which `O_PATH` will do.
    Descriptor(Arc<OwnedFd>),
}

/// Access to a file, or to a directory and all below it.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What it is about.
    pub object: Object,
    /// What is allowed; for a file, what of it can be done with files.
    pub access: Files,
    /// Whether a path that is missing is passed over.
    pub optional: bool,
}

/// Access to a TCP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRule {
    /// The port.
    pub port: u16,
    /// What is allowed.
    pub access: Ports,
}

/// What is forbidden, and what is allowed all the same.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Forbidden wherever no rule allows it.
    pub files: Files,
    /// Likewise.
    pub ports: Ports,
    /// Kept among the processes that the policy is laid on.
    pub scopes: Scopes,
    /// What is recorded of refusals.
    pub logging: Logging,
    /// What is allowed with files.
    pub rules: Vec<Rule>,
    /// What is allowed with ports.
    pub port_rules: Vec<PortRule>,
    /// What happens where the kernel does not know all of this.
    pub strictness: Strictness,
}

/// Why a policy cannot be laid on a process.
#[derive(Debug, thiserror::Error)]
pub enum LandlockError {
    /// The kernel has no Landlock, or was started without.
    #[error("the kernel has no Landlock")]
    Missing,
    /// The kernel does not know a right.
    #[error(
        "the kernel does not know `{right}` of Landlock: it has version {} of the interface, and {since} is needed",
        abi.0
    )]
    Unknown {
        /// Its name.
        right: &'static str,
        /// The version that has it.
        since: u32,
        /// The kernel's.
        abi: Abi,
    },
    /// A rule allows what is not forbidden.
    #[error("a rule allows `{right}`, which the policy does not forbid")]
    NotForbidden {
        /// The name of the right.
        right: &'static str,
    },
    /// A path is not absolute.
    #[error("path `{path}` of a rule is not absolute")]
    Relative {
        /// The path.
        path: String,
    },
    /// The kernel's error.
    #[error("could not make the rules of Landlock")]
    Kernel(#[source] io::Error),
}

impl Hint for LandlockError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing => {
                Some("start the kernel with `landlock` in its parameter `lsm=`".into())
            }
            Self::Unknown { .. } => Some("ask for best effort, or take a newer kernel".into()),
            _ => None,
        }
    }
}

impl Policy {
    /// What of the policy the interface knows; nothing where no part of it forbids anything there.
    ///
    /// # Errors
    /// What is wrong whatever the kernel; with [`Strictness::Required`], what it does not know.
    pub fn fitted(&self, abi: Abi) -> Result<Option<Self>, LandlockError> {
        self.check()?;
        if abi < Abi(1) && self.strictness == Strictness::Required && self.forbids() {
            return Err(LandlockError::Missing);
        }
        let strictness = self.strictness;
        let mut fitted = self.clone();
        fitted.files = self.files.fitted(abi, strictness)?;
        fitted.ports = self.ports.fitted(abi, strictness)?;
        fitted.scopes = self.scopes.fitted(abi, strictness)?;
        fitted.logging = self.logging.fitted(abi, strictness)?;
        for rule in &mut fitted.rules {
            rule.access = rule.access.within(fitted.files);
        }
        for rule in &mut fitted.port_rules {
            rule.access = rule.access.within(fitted.ports);
        }
        fitted.rules.retain(|rule| !rule.access.is_empty());
        fitted.port_rules.retain(|rule| !rule.access.is_empty());
        Ok(fitted.forbids().then_some(fitted))
    }

    fn forbids(&self) -> bool {
        !(self.files.is_empty() && self.ports.is_empty() && self.scopes.is_empty())
    }

    fn check(&self) -> Result<(), LandlockError> {
        for Rule { object, access, .. } in &self.rules {
            if let Object::Path(path) = object
                && !path.starts_with('/')
            {
                return Err(LandlockError::Relative { path: path.clone() });
            }
            not_forbidden(Files(access.0 & !self.files.0).names())?;
        }
        let beyond = |rule: &PortRule| Ports(rule.access.0 & !self.ports.0);
        self.port_rules.iter().try_for_each(|rule| not_forbidden(beyond(rule).names()))
    }

    /// The set of rules in the kernel, with those of ports.
    fn create(&self) -> Result<OwnedFd, LandlockError> {
        let Self { files, ports, scopes, .. } = self;
        let handled = Handled { files: files.0, ports: ports.0, scopes: scopes.0 };
        let ruleset = landlock::create(handled).map_err(LandlockError::Kernel)?;
        for PortRule { port, access } in &self.port_rules {
            landlock::allow_port(&ruleset, access.0, *port).map_err(LandlockError::Kernel)?;
        }
        Ok(ruleset)
    }
}

fn not_forbidden(mut rights: impl Iterator<Item = &'static str>) -> Result<(), LandlockError> {
    rights.next().map_or(Ok(()), |right| Err(LandlockError::NotForbidden { right }))
}

/// A policy that is to be laid on a process, with what it is given for that.
pub(crate) struct Prepared {
    policy: Policy,
    ruleset: Slot,
    objects: Vec<Place>,
}

impl Prepared {
    /// Makes the set of rules; nothing where the kernel knows nothing of it.
    pub(crate) fn new(policy: &Policy, steps: &mut Steps) -> Result<Option<Self>, SpawnError> {
        let Some(policy) = policy.fitted(Abi::of_kernel()?)? else { return Ok(None) };
        let ruleset = steps.program.give(Arc::new(policy.create()?));
        let mut place = |rule: &Rule| match &rule.object {
            Object::Path(path) => Ok(Place::Path(CString::new(path.as_str())?)),
            Object::Descriptor(fd) => Ok(Place::Slot(steps.program.give(Arc::clone(fd)))),
        };
        let objects = policy.rules.iter().map(&mut place).collect::<Result<_, SpawnError>>()?;
        Ok(Some(Self { policy, ruleset, objects }))
    }

    /// Adds the rules of open files, which are closed before those of paths are added.
    pub(crate) fn lower_open(&mut self, steps: &mut Steps) {
        self.lower_rules(steps, |place| matches!(place, Place::Slot(_)));
    }

    /// Adds what rules are left and lays all on the process.
    pub(crate) fn lower(mut self, steps: &mut Steps) {
        self.lower_rules(steps, |_| true);
        let flags = self.policy.logging.0 as u32;
        steps.add("lay the rules of Landlock on the process", Op::Landlock(self.ruleset, flags));
    }

    /// The set of rules, which is kept until then.
    pub(crate) const fn slot(&self) -> Slot {
        self.ruleset
    }

    fn lower_rules(&mut self, steps: &mut Steps, chosen: impl Fn(&Place) -> bool) {
        let rules = std::mem::take(&mut self.policy.rules);
        let objects = std::mem::take(&mut self.objects);
        for (rule, object) in rules.into_iter().zip(objects) {
            if !chosen(&object) {
                self.policy.rules.push(rule);
                self.objects.push(object);
                continue;
            }
            let name = match &object {
                Place::Path(path) => format!("allow access to `{}`", path.to_string_lossy()),
                Place::Slot(_) => "allow access to an open file".into(),
            };
            let rule = Beneath {
                ruleset: self.ruleset,
                object,
                access: rule.access.0,
                of_files: Files::OF_FILES.0,
                optional: rule.optional,
            };
            steps.add(name, Op::Allow(rule));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy {
            files: Files::ALL,
            ports: Ports::ALL,
            scopes: Scopes::ALL,
            rules: vec![Rule {
                object: Object::Path("/usr".into()),
                access: Files::READ | Files::TRUNCATE,
                optional: false,
            }],
            port_rules: vec![PortRule { port: 443, access: Ports::CONNECT_TCP }],
            ..Policy::default()
        }
    }

    #[test]
    fn a_kernel_that_knows_less_is_told_or_made_do_with() {
        let whole = policy().fitted(Abi::new(7)).unwrap().unwrap();
        assert_eq!(whole.files, Files::ALL);
        let error = policy().fitted(Abi::new(2)).unwrap_err();
        assert!(matches!(error, LandlockError::Unknown { right: "truncate", since: 3, .. }));
        assert!(matches!(policy().fitted(Abi::new(0)), Err(LandlockError::Missing)));

        let lenient = Policy { strictness: Strictness::BestEffort, ..policy() };
        let old = lenient.fitted(Abi::new(2)).unwrap().unwrap();
        assert_eq!(old.files.bits(), (1 << 14) - 1);
        assert_eq!(old.rules[0].access, Files::READ);
        assert!(old.ports.is_empty() && old.port_rules.is_empty() && old.scopes.is_empty());
        assert!(lenient.fitted(Abi::new(0)).unwrap().is_none());
    }

    #[test]
    fn what_is_wrong_is_so_on_every_kernel() {
        let mut wrong = Policy { files: Files::READ, ..policy() };
        let error = wrong.fitted(Abi::new(7)).unwrap_err();
        assert!(matches!(error, LandlockError::NotForbidden { right: "truncate" }));
        wrong.files = Files::ALL;
        wrong.rules[0].object = Object::Path("usr".into());
        assert!(matches!(wrong.fitted(Abi::new(0)), Err(LandlockError::Relative { .. })));
        let wrong = Policy { ports: Ports::BIND_TCP, ..policy() };
        let error = wrong.fitted(Abi::new(7)).unwrap_err();
        assert!(matches!(error, LandlockError::NotForbidden { right: "connect_tcp" }));
    }

    #[test]
    fn rights_have_the_names_and_bits_of_the_kernel() {
        assert_eq!(Files::named("make_sym"), Some(Files::MAKE_SYM));
        assert_eq!(Files::named("MAKE_SYM"), None);
        assert_eq!(Files::known(Abi::new(1)).bits(), 0x1fff);
        assert_eq!(Files::known(Abi::new(5)), Files::ALL);
        assert_eq!((Files::ALL.bits(), Ports::ALL.bits(), Scopes::ALL.bits()), (0xffff, 3, 3));
        assert_eq!((Files::READ | Files::REFER).names().last(), Some("refer"));
    }
}

//! What the host permits, and what exactly forbids the rest.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

const EPERM: i32 = 1;
const EACCES: i32 = 13;
const EINVAL: i32 = 22;
const ENOSPC: i32 = 28;
const ENOSYS: i32 = 38;
const EUSERS: i32 = 87;

/// What forbids something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The kernel has no namespaces of that kind.
    NoSupport,
    /// `user.max_user_namespaces` is zero.
    NoUserNamespaces,
    /// As many namespaces as a limit (`user.max_*_namespaces`) allows are there, or 32 are nested.
    TooMany,
    /// AppArmor keeps users without a profile from them (Ubuntu 23.10 and later).
    AppArmor,
    /// Debian's `kernel.unprivileged_userns_clone` is zero.
    UnprivilegedClone,
    /// This process is confined by a system call filter, as in a container of Docker or Kubernetes.
    Filter,
    /// SELinux, or another security module, refuses.
    SecurityModule,
    /// The caller's root is not the root of its mounts (`chroot`), where no user namespace can be made.
    Chroot,
    /// Parts of `/proc` are covered here, so the kernel shows none that is not.
    CoveredProc,
    /// What is mounted is locked by the container that this runs in.
    LockedMounts,
    /// The user has no rights there.
    Privileges,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSupport => "the kernel lacks them",
            Self::NoUserNamespaces => "`user.max_user_namespaces` is 0",
            Self::TooMany => "a limit of `user.max_*_namespaces` or of nesting is reached",
            Self::AppArmor => "AppArmor forbids user namespaces to users",
            Self::UnprivilegedClone => "`kernel.unprivileged_userns_clone` is 0",
            Self::Filter => "a system call filter is in effect, as in a container",
            Self::SecurityModule => "a security module (SELinux, AppArmor) refuses",
            Self::Chroot => "the caller is in a `chroot`",
            Self::CoveredProc => "parts of `/proc` are covered, as in a container",
            Self::LockedMounts => "the mounts are locked, as in a container",
            Self::Privileges => "the caller lacks the right to",
        })
    }
}

impl Cause {
    /// What mends it.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::NoSupport => "use a kernel with CONFIG_USER_NS and the other namespaces",
            Self::NoUserNamespaces => "run `sudo sysctl user.max_user_namespaces=15000`",
            Self::TooMany => "raise the limits in `/proc/sys/user`, or nest less",
            Self::AppArmor => {
                "give the program an AppArmor profile with `userns,`, or run \
                 `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`"
            }
            Self::UnprivilegedClone => "run `sudo sysctl kernel.unprivileged_userns_clone=1`",
            Self::Filter => {
                "start the outer container with `--security-opt seccomp=unconfined`, or with a \
                 profile that lets through `clone3`, `unshare`, `mount` and their kind"
            }
            Self::SecurityModule => "look for the denial in the audit log (`ausearch -m avc`)",
            Self::Chroot => "start it outside of the `chroot`",
            Self::CoveredProc => {
                "bind `/proc` instead (`--ro-bind /proc /proc`), or start the outer container with \
                 `--security-opt systempaths=unconfined`"
            }
            Self::LockedMounts => "bind with the mounts below, or less of the host",
            Self::Privileges => "run it as root, or with a user namespace",
        }
    }
}

/// What the host says, read once; nothing here fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    /// `user.max_user_namespaces`, where there is one.
    pub most_users: Option<u64>,
    /// `kernel.unprivileged_userns_clone`, Debian's own.
    pub unprivileged_clone: Option<u64>,
    /// `kernel.apparmor_restrict_unprivileged_userns`.
    pub apparmor: Option<u64>,
    /// Whether this process has a system call filter.
    pub filtered: bool,
    /// Whether this process is root.
    pub root: bool,
    /// Whether the root is that of the first process's mounts, as far as that can be told.
    pub chroot: bool,
    /// Whether something is mounted below `/proc`.
    pub covered_proc: bool,
}

impl Host {
    /// Looks at the host.
    #[must_use]
    pub fn look() -> Self {
        let number = |path: &str| fs::read_to_string(path).ok()?.trim().parse().ok();
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            most_users: number("/proc/sys/user/max_user_namespaces"),
            unprivileged_clone: number("/proc/sys/kernel/unprivileged_userns_clone"),
            apparmor: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
            filtered: field(&status, "Seccomp:") == Some("2"),
            root: rustix::process::geteuid().is_root(),
            chroot: !mounts.lines().any(|line| line.split(' ').nth(4) == Some("/")),
            covered_proc: mounts.lines().any(covers_proc),
        }
    }

    /// What is likely to have made the kernel refuse new namespaces with this error.
    #[must_use]
    pub fn namespaces(&self, error: &io::Error) -> Option<Cause> {
        let number = error.raw_os_error()?;
        match number {
            EINVAL => Some(Cause::NoSupport),
            ENOSYS => Some(if self.filtered { Cause::Filter } else { Cause::NoSupport }),
            ENOSPC | EUSERS if self.most_users == Some(0) => Some(Cause::NoUserNamespaces),
            ENOSPC | EUSERS => Some(Cause::TooMany),
            EPERM | EACCES => Some(self.denied()),
            _ => None,
        }
    }

    fn denied(&self) -> Cause {
        if self.unprivileged_clone == Some(0) && !self.root {
            Cause::UnprivilegedClone
        } else if self.chroot {
            Cause::Chroot
        } else if self.filtered {
            Cause::Filter
        } else if self.apparmor.is_some_and(|value| value != 0) && !self.root {
            Cause::AppArmor
        } else {
            Cause::SecurityModule
        }
    }

    /// What is likely to have kept from an act of a process that is root in its namespace: AppArmor lets
    /// the namespace be made and takes its rights.
    #[must_use]
    pub fn act(&self, error: &io::Error, is_proc: bool) -> Option<Cause> {
        match error.raw_os_error()? {
            EPERM | EACCES if self.apparmor.is_some_and(|value| value != 0) && !self.root => {
                Some(Cause::AppArmor)
            }
            EPERM if is_proc && self.covered_proc => Some(Cause::CoveredProc),
            EPERM | ENOSYS if self.filtered => Some(Cause::Filter),
            _ => None,
        }
    }
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// Whether a line of mountinfo is of a mount below `/proc` (`mount_too_revealing` of the kernel).
fn covers_proc(line: &str) -> bool {
    let place = line.split(' ').nth(4).map(Path::new);
    place.is_some_and(|place| place.starts_with("/proc") && place != Path::new("/proc"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN: Host = Host {
        most_users: Some(1000),
        unprivileged_clone: None,
        apparmor: None,
        filtered: false,
        root: false,
        chroot: false,
        covered_proc: false,
    };

    #[test]
    fn the_cause_is_told_by_the_error_and_the_host() {
        let error = io::Error::from_raw_os_error;
        for (host, number, cause) in [
            (Host { unprivileged_clone: Some(0), ..OPEN }, EPERM, Cause::UnprivilegedClone),
            (Host { apparmor: Some(1), ..OPEN }, EACCES, Cause::AppArmor),
            (Host { filtered: true, apparmor: Some(1), ..OPEN }, EPERM, Cause::Filter),
            (Host { chroot: true, ..OPEN }, EPERM, Cause::Chroot),
            (Host { most_users: Some(0), ..OPEN }, ENOSPC, Cause::NoUserNamespaces),
            (OPEN, ENOSPC, Cause::TooMany),
            (OPEN, EINVAL, Cause::NoSupport),
            (OPEN, EPERM, Cause::SecurityModule),
        ] {
            assert_eq!(host.namespaces(&error(number)), Some(cause), "{host:?}");
        }
        assert_eq!(OPEN.namespaces(&error(12)), None);
        let covered = Host { covered_proc: true, ..OPEN };
        assert_eq!(covered.act(&error(EPERM), true), Some(Cause::CoveredProc));
        assert_eq!(covered.act(&error(EPERM), false), None);
    }

    #[test]
    fn mounts_below_proc_cover_it() {
        assert!(covers_proc("9 8 0:5 / /proc/sys ro - proc proc ro"));
        assert!(!covers_proc("9 8 0:5 / /proc rw - proc proc rw"));
        assert!(!covers_proc("9 8 0:5 / /process rw - ext4 x rw"));
    }
}

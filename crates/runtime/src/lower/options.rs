//! Mount options, as in `config.md`, "Linux mount options".

use creel_spawn::mount::{
    Change, Links, NO_ATIME, NO_DEVICES, NO_DIR_ATIME, NO_EXEC, NO_SUID, NO_SYMLINKS, READ_ONLY,
    STRICT_ATIME,
};
use creel_spawn::{Depth, Propagation};

/// What the options of a mount say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct MountOptions {
    /// Whether it is a bind mount, and whether with the mounts below.
    pub(super) bind: Option<Depth>,
    /// Attributes of the mount.
    pub(super) one: Change,
    /// Attributes of the mount and all below it.
    pub(super) all: Change,
    /// Propagation.
    pub(super) propagation: Option<(Propagation, Depth)>,
    /// Whether its files get other owners, and whether those of the mounts below do.
    pub(super) map: Option<Depth>,
    /// The ids that follow such an option (`uids=0-1-10;gids=0-1-10`).
    pub(super) ids: Option<String>,
    /// Whether a source that is a symbolic link is copied instead.
    pub(super) link_copied: bool,
    /// What is done with links at the end of both paths.
    pub(super) links: Links,
    /// Whether it changes what is mounted there already.
    pub(super) remount: bool,
    /// Whether what was in its place is copied into it.
    pub(super) copied: bool,
    /// What a file system of any type knows; nothing to a bind mount.
    pub(super) common: Vec<String>,
    /// What is left to the file system.
    pub(super) data: Vec<String>,
}

/// Access times are a number in these bits, and `relatime` is zero.
const ATIME: u32 = 0x70;
/// Stands for `relatime` in what is cleared.
const RELATIVE_ATIME: u32 = 0x40;

/// Attributes by name: what to set, what to clear.
const ATTRIBUTES: [(&str, u32, u32); 17] = [
    ("ro", READ_ONLY, 0),
    ("rw", 0, READ_ONLY),
    ("nosuid", NO_SUID, 0),
    ("suid", 0, NO_SUID),
    ("nodev", NO_DEVICES, 0),
    ("dev", 0, NO_DEVICES),
    ("noexec", NO_EXEC, 0),
    ("exec", 0, NO_EXEC),
    ("noatime", NO_ATIME, 0),
    ("atime", 0, NO_ATIME),
    ("strictatime", STRICT_ATIME, 0),
    ("nostrictatime", 0, STRICT_ATIME),
    ("relatime", 0, RELATIVE_ATIME),
    ("norelatime", STRICT_ATIME, 0),
    ("nodiratime", NO_DIR_ATIME, 0),
    ("diratime", 0, NO_DIR_ATIME),
    ("nosymfollow", NO_SYMLINKS, 0),
];

const PROPAGATIONS: [(&str, Propagation); 4] = [
    ("shared", Propagation::Shared),
    ("slave", Propagation::Slave),
    ("private", Propagation::Private),
    ("unbindable", Propagation::Unbindable),
];

/// Options that say how things are anyway, or that only `mount(2)` knows.
const WITHOUT_EFFECT: [&str; 8] =
    ["defaults", "async", "loud", "silent", "nolazytime", "noiversion", "iversion", "nomand"];
/// Options of all file systems (`fs/fs_context.c`).
const COMMON: [&str; 4] = ["sync", "dirsync", "lazytime", "mand"];

/// Options that are neither attributes nor propagation, and mean something.
const OTHERS: [&str; 11] = [
    "bind",
    "rbind",
    "symfollow",
    "rsymfollow",
    "idmap",
    "ridmap",
    "remount",
    "tmpcopyup",
    "copy-symlink",
    "src-nofollow",
    "dest-nofollow",
];

/// The names of all options that are not left to the file system.
pub(crate) fn names() -> Vec<String> {
    let attributes = ATTRIBUTES.iter().map(|(name, ..)| *name);
    let recursive = attributes.chain(PROPAGATIONS.iter().map(|(name, _)| *name));
    let plain = [&OTHERS[..], &WITHOUT_EFFECT, &COMMON].concat();
    let mut names: Vec<String> = plain.into_iter().map(String::from).collect();
    names.extend(recursive.flat_map(|name| [name.to_owned(), format!("r{name}")]));
    names.sort_unstable();
    names
}

impl MountOptions {
    /// Sorts options; what is none of the specification's is the file system's.
    pub(super) fn parse(options: &[String]) -> Self {
        let mut parsed = Self::default();
        for option in options {
            if !parsed.take(option) {
                parsed.data.push(option.clone());
            }
        }
        parsed
    }

    fn take(&mut self, option: &str) -> bool {
        match option {
            "bind" => self.bind = self.bind.or(Some(Depth::One)),
            "rbind" => self.bind = Some(Depth::All),
            "symfollow" => change(&mut self.one, 0, NO_SYMLINKS),
            "rsymfollow" => change(&mut self.all, 0, NO_SYMLINKS),
            "idmap" => self.map = self.map.or(Some(Depth::One)),
            "ridmap" => self.map = Some(Depth::All),
            "copy-symlink" => self.link_copied = true,
            "src-nofollow" => self.links.source_itself = true,
            "dest-nofollow" => self.links.target_itself = true,
            _ if option.starts_with("idmap=") || option.starts_with("ridmap=") => {
                let (name, ids) = option.split_once('=').unwrap_or_default();
                self.ids = Some(ids.into());
                return self.take(name);
            }
            "remount" => self.remount = true,
            "tmpcopyup" => self.copied = true,
            _ if COMMON.contains(&option) => self.common.push(option.into()),
            _ if WITHOUT_EFFECT.contains(&option) => {}
            _ => {
                return self.take_attribute(option) || self.take_propagation(option);
            }
        }
        true
    }

    fn take_attribute(&mut self, option: &str) -> bool {
        let find = |name: &str| ATTRIBUTES.into_iter().find(|(known, ..)| *known == name);
        // `ro` before `r` and `o`: no name of an attribute is another with an `r` before it.
        if let Some((_, set, clear)) = find(option) {
            change(&mut self.one, set, clear);
        } else if let Some((_, set, clear)) = option.strip_prefix('r').and_then(find) {
            change(&mut self.all, set, clear);
        } else {
            return false;
        }
        true
    }

    fn take_propagation(&mut self, option: &str) -> bool {
        let find = |name: &str| PROPAGATIONS.into_iter().find(|(known, _)| *known == name);
        self.propagation = if let Some((_, kind)) = find(option) {
            Some((kind, Depth::One))
        } else if let Some((_, kind)) = option.strip_prefix('r').and_then(find) {
            Some((kind, Depth::All))
        } else {
            return false;
        };
        true
    }
}

/// The last option about an attribute counts.
fn change(attributes: &mut Change, set: u32, clear: u32) {
    if (set | clear) & ATIME != 0 {
        attributes.set &= !ATIME;
        attributes.clear &= !ATIME;
    }
    attributes.set = attributes.set & !clear | set;
    attributes.clear = attributes.clear & !set | clear;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[&str]) -> MountOptions {
        MountOptions::parse(&options.iter().map(|option| (*option).into()).collect::<Vec<_>>())
    }

    #[test]
    fn every_name_is_taken() {
        for name in names() {
            assert!(MountOptions::default().take(&name), "{name}");
        }
    }

    #[test]
    fn the_last_of_two_opposites_counts() {
        let parsed = parse(&["ro", "nodev", "rw", "rro"]);
        assert_eq!(parsed.one, Change { set: NO_DEVICES, clear: READ_ONLY });
        assert_eq!(parsed.all, Change { set: READ_ONLY, clear: 0 });
    }

    #[test]
    fn there_is_one_kind_of_access_times() {
        for (options, set) in [
            (&["noatime", "relatime"][..], 0),
            (&["noatime", "strictatime"], STRICT_ATIME),
            (&["strictatime", "noatime", "nodiratime"], NO_ATIME | NO_DIR_ATIME),
            (&["noatime", "atime"], 0),
        ] {
            assert_eq!(parse(options).one.set, set, "{options:?}");
        }
    }

    #[test]
    fn recursion_and_propagation_are_told_apart() {
        for (options, bind, propagation) in [
            (&["bind", "rbind"][..], Some(Depth::All), None),
            (
                &["rbind", "bind", "rslave"],
                Some(Depth::All),
                Some((Propagation::Slave, Depth::All)),
            ),
            (&["shared"], None, Some((Propagation::Shared, Depth::One))),
        ] {
            let parsed = parse(options);
            assert_eq!((parsed.bind, parsed.propagation), (bind, propagation), "{options:?}");
        }
    }

    #[test]
    fn the_rest_is_the_file_systems() {
        let parsed = parse(&["size=1m", "defaults", "relatime", "mode=755", "rnonsense"]);
        assert_eq!(parsed.data, ["size=1m", "mode=755", "rnonsense"]);
    }
}

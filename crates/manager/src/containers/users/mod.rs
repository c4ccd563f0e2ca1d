//! Containers with a user namespace of their own.
//!
//! [`choose`] finds ids that no other container has, [`stage`] makes what the container is put together
//! from belong to them, [`passwd`] introduces the caller to the image.

mod choose;
mod error;
mod passwd;
mod stage;

use std::str::FromStr;

use creel_runtime::spec::{self, IdMapping, Linux, NamespaceKind, Spec};
use creel_spawn::IdMap;
use creel_spawn::userns::IdMaps;
use creel_store::{IdRange, Ids};
use serde::{Deserialize, Serialize};

use super::options::OptionError;
use super::record::Record;
use super::volume::{IDMAP, OWNED};

pub(super) use choose::Chosen;
pub(crate) use choose::{OWNERS, command as command_for_ids};
pub use error::UsersError;
pub(super) use stage::{Layers, Stage, outside, own_streams};

/// Whose ids a container has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Users {
    /// Root in the container is who runs creel: root, or as a user the namespace of that user.
    #[default]
    Host,
    /// A range of subordinate ids that no other container has.
    Auto {
        /// How many; as many as images need if not said.
        size: Option<u32>,
    },
    /// The caller has the same ids inside as outside.
    KeepId {
        /// Another user id inside.
        uid: Option<u32>,
        /// Another group id inside.
        gid: Option<u32>,
    },
}

/// The caller as a user of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The name outside.
    pub name: String,
    /// The user id inside.
    pub uid: u32,
    /// The group id inside.
    pub gid: u32,
    /// The home directory inside.
    pub home: String,
}

impl FromStr for Users {
    type Err = OptionError;

    /// Reads `host`, `auto[:size=N]` or `keep-id[:uid=N,gid=N]`.
    fn from_str(text: &str) -> Result<Self, OptionError> {
        let (kind, options) = text.split_once(':').unwrap_or((text, ""));
        let mut users = match kind {
            "" | "host" => Some(Self::Host),
            "auto" => Some(Self::Auto { size: None }),
            "keep-id" => Some(Self::KeepId { uid: None, gid: None }),
            _ => None,
        };
        for option in options.split(',').filter(|option| !option.is_empty()) {
            users = users.and_then(|users| users.with(option));
        }
        users.ok_or_else(|| OptionError::Users { text: text.to_owned() })
    }
}

impl Users {
    fn with(self, option: &str) -> Option<Self> {
        let (name, digits) = option.split_once('=')?;
        let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse())?;
        let number = number.ok().filter(|number| *number < u32::MAX)?;
        match (self, name) {
            (Self::Auto { .. }, "size") if number > 0 => Some(Self::Auto { size: Some(number) }),
            (Self::KeepId { gid, .. }, "uid") => Some(Self::KeepId { uid: Some(number), gid }),
            (Self::KeepId { uid, .. }, "gid") => Some(Self::KeepId { uid, gid: Some(number) }),
            _ => None,
        }
    }
}

/// The ids of a container among those of whoever runs it; `None` where they are the same.
pub(super) fn ids(record: &Record) -> Option<IdMaps> {
    let linux = record.spec.linux.as_ref()?;
    let maps = |list: &[IdMapping]| {
        let one = |map: &IdMapping| IdMap {
            inside: map.container_id,
            outside: map.host_id,
            count: map.size,
        };
        list.iter().map(one).collect()
    };
    let maps = IdMaps { uids: maps(&linux.uid_mappings), gids: maps(&linux.gid_mappings) };
    (!maps.uids.is_empty()).then_some(maps)
}

/// The same as the store has it.
pub(super) fn stored(maps: &IdMaps) -> Option<Ids> {
    let ranges = |list: &[IdMap]| {
        let one =
            |map: &IdMap| IdRange { inside: map.inside, outside: map.outside, count: map.count };
        list.iter().map(one).collect::<Vec<_>>()
    };
    Ids::new(&ranges(&maps.uids), &ranges(&maps.gids))
}

/// Gives a container ids of its own, if it is to have any.
pub(super) fn give(spec: &mut Spec, maps: Option<&IdMaps>) {
    let Some(maps) = maps else {
        // They are the same on both sides.
        let words = [IDMAP, OWNED];
        let mounts = spec.mounts.iter_mut();
        return mounts
            .for_each(|mount| mount.options.retain(|option| !words.contains(&option.as_str())));
    };
    let mappings = |list: &[IdMap]| {
        let one = |map: &IdMap| IdMapping {
            container_id: map.inside,
            host_id: map.outside,
            size: map.count,
        };
        list.iter().map(one).collect::<Vec<_>>()
    };
    // Terminals belong to a group that a small range may not have.
    for mount in spec.mounts.iter_mut().filter(|mount| mount.destination == "/dev/pts") {
        mount.options.retain(|option| {
            let group = option.strip_prefix("gid=").and_then(|group| group.parse().ok());
            group.is_none_or(|group| has(&maps.gids, group))
        });
    }
    let linux: &mut Linux = spec.linux.get_or_insert_default();
    linux.namespaces.push(spec::Namespace::new(NamespaceKind::User));
    linux.uid_mappings = mappings(&maps.uids);
    linux.gid_mappings = mappings(&maps.gids);
}

/// Tells whether an id is inside.
fn has(maps: &[IdMap], id: u32) -> bool {
    maps.iter().any(|map| id.checked_sub(map.inside).is_some_and(|offset| offset < map.count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_kinds_and_their_options() {
        let read = |text: &str| text.parse::<Users>().ok();
        assert_eq!((read(""), read("host")), (Some(Users::Host), Some(Users::Host)));
        assert_eq!(read("auto"), Some(Users::Auto { size: None }));
        assert_eq!(read("auto:size=5"), Some(Users::Auto { size: Some(5) }));
        assert_eq!(read("keep-id"), Some(Users::KeepId { uid: None, gid: None }));
        let both = Users::KeepId { uid: Some(0), gid: Some(7) };
        assert_eq!(read("keep-id:uid=0,gid=7"), Some(both));
        let wrong =
            ["odd", "host:size=1", "auto:size=0", "auto:size=", "auto:size=+1", "auto:uid=1"];
        for wrong in wrong.into_iter().chain(["keep-id:size=1", "keep-id:uid=4294967295"]) {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn ids_are_given_and_found_again() {
        let mut spec = creel_runtime::defaults::spec();
        let map = IdMap { inside: 0, outside: 500, count: 5 };
        let maps = IdMaps { uids: vec![map], gids: vec![map] };
        give(&mut spec, Some(&maps));
        let pts = spec.mounts.iter().find(|mount| mount.destination == "/dev/pts").unwrap();
        assert!(!pts.options.iter().any(|option| option.starts_with("gid=")), "{pts:?}");
        let linux = spec.linux.unwrap();
        assert!(linux.namespaces.contains(&spec::Namespace::new(NamespaceKind::User)));
        assert_eq!((linux.uid_mappings[0].host_id, linux.gid_mappings[0].size), (500, 5));
        assert_eq!(stored(&maps).unwrap().outside(4, 0), Some((504, 500)));
        assert!(has(&maps.uids, 4) && !has(&maps.uids, 5));
    }
}

//! Ids of a user namespace that this process is not in.
//!
//! Owners stand in files as ids of this process's namespace, and in trees as those inside the other.
//! So do the ids in two kinds of attributes: capabilities say whose root they are for
//! (`struct vfs_ns_cap_data` of `linux/capability.h`), access lists name users and groups
//! (`linux/posix_acl_xattr.h`).

use core::fmt::Write as _;
use std::borrow::Cow;

use creel_base::digest::ObjectId;

/// What the kernel shows for an id that is not mapped (`/proc/sys/kernel/overflowuid`).
const OVERFLOW: u32 = 65534;
/// Most ranges of a map.
const RANGES: usize = 3;
const CAPABILITY: &[u8] = b"security.capability";
const ACLS: [&[u8]; 2] = [b"system.posix_acl_access", b"system.posix_acl_default"];
/// `VFS_CAP_REVISION_MASK`, `VFS_CAP_REVISION_2` and `VFS_CAP_REVISION_3`.
const REVISION: u32 = 0xff00_0000;
const REVISION_2: u32 = 0x0200_0000;
const REVISION_3: u32 = 0x0300_0000;
/// Bytes of capabilities before the id of a root.
const CAPABILITY_SIZE: usize = 20;
/// `ACL_USER` and `ACL_GROUP`; entries of other kinds have no id.
const ACL_USER: [u8; 2] = 2u16.to_le_bytes();
const ACL_GROUP: [u8; 2] = 8u16.to_le_bytes();
/// Bytes of an access list's version, and of an entry, the last four of which are its id.
const ACL_HEADER: usize = 4;
const ACL_ENTRY: usize = 8;

/// Consecutive ids, as many inside as outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct IdRange {
    /// The first one in the namespace.
    pub inside: u32,
    /// The first one in this process's namespace.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// How the ids of a user namespace lie among those of this process's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ids {
    users: [IdRange; RANGES],
    groups: [IdRange; RANGES],
}

/// From where to where an id is translated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

impl Ids {
    /// Ids by at most three ranges of users and of groups; `None` if there are more.
    #[must_use]
    pub fn new(users: &[IdRange], groups: &[IdRange]) -> Option<Self> {
        let mut ids = Self::default();
        for (to, from) in [(&mut ids.users, users), (&mut ids.groups, groups)] {
            to.get_mut(..from.len())?.copy_from_slice(from);
        }
        Some(ids)
    }

    /// The owner outside of what a user and a group inside own; `None` where they are not mapped.
    #[must_use]
    pub fn outside(&self, user: u32, group: u32) -> Option<(u32, u32)> {
        Some((find(&self.users, user, Way::Out)?, find(&self.groups, group, Way::Out)?))
    }

    /// The owner inside of what belongs to an owner outside, as the kernel would show it there.
    #[must_use]
    pub fn inside(&self, user: u32, group: u32) -> (u32, u32) {
        let one = |ranges, id| find(ranges, id, Way::In).unwrap_or(OVERFLOW);
        (one(&self.users, user), one(&self.groups, group))
    }

    /// An attribute's value for a file outside; `None` where an id in it is not mapped.
    pub(crate) fn attribute_outside<'v>(
        &self,
        name: &[u8],
        value: &'v [u8],
    ) -> Option<Cow<'v, [u8]>> {
        self.attribute(name, value, Way::Out)
    }

    /// An attribute's value as it is inside; `None` where it means nothing there.
    pub(crate) fn attribute_inside<'v>(
        &self,
        name: &[u8],
        value: &'v [u8],
    ) -> Option<Cow<'v, [u8]>> {
        self.attribute(name, value, Way::In)
    }

    /// A name for them, of 32 digits, that others have with no relevant probability.
    pub(crate) fn name(&self) -> String {
        let mut text = String::new();
        for range in self.users.iter().chain(&self.groups) {
            // Writing to a string does not fail.
            let _ = write!(text, "{} {} {},", range.inside, range.outside, range.count);
        }
        let mut name = ObjectId::of(text.as_bytes()).hex();
        name.truncate(32);
        name
    }

    fn attribute<'v>(&self, name: &[u8], value: &'v [u8], way: Way) -> Option<Cow<'v, [u8]>> {
        if name == CAPABILITY {
            return self.capability(value, way).map(Cow::Owned);
        }
        if ACLS.contains(&name) {
            return self.access_list(value, way).map(Cow::Owned);
        }
        Some(Cow::Borrowed(value))
    }

    /// Those without a root are for root: of the machine, and in trees of any container.
    fn capability(&self, value: &[u8], way: Way) -> Option<Vec<u8>> {
        let magic = value.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))?;
        let rest = value.get(4..CAPABILITY_SIZE)?;
        let root = match magic & REVISION {
            REVISION_2 => 0,
            REVISION_3 => {
                value.get(CAPABILITY_SIZE..)?.first_chunk().map(|b| u32::from_le_bytes(*b))?
            }
            _ => return Some(value.to_vec()),
        };
        let root = find(&self.users, root, way)?;
        let revision = if root == 0 && way == Way::In { REVISION_2 } else { REVISION_3 };
        let mut made = ((magic & !REVISION) | revision).to_le_bytes().to_vec();
        made.extend(rest);
        if revision == REVISION_3 {
            made.extend(root.to_le_bytes());
        }
        Some(made)
    }

    fn access_list(&self, value: &[u8], way: Way) -> Option<Vec<u8>> {
        let mut made = value.to_vec();
        for entry in made.get_mut(ACL_HEADER..)?.chunks_exact_mut(ACL_ENTRY) {
            let (kind, id) = (entry.first_chunk::<2>().copied()?, entry.last_chunk_mut::<4>()?);
            let ranges = match kind {
                ACL_USER => &self.users,
                ACL_GROUP => &self.groups,
                _ => continue,
            };
            *id = find(ranges, u32::from_le_bytes(*id), way)?.to_le_bytes();
        }
        Some(made)
    }
}

fn find(ranges: &[IdRange], id: u32, way: Way) -> Option<u32> {
    ranges.iter().find_map(|range| {
        let (from, to) = match way {
            Way::In => (range.outside, range.inside),
            Way::Out => (range.inside, range.outside),
        };
        let offset = id.checked_sub(from).filter(|offset| *offset < range.count)?;
        to.checked_add(offset)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> Ids {
        let range = |inside, outside, count| IdRange { inside, outside, count };
        let users = [range(0, 1, 1000), range(1000, 0, 1), range(1001, 1001, 64536)];
        Ids::new(&users, &[range(0, 5000, 10)]).unwrap()
    }

    #[test]
    fn owners_are_translated_both_ways() {
        let ids = ids();
        for (inside, outside) in [(0, 1), (999, 1000), (1000, 0), (1001, 1001), (65536, 65536)] {
            assert_eq!(ids.outside(inside, 9), Some((outside, 5009)), "{inside}");
            assert_eq!(ids.inside(outside, 5009), (inside, 9), "{outside}");
        }
        assert_eq!((ids.outside(65537, 0), ids.outside(0, 10)), (None, None));
        assert_eq!(ids.inside(65537, 4999), (OVERFLOW, OVERFLOW));
        assert_eq!(Ids::new(&[IdRange::default(); 4], &[]), None);
        assert_ne!(ids.name(), Ids::default().name());
    }

    #[test]
    fn capabilities_are_for_the_root_they_name() {
        let with = |revision: u32, root: &[u8]| {
            [&(revision | 1).to_le_bytes()[..], &[7; 16], root].concat()
        };
        let plain = with(REVISION_2, &[]);
        let out = ids().attribute_outside(CAPABILITY, &plain).unwrap();
        assert_eq!(*out, with(REVISION_3, &[1, 0, 0, 0]));
        assert_eq!(*ids().attribute_inside(CAPABILITY, &out).unwrap(), plain);
        let other = with(REVISION_3, &[0, 0, 0, 0]);
        assert_eq!(
            *ids().attribute_inside(CAPABILITY, &other).unwrap(),
            with(REVISION_3, &[232, 3, 0, 0])
        );
        for wrong in [&plain[..3], &plain[..19], &with(REVISION_3, &[1, 0])] {
            assert_eq!(ids().attribute_inside(CAPABILITY, wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn access_lists_name_others() {
        let list = |user: u8, group: u8| {
            let entries = [[1, 0, 6, 0, 255, 255, 255, 255], [2, 0, 4, 0, user, 0, 0, 0]];
            [&[2, 0, 0, 0][..], &entries.concat(), &[8, 0, 4, 0, group, 0x13, 0, 0]].concat()
        };
        let inside = ids().attribute_inside(ACLS[0], &list(1, 0x88)).unwrap().into_owned();
        assert_eq!(inside[16..20], [0, 0, 0, 0]);
        assert_eq!(inside[24..28], [0, 0, 0, 0]);
        assert_eq!(*ids().attribute_outside(ACLS[0], &inside).unwrap(), list(1, 0x88));
        assert_eq!(ids().attribute_inside(ACLS[1], &list(1, 0x99)), None);
        assert_eq!(*ids().attribute_inside(b"user.x", b"y").unwrap(), *b"y");
    }
}

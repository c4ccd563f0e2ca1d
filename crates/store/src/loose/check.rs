//! Checking checkouts against their listings.

use creel_base::digest::ObjectId;
use creel_base::path::Dir;
use creel_codec::erofs::OverlayMarks;
use creel_codec::tree::{Entry, Kind, Meta, Tree, Xattr};

use super::{BOTH, marks};
use crate::checkout::{Owners, is_portable};
use crate::damage::unless_damaged;
use crate::error::Result;
use crate::fsck::{Difference, Problem};
use crate::ids::Ids;
use crate::scan::{Origin, scan};
use crate::store::Store;

impl Store {
    /// Compares the checkouts of a tree with its listing, contents included.
    pub(crate) fn check_checkouts(&self, id: &ObjectId, problems: &mut Vec<Problem>) -> Result<()> {
        let Some(tree) = unless_damaged(self.tree(id))? else {
            problems.push(Problem::Tree(*id));
            return Ok(());
        };
        let mut none = true;
        let mut check = |dir: &Dir, owners| -> Result<()> {
            let found = scan(dir, Origin::Upper(marks()), Owners::AsInTree)?;
            let differences = Comparison { tree: &tree, found: &found, owners }.run();
            problems.extend(differences.into_iter().map(|(path, what)| Problem::File {
                tree: *id,
                path: path.to_vec(),
                what,
            }));
            Ok(())
        };
        for owners in BOTH {
            let Some(dir) = self.open_checkout(id, owners)? else { continue };
            none = false;
            check(&dir, owners)?;
        }
        for dir in self.open_copies(id)? {
            // Which ids they are for is not known here.
            check(&dir, Owners::Mapped(Ids::default()))?;
        }
        if none {
            problems.push(Problem::MissingCheckout(*id));
        }
        Ok(())
    }
}

/// A tree, and what was found in a checkout of it.
struct Comparison<'a> {
    tree: &'a Tree,
    found: &'a Tree,
    owners: Owners,
}

impl<'a> Comparison<'a> {
    fn run(&self) -> Vec<(&'a [u8], Difference)> {
        let mut differences = Vec::new();
        for (number, entry) in self.tree.entries.iter().enumerate() {
            if let Some(difference) = self.entry(number, entry) {
                differences.push((&*entry.path, difference));
            }
        }
        for entry in &self.found.entries {
            let expected = self.tree.get(&entry.path).map(|entry| &entry.kind);
            if expected.is_none_or(|kind| matches!(kind, Kind::LowerLink { .. })) {
                differences.push((&*entry.path, Difference::Extra));
            }
        }
        differences
    }

    fn entry(&self, number: usize, entry: &Entry) -> Option<Difference> {
        let inode = self.tree.inode(number)?;
        let at = match (self.found.find(&entry.path), &inode.kind) {
            (_, Kind::LowerLink { .. } | Kind::Socket) => return None,
            // A user has no device nodes, and neither has a user namespace.
            (None, Kind::CharDevice { .. } | Kind::BlockDevice { .. })
                if self.owners == Owners::Caller || marks() == OverlayMarks::User =>
            {
                return None;
            }
            (None, _) => return Some(Difference::Missing),
            (Some(at), _) => at,
        };
        let found = self.found.inode(at)?;
        if !same_kind(&inode.kind, &found.kind) {
            return Some(Difference::Content);
        }
        let linked = match entry.kind {
            Kind::HardLink { entry } => self.is_linked(at, entry as usize),
            _ => true,
        };
        let same = linked
            && (matches!(self.owners, Owners::Mapped(_)) || self.same_meta(inode, &found.meta));
        (!same).then_some(Difference::Metadata)
    }

    /// Tells whether what was found at a name is also at the name of entry `first`.
    fn is_linked(&self, at: usize, first: usize) -> bool {
        let first = self.tree.entries.get(first).and_then(|first| self.found.find(&first.path));
        first.is_some_and(|first| self.found.inode_index(first) == self.found.inode_index(at))
    }

    fn same_meta(&self, expected: &Entry, found: &Meta) -> bool {
        let meta = &expected.meta;
        // Linux gives symbolic links no mode.
        let mode = matches!(expected.kind, Kind::Symlink { .. }) || meta.mode == found.mode;
        let owned = self.owners == Owners::Caller || (meta.uid, meta.gid) == (found.uid, found.gid);
        let times = same_time((meta.mtime_s, meta.mtime_ns), (found.mtime_s, found.mtime_ns));
        let portable = |xattr: &&Xattr| is_portable(&xattr.name, &expected.kind);
        let xattrs = meta.xattrs.iter().filter(portable).eq(found.xattrs.iter().filter(portable));
        !expected.kind.has_meta() || mode && owned && times && xattrs
    }
}

/// Ends of what file systems hold of time, in seconds since 1970: ext4, XFS and others before 1901
/// and after 2038, ext4 with large inodes after 2446, XFS with `bigtime` after 2486
/// (`s_time_min` and `s_time_max` in `fs/ext4/super.c` and `fs/xfs/xfs_super.c`, Linux 6.18).
const EARLIEST: [i64; 1] = [-(1 << 31)];
const LATEST: [i64; 3] = [(1 << 31) - 1, (1 << 34) - 1 - (1 << 31), 16_299_260_424];

/// Tells whether a file that was given a time has it, as far as its file system can hold it: the
/// kernel gives it the nearest whole second else (`timestamp_truncate` in `fs/inode.c`).
fn same_time(given: (i64, u32), found: (i64, u32)) -> bool {
    let early = given.0 <= found.0 && EARLIEST.contains(&found.0);
    let late = given.0 >= found.0 && LATEST.contains(&found.0);
    given == found || found.1 == 0 && (early || late)
}

/// Tells whether two inodes are the same but for their metadata. Whether a directory was implied
/// does not show.
fn same_kind(expected: &Kind, found: &Kind) -> bool {
    match (expected, found) {
        (Kind::Directory { opaque, .. }, Kind::Directory { opaque: other, .. }) => opaque == other,
        _ => expected == found,
    }
}

#[cfg(test)]
mod tests {
    use super::same_time;

    #[test]
    fn a_time_out_of_range_may_have_become_the_nearest() {
        for (given, found) in [(-12_345_678_901, -(1 << 31)), (99_999_999_999, 15_032_385_535)] {
            assert!(same_time((given, 5), (given, 5)));
            assert!(same_time((given, 5), (found, 0)));
            assert!(!same_time((given, 5), (found, 5)) && !same_time((given, 5), (found + 1, 0)));
            assert!(!same_time((found, 0), (given, 0)));
        }
        assert!(same_time((4_000_000_000, 0), ((1 << 31) - 1, 0)));
        assert!(!same_time((1_600_000_000, 1), (1_600_000_000, 0)));
    }
}

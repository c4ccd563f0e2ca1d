//! What differs between two trees, in the words of a person.

use creel_codec::tree::{Change, Entry, Kind, Tree, diff, path};
use serde::Serialize;

use super::PathText;

/// What happened to a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// Only the second tree has it.
    Added,
    /// Both have it.
    Changed,
    /// Only the first tree has it. What was below is not named again.
    Deleted,
}

/// What of a changed file is different.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Aspect {
    /// What it is.
    Type,
    /// The bytes of a file.
    Content,
    /// Where a symbolic link points.
    Target,
    /// Major or minor number.
    Device,
    /// Permissions, set-id and sticky bits.
    Mode,
    /// User or group.
    Owner,
    /// Time of the last modification.
    Time,
    /// Extended attributes.
    Xattrs,
    /// Which other names the file has.
    Links,
}

/// One name that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What happened to it.
    pub change: ChangeKind,
    /// Its path, `/` in front.
    #[serde(flatten)]
    pub path: PathText,
    /// What is different; empty unless it changed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub what: Vec<Aspect>,
    /// Its path in bytes, for output as it is.
    #[serde(skip)]
    pub bytes: Vec<u8>,
}

/// Lists what differs between two trees, in the order of their paths.
pub fn compare(before: &Tree, after: &Tree) -> Vec<Difference> {
    let mut gone: Option<&[u8]> = None;
    let mut found = Vec::new();
    for change in diff(before, after) {
        let (change, entry, what) = match change {
            Change::Added(index) => (ChangeKind::Added, after.entries.get(index), Vec::new()),
            Change::Changed(old, new) => {
                let what = aspects(before.inode(old), after.inode(new));
                (ChangeKind::Changed, after.entries.get(new), what)
            }
            Change::Removed(index) => (ChangeKind::Deleted, before.entries.get(index), Vec::new()),
        };
        let Some(entry) = entry else { continue };
        if change == ChangeKind::Deleted {
            if gone.is_some_and(|gone| path::is_below(&entry.path, gone)) {
                continue;
            }
            gone = Some(&entry.path);
        }
        let bytes = [b"/", &*entry.path].concat();
        found.push(Difference { change, path: bytes.as_slice().into(), what, bytes });
    }
    found
}

fn aspects(before: Option<&Entry>, after: Option<&Entry>) -> Vec<Aspect> {
    let (Some(a), Some(b)) = (before, after) else { return Vec::new() };
    let mut what = Vec::new();
    what.extend((a.kind != b.kind).then(|| kind_aspect(&a.kind, &b.kind)));
    let (x, y) = (&a.meta, &b.meta);
    for (differs, aspect) in [
        (x.mode != y.mode, Aspect::Mode),
        ((x.uid, x.gid) != (y.uid, y.gid), Aspect::Owner),
        ((x.mtime_s, x.mtime_ns) != (y.mtime_s, y.mtime_ns), Aspect::Time),
        (x.xattrs != y.xattrs, Aspect::Xattrs),
    ] {
        what.extend(differs.then_some(aspect));
    }
    // The inodes are equal, so the names are not.
    if what.is_empty() { vec![Aspect::Links] } else { what }
}

fn kind_aspect(a: &Kind, b: &Kind) -> Aspect {
    if core::mem::discriminant(a) != core::mem::discriminant(b) {
        return Aspect::Type;
    }
    match a {
        Kind::File { .. } => Aspect::Content,
        Kind::Symlink { .. } => Aspect::Target,
        Kind::CharDevice { .. } | Kind::BlockDevice { .. } => Aspect::Device,
        _ => Aspect::Type,
    }
}

#[cfg(test)]
mod tests {
    use creel_base::digest::ObjectId;
    use creel_codec::tree::Meta;

    use super::*;

    fn tree(files: &[(&str, &[u8], u16)]) -> Tree {
        let directory = Kind::Directory { opaque: false, implied: false };
        let root = Entry { path: Box::default(), meta: Meta::default(), kind: directory.clone() };
        let mut entries = vec![root];
        for (path, content, mode) in files {
            let meta = Meta { mode: *mode, ..Meta::default() };
            let object = ObjectId::of(content);
            let kind = match path.ends_with('/') {
                true => directory.clone(),
                false => Kind::File { size: content.len() as u64, object },
            };
            entries.push(Entry { path: path.trim_end_matches('/').as_bytes().into(), meta, kind });
        }
        Tree::from_unsorted(entries).unwrap()
    }

    #[test]
    fn names_what_changed_and_a_deleted_directory_once() {
        let before = tree(&[("a", b"1", 0o644), ("d/", b"", 0), ("d/x", b"", 0), ("e", b"", 0)]);
        let after = tree(&[("a", b"2", 0o600), ("e/", b"", 0), ("n", b"", 0)]);
        let found: Vec<_> = compare(&before, &after)
            .into_iter()
            .map(|difference| (difference.change, difference.path.path, difference.what))
            .collect();
        let expected = [
            (ChangeKind::Changed, "/a", vec![Aspect::Content, Aspect::Mode]),
            (ChangeKind::Deleted, "/d", vec![]),
            (ChangeKind::Changed, "/e", vec![Aspect::Type]),
            (ChangeKind::Added, "/n", vec![]),
        ];
        assert_eq!(found, expected.map(|(change, path, what)| (change, path.to_owned(), what)));
        assert_eq!(compare(&after, &after), []);
    }
}

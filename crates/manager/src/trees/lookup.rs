//! Following a path in a tree, as the kernel would with the tree as its root.

use creel_codec::tree::{Kind, Tree, path};

use super::TreesError;

/// Symbolic links followed in one path (`MAXSYMLINKS` in `include/linux/namei.h`).
const MAX_LINKS: usize = 40;

/// Returns the index of the entry that a path leads to, symbolic links followed, the last too.
///
/// Links never lead out: an absolute one begins at the tree's root, and `..` of the root is the
/// root.
///
/// # Errors
///
/// [`TreesError::NoFile`], [`TreesError::NotADirectory`] and [`TreesError::Loop`].
pub fn lookup(tree: &Tree, wanted: &[u8]) -> Result<usize, TreesError> {
    let mut walk = Walk { tree, at: Vec::new(), todo: Vec::new(), links: 0 };
    walk.push(wanted);
    while let Some(name) = walk.todo.pop() {
        walk.step(&name, wanted)?;
    }
    let end = tree.find(&walk.at).ok_or_else(|| TreesError::NoFile { path: walk.at.clone() })?;
    // `file/` and `file/.` ask for a directory.
    if (wanted.ends_with(b"/") || wanted.ends_with(b"/.")) && !is_directory(tree, end) {
        return Err(TreesError::NotADirectory { path: walk.at });
    }
    Ok(end)
}

fn is_directory(tree: &Tree, index: usize) -> bool {
    tree.entries.get(index).is_some_and(|entry| entry.kind.is_directory())
}

/// A path followed half-way.
struct Walk<'a> {
    tree: &'a Tree,
    /// The directory reached.
    at: Vec<u8>,
    /// The components still to go, the next one last.
    todo: Vec<Vec<u8>>,
    links: usize,
}

impl Walk<'_> {
    fn push(&mut self, path: &[u8]) {
        let parts = path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
        let from = self.todo.len();
        self.todo.extend(parts.map(<[u8]>::to_vec));
        if let Some(new) = self.todo.get_mut(from..) {
            new.reverse();
        }
    }

    fn step(&mut self, name: &[u8], wanted: &[u8]) -> Result<(), TreesError> {
        let here = self.tree.find(&self.at);
        if !here.is_some_and(|here| is_directory(self.tree, here)) {
            return Err(TreesError::NotADirectory { path: self.at.clone() });
        }
        if name == b".." {
            let above = path::parent(&self.at).unwrap_or_default().len();
            self.at.truncate(above);
            return Ok(());
        }
        let mut next = self.at.clone();
        if !next.is_empty() {
            next.push(b'/');
        }
        next.extend_from_slice(name);
        let found = self.tree.find(&next).and_then(|index| self.tree.inode(index));
        let Some(entry) = found else { return Err(TreesError::NoFile { path: next }) };
        let Kind::Symlink { target } = &entry.kind else {
            self.at = next;
            return Ok(());
        };
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(TreesError::Loop { path: wanted.to_vec(), limit: MAX_LINKS });
        }
        if target.starts_with(b"/") {
            self.at.clear();
        }
        self.push(target);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use creel_codec::tree::{Entry, Meta};

    use super::*;

    fn tree() -> Tree {
        let directory = || Kind::Directory { opaque: false, implied: false };
        let link = |target: &[u8]| Kind::Symlink { target: target.into() };
        let file = || Kind::File { size: 0, object: creel_base::digest::ObjectId::of(b"") };
        let entries = [
            (&b""[..], directory()),
            (b"bin", link(b"usr/bin")),
            (b"loop", link(b"/loop")),
            (b"out", link(b"../../../etc/../usr/bin/sh")),
            (b"self", link(b"/")),
            (b"usr", directory()),
            (b"usr/bin", directory()),
            (b"usr/bin/awk", link(b"/bin/./sh")),
            (b"usr/bin/sh", file()),
        ];
        let entry =
            |(path, kind): (&[u8], Kind)| Entry { path: path.into(), meta: Meta::default(), kind };
        Tree::from_unsorted(entries.map(entry).into()).unwrap()
    }

    #[test]
    fn links_lead_on_inside_the_tree() {
        let tree = tree();
        for (wanted, found) in [
            ("", ""),
            ("/", ""),
            ("..", ""),
            ("bin/sh", "usr/bin/sh"),
            ("/bin/../bin/awk", "usr/bin/sh"),
            ("self/self/bin/", "usr/bin"),
            ("usr/../../usr/bin/sh", "usr/bin/sh"),
        ] {
            let index = lookup(&tree, wanted.as_bytes()).unwrap();
            assert_eq!(&*tree.entries[index].path, found.as_bytes(), "{wanted}");
        }
    }

    #[test]
    fn says_where_a_path_ends() {
        let tree = tree();
        let at = |wanted: &str| lookup(&tree, wanted.as_bytes()).unwrap_err().to_string();
        assert_eq!(at("bin/no"), "no file `usr/bin/no` in the tree");
        assert_eq!(at("out"), "no file `etc` in the tree");
        assert_eq!(at("bin/sh/x"), "`usr/bin/sh` is not a directory");
        assert_eq!(at("bin/sh/.."), "`usr/bin/sh` is not a directory");
        assert_eq!(at("bin/sh/"), "`usr/bin/sh` is not a directory");
        assert_eq!(at("loop"), "`loop` leads through more than 40 symbolic links");
    }
}

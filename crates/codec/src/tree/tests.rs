use creel_base::digest::ObjectId;

use super::*;

fn dir() -> Kind {
    Kind::Directory { opaque: false, implied: false }
}

fn file(text: &str) -> Kind {
    Kind::File { size: text.len() as u64, object: ObjectId::of(text.as_bytes()) }
}

fn link(path: &str) -> Kind {
    Kind::LowerLink { path: path.as_bytes().into() }
}

fn tree(entries: &[(&str, Kind)]) -> Tree {
    let root = ("", dir());
    let all = core::iter::once(&root).chain(entries);
    let entry = |(path, kind): &(&str, Kind)| Entry {
        path: path.as_bytes().into(),
        meta: Meta::default(),
        kind: kind.clone(),
    };
    Tree::from_unsorted(all.map(entry).collect()).unwrap()
}

#[test]
fn merges_as_overlayfs_does() {
    let base = tree(&[
        ("d", dir()),
        ("d/a", file("a")),
        ("f", file("f")),
        ("g", dir()),
        ("g/x", Kind::Fifo),
    ]);
    let opaque = Kind::Directory { opaque: true, implied: false };
    for (what, upper, expected) in [
        ("nothing", tree(&[]), base.clone()),
        (
            "whiteout",
            tree(&[("f", Kind::Whiteout), ("g", Kind::Whiteout)]),
            tree(&[("d", dir()), ("d/a", file("a"))]),
        ),
        ("dangling whiteout", tree(&[("nope", Kind::Whiteout)]), base.clone()),
        (
            "opaque",
            tree(&[("g", opaque.clone()), ("g/y", Kind::Fifo), ("d", Kind::Whiteout)]),
            tree(&[("f", file("f")), ("g", dir()), ("g/y", Kind::Fifo)]),
        ),
        (
            "file over directory",
            tree(&[("d", file("new")), ("g", Kind::Whiteout)]),
            tree(&[("d", file("new")), ("f", file("f"))]),
        ),
        (
            "directory over file",
            tree(&[("f", dir()), ("f/k", Kind::Fifo), ("g", Kind::Whiteout)]),
            tree(&[("d", dir()), ("d/a", file("a")), ("f", dir()), ("f/k", Kind::Fifo)]),
        ),
    ] {
        assert_eq!(merge(&[&base, &upper]).unwrap(), expected, "{what}");
    }
}

#[test]
fn keeps_the_lower_metadata_of_implied_directories() {
    let mut base = tree(&[("d", dir())]);
    base.entries[1].meta.mode = 0o700;
    let upper =
        tree(&[("d", Kind::Directory { opaque: false, implied: true }), ("d/x", Kind::Fifo)]);
    let merged = merge(&[&base, &upper]).unwrap();
    assert_eq!(merged.entries[1], base.entries[1]);
    let resolved = resolve(&upper, &base).unwrap().unwrap();
    assert_eq!(resolved.entries[1].meta.mode, 0o700);
    assert_eq!(resolve(&base, &upper), Ok(None));
}

#[test]
fn links_into_lower_layers_share_the_inode() {
    let base = tree(&[("f", file("f"))]);
    let upper = tree(&[("a", link("f")), ("b", link("f"))]);
    let merged = merge(&[&base, &upper]).unwrap();
    assert_eq!(
        merged,
        tree(&[
            ("a", file("f")),
            ("b", Kind::HardLink { entry: 1 }),
            ("f", Kind::HardLink { entry: 1 })
        ])
    );
    let resolved = resolve(&upper, &base).unwrap().unwrap();
    assert_eq!(resolved, tree(&[("a", file("f")), ("b", Kind::HardLink { entry: 1 })]));
    let bad = tree(&[("a", link("gone"))]);
    assert!(matches!(merge(&[&base, &bad]), Err(TreeError::NoLowerTarget { .. })));
    assert!(matches!(resolve(&bad, &base), Err(TreeError::NoLowerTarget { .. })));
}

#[test]
fn changes_stack_to_the_same_tree() {
    let linked = tree(&[
        ("a", file("x")),
        ("b", Kind::HardLink { entry: 1 }),
        ("d", dir()),
        ("d/e", file("e")),
    ]);
    let states = [
        tree(&[]),
        linked.clone(),
        tree(&[("a", file("x")), ("b", file("x")), ("d", file("no directory"))]),
        tree(&[("b", file("x")), ("d", dir()), ("d/e", file("other")), ("d/f", Kind::Socket)]),
        tree(&[("a", dir()), ("a/b", dir()), ("a/b/c", file("c")), ("d", dir())]),
    ];
    for base in &states {
        for merged in &states {
            let layer = changes(base, merged).unwrap();
            assert_eq!(&merge(&[base, &layer]).unwrap(), merged, "{layer:?}");
        }
        assert_eq!(changes(base, base).unwrap(), tree(&[]));
        assert_eq!(diff(base, base).count(), 0);
    }
}

#[test]
fn walks_children_only() {
    let tree = tree(&[
        ("d", dir()),
        ("d/e", dir()),
        ("d/e/f", Kind::Fifo),
        ("d/g", Kind::Fifo),
        ("z", Kind::Fifo),
    ]);
    assert_eq!(tree.children(0).collect::<Vec<_>>(), [1, 5]);
    assert_eq!(tree.children(1).collect::<Vec<_>>(), [2, 4]);
    assert_eq!(tree.below(1), 2..5);
    assert!(tree.get(b"d/e/f").is_some() && tree.get(b"d/x").is_none());
}

//! One sample of everything that is hard, taken in, stacked, mounted and compared.

#![allow(dead_code, reason = "each test uses some of it")]

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::Path;

use creel_base::path::Dir;
use creel_codec::layer::Limits;
use creel_codec::tree::{Kind, Meta, Tree, merge};
use creel_store::{Layer, Mode, Origin, Owners, Store, scan};
use creel_testkit::tar::{Entry, Tar};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen,
};

/// What a setting allows.
#[derive(Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) owners: Owners,
    /// In the initial user namespace: device nodes, every id, `trusted.` marks.
    pub(crate) initial: bool,
}

pub(crate) const ROOT: Setting = Setting { owners: Owners::AsInTree, initial: true };

const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Bytes that differ from block to block.
fn content(size: u32) -> Vec<u8> {
    (0..size).map(|at| (at.wrapping_mul(31) ^ (at >> 9) ^ size) as u8).collect()
}

fn long() -> Vec<u8> {
    vec![vec![b'l'; 200]; 8].join(&b'/')
}

pub(crate) fn base(setting: Setting) -> Vec<u8> {
    let far = if setting.initial { (3_000_000_000, 70_000) } else { (1000, 50_000) };
    let mut sparse = vec![0; 1024];
    sparse[0] = 1;
    sparse[1023] = 2;
    let block = Entry { device: (259, 70_000), ..Entry::new("dev/block", b'4', 0o640) };
    let mut tar = Tar::new().with(Entry::dir("./").mode(0o751)).with(Entry::dir("d").mode(0o2755));
    for size in [0, 1, 2048, 2049, 4096, 4097, 100_000, 3_000_001] {
        tar = tar.with(Entry::file(format!("d/file-{size}"), content(size)));
    }
    tar.with(Entry::file("d/zeros", vec![0; 2 << 20]))
        .with(
            Entry::file("d/sparse", sparse)
                .pax("GNU.sparse.major", "0")
                .pax("GNU.sparse.minor", "1")
                .pax("GNU.sparse.size", "4194305")
                .pax("GNU.sparse.numblocks", "2")
                .pax("GNU.sparse.map", "512,512,4193793,512"),
        )
        .with(Entry::file("far", b"far").owner(far.0, far.1).mode(0o6711))
        .with(Entry::file("old", b"old").pax("mtime", "-5.25"))
        .with(Entry::file("ping", b"ping").xattr("security.capability", CAPABILITY))
        .with(Entry::file("noted", b"noted").xattr("user.note", b"a\nb\0").xattr("user.e", b""))
        .with(Entry::dir("dev"))
        .with(Entry::char_device("dev/null", 1, 3))
        .with(block)
        .with(Entry::hardlink("dev/null2", "dev/null"))
        .with(Entry::new("fifo", b'6', 0o600))
        .with(Entry::file("closed", b"closed").mode(0))
        .with(Entry::hardlink("first", "d/file-4097"))
        .with(Entry::hardlink("z-last", "d/file-4097"))
        .with(Entry::symlink("odd \u{1}\n!", b"\xfe/odd \xff"))
        .with(Entry::file(b"\xff\xfe name", b"odd"))
        .with(Entry::symlink("long-target", vec![b't'; 4000]))
        .with(Entry::dir(long()))
        .with(Entry::file([&long()[..], b"/file"].concat(), b"deep"))
        .with(Entry::dir("emptied"))
        .with(Entry::file("emptied/hidden", b"hidden"))
        .with(Entry::dir("gone"))
        .with(Entry::file("gone/hidden", b"hidden"))
        .finish()
}

/// Implies directories, links to files of the base, hides some.
pub(crate) fn upper() -> Vec<u8> {
    Tar::new()
        .with(Entry::file("d/.wh.file-1", b""))
        .with(Entry::file(".wh.gone", b""))
        .with(Entry::dir("emptied").mode(0o700))
        .with(Entry::file("emptied/.wh..wh..opq", b""))
        .with(Entry::file("emptied/new", b"new"))
        .with(Entry::hardlink("d/linked", "d/file-4097"))
        .with(Entry::hardlink("d/linked-too", "d/file-4097"))
        .with(Entry::hardlink("capable", "ping"))
        .with(Entry::file([&long()[..], b"/file2"].concat(), content(100_000)))
        .finish()
}

pub(crate) fn ingest(store: &Store, tar: &[u8], owners: Owners) -> Layer {
    let transaction = store.begin().unwrap();
    let mut writer = transaction.layer(Limits::default(), owners).unwrap();
    tar.chunks(10_007).for_each(|piece| writer.feed(piece).unwrap());
    let layer = writer.finish(None, &[]).unwrap();
    transaction.commit(&[(layer.diff_id.hex().as_bytes(), layer.diff_id)]).unwrap();
    layer
}

/// Takes the sample in, mounts it by `view`, which gives the path of a tree, and compares.
pub(crate) fn check(
    store: &Store,
    setting: Setting,
    mut view: impl FnMut(&creel_base::digest::ObjectId) -> String,
) -> Vec<Layer> {
    let layers: Vec<_> =
        [base(setting), upper()].iter().map(|tar| ingest(store, tar, setting.owners)).collect();
    let diff_ids: Vec<_> = layers.iter().map(|layer| layer.diff_id).collect();
    let stack = store.begin().unwrap().stack(&diff_ids).unwrap();
    assert_ne!(stack[1], layers[1].tree, "the upper layer needs the lower one");
    assert_eq!(store.check(Mode::Check).unwrap(), []);
    let trees: Vec<_> = stack.iter().map(|id| store.tree(id).unwrap()).collect();
    let views: Vec<_> = stack.iter().map(&mut view).collect();
    for (view, tree) in views.iter().zip(&trees) {
        let marks = if setting.initial {
            creel_codec::erofs::OverlayMarks::Trusted
        } else {
            creel_codec::erofs::OverlayMarks::User
        };
        compare(&read(view, Origin::Upper(marks)), tree, setting);
    }
    // Without an upper directory, overlayfs wants two lower ones.
    let empty = tempfile::tempdir().unwrap();
    let overlay = overlay(&views, empty.path(), setting);
    let merged = merge(&trees.iter().collect::<Vec<_>>()).unwrap();
    let shown = read(&format!("/proc/self/fd/{}", overlay.as_raw_fd()), Origin::Directory);
    compare(&shown, &merged, setting);
    for (layer, came) in layers.iter().zip([base(setting), upper()]) {
        let mut tar = Vec::new();
        store.export_layer(&layer.diff_id, &mut tar).unwrap();
        assert!(tar == came);
        let mut tar = Vec::new();
        store.write_layer(&layer.tree, &mut tar).unwrap();
        assert_eq!(ingest(store, &tar, setting.owners).tree, layer.tree);
    }
    layers
}

fn read(path: &str, origin: Origin) -> Tree {
    scan(&Dir::open(Path::new(path)).unwrap(), origin, Owners::AsInTree).unwrap()
}

/// Mounts overlayfs over directories, the lowest first.
fn overlay(views: &[String], empty: &Path, setting: Setting) -> OwnedFd {
    let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
    for view in views.iter().rev() {
        fsconfig_set_string(&context, "lowerdir+", view).unwrap();
    }
    fsconfig_set_string(&context, "lowerdir+", empty.to_str().unwrap()).unwrap();
    if !setting.initial {
        fsconfig_set_flag(&context, "userxattr").unwrap();
    }
    fsconfig_create(&context).unwrap();
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).unwrap()
}

/// Compares all that this setting can show.
pub(crate) fn compare(found: &Tree, tree: &Tree, setting: Setting) {
    let device = |kind: &Kind| matches!(kind, Kind::CharDevice { .. } | Kind::BlockDevice { .. });
    let mut count = 0;
    for (number, entry) in tree.entries.iter().enumerate() {
        let name = entry.path.escape_ascii();
        let expected = tree.inode(number).unwrap();
        if !setting.initial && device(&expected.kind) {
            assert!(found.find(&entry.path).is_none());
            continue;
        }
        count += 1;
        let at = found.find(&entry.path).unwrap_or_else(|| panic!("{name} is missing"));
        let inode = found.inode(at).unwrap();
        let kind = match expected.kind {
            Kind::Directory { opaque, .. } => Kind::Directory { opaque, implied: false },
            ref other => other.clone(),
        };
        assert_eq!(inode.kind, kind, "{name}");
        if !expected.kind.has_meta() {
            continue;
        }
        let mut meta = expected.meta.clone();
        if setting.owners == Owners::Caller {
            (meta.uid, meta.gid) = (0, 0);
        }
        let mode = if matches!(kind, Kind::Symlink { .. }) { 0o777 } else { meta.mode };
        assert_eq!(inode.meta, Meta { mode, ..meta }, "{name}");
        if let Kind::HardLink { entry: first } = entry.kind {
            let first = found.find(&tree.entries[first as usize].path).unwrap();
            assert_eq!(found.inode_index(first), found.inode_index(at), "{name}");
        }
    }
    assert_eq!(found.entries.len(), count, "nothing else is there");
}

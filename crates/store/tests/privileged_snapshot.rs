//! What a mount of overlayfs changed, as a layer. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};
use std::path::{Path, PathBuf};

use creel_base::path::Dir;
use creel_codec::erofs::OverlayMarks;
use creel_codec::tree::{Kind, Tree, diff, merge};
use creel_store::{Backend, Origin, Owners, Store, StoreError, scan};
use rustix::fs::{FileType, Mode, XattrFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen,
};

struct Overlay {
    dir: tempfile::TempDir,
    mount: OwnedFd,
}

impl Overlay {
    /// Mounts overlayfs over what `fill` makes.
    fn new(option: Option<(&str, &str)>, fill: impl Fn(&Path)) -> Self {
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        for name in ["lower", "upper", "work"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        fill(&dir.path().join("lower"));
        let context = fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
        for (key, name) in [("lowerdir", "lower"), ("upperdir", "upper"), ("workdir", "work")] {
            let path = dir.path().join(name);
            fsconfig_set_string(&context, key, path.to_str().unwrap()).unwrap();
        }
        if let Some((key, value)) = option {
            fsconfig_set_string(&context, key, value).unwrap();
        }
        fsconfig_create(&context).unwrap();
        let none = MountAttrFlags::empty();
        let mount = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, none).unwrap();
        Self { dir, mount }
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.mount.as_raw_fd())).join(name)
    }

    fn scan(&self, name: &str, origin: Origin) -> Result<Tree, StoreError> {
        scan(&Dir::open(self.dir.path().join(name)).unwrap(), origin, Owners::AsInTree)
    }
}

fn fill(root: &Path) {
    for name in ["kept", "gone", "emptied", "renamed", "a/b"] {
        std::fs::create_dir_all(root.join(name)).unwrap();
        std::fs::write(root.join(name).join("file"), name).unwrap();
        std::fs::write(root.join(name).join("other"), name).unwrap();
    }
    std::fs::write(root.join("tool"), b"tool").unwrap();
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    rustix::fs::setxattr(
        root.join("tool"),
        "security.capability",
        &capability,
        XattrFlags::empty(),
    )
    .unwrap();
}

fn change(overlay: &Overlay) {
    let path = |name: &str| overlay.path(name);
    std::fs::remove_file(path("kept/file")).unwrap();
    std::fs::remove_dir_all(path("gone")).unwrap();
    std::fs::remove_dir_all(path("emptied")).unwrap();
    std::fs::create_dir(path("emptied")).unwrap();
    std::fs::write(path("emptied/new"), b"new").unwrap();
    lchown(path("tool"), Some(3_000_000), Some(70_000)).unwrap();
    std::fs::set_permissions(path("a/b/file"), std::fs::Permissions::from_mode(0o6755)).unwrap();
    std::fs::write(path("a/one"), b"link").unwrap();
    std::fs::hard_link(path("a/one"), path("a/two")).unwrap();
    symlink("/etc/passwd", path("a/link")).unwrap();
    rustix::fs::setxattr(path("a/one"), "user.note", b"n", XattrFlags::empty()).unwrap();
    let device = rustix::fs::makedev(1, 300);
    let mode = Mode::RUSR;
    rustix::fs::mknodat(rustix::fs::CWD, path("null"), FileType::CharacterDevice, mode, device)
        .unwrap();
}

#[test]
fn privileged_changes_on_top_of_the_base_are_what_the_mount_shows() {
    let overlay = Overlay::new(None, fill);
    change(&overlay);
    let base = overlay.scan("lower", Origin::Directory).unwrap();
    let shown = Dir::open(overlay.path("")).unwrap();
    let shown = scan(&shown, Origin::Directory, Owners::AsInTree).unwrap();
    let store = Store::create(&overlay.dir.path().join("s"), &Backend::Packed, vec![]).unwrap();
    let transaction = store.begin().unwrap();
    let upper = Dir::open(overlay.dir.path().join("upper")).unwrap();
    let origin = Origin::Upper(OverlayMarks::Trusted);
    let (id, changes) = transaction.snapshot(&upper, origin, Owners::AsInTree).unwrap();
    let kinds: BTreeMap<_, _> =
        changes.entries.iter().map(|entry| (entry.path.to_vec(), &entry.kind)).collect();
    assert_eq!(kinds[&b"gone"[..]], &Kind::Whiteout);
    assert_eq!(kinds[&b"kept/file"[..]], &Kind::Whiteout);
    assert_eq!(kinds[&b"emptied"[..]], &Kind::Directory { opaque: true, implied: false });
    let merged = merge(&[&base, &changes]).unwrap();
    assert_eq!(diff(&merged, &shown).count(), 0);
    let tool = &changes.get(b"tool").unwrap().meta;
    assert_eq!((tool.uid, tool.gid), (3_000_000, 70_000));
    let attributes = changes.entries.iter().flat_map(|entry| &entry.meta.xattrs);
    let names: Vec<_> = attributes.map(|xattr| xattr.name.to_vec()).collect();
    // A change of owner takes capabilities away.
    assert_eq!(names, [b"user.note".to_vec()]);
    // As a layer it is the same again, as a push and a pull would have it.
    let mut tar = Vec::new();
    store.write_layer(&id, &mut tar).unwrap();
    let mut writer = transaction.layer(Default::default(), Owners::AsInTree).unwrap();
    writer.feed(&tar).unwrap();
    assert_eq!(writer.finish(None, &[]).unwrap().tree, id);
}

#[test]
fn privileged_renames_and_half_copies_are_refused() {
    for option in ["redirect_dir", "metacopy"] {
        let overlay = Overlay::new(Some((option, "on")), fill);
        match option {
            "redirect_dir" => {
                std::fs::rename(overlay.path("renamed"), overlay.path("new")).unwrap()
            }
            _ => lchown(overlay.path("kept/file"), Some(1), Some(1)).unwrap(),
        }
        let scanned = overlay.scan("upper", Origin::Upper(OverlayMarks::Trusted));
        assert!(matches!(scanned, Err(StoreError::CannotScan { .. })), "{option}: {scanned:?}");
    }
}

#[test]
fn privileged_whiteouts_are_no_part_of_a_directory() {
    let overlay = Overlay::new(None, fill);
    change(&overlay);
    let scanned = overlay.scan("upper", Origin::Directory);
    assert!(matches!(scanned, Err(StoreError::CannotScan { .. })), "{scanned:?}");
}

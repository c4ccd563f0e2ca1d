//! The kernel and `fsck.erofs` read back what the writer wrote. Needs root and erofs-utils.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "helpers of tests")]

mod sample;

use std::collections::HashMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use creel_base::digest::ObjectId;
use creel_codec::erofs::{self, BLOCK_BYTES, Device, Options, Placement};
use creel_codec::tree::{Entry, Kind, Tree};
use sample::sample;

/// An image and its one pack on disk, removed at the end.
struct Fixture {
    directory: PathBuf,
    tree: Tree,
    contents: HashMap<ObjectId, Vec<u8>>,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path("mnt")).output();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|e| panic!("cannot run `{program}`: {e}; these tests need root and the packages erofs-utils, attr and util-linux"));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {text}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Mounts a file itself: mount(8) would put a loop device under it.
fn mount_file(image: &str, mount: &str, options: &str) {
    let options = std::ffi::CString::new(options).unwrap();
    rustix::mount::mount(image, mount, "erofs", rustix::mount::MountFlags::RDONLY, &*options)
        .unwrap_or_else(|e| {
            panic!("cannot mount `{image}`: {e}; this needs root and Linux 6.12 with EROFS_FS_BACKED_BY_FILE")
        });
}

impl Fixture {
    fn path(&self, name: &str) -> String {
        self.directory.join(name).to_str().unwrap().to_owned()
    }

    /// `name` keeps tests apart. /var/tmp, as file-backed mounts are refused on tmpfs.
    fn new(name: &str) -> Self {
        let directory =
            PathBuf::from(format!("/var/tmp/creel-erofs-{name}-{}", std::process::id()));
        fs::create_dir_all(directory.join("mnt")).unwrap();
        let (tree, contents) = sample();
        let mut pack = Vec::new();
        let mut places = HashMap::new();
        let mut ids: Vec<_> = contents.keys().copied().collect();
        ids.sort();
        for id in ids {
            let content = &contents[&id];
            if content.len() > 2048 {
                places.insert(id, (pack.len() / BLOCK_BYTES) as u32);
                pack.extend_from_slice(content);
                pack.resize(pack.len().next_multiple_of(BLOCK_BYTES), 0);
            }
        }
        let place = |id: &ObjectId, _size| {
            Some(match places.get(id) {
                Some(block) => Placement::Chunk { device: 0, block: *block },
                None => Placement::Inline(contents.get(id)?.clone()),
            })
        };
        let blocks = (pack.len() / BLOCK_BYTES) as u32;
        let devices = vec![Device { tag: vec![b'a'; 32], blocks }];
        let options = Options { devices, ..Options::default() };
        let image = erofs::write(&tree, &place, &options).unwrap();
        fs::write(directory.join("image"), &image).unwrap();
        fs::write(directory.join("pack"), &pack).unwrap();
        fs::write(directory.join("both"), [image, pack].concat()).unwrap();
        Self { directory, tree, contents }
    }

    /// Mounts an image and compares all of it with the tree.
    fn check_mounted(&self, image: &str, options: &str) {
        let (image, mount) = (self.path(image), self.path("mnt"));
        mount_file(&image, &mount, options);
        let mut inodes = HashMap::new();
        for (index, entry) in self.tree.entries.iter().enumerate() {
            let path = Path::new(&mount).join(std::ffi::OsStr::from_bytes(&entry.path));
            self.check_entry(&path, index);
            let number = fs::symlink_metadata(&path).unwrap().ino();
            let inode = self.tree.inode_index(index);
            assert_eq!(*inodes.entry(inode).or_insert(number), number, "{path:?}");
        }
        run("umount", &[&mount]);
    }

    fn check_entry(&self, path: &Path, index: usize) {
        let entry = self.tree.inode(index).unwrap();
        let stat = fs::symlink_metadata(path).unwrap();
        let meta = &entry.meta;
        if entry.kind.has_meta() {
            assert_eq!(stat.mode() & 0o7777, u32::from(meta.mode), "{path:?}");
            assert_eq!((stat.uid(), stat.gid()), (meta.uid, meta.gid), "{path:?}");
            assert_eq!((stat.mtime(), stat.mtime_nsec()), (meta.mtime_s, i64::from(meta.mtime_ns)));
        }
        match &entry.kind {
            Kind::Directory { .. } => {
                let mut names: Vec<_> = fs::read_dir(path)
                    .unwrap()
                    .map(|e| e.unwrap().file_name().into_encoded_bytes())
                    .collect();
                names.sort();
                let expected = self
                    .tree
                    .children(index)
                    .map(|at| creel_codec::tree::path::name(&self.tree.entries[at].path).to_vec());
                assert_eq!(names, expected.collect::<Vec<_>>(), "{path:?}");
            }
            Kind::File { size, object } => {
                assert_eq!(stat.len(), *size);
                if *size > 0 {
                    assert!(fs::read(path).unwrap() == self.contents[object], "{path:?}");
                }
            }
            Kind::Symlink { target } => {
                assert_eq!(fs::read_link(path).unwrap().as_os_str().as_bytes(), &**target);
            }
            Kind::CharDevice { major, minor } | Kind::BlockDevice { major, minor } => {
                assert_eq!(
                    stat.rdev(),
                    u64::from((*minor & 0xff) | (*major << 8)) | (u64::from(*minor & !0xff) << 12)
                );
            }
            Kind::Fifo => assert!(stat.file_type().is_fifo()),
            Kind::Socket => assert!(stat.file_type().is_socket()),
            Kind::Whiteout => assert!(stat.file_type().is_char_device() && stat.rdev() == 0),
            Kind::HardLink { .. } | Kind::LowerLink { .. } => unreachable!(),
        }
        self.check_xattrs(path, entry);
    }

    fn check_xattrs(&self, path: &Path, entry: &Entry) {
        for xattr in &entry.meta.xattrs {
            let name = String::from_utf8(xattr.name.to_vec()).unwrap();
            let output = Command::new("getfattr")
                .args(["-h", "--only-values", "-n", &name])
                .arg(path)
                .output()
                .unwrap();
            assert!(output.status.success() && output.stdout == *xattr.value, "{path:?} {name}");
        }
    }
}

#[test]
fn privileged_fsck_accepts_the_image() {
    let fixture = Fixture::new("fsck");
    let device = format!("--device={}", fixture.path("pack"));
    run("fsck.erofs", &[&device, "--extract", &fixture.path("image")]);
}

#[test]
fn privileged_kernel_mounts_image_and_pack() {
    let fixture = Fixture::new("device");
    let device = format!("device={}", fixture.path("pack"));
    fixture.check_mounted("image", &device);
    fixture.check_mounted("image", &format!("{device},directio"));
}

#[test]
fn privileged_kernel_mounts_the_concatenation() {
    Fixture::new("flat").check_mounted("both", "");
}

#[test]
fn privileged_marks_are_what_overlayfs_looks_for() {
    let fixture = Fixture::new("marks");
    let mount = fixture.path("mnt");
    mount_file(&fixture.path("both"), &mount, "");
    let value = run(
        "getfattr",
        &["--only-values", "-n", "trusted.overlay.opaque", &format!("{mount}/opaque")],
    );
    assert_eq!(value, "y");
    run("umount", &[&mount]);
}

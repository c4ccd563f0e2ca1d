use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::io::Errno;

use super::resolve::Walk;
use super::*;

fn scratch() -> (tempfile::TempDir, Dir) {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = Dir::open(temp.path()).expect("a directory");
    (temp, dir)
}

const MODE: Mode = Mode::RWXU;

/// `in/` with `file`, `sub/`, and links; `secret` beside it must stay out of reach.
fn tree_with_links(temp: &Path) -> Dir {
    std::fs::create_dir_all(temp.join("in/sub/deep")).expect("directories");
    std::fs::write(temp.join("in/file"), "inside").expect("a file");
    std::fs::write(temp.join("in/secret"), "decoy").expect("a file");
    std::fs::write(temp.join("secret"), "secret").expect("a file");
    for (target, name) in [
        ("file", "to-file"),
        ("../file", "sub/up"),
        ("../../secret", "sub/out"),
        ("/secret", "absolute"),
        ("loop", "loop"),
        ("sub", "to-sub"),
        ("nothing", "dangling"),
        ("/proc/self/root", "magic"),
    ] {
        std::os::unix::fs::symlink(target, temp.join("in").join(name)).expect("a link");
    }
    Dir::open(temp.join("in")).expect("a directory")
}

/// Path, scope, and what is read there or why not.
const LOOKUPS: &[(&str, Scope, Result<&str, Errno>)] = &[
    ("file", Scope::Beneath, Ok("inside")),
    ("./sub/../file", Scope::Beneath, Ok("inside")),
    ("to-file", Scope::Beneath, Ok("inside")),
    ("to-file", Scope::InRoot, Ok("inside")),
    ("to-file", Scope::NoLinks, Err(Errno::LOOP)),
    ("sub/up", Scope::Beneath, Ok("inside")),
    ("to-sub/up", Scope::Beneath, Ok("inside")),
    ("sub/deep/../up", Scope::Beneath, Ok("inside")),
    ("../secret", Scope::Beneath, Err(Errno::XDEV)),
    ("sub/../../secret", Scope::Beneath, Err(Errno::XDEV)),
    ("/secret", Scope::Beneath, Err(Errno::XDEV)),
    ("/secret", Scope::InRoot, Ok("decoy")),
    ("../../../secret", Scope::InRoot, Ok("decoy")),
    ("sub/out", Scope::Beneath, Err(Errno::XDEV)),
    ("sub/out", Scope::InRoot, Ok("decoy")),
    ("absolute", Scope::Beneath, Err(Errno::XDEV)),
    ("absolute", Scope::InRoot, Ok("decoy")),
    ("loop", Scope::Beneath, Err(Errno::LOOP)),
    ("dangling", Scope::Beneath, Err(Errno::NOENT)),
    ("magic/etc/passwd", Scope::Beneath, Err(Errno::XDEV)),
    ("magic/etc/passwd", Scope::InRoot, Err(Errno::NOENT)),
    ("file/x", Scope::Beneath, Err(Errno::NOTDIR)),
    ("", Scope::Beneath, Err(Errno::NOENT)),
];

fn read(fd: OwnedFd) -> String {
    std::io::read_to_string(std::fs::File::from(fd)).expect("a text")
}

#[test]
fn the_kernel_and_the_walk_agree_and_stay_inside() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = tree_with_links(temp.path());
    for (path, scope, expected) in LOOKUPS {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let path = Path::new(path);
        let kernel = resolve::open(dir.as_fd(), path, *scope, flags, Mode::empty()).map(read);
        assert_eq!(kernel.as_deref(), expected.as_ref().map(|text| *text), "{path:?} {scope:?}");
        let walk = Walk::new(dir.as_fd(), *scope)
            .and_then(|walk| walk.open(path, flags, Mode::empty()))
            .map(read);
        assert_eq!(walk, kernel, "{path:?} {scope:?}: the walk");
    }
}

#[test]
fn the_walk_makes_files_but_not_through_links() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = tree_with_links(temp.path());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
    for (path, expected) in [
        ("new", None),
        ("sub/new", None),
        ("file", Some(Errno::EXIST)),
        ("dangling", Some(Errno::EXIST)),
        ("sub/out", Some(Errno::EXIST)),
        ("../new", Some(Errno::XDEV)),
    ] {
        let walk = Walk::new(dir.as_fd(), Scope::Beneath).expect("a walk");
        assert_eq!(walk.open(Path::new(path), flags, MODE).err(), expected, "{path}");
    }
    assert!(!temp.path().join("in/nothing").exists());
}

#[test]
fn changes_cannot_leave_the_directory() {
    let temp = tempfile::tempdir().expect("a directory");
    let dir = tree_with_links(temp.path());
    std::os::unix::fs::symlink("..", temp.path().join("in/parent")).expect("a link");
    for path in ["../x", "parent/x", "/x", "magic/tmp/x", "..", ".", "", "/"] {
        assert!(dir.create_new(path, MODE).is_err(), "{path}");
        assert!(dir.mkdir(path, MODE).is_err(), "{path}");
        assert!(dir.unlink(path).is_err(), "{path}");
        assert!(dir.symlink("t", path).is_err(), "{path}");
        assert!(dir.rename("file".as_ref(), path.as_ref(), IfExists::Replace).is_err(), "{path}");
        assert!(dir.hard_link("file".as_ref(), &dir, path.as_ref()).is_err(), "{path}");
        assert!(dir.stat(path).is_err(), "{path}");
    }
    for path in ["../secret", "parent/secret", "sub/../../secret"] {
        assert!(dir.remove_all(path).is_err(), "{path}");
    }
    assert_eq!(std::fs::read(temp.path().join("secret")).expect("a file"), b"secret");
    assert!(!temp.path().join("x").exists());
}

#[test]
fn files_links_and_names() {
    let (_temp, dir) = scratch();
    dir.mkdir("d", MODE).expect("mkdir");
    std::io::Write::write_all(&mut dir.create_new("d/f", MODE).expect("create"), b"12345")
        .expect("write");
    assert_eq!(dir.read("d/f", 5).expect("read"), b"12345");
    assert_eq!(dir.read("d/f", 4).expect_err("too long").kind(), std::io::ErrorKind::FileTooLarge);
    assert!(dir.create_new("d/f", MODE).expect_err("exists").is_already_exists());
    dir.hard_link("d/f".as_ref(), &dir, "g".as_ref()).expect("link");
    assert_eq!(dir.stat("g").expect("stat").st_nlink, 2);
    dir.symlink("any/where", "s").expect("symlink");
    assert_eq!(dir.readlink("s").expect("readlink"), "any/where");
    let error = dir.rename("g".as_ref(), "s".as_ref(), IfExists::Fail).expect_err("taken");
    assert!(error.is_already_exists(), "{error}");
    dir.rename("g".as_ref(), "s".as_ref(), IfExists::Exchange).expect("exchange");
    assert_eq!(dir.readlink("g").expect("readlink"), "any/where");
    dir.rename("s".as_ref(), "g".as_ref(), IfExists::Replace).expect("replace");
    let mut names: Vec<_> = dir
        .entries()
        .expect("entries")
        .map(|entry| entry.map(|entry| (entry.name, entry.file_type)).expect("an entry"))
        .collect();
    names.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(names, [("d".into(), FileType::Directory), ("g".into(), FileType::RegularFile)]);
    dir.sync().and_then(|()| dir.sync_file_system()).expect("flush");
}

#[test]
fn errors_name_the_path_and_the_action() {
    let (temp, dir) = scratch();
    let error = dir.open_file("a/b").expect_err("nothing there");
    assert_eq!(error.to_string(), format!("cannot open `{}/a/b`", temp.path().display()));
    assert!(error.is_not_found());
    let error = dir.mkdir("a/b", MODE).expect_err("nothing there");
    assert_eq!(error.action, Action::MakeDir);
}

#[test]
fn missing_directories_are_made() {
    let (temp, _) = scratch();
    for _ in 0..2 {
        let made = Dir::open_or_create(temp.path().join("a/b/c"), MODE).expect("made");
        assert_eq!(made.path(), temp.path().join("a/b/c"));
        made.mkdir_open("d", MODE).expect("made");
    }
}

#[test]
fn a_very_deep_tree_is_removed() {
    let (temp, dir) = scratch();
    let mut deepest = dir.mkdir_open("top", MODE).expect("made");
    for level in 0..3000 {
        drop(deepest.create_new("file", MODE).expect("made"));
        if level % 100 == 0 {
            deepest.mkdir("beside", MODE).expect("made");
        }
        let fd: OwnedFd = deepest.mkdir_open("d", MODE).expect("made").into();
        // The path for messages would grow by the square.
        deepest = Dir::from_fd(fd, "deep".into());
    }
    dir.remove_all("top").expect("removed");
    assert!(!temp.path().join("top").exists());
    dir.remove_all("top").expect("nothing there is fine");
}

#[test]
fn a_wide_tree_is_removed() {
    let (temp, dir) = scratch();
    let top = dir.mkdir_open("top", MODE).expect("made");
    for number in 0..2000 {
        top.mkdir(format!("d{number}"), MODE).expect("made");
        drop(top.create_new(format!("f{number}"), MODE).expect("made"));
    }
    dir.remove_all("top").expect("removed");
    assert!(!temp.path().join("top").exists());
}

#[test]
fn removing_a_tree_does_not_follow_links_and_opens_closed_directories() {
    let (temp, dir) = scratch();
    std::fs::create_dir_all(temp.path().join("keep")).expect("made");
    std::fs::write(temp.path().join("keep/file"), "").expect("made");
    std::fs::create_dir_all(temp.path().join("top/closed/deep")).expect("made");
    std::os::unix::fs::symlink("../keep", temp.path().join("top/link")).expect("made");
    for (path, mode) in [("top/closed/deep", 0), ("top/closed", 0o555), ("top", 0o500)] {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(temp.path().join(path), mode).expect("chmod");
    }
    dir.remove_all("top").expect("removed");
    assert!(!temp.path().join("top").exists() && temp.path().join("keep/file").exists());
    std::os::unix::fs::symlink("keep", temp.path().join("link")).expect("made");
    dir.remove_all("link").expect("removed");
    assert!(temp.path().join("keep/file").exists());
}

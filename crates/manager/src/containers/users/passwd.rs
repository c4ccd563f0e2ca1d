//! The caller's lines in a container's `/etc/passwd` and `/etc/group`, as Podman writes them.

use std::io::{Read as _, Write as _};
use std::path::Path;

use creel_base::path::{Dir, PathError, Scope};
use creel_image::user::MAX_FILE;
use rustix::fs::OFlags;

use super::Person;

/// Opened for whatever is there: neither waits nor takes a terminal.
const CAREFUL: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY);

/// Adds the person to the root at `root` where the files are there and do not have the ids.
///
/// # Errors
/// [`PathError`] for a root that is none. What cannot be written stays as it is: programs then show
/// numbers.
pub(super) fn add(root: &Path, person: &Person) -> Result<(), PathError> {
    let root = Dir::open(root)?;
    let Person { name, uid, gid, home } = person;
    add_line(&root, "etc/passwd", *uid, &format!("{name}:*:{uid}:{gid}:{name}:{home}:/bin/sh\n"));
    add_line(&root, "etc/group", *gid, &format!("{name}:x:{gid}:{name}\n"));
    Ok(())
}

fn add_line(root: &Dir, path: &str, id: u32, line: &str) {
    let Some(content) = read(root, path).filter(|content| !has_id(content, id)) else { return };
    let flags = OFlags::WRONLY | OFlags::APPEND | CAREFUL;
    if let Ok(mut file) = root.open_within(path, Scope::InRoot, flags) {
        let ended = content.last().is_none_or(|last| *last == b'\n');
        let line = if ended { line.to_owned() } else { format!("\n{line}") };
        let _ = file.write_all(line.as_bytes());
    }
}

/// The content of a regular file that is not too long; `None` for everything else.
fn read(root: &Dir, path: &str) -> Option<Vec<u8>> {
    let file = root.open_within(path, Scope::InRoot, OFlags::RDONLY | CAREFUL).ok()?;
    let regular = file.metadata().ok()?.is_file();
    let mut content = Vec::new();
    let length = regular.then(|| file.take(MAX_FILE + 1).read_to_end(&mut content))?.ok()?;
    (length as u64 <= MAX_FILE).then_some(content)
}

/// Tells whether a line has the id, which is the third field in both files.
fn has_id(content: &[u8], id: u32) -> bool {
    let id = id.to_string();
    let field = |line: &[u8]| line.split(|byte| *byte == b':').nth(2) == Some(id.as_bytes());
    content.split(|byte| *byte == b'\n').any(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_added_once() {
        let root = tempfile::tempdir().unwrap();
        let person = Person { name: "ann".into(), uid: 1000, gid: 100, home: "/home/ann".into() };
        add(root.path(), &person).unwrap();
        assert!(!root.path().join("etc").exists());
        std::fs::create_dir(root.path().join("etc")).unwrap();
        let [passwd, group] = ["passwd", "group"].map(|name| root.path().join("etc").join(name));
        std::fs::write(&passwd, "root:x:0:0::/:\nx:1000:1:1::/:").unwrap();
        std::fs::write(&group, "users:x:100:\n").unwrap();
        for _ in 0..2 {
            add(root.path(), &person).unwrap();
        }
        let expected = "root:x:0:0::/:\nx:1000:1:1::/:\nann:*:1000:100:ann:/home/ann:/bin/sh\n";
        assert_eq!(std::fs::read_to_string(&passwd).unwrap(), expected);
        assert_eq!(std::fs::read_to_string(&group).unwrap(), "users:x:100:\n");
    }

    #[test]
    fn links_do_not_lead_out() {
        let root = tempfile::tempdir().unwrap();
        let outside = tempfile::NamedTempFile::new().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        std::os::unix::fs::symlink(outside.path(), root.path().join("etc/passwd")).unwrap();
        let person = Person { name: "ann".into(), uid: 7, gid: 7, home: "/".into() };
        add(root.path(), &person).unwrap();
        assert_eq!(std::fs::read(outside.path()).unwrap(), b"");
    }
}

//! The environment that a process gets beyond what its specification says: each variable once, and
//! `HOME`.

use creel_base::path::{Dir, PathError, Scope};

/// Most bytes of a container's `/etc/passwd` that are looked at.
const MAX_PASSWD: u64 = 1 << 20;

/// Where nobody is at home.
const NOWHERE: &str = "/";

/// Of variables with the same name only the last counts. `HOME`, where it is not set or empty, becomes
/// what `etc/passwd` below `root` says of the user, and `/` if that says nothing (all runtimes do so).
pub(super) fn complete(
    env: &mut Vec<String>,
    uid: u32,
    root: impl FnOnce() -> Result<Dir, PathError>,
) {
    keep_last(env);
    env.retain(|entry| entry != "HOME=");
    if !env.iter().any(|entry| entry.starts_with("HOME=")) {
        let read = |root: Dir| root.read_within("etc/passwd", Scope::InRoot, MAX_PASSWD);
        let passwd = root().and_then(read).unwrap_or_default();
        env.push(format!("HOME={}", home(&passwd, uid).unwrap_or(NOWHERE)));
    }
}

fn keep_last(env: &mut Vec<String>) {
    fn name(entry: &str) -> &str {
        entry.split('=').next().unwrap_or_default()
    }
    let mut seen = std::collections::HashSet::new();
    let last: Vec<bool> = env.iter().rev().map(|entry| seen.insert(name(entry))).collect();
    let mut last = last.into_iter().rev();
    env.retain(|_| last.next().unwrap_or(true));
}

/// The home directory in the first line of a user, where it is absolute (passwd(5)).
fn home(passwd: &[u8], uid: u32) -> Option<&str> {
    let mut lines = passwd.split(|byte| *byte == b'\n').filter_map(account);
    let (_, home) = lines.find(|(number, _)| *number == uid)?;
    std::str::from_utf8(home).ok().filter(|home| home.starts_with('/') && !home.contains('\0'))
}

/// The user id and the home directory of a line.
fn account(line: &[u8]) -> Option<(u32, &[u8])> {
    let mut fields = line.split(|byte| *byte == b':');
    let number = std::str::from_utf8(fields.nth(2)?).ok()?.parse().ok()?;
    Some((number, fields.nth(2)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn completed(env: &[&str], uid: u32) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        let text = "root:x:0:0:root:/root:/bin/sh\nbroken:1000\na:x:1000:100:::\nb:x:7:7::/b:sh\n";
        std::fs::write(root.path().join("etc/passwd"), text).unwrap();
        let mut env = env.iter().map(|entry| (*entry).to_owned()).collect();
        complete(&mut env, uid, || Dir::open(root.path()));
        env
    }

    #[test]
    fn home_is_the_users() {
        assert_eq!(completed(&[], 0), ["HOME=/root"]);
        assert_eq!(completed(&["A=1", "HOME="], 7), ["A=1", "HOME=/b"]);
        assert_eq!(completed(&["HOME=/x", "A=1"], 7), ["HOME=/x", "A=1"]);
        assert_eq!(completed(&["HOME=/x", "HOME="], 0), ["HOME=/root"]);
        for unknown in [1000, 5] {
            assert_eq!(completed(&[], unknown), ["HOME=/"]);
        }
    }

    #[test]
    fn the_last_of_a_name_counts() {
        assert_eq!(completed(&["A=1", "HOME=/", "A=2", "AB=3"], 0), ["HOME=/", "A=2", "AB=3"]);
    }

    #[test]
    fn a_container_cannot_lead_out_of_its_root() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", root.path().join("etc/passwd")).unwrap();
        let mut env = Vec::new();
        complete(&mut env, 0, || Dir::open(root.path()));
        assert_eq!(env, ["HOME=/"]);
    }
}

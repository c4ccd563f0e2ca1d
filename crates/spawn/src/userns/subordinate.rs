//! `/etc/subuid` and `/etc/subgid` (`subuid(5)`).
//!
//! Only the files are read, never a name service: shadow's helpers do so by default as well, and a
//! static program has no name services.

use std::fs;
use std::path::{Path, PathBuf};

use super::{IdMaps, UsernsError};
use crate::plan::{IdMap, MapWriter};

const SUBUID: &str = "/etc/subuid";
const SUBGID: &str = "/etc/subgid";
/// Where the helpers are; the last is NixOS's place for set-user-id programs.
const DIRECTORIES: [&str; 4] = ["/usr/bin", "/usr/local/bin", "/bin", "/run/wrappers/bin"];
/// The kernel takes 340 ranges; one is the user's own id.
const MAX_RANGES: usize = 339;

/// Ids that a user may map into user namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subordinate {
    /// Root is the user, and from 1 on follow the subordinate ids.
    pub maps: IdMaps,
    /// The helpers that may write them.
    pub writer: MapWriter,
}

/// First ids and counts.
pub type Ranges = Vec<(u32, u32)>;

/// The subordinate ids of this process's user.
///
/// # Errors
/// Tells apart: no ranges, no helpers, unreadable files.
pub fn subordinate() -> Result<Subordinate, UsernsError> {
    let [uid, gid] = creel_sys::userns::ids();
    let name = user_name(uid);
    let known_as = name.clone().unwrap_or_else(|| uid.to_string());
    let (uids, gids) = (read(SUBUID, &known_as, uid)?, read(SUBGID, &known_as, uid)?);
    for (path, found) in [(SUBUID, &uids), (SUBGID, &gids)] {
        if found.is_empty() {
            return Err(UsernsError::NoRanges { path, name: known_as });
        }
    }
    let writer = helpers()?;
    let maps = IdMaps { uids: maps(uid, &uids), gids: maps(gid, &gids) };
    Ok(Subordinate { maps, writer })
}

/// The user and group ranges of a named user, such as `containers`: for root, who may map any ids
/// and keeps to those that nobody else has.
///
/// # Errors
/// [`UsernsError::NoRanges`] if there are none.
pub fn ranges(name: &str) -> Result<[Ranges; 2], UsernsError> {
    let one = |path| {
        // No user has this id (`chown(2)` takes it for none).
        let found = read(path, name, u32::MAX)?;
        if found.is_empty() {
            return Err(UsernsError::NoRanges { path, name: name.into() });
        }
        Ok(found)
    };
    Ok([one(SUBUID)?, one(SUBGID)?])
}

fn read(path: &'static str, name: &str, uid: u32) -> Result<Ranges, UsernsError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(parse(&text, name, uid)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(source) => Err(UsernsError::Read { path, source }),
    }
}

/// The ranges of the lines `NAME:FIRST:COUNT` of a user, by name or number. Lines that are none are
/// skipped, as the helpers skip them.
fn parse(text: &str, name: &str, uid: u32) -> Ranges {
    let number = uid.to_string();
    let range = |line: &str| {
        let mut fields = line.trim().split(':');
        let owner = fields.next().filter(|owner| *owner == name || *owner == number);
        owner.filter(|owner| !owner.is_empty())?;
        let first: u32 = fields.next()?.parse().ok()?;
        let count: u32 = fields.next()?.parse().ok()?;
        let whole = fields.next().is_none() && count > 0 && first.checked_add(count).is_some();
        whole.then_some((first, count))
    };
    text.lines().filter_map(range).take(MAX_RANGES).collect()
}

fn maps(own: u32, ranges: &Ranges) -> Vec<IdMap> {
    let mut maps = vec![IdMap { inside: 0, outside: own, count: 1 }];
    let mut inside = 1u32;
    for (outside, count) in ranges.iter().copied() {
        let Some(next) = inside.checked_add(count) else { break };
        maps.push(IdMap { inside, outside, count });
        inside = next;
    }
    maps
}

fn user_name(uid: u32) -> Option<String> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let number = uid.to_string();
    let line = passwd.lines().find(|line| line.split(':').nth(2) == Some(&number))?;
    line.split(':').next().filter(|name| !name.is_empty()).map(str::to_owned)
}

/// The helpers that write maps of more than the user's own id.
///
/// # Errors
/// [`UsernsError::NoHelper`].
pub fn helpers() -> Result<MapWriter, UsernsError> {
    Ok(MapWriter::Helpers { newuidmap: find("newuidmap")?, newgidmap: find("newgidmap")? })
}

fn find(program: &'static str) -> Result<PathBuf, UsernsError> {
    let paths = DIRECTORIES.iter().map(|directory| Path::new(directory).join(program));
    paths.into_iter().find(|path| path.is_file()).ok_or(UsernsError::NoHelper { program })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_user_count_and_hostile_ones_do_not() {
        let text = "ann:100000:65536\n1000:300000:10\nbob:1:5\nann:broken\nann:1:0\n\n\
                    ann:4294967295:2\nann:5:1:9\nann:-1:3\n:7:7\n ann:500000:1 \n";
        assert_eq!(parse(text, "ann", 1000), [(100_000, 65_536), (300_000, 10), (500_000, 1)]);
        assert_eq!(parse(text, "", 7), []);
        assert_eq!(parse("a:1:1\n".repeat(1000).as_str(), "a", 7).len(), MAX_RANGES);
    }

    #[test]
    fn ranges_follow_each_other_inside() {
        let maps = maps(1000, &vec![(100_000, 5), (7, 2), (9, u32::MAX)]);
        let [own, first, second] = maps.as_slice() else { panic!("{maps:?}") };
        assert_eq!((own.inside, own.outside, own.count), (0, 1000, 1));
        assert_eq!((first.inside, first.outside, first.count), (1, 100_000, 5));
        assert_eq!((second.inside, second.outside, second.count), (6, 7, 2));
    }
}

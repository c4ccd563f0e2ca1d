//! Finding ids for a container.

use std::fs;
use std::os::fd::AsFd as _;
use std::path::Path;

use creel_base::lock::Lock;
use creel_image::user::User;
use creel_spawn::IdMap;
use creel_spawn::mount::READ_ONLY;
use creel_spawn::userns::{self, IdMaps, Ranges, UsernsError};

use creel_store::Backend;

use super::{Person, Users, UsersError, has, ids};
use crate::containers::catalog::Catalog;
use crate::containers::record::Root;
use crate::containers::volume::{OWNED, Volume};
use crate::{Engine, Privileges};

/// As many ids as images are made for: up to that of `nobody`.
const SIZE: u32 = 65536;
/// The fewest that a container of a user gets, who often has no more than [`SIZE`] in all.
const SMALL: u32 = 1024;
/// Whose ids containers of root get, as in Podman, and whose where that user has none.
pub(crate) const OWNERS: [&str; 2] = ["containers", ROOT];
/// A user that there is, to whom usermod(8) can give ids; `containers` is in the files only.
const ROOT: &str = "root";
/// The ids that are proposed where there are none: enough for 64 containers, behind those that
/// `useradd` gives to a few users.
const PROPOSED: (u64, u64) = (1_000_000, 64 * SIZE as u64);
const FILES: [(&str, &str); 2] = [("user", "/etc/subuid"), ("group", "/etc/subgid")];

/// The ids of a new container.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    /// Those of a namespace of its own.
    pub(crate) maps: Option<IdMaps>,
    /// The caller, who is known in the container.
    pub(crate) person: Option<Person>,
    /// Who runs the process if nobody says otherwise, as `USER:GROUP`.
    pub(crate) user: Option<String>,
    /// Held until others can see which ids are taken.
    _lock: Option<Lock>,
}

impl Chosen {
    /// Fails if a user is not among the ids, or a volume would have to be given to them.
    ///
    /// # Errors
    /// [`UsersError::NotMapped`], [`UsersError::Give`].
    pub(crate) fn check(&self, user: &User, volumes: &[Volume]) -> Result<(), UsersError> {
        let Some(maps) = &self.maps else { return Ok(()) };
        let given = |volume: &&Volume| volume.options.iter().any(|option| option == OWNED);
        if let Some(Volume { target, .. }) = volumes.iter().find(given) {
            return Err(UsersError::Give { target: target.clone() });
        }
        let groups = user.groups.iter().all(|group| has(&maps.gids, *group));
        match has(&maps.uids, user.uid) && has(&maps.gids, user.gid) && groups {
            true => Ok(()),
            false => Err(UsersError::NotMapped { uid: user.uid, gid: user.gid }),
        }
    }
}

impl Chosen {
    /// The caller as a user of the container whose home is the caller's own if that is mounted there,
    /// else the working directory; `user` is at home there too.
    pub(crate) fn at_home(&self, user: &mut User, cwd: &str, volumes: &[Volume]) -> Option<Person> {
        let mut person = self.person.clone()?;
        let there = |volume: &Volume| Path::new(&volume.target).starts_with(&person.home);
        if !volumes.iter().any(there) {
            // An image may say anything.
            let plain = !cwd.contains([':', '\n']);
            person.home = if plain { cwd } else { "/" }.to_owned();
        }
        if user.uid == person.uid && user.home.is_none() {
            user.home = Some(person.home.clone());
        }
        Some(person)
    }
}

impl Engine {
    /// Tells whether the kernel maps the ids of layers for this process.
    pub(crate) fn maps_ids(&self, ids: &IdMaps) -> bool {
        if self.privileges() != Privileges::Whole {
            return false;
        }
        // EROFS does; in a loose store it depends on the file system.
        self.store().description().backend == Backend::Packed || can_map(self.store().path(), ids)
    }

    /// Chooses the ids of a new container.
    ///
    /// # Errors
    /// [`UsersError`].
    pub(crate) fn choose_ids(
        &self,
        catalog: &Catalog,
        root: &Root,
        users: Users,
    ) -> Result<Chosen, UsersError> {
        match (users, root) {
            (Users::Host, _) => Ok(Chosen::default()),
            (_, Root::Host(_)) => Err(UsersError::Host),
            (Users::Auto { size }, _) => self.own_range(catalog, root, size),
            (Users::KeepId { uid, gid }, _) => self.keep_ids(uid, gid),
        }
    }

    fn own_range(
        &self,
        catalog: &Catalog,
        root: &Root,
        size: Option<u32>,
    ) -> Result<Chosen, UsersError> {
        let (owner, available) = self.available()?;
        let size = match (size, self.privileges()) {
            (Some(size), _) => size,
            (None, Privileges::Whole) => SIZE,
            (None, Privileges::Namespace { .. }) => self.needed(root)?,
        };
        let lock = catalog.lock_ids()?;
        let taken = taken(catalog)?;
        let mut found = Vec::new();
        for ((ranges, taken), (kind, _)) in available.iter().zip(&taken).zip(FILES) {
            let first = free(ranges, taken, size).ok_or_else(|| UsersError::Taken {
                size,
                kind,
                taken: taken.iter().map(|(_, count)| u64::from(*count)).sum(),
                mend: command(&owner),
            })?;
            found.push(vec![IdMap { inside: 0, outside: first, count: size }]);
        }
        let gids = found.pop().unwrap_or_default();
        let maps = IdMaps { uids: found.pop().unwrap_or_default(), gids };
        Ok(Chosen { maps: Some(maps), _lock: Some(lock), ..Chosen::default() })
    }

    /// The ids that containers may have, users' and groups', and whose they are.
    fn available(&self) -> Result<(String, [Ranges; 2]), UsersError> {
        if self.privileges() != Privileges::Whole {
            let pools = self.pools()?;
            return Ok((self.caller_name(), pools.map(|pool| vec![(1, pool)])));
        }
        for owner in OWNERS {
            match userns::ranges(owner) {
                Err(UsernsError::NoRanges { .. }) => {}
                found => return Ok((owner.to_owned(), found?)),
            }
        }
        Err(UsersError::None { owner: ROOT.into(), mend: command(ROOT) })
    }

    /// How many subordinate ids this namespace has, from 1 on: users and groups.
    fn pools(&self) -> Result<[u32; 2], UsersError> {
        let mut pools = [0; 2];
        for (pool, path) in pools.iter_mut().zip(["/proc/self/uid_map", "/proc/self/gid_map"]) {
            let text =
                fs::read_to_string(path).map_err(|source| UsernsError::Read { path, source })?;
            *pool = in_a_row(&text).saturating_sub(1);
        }
        if pools.contains(&0) {
            let owner = self.caller_name();
            return Err(UsersError::None { mend: command(&owner), owner });
        }
        Ok(pools)
    }

    /// How many ids the files and users of an image need.
    fn needed(&self, root: &Root) -> Result<u32, UsersError> {
        let mut highest = SMALL - 1;
        for tree in root.trees() {
            for entry in &self.store().tree(tree)?.entries {
                highest = highest.max(entry.meta.uid).max(entry.meta.gid);
            }
        }
        Ok(highest.saturating_add(1))
    }

    fn keep_ids(&self, uid: Option<u32>, gid: Option<u32>) -> Result<Chosen, UsersError> {
        let [own_uid, own_gid] = self.settings.caller;
        let (uid, gid) = (uid.unwrap_or(own_uid), gid.unwrap_or(own_gid));
        let user = Some(format!("{uid}:{gid}"));
        if own_uid == 0 {
            // All ids are the same inside as outside already.
            return Ok(Chosen { user, ..Chosen::default() });
        }
        let [users, groups] = self.pools()?;
        let maps = IdMaps { uids: keep(uid, users), gids: keep(gid, groups) };
        let (name, home) = (self.caller_name(), self.caller_home());
        let person = Some(Person { name, uid, gid, home });
        Ok(Chosen { maps: Some(maps), person, user, _lock: None })
    }

    /// The caller's name, or number.
    fn caller_name(&self) -> String {
        self.caller_field(0).unwrap_or_else(|| self.settings.caller[0].to_string())
    }

    fn caller_home(&self) -> String {
        self.caller_field(5).filter(|home| home.starts_with('/')).unwrap_or_else(|| "/".into())
    }

    /// A field of the caller's line in the host's `/etc/passwd`.
    fn caller_field(&self, number: usize) -> Option<String> {
        let passwd = fs::read_to_string("/etc/passwd").ok()?;
        let uid = self.settings.caller[0].to_string();
        let line = passwd.lines().find(|line| line.split(':').nth(2) == Some(&uid))?;
        line.split(':').nth(number).filter(|field| !field.is_empty()).map(str::to_owned)
    }
}

/// The ids outside that containers have which share them with nobody: users' and groups'.
fn taken(catalog: &Catalog) -> Result<[Ranges; 2], UsersError> {
    let mut taken = [Ranges::new(), Ranges::new()];
    // One whose record cannot be read cannot be started either.
    let (containers, _) = catalog.list()?;
    let own = containers.iter().filter(|container| container.record.policy.person.is_none());
    for maps in own.filter_map(|container| ids(&container.record)) {
        for (taken, maps) in taken.iter_mut().zip([maps.uids, maps.gids]) {
            taken.extend(maps.iter().map(|map| (map.outside, map.count)));
        }
    }
    Ok(taken)
}

/// The first of `size` ids in one of the ranges that nobody has, the lowest there is.
fn free(ranges: &Ranges, taken: &Ranges, size: u32) -> Option<u32> {
    let end = |(first, count): &(u32, u32)| u64::from(*first) + u64::from(*count);
    let mut starts: Vec<u64> = ranges.iter().map(|(first, _)| u64::from(*first)).collect();
    starts.extend(taken.iter().map(end));
    starts.sort_unstable();
    let fits = |start: &u64| {
        let stop = start + u64::from(size);
        let within = |range: &(u32, u32)| u64::from(range.0) <= *start && stop <= end(range);
        let apart = |other: &(u32, u32)| end(other) <= *start || stop <= u64::from(other.0);
        ranges.iter().any(within) && taken.iter().all(apart)
    };
    starts.into_iter().find(fits).and_then(|start| start.try_into().ok())
}

fn can_map(path: &Path, ids: &IdMaps) -> bool {
    userns::namespace(ids).is_ok_and(|namespace| {
        creel_spawn::mount::idmapped(path, READ_ONLY, namespace.as_fd()).is_ok()
    })
}

/// One's own id, which is 0 in this namespace, as `own`, among `pool` others.
fn keep(own: u32, pool: u32) -> Vec<IdMap> {
    let below = own.min(pool);
    let parts = [
        IdMap { inside: 0, outside: 1, count: below },
        IdMap { inside: own, outside: 0, count: 1 },
        IdMap { inside: own.saturating_add(1), outside: below + 1, count: pool - below },
    ];
    parts.into_iter().filter(|map| map.count > 0).collect()
}

/// How many ids from 0 on a map has without a gap (user_namespaces(7)).
fn in_a_row(map: &str) -> u32 {
    let mut next = 0u32;
    for line in map.lines() {
        let mut fields = line.split_whitespace().map(str::parse);
        match (fields.next(), fields.nth(1)) {
            (Some(Ok(first)), Some(Ok(count))) if first == next => {
                next = next.saturating_add(count);
            }
            _ => break,
        }
    }
    next
}

/// The command that gives a user ids that nobody has.
pub(crate) fn command(owner: &str) -> String {
    let (mut first, count) = PROPOSED;
    for (_, path) in FILES {
        let text = fs::read_to_string(path).unwrap_or_default();
        first = text.lines().filter_map(end_of_range).fold(first, u64::max);
    }
    let last = first + count - 1;
    if owner != ROOT && OWNERS.contains(&owner) {
        return format!("echo {owner}:{first}:{count} | tee -a /etc/subuid /etc/subgid");
    }
    format!("usermod --add-subuids {first}-{last} --add-subgids {first}-{last} {owner}")
}

/// The id behind the range of a line `NAME:FIRST:COUNT` (subuid(5)).
fn end_of_range(line: &str) -> Option<u64> {
    let mut fields = line.split(':').skip(1).map(|field| field.trim().parse::<u32>());
    let (first, count) = (fields.next()?.ok()?, fields.next()?.ok()?);
    Some(u64::from(first) + u64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_the_lowest_that_are_free() {
        let ranges = vec![(100, 50), (1000, 100)];
        assert_eq!(free(&ranges, &vec![], 50), Some(100));
        assert_eq!(free(&ranges, &vec![], 51), Some(1000));
        assert_eq!(free(&ranges, &vec![(100, 20)], 30), Some(120));
        assert_eq!(free(&ranges, &vec![(100, 20), (130, 5)], 16), Some(1000));
        assert_eq!(free(&ranges, &vec![(100, 20), (130, 5)], 15), Some(135));
        // What somebody has from ids that are no longer given.
        assert_eq!(free(&ranges, &vec![(90, 20), (1090, 500)], 80), Some(1000));
        assert_eq!(free(&ranges, &vec![(0, 5000)], 1), None);
        assert_eq!(free(&vec![(u32::MAX - 5, 5)], &vec![], 5), Some(u32::MAX - 5));
    }

    #[test]
    fn the_own_id_keeps_its_number() {
        let map = |inside, outside, count| IdMap { inside, outside, count };
        let expected = [map(0, 1, 1000), map(1000, 0, 1), map(1001, 1001, 64536)];
        assert_eq!(keep(1000, 65536), expected);
        assert_eq!(keep(70000, 65536), [map(0, 1, 65536), map(70000, 0, 1)]);
        assert_eq!(keep(0, 2), [map(0, 0, 1), map(1, 1, 2)]);
    }

    #[test]
    fn maps_are_counted_up_to_a_gap() {
        assert_eq!(in_a_row("         0       1000          1\n 1 100000 65536\n"), 65537);
        assert_eq!(in_a_row("0 1000 1\n2 5 5\n"), 1);
        assert_eq!(in_a_row("1 1 1\n"), 0);
        assert_eq!(in_a_row("0 0 4294967295"), u32::MAX);
    }

    #[test]
    fn ends_of_ranges_are_read() {
        assert_eq!(end_of_range("ann:100000:65536"), Some(165_536));
        assert_eq!((end_of_range("ann:x:1"), end_of_range("")), (None, None));
    }
}

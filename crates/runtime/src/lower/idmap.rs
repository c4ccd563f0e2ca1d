//! Ids in a mount option, as crun has them: `idmap=uids=0-1000-10#10-2000-1;gids=0-1000-10`.

use creel_spawn::IdMap;
use creel_spawn::userns::IdMaps;

use crate::spec::{IdMapping, Linux};

/// `UID_GID_MAP_MAX_EXTENTS` of the kernel.
const MAX: usize = 340;

/// Reads ids on disk, ids that they are shown as, and how many; those after `@` are shown as the ids of
/// the container's user namespace.
pub(super) fn read(text: &str, linux: &Linux) -> Option<IdMaps> {
    let (mut uids, mut gids) = (None, None);
    for part in text.split(';') {
        let (name, list) = part.split_once('=')?;
        let (maps, container) = match name {
            "uids" => (&mut uids, &linux.uid_mappings),
            "gids" => (&mut gids, &linux.gid_mappings),
            _ => return None,
        };
        if maps.replace(ranges(list, container)?).is_some() {
            return None;
        }
    }
    Some(IdMaps { uids: uids?, gids: gids? })
}

fn ranges(list: &str, container: &[IdMapping]) -> Option<Vec<IdMap>> {
    let (list, relative) = list.strip_prefix('@').map_or((list, false), |list| (list, true));
    let range = |text: &str| {
        let mut numbers = text.split('-').map(number);
        let (inside, outside, count) = (numbers.next()??, numbers.next()??, numbers.next()??);
        let ends = [inside, outside].map(|first: u32| first.checked_add(count));
        if numbers.next().is_some() || count == 0 || ends.contains(&None) {
            return None;
        }
        let outside = if relative { in_container(outside, count, container)? } else { outside };
        Some(IdMap { inside, outside, count })
    };
    let ranges: Vec<_> = list.split('#').map(range).collect::<Option<_>>()?;
    (ranges.len() <= MAX).then_some(ranges)
}

fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// What ids of the container are outside, if one range has them all.
fn in_container(first: u32, count: u32, maps: &[IdMapping]) -> Option<u32> {
    maps.iter().find_map(|map| {
        let offset = first.checked_sub(map.container_id)?;
        let fits = offset.checked_add(count)? <= map.size;
        fits.then(|| map.host_id.checked_add(offset))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_strictly() {
        let map = IdMapping { container_id: 0, host_id: 1000, size: 20 };
        let linux = Linux { uid_mappings: vec![map], gid_mappings: vec![map], ..Linux::default() };
        let maps = read("uids=0-5-10#10-20-1;gids=@2-3-4", &linux).unwrap();
        let all: Vec<_> =
            maps.uids.iter().map(|map| (map.inside, map.outside, map.count)).collect();
        assert_eq!(all, [(0, 5, 10), (10, 20, 1)]);
        let gid = maps.gids[0];
        assert_eq!((gid.inside, gid.outside, gid.count), (2, 1003, 4));
        for wrong in [
            "",
            "uids=0-1-1",
            "uids=0-1-0;gids=0-1-1",
            "uids=0-1;gids=0-1-1",
            "uids=0-1-1-1;gids=0-1-1",
            "uids=+0-1-1;gids=0-1-1",
            "uids=4294967295-1-1;gids=0-1-1",
            "uids=0-1-1;uids=0-1-1;gids=0-1-1",
            "uids=@0-19-2;gids=0-1-1",
            "uids=0-1-1;gids=0-1-1;x=1",
        ] {
            assert!(read(wrong, &linux).is_none(), "{wrong}");
        }
    }
}

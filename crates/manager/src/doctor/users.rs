//! User namespaces and the ids that can be mapped into them.

use std::fs;
use std::path::Path;

use super::Finding;
use crate::containers::users::{OWNERS, command_for_ids};

/// Most images own files by ids below this.
const USUAL_IDS: u64 = 65_536;

const IDS: &str = "subordinate ids";
/// Where set-uid programs are installed.
const PLACES: [&str; 4] = ["/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin"];

/// Sysctls that forbid user namespaces to ordinary users, with the value that does.
const FORBIDDING: [(&str, &str, &str); 3] = [
    ("/proc/sys/user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=15000"),
    (
        "/proc/sys/kernel/unprivileged_userns_clone",
        "0",
        "sysctl -w kernel.unprivileged_userns_clone=1",
    ),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
    ),
];

pub(super) fn namespaces() -> Finding {
    const TOPIC: &str = "user namespaces";
    if !fs::exists("/proc/self/ns/user").unwrap_or(false) {
        return Finding::missing(TOPIC, "not built into this kernel")
            .costs("only root can run containers, and `--userns` does not work")
            .mended_by("boot a kernel with CONFIG_USER_NS");
    }
    let forbidding = FORBIDDING
        .into_iter()
        .find(|(path, value, _)| fs::read_to_string(path).is_ok_and(|text| text.trim() == *value));
    match forbidding {
        None => Finding::good(TOPIC, "usable by everyone"),
        Some((path, value, mend)) => Finding::limited(TOPIC, format!("`{path}` is {value}"))
            .costs("only root can run containers")
            .mended_by(format!("`{mend}` as root, and the same in /etc/sysctl.d")),
    }
}

pub(super) fn subordinate_ids() -> Finding {
    let uid = rustix::process::getuid().as_raw();
    if uid == 0 {
        return judge_ids_of_root(OWNERS.map(|name| (name, ids(name, None))));
    }
    let name = user_name(uid).unwrap_or_else(|| uid.to_string());
    let lacks =
        |program: &&str| !PLACES.iter().any(|place| Path::new(place).join(program).exists());
    let lacking = ["newuidmap", "newgidmap"].into_iter().find(lacks);
    judge_ids(&name, ids(&name, Some(uid)), lacking)
}

/// The numbers of subordinate user and group ids of a user.
fn ids(name: &str, uid: Option<u32>) -> (u64, u64) {
    let count = |path| count(&fs::read_to_string(path).unwrap_or_default(), name, uid);
    (count("/etc/subuid"), count("/etc/subgid"))
}

/// Judges what root can give to containers with ids of their own: the first that has any counts.
fn judge_ids_of_root(owners: [(&str, (u64, u64)); 2]) -> Finding {
    let found = owners.iter().find(|(_, (uids, gids))| uids.min(gids) > &0);
    match found {
        Some((name, (uids, gids))) => {
            Finding::good(IDS, format!("{uids} user ids, {gids} group ids for {name}"))
        }
        None => Finding::limited(IDS, "none for `containers` or `root`")
            .costs("`run --userns auto` has no ids to give; all else as root needs none")
            .mended_by(format!("`{}` as root", command_for_ids("root"))),
    }
}

/// Judges the numbers of user and group ids, and a program that is lacking to map them.
fn judge_ids(name: &str, (uids, gids): (u64, u64), lacking: Option<&str>) -> Finding {
    const ONE_ID: &str = "files of an image all belong to you, and it cannot switch users";
    let mend =
        format!("`usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}` as root");
    let found = format!("{uids} user ids, {gids} group ids for {name}");
    match (uids.min(gids), lacking) {
        (0, _) => Finding::limited(IDS, found).costs(ONE_ID).mended_by(mend),
        (_, Some(program)) => Finding::limited(IDS, format!("{found}, but no `{program}`"))
            .costs(ONE_ID)
            .mended_by("`apt install uidmap` as root"),
        (..USUAL_IDS, None) => Finding::limited(IDS, found)
            .costs("images with higher ids fail to unpack")
            .mended_by(mend),
        _ => Finding::good(IDS, found),
    }
}

/// Adds up the ids of the lines `NAME:FIRST:COUNT` that are this user's, by name or number.
fn count(text: &str, name: &str, uid: Option<u32>) -> u64 {
    let number = uid.map(|uid| uid.to_string());
    let mine = |line: &str| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        fields.next()?;
        let ids: u64 = fields.next()?.parse().ok()?;
        (owner == name || Some(owner) == number.as_deref()).then_some(ids)
    };
    text.lines().filter_map(mine).fold(0, u64::saturating_add)
}

fn user_name(uid: u32) -> Option<String> {
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let number = uid.to_string();
    let mine = passwd.lines().find(|line| line.split(':').nth(2) == Some(&number))?;
    mine.split(':').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;

    #[test]
    fn adds_up_ranges_by_name_and_number() {
        let text = "ann:100000:65536\n1000:300000:10\nbob:1:5\nann:broken\n\n";
        assert_eq!(count(text, "ann", Some(1000)), 65_546);
        assert_eq!(count(text, "eve", None), 0);
        assert_eq!(count("ann:0:18446744073709551615\nann:0:1", "ann", Some(1)), u64::MAX);
    }

    #[test]
    fn root_gives_those_of_the_first_that_has_any() {
        let judge =
            |containers, root| judge_ids_of_root([("containers", containers), ("root", root)]);
        assert_eq!(judge((9, 9), (5, 5)).found, "9 user ids, 9 group ids for containers");
        assert_eq!(judge((9, 0), (5, 5)).found, "5 user ids, 5 group ids for root");
        assert_eq!(judge((0, 0), (0, 5)).severity, Severity::Limited);
    }

    #[test]
    fn ids_without_a_program_to_map_them_are_worth_one() {
        assert_eq!(judge_ids("ann", (65_536, 65_536), None).severity, Severity::Good);
        for (ids, lacking, mend) in [
            ((65_536, 0), None, "usermod"),
            ((1000, 65_536), None, "usermod"),
            ((65_536, 65_536), Some("newuidmap"), "apt install uidmap"),
        ] {
            let finding = judge_ids("ann", ids, lacking);
            assert_eq!(finding.severity, Severity::Limited);
            assert!(finding.mend.unwrap().contains(mend));
        }
    }
}

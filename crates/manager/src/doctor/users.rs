//! User namespaces and the ids that can be mapped into them.

use std::fs;

use super::Finding;

/// Most images own files by ids below this.
const USUAL_IDS: u64 = 65_536;

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
    const TOPIC: &str = "subordinate ids";
    let uid = rustix::process::getuid().as_raw();
    if uid == 0 {
        return Finding::good(TOPIC, "not needed as root");
    }
    let name = user_name(uid).unwrap_or_else(|| uid.to_string());
    let ids = |path| {
        let text = fs::read_to_string(path).unwrap_or_default();
        count(&text, &name, uid)
    };
    let (uids, gids) = (ids("/etc/subuid"), ids("/etc/subgid"));
    let mend =
        format!("`usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name}` as root");
    let found = format!("{uids} user ids, {gids} group ids for {name}");
    if uids.min(gids) == 0 {
        Finding::limited(TOPIC, found)
            .costs("files of an image all belong to you, and it cannot switch users")
            .mended_by(mend)
    } else if uids.min(gids) < USUAL_IDS {
        Finding::limited(TOPIC, found)
            .costs("images with higher ids fail to unpack")
            .mended_by(mend)
    } else {
        Finding::good(TOPIC, found)
    }
}

/// Adds up the ids of the lines `NAME:FIRST:COUNT` that are this user's, by name or number.
fn count(text: &str, name: &str, uid: u32) -> u64 {
    let number = uid.to_string();
    let mine = |line: &str| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        fields.next()?;
        let ids: u64 = fields.next()?.parse().ok()?;
        (owner == name || owner == number).then_some(ids)
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
    use super::*;

    #[test]
    fn adds_up_ranges_by_name_and_number() {
        let text = "ann:100000:65536\n1000:300000:10\nbob:1:5\nann:broken\n\n";
        assert_eq!(count(text, "ann", 1000), 65_546);
        assert_eq!(count(text, "eve", 1001), 0);
        assert_eq!(count("ann:0:18446744073709551615\nann:0:1", "ann", 1), u64::MAX);
    }
}

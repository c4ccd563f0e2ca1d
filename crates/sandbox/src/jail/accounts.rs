//! Users and groups by name, as files have them.

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// The user of a name in the text of `/etc/passwd`.
pub(super) fn user(passwd: &str, name: &str) -> Option<User> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let found = fields.next()? == name && !name.is_empty();
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        found.then_some(User { uid, gid })
    })
}

/// The id of a group in the text of `/etc/group`.
pub(super) fn group(text: &str, name: &str) -> Option<u32> {
    let found = |line: &str| {
        let mut fields = line.split(':');
        let found = fields.next()? == name && !name.is_empty();
        let gid = fields.nth(1)?.parse().ok()?;
        found.then_some(gid)
    };
    text.lines().find_map(found)
}

/// The groups that a user is a member of, its own one first, as `initgroups(3)` has them.
pub(super) fn groups(text: &str, name: &str, own: u32) -> Vec<u32> {
    let mut groups = vec![own];
    for line in text.lines() {
        let mut fields = line.split(':').skip(2);
        let (gid, members) = (fields.next().and_then(|gid| gid.parse().ok()), fields.next());
        let is_member = members.is_some_and(|members| members.split(',').any(|one| one == name));
        groups.extend(gid.filter(|gid: &u32| is_member && *gid != own));
    }
    groups
}

/// Whether a text is a number, as `strtoul` reads one; which.
pub(super) fn number(text: &str) -> Option<u32> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_by_name() {
        let passwd = "root:x:0:0::/:/bin/sh\nbad line\nnobody:x:65534:65533:n:/:/x\n";
        assert_eq!(user(passwd, "nobody"), Some(User { uid: 65534, gid: 65533 }));
        assert_eq!(user(passwd, "none"), None);
        let text = "root:x:0:\naudio:x:29:pulse,nobody\nvideo:x:44:nobody\nodd:x\n";
        assert_eq!(group(text, "audio"), Some(29));
        assert_eq!(groups(text, "nobody", 65533), [65533, 29, 44]);
        assert_eq!(groups(text, "pulse", 1), [1, 29]);
    }
}

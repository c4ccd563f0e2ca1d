//! Looking up the user of a process in an image's own `/etc/passwd` and `/etc/group`.
//!
//! Source: OCI image specification 1.1, `config.md` (`User`); passwd(5), group(5). Digits are always
//! a number, never a name, and a number that does not fit is an error: a uid that was too large once
//! wrapped around to root (CVE-2024-40635).

use creel_base::hint::Hint;

/// Most bytes of a passwd or group file that a caller should read.
pub const MAX_FILE: u64 = 1 << 20;
/// The largest uid or gid taken; more would be negative to tools that count them signed.
pub const MAX_ID: u32 = i32::MAX as u32;
/// Most supplementary groups (NGROUPS_MAX, limits.h).
const MAX_GROUPS: usize = 65_536;

/// A user by numbers, within the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The user id.
    pub uid: u32,
    /// The primary group's id.
    pub gid: u32,
    /// Supplementary group ids, ascending, each once, without the primary one.
    pub groups: Vec<u32>,
    /// The home directory by the passwd file, if it is absolute.
    pub home: Option<String>,
    /// The name by the passwd file.
    pub name: Option<String>,
}

/// Why a text names no user of the image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserError {
    /// The text is not `user` or `user:group`.
    #[error("user `{text}` is not of the form `USER` or `USER:GROUP`")]
    Malformed {
        /// The text, cut to 64 characters.
        text: String,
    },
    /// A number is larger than any id.
    #[error("id `{text}` is larger than {MAX_ID}")]
    IdTooLarge {
        /// The digits, cut to 64 characters.
        text: String,
    },
    /// The passwd file does not have the user.
    #[error("image has no user `{name}`")]
    NoUser {
        /// The name, cut to 64 characters.
        name: String,
    },
    /// The group file does not have the group.
    #[error("image has no group `{name}`")]
    NoGroup {
        /// The name, cut to 64 characters.
        name: String,
    },
    /// The line of the user or group that is meant has no proper ids.
    #[error("image has a broken line for `{name}` in its `{file}`")]
    BrokenLine {
        /// The name, cut to 64 characters.
        name: String,
        /// The file.
        file: &'static str,
    },
    /// The user is in more groups than a process can have.
    #[error("user `{name}` is in more than {MAX_GROUPS} groups")]
    TooManyGroups {
        /// The name, cut to 64 characters.
        name: String,
    },
}

impl Hint for UserError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoUser { .. } | Self::NoGroup { .. } => {
                Some("give numbers instead: `--user UID:GID`".into())
            }
            _ => None,
        }
    }
}

/// One line of a passwd file.
struct Account<'a> {
    name: &'a str,
    uid: Option<u32>,
    gid: Option<u32>,
    home: &'a str,
}

/// One line of a group file.
struct Group<'a> {
    name: &'a str,
    gid: Option<u32>,
    members: &'a str,
}

/// Looks up `user[:group]`; an empty text is root.
///
/// A uid without a line in `passwd` gets gid 0 and no groups. Where a group is given, it is the only
/// one. Lines that are not UTF-8 or not well-formed count only if they are the ones asked for.
///
/// # Errors
/// [`UserError`].
pub fn resolve(text: &str, passwd: &[u8], group: &[u8]) -> Result<User, UserError> {
    let malformed = || UserError::Malformed { text: cut(text) };
    let (user, group_name) = match text.split_once(':') {
        None => (if text.is_empty() { "0" } else { text }, None),
        Some((user, group)) => (user, Some(group)),
    };
    for part in [Some(user), group_name].into_iter().flatten() {
        if part.is_empty() || part.contains([':', '\0', '\n', ',']) {
            return Err(malformed());
        }
    }
    let mut found = account(user, passwd)?;
    match (group_name, &found.name) {
        (Some(name), _) => found.gid = group_id(name, group)?,
        (None, Some(name)) => found.groups = groups_of(name, found.gid, group)?,
        (None, None) => {}
    }
    Ok(found)
}

fn account(user: &str, passwd: &[u8]) -> Result<User, UserError> {
    let number = id(user)?;
    let mut lines = lines(passwd).filter_map(account_line);
    let line = lines.find(|line| match number {
        Some(uid) => line.uid == Some(uid),
        None => line.name == user,
    });
    let broken = || UserError::BrokenLine { name: cut(user), file: "/etc/passwd" };
    match (line, number) {
        (Some(line), _) => Ok(User {
            uid: line.uid.ok_or_else(broken)?,
            gid: line.gid.ok_or_else(broken)?,
            groups: Vec::new(),
            home: line.home.starts_with('/').then(|| line.home.to_owned()),
            name: Some(line.name.to_owned()),
        }),
        (None, Some(uid)) => Ok(User { uid, gid: 0, groups: Vec::new(), home: None, name: None }),
        (None, None) => Err(UserError::NoUser { name: cut(user) }),
    }
}

fn group_id(name: &str, group: &[u8]) -> Result<u32, UserError> {
    if let Some(gid) = id(name)? {
        return Ok(gid);
    }
    let line = lines(group).filter_map(group_line).find(|line| line.name == name);
    let line = line.ok_or_else(|| UserError::NoGroup { name: cut(name) })?;
    line.gid.ok_or_else(|| UserError::BrokenLine { name: cut(name), file: "/etc/group" })
}

fn groups_of(name: &str, primary: u32, group: &[u8]) -> Result<Vec<u32>, UserError> {
    let mut groups: Vec<u32> = lines(group)
        .filter_map(group_line)
        .filter(|line| line.members.split(',').any(|member| member.trim() == name))
        .filter_map(|line| line.gid)
        .filter(|gid| *gid != primary)
        .collect();
    groups.sort_unstable();
    groups.dedup();
    if groups.len() > MAX_GROUPS {
        return Err(UserError::TooManyGroups { name: cut(name) });
    }
    Ok(groups)
}

/// Returns the id if the text is all digits, and `None` if it is a name.
fn id(text: &str) -> Result<Option<u32>, UserError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse() {
        Ok(id) if id <= MAX_ID => Ok(Some(id)),
        _ => Err(UserError::IdTooLarge { text: cut(text) }),
    }
}

fn lines(file: &[u8]) -> impl Iterator<Item = &str> {
    file.split(|byte| *byte == b'\n')
        .filter_map(|line| core::str::from_utf8(line).ok())
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// `name:password:uid:gid:comment:home:shell`
fn account_line(line: &str) -> Option<Account<'_>> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    let mut number = |skip| id(fields.nth(skip)?).ok().flatten();
    let (uid, gid) = (number(1), number(0));
    let home = fields.nth(1).unwrap_or_default();
    Some(Account { name, uid, gid, home })
}

/// `name:password:gid:members`
fn group_line(line: &str) -> Option<Group<'_>> {
    let mut fields = line.split(':');
    let name = fields.next()?;
    let gid = fields.nth(1).and_then(|text| id(text).ok().flatten());
    Some(Group { name, gid, members: fields.next().unwrap_or_default() })
}

fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\n# x\n\
        web:x:33:34::/srv:/bin/false\n1234:x:0:0:evil:/:/bin/sh\nbad:x:-1:5::/:\n\
        big:x:4294967296:0::/:\nhuge:x:2147483648:0::/:\nrel:x:40:40::tmp:\nshort\n\xff:x:7:7::/:\n";
    const GROUP: &[u8] = b"root:x:0:\nweb:x:34:web\ntape:x:50:root, web\nvideo:x:44:web,x\n\
        again:x:44:web\nbad:x:-2:web\nshort\n";

    #[test]
    fn finds_users() {
        type Ids = Option<(u32, u32, &'static [u32])>;
        let cases: [(&str, Ids); 28] = [
            ("", Some((0, 0, &[50]))),
            ("root", Some((0, 0, &[50]))),
            ("web", Some((33, 34, &[44, 50]))),
            ("33", Some((33, 34, &[44, 50]))),
            ("web:tape", Some((33, 50, &[]))),
            ("web:7", Some((33, 7, &[]))),
            ("1000", Some((1000, 0, &[]))),
            ("1000:1000", Some((1000, 1000, &[]))),
            ("1234", Some((1234, 0, &[]))),
            ("2147483647", Some((2_147_483_647, 0, &[]))),
            ("rel", Some((40, 40, &[]))),
            ("2147483648", None),
            ("4294967296", None),
            ("65536:4294967296", None),
            ("18446744073709551616", None),
            ("-1", None),
            ("+1", None),
            ("0x0", None),
            ("nobody", None),
            ("web:none", None),
            ("web:bad", None),
            ("bad", None),
            ("big", None),
            ("huge", None),
            ("short", None),
            ("web:", None),
            (":0", None),
            ("a:b:c", None),
        ];
        for (text, expected) in cases {
            let found = resolve(text, PASSWD, GROUP).ok();
            let found = found.as_ref().map(|user| (user.uid, user.gid, user.groups.as_slice()));
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn gives_home_and_name() {
        let user = resolve("web", PASSWD, GROUP).unwrap();
        assert_eq!((user.home.as_deref(), user.name.as_deref()), (Some("/srv"), Some("web")));
        assert_eq!(resolve("rel", PASSWD, GROUP).unwrap().home, None);
        assert_eq!(resolve("5", b"", b"").unwrap().name, None);
        assert_eq!(resolve("", b"", b"").map(|user| user.uid), Ok(0));
        assert!(resolve("root", b"", b"").is_err());
    }
}
